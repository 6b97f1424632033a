/* A proxy on the real ring, with clients and upstreams on loopback, all in one thread: waiting for
 * something means running the proxy until it is there.
 *
 *     struct proxy_kit *kit = proxy_kit_new();
 *     uint32_t web = proxy_kit_target(kit, "web", 1);
 *     proxy_kit_l7(kit, snapshot_builder_forward(kit->builder, web));
 *     proxy_kit_start(kit);
 *     int client = proxy_kit_client(kit, 0);
 *     proxy_kit_send(client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
 *     int up = proxy_kit_accept(kit, 0);
 *     proxy_kit_expect(kit, up, "GET / HTTP/1.1\r\n");
 *     proxy_kit_free(kit);   checks that nothing is left */
#ifndef PROXY_KIT_H
#define PROXY_KIT_H

#include "cunit.h"
#include "proxy/conn.h"
#include "proxy/proxy.h"
#include "ring_kit.h"
#include "snapshot_builder.h"

#define PROXY_KIT_MAX 8u

/* A test that runs on io_uring under its own name and once more on epoll. */
#define PROXY_TEST(name)                                                                           \
    static void name##_on_each(void);                                                              \
    TEST(name)                                                                                     \
    {                                                                                              \
        kit_engine = RING_ENGINE_URING;                                                            \
        name##_on_each();                                                                          \
    }                                                                                              \
    TEST(name##_epoll)                                                                             \
    {                                                                                              \
        kit_engine = RING_ENGINE_EPOLL;                                                            \
        name##_on_each();                                                                          \
    }                                                                                              \
    static void name##_on_each(void)

struct proxy_kit {
    struct snapshot_builder *builder; /* of the next generation */
    struct ring *ring;
    struct proxy *proxy;
    struct abi_stats *stats;
    struct abi_overlay *overlay;
    struct abi_tally *tally; /* for two workers, of which the proxy is the first */
    struct abi_records *log;
    uint64_t log_tail;
    int upstreams[PROXY_KIT_MAX]; /* listening, in the order they were made; -1: closed */
    uint16_t upstream_ports[PROXY_KIT_MAX];
    uint32_t upstream_count;
    int sockets[PROXY_KIT_MAX]; /* of listeners until the proxy has them */
    uint64_t listener_keys[PROXY_KIT_MAX];
    uint16_t listener_ports[PROXY_KIT_MAX];
    uint32_t listener_count;
    uint32_t live; /* generations not given back */
    uint64_t generation;
    uint32_t max_connections;
    bool (*ask)(void *context, const struct abi_token_question *question); /* proxy_config.ask */
    uint8_t *secrets; /* of the next generation, which frees them; NULL: none */
    size_t secrets_size;
};

/* On the engine whose turn it is; the test is skipped where that is io_uring and the kernel forbids
 * it. */
struct proxy_kit *proxy_kit_new(void);

/* A target with so many endpoints, each an upstream of its own. */
uint32_t proxy_kit_target(struct proxy_kit *kit, const char *service, uint32_t endpoints);

/* Listeners in the order of their numbers, 0 first. Records in kit->builder may be changed until
 * proxy_kit_start. */
void proxy_kit_l7(struct proxy_kit *kit, struct abi_route route);
void proxy_kit_l4(struct proxy_kit *kit, uint32_t target);
struct abi_listener *proxy_kit_listener(struct proxy_kit *kit, uint32_t number);
struct abi_target *proxy_kit_target_record(struct proxy_kit *kit, uint32_t target);

/* Makes the proxy and commits what is in the builder. */
void proxy_kit_start(struct proxy_kit *kit);
/* The same records again, to be changed and committed as the next generation; or another builder
 * with records of the test's own. */
void proxy_kit_commit(struct proxy_kit *kit, struct snapshot_builder *next);

/* The next generation: listener 0 alone, to the first upstream, and how long its connections may
 * last. ABI_PROTOCOL_TCP: an L4 listener. */
void proxy_kit_age(struct proxy_kit *kit, enum abi_protocol protocol, uint32_t lifetime_ms);

/* Drains, checks that pools and gauges are empty, ends everything. */
void proxy_kit_free(struct proxy_kit *kit);

/* One turn of the loop that waits at most `timeout_ns`; events run in it. */
uint32_t proxy_kit_turn(struct proxy_kit *kit, uint64_t timeout_ns);
/* One turn as in a busy worker: it runs everything that happens within a moment. */
uint32_t proxy_kit_busy_turn(struct proxy_kit *kit);
/* Turns until nothing happens for a moment. */
void proxy_kit_settle(struct proxy_kit *kit);

/* A connection to listener `number`, non-blocking. */
int proxy_kit_client(struct proxy_kit *kit, uint32_t number);
/* The next connection to an upstream. -1 and a failed check when none comes. */
int proxy_kit_accept(struct proxy_kit *kit, uint32_t upstream);
/* Whether nobody connects to it. */
bool proxy_kit_is_alone(struct proxy_kit *kit, uint32_t upstream);

/* All of it; a failed check when the socket does not take it. */
void proxy_kit_send(int fd, const char *text);
void proxy_kit_send_bytes(int fd, struct bytes in);

/* Reads until `text` has come, runs the proxy meanwhile; what came, with `text` last. It lives
 * until the next call. */
struct bytes proxy_kit_until(struct proxy_kit *kit, int fd, const char *text);
/* The next bytes are exactly these. */
void proxy_kit_expect(struct proxy_kit *kit, int fd, const char *text);
/* Everything up to the end of the stream; *reset when it ended so. */
struct bytes proxy_kit_rest(struct proxy_kit *kit, int fd, bool *reset);
/* The stream ends here: no byte more. */
void proxy_kit_expect_end(struct proxy_kit *kit, int fd);
/* Nothing comes for a moment. */
void proxy_kit_expect_silence(struct proxy_kit *kit, int fd);

uint64_t proxy_kit_worker_stat(const struct proxy_kit *kit, enum abi_worker_stat stat);
uint64_t proxy_kit_outcome(const struct proxy_kit *kit, uint32_t listener,
                           enum abi_outcome outcome);

/* The listeners made so far get a log that records every text, the request's x-request-id and the
 * answer's server among them. */
void proxy_kit_log(struct proxy_kit *kit);
/* The next access record; a failed check when there is none. It lives until the next call. */
const struct abi_log_record *proxy_kit_record(struct proxy_kit *kit);
/* A text of the newest record. */
struct bytes proxy_kit_recorded(enum abi_log_variable variable);
bool proxy_kit_has_record(struct proxy_kit *kit);

#endif
