#include "proxy_kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"
#include "base/num.h"

#define KIT_EVENTS 128u
#define KIT_READ   (32u << 20)

struct kit_generation {
    struct proxy_generation proxy;
    struct snapshot_builder *builder;
    struct proxy_kit *kit;
    uint8_t *secrets;
};

static uint8_t kit_bytes[KIT_READ];

static void *kit_region(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                    -1, 0);

    MUST(at != MAP_FAILED);
    return at;
}

struct proxy_kit *proxy_kit_new(void)
{
    const struct ring_config config = {
        .entries = 256, .small_buffers = 128, .large_buffers = 8, .pipes = 4};
    struct ring *ring = kit_ring_of(&config);
    struct proxy_kit *kit = calloc(1, sizeof(*kit));

    MUST(kit != NULL);
    kit->ring = ring;
    kit->builder = snapshot_builder_new();
    kit->stats = kit_region(ABI_STATS_SIZE);
    kit->overlay = kit_region(ABI_OVERLAY_SIZE);
    kit->log = kit_region(abi_log_ring_bytes());
    kit->tally = kit_region(abi_tally_size(2)); /* a second worker's counts are the test's */
    kit->tally->workers = 2;
    kit->max_connections = 256;
    return kit;
}

static int kit_listen(uint16_t *port)
{
    struct sockaddr_storage address;
    int fd = kit_listener(&address, 64);

    *port = ntohs(((struct sockaddr_in *)&address)->sin_port);
    return fd;
}

uint32_t proxy_kit_target(struct proxy_kit *kit, const char *service, uint32_t endpoints)
{
    uint32_t first = kit->upstream_count;

    MUST(first + endpoints <= PROXY_KIT_MAX);
    for (uint32_t i = 0; i < endpoints; i++) {
        kit->upstreams[first + i] = kit_listen(&kit->upstream_ports[first + i]);
    }
    kit->upstream_count += endpoints;
    return snapshot_builder_target(kit->builder, service, kit->upstream_ports + first, endpoints);
}

static void kit_add_listener(struct proxy_kit *kit, struct abi_listener *listener)
{
    uint32_t number = kit->listener_count++;

    MUST(number < PROXY_KIT_MAX);
    kit->sockets[number] = kit_listen(&kit->listener_ports[number]);
    kit->listener_keys[number] = listener->key;
    listener->address.port = kit->listener_ports[number];
    snapshot_builder_add(kit->builder, ABI_SECTION_LISTENER, listener);
}

void proxy_kit_l7(struct proxy_kit *kit, struct abi_route route)
{
    uint32_t table = snapshot_builder_route_table(kit->builder, route);
    struct abi_listener listener = snapshot_builder_listener(kit->builder, "l7", 1);

    listener.kind = ABI_LISTENER_L7;
    listener.route_table = table;
    kit_add_listener(kit, &listener);
}

void proxy_kit_l4(struct proxy_kit *kit, uint32_t target)
{
    struct abi_listener listener = snapshot_builder_listener(kit->builder, "l4", 1);

    listener.splits = snapshot_builder_split(kit->builder, target);
    kit_add_listener(kit, &listener);
}

struct abi_listener *proxy_kit_listener(struct proxy_kit *kit, uint32_t number)
{
    return snapshot_builder_record(kit->builder, ABI_SECTION_LISTENER, number);
}

struct abi_target *proxy_kit_target_record(struct proxy_kit *kit, uint32_t target)
{
    return snapshot_builder_record(kit->builder, ABI_SECTION_TARGET, target);
}

static void kit_released(void *context, struct proxy_generation *generation)
{
    struct kit_generation *owner = LIST_OWNER(generation, struct kit_generation, proxy);

    (void)context;
    owner->kit->live--;
    snapshot_builder_free(owner->builder);
    free(owner->secrets);
    free(owner);
}

void proxy_kit_commit(struct proxy_kit *kit, struct snapshot_builder *next)
{
    struct kit_generation *generation = calloc(1, sizeof(*generation));
    struct view_refusal refusal = {0};

    MUST(generation != NULL);
    generation->builder = next;
    generation->kit = kit;
    snapshot_builder_head(next)->generation = ++kit->generation;
    if (!CHECK(view_open(&generation->proxy.view, snapshot_builder_bytes(next),
                         snapshot_builder_size(next), &refusal))) {
        cunit_skip("refused: %s", refusal.what);
    }
    if (kit->secrets != NULL) {
        generation->secrets = kit->secrets;
        kit->secrets = NULL;
        CHECK(secrets_open(&generation->proxy.secrets, generation->secrets, kit->secrets_size,
                           &refusal));
    }
    kit->live++;
    CHECK(proxy_prepare(kit->proxy, &generation->proxy, &refusal));
    proxy_commit(kit->proxy);
}

