/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A fabric without the hardware: libvirtd runs with this library in LD_PRELOAD, and finds that its NICs are
 * VIC NICs on a fabric that answers 802.1Qbh requests.
 *
 * libvirt associates a dynamic vNIC with a port profile in two steps: it sends RTM_SETLINK with an
 * IFLA_PORT_SELF, then asks for the link (RTM_GETLINK) until the IFLA_PORT_SELF in the answer says how it
 * went. For a VF it does the same with its PF, and with an IFLA_VF_PORT in an IFLA_VF_PORTS. No driver of
 * this machine knows these, so they are taken out of the one and put into the other.
 *
 * A VIC NIC that nobody uses has a zero MAC, which a veth refuses: it gets the MAC IDLE instead, and libvirt
 * sees zeros. A macvtap device is opened as /dev/tap<index>, and /dev is the same for all network namespaces
 * of the machine: so each host has interface indexes of its own for them.
 *
 * Environment:
 *   FABRIC_INDEX  the first of 256 interface indexes for macvtap devices
 *   FABRIC        folder. "log" gets a line per request, fields separated by tabs: host, NIC (or PF/VF's
 *                 number), operation, port profile, VM's UUID. A file "refuse.PROFILE" has PROFILE refused
 *   FABRIC_HOST   the host's name in the log
 *   FABRIC_CHECKS some of these letters, for a kernel which, before the fabric hears of a request,
 *     A  refuses a VF number of INT_MAX and above, as rtnetlink since Linux 5.4
 *     B  refuses a port profile that does not have PORT_PROFILE_MAX bytes, as enic since 2024
 *     C  counts promiscuity as macvlan before "Don't propagate promisc change to lower dev in passthru"
 *        (2023): a macvtap that is up passes on to its NIC that IFF_PROMISC was set or cleared, but one that
 *        is set up does not pass on that it has it, and is refused if the NIC's promiscuity is below zero
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const unsigned char IDLE[6] = {2}, ZERO[6];
static const int LINK = sizeof(struct ifinfomsg);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

enum { SELF = -1 };

/* The last request of a dynamic vNIC (vf is SELF), or of a VF of that PF, and how it went. */
static struct port {
    int ifindex, vf, size;
    uint16_t response;
    char asked[512];
} ports[4096];

static struct port *port_of(int ifindex, int vf)
{
    struct port *port = ports;
    while (port->ifindex && (port->ifindex != ifindex || port->vf != vf))
        if (++port == ports + 4095)
            abort();
    return port;
}

static const char *const OPERATIONS[] = {
    [PORT_REQUEST_PREASSOCIATE_RR] = "PREASSOCIATE_RR",
    [PORT_REQUEST_ASSOCIATE] = "ASSOCIATE",
    [PORT_REQUEST_DISASSOCIATE] = "DISASSOCIATE",
};

/* Log a request, and remember it with the answer. */
static void take(int ifindex, struct nlattr *asked)
{
    struct nlattr *attrs[IFLA_PORT_MAX + 1];
    char nic[IF_NAMESIZE + 12] = "?", vm[37] = "-", path[4096];
    struct port port = {ifindex, SELF, nla_len(asked), PORT_PROFILE_RESPONSE_SUCCESS, ""};

    if (nla_parse_nested(attrs, IFLA_PORT_MAX, asked, NULL) < 0 || port.size > (int)sizeof port.asked)
        abort();
    memcpy(port.asked, nla_data(asked), port.size);
    if_indextoname(ifindex, nic);
    if (attrs[IFLA_PORT_VF])
        sprintf(nic + strlen(nic), "/%d", port.vf = nla_get_u32(attrs[IFLA_PORT_VF]));
    const char *profile = attrs[IFLA_PORT_PROFILE] ? nla_get_string(attrs[IFLA_PORT_PROFILE]) : "-";
    if (attrs[IFLA_PORT_INSTANCE_UUID]) {
        const unsigned char *uuid = nla_data(attrs[IFLA_PORT_INSTANCE_UUID]);
        char *end = vm;
        for (int i = 0; i < 16; i++)
            end += sprintf(end, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uuid[i]);
    }
    snprintf(path, sizeof path, "%s/refuse.%s", getenv("FABRIC"), profile);
    if (!access(path, F_OK))
        port.response = PORT_PROFILE_RESPONSE_ERROR;

    pthread_mutex_lock(&lock);
    *port_of(ifindex, port.vf) = port;
    pthread_mutex_unlock(&lock);

    snprintf(path, sizeof path, "%s/log", getenv("FABRIC"));
    FILE *log = fopen(path, "ae");
    const char *host = getenv("FABRIC_HOST"), *operation = OPERATIONS[nla_get_u8(attrs[IFLA_PORT_REQUEST])];
    if (!log || fprintf(log, "%s\t%s\t%s\t%s\t%s\n", host, nic, operation, profile, vm) < 0 || fclose(log))
        abort();
}

/* Whether a kernel with these checks refuses a message with that request. */
static int is_refused_by_kernel(struct nlmsghdr *header, struct nlattr *asked, const char *checks)
{
    struct nlattr *infos = nlmsg_find_attr(header, LINK, IFLA_VFINFO_LIST);
    struct nlattr *info = infos ? nla_find(nla_data(infos), nla_len(infos), IFLA_VF_INFO) : NULL;
    struct nlattr *mac = info ? nla_find(nla_data(info), nla_len(info), IFLA_VF_MAC) : NULL;
    struct nlattr *profile = asked ? nla_find(nla_data(asked), nla_len(asked), IFLA_PORT_PROFILE) : NULL;

    if (strchr(checks, 'A') && mac && ((struct ifla_vf_mac *)nla_data(mac))->vf >= INT_MAX)
        return 1;
    return strchr(checks, 'B') && profile && nla_len(profile) != PORT_PROFILE_MAX;
}

