/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * send PROTOCOL PEER MOST THREADS: sends the messages on stdin through the library, to libnl, where
 * they end. Of each, stdout gets whether libnl was given the caller's own message (4 bytes), what it
 * was given, and what became of the caller's own. The library gets messages with room for MOST bytes
 * at most, 0: none. That many threads then send the message, and have to see the same.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENT = 4711, HEAD = sizeof(struct nlmsghdr) };

static uint32_t protocol, peer, most;
static unsigned char asked[1 << 17], expected[1 << 18];
static _Thread_local unsigned char sent[1 << 18];
static _Thread_local struct nl_msg *sent_msg;

struct nl_msg *nlmsg_alloc_size(size_t size)
{
    struct nl_msg *(*next)(size_t) = dlsym(RTLD_NEXT, "nlmsg_alloc_size");
    return most ? next(most < size ? most : size) : NULL;
}

static int end(struct nl_sock *sock, struct nl_msg *msg)
{
    (void)sock;
    if (nlmsg_get_dst(msg)->nl_family != AF_NETLINK || nlmsg_get_dst(msg)->nl_pid != peer)
        abort();
    sent_msg = msg;
    memcpy(sent, nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len);
    return SENT;
}

static struct nl_sock *open_socket(void)
{
    struct nl_sock *sock = nl_socket_alloc();
    struct nl_cb *callbacks;

    if (!sock || nl_connect(sock, protocol))
        abort();
    callbacks = nl_socket_get_cb(sock);
    nl_cb_overwrite_send(callbacks, end);
    nl_cb_put(callbacks);
    return sock;
}

/* Returns the caller's own message. */
static struct nl_msg *ask(struct nl_sock *sock)
{
    struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_pid = peer};
    struct nl_msg *msg = nlmsg_convert((struct nlmsghdr *)asked); /* not a byte more than it says */

    if (!msg)
        abort();
    nlmsg_set_dst(msg, &to);
    if (nl_send_auto_complete(sock, msg) != SENT)
        abort();
    return msg;
}

static void *ask_often(void *unused)
{
    struct nl_sock *sock = open_socket();

    for (int i = 0; i < 200; i++) {
        nlmsg_free(ask(sock));
        /* Each socket has a port and numbers of its own. */
        if (memcmp(sent + HEAD, expected + HEAD, ((struct nlmsghdr *)expected)->nlmsg_len - HEAD))
            abort();
    }
    nl_socket_free(sock);
    return unused;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        abort();
    protocol = atoi(argv[1]), peer = atoi(argv[2]), most = atoi(argv[3]);
    int threads = atoi(argv[4]);
    struct nlmsghdr *header = (struct nlmsghdr *)asked;
    struct nl_sock *sock = open_socket();
    pthread_t thread[threads + 1];

    while (fread(asked, HEAD, 1, stdin) == 1) {
        size_t rest = header->nlmsg_len - HEAD;
        if (fread(asked + HEAD, 1, rest, stdin) != rest)
            abort();
        struct nl_msg *msg = ask(sock);
        uint32_t same = sent_msg == msg, len = ((struct nlmsghdr *)sent)->nlmsg_len;
        memcpy(expected, sent, len);
        fwrite(&same, sizeof same, 1, stdout);
        fwrite(sent, len, 1, stdout);
        fwrite(nlmsg_hdr(msg), nlmsg_hdr(msg)->nlmsg_len, 1, stdout);
        nlmsg_free(msg);
        for (int i = 0; i < threads; i++)
            if (pthread_create(&thread[i], NULL, ask_often, NULL))
                abort();
        for (int i = 0; i < threads; i++)
            pthread_join(thread[i], NULL);
    }
    nl_socket_free(sock);
    return 0;
}
