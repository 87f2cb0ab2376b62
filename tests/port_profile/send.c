/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Sends messages through the library, and shows what comes out of it.
 *
 * A message on stdin is a struct asked, then its bytes. For each, stdout gets a struct answer, then
 * the bytes that were sent, and the caller's own message as it is afterwards. With a number as the
 * argument, that many threads send each message at the same time, 200 times, and all have to see
 * the same.
 */
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "next.h"

struct asked {
    uint32_t protocol, peer, most, len;
    unsigned char bytes[1 << 17];
};

struct answer {
    int32_t result;
    uint32_t same, peer, len, own_len;
};

static struct asked asked;
static struct nl_sock *sockets[32];

static struct nl_msg *ask(struct answer *answer)
{
    /* With all that the header says, and not a byte more. */
    struct nl_msg *msg = nlmsg_convert((struct nlmsghdr *)asked.bytes);
    struct sockaddr_nl peer = {.nl_family = AF_NETLINK, .nl_pid = asked.peer};

    if (!msg)
        abort();
    nlmsg_set_dst(msg, &peer);
    most = asked.most == UINT32_MAX ? NO_MEMORY : asked.most;
    answer->result = nl_send_auto_complete(sockets[asked.protocol], msg);
    most = 0;
    answer->same = sent.msg == msg;
    answer->peer = sent.peer;
    answer->len = sent.len;
    answer->own_len = nlmsg_hdr(msg)->nlmsg_len;
    return msg;
}

static void *ask_often(void *expected)
{
    struct answer answer;

    for (int i = 0; i < 200; i++) {
        nlmsg_free(ask(&answer));
        if (memcmp(sent.bytes, expected, answer.len))
            abort();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static unsigned char expected[sizeof sent.bytes];
    int threads = argc > 1 ? atoi(argv[1]) : 0;
    const size_t head = offsetof(struct asked, bytes);

    while (fread(&asked, head, 1, stdin) == 1 && fread(asked.bytes, asked.len, 1, stdin) == 1) {
        struct nl_sock **sock = &sockets[asked.protocol];
        if (!*sock && (!(*sock = nl_socket_alloc()) || nl_connect(*sock, asked.protocol)))
            abort();

        struct answer answer;
        struct nl_msg *msg = ask(&answer);
        memcpy(expected, sent.bytes, sent.len);
        pthread_t thread[threads + 1];
        for (int i = 0; i < threads; i++)
            if (pthread_create(&thread[i], NULL, ask_often, expected))
                abort();
        for (int i = 0; i < threads; i++)
            pthread_join(thread[i], NULL);

        fwrite(&answer, sizeof answer, 1, stdout);
        fwrite(expected, answer.len, 1, stdout);
        fwrite(nlmsg_hdr(msg), answer.own_len, 1, stdout);
        fflush(stdout);
        nlmsg_free(msg);
    }
    for (int i = 0; i < 32; i++)
        nl_socket_free(sockets[i]);
    return 0;
}
