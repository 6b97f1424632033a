#include "echo_back.h"

#include "base/num.h"

#define ECHO_BACK_CHUNK 1000u
#define ECHO_BACK_MOST  200000u /* bytes of one stream */

struct echo_back {
    struct echo_back_totals *totals;
    struct sim_peer *peer;
    uint64_t seed;
    uint64_t pace_ns; /* between two reads, at most */
    size_t total;
    size_t sent;
    size_t received;
    bool waking;
    uint8_t held[ECHO_BACK_CHUNK]; /* of a service: read and not yet sent */
    size_t held_from;
    size_t held_to;
};

static uint8_t echo_back_byte(const struct echo_back *client, size_t at)
{
    return (uint8_t)(((client->seed + at) * 0x9e3779b97f4a7c15ULL) >> 56);
}

static void echo_back_wake(void *context)
{
    struct echo_back *end = context;

    end->waking = false;
    if (!end->peer->finished) {
        end->peer->changed(end->peer);
    }
}

/* It reads at its own pace: nobody tells it of what it left. */
static void echo_back_sleep(struct echo_back *end)
{
    if (!end->waking) {
        end->waking = true;
        sim_after(1 + sim_random() % end->pace_ns, echo_back_wake, end);
    }
}

static void echo_back_send(struct echo_back *client)
{
    uint8_t data[ECHO_BACK_CHUNK];
    size_t room;

    while (client->sent < client->total && (room = sim_peer_room(client->peer)) > 0) {
        size_t count = num_min_size(client->total - client->sent, ECHO_BACK_CHUNK);

        count = num_min_size(count, room);
        for (size_t i = 0; i < count; i++) {
            data[i] = echo_back_byte(client, client->sent + i);
        }
        client->sent += sim_peer_send(client->peer, bytes_of(data, count));
        if (client->sent == client->total) {
            sim_peer_shutdown(client->peer);
        }
    }
}

static void echo_back_client_changed(struct sim_peer *peer)
{
    struct echo_back *client = peer->context;
    uint8_t data[ECHO_BACK_CHUNK];
    size_t got;

    if (peer->reset || peer->refused) {
        client->totals->broken++;
        sim_peer_close(peer);
        return;
    }
    got = sim_peer_read(peer, data, 1 + sim_random_below(ECHO_BACK_CHUNK));
    for (size_t i = 0; i < got; i++, client->received++) {
        SIM_CHECK(data[i] == echo_back_byte(client, client->received));
    }
    SIM_CHECK(client->received <= client->sent);
    echo_back_send(client);
    if (peer->ended) {
        client->totals->completed += client->received == client->total;
        client->totals->cut += client->received < client->total;
        sim_peer_close(peer);
    } else if (got > 0) {
        echo_back_sleep(client);
    }
}

static struct echo_back *echo_back_new(struct sim_peer *peer)
{
    struct echo_back *end = sim_alloc(sizeof(*end));

    end->peer = peer;
    end->seed = sim_random();
    end->total = 1 + sim_random_below(1u << (1 + sim_random_below(17)));
    end->total = num_min_size(end->total, ECHO_BACK_MOST);
    end->pace_ns = 1000ull << sim_random_below(12);
    return end;
}

void echo_back_client(uint16_t port, struct echo_back_totals *totals)
{
    struct sim_peer *peer = sim_connect(port, echo_back_client_changed, NULL);
    struct echo_back *client = echo_back_new(peer);

    client->totals = totals;
    peer->context = client;
}

static void echo_back_service_changed(struct sim_peer *peer)
{
    struct echo_back *end = peer->context;

    if (end == NULL) {
        end = peer->context = echo_back_new(peer);
    }
    if (peer->reset) {
        sim_peer_close(peer);
        return;
    }
    if (end->held_from == end->held_to) {
        end->held_from = 0;
        end->held_to = sim_peer_read(peer, end->held, 1 + sim_random_below(ECHO_BACK_CHUNK));
    }
    end->held_from +=
        sim_peer_send(peer, bytes_of(end->held + end->held_from, end->held_to - end->held_from));
    if (end->held_from < end->held_to || !peer->ended) {
        if (end->held_from == end->held_to && end->held_to > 0) {
            echo_back_sleep(end);
        }
        return;
    }
    sim_peer_close(peer);
}

void echo_back_serve(uint16_t port)
{
    sim_serve(port, echo_back_service_changed, NULL);
}
