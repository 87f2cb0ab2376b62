/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Only libvirtd is to have the library: it takes its name, and no other, out of LD_PRELOAD, which libvirt
 * passes on to QEMU.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

__attribute__((constructor)) static void leave_children_alone(void)
{
    const char *preload = getenv("LD_PRELOAD");
    Dl_info own;

    if (!preload || !dladdr(leave_children_alone, &own))
        return;

    char names[strlen(preload) + 1], others[sizeof names], *rest;
    strcpy(names, preload);
    others[0] = 0;
    for (char *name = strtok_r(names, ": ", &rest); name; name = strtok_r(NULL, ": ", &rest))
        if (strcmp(basename(name), basename(own.dli_fname)))
            strcat(strcat(others, *others ? ":" : ""), name);
    if (*others)
        setenv("LD_PRELOAD", others, 1);
    else
        unsetenv("LD_PRELOAD");
}
