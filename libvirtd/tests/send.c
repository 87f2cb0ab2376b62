/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * send PROTOCOL PEER ROOM: sends the messages on stdin through the library to libnl, where they end.
 * stdout gets what libnl was given, without the numbers that it fills in. The library gets memory for a
 * message of ROOM bytes with the first, and for ROOM bytes more with each. Several threads send all of
 * them, and have to see the same.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <dlfcn.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SENT = 4711, THREADS = 4 };

static int protocol, input_size;
static uint32_t peer, more_room;
static char input[1 << 22];
static _Thread_local size_t room;
static _Thread_local struct nl_msg *sent_msg;

struct nl_msg *nlmsg_alloc_size(size_t size)
{
    struct nl_msg *(*next)(size_t) = dlsym(RTLD_NEXT, "nlmsg_alloc_size");
    return room < sizeof(struct nlmsghdr) ? NULL : next(room < size ? room : size);
}

static int end(struct nl_sock *sock, struct nl_msg *msg)
{
    (void)sock;
    assert(nlmsg_get_dst(msg)->nl_family == AF_NETLINK && nlmsg_get_dst(msg)->nl_pid == peer);
    nlmsg_get(msg);
    sent_msg = msg;
    return SENT;
}

static void send_one(struct nl_sock *sock, struct nlmsghdr *asked, FILE *out)
{
    struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_pid = peer};
    struct nl_msg *msg = nlmsg_convert(asked); /* not a byte more than it says */

    nlmsg_set_dst(msg, &to);
    int result = nl_send_auto_complete(sock, msg);
    assert(result == SENT);

    /* libvirt matches the answer with the numbers in its own message, which is the same otherwise. */
    struct nlmsghdr *own = nlmsg_hdr(msg), *sent = nlmsg_hdr(sent_msg);
    assert(sent->nlmsg_seq && own->nlmsg_seq == sent->nlmsg_seq && own->nlmsg_pid == sent->nlmsg_pid);
    own->nlmsg_seq = sent->nlmsg_seq = own->nlmsg_pid = sent->nlmsg_pid = 0;
    assert(!memcmp(own, asked, asked->nlmsg_len));

    int is_changed = own->nlmsg_len != sent->nlmsg_len || memcmp(own, sent, own->nlmsg_len);
    assert(is_changed == (sent_msg != msg)); /* no copy of what stays as it is */
    fwrite(sent, sent->nlmsg_len, 1, out);
    nlmsg_free(sent_msg);
    nlmsg_free(msg);
}

static void *send_all(void *out)
{
    struct nlmsghdr *asked = (struct nlmsghdr *)input;
    struct nl_sock *sock = nl_socket_alloc();
    int left = input_size, error = nl_connect(sock, protocol);
    struct nl_cb *callbacks = nl_socket_get_cb(sock);

    assert(!error);
    nl_cb_overwrite_send(callbacks, end);
    for (; nlmsg_ok(asked, left); asked = nlmsg_next(asked, &left)) {
        room += more_room;
        send_one(sock, asked, out);
    }
    nl_cb_put(callbacks);
    nl_socket_free(sock);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct {
        pthread_t id;
        FILE *out;
        char *sent;
        size_t size;
    } threads[THREADS], *thread;

    assert(argc == 4);
    protocol = atoi(argv[1]), peer = atoi(argv[2]), more_room = atoi(argv[3]);
    input_size = fread(input, 1, sizeof input, stdin);
    for (thread = threads; thread < threads + THREADS; thread++) {
        thread->out = open_memstream(&thread->sent, &thread->size);
        pthread_create(&thread->id, NULL, send_all, thread->out);
    }
    for (thread = threads; thread < threads + THREADS; thread++) {
        pthread_join(thread->id, NULL);
        fclose(thread->out);
        assert(thread->size == threads->size && !memcmp(thread->sent, threads->sent, thread->size));
    }
    fwrite(threads->sent, threads->size, 1, stdout);
    return 0;
}
