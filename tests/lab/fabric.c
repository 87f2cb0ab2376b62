/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A fabric without the hardware: libvirtd runs with this library in LD_PRELOAD, and
 * finds that its NICs are VIC NICs on a fabric that answers 802.1Qbh requests.
 *
 * libvirt associates a dynamic vNIC with a port profile in two steps: it sends RTM_SETLINK
 * with an IFLA_PORT_SELF, then asks for the link (RTM_GETLINK) until the IFLA_PORT_SELF in
 * the answer says how it went. For a VF it does the same with its PF, and with an
 * IFLA_VF_PORTS that holds the VF's number. No driver of this machine knows these, so they are
 * taken out of the one and put into the other.
 *
 * Before that, the library is the kernel that refuses libvirt's own requests: rtnetlink refuses a VF
 * number of INT_MAX and above (check A, since Linux 5.4), and enic a port profile that does not have
 * PORT_PROFILE_MAX bytes (check B, since 2024). The fabric does not hear of what is refused.
 *
 * With check C it is a kernel before macvlan's "Don't propagate promisc change to lower dev in passthru"
 * (2023): a macvtap that is up passes on to its NIC that IFF_PROMISC was set or cleared, but one that is set
 * up does not pass on that it has it, and is refused if the NIC's promiscuity is below zero.
 *
 * A VIC NIC that nobody uses has a zero MAC, which a veth refuses: it gets the MAC
 * IDLE instead, and libvirt sees zeros.
 *
 * A macvtap device is opened as /dev/tap<index>, and /dev is the same for all network
 * namespaces of the machine: so each host has interface indexes of its own for them.
 *
 * Environment:
 *   FABRIC_INDEX  the first of 256 interface indexes for macvtap devices
 *   FABRIC        folder. "log" gets a line per request, fields separated by tabs: host, NIC (or PF/VF's
 *                 number), operation, port profile, VM's UUID, answer. "refuse" holds a port profile to
 *                 refuse
 *   FABRIC_HOST   the host's name in the log
 *   FABRIC_CHECKS the kernel's checks: some of A, B and C, or empty for none
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
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
#include <unistd.h>

static const unsigned char IDLE[6] = {2, 0, 0, 0, 0, 0};
static const unsigned char ZERO[6];

enum { SELF = -1 };

/* How the last request of a NIC went: of a dynamic vNIC (vf is SELF), or of a VF of that PF. */
struct port {
    int ifindex, vf;
    uint16_t response;
    int has_vm;
    unsigned char vm[16];
};

static struct port ports[4096];
static int port_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct port *port_of(int ifindex, int vf)
{
    for (int i = 0; i < port_count; i++)
        if (ports[i].ifindex == ifindex && ports[i].vf == vf)
            return &ports[i];
    if (port_count == 4096)
        abort();
    ports[port_count].ifindex = ifindex;
    ports[port_count].vf = vf;
    return &ports[port_count++];
}

static void path_in_fabric(const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", getenv("FABRIC"), name);
}

/* Whether an association with that port profile is to be refused. */
static int is_refused(const char *profile)
{
    char path[4096], refused[256];

    path_in_fabric("refuse", path, sizeof path);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (!fgets(refused, sizeof refused, file))
        refused[0] = 0;
    fclose(file);
    return !strcmp(refused, profile);
}

static const char *const OPERATIONS[] = {
    [PORT_REQUEST_PREASSOCIATE_RR] = "PREASSOCIATE_RR",
    [PORT_REQUEST_ASSOCIATE] = "ASSOCIATE",
    [PORT_REQUEST_DISASSOCIATE] = "DISASSOCIATE",
};

