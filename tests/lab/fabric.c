/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A fabric without the hardware: libvirtd runs with this library in LD_PRELOAD, and
 * finds that its NICs are VIC NICs on a fabric that answers 802.1Qbh requests.
 *
 * libvirt associates a NIC with a port profile in two steps: it sends RTM_SETLINK with
 * an IFLA_PORT_SELF, then asks for the link (RTM_GETLINK) until the IFLA_PORT_SELF in
 * the answer says how it went. No driver of this machine knows IFLA_PORT_SELF, so it
 * is taken out of the one and put into the other.
 *
 * A VIC NIC that nobody uses has a zero MAC, which a veth refuses: it gets the MAC
 * IDLE instead, and libvirt sees zeros.
 *
 * A macvtap device is opened as /dev/tap<index>, and /dev is the same for all network
 * namespaces of the machine: so each host has interface indexes of its own for them.
 *
 * Environment:
 *   FABRIC_INDEX  the first of 256 interface indexes for macvtap devices
 *   FABRIC        folder, without which nothing answers. "log" gets a line per request, fields
 *                 separated by tabs: host, NIC, operation, port profile, VM's UUID, answer.
 *                 These steer it:
 *                 "slow"    holds the seconds an association takes
 *                 "refuse"  holds a port profile to refuse, or * for all
 *   FABRIC_HOST   the host's name in the log
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static const unsigned char IDLE[6] = {2, 0, 0, 0, 0, 0};
static const unsigned char ZERO[6];

/* How the last request of a NIC went; found by its index. */
struct port {
    int ifindex;
    uint16_t response;
    time_t done;
};

static struct port ports[4096];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct port *find_port(int ifindex, int add)
{
    for (struct port *port = ports; port < ports + 4096; port++) {
        if (port->ifindex == ifindex)
            return port;
        if (!port->ifindex) {
            port->ifindex = add ? ifindex : 0;
            return add ? port : NULL;
        }
    }
    abort();
}

static void path_in_fabric(const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", getenv("FABRIC"), name);
}

static int steered(const char *name, char *value, size_t size)
{
    char path[4096];

    path_in_fabric(name, path, sizeof path);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    int found = fgets(value, size, file) != NULL;
    fclose(file);
    value[strcspn(value, "\n")] = 0;
    return found;
}

static const char *operation(int request)
{
    switch (request) {
    case PORT_REQUEST_PREASSOCIATE_RR: return "PREASSOCIATE_RR";
    case PORT_REQUEST_ASSOCIATE: return "ASSOCIATE";
    case PORT_REQUEST_DISASSOCIATE: return "DISASSOCIATE";
    default: return "UNKNOWN";
    }
}

/* Take in a request for a NIC: log it, and remember the answer. */
static void request(int ifindex, struct nlattr *self)
{
    struct nlattr *attrs[IFLA_PORT_MAX + 1];
    char nic[IF_NAMESIZE] = "?", value[256], vm[37] = "-", line[512], path[4096];
    const char *profile = "-";

    if (nla_parse_nested(attrs, IFLA_PORT_MAX, self, NULL) < 0 || !attrs[IFLA_PORT_REQUEST])
        return;
    int asked = nla_get_u8(attrs[IFLA_PORT_REQUEST]);
    if (attrs[IFLA_PORT_PROFILE])
        profile = nla_get_string(attrs[IFLA_PORT_PROFILE]);
    if (attrs[IFLA_PORT_INSTANCE_UUID]) {
        const unsigned char *u = nla_data(attrs[IFLA_PORT_INSTANCE_UUID]);
        snprintf(vm, sizeof vm,
                 "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                 u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11],
                 u[12], u[13], u[14], u[15]);
    }
    if_indextoname(ifindex, nic);

    int associates = asked != PORT_REQUEST_DISASSOCIATE;
    int refused = associates && steered("refuse", value, sizeof value) &&
        (!strcmp(value, "*") || !strcmp(value, profile));
    int slow = associates && steered("slow", value, sizeof value) ? atoi(value) : 0;

    pthread_mutex_lock(&lock);
    struct port *port = find_port(ifindex, 1);
    port->response = refused ? PORT_PROFILE_RESPONSE_ERROR : PORT_PROFILE_RESPONSE_SUCCESS;
    port->done = time(NULL) + slow;
    pthread_mutex_unlock(&lock);

    int size = snprintf(line, sizeof line, "%s\t%s\t%s\t%s\t%s\t%s\n", getenv("FABRIC_HOST"), nic,
                        operation(asked), profile, vm, refused ? "refused" : "success");
    path_in_fabric("log", path, sizeof path);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, line, size) != size)
        abort();
    close(fd);
}

