/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The kernel below the library in flags.c: each thread has a macvtap of its own, and its NIC counts its
 * promiscuity as EL9.4's kernel does. A command that is not for flags returns the file descriptor: -1 is an
 * error.
 */
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>

static _Thread_local short flags;
static _Thread_local int exists;
static _Thread_local FILE *seen;
_Thread_local int promiscuity; /* the NIC's */

/* The macvtap goes, and another one may come. log gets what the kernel is asked for from then on. */
void set_macvtap(int comes, FILE *log)
{
    promiscuity -= exists && flags & IFF_UP;
    exists = comes, flags = 0, seen = log;
}

static const char *name_of(short wanted)
{
    return wanted & IFF_UP ? (wanted & IFF_PROMISC ? "UP" : "U") : wanted & IFF_PROMISC ? "P" : "0";
}

static int set_flags(short wanted)
{
    short changed = flags ^ wanted;

    if (changed & wanted & IFF_UP && promiscuity == -1) {
        flags = wanted & ~IFF_UP;
        return EOVERFLOW;
    }
    promiscuity += changed & IFF_UP ? (wanted & IFF_UP ? 1 : -1) : 0;
    if (changed & IFF_PROMISC && wanted & IFF_UP)
        promiscuity += wanted & IFF_PROMISC ? 1 : -1;
    flags = wanted;
    return 0;
}

int ioctl(int fd, unsigned long command, ...)
{
    va_list args;

    va_start(args, command);
    void *arg = va_arg(args, void *);
    va_end(args);

    struct ifreq *request = arg;
    if (command == SIOCSIFFLAGS) {
        short wanted = request->ifr_flags;
        fprintf(seen, "%s ", name_of(wanted));
        errno = exists ? set_flags(wanted) : ENODEV;
        return errno ? -1 : 0;
    }
    if (command == SIOCGIFFLAGS) {
        request->ifr_flags = flags;
        errno = exists ? 0 : ENODEV;
        return errno ? -1 : 0;
    }
    fprintf(seen, "%lx,%lx ", command, (unsigned long)arg);
    errno = E2BIG;
    return fd;
}
