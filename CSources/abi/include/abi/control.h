/* The control channel: a unix SEQPACKET socket. One message is one packet: this header, a fixed
 * struct, and descriptors by SCM_RIGHTS in the order named below. Byte order is the machine's; both
 * ends are on it. The same messages run between control plane and supervisor, and between
 * supervisor and workers.
 *
 *   control plane            supervisor                  worker
 *      | HELLO                  |                           |
 *      | <------------- WELCOME |   (or REFUSE, then close) |
 *      | <---- WORKER per slot  |                           |
 *      | PUBLISH ------------>  | LISTENER*, PREPARE -----> |
 *      | <-- PHASE(prepared) -- | <- PHASE(prepared/refused)|
 *      |                        | COMMIT (or ABORT) ------> |
 *      | <-- PHASE(committed) - | <------- PHASE(committed) |
 *      | <--------- PUBLISHED   |                           |
 *
 * The supervisor itself takes a publication to its end, so that one half shipped by a control plane
 * that died is either live everywhere or nowhere. A worker that has not answered PREPARE within
 * LIMIT_PREPARE_MS has no veto; it catches up or is replaced. */
#ifndef ABI_CONTROL_H
#define ABI_CONTROL_H

#include <stdint.h>

#include "abi/errors.h"
#include "abi/limits.h"

enum abi_control_type {
    /* control plane -> supervisor */
    ABI_CONTROL_HELLO = 1,
    ABI_CONTROL_PUBLISH = 2,  /* fds: snapshot, and secrets when `has_secrets` */
    ABI_CONTROL_SHUTDOWN = 3, /* drain and end */
    ABI_CONTROL_REOPEN = 4,   /* access logs go to files of their names, made anew if they must be;
                                 the supervisor passes it on to the logger */
    ABI_CONTROL_UPGRADE = 5,  /* start that program, hand everything over to it, drain and end */
    /* supervisor -> control plane */
    ABI_CONTROL_WELCOME = 16,   /* fds: overlay, and the committed snapshot when there is one */
    ABI_CONTROL_REFUSE = 17,    /* the peer may not control this data plane */
    ABI_CONTROL_WORKER = 18,    /* fds, in the first message about a slot: the stats region, the
                                   socket of its questions (abi/tokens.h) */
    ABI_CONTROL_PUBLISHED = 19, /* a publication has ended */
    ABI_CONTROL_UPGRADED = 20,  /* an upgrade has ended; when it is done the channel ends with it */
    ABI_CONTROL_ELDER = 21, /* a data plane of before an upgrade: while it drains, and its end */
    /* supervisor -> worker */
    ABI_CONTROL_LISTENER = 32, /* fds: listening sockets, one per key */
    ABI_CONTROL_PREPARE = 33,  /* fds: snapshot, secrets */
    ABI_CONTROL_COMMIT = 34,
    ABI_CONTROL_ABORT = 35,
    ABI_CONTROL_DRAIN = 36,
    ABI_CONTROL_RETIRE = 37, /* as DRAIN, while a successor accepts at the same sockets */
    /* worker -> supervisor; passed on to the control plane */
    ABI_CONTROL_READY = 48,    /* loop runs */
    ABI_CONTROL_PHASE = 49,    /* a worker's step with a generation */
    ABI_CONTROL_DRAINED = 50,  /* no connection is left */
    ABI_CONTROL_RELEASED = 51, /* a worker no longer uses a generation */
};

struct abi_control_head {
    uint32_t type;   /* enum abi_control_type */
    uint32_t length; /* bytes of the whole message */
};

struct abi_control_hello {
    struct abi_control_head head;
    uint32_t version; /* ABI_VERSION of the control plane */
    uint32_t pid;
    uint8_t installation[16]; /* who may control a data plane: fixed by its first control plane */
};

/* Whether the kernel makes TLS records itself. */
enum abi_kernel_tls {
    ABI_KERNEL_TLS_UNKNOWN = 0, /* could not be tried, or a data plane that does not say */
    ABI_KERNEL_TLS_NO = 1,
    ABI_KERNEL_TLS_YES = 2,
    ABI_KERNEL_TLS_COUNT
};

struct abi_control_welcome {
    struct abi_control_head head;
    uint32_t version; /* ABI_VERSION of the data plane */
    uint32_t pid;     /* of the supervisor */
    uint32_t workers; /* slots */
    uint32_t has_snapshot;
    uint64_t generation;         /* committed; 0 = none */
    uint64_t secrets_generation; /* 0 = none */
    uint64_t started_at_ms;      /* Unix time */
    char engine[12];             /* "io_uring" or "epoll" */
    uint32_t kernel_tls;         /* enum abi_kernel_tls */
    char program[64];            /* version text of the data plane */
};

struct abi_control_refuse {
    struct abi_control_head head;
    uint32_t version; /* ABI_VERSION of the data plane */
    uint32_t code;    /* enum abi_refusal */
    char reason[LIMIT_REASON];
};

struct abi_control_publish {
    struct abi_control_head head;
    uint64_t generation; /* greater than every one before */
    uint64_t secrets_generation;
    uint32_t has_secrets; /* 0: the secrets region of before goes on */
    uint32_t _pad0;
};

struct abi_control_shutdown {
    struct abi_control_head head;
    uint64_t grace_ms; /* connections still open then are closed */
};

