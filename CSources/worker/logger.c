#include "logger.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"
#include "control.h"
#include "logline.h"
#include "logsink.h"
#include "region.h"
#include "sandbox.h"
#include "table/view.h"
#include "worker/log.h"

#define LOGGER_BUSY_MS  10      /* between two looks at the rings, after one that found something */
#define LOGGER_IDLE_MS  50      /* ... after one that did not */
#define LOGGER_TICK_MS  500u    /* between two looks at the names of files */
#define LOGGER_AT_ONCE  262144u /* bytes of one ring before the next one's turn */
#define LOGGER_FORMATS  (2u * LIMIT_LOGS)
#define LOGGER_LITERALS LIMIT_LOG_LINE

/* A log as records name it. Those of earlier generations stay as long as there is room: exchanges
 * that began under them may end much later. */
struct logger_log {
    uint64_t key;     /* 0: free */
    uint64_t current; /* number of the newest snapshot that had it */
    struct logsink *sink;
    struct logline_format format;
    struct abi_log_op ops[LIMIT_LOG_OPS];
    uint8_t literals[LOGGER_LITERALS];
};

struct logger {
    const struct logger_config *config;
    uint64_t now_ms;
    uint64_t ticked_ms;
    uint64_t snapshots; /* taken */
    bool ending;
    uint64_t end_ms; /* orphan: when to end; 0: not an orphan */
    struct logline_clock clock;
    struct logger_log logs[LOGGER_FORMATS];
    struct logsink sinks[LOGGER_FORMATS];
    struct control_message message;
    union {
        struct abi_log_record record;
        uint8_t bytes[LIMIT_LOG_RECORD];
    } input;
};

/* One logger per process; zero pages that are touched only where there are logs. */
static struct logger logger_self;

/* --- logs --- */

static struct logger_log *logger_find(struct logger *logger, uint64_t key)
{
    for (uint32_t i = 0; i < LOGGER_FORMATS; i++) {
        if (logger->logs[i].key == key && logger->logs[i].sink != NULL) {
            return &logger->logs[i];
        }
    }
    return NULL;
}

static bool logger_is_used(const struct logger *logger, const struct logsink *sink)
{
    for (uint32_t i = 0; i < LOGGER_FORMATS; i++) {
        if (logger->logs[i].sink == sink) {
            return true;
        }
    }
    return false;
}

/* The place for another log: a free one, or the one that was current longest ago. */
static struct logger_log *logger_place(struct logger *logger)
{
    struct logger_log *oldest = NULL;

    for (uint32_t i = 0; i < LOGGER_FORMATS; i++) {
        struct logger_log *log = &logger->logs[i];

        if (log->sink == NULL) {
            return log;
        }
        if (log->current != logger->snapshots &&
            (oldest == NULL || log->current < oldest->current)) {
            oldest = log;
        }
    }
    MUST(oldest != NULL); /* twice as many places as a snapshot has logs */
    oldest->sink = NULL;
    return oldest;
}

static struct logsink *logger_sink(struct logger *logger, const struct abi_log *log,
                                   struct bytes path)
{
    struct logsink *unused = NULL;

    for (uint32_t i = 0; i < LOGGER_FORMATS; i++) {
        struct logsink *sink = &logger->sinks[i];

        if (sink->bytes == NULL || !logger_is_used(logger, sink)) {
            unused = unused == NULL || sink->bytes == NULL ? sink : unused;
        }
        if (sink->bytes != NULL && sink->kind == (enum abi_log_sink)log->sink &&
            bytes_equal(bytes_of(sink->path, strlen(sink->path)), path)) {
            return sink;
        }
    }
    MUST(unused != NULL); /* as many as logs */
    if (unused->bytes != NULL) {
        logsink_flush(unused, logger->now_ms);
        logsink_release(unused);
    }
    return logsink_init(unused, (enum abi_log_sink)log->sink, (const char *)path.ptr, path.len)
               ? unused
               : NULL;
}

