/* Who stands still is told so or cut, in time; who is merely slow is served. One client and one
 * service per run, with clocks. Filling what lies between a sender and one who does not read can
 * take long here (256 bytes at a time on a slow network): there the limit is for the longest time
 * in which nothing was taken. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "proxy_world.h"
#include "sim.h"

#define TIMERS_PORT    80
#define TIMERS_SERVICE 8000
#define TIMERS_MS      1000000ull
#define TIMERS_S       (1000 * TIMERS_MS)

#define TIMERS_HEAD_MS    10000u
#define TIMERS_IDLE_MS    5000u
#define TIMERS_REQUEST_MS 60000u
#define TIMERS_CONNECT_MS 3000u
#define TIMERS_FILL_MS    300000u /* until all is full that lies before one who does not read */

enum timers_client {                 /* what the client does */
                     TIMERS_ASK = 0, /* asks once and reads the answer */
                     TIMERS_MUTE,    /* connects and says nothing */
                     TIMERS_DRIP,    /* a byte of its head each second */
                     TIMERS_STOP,    /* stops in the middle of its body */
                     TIMERS_DEAF,    /* asks and does not read */
                     TIMERS_SIP,     /* reads a little each second */
                     TIMERS_BABBLE,  /* asks for nothing that is there, then talks on and reads
                                        nothing */
                     TIMERS_PUSH,    /* sends a body as fast as it is taken */
};

enum timers_service {
    TIMERS_ANSWER = 0, /* the whole answer */
    TIMERS_SILENT,     /* reads, says nothing */
    TIMERS_BLIND,      /* does not read */
    TIMERS_NOWHERE,    /* cannot be reached: connects are never answered */
};

struct timers_case {
    const char *name;
    enum timers_client client;
    enum timers_service service;
    uint32_t answer; /* bytes of its body */
    const char *status;
    uint64_t from_ms; /* when the client is let go, from its connection on */
    uint64_t to_ms;   /* of the longest time in which nothing moved; see timers_moved() */
};

static const struct timers_case timers_cases[] = {
    {"mute", TIMERS_MUTE, TIMERS_ANSWER, 0, "", TIMERS_HEAD_MS, TIMERS_HEAD_MS + 1000},
    {"drip", TIMERS_DRIP, TIMERS_ANSWER, 0, "HTTP/1.1 408", TIMERS_HEAD_MS, TIMERS_HEAD_MS + 3000},
    {"keep-alive", TIMERS_ASK, TIMERS_ANSWER, 100, "HTTP/1.1 200", TIMERS_IDLE_MS,
     TIMERS_IDLE_MS + 1500},
    {"body stops", TIMERS_STOP, TIMERS_ANSWER, 0, "HTTP/1.1 408", TIMERS_IDLE_MS,
     TIMERS_IDLE_MS + 3000},
    {"deaf, stored", TIMERS_DEAF, TIMERS_ANSWER, 400000, "", TIMERS_IDLE_MS, TIMERS_IDLE_MS + 4000},
    {"deaf, spliced", TIMERS_DEAF, TIMERS_ANSWER, 3000000, "", TIMERS_IDLE_MS,
     TIMERS_IDLE_MS + 4000},
    {"sips, stored", TIMERS_SIP, TIMERS_ANSWER, 400000, "HTTP/1.1 200", 20000, 3000000},
    {"sips, spliced", TIMERS_SIP, TIMERS_ANSWER, 700000, "HTTP/1.1 200", 30000, 3400000},
    {"babble", TIMERS_BABBLE, TIMERS_ANSWER, 0, "", 0, 30000},
    {"silent service", TIMERS_ASK, TIMERS_SILENT, 0, "HTTP/1.1 504", TIMERS_REQUEST_MS,
     TIMERS_REQUEST_MS + TIMERS_IDLE_MS + 3000},
    {"blind service", TIMERS_PUSH, TIMERS_BLIND, 0, "HTTP/1.1 504", TIMERS_IDLE_MS,
     TIMERS_IDLE_MS + 8000},
    {"unreachable", TIMERS_ASK, TIMERS_NOWHERE, 0, "HTTP/1.1 504", TIMERS_CONNECT_MS,
     TIMERS_CONNECT_MS + TIMERS_IDLE_MS + 3000},
};

struct timers_run {
    const struct timers_case *what;
    struct sim_peer *peer;
    uint64_t begun_ns;
    uint64_t moved_ns; /* timers_moved(); else the beginning */
    uint64_t still_ns; /* the longest time without it */
    uint64_t from_ns;
    uint64_t got;
    size_t sent;
    uint8_t start[16];
    bool over;
};

