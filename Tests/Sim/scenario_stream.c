/* Long streams through an L4 listener, both ways at once and at any pace: receives of both sizes,
 * stored output, splice that begins and ends in the middle, half-closes. */
#include <string.h>

#include "base/num.h"
#include "proxy_world.h"
#include "sim.h"

#define STREAM_PORT    80
#define STREAM_SERVICE 8000
#define STREAM_BLOCK   16384u

/* Each end of a conversation: sends a stream of its own, checks the other's. */
struct stream_end {
    struct sim_peer *peer;
    struct stream_talk *talk;
    uint32_t side; /* 0 client, 1 service */
    uint64_t sent;
    uint64_t got;
    uint32_t gulp;
    uint64_t rest_ns;
    uint64_t from_ns;
    bool shut;
};

struct stream_talk {
    uint64_t seed;
    uint64_t size[2]; /* of what each side sends */
    struct stream_end ends[2];
    bool over; /* counted */
};

static struct stream_talk *stream_talks;
static uint32_t stream_count;
static uint32_t stream_completed;
static uint32_t stream_broken;

static uint8_t stream_byte(const struct stream_talk *talk, uint32_t side, uint64_t at)
{
    return (uint8_t)(((talk->seed + side + at) * 0x9e3779b97f4a7c15ULL) >> 56);
}

static void stream_run(struct stream_end *end);

static void stream_wake(void *context)
{
    struct stream_end *end = context;

    if (!end->peer->finished) {
        stream_run(end);
    }
}

static void stream_over(struct stream_end *end, bool whole)
{
    struct stream_talk *talk = end->talk;

    sim_peer_close(end->peer);
    if (end->side == 0 && !talk->over) {
        talk->over = true;
        stream_completed += whole ? 1 : 0;
        stream_broken += whole ? 0 : 1;
        proxy_world.busy--;
    }
}

/* The first four bytes of a client's stream are the number of its talk. */
static void stream_fill(const struct stream_end *end, uint8_t *to, uint64_t at, size_t count)
{
    uint32_t number = (uint32_t)(end->talk - stream_talks);

    for (size_t i = 0; i < count; i++) {
        uint64_t place = at + i;

        to[i] = end->side == 0 && place < 4 ? (uint8_t)(number >> (8 * place))
                                            : stream_byte(end->talk, end->side, place);
    }
}

static void stream_send(struct stream_end *end)
{
    uint64_t size = end->talk->size[end->side];
    uint8_t data[STREAM_BLOCK];
    size_t room;

    while (end->sent < size && (room = sim_peer_room(end->peer)) > 0) {
        size_t count = num_min_size((size_t)(size - end->sent), STREAM_BLOCK);

        count = num_min_size(count, room);
        stream_fill(end, data, end->sent, count);
        end->sent += sim_peer_send(end->peer, bytes_of(data, count));
    }
    if (end->sent == size && !end->shut) {
        end->shut = true;
        sim_peer_shutdown(end->peer);
    }
}

static bool stream_read(struct stream_end *end)
{
    uint8_t data[STREAM_BLOCK];
    uint8_t wanted[STREAM_BLOCK];
    size_t got = sim_peer_read(end->peer, data, num_min_size(end->gulp, STREAM_BLOCK));

    stream_fill(&end->talk->ends[1 - end->side], wanted, end->got, got);
    SIM_CHECK(got == 0 || memcmp(data, wanted, got) == 0);
    end->got += got;
    SIM_CHECK(end->got <= end->talk->ends[1 - end->side].sent);
    return got > 0;
}

static void stream_run(struct stream_end *end)
{
    uint64_t expected = end->talk->size[1 - end->side];

    if (end->peer->reset || end->peer->refused) {
        stream_over(end, false);
        return;
    }
    stream_send(end);
    while (sim_now_ns() >= end->from_ns && stream_read(end) && !sim_failed()) {
        if (end->rest_ns > 0) {
            end->from_ns = sim_now_ns() + end->rest_ns;
            sim_after(end->rest_ns, stream_wake, end);
        }
    }
    if (end->peer->ended) {
        SIM_CHECK(end->got == expected || end->side == 0); /* a service sees no end that is none */
        if (end->shut) {
            stream_over(end, end->got == expected);
        }
    }
}

static void stream_changed(struct sim_peer *peer)
{
    stream_run(peer->context);
}

static struct stream_end *stream_end_of(struct sim_peer *peer, uint32_t number, uint32_t side)
{
    struct stream_end *end = &stream_talks[number].ends[side];

    end->peer = peer;
    end->talk = &stream_talks[number];
    end->side = side;
    end->gulp = sim_chance(700) ? STREAM_BLOCK : 256u << sim_random_below(6);
    end->rest_ns = sim_chance(500) ? 0 : sim_random_below(2000) * 1000;
    peer->context = end;
    peer->changed = stream_changed;
    return end;
}

/* Waits for the number of the talk. */
static void stream_arrived(struct sim_peer *peer)
{
    uint8_t number[4];
    uint8_t *have = peer->context;

    if (have == NULL) { /* how many of the four, then they themselves */
        have = peer->context = sim_alloc(5);
    }
    while (have[0] < 4 && sim_peer_read(peer, have + 1 + have[0], 1) == 1) {
        have[0]++;
    }
    if (peer->reset || peer->ended) {
        sim_peer_close(peer);
    } else if (have[0] == 4) {
        struct stream_end *end;
        uint32_t index;

        memcpy(number, have + 1, 4);
        memcpy(&index, number, 4);
        if (SIM_CHECK(index < stream_count)) {
            end = stream_end_of(peer, index, 1);
            end->got = 4;
            stream_run(end);
        }
    }
}

static uint64_t stream_size(void)
{
    return 4 + (sim_chance(300) ? sim_random_below(2000000) : sim_random_below(50000));
}

SIM_SCENARIO(stream)
{
    static const uint16_t ports[] = {STREAM_SERVICE};
    struct snapshot_builder *b = snapshot_builder_new();
    const struct sim_faults *faults = sim_faults();
    struct abi_listener listener;

    listener = snapshot_builder_listener(b, "raw", STREAM_PORT);
    listener.splits = snapshot_builder_split(b, snapshot_builder_target(b, "raw", ports, 1));
    listener.idle_timeout_ms = sim_chance(500) ? 0 : 60000;
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    proxy_world_start(b);
    proxy_world_listen(listener.key, STREAM_PORT);
    sim_serve(STREAM_SERVICE, stream_arrived, NULL);
    stream_count = 1 + sim_random_below(10);
    stream_completed = stream_broken = 0;
    stream_talks = sim_alloc(stream_count * sizeof(stream_talks[0]));
    for (uint32_t i = 0; i < stream_count; i++) {
        stream_talks[i].seed = sim_random();
        stream_talks[i].size[0] = stream_size();
        stream_talks[i].size[1] = stream_size();
        proxy_world.busy++;
        (void)stream_end_of(sim_connect(STREAM_PORT, stream_changed, NULL), i, 0);
    }
    while (proxy_world_running()) {
        (void)proxy_world_turn();
    }
    SIM_CHECK(sim_failed() || stream_completed + stream_broken == stream_count);
    if (faults->peer_reset + faults->connect_refused + faults->connect_lost == 0) {
        SIM_CHECK(sim_failed() || stream_completed == stream_count);
    }
    proxy_world_finish();
}
