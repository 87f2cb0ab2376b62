/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For libvirtd's LD_PRELOAD: port profile requests that kernels accept. libvirt associates a NIC
 * with a port profile by an RTM_SETLINK, to which kernels answer EINVAL if it has
 * - an IFLA_VFINFO_LIST for vf -1, which passes a dynamic vNIC's MAC. rtnetlink's do_setvfinfo
 *   refuses that vf since Linux 5.4. The NIC has the MAC by then, and its driver, enic, takes it.
 * - an IFLA_PORT_PROFILE of less than PORT_PROFILE_MAX bytes. enic refuses it since the fix of
 *   CVE-2024-38659 (2024, also in stable kernels), and libvirt sends a string.
 * The one is left out, the other gets zeros at its end. All else is sent as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <string.h>

/* What attributes are in: a message for a dynamic vNIC or for VFs of a PF, or a nest in these. */
enum place { VNIC, PF, VFINFO_LIST, VF_PORTS, PORT, OTHER };

static enum place inside(enum place place, int type)
{
    switch (place) {
    case VNIC: return type == IFLA_PORT_SELF ? PORT : type == IFLA_VFINFO_LIST ? VFINFO_LIST : OTHER;
    case PF: return type == IFLA_VF_PORTS ? VF_PORTS : OTHER;
    case VF_PORTS: return type == IFLA_VF_PORT ? PORT : OTHER;
    default: return OTHER;
    }
}

static int is_for_no_vf(struct nlattr *info)
{
    struct nlattr *mac = nla_find(nla_data(info), nla_len(info), IFLA_VF_MAC);
    return mac && nla_len(mac) >= (int)sizeof(uint32_t) && nla_get_u32(mac) == UINT32_MAX;
}

/* Append attributes as kernels accept them. Returns how many differ then, -1 if that can't be done. */
static int append(struct nl_msg *msg, struct nlattr *attr, int left, enum place place)
{
    int all = 0;
    for (; left > 0 && nla_ok(attr, left); attr = nla_next(attr, &left)) {
        int type = nla_type(attr), len = nla_len(attr), changes;
        enum place in = inside(place, type);

        if (place == VFINFO_LIST && type == IFLA_VF_INFO && is_for_no_vf(attr)) {
            changes = 1;
        } else if (place == PORT && type == IFLA_PORT_PROFILE && len < PORT_PROFILE_MAX) {
            char profile[PORT_PROFILE_MAX] = "";
            memcpy(profile, nla_data(attr), len);
            changes = nla_put(msg, attr->nla_type, sizeof profile, profile) < 0 ? -1 : 1;
        } else if (in == OTHER || len == 0) {
            changes = nla_put(msg, attr->nla_type, len, nla_data(attr));
        } else {
            struct nlattr *nest = nla_nest_start(msg, attr->nla_type);
            changes = nest ? append(msg, nla_data(attr), len, in) : -1;
            /* Refuses what is too long for a nest, and takes away one in which nothing is left. */
            changes = changes < 0 || nla_nest_end(msg, nest) < 0 ? -1 : changes;
        }
        if (changes < 0)
            return -1;
        all += changes;
    }
    return left > 0 ? -1 : all;
}

static void copy_header(struct nl_msg *to, struct nl_msg *from)
{
    uint32_t len = nlmsg_hdr(to)->nlmsg_len;
    *nlmsg_hdr(to) = *nlmsg_hdr(from);
    nlmsg_hdr(to)->nlmsg_len = len;
}

int nl_send_auto_complete(struct nl_sock *sock, struct nl_msg *msg)
{
    int (*next)(struct nl_sock *, struct nl_msg *) = dlsym(RTLD_NEXT, "nl_send_auto_complete");
    struct nlmsghdr *header = nlmsg_hdr(msg);
    int link = sizeof(struct ifinfomsg), protocol = -1, sent;

    /* Other protocols may have this type, too, and lldpad takes such messages. */
    getsockopt(nl_socket_get_fd(sock), SOL_SOCKET, SO_PROTOCOL, &protocol, &(socklen_t){sizeof protocol});
    if (protocol != NETLINK_ROUTE || header->nlmsg_type != RTM_SETLINK || nlmsg_get_dst(msg)->nl_pid ||
        !nlmsg_valid_hdr(header, link))
        return next(sock, msg);

    enum place place = nlmsg_find_attr(header, link, IFLA_PORT_SELF) ? VNIC : PF;
    struct nl_msg *other = nlmsg_alloc_size(header->nlmsg_len + 65536); /* what a nest can grow by */
    if (other && nlmsg_append(other, nlmsg_data(header), link, NLMSG_ALIGNTO) == 0 &&
        append(other, nlmsg_attrdata(header, link), nlmsg_attrlen(header, link), place) > 0) {
        copy_header(other, msg);
        nlmsg_set_dst(other, nlmsg_get_dst(msg));
        sent = next(sock, other);
        copy_header(msg, other); /* libvirt matches the answer with the number in its own message */
    } else {
        sent = next(sock, msg);
    }
    nlmsg_free(other);
    return sent;
}