void proxy_kit_start(struct proxy_kit *kit)
{
    const struct proxy_config config = {
        .ring = kit->ring,
        .stats = kit->stats,
        .overlay = kit->overlay,
        .tally = kit->tally,
        .log = kit->log,
        .seed = 1,
        .trace_seed = {1, 2, 3, 4},
        .max_connections = kit->max_connections,
        .ask = kit->ask,
        .released = kit_released,
    };
    struct snapshot_builder *first = kit->builder;

    CHECK_INT(proxy_create(&config, &kit->proxy), MESH_OK);
    for (uint32_t i = 0; i < PROXY_KIT_MAX; i++) {
        kit->proxy->cursors[i] = 840u << 16; /* round robin begins with the first endpoint */
    }
    for (uint32_t i = 0; i < kit->listener_count; i++) {
        proxy_add_socket(kit->proxy, kit->listener_keys[i], kit->sockets[i]);
    }
    kit->builder = NULL;
    proxy_kit_commit(kit, first);
}

void proxy_kit_age(struct proxy_kit *kit, enum abi_protocol protocol, uint32_t lifetime_ms)
{
    struct snapshot_builder *b = snapshot_builder_new();
    uint32_t target = snapshot_builder_target(b, "web", kit->upstream_ports, 1);
    struct abi_target *record = snapshot_builder_record(b, ABI_SECTION_TARGET, target);
    struct abi_listener listener = snapshot_builder_listener(b, "l0", kit->listener_ports[0]);

    record->protocol = (uint8_t)protocol;
    listener.key = kit->listener_keys[0];
    listener.max_lifetime_ms = lifetime_ms;
    if (protocol == ABI_PROTOCOL_TCP) {
        listener.splits = snapshot_builder_split(b, target);
    } else {
        listener.kind = ABI_LISTENER_L7;
        listener.route_table = snapshot_builder_route_table(b, snapshot_builder_forward(b, target));
    }
    snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
    proxy_kit_commit(kit, b);
}

static void kit_run_events(struct proxy_kit *kit, const struct ring_event *events, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        proxy_event(kit->proxy, &events[i]);
    }
    proxy_turn(kit->proxy);
}

uint32_t proxy_kit_turn(struct proxy_kit *kit, uint64_t timeout_ns)
{
    struct ring_event events[KIT_EVENTS];
    uint64_t sleep_ns = proxy_sleep_ns(kit->proxy);
    int count = ring_wait(kit->ring, num_min_u64(sleep_ns, timeout_ns), events, KIT_EVENTS);

    CHECK(count >= 0);
    kit_run_events(kit, events, count > 0 ? (uint32_t)count : 0);
    return count > 0 ? (uint32_t)count : 0;
}

uint32_t proxy_kit_busy_turn(struct proxy_kit *kit)
{
    struct ring_event events[KIT_EVENTS];
    uint32_t count = 0;
    int more;

    do {
        more = ring_wait(kit->ring, 5 * KIT_MS, events + count, KIT_EVENTS - count);
        count += more > 0 ? (uint32_t)more : 0;
    } while (more > 0 && count < KIT_EVENTS);
    CHECK(more >= 0);
    kit_run_events(kit, events, count);
    return count;
}

void proxy_kit_settle(struct proxy_kit *kit)
{
    uint32_t quiet = 0;

    while (quiet < 3) {
        quiet = proxy_kit_turn(kit, 2 * KIT_MS) > 0 ? 0 : quiet + 1;
    }
}

static void kit_check_empty(const struct proxy_kit *kit)
{
    const struct proxy *proxy = kit->proxy;

    CHECK_UINT(proxy->conns.used, 0);
    CHECK_UINT(proxy->requests.used, 0);
    CHECK_UINT(proxy->blocks.used, 0);
    CHECK_UINT(proxy->bulks.used, 0);
    CHECK_UINT(proxy->proxieds.used, 0);
    CHECK_UINT(proxy->coders.used, 0);
    CHECK_UINT(proxy->muxes.used, 0);
    CHECK_UINT(proxy->streams.used, 0);
    CHECK_UINT(proxy->h2_memory.used, 0);
    CHECK_UINT(proxy->uppool.idle, 0);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_CONNECTIONS_OPEN), 0);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_UPSTREAM_OPEN), 0);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_UPSTREAM_IDLE), 0);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_REQUESTS_ACTIVE), 0);
    CHECK_UINT(proxy_kit_worker_stat(kit, ABI_WORKER_TLS_OPEN), 0);
    for (uint32_t i = 0; i < 2 * PROXY_KIT_MAX; i++) {
        CHECK_UINT(proxy->loads[i], 0);
        CHECK_UINT(proxy->idles[i], 0);
        CHECK_UINT(abi_stats_target(kit->stats, i)->counters[ABI_TARGET_OPEN], 0);
        CHECK_UINT(abi_stats_listener(kit->stats, i)->counters[ABI_LISTENER_OPEN], 0);
    }
    CHECK_UINT(kit->live, 1);
}

