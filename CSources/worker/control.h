/* The messages of abi/control.h on their way in and out. Whatever comes in is checked before anyone
 * looks at it: length, type, who may say it, number of descriptors, ranges, text ends. A peer that
 * sends anything else is dropped with the reason; nothing is repaired. */
#ifndef WORKER_CONTROL_H
#define WORKER_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/control.h"
#include "abi/handover.h"
#include "shm/shm.h"

_Static_assert(ABI_CONTROL_LISTENERS <= SHM_DESCRIPTORS, "a LISTENER message is one packet");
_Static_assert(5 + LIMIT_ELDERS <= SHM_DESCRIPTORS, "a STATE message is one packet");

enum control_party {
    CONTROL_PLANE = 0,       /* speaks to the supervisor */
    CONTROL_SUPERVISOR_UP,   /* the supervisor, speaking to the control plane */
    CONTROL_SUPERVISOR_DOWN, /* the supervisor, speaking to a worker */
    CONTROL_WORKER,          /* speaks to the supervisor */
    CONTROL_HEIR,            /* the supervisor to come, speaking to the one that is */
    CONTROL_ELDER,           /* the one that is, or was, speaking to its heir */
    CONTROL_PARTY_COUNT
};

struct control_message {
    union {
        struct abi_control_head head;
        struct abi_control_hello hello;
        struct abi_control_publish publish;
        struct abi_control_shutdown shutdown;
        struct abi_control_welcome welcome;
        struct abi_control_refuse refuse;
        struct abi_control_worker worker;
        struct abi_control_published published;
        struct abi_control_listener listener;
        struct abi_control_phase phase;
        struct abi_control_generation generation;
        struct abi_control_reopen reopen;
        struct abi_control_upgrade upgrade;
        struct abi_handover_hello heir;
        struct abi_handover_step step;
        struct abi_handover_state state;
        struct abi_handover_sockets sockets;
        struct abi_handover_draining draining;
        struct abi_handover_fail fail;
        uint8_t bytes[LIMIT_CONTROL_MESSAGE];
    };
    struct shm_descriptors descriptors;
};

/* What is wrong with `length` bytes and `descriptors` descriptors said by `party`; NULL: nothing.
 * `bytes` is aligned as an abi_control_head. */
const char *control_check(enum control_party party, const void *bytes, size_t length,
                          uint32_t descriptors);

/* One message, without blocking: 1 and *out is checked, its descriptors the caller's until
 * control_drop(); 0: nothing there; MESH_E_CLOSED: the peer has left; MESH_E_SYNTAX: the peer is to
 * be dropped, *why says for what. */
[[nodiscard]] int control_receive(int fd, enum control_party party, struct control_message *out,
                                  const char **why);

/* The descriptor at `index` goes over to the caller. */
int control_take(struct control_message *message, uint32_t index);

/* Closes what was not taken. */
void control_drop(struct control_message *message);

/* Sends a whole message, its head filled in, without blocking. MESH_OK; MESH_E_TOO_MANY: the peer
 * does not read; MESH_E_CLOSED: it is gone. Descriptors stay the caller's. */
[[nodiscard]] int control_send(int fd, const void *message, const int *fds, uint32_t count);

static inline struct abi_control_head control_head(uint32_t type, size_t size)
{
    return (struct abi_control_head){.type = type, .length = (uint32_t)size};
}

/* Copies `text` into a field of LIMIT_REASON bytes, cut and NUL-terminated, zeros behind. */
void control_reason(char *field, const char *text);

#endif
