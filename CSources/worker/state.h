/* What the supervisor knows: one struct, one thread. supervisor.c starts, loops and ends; slots.c
 * keeps the worker processes, publish.c takes publications to their end, peers.c speaks to control
 * planes. */
#ifndef WORKER_STATE_H
#define WORKER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/overlay.h"
#include "abi/stats.h"
#include "control.h"
#include "life.h"
#include "region.h"
#include "rollout.h"
#include "sockets.h"
#include "worker/log.h"
#include "worker/supervisor.h"

/* A snapshot as it came, with the secrets it was published with. The secrets are never mapped. */
struct state_files {
    uint64_t generation; /* 0: none */
    uint64_t secrets_generation;
    int snapshot;     /* -1: none */
    int secrets;      /* -1: none */
    bool new_secrets; /* `secrets` came with this publication */
};

struct state_slot {
    pid_t pid;        /* 0: no process */
    int channel;      /* -1: none */
    int output;       /* the worker's standard error; -1: none */
    int stats_file;   /* the stats region */
    int questions[2]; /* of its workers to the control plane: the control plane's end, theirs */
    struct region stats;
    struct region log; /* the ring of access records */
    enum abi_worker_state state;
    uint64_t generation;  /* committed in this worker */
    uint32_t exit_status; /* of the process before */
    uint64_t started_ms;
    uint64_t behind_ms; /* since when it has not the committed generation; 0: it has */
    uint64_t abort_ms;  /* when the watchdog has sent SIGABRT; 0: not */
    bool ended;         /* SIGKILL has been sent, or the process is gone */
    uint64_t start_ms;  /* when to start the next process; without one */
    struct life life;
    struct log_relay relay;
};

/* The process that writes access logs. */
struct state_logger {
    pid_t pid;   /* 0: no process */
    int channel; /* -1: none */
    bool wanted;
    uint64_t start_ms; /* when to start the next process; without one */
};

/* This data plane hands over to a program that it has started (upgrade.c). */
enum state_upgrading {
    STATE_UPGRADE_NONE = 0,
    STATE_UPGRADE_WANTED = 1,  /* waits for the publication under way */
    STATE_UPGRADE_STARTED = 2, /* the heir has been started; its HELLO is awaited */
    STATE_UPGRADE_GIVING = 3,  /* it asks for what there is, and starts its workers */
    STATE_UPGRADE_DONE = 4,    /* it serves; this one drains */
};

struct state_upgrade {
    enum state_upgrading phase;
    pid_t pid;   /* of the heir; 0: not started, or its status has been taken */
    int channel; /* -1: none */
    bool given;  /* all of it */
    bool lost;   /* the heir's end of the channel is closed; its status is awaited */
    bool reaped;
    int status;      /* of its process, when `reaped` */
    uint64_t due_ms; /* when the heir is given up; DONE: when it is told again how draining goes */
    char path[LIMIT_PROGRAM_PATH];
};

/* This data plane has been started to take over from another one (takeover.c). */
enum state_taking {
    STATE_TAKEOVER_NONE = 0,    /* it is the one, or never will be */
    STATE_TAKEOVER_WARMING = 1, /* its workers are to serve first */
    STATE_TAKEOVER_ASKED = 2,   /* they do; the elder's GO is awaited */
};

struct state_takeover {
    enum state_taking phase;
    int channel; /* -1: none */
};

/* A data plane of before an upgrade that has not ended yet. */
struct state_elder {
    int channel; /* -1: none */
    uint32_t pid;
    uint64_t generation;
    uint64_t connections;
    uint64_t end_ms; /* when what is left of it is cut */
    char program[64];
};

/* Who connects to the control socket: several may be before their HELLO, one controls. */
#define STATE_PEERS        8u
#define STATE_HELLO_MS     2000u
#define STATE_INSTALLATION 16u

struct state_peer {
    int fd; /* -1: free */
    uint32_t pid;
    uint64_t since_ms;
};

struct state {
    const struct supervisor_config *config;
    enum ring_engine_kind engine; /* found at the start: every worker, also a later one, runs it */
    char engine_name[12];
    uint32_t kernel_tls; /* enum abi_kernel_tls */
    int lock;
    int socket;
    int signals;
    uint64_t now_ms;        /* of this turn; CLOCK_MONOTONIC */
    uint64_t started_at_ms; /* Unix time */
    uint64_t watch_from_ms; /* heartbeats before do not count: the supervisor itself stood still */
    int overlay_file;
    struct region overlay;
    int tally_file;
    struct region tally;

    bool has_installation;
    uint8_t installation[STATE_INSTALLATION];
    struct state_peer peers[STATE_PEERS];
    struct state_peer plane; /* the control plane */

    struct rollout rollout;
    struct state_files committed;
    struct state_files staged; /* under way */
    struct state_files queued; /* waits for the one under way */
    uint64_t newest;           /* generation last taken in */

    bool drain_wanted; /* by a signal or the control plane; begun in the same turn */
    uint64_t drain_grace_ms;
    bool draining;
    bool retired;   /* another data plane has this one's sockets and files */
    bool signalled; /* told to end while it drains */
    uint64_t drain_end_ms;

    struct state_upgrade upgrade;
    struct state_takeover takeover;
    struct state_elder elders[LIMIT_ELDERS];

    struct sockets sockets;
    struct state_slot slots[LIMIT_WORKERS];
    struct state_logger logger;
    struct control_message message;
};

#endif