void proxy_kit_free(struct proxy_kit *kit)
{
    proxy_drain(kit->proxy, 20);
    for (uint32_t i = 0; i < 200 && !proxy_is_drained(kit->proxy); i++) {
        (void)proxy_kit_turn(kit, KIT_MS);
    }
    kit_check_empty(kit);
    proxy_destroy(kit->proxy);
    CHECK_UINT(kit->live, 0);
    ring_destroy(kit->ring);
    for (uint32_t i = 0; i < kit->upstream_count; i++) {
        if (kit->upstreams[i] >= 0) {
            close(kit->upstreams[i]);
        }
    }
    munmap(kit->stats, ABI_STATS_SIZE);
    munmap(kit->overlay, ABI_OVERLAY_SIZE);
    munmap(kit->tally, abi_tally_size(2));
    free(kit);
}

/* --- peers --- */

int proxy_kit_client(struct proxy_kit *kit, uint32_t number)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(kit->listener_ports[number]),
    };
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    CHECK(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        CHECK_INT(errno, EINPROGRESS); /* loopback: as good as done */
    }
    CHECK_INT(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    return fd;
}

/* Runs the proxy until `ready(argument)` is not negative, or patience ends. */
static int kit_wait(struct proxy_kit *kit, int (*ready)(void *argument), void *argument,
                    uint64_t patience_ns)
{
    uint64_t end = ring_now_ns(kit->ring) + patience_ns;
    int result = ready(argument);

    while (result < 0 && ring_now_ns(kit->ring) < end) {
        (void)proxy_kit_turn(kit, KIT_MS);
        result = ready(argument);
    }
    return result;
}