/* Give a macvtap device that is to be made its index. */
static void choose_index(struct nlmsghdr *header)
{
    struct nlattr *info = nlmsg_find_attr(header, sizeof(struct ifinfomsg), IFLA_LINKINFO);
    struct nlattr *kind = info ? nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND) : NULL;
    struct ifinfomsg *link = nlmsg_data(header);
    char name[IF_NAMESIZE];
    static unsigned int chosen;

    if (!kind || strcmp(nla_get_string(kind), "macvtap") || link->ifi_index)
        return;
    /* A new one each time, for VMs that start at once; not those from before a restart. */
    pthread_mutex_lock(&lock);
    do {
        link->ifi_index = atoi(getenv("FABRIC_INDEX")) + chosen++ % 256;
    } while (if_indextoname(link->ifi_index, name));
    pthread_mutex_unlock(&lock);
}

int nl_send_auto_complete(struct nl_sock *sock, struct nl_msg *msg)
{
    int (*next)(struct nl_sock *, struct nl_msg *) = dlsym(RTLD_NEXT, "nl_send_auto_complete");
    struct nlmsghdr *header = nlmsg_hdr(msg);
    struct nlattr *self = NULL;

    if (header->nlmsg_type == RTM_NEWLINK)
        choose_index(header);
    /* libvirt 7.0 sets these where they mean nothing, which today's kernels refuse. */
    if (header->nlmsg_type == RTM_DELLINK)
        header->nlmsg_flags &= ~(NLM_F_CREATE | NLM_F_EXCL);
    if (header->nlmsg_type == RTM_SETLINK && getenv("FABRIC"))
        self = nlmsg_find_attr(header, sizeof(struct ifinfomsg), IFLA_PORT_SELF);
    if (!self)
        return next(sock, msg);

    struct ifinfomsg *link = nlmsg_data(header);
    struct ifinfomsg bare_link = {.ifi_family = AF_UNSPEC, .ifi_index = link->ifi_index};
    request(link->ifi_index, self);

    struct nl_msg *bare = nlmsg_alloc_simple(RTM_SETLINK, header->nlmsg_flags);
    nlmsg_append(bare, &bare_link, sizeof bare_link, NLMSG_ALIGNTO);
    nlmsg_set_dst(bare, nlmsg_get_dst(msg));
    nlmsg_hdr(bare)->nlmsg_pid = header->nlmsg_pid;
    int sent = next(sock, bare);
    /* libvirt matches the kernel's answer with its own message. */
    header->nlmsg_seq = nlmsg_hdr(bare)->nlmsg_seq;
    header->nlmsg_pid = nlmsg_hdr(bare)->nlmsg_pid;
    nlmsg_free(bare);
    return sent;
}

int nl_recv(struct nl_sock *sock, struct sockaddr_nl *from, unsigned char **data,
            struct ucred **creds)
{
    int (*next)(struct nl_sock *, struct sockaddr_nl *, unsigned char **, struct ucred **) =
        dlsym(RTLD_NEXT, "nl_recv");
    int size = next(sock, from, data, creds);
    struct nlmsghdr *header = (struct nlmsghdr *)*data;

    if (size < (int)NLMSG_LENGTH(sizeof(struct ifinfomsg)) || header->nlmsg_type != RTM_NEWLINK)
        return size;

    struct ifinfomsg *link = nlmsg_data(header);
    pthread_mutex_lock(&lock);
    struct port *port = find_port(link->ifi_index, 0);
    int known = port != NULL;
    uint16_t response = !known ? 0 :
        time(NULL) < port->done ? PORT_PROFILE_RESPONSE_INPROGRESS : port->response;
    pthread_mutex_unlock(&lock);
    if (!known)
        return size;

    struct {
        struct nlattr self, response;
        uint16_t value, pad;
    } answer = {
        {sizeof answer, IFLA_PORT_SELF | NLA_F_NESTED},
        {sizeof(struct nlattr) + sizeof response, IFLA_PORT_RESPONSE},
        response, 0,
    };
    int end = NLMSG_ALIGN(header->nlmsg_len);
    unsigned char *longer = realloc(*data, end + sizeof answer);
    if (!longer)
        abort();
    memcpy(longer + end, &answer, sizeof answer);
    ((struct nlmsghdr *)longer)->nlmsg_len = end + sizeof answer;
    *data = longer;
    return end + sizeof answer;
}

int ioctl(int fd, unsigned long command, ...)
{
    int (*next)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    va_list args;

    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);

    struct ifreq *request = arg;
    if (command == SIOCSIFHWADDR) {
        struct ifreq real = *request;
        unsigned char *mac = (unsigned char *)real.ifr_hwaddr.sa_data;
        if (!memcmp(mac, ZERO, 6))
            memcpy(mac, IDLE, 6);
        return next(fd, command, &real);
    }
    int result = next(fd, command, arg);
    if (command == SIOCGIFHWADDR && !result && !memcmp(request->ifr_hwaddr.sa_data, IDLE, 6))
        memcpy(request->ifr_hwaddr.sa_data, ZERO, 6);
    return result;
}
