/* Shared by the two files of the simulated ring. */
#ifndef RING_SIM_H
#define RING_SIM_H

#include "sim_world.h"

enum ring_sim_kind : uint8_t {
    RING_SIM_ACCEPT = 0,
    RING_SIM_RECV,
    RING_SIM_POLL,
    RING_SIM_CONNECT,
    RING_SIM_CANCEL, /* these two are never pending */
    RING_SIM_CLOSE,
};

struct ring_sim_op {
    uint64_t serial;
    uint64_t token;
    uint64_t fd_id;
    int fd;
    enum ring_sim_kind kind;
    enum ring_group group;
    uint32_t mask; /* of a poll */
    uint16_t port; /* of a connect */
    bool once;     /* a receive for one event */
    bool reset;    /* of a close */
    bool answered; /* a connect: `result` holds */
    int32_t result;
    uint64_t fires_ns; /* found ready: when it will be told; 0 = not yet */
};

struct ring_sim_event {
    struct ring_event event;
    uint64_t fd_id;
};

/* Each lent buffer is memory of its own and of the exact size, so that a reader who goes beyond, or
 * comes late, is found by the sanitizer. */
struct ring_sim_group {
    uint32_t capacity;
    uint32_t lent;
    uint8_t **memory; /* NULL: not lent */
};

struct ring_sim_list {
    struct ring_sim_op *ops;
    uint32_t count;
    uint32_t room;
};

struct ring {
    struct ring_sim_list queued;
    struct ring_sim_list pending;
    struct ring_sim_event *events; /* to be handed out, in order */
    uint32_t event_count;
    uint32_t event_room;
    uint64_t last_serial;
    uint64_t now_ns;
    struct ring_sim_group groups[RING_GROUP_COUNT];
    uint32_t pipes;
    uint32_t pipes_max;
    struct ring_stats stats;
};

/* Copies `in` into a buffer of the group and lends it with the event. False: none is free. */
bool ring_sim_lend(struct ring *ring, enum ring_group group, struct bytes in,
                   struct ring_event *event);

#endif
