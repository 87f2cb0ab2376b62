/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>
#include <stdint.h>

struct nl_msg;

/* The message that was sent last by this thread, its receiver, and its bytes. */
struct sent {
    struct nl_msg *msg;
    uint32_t peer, len;
    unsigned char bytes[1 << 18];
};

/* No message gets room for more bytes than that; 0: as many as it wants; NO_MEMORY: it is not made. */
#define NO_MEMORY ((size_t)-1)

extern _Thread_local struct sent sent;
extern _Thread_local size_t most;