static struct timers_run timers;

/* --- the client --- */

static void timers_client_run(struct sim_peer *peer);

static void timers_wake(void *context)
{
    (void)context;
    if (!timers.over && !timers.peer->finished) {
        timers_client_run(timers.peer);
    }
}

/* Bytes of a body were taken on their way to one who does not read. */
static void timers_moved(void)
{
    uint64_t still_ns = sim_now_ns() - timers.moved_ns;

    timers.still_ns = still_ns > timers.still_ns ? still_ns : timers.still_ns;
    timers.moved_ns = sim_now_ns();
}

static void timers_over(void)
{
    uint64_t took_ms = (sim_now_ns() - timers.begun_ns) / TIMERS_MS;
    const struct timers_case *what = timers.what;
    uint64_t still_ms;

    if (timers.over) {
        return;
    }
    timers.over = true;
    timers_moved();
    still_ms = timers.still_ns / TIMERS_MS;
    if (sim_faults()->peer_reset + sim_faults()->connect_refused + sim_faults()->connect_lost ==
        0) {
        bool told = memcmp(timers.start, what->status, strlen(what->status)) == 0;

        if (!SIM_CHECK(told && took_ms >= what->from_ms && still_ms <= what->to_ms &&
                       took_ms <= what->to_ms + TIMERS_FILL_MS)) {
            fprintf(stderr, "  %s: %.12s after %llu ms, still for %llu ms\n", what->name,
                    timers.start, (unsigned long long)took_ms, (unsigned long long)still_ms);
        }
    }
    if (!timers.peer->finished) {
        sim_peer_close(timers.peer);
    }
    proxy_world.busy--;
}

static void timers_send(struct bytes text)
{
    if (timers.sent < text.len) {
        timers.sent += sim_peer_send(timers.peer, bytes_from(text, timers.sent));
    }
}

static void timers_ask(void)
{
    static const char drip[] = "GET / HTTP/1.1\r\nHost: sim.test\r\nX: and so on and so on\r\n";
    static const uint8_t noise[4096];

    switch (timers.what->client) {
    case TIMERS_MUTE:
        break;
    case TIMERS_ASK:
    case TIMERS_DEAF:
    case TIMERS_SIP:
        timers_send(BYTES_LITERAL("GET / HTTP/1.1\r\nHost: sim.test\r\n\r\n"));
        break;
    case TIMERS_DRIP:
        if (sim_now_ns() >= timers.from_ns) {
            timers.sent += sim_peer_send(timers.peer, bytes_of(drip + timers.sent, 1));
            timers.from_ns = sim_now_ns() + TIMERS_S;
            sim_after(TIMERS_S, timers_wake, NULL);
        }
        break;
    case TIMERS_STOP:
        timers_send(BYTES_LITERAL(
            "POST / HTTP/1.1\r\nHost: sim.test\r\nContent-Length: 1000\r\n\r\nand no more"));
        break;
    case TIMERS_BABBLE:
        timers_send(BYTES_LITERAL("GET / HTTP/9.9\r\n\r\n"));
        while (sim_peer_send(timers.peer, bytes_of(noise, sizeof(noise))) > 0) {
        }
        break;
    case TIMERS_PUSH:
        timers_send(BYTES_LITERAL(
            "POST / HTTP/1.1\r\nHost: sim.test\r\nContent-Length: 100000000\r\n\r\n"));
        while (sim_peer_send(timers.peer, bytes_of(noise, sizeof(noise))) > 0) {
            timers_moved();
        }
        break;
    }
}

static void timers_listen(void)
{
    uint8_t data[65536];
    enum timers_client kind = timers.what->client;
    size_t most = kind == TIMERS_SIP ? 20000 : sizeof(data);
    size_t got;

    if (kind == TIMERS_DEAF || kind == TIMERS_BABBLE ||
        (kind == TIMERS_SIP && sim_now_ns() < timers.from_ns)) {
        return;
    }
    while ((got = sim_peer_read(timers.peer, data, most)) > 0) {
        for (size_t i = 0; i < got && timers.got + i < sizeof(timers.start); i++) {
            timers.start[timers.got + i] = data[i];
        }
        timers.got += got;
        if (kind == TIMERS_SIP) {
            timers.from_ns = sim_now_ns() + TIMERS_S;
            sim_after(TIMERS_S, timers_wake, NULL);
            break;
        }
    }
}