/* Give a macvtap device that is to be made its index. */
static void choose_index(struct nlmsghdr *header)
{
    struct nlattr *info = nlmsg_find_attr(header, LINK, IFLA_LINKINFO);
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
    struct ifinfomsg *link = nlmsg_data(header);

    if (header->nlmsg_type == RTM_NEWLINK)
        choose_index(header);
    /* libvirt 7.0 sets these where they mean nothing, which today's kernels refuse. */
    if (header->nlmsg_type == RTM_DELLINK)
        header->nlmsg_flags &= ~(NLM_F_CREATE | NLM_F_EXCL);
    if (header->nlmsg_type != RTM_SETLINK)
        return next(sock, msg);

    struct nlattr *vfs = nlmsg_find_attr(header, LINK, IFLA_VF_PORTS);
    struct nlattr *asked = vfs ? nla_data(vfs) : nlmsg_find_attr(header, LINK, IFLA_PORT_SELF);
    int refused = is_refused_by_kernel(header, asked, getenv("FABRIC_CHECKS"));
    if (!refused && !asked)
        return next(sock, msg);

    if (!refused)
        take(link->ifi_index, asked);
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

/* Append to a message about a link what it was last asked for, and how that went. */
static void append_answers(struct nl_msg *msg, int ifindex)
{
    struct nlattr *vfs = NULL, *nest;

    pthread_mutex_lock(&lock);
    for (struct port *port = ports; port->ifindex; port++) {
        if (port->ifindex != ifindex)
            continue;
        if (port->vf != SELF && !vfs)
            vfs = nla_nest_start(msg, IFLA_VF_PORTS);
        nest = nla_nest_start(msg, port->vf == SELF ? IFLA_PORT_SELF : IFLA_VF_PORT);
        nlmsg_append(msg, port->asked, port->size, NLMSG_ALIGNTO);
        nla_put_u16(msg, IFLA_PORT_RESPONSE, port->response);
        nla_nest_end(msg, nest);
    }
    pthread_mutex_unlock(&lock);
    if (vfs)
        nla_nest_end(msg, vfs);
}

int nl_recv(struct nl_sock *sock, struct sockaddr_nl *from, unsigned char **data, struct ucred **creds)
{
    int (*next)(struct nl_sock *, struct sockaddr_nl *, unsigned char **, struct ucred **) =
        dlsym(RTLD_NEXT, "nl_recv");
    int size = next(sock, from, data, creds);
    struct nlmsghdr *header = (struct nlmsghdr *)*data;

    if (size < (int)sizeof *header || (int)header->nlmsg_len != size || header->nlmsg_type != RTM_NEWLINK)
        return size;
    struct nl_msg *msg = nlmsg_alloc_size(size + 65536);
    memcpy(nlmsg_hdr(msg), header, size);
    append_answers(msg, ((struct ifinfomsg *)nlmsg_data(header))->ifi_index);
    size = nlmsg_hdr(msg)->nlmsg_len;
    *data = realloc(*data, size);
    memcpy(*data, nlmsg_hdr(msg), size);
    nlmsg_free(msg);
    return size;
}

/* libc's is variadic, but arg is passed on alike: as it is, and if there is one. */
typedef int ioctl_function(int fd, unsigned long command, void *arg);

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
 * Set flags of an interface as a kernel with check C does: first IFF_UP, then IFF_PROMISC. What macvtaps
 * have passed on to a NIC's promiscuity is kept in its queue length, beyond the usual 1000: that outlives
 * libvirtd, and ends with the NIC.
 */
static int set_flags(ioctl_function *next, int fd, struct ifreq *wanted)
{
    struct ifreq now = *wanted, nic;

    if (!find_nic(wanted->ifr_name, &nic) || next(fd, SIOCGIFFLAGS, &now) || next(fd, SIOCGIFTXQLEN, &nic))
        return next(fd, SIOCSIFFLAGS, wanted);
    int up = wanted->ifr_flags & IFF_UP, changed = now.ifr_flags ^ wanted->ifr_flags;
    if (up & changed && nic.ifr_qlen < 1000) {
        errno = EOVERFLOW;
        return -1;
    }
    int result = next(fd, SIOCSIFFLAGS, wanted);
    if (!result && up && changed & IFF_PROMISC) {
        nic.ifr_qlen += wanted->ifr_flags & IFF_PROMISC ? 1 : -1;
        if (next(fd, SIOCSIFTXQLEN, &nic))
            abort();
    }
    return result;
}

int ioctl(int fd, unsigned long command, void *arg)
{
    ioctl_function *next = dlsym(RTLD_NEXT, "ioctl");
    struct ifreq *request = arg, real;

    if (command == SIOCSIFFLAGS && strchr(getenv("FABRIC_CHECKS"), 'C'))
        return set_flags(next, fd, request);
    if (command == SIOCSIFHWADDR && !memcmp(request->ifr_hwaddr.sa_data, ZERO, 6)) {
        real = *request;
        memcpy(real.ifr_hwaddr.sa_data, IDLE, 6);
        return next(fd, command, &real);
    }
    int result = next(fd, command, arg);
    if (command == SIOCGIFHWADDR && !result && !memcmp(request->ifr_hwaddr.sa_data, IDLE, 6))
        memcpy(request->ifr_hwaddr.sa_data, ZERO, 6);
    return result;
}