enum abi_worker_state {
    ABI_WORKER_STARTING = 0, /* process made, loop not yet running */
    ABI_WORKER_SERVING = 1,
    ABI_WORKER_DRAINING = 2,
    ABI_WORKER_DEAD = 3,   /* being replaced */
    ABI_WORKER_BROKEN = 4, /* three crashes in ten seconds: out of service for a while */
    ABI_WORKER_STATE_COUNT
};

struct abi_control_worker {
    struct abi_control_head head;
    uint32_t worker;
    uint32_t pid;
    uint32_t state;       /* enum abi_worker_state */
    uint32_t exit_status; /* wait status of the process before, when state is DEAD or BROKEN */
    uint64_t generation;  /* committed in this worker */
};

enum abi_phase {
    ABI_PHASE_PREPARED = 0,
    ABI_PHASE_REFUSED = 1,
    ABI_PHASE_COMMITTED = 2,
    ABI_PHASE_TIMED_OUT = 3, /* said by the supervisor for a worker that did not answer */
    ABI_PHASE_COUNT
};

#define ABI_WORKER_SUPERVISOR                                                                      \
    0xffffffffu /* PHASE: refused by the supervisor itself (a listener)                            \
                 */

#define ABI_LISTENER_UNKNOWN 0xffffffffu

struct abi_control_phase {
    struct abi_control_head head;
    uint32_t worker;
    uint32_t phase; /* enum abi_phase */
    uint64_t generation;
    uint32_t code;     /* enum abi_refusal */
    uint32_t listener; /* with ABI_REFUSAL_LISTENER: the record of the snapshot, from 0, whose
                          address cannot be had, or ABI_LISTENER_UNKNOWN */
    char reason[LIMIT_REASON]; /* NUL-terminated text for people; empty unless refused */
};

enum abi_published {
    ABI_PUBLISHED_LIVE = 0,    /* committed by every worker */
    ABI_PUBLISHED_PARTIAL = 1, /* committed; `laggards` had not answered in time */
    ABI_PUBLISHED_REFUSED = 2, /* aborted: the generation before goes on everywhere */
    ABI_PUBLISHED_COUNT
};

struct abi_control_published {
    struct abi_control_head head;
    uint64_t generation;
    uint32_t outcome; /* enum abi_published */
    uint32_t _pad0;
    uint64_t laggards; /* bit per worker */
};

#define ABI_CONTROL_LISTENERS 32u /* keys in one message */

struct abi_control_listener {
    struct abi_control_head head;
    uint32_t count;
    uint32_t _pad0;
    uint64_t keys[ABI_CONTROL_LISTENERS]; /* abi_listener.key */
};

struct abi_control_reopen {
    struct abi_control_head head;
};

struct abi_control_upgrade {
    struct abi_control_head head;
    char path[LIMIT_PROGRAM_PATH]; /* absolute, NUL-terminated */
};

enum abi_upgraded {
    ABI_UPGRADED_DONE = 0,   /* process `pid` serves and listens on the control socket */
    ABI_UPGRADED_FAILED = 1, /* nothing has changed; `reason` */
    ABI_UPGRADED_BUSY = 2,   /* not begun, `reason`: worth another try later */
    ABI_UPGRADED_COUNT
};

struct abi_control_upgraded {
    struct abi_control_head head;
    uint32_t outcome; /* enum abi_upgraded */
    uint32_t pid;     /* of the new supervisor; 0: there was none */
    char reason[LIMIT_REASON];
};

struct abi_control_elder {
    struct abi_control_head head;
    uint32_t pid;
    uint32_t ended;       /* 1: it is gone */
    uint64_t generation;  /* what its workers run to their end */
    uint64_t connections; /* that clients still have with it */
    uint64_t left_ms;     /* until what is left is cut */
    char program[64];     /* its version text */
};

struct abi_control_generation { /* PREPARE, COMMIT, ABORT, RELEASED, READY, DRAINED */
    struct abi_control_head head;
    uint32_t worker;
    uint32_t has_secrets; /* PREPARE: 0 = keep the secrets of before */
    uint64_t generation;
    uint64_t grace_ms; /* DRAIN, RETIRE */
};

_Static_assert(sizeof(struct abi_control_hello) == 32, "layout");
_Static_assert(sizeof(struct abi_control_welcome) == 128, "layout");
_Static_assert(sizeof(struct abi_control_refuse) == 16 + LIMIT_REASON, "layout");
_Static_assert(sizeof(struct abi_control_publish) == 32, "layout");
_Static_assert(sizeof(struct abi_control_worker) == 32, "layout");
_Static_assert(sizeof(struct abi_control_phase) == 32 + LIMIT_REASON, "layout");
_Static_assert(sizeof(struct abi_control_published) == 32, "layout");
_Static_assert(sizeof(struct abi_control_listener) == 16 + 8 * ABI_CONTROL_LISTENERS, "layout");
_Static_assert(sizeof(struct abi_control_upgrade) == 8 + LIMIT_PROGRAM_PATH, "layout");
_Static_assert(sizeof(struct abi_control_upgraded) == 16 + LIMIT_REASON, "layout");
_Static_assert(sizeof(struct abi_control_elder) == 104, "layout");
_Static_assert(sizeof(struct abi_control_upgrade) <= LIMIT_CONTROL_MESSAGE, "fits one packet");
_Static_assert(sizeof(struct abi_control_listener) <= LIMIT_CONTROL_MESSAGE, "fits one packet");

#endif
