/*
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Says whether ld.so was careful (AT_SECURE), whose nl_send_auto_complete this program would call,
 * and what LD_PRELOAD its children would get.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>

int main(void)
{
    Dl_info info;
    const char *preload = getenv("LD_PRELOAD");

    if (!dladdr(dlsym(RTLD_DEFAULT, "nl_send_auto_complete"), &info))
        abort();
    printf("%lu %s %s\n", getauxval(AT_SECURE), info.dli_fname, preload ? preload : "-");
    return 0;
}
