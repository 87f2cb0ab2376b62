/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * For libvirtd's LD_PRELOAD: a macvtap gets IFF_PROMISC once it is up. libvirt copies the guest's filter to a
 * macvtap that is down; at a VM's start, that is IFF_PROMISC, which it clears when the guest's driver has
 * loaded. Kernels without macvlan's "Don't propagate promisc change to lower dev in passthru" (2023; EL8 and
 * EL9.0 to EL9.4 lack it) pass on to the NIC what changes while the macvtap is up, but not what it has when
 * it is set up. So the NIC's promiscuity would end one too low, at -1, and the next macvtap on it can't be
 * set up: EOVERFLOW. (Too high, as after a promiscuous guest on these kernels, does no harm.)
 *
 * The kernel itself keeps the flag of a macvtap that is down. It is cleared there just before IFF_UP is set,
 * so that the same request, if it has IFF_PROMISC, sets it anew: after IFF_UP, which kernels set first.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <net/if.h>
#include <stdarg.h>
#include <sys/ioctl.h>

int ioctl(int fd, unsigned long command, ...)
{
    int (*next)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
    va_list args;

    va_start(args, command);
    void *arg = va_arg(args, void *); /* whatever it is, and if there is one: as libc's */
    va_end(args);

    struct ifreq *wanted = arg;
    if (command == SIOCSIFFLAGS && wanted->ifr_flags & IFF_UP) {
        struct ifreq now = *wanted; /* which it stays, and so up, if there is no such interface */
        next(fd, SIOCGIFFLAGS, &now);
        if ((now.ifr_flags & (IFF_UP | IFF_PROMISC)) == IFF_PROMISC) {
            now.ifr_flags &= ~IFF_PROMISC;
            next(fd, SIOCSIFFLAGS, &now);
        }
    }
    return next(fd, command, arg);
}
