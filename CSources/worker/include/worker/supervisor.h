/* The supervisor: starts and replaces workers, holds the listening sockets, the committed snapshot,
 * secrets, overlay and statistics, and serves one control plane at a time over its control socket.
 * It outlives control planes: without one, everything goes on as last committed. */
#ifndef WORKER_SUPERVISOR_H
#define WORKER_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ring.h"
#include "worker/cpus.h"
#include "worker/log.h"

#define SUPERVISOR_VERSION "0.1.0"
#define SUPERVISOR_PROGRAM "dataplane " SUPERVISOR_VERSION

/* Exit statuses, as sysexits.h numbers them. */
enum supervisor_exit {
    SUPERVISOR_EXIT_OK = 0,
    SUPERVISOR_EXIT_USAGE = 64,
    SUPERVISOR_EXIT_UNAVAILABLE = 69, /* the kernel lacks or forbids something */
    SUPERVISOR_EXIT_BUG = 70,
    SUPERVISOR_EXIT_HELD = 75,   /* another data plane holds the lock */
    SUPERVISOR_EXIT_CONFIG = 78, /* the control socket or the pid file cannot be made */
};

struct supervisor_config {
    const char *control_socket;
    const char *pid_file; /* NULL: none */
    uint32_t workers;     /* 1 ... LIMIT_WORKERS */
    struct cpus cpus;
    enum ring_engine_kind engine; /* of the workers */
    uint64_t drain_timeout_ms;
    int take_over; /* channel to the data plane that this one replaces; -1: none */
    bool detach;   /* returns once a child of its own session listens on the control socket */
};

/* Runs until SIGTERM, SIGINT or SHUTDOWN, or, detached, until the data plane is up. Returns an exit
 * status. */
int supervisor_run(const struct supervisor_config *config);

#endif
