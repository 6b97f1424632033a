/* A relay on the ring: accept, connect, and splice through pipes both ways with half-close. Proves
 * connects that fail or are never answered, and pipes that run out. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>

#include "base/err.h"
#include "base/must.h"
#include "core/pool.h"
#include "core/ring.h"
#include "core/wheel.h"
#include "echo_back.h"

enum { RELAY_ACCEPT = 1, RELAY_CONNECT, RELAY_READABLE, RELAY_WRITABLE = 5 };

#define RELAY_PORT       80
#define RELAY_UPSTREAM   8080
#define RELAY_PAIRS      32
#define RELAY_EVENTS     16
#define RELAY_CONNECT_MS 3000

struct relay_lane { /* one direction; its token kinds are READABLE + lane and WRITABLE + lane */
    int from;
    int to;
    int pipe[2];
    size_t inside;
    bool has_pipe;
    bool ended;
};

struct relay_pair {
    struct relay_lane lanes[2];
    struct wheel_timer timer; /* for the connect */
    bool connected;
};

struct relay {
    struct ring *ring;
    struct pool pairs;
    struct wheel wheel;
    int listener;
};

static struct relay relay;

static uint64_t relay_token(uint8_t kind, const struct relay_pair *pair)
{
    return ring_token(kind, pool_slot(&relay.pairs, pair), pool_generation(&relay.pairs, pair));
}

static uint64_t relay_now_ms(void)
{
    return ring_now_ns(relay.ring) / 1000000;
}

static void relay_close(struct relay_pair *pair)
{
    wheel_cancel(&relay.wheel, &pair->timer);
    for (int i = 0; i < 2; i++) {
        struct relay_lane *lane = &pair->lanes[i];

        ring_close(relay.ring, lane->from, false);
        if (lane->has_pipe) {
            ring_pipe_give(relay.ring, lane->pipe, lane->inside == 0);
        }
    }
    pool_give(&relay.pairs, pair);
}

/* Moves what can be moved. False: the pair is over. */
static bool relay_move(struct relay_pair *pair, uint8_t number)
{
    struct relay_lane *lane = &pair->lanes[number];

    for (;;) {
        ssize_t moved;

        if (lane->inside > 0) {
            moved = ring_splice(relay.ring, lane->pipe[0], lane->to, lane->inside, false);
            if (moved == -EAGAIN) {
                ring_poll(relay.ring, lane->to, POLLOUT,
                          relay_token((uint8_t)(RELAY_WRITABLE + number), pair));
                return true;
            }
            if (moved <= 0) {
                return false;
            }
            lane->inside -= (size_t)moved;
            continue;
        }
        moved = ring_splice(relay.ring, lane->from, lane->pipe[1], 65536, true);
        if (moved == -EAGAIN) {
            ring_poll(relay.ring, lane->from, POLLIN,
                      relay_token((uint8_t)(RELAY_READABLE + number), pair));
            return true;
        }
        if (moved < 0) {
            return false;
        }
        lane->inside = (size_t)moved;
        if (moved == 0) {
            lane->ended = true;
            ring_shutdown_write(relay.ring, lane->to);
            return !pair->lanes[1 - number].ended;
        }
    }
}

static void relay_run_lane(struct relay_pair *pair, uint8_t number)
{
    if (!relay_move(pair, number)) {
        relay_close(pair);
    }
}

static void relay_connected(struct relay_pair *pair, int32_t result)
{
    uint32_t slot = pool_slot(&relay.pairs, pair);
    uint32_t generation = pool_generation(&relay.pairs, pair);

    wheel_cancel(&relay.wheel, &pair->timer);
    pair->connected = true;
    for (int i = 0; i < 2 && result == 0; i++) {
        result = ring_pipe_take(relay.ring, pair->lanes[i].pipe);
        pair->lanes[i].has_pipe = result == 0;
    }
    if (result != 0) {
        relay_close(pair);
        return;
    }
    for (uint8_t i = 0; i < 2 && pool_get(&relay.pairs, slot, generation) != NULL; i++) {
        relay_run_lane(pair, i);
    }
}