static void timers_client_run(struct sim_peer *peer)
{
    timers.peer = peer;
    if (peer->refused || peer->reset) {
        timers_over();
        return;
    }
    if (timers.what->client != TIMERS_DRIP || timers.sent < 50) {
        timers_ask();
    }
    timers_listen();
    if (timers.what->client == TIMERS_SIP && timers.got > timers.what->answer) {
        timers_over(); /* it has got everything */
    } else if (peer->ended) {
        timers_over();
    }
}

static void timers_gives_up(void *context)
{
    (void)context;
    timers_over();
}

/* --- the service --- */

struct timers_server {
    struct sim_peer *peer;
    size_t seen;
    uint64_t sent;
    char head[64];
    size_t head_length;
};

static void timers_server_send(struct timers_server *server)
{
    static const uint8_t body[16384];
    uint64_t total = server->head_length + timers.what->answer;

    while (server->sent < total) {
        uint64_t at = server->sent;
        size_t count = num_min_size((size_t)(total - at), sizeof(body));
        struct bytes part = at < server->head_length
                                ? bytes_of(server->head + at, server->head_length - at)
                                : bytes_of(body, count);
        size_t sent = sim_peer_send(server->peer, part);

        if (sent == 0) {
            return;
        }
        server->sent += sent;
        if (timers.what->client == TIMERS_DEAF) {
            timers_moved();
        }
    }
}

static void timers_server_changed(struct sim_peer *peer)
{
    struct timers_server *server = peer->context;
    uint8_t data[4096];
    size_t got;

    if (peer->reset) {
        sim_peer_close(peer);
        return;
    }
    if (timers.what->service == TIMERS_BLIND) {
        return;
    }
    while ((got = sim_peer_read(peer, data, sizeof(data))) > 0) {
        server->seen += got;
    }
    if (server->seen > 0 && timers.what->service == TIMERS_ANSWER &&
        timers.what->client != TIMERS_STOP) {
        timers_server_send(server);
    }
    if (peer->ended) {
        sim_peer_close(peer);
    }
}

static void timers_server_leaves(void *context)
{
    struct sim_peer *peer = context;

    if (!peer->finished) {
        sim_peer_close(peer);
    }
}

static void timers_served(struct sim_peer *peer)
{
    struct timers_server *server = sim_alloc(sizeof(*server));
    int length = snprintf(server->head, sizeof(server->head),
                          "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n", timers.what->answer);

    server->peer = peer;
    server->head_length = (size_t)length;
    peer->context = server;
    peer->changed = timers_server_changed;
    sim_after(600 * TIMERS_S, timers_server_leaves, peer); /* a blind one sees no end */
    timers_server_changed(peer);
}

SIM_SCENARIO(timers)
{
    static const uint16_t ports[] = {TIMERS_SERVICE};
    const uint32_t count = sizeof(timers_cases) / sizeof(timers_cases[0]);
    struct snapshot_builder *b = snapshot_builder_new();
    uint32_t web = snapshot_builder_target(b, "web", ports, 1);
    uint32_t table = snapshot_builder_route_table(b, snapshot_builder_forward(b, web));
    struct abi_listener listener = snapshot_builder_listener(b, "public", TIMERS_PORT);

    timers = (struct timers_run){.what = &timers_cases[sim_seed() % count]};
    ((struct abi_target *)snapshot_builder_record(b, ABI_SECTION_TARGET, web))->connect_timeout_ms =
        TIMERS_CONNECT_MS;
    listener.kind = ABI_LISTENER_L7;
    listener.route_table = table;
    listener.head_timeout_ms = TIMERS_HEAD_MS;
    listener.idle_timeout_ms = TIMERS_IDLE_MS;
    listener.request_timeout_ms = timers.what->service == TIMERS_SILENT ? TIMERS_REQUEST_MS : 0;
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    proxy_world_start(b);
    proxy_world_listen(listener.key, TIMERS_PORT);
    sim_serve(TIMERS_SERVICE, timers.what->service == TIMERS_NOWHERE ? NULL : timers_served, NULL);
    proxy_world.busy = 1;
    timers.begun_ns = sim_now_ns();
    timers.moved_ns = timers.begun_ns;
    timers.peer = sim_connect(TIMERS_PORT, timers_client_run, NULL);
    sim_after(3500 * TIMERS_S, timers_gives_up, NULL); /* who does not read sees no end */
    while (proxy_world_running()) {
        (void)proxy_world_turn();
    }
    proxy_world_finish();
}