static void logger_take_log(struct logger *logger, const struct view *view,
                            const struct abi_log *log)
{
    struct logger_log *known = logger_find(logger, log->key);
    uint32_t used = 0;

    if (known != NULL) {
        known->current = logger->snapshots;
        return;
    }
    known = logger_place(logger);
    known->key = log->key;
    known->current = logger->snapshots;
    memcpy(known->ops, view->log_ops + log->ops.at, log->ops.count * sizeof(known->ops[0]));
    for (uint32_t i = 0; i < log->ops.count; i++) {
        struct bytes literal = view_text(view, known->ops[i].literal);

        /* Their sum is below LIMIT_LOG_LINE: a rule of the snapshot. */
        MUST(literal.len <= sizeof(known->literals) - used);
        memcpy(known->literals + used, literal.ptr, literal.len);
        known->ops[i].literal.at = used;
        used += (uint32_t)literal.len;
    }
    known->format = (struct logline_format){
        .count = log->ops.count, .ops = known->ops, .text = bytes_of(known->literals, used)};
    known->sink = logger_sink(logger, log, view_text(view, log->path));
    if (known->sink == NULL) {
        log_line(LOG_LEVEL_ERROR, "no memory for an access log: its records are lost");
    }
}

static void logger_take_snapshot(struct logger *logger, int fd)
{
    struct region region = {.base = NULL};
    struct view_refusal refusal;
    struct view view;
    size_t size = 0;

    if (region_check(fd, LIMIT_SNAPSHOT_SIZE, &size) != ABI_REFUSAL_NONE ||
        region_map(fd, size, false, &region) != 0) {
        log_line(LOG_LEVEL_ERROR, "the logger cannot map a snapshot: %s", strerror(errno));
        return;
    }
    logger->snapshots++;
    if (view_open(&view, region.base, region.size, &refusal)) {
        for (uint32_t i = 0; i < view.counts[ABI_SECTION_LOG]; i++) {
            logger_take_log(logger, &view, &view.logs[i]);
        }
    }
    region_unmap(&region);
}

/* --- the channel --- */

static void logger_read_channel(struct logger *logger)
{
    const char *why = NULL;
    int got = 1;

    while (!logger->ending && logger->end_ms == 0 &&
           (got = control_receive(logger->config->channel, CONTROL_SUPERVISOR_DOWN,
                                  &logger->message, &why)) == 1) {
        switch (logger->message.head.type) {
        case ABI_CONTROL_PREPARE:
            logger_take_snapshot(logger, logger->message.descriptors.fds[0]);
            break;
        case ABI_CONTROL_REOPEN:
            for (uint32_t i = 0; i < LOGGER_FORMATS; i++) {
                if (logger->sinks[i].bytes != NULL) {
                    logsink_flush(&logger->sinks[i], logger->now_ms);
                    logsink_reopen(&logger->sinks[i]);
                }
            }
            break;
        default:
            logger->ending = true;
            break;
        }
        control_drop(&logger->message);
    }
    if (got < 0 && logger->end_ms == 0) {
        logger->end_ms = logger->now_ms + logger->config->orphan_grace_ms + 1000u;
    }
}

/* --- the rings --- */

static void logger_count(const struct logger *logger, uint32_t worker, enum abi_worker_stat stat)
{
    abi_stat_add(&logger->config->stats[worker]->counters[stat], 1);
}

static void logger_write(struct logger *logger, uint32_t worker)
{
    const struct abi_log_record *record = &logger->input.record;
    const struct logline_input input = {
        .record = record,
        .text = bytes_of(logger->input.bytes + sizeof(*record), record->text),
        .worker = worker,
    };
    struct logger_log *log = logger_find(logger, record->log);
    struct logline_room room = {.size = LIMIT_LOG_LINE};
    size_t length;

    if (log == NULL) {
        /* The snapshot with it was sent here before any worker was told to use it. */
        logger_read_channel(logger);
        log = logger_find(logger, record->log);
    }
    if (log == NULL) {
        logger_count(logger, worker, ABI_WORKER_LOG_LOST);
        return;
    }
    room.at = logsink_room(log->sink, logger->now_ms);
    length = room.at == NULL ? 0 : logline_write(&log->format, &input, &logger->clock, room);
    if (length == 0) {
        logsink_lose(log->sink);
        logger_count(logger, worker, ABI_WORKER_LOG_LOST);
        return;
    }
    logsink_added(log->sink, length);
    logger_count(logger, worker, ABI_WORKER_LOG_WRITTEN);
}