static void relay_accepted(const struct ring_event *event)
{
    struct sockaddr_storage address = {0};
    struct relay_pair *pair;
    int upstream;

    if ((event->flags & RING_EVENT_MORE) == 0) {
        ring_accept(relay.ring, relay.listener, event->token);
    }
    if (event->result < 0) {
        return;
    }
    pair = pool_take(&relay.pairs);
    upstream = ring_socket(relay.ring, AF_INET, NULL);
    MUST(pair != NULL && upstream >= 0); /* never more clients than pairs */
    ((struct sockaddr_in *)&address)->sin_family = AF_INET;
    ((struct sockaddr_in *)&address)->sin_port = htons(RELAY_UPSTREAM);
    pair->lanes[0].from = pair->lanes[1].to = event->result;
    pair->lanes[0].to = pair->lanes[1].from = upstream;
    ring_connect(relay.ring, upstream, &address, sizeof(struct sockaddr_in),
                 relay_token(RELAY_CONNECT, pair));
    wheel_timer_init(&pair->timer, relay_token(RELAY_CONNECT, pair));
    wheel_arm(&relay.wheel, &pair->timer, relay_now_ms(), RELAY_CONNECT_MS);
}

static void relay_event(const struct ring_event *event)
{
    uint8_t kind = ring_token_kind(event->token);
    struct relay_pair *pair;

    if (kind == RELAY_ACCEPT) {
        relay_accepted(event);
        return;
    }
    pair =
        pool_get(&relay.pairs, ring_token_slot(event->token), ring_token_generation(event->token));
    if (pair == NULL) {
        ring_event_drop(relay.ring, event, false);
    } else if (kind == RELAY_CONNECT) {
        relay_connected(pair, event->result);
    } else {
        relay_run_lane(pair, (kind - RELAY_READABLE) & 1);
    }
}

/* One turn; false when nothing happened in it. */
static bool relay_turn(void)
{
    struct ring_event events[RELAY_EVENTS];
    struct wheel_timer *timer;
    uint64_t sleep_ms = wheel_next_ms(&relay.wheel, relay_now_ms());
    int count =
        ring_wait(relay.ring, (sleep_ms < 100 ? sleep_ms : 100) * 1000000, events, RELAY_EVENTS);

    for (int i = 0; i < count; i++) {
        relay_event(&events[i]);
    }
    wheel_advance(&relay.wheel, relay_now_ms());
    while ((timer = wheel_take_due(&relay.wheel)) != NULL) {
        struct relay_pair *pair = pool_get(&relay.pairs, ring_token_slot(timer->token),
                                           ring_token_generation(timer->token));

        SIM_CHECK(pair != NULL && !pair->connected);
        relay_close(pair);
        count++;
    }
    return count > 0;
}

SIM_SCENARIO(relay)
{
    const struct ring_config config = {
        .entries = 64,
        .small_buffers = 1,
        .large_buffers = 1,
        .pipes = 2 * RELAY_PAIRS,
    };
    struct echo_back_totals totals = {0};
    const struct sim_faults *faults = sim_faults();
    uint32_t clients = 1 + sim_random_below(RELAY_PAIRS);

    MUST(ring_create(&config, &relay.ring, NULL) == 0);
    MUST(pool_init(&relay.pairs, sizeof(struct relay_pair), RELAY_PAIRS) == MESH_OK);
    wheel_init(&relay.wheel, relay_now_ms());
    relay.listener = sim_listen(RELAY_PORT);
    ring_accept(relay.ring, relay.listener, ring_token(RELAY_ACCEPT, 0, 1));
    echo_back_serve(RELAY_UPSTREAM);
    for (uint32_t i = 0; i < clients; i++) {
        echo_back_client(RELAY_PORT, &totals);
    }
    while (sim_running() || relay_turn() || (relay.wheel.armed > 0 && !sim_failed())) {
        (void)relay_turn();
    }
    SIM_CHECK(totals.completed + totals.broken + totals.cut == clients);
    if (faults->peer_reset + faults->connect_refused + faults->connect_lost + faults->no_pipe ==
        0) {
        SIM_CHECK(totals.completed == clients);
    }
    SIM_CHECK(relay.pairs.used == 0);
    SIM_CHECK(relay.wheel.armed == 0);
    sim_check_quiet();
    ring_destroy(relay.ring);
    pool_release(&relay.pairs);
}
