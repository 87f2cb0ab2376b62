/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Calls the library as libvirt does, and is what the library calls then: a shared library that comes after
 * it, main included. Several threads do all of it, have to see the same, and that is written to stdout.
 *
 * driver send PROTOCOL PEER ROOM: sends the messages on stdin to libnl, where they end. Shows what libnl was
 * given, without the numbers that it fills in. The library gets memory for a message of ROOM bytes with the
 * first, and for ROOM bytes more with each.
 *
 * driver ioctl STEP...: shows what the kernel was asked for, errors, and in the end the NIC's promiscuity.
 *   0 U P UP      set a macvtap's flags: none, IFF_UP, IFF_PROMISC, both
 *   new gone      delete the macvtap; new: another one gets its name
 *   COMMAND,ARG   another command with that argument, both in hexadecimal
 */
#define _GNU_SOURCE
#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { THREADS = 4, FD = 4711, SENT };

static char **args, input[1 << 22];
static int input_size;
static _Thread_local FILE *out;
static _Thread_local size_t room;
static _Thread_local struct nl_msg *sent_msg;
/* Each thread has a macvtap of its own, whose NIC counts its promiscuity as EL9.4's kernel does. */
static _Thread_local int exists, flags, promiscuity;

struct nl_msg *nlmsg_alloc_size(size_t size)
{
    struct nl_msg *(*next)(size_t) = dlsym(RTLD_NEXT, "nlmsg_alloc_size");
    return room < sizeof(struct nlmsghdr) ? NULL : next(room < size ? room : size);
}

static int end(struct nl_sock *sock, struct nl_msg *msg)
{
    (void)sock;
    assert(nlmsg_get_dst(msg)->nl_family == AF_NETLINK && (int)nlmsg_get_dst(msg)->nl_pid == atoi(args[2]));
    nlmsg_get(msg);
    sent_msg = msg;
    return SENT;
}

static void send_one(struct nl_sock *sock, struct nlmsghdr *asked)
{
    struct sockaddr_nl to = {.nl_family = AF_NETLINK, .nl_pid = atoi(args[2])};
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

static void send_all(void)
{
    struct nlmsghdr *asked = (struct nlmsghdr *)input;
    struct nl_sock *sock = nl_socket_alloc();
    int left = input_size, error = nl_connect(sock, atoi(args[1]));
    struct nl_cb *callbacks = nl_socket_get_cb(sock);

    assert(!error);
    nl_cb_overwrite_send(callbacks, end);
    for (; nlmsg_ok(asked, left); asked = nlmsg_next(asked, &left)) {
        room += atoi(args[3]);
        send_one(sock, asked);
    }
    nl_cb_put(callbacks);
    nl_socket_free(sock);
}

/* The kernel's. A command that is not for flags returns the file descriptor: -1 is an error. */
int ioctl(int fd, unsigned long command, ...)
{
    va_list list;

    va_start(list, command);
    struct ifreq *request = va_arg(list, void *);
    va_end(list);

    if (command == SIOCSIFFLAGS) {
        int wanted = request->ifr_flags, up = wanted & IFF_UP ? 1 : 0, promisc = wanted & IFF_PROMISC ? 1 : 0;
        fprintf(out, "%s ", promisc ? (up ? "UP" : "P") : up ? "U" : "0");
        if (exists) {
            promiscuity += up - (flags & IFF_UP ? 1 : 0) + up * (promisc - (flags & IFF_PROMISC ? 1 : 0));
            flags = wanted;
        }
    } else if (command != SIOCGIFFLAGS) {
        fprintf(out, "%lx,%lx ", command, (unsigned long)request);
        return errno = E2BIG, fd;
    } else if (exists) {
        request->ifr_flags = flags;
    }
    return exists ? 0 : (errno = ENODEV, -1);
}

static int set_flags(int wanted)
{
    struct ifreq request = {.ifr_name = "macvtap0", .ifr_flags = wanted}, asked = request;
    int result = ioctl(FD, SIOCSIFFLAGS, &request);

    assert(!memcmp(&request, &asked, sizeof asked));
    request.ifr_flags = IFF_UP; /* anything may be in there when flags are asked for */
    assert(result || (!ioctl(FD, SIOCGIFFLAGS, &request) && request.ifr_flags == wanted));
    return result;
}

static int do_step(const char *step)
{
    unsigned long command, arg;

    if (sscanf(step, "%lx,%lx", &command, &arg) == 2)
        return ioctl(FD, command, arg) != FD || ioctl(-1, command, arg);
    if (strcmp(step, "new") && strcmp(step, "gone"))
        return set_flags((strchr(step, 'U') ? IFF_UP : 0) | (strchr(step, 'P') ? IFF_PROMISC : 0));
    promiscuity -= exists && flags & IFF_UP;
    exists = *step == 'n', flags = 0;
    return 0;
}

static void do_steps(void)
{
    do_step("new");
    for (char **step = args + 1; *step; step++)
        if (do_step(*step))
            fprintf(out, "(%m) ");
    fprintf(out, "%d", promiscuity);
}

struct thread {
    pthread_t id;
    char *seen;
    size_t size;
};

static void *do_all(void *arg)
{
    struct thread *thread = arg;

    out = open_memstream(&thread->seen, &thread->size);
    strcmp(args[0], "send") ? do_steps() : send_all();
    fclose(out);
    return NULL;
}

int main(int argc, char **argv)
{
    static struct thread threads[THREADS], *thread;

    assert(argc > 1);
    args = argv + 1;
    input_size = fread(input, 1, sizeof input, stdin);
    for (thread = threads; thread < threads + THREADS; thread++)
        pthread_create(&thread->id, NULL, do_all, thread);
    for (thread = threads; thread < threads + THREADS; thread++) {
        pthread_join(thread->id, NULL);
        assert(thread->size == threads->size && !memcmp(thread->seen, threads->seen, thread->size));
    }
    fwrite(threads->seen, threads->size, 1, stdout);
    return 0;
}
