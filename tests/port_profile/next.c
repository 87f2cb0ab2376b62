/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the library hands its messages to, in libnl's place: see send.c.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netlink/msg.h>
#include <string.h>

#include "next.h"

_Thread_local struct sent sent;
_Thread_local size_t most;

int nl_send_auto_complete(struct nl_sock *sock, struct nl_msg *msg)
{
    struct nlmsghdr *header = nlmsg_hdr(msg);

    (void)sock;
    sent.msg = msg;
    sent.peer = nlmsg_get_dst(msg)->nl_family == AF_NETLINK ? nlmsg_get_dst(msg)->nl_pid : UINT32_MAX;
    sent.len = header->nlmsg_len;
    memcpy(sent.bytes, header, sent.len);
    /* What libnl fills in. */
    header->nlmsg_seq = 0x5e9;
    header->nlmsg_pid = 0x41d;
    header->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    return 4711;
}

struct nl_msg *nlmsg_alloc_size(size_t size)
{
    struct nl_msg *(*next)(size_t) = dlsym(RTLD_NEXT, "nlmsg_alloc_size");

    return most == NO_MEMORY ? NULL : next(most && most < size ? most : size);
}
