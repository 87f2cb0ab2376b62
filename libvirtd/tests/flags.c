/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * flags STEP...: calls ioctl through the library, with kernel.c below it. A step is one of
 *   +U -U +P -P   get a macvtap's flags, and set them with or without IFF_UP or IFF_PROMISC, as libvirt does
 *   0 U P UP      set just these flags
 *   new gone      delete the macvtap; new: another one gets its name
 *   spoilt        let the NIC's promiscuity be -1
 *   COMMAND,ARG   another command with that argument, both in hexadecimal
 * stdout gets what the kernel was asked for, errors, and in the end the NIC's promiscuity. Several threads do
 * all steps, and have to see the same.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

enum { THREADS = 4, FD = 4711 };

void set_macvtap(int comes, FILE *log);
extern _Thread_local int promiscuity;

static int set_flags(const char *step)
{
    short named = (strchr(step, 'U') ? IFF_UP : 0) | (strchr(step, 'P') ? IFF_PROMISC : 0);
    struct ifreq request = {.ifr_name = "macvtap0", .ifr_flags = named};

    if (*step == '+' || *step == '-') {
        if (ioctl(FD, SIOCGIFFLAGS, &request))
            return -1;
        short now = request.ifr_flags;
        request.ifr_flags = *step == '+' ? now | named : now & ~named;
        if (request.ifr_flags == now)
            return 0;
    }
    struct ifreq asked = request;
    int result = ioctl(FD, SIOCSIFFLAGS, &request);
    return memcmp(&request, &asked, sizeof asked) ? abort(), 0 : result;
}

static int do_step(const char *step, FILE *log)
{
    const char *arg = strchr(step, ',');

    if (arg)
        return ioctl(FD, strtoul(step, NULL, 16), strtoul(arg + 1, NULL, 16)) != FD ||
               ioctl(-1, strtoul(step, NULL, 16), strtoul(arg + 1, NULL, 16));
    if (!strcmp(step, "spoilt"))
        return promiscuity = -1, 0;
    if (!strcmp(step, "new") || !strcmp(step, "gone"))
        return set_macvtap(*step == 'n', log), 0;
    return set_flags(step);
}

static void *do_all(void *steps)
{
    char *seen;
    size_t size;
    FILE *log = open_memstream(&seen, &size);

    set_macvtap(1, log);
    for (char **step = steps; *step; step++)
        if (do_step(*step, log))
            fprintf(log, "(%m) ");
    fprintf(log, "%d", promiscuity);
    fclose(log);
    return seen;
}

int main(int argc, char **argv)
{
    pthread_t threads[THREADS];
    void *seen[THREADS];

    assert(argc > 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, do_all, argv + 1);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], &seen[i]);
        assert(!strcmp(seen[i], seen[0]));
    }
    puts(seen[0]);
    for (int i = 0; i < THREADS; i++)
        free(seen[i]);
    return 0;
}