/* How much was taken. The room in the ring is given back only after the lines are with the system:
 * a logger that dies before leaves its successor to write them. */
static uint64_t logger_drain(struct logger *logger, uint32_t worker)
{
    struct abi_records *ring = logger->config->rings[worker];
    uint64_t from = __atomic_load_n(&ring->tail, __ATOMIC_RELAXED);
    uint64_t tail = from;

    while (tail - from < LOGGER_AT_ONCE) {
        enum abi_records_read read = abi_log_ring_next(ring, &tail, &logger->input.record);

        if (read == ABI_RECORDS_EMPTY) {
            break;
        }
        if (read == ABI_RECORDS_TAKEN) {
            logger_write(logger, worker);
            continue;
        }
        log_line(LOG_LEVEL_ERROR, "worker %u left no readable access record: what it had is lost",
                 worker);
        logger_count(logger, worker, ABI_WORKER_LOG_LOST);
        break;
    }
    if (tail == from) {
        return 0;
    }
    for (uint32_t i = 0; i < LOGGER_FORMATS; i++) {
        if (logger->sinks[i].used > 0) {
            logsink_flush(&logger->sinks[i], logger->now_ms);
        }
    }
    abi_records_release(ring, tail);
    return tail - from;
}

/* --- the loop --- */

static int64_t logger_clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void logger_read_clock(struct logger *logger)
{
    int64_t monotonic_ns = logger_clock_ns(CLOCK_MONOTONIC);

    logger->clock.offset_ns = logger_clock_ns(CLOCK_REALTIME) - monotonic_ns;
    logger->now_ms = (uint64_t)monotonic_ns / 1000000u;
}

static void logger_tick(struct logger *logger)
{
    if (logger->now_ms < logger->ticked_ms + LOGGER_TICK_MS) {
        return;
    }
    logger->ticked_ms = logger->now_ms;
    for (uint32_t i = 0; i < LOGGER_FORMATS; i++) {
        if (logger->sinks[i].bytes != NULL) {
            logsink_flush(&logger->sinks[i], logger->now_ms);
            logsink_follow(&logger->sinks[i]);
        }
    }
}

/* The most that was taken of one ring. */
static uint64_t logger_turn(struct logger *logger)
{
    uint64_t most = 0;

    logger_read_clock(logger);
    logger_read_channel(logger);
    for (uint32_t worker = 0; worker < logger->config->workers; worker++) {
        uint64_t taken = logger_drain(logger, worker);

        most = taken > most ? taken : most;
    }
    logger_tick(logger);
    return most;
}

int logger_run(const struct logger_config *config)
{
    struct logger *logger = &logger_self;
    struct sandbox_report sandbox;
    uint64_t most;

    logger->config = config;
    for (uint32_t i = 0; i < LOGGER_FORMATS; i++) {
        logger->sinks[i].fd = -1;
    }
    (void)prctl(PR_SET_NAME, "mesh-logger");
    sandbox_enter_logger(&sandbox);
    if (!sandbox.seccomp) {
        log_line(LOG_LEVEL_WARN, "the logger runs without seccomp: %s", strerror(errno));
    }
    do {
        bool orphan = logger->end_ms != 0;
        struct pollfd wait = {.fd = orphan ? -1 : config->channel, .events = POLLIN};

        most = logger_turn(logger);
        if (!logger->ending && most < LOGGER_AT_ONCE) { /* else a ring has more */
            (void)poll(&wait, 1, most > 0 ? LOGGER_BUSY_MS : LOGGER_IDLE_MS);
        }
    } while (logger->end_ms == 0 ? !logger->ending || most > 0 : logger->now_ms < logger->end_ms);
    return 0;
}
