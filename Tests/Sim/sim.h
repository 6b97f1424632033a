/* A simulated world: a kernel that implements core/ring.h (ring_sim.c), a clock that jumps, and
 * peers that a scenario plays. One seed decides everything, faults included, so that a failure is
 * repeated by its seed.
 *
 * A scenario starts the world, opens listeners and services, starts clients, runs the program under
 * test until nothing is left to happen, and checks:
 *
 *     SIM_SCENARIO(name)
 *     {
 *         sim_listen(80); sim_serve(8080, answer, NULL); sim_connect(80, client, NULL);
 *         while (sim_running()) { n = ring_wait(...); ... }
 *         sim_check_quiet();
 *     }
 *
 * The kernel is stricter than the real one: whoever breaks a rule of core/ring.h (an operation on a
 * descriptor that is not open, two receives at once, a buffer returned twice, a token that is still
 * in use elsewhere) ends the program with the seed. */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/* How often each fault happens: chances in 1000. A run draws its own from the seed. */
struct sim_faults {
    uint32_t partial_send;   /* a send takes only a part of what there is room for */
    uint32_t partial_recv;   /* a receive gives only a part of what is there */
    uint32_t late_event;     /* a completion comes later than it could */
    uint32_t slow_network;   /* bytes take long */
    uint32_t no_buffer;      /* a receive ends with -ENOBUFS although buffers are free */
    uint32_t ended_multi;    /* a multishot receive ends after a success */
    uint32_t accept_failure; /* an accept ends with an error; the connection waits on */
    uint32_t peer_reset;     /* a peer's connection is reset at some point */
    uint32_t connect_refused;
    uint32_t connect_lost; /* never answered */
    uint32_t no_pipe;
};

/* --- scenarios --- */

struct sim_scenario {
    const char *name;
    void (*run)(void);
    bool must_fail; /* a canary: proves that the harness can fail */
    struct sim_scenario *next;
};

void sim_register(struct sim_scenario *scenario);

#define SIM_REGISTER(title, canary)                                                                \
    static void sim_run_##title(void);                                                             \
    [[gnu::constructor]] static void sim_add_##title(void)                                         \
    {                                                                                              \
        static struct sim_scenario scenario = {#title, sim_run_##title, canary, NULL};             \
        sim_register(&scenario);                                                                   \
    }                                                                                              \
    static void sim_run_##title(void)
#define SIM_SCENARIO(title) SIM_REGISTER(title, false)
#define SIM_CANARY(title)   SIM_REGISTER(title, true)

/* A failed check is printed once and the run fails; also tells whether it held. */
#define SIM_CHECK(condition) sim_check((condition), #condition, __FILE__, __LINE__)
bool sim_check(bool held, const char *what, const char *file, int line);

/* Whether a check of this run has failed: nothing happens in the world any more. */
bool sim_failed(void);

/* --- the world --- */

/* What the system's clock says when a world begins, and what dates of messages begin with as long
 * as it lasts. */
#define SIM_EPOCH_S 784111777 /* 1994-11-06 08:49:37 UTC */
#define SIM_DATE    "Sun, 06 Nov 1994 "

/* A new world; the faults are drawn from the seed unless given. */
void sim_start(uint64_t seed, const struct sim_faults *faults);
void sim_end(void);
const struct sim_faults *sim_faults(void);
uint64_t sim_seed(void);
uint64_t sim_now_ns(void);

uint64_t sim_random(void);
uint32_t sim_random_below(uint32_t bound);
/* True `chance` times in 1000. */
bool sim_chance(uint32_t chance);

/* Zeroed memory that lives until sim_end(). */
void *sim_alloc(size_t size);

/* Calls `run` after a while of simulated time. */
void sim_after(uint64_t delay_ns, void (*run)(void *context), void *context);

/* Whether something is still going on: peers that have not ended, or events to come. False also
 * when the run has failed, or has taken an hour of its own time. */
bool sim_running(void);

/* Nothing is left behind: descriptors but listeners, buffers, pipes, operations. The program under
 * test has given its listeners back or keeps them. */
void sim_check_quiet(void);

/* --- peers --- */

/* The scenario's end of a connection. Lives until sim_end(). */
struct sim_peer {
    void (*changed)(struct sim_peer *peer); /* something below may have changed */
    void *context;                          /* the scenario's */
    bool connected;
    bool refused;  /* nobody listens there */
    bool ended;    /* the program closed its side, and all its bytes were read */
    bool reset;    /* the connection is broken */
    bool finished; /* the scenario is done with it */
    struct sim_link *link;
    uint32_t side;
    bool touched; /* a call of `changed` is on its way */
};

/* Opens a listener for the program under test: its descriptor. */
int sim_listen(uint16_t port);

/* A client that connects to the program's listener. */
struct sim_peer *sim_connect(uint16_t port, void (*changed)(struct sim_peer *peer), void *context);

/* A service that the program may connect to; `changed` is called first when it is connected. NULL:
 * connects are never answered. */
void sim_serve(uint16_t port, void (*changed)(struct sim_peer *peer), void *context);

/* Room for sending now. */
size_t sim_peer_room(const struct sim_peer *peer);
/* Sends what there is room for: its count. `changed` comes when there is room again. */
size_t sim_peer_send(struct sim_peer *peer, struct bytes in);
/* Reads what has arrived, at most `max`. */
size_t sim_peer_read(struct sim_peer *peer, uint8_t *to, size_t max);
/* Half-close; close (unread bytes make it a reset, as in Linux); reset. */
void sim_peer_shutdown(struct sim_peer *peer);
void sim_peer_close(struct sim_peer *peer);
void sim_peer_reset(struct sim_peer *peer);

#endif