static int kit_accept_now(void *argument)
{
    return accept4(*(int *)argument, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

int proxy_kit_accept(struct proxy_kit *kit, uint32_t upstream)
{
    const int on = 1;
    int fd = kit_wait(kit, kit_accept_now, &kit->upstreams[upstream], KIT_PATIENT);

    if (CHECK(fd >= 0)) {
        CHECK_INT(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    }
    return fd;
}

bool proxy_kit_is_alone(struct proxy_kit *kit, uint32_t upstream)
{
    int fd = kit_wait(kit, kit_accept_now, &kit->upstreams[upstream], KIT_MOMENT);

    if (fd >= 0) {
        close(fd);
    }
    return fd < 0;
}

void proxy_kit_send_bytes(int fd, struct bytes in)
{
    while (in.len > 0) {
        ssize_t sent = send(fd, in.ptr, in.len, MSG_NOSIGNAL);

        if (!CHECK(sent > 0)) {
            return;
        }
        in = bytes_from(in, (size_t)sent);
    }
}

void proxy_kit_send(int fd, const char *text)
{
    proxy_kit_send_bytes(fd, cunit_text(text));
}

struct kit_read {
    int fd;
    size_t max;
    size_t length;
    bool ended;
    bool reset;
};

/* More bytes, or the end: >= 0. */
static int kit_read_now(void *argument)
{
    struct kit_read *read = argument;
    ssize_t got = recv(read->fd, kit_bytes + read->length, read->max, 0);

    if (got > 0) {
        read->length += (size_t)got;
        return 0;
    }
    if (got < 0 && errno == EAGAIN) {
        return -1;
    }
    read->ended = true;
    read->reset = got < 0;
    return 0;
}

/* Of what is there, as much as ends in `text`, or all of it when that is not in it. */
static size_t kit_wanted(const struct kit_read *read, struct bytes text)
{
    uint8_t *at = kit_bytes + read->length;
    ssize_t there = recv(read->fd, at, 65536, MSG_PEEK);
    size_t overlap = num_min_size(read->length, text.len - 1);
    const uint8_t *found;

    if (there <= 0) {
        return 1;
    }
    found = memmem(at - overlap, (size_t)there + overlap, text.ptr, text.len);
    return found == NULL ? (size_t)there : (size_t)(found + text.len - at);
}

struct bytes proxy_kit_until(struct proxy_kit *kit, int fd, const char *text)
{
    struct kit_read read = {.fd = fd};

    while (!bytes_has_suffix(bytes_of(kit_bytes, read.length), cunit_text(text))) {
        read.max = kit_wanted(&read, cunit_text(text));
        if (kit_wait(kit, kit_read_now, &read, KIT_PATIENT) < 0 || read.ended ||
            read.length + 65536 > KIT_READ) {
            cunit_context("%s after %zu bytes: %.*s", read.ended ? "the end" : "silence",
                          read.length, (int)num_min_size(read.length, 200),
                          (const char *)kit_bytes);
            CHECK_STRING("nothing more", text);
            cunit_context(NULL);
            break;
        }
    }
    return bytes_of(kit_bytes, read.length);
}

void proxy_kit_expect(struct proxy_kit *kit, int fd, const char *text)
{
    struct kit_read read = {.fd = fd, .max = strlen(text)};

    while (read.max > 0 && !read.ended && kit_wait(kit, kit_read_now, &read, KIT_PATIENT) >= 0) {
        read.max = strlen(text) - read.length;
    }
    CHECK_TEXT(bytes_of(kit_bytes, read.length), text);
}

struct bytes proxy_kit_rest(struct proxy_kit *kit, int fd, bool *reset)
{
    struct kit_read read = {.fd = fd, .max = 65536};

    while (!read.ended && read.length + read.max <= KIT_READ) {
        if (!CHECK(kit_wait(kit, kit_read_now, &read, KIT_PATIENT) >= 0)) {
            break;
        }
    }
    if (reset != NULL) {
        *reset = read.reset;
    }
    return bytes_of(kit_bytes, read.length);
}

void proxy_kit_expect_end(struct proxy_kit *kit, int fd)
{
    bool reset = false;
    struct bytes rest = proxy_kit_rest(kit, fd, &reset);

    CHECK_TEXT(rest, "");
    CHECK(!reset);
}

void proxy_kit_expect_silence(struct proxy_kit *kit, int fd)
{
    struct kit_read read = {.fd = fd, .max = 65536};
    int result = kit_wait(kit, kit_read_now, &read, KIT_MOMENT);

    CHECK_TEXT(bytes_of(kit_bytes, read.length), "");
    CHECK(result < 0);
}

uint64_t proxy_kit_worker_stat(const struct proxy_kit *kit, enum abi_worker_stat stat)
{
    return abi_stat_get(&kit->stats->counters[stat]);
}

uint64_t proxy_kit_outcome(const struct proxy_kit *kit, uint32_t listener, enum abi_outcome outcome)
{
    return abi_stat_get(&abi_stats_listener(kit->stats, listener)->outcomes[outcome]);
}

/* --- access records --- */

static union {
    struct abi_log_record record;
    uint8_t bytes[LIMIT_LOG_RECORD];
} kit_record;

void proxy_kit_log(struct proxy_kit *kit)
{
    struct abi_log_op ops[ABI_LOG_VARIABLE_COUNT - 1];
    const char *names[] = {"x-request-id", "server"};
    uint32_t log;

    memset(ops, 0, sizeof(ops));
    for (uint32_t i = 0; i + 1 < ABI_LOG_VARIABLE_COUNT; i++) {
        ops[i].variable = (uint8_t)(i + 1);
    }
    log = snapshot_builder_log(kit->builder, ops, ABI_LOG_HEADER_2 - 1);
    for (uint8_t i = 0; i < 2; i++) {
        const struct abi_log_header header = {.name = snapshot_builder_text(kit->builder, names[i]),
                                              .response = i};

        snapshot_builder_add(kit->builder, ABI_SECTION_LOG_HEADER, &header);
    }
    ((struct abi_log *)snapshot_builder_record(kit->builder, ABI_SECTION_LOG, log))->headers.count =
        2;
    for (uint32_t i = 0; i < kit->listener_count; i++) {
        proxy_kit_listener(kit, i)->log = log;
    }
}

bool proxy_kit_has_record(struct proxy_kit *kit)
{
    uint64_t tail = kit->log_tail;

    return abi_log_ring_next(kit->log, &tail, &kit_record.record) == ABI_RECORDS_TAKEN;
}

const struct abi_log_record *proxy_kit_record(struct proxy_kit *kit)
{
    proxy_kit_settle(kit);
    memset(&kit_record, 0, sizeof(kit_record));
    CHECK_INT(abi_log_ring_next(kit->log, &kit->log_tail, &kit_record.record), ABI_RECORDS_TAKEN);
    abi_records_release(kit->log, kit->log_tail);
    return &kit_record.record;
}

struct bytes proxy_kit_recorded(enum abi_log_variable variable)
{
    const struct abi_log_part *part = &kit_record.record.parts[variable];

    return bytes_of(kit_record.bytes + sizeof(kit_record.record) + part->at, part->len);
}
