/* From one data plane to the next, on one machine: how a running supervisor, the elder, hands over
 * to the program that it has started as its heir. Framed as control.h says, on a socket pair, one
 * step at a time: the heir asks, so that neither side ever waits in a full socket.
 *
 *   elder                                  heir
 *     | <-------------------- HANDOVER_HELLO |  it runs, and speaks this version
 *     | HANDOVER_STATE <- HANDOVER_NEXT(0)   |
 *     | HANDOVER_SOCKETS <- HANDOVER_NEXT(n) |  until HANDOVER_END
 *     |                                      |  starts its workers on the same listening sockets
 *     | <-------------------- HANDOVER_TAKEN |  every worker serves the committed generation
 *     | HANDOVER_GO -----------------------> |  takes the control socket
 *     | HANDOVER_DRAINING -----------------> |  every second until it ends
 *     | <----- REOPEN, SHUTDOWN (control.h)  |
 *
 * Either may say HANDOVER_FAIL before GO: the elder goes on as if nothing had been. Should the
 * elder die after END the heir goes on as after GO. A data plane of another ABI_VERSION may come
 * before or behind: HELLO and FAIL never change; whatever changes in the others raises ABI_VERSION.
 */
#ifndef ABI_HANDOVER_H
#define ABI_HANDOVER_H

#include <stdint.h>

#include "abi/control.h"

enum abi_handover_type {
    /* heir -> elder */
    ABI_HANDOVER_HELLO = 64,
    ABI_HANDOVER_NEXT = 65,
    ABI_HANDOVER_TAKEN = 66,
    /* elder -> heir */
    ABI_HANDOVER_STATE = 72,   /* fds: lock, control socket, overlay, then snapshot and secrets when
                                  there are, then the channel of each older elder */
    ABI_HANDOVER_SOCKETS = 73, /* fds: listening sockets of one listener, by worker slot */
    ABI_HANDOVER_END = 74,
    ABI_HANDOVER_GO = 75,
    ABI_HANDOVER_DRAINING = 76,
    /* both */
    ABI_HANDOVER_FAIL = 80,
};

struct abi_handover_hello {
    struct abi_control_head head;
    uint32_t version; /* ABI_VERSION */
    uint32_t pid;
    char program[64]; /* version text */
};

struct abi_handover_step { /* NEXT, TAKEN, END, GO */
    struct abi_control_head head;
    uint64_t index; /* NEXT: of the piece that is asked for, counted from 0 */
};

struct abi_handover_state {
    struct abi_control_head head;
    uint32_t version; /* ABI_VERSION */
    uint32_t workers;
    uint32_t has_snapshot;
    uint32_t has_secrets;
    uint32_t has_installation;
    uint32_t elders;             /* older ones that still drain */
    uint64_t generation;         /* committed; 0 = none */
    uint64_t secrets_generation; /* 0 = none */
    uint64_t newest;             /* generation last taken in */
    uint64_t open_slots;         /* bit per worker slot that has sockets */
    uint8_t installation[16];
};

struct abi_handover_sockets {
    struct abi_control_head head;
    uint64_t key;         /* abi_listener.key */
    uint32_t first;       /* slot of the first socket; the others follow it in order */
    uint32_t count;       /* 1 to SHM_DESCRIPTORS */
    uint32_t mode;        /* unix: permission bits */
    uint32_t length;      /* bytes of `address` */
    uint64_t device;      /* unix: the socket's file */
    uint64_t inode;       /* unix */
    uint8_t address[128]; /* struct sockaddr */
    char name[64];        /* of the listener */
};

struct abi_handover_draining {
    struct abi_control_head head;
    uint64_t generation;
    uint64_t connections;
    uint64_t left_ms;
    char program[64];
};

struct abi_handover_fail {
    struct abi_control_head head;
    char reason[LIMIT_REASON];
};

_Static_assert(sizeof(struct abi_handover_hello) == 80, "layout");
_Static_assert(sizeof(struct abi_handover_step) == 16, "layout");
_Static_assert(sizeof(struct abi_handover_state) == 80, "layout");
_Static_assert(sizeof(struct abi_handover_sockets) == 240, "layout");
_Static_assert(sizeof(struct abi_handover_draining) == 96, "layout");
_Static_assert(sizeof(struct abi_handover_fail) == 8 + LIMIT_REASON, "layout");

#endif