/* Take in a request, an IFLA_PORT_SELF or IFLA_VF_PORT: log it, and remember the answer. */
static void request(int ifindex, struct nlattr *asked)
{
    struct nlattr *attrs[IFLA_PORT_MAX + 1];
    char nic[IF_NAMESIZE + 12] = "?", vm[37] = "-", path[4096];
    const char *profile = "-";
    const unsigned char *uuid = NULL;

    if (nla_parse_nested(attrs, IFLA_PORT_MAX, asked, NULL) < 0 || !attrs[IFLA_PORT_REQUEST])
        return;
    int asked_for = nla_get_u8(attrs[IFLA_PORT_REQUEST]);
    int vf = attrs[IFLA_PORT_VF] ? (int)nla_get_u32(attrs[IFLA_PORT_VF]) : SELF;
    if (attrs[IFLA_PORT_PROFILE])
        profile = nla_get_string(attrs[IFLA_PORT_PROFILE]);
    if (attrs[IFLA_PORT_INSTANCE_UUID]) {
        uuid = nla_data(attrs[IFLA_PORT_INSTANCE_UUID]);
        char *end = vm;
        for (int i = 0; i < 16; i++)
            end += sprintf(end, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
    }
    if_indextoname(ifindex, nic);
    if (vf != SELF)
        sprintf(nic + strlen(nic), "/%d", vf);

    int refused = asked_for != PORT_REQUEST_DISASSOCIATE && is_refused(profile);

    pthread_mutex_lock(&lock);
    struct port *port = port_of(ifindex, vf);
    port->response = refused ? PORT_PROFILE_RESPONSE_ERROR : PORT_PROFILE_RESPONSE_SUCCESS;
    port->has_vm = uuid != NULL;
    if (uuid)
        memcpy(port->vm, uuid, sizeof port->vm);
    pthread_mutex_unlock(&lock);

    path_in_fabric("log", path, sizeof path);
    FILE *log = fopen(path, "ae");
    if (!log || fprintf(log, "%s\t%s\t%s\t%s\t%s\t%s\n", getenv("FABRIC_HOST"), nic,
                        OPERATIONS[asked_for], profile, vm, refused ? "refused" : "success") < 0 ||
        fclose(log))
        abort();
}

static int has_port_profile_of_wrong_size(const struct nlattr *port)
{
    struct nlattr *profile = nla_find(nla_data(port), nla_len(port), IFLA_PORT_PROFILE);
    return profile && nla_len(profile) != PORT_PROFILE_MAX;
}

/* Whether a kernel with these checks refuses the message. */
static int is_refused_by_kernel(struct nlmsghdr *header, const char *checks)
{
    const int skip = sizeof(struct ifinfomsg);
    struct nlattr *infos = nlmsg_find_attr(header, skip, IFLA_VFINFO_LIST);
    struct nlattr *self = nlmsg_find_attr(header, skip, IFLA_PORT_SELF);
    struct nlattr *vfs = nlmsg_find_attr(header, skip, IFLA_VF_PORTS);
    struct nlattr *attr, *mac;
    int left;

    if (strchr(checks, 'A') && infos)
        nla_for_each_nested(attr, infos, left) {
            mac = nla_find(nla_data(attr), nla_len(attr), IFLA_VF_MAC);
            if (mac && ((struct ifla_vf_mac *)nla_data(mac))->vf >= INT_MAX)
                return 1;
        }
    int refused = self && has_port_profile_of_wrong_size(self);
    if (vfs)
        nla_for_each_nested(attr, vfs, left)
            refused |= has_port_profile_of_wrong_size(attr);
    return refused && strchr(checks, 'B');
}

/* Take in the requests for a NIC, or for VFs of a PF. Returns whether there are any. */
static int take_requests(struct nlmsghdr *header)
{
    struct ifinfomsg *link = nlmsg_data(header);
    struct nlattr *self = nlmsg_find_attr(header, sizeof *link, IFLA_PORT_SELF);
    struct nlattr *vfs = nlmsg_find_attr(header, sizeof *link, IFLA_VF_PORTS);
    struct nlattr *vf;
    int left;

    if (self)
        request(link->ifi_index, self);
    if (vfs)
        nla_for_each_nested(vf, vfs, left)
            request(link->ifi_index, vf);
    return self || vfs;
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

    if (header->nlmsg_type == RTM_NEWLINK)
        choose_index(header);
    /* libvirt 7.0 sets these where they mean nothing, which today's kernels refuse. */
    if (header->nlmsg_type == RTM_DELLINK)
        header->nlmsg_flags &= ~(NLM_F_CREATE | NLM_F_EXCL);
    int sets = header->nlmsg_type == RTM_SETLINK;
    int refused = sets && is_refused_by_kernel(header, getenv("FABRIC_CHECKS"));
    if (!refused && !(sets && take_requests(header)))
        return next(sock, msg);

    struct ifinfomsg *link = nlmsg_data(header);
    /* The kernel refuses a message for no link, with EINVAL as well. */
    struct ifinfomsg bare_link = {.ifi_family = AF_UNSPEC, .ifi_index = refused ? 0 : link->ifi_index};
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

/* Return the message about a link (to be freed) with the answers for it, NULL if there are none. */
static struct nl_msg *answer(struct nlmsghdr *header)
{
    struct ifinfomsg *link = nlmsg_data(header);
    struct nl_msg *msg = NULL;
    struct nlattr *vfs = NULL, *nest;

    pthread_mutex_lock(&lock);
    for (struct port *port = ports; port < ports + port_count; port++) {
        if (port->ifindex != link->ifi_index)
            continue;
        if (!msg) {
            msg = nlmsg_alloc_size(header->nlmsg_len + 65536);
            memcpy(nlmsg_hdr(msg), header, header->nlmsg_len);
        }
        if (port->vf != SELF && !vfs)
            vfs = nla_nest_start(msg, IFLA_VF_PORTS);
        nest = nla_nest_start(msg, port->vf == SELF ? IFLA_PORT_SELF : IFLA_VF_PORT);
        nla_put_u16(msg, IFLA_PORT_RESPONSE, port->response);
        if (port->vf != SELF)
            nla_put_u32(msg, IFLA_PORT_VF, port->vf);
        if (port->has_vm)
            nla_put(msg, IFLA_PORT_INSTANCE_UUID, sizeof port->vm, port->vm);
        nla_nest_end(msg, nest);
    }
    pthread_mutex_unlock(&lock);
    if (vfs)
        nla_nest_end(msg, vfs);
    return msg;
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
    struct nl_msg *longer = answer(header);
    if (!longer)
        return size;
    size = nlmsg_hdr(longer)->nlmsg_len;
    *data = realloc(*data, size);
    if (!*data)
        abort();
    memcpy(*data, nlmsg_hdr(longer), size);
    nlmsg_free(longer);
    return size;
}

typedef int ioctl_function(int fd, unsigned long command, ...);

/* Find the NIC that a macvtap of that name is on. */
static int find_nic(const char *name, struct ifreq *nic)
{
    char path[64];
    int index;

    snprintf(path, sizeof path, "/sys/class/net/%s/iflink", name);
    FILE *file = strncmp(name, "macvtap", 7) ? NULL : fopen(path, "re");
    if (!file)
        return 0;
    int found = fscanf(file, "%d", &index) == 1 && if_indextoname(index, nic->ifr_name);
    fclose(file);
    return found;
}

/*
 * Add to what macvtaps have passed on to a NIC's promiscuity, and return it. It is kept in the NIC's queue
 * length, beyond the usual one: that outlives libvirtd, and ends with the NIC.
 */
static int promiscuity(ioctl_function *next, int fd, struct ifreq *nic, int change)
{
    if (next(fd, SIOCGIFTXQLEN, nic))
        abort();
    nic->ifr_qlen += change;
    if (change && next(fd, SIOCSIFTXQLEN, nic))
        abort();
    return nic->ifr_qlen - 1000;
}

/* Set flags of an interface as a kernel with check C does: first IFF_UP, then IFF_PROMISC. */
static int set_flags(ioctl_function *next, int fd, struct ifreq *wanted)
{
    struct ifreq now = *wanted, nic;

    if (!find_nic(wanted->ifr_name, &nic) || next(fd, SIOCGIFFLAGS, &now))
        return next(fd, SIOCSIFFLAGS, wanted);
    int changed = now.ifr_flags ^ wanted->ifr_flags;
    if (wanted->ifr_flags & changed & IFF_UP && promiscuity(next, fd, &nic, 0) < 0) {
        errno = EOVERFLOW;
        return -1;
    }
    int result = next(fd, SIOCSIFFLAGS, wanted);
    if (!result && changed & IFF_PROMISC && wanted->ifr_flags & IFF_UP)
        promiscuity(next, fd, &nic, wanted->ifr_flags & IFF_PROMISC ? 1 : -1);
    return result;
}

int ioctl(int fd, unsigned long command, ...)
{
    ioctl_function *next = dlsym(RTLD_NEXT, "ioctl");
    va_list args;

    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);

    struct ifreq *request = arg;
    if (command == SIOCSIFFLAGS && strchr(getenv("FABRIC_CHECKS"), 'C'))
        return set_flags(next, fd, request);
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
