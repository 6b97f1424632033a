#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/evlog.h"
#include "base/must.h"
#include "base/num.h"
#include "control.h"
#include "crash.h"
#include "generations.h"
#include "proxy/proxy.h"
#include "questions.h"
#include "ring/mode.h"
#include "sandbox.h"
#include "worker/log.h"

enum { WORKER_KIND_CONTROL = PROXY_KIND_COUNT, WORKER_KIND_VERDICTS };

#define WORKER_RING_ENTRIES 1024u
#define WORKER_OTHER_FDS    (LIMIT_LISTENERS + 2 * LIMIT_PIPES + 64u)
#define WORKER_NS_PER_MS    1000000u

struct worker {
    const struct worker_config *config;
    struct ring *ring;
    struct proxy *proxy;
    struct generations generations;
    uint64_t preparing; /* generation of the PREPARE that is being worked on or waits for COMMIT */
    bool readable;      /* the channel has, or may have, a message */
    bool watching;      /* a poll of the channel is armed */
    bool draining;
    bool orphan; /* the supervisor is gone */
    uint32_t max_connections;
    struct control_message message;
    struct evlog events;
    struct ring_event batch[LIMIT_EVENTS];
};

/* One worker per process; in the zero pages of the program, so that nothing is allocated. */
static struct worker worker_self;

/* --- to the supervisor --- */

/* Without the supervisor nobody can tell this worker anything any more: it serves what it has in
 * flight to its end and makes room. A supervisor that does not read is as good as gone. */
static void worker_orphaned(struct worker *worker, const char *why)
{
    if (worker->orphan) {
        return;
    }
    worker->orphan = true;
    evlog_note(&worker->events, "orphaned", 0, 0);
    log_line(LOG_LEVEL_ERROR, "lost the supervisor (%s): draining", why);
    worker->draining = true;
    proxy_retire(worker->proxy, worker->config->orphan_grace_ms);
}

static void worker_send(struct worker *worker, const void *message)
{
    int err;

    if (worker->orphan) {
        return;
    }
    err = control_send(worker->config->channel, message, NULL, 0);
    if (err != MESH_OK) {
        worker_orphaned(worker, err_name(err));
    }
}

static void worker_tell(struct worker *worker, enum abi_control_type type, uint64_t generation)
{
    struct abi_control_generation message = {
        .head = control_head(type, sizeof(message)),
        .worker = worker->config->slot,
        .generation = generation,
    };

    worker_send(worker, &message);
}

static void worker_tell_phase(struct worker *worker, enum abi_phase phase, uint64_t generation)
{
    struct abi_control_phase message = {
        .head = control_head(ABI_CONTROL_PHASE, sizeof(message)),
        .worker = worker->config->slot,
        .phase = (uint32_t)phase,
        .generation = generation,
    };

    evlog_note(&worker->events, "phase", (uint64_t)phase, generation);
    worker_send(worker, &message);
}

static void worker_tell_refused(struct worker *worker, const struct view_refusal *refusal)
{
    struct abi_control_phase message = {
        .head = control_head(ABI_CONTROL_PHASE, sizeof(message)),
        .worker = worker->config->slot,
        .phase = ABI_PHASE_REFUSED,
        .generation = worker->preparing,
        .code = (uint32_t)refusal->code,
    };

    evlog_note(&worker->events, "refused", worker->preparing, (uint64_t)refusal->code);
    control_reason(message.reason, refusal->what != NULL ? refusal->what : "no reason given");
    worker->preparing = 0;
    worker_send(worker, &message);
}

/* --- from the supervisor --- */

static void worker_on_listener(struct worker *worker)
{
    const struct abi_control_listener *listener = &worker->message.listener;

    for (uint32_t i = 0; i < listener->count; i++) {
        proxy_add_socket(worker->proxy, listener->keys[i], control_take(&worker->message, i));
    }
}

static void worker_on_prepare(struct worker *worker)
{
    const struct abi_control_generation *prepare = &worker->message.generation;
    struct view_refusal refusal = {.code = ABI_REFUSAL_NONE};
    int secrets = prepare->has_secrets != 0 ? worker->message.descriptors.fds[1] : -1;

    generations_abort(&worker->generations);
    worker->preparing = prepare->generation;
    evlog_note(&worker->events, "prepare", prepare->generation, prepare->has_secrets);
    if (!generations_begin(&worker->generations, worker->message.descriptors.fds[0], secrets,
                           &refusal)) {
        worker_tell_refused(worker, &refusal);
    }
}

static void worker_on_commit(struct worker *worker)
{
    uint64_t generation = worker->message.generation.generation;

    evlog_note(&worker->events, "commit", generation, worker->preparing);
    if (worker->generations.stage != GENERATIONS_PREPARED || generation != worker->preparing) {
        return; /* refused here before, and said so: the supervisor replaces this process */
    }
    generations_commit(&worker->generations);
    worker->preparing = 0;
    __atomic_store_n(&worker->config->stats->generation, generation, __ATOMIC_RELEASE);
    worker_tell_phase(worker, ABI_PHASE_COMMITTED, generation);
}

static void worker_on_message(struct worker *worker)
{
    switch (worker->message.head.type) {
    case ABI_CONTROL_LISTENER:
        worker_on_listener(worker);
        break;
    case ABI_CONTROL_PREPARE:
        worker_on_prepare(worker);
        break;
    case ABI_CONTROL_COMMIT:
        worker_on_commit(worker);
        break;
    case ABI_CONTROL_ABORT:
        if (worker->message.generation.generation == worker->preparing) {
            generations_abort(&worker->generations);
            worker->preparing = 0;
        }
        break;
    case ABI_CONTROL_RETIRE:
        worker->draining = true;
        proxy_retire(worker->proxy, worker->message.generation.grace_ms);
        break;
    default:
        MUST(worker->message.head.type == ABI_CONTROL_DRAIN);
        worker->draining = true;
        proxy_drain(worker->proxy, worker->message.generation.grace_ms);
        break;
    }
    control_drop(&worker->message);
}

/* Messages in their order; a generation that is being opened is finished before the next one is
 * read, so that every PREPARE meets its own COMMIT or ABORT. */
static void worker_read_channel(struct worker *worker)
{
    const char *why = "closed";

    while (worker->readable && !worker->orphan &&
           worker->generations.stage != GENERATIONS_OPENING) {
        int got = control_receive(worker->config->channel, CONTROL_SUPERVISOR_DOWN,
                                  &worker->message, &why);

        if (got == 1) {
            worker_on_message(worker);
        } else if (got == 0) {
            worker->readable = false;
        } else {
            worker_orphaned(worker, why);
        }
    }
    if (!worker->readable && !worker->watching && !worker->orphan) {
        worker->watching = true;
        ring_poll(worker->ring, worker->config->channel, POLLIN,
                  ring_token(WORKER_KIND_CONTROL, 0, 0));
    }
}

/* --- tokens of requests --- */

static bool worker_ask(void *context, const struct abi_token_question *question)
{
    const struct worker *worker = context;

    return questions_ask(worker->config->questions, question);
}

static void worker_await_verdicts(struct worker *worker)
{
    ring_poll(worker->ring, worker->config->questions, POLLIN,
              ring_token(WORKER_KIND_VERDICTS, 0, 0));
}

/* As many as there may be answers; more are looked at in the next turn. */
[[gnu::noinline]] static void worker_on_verdicts(struct worker *worker)
{
    struct abi_token_verdict verdict;
    enum questions_got got = QUESTIONS_NONSENSE;

    for (uint32_t i = 0; i < LIMIT_TOKEN_FLIGHTS && got != QUESTIONS_NOTHING; i++) {
        got = questions_take(worker->config->questions, &verdict);
        if (got == QUESTIONS_OVER) {
            return;
        }
        if (got == QUESTIONS_VERDICT) {
            proxy_take_verdict(worker->proxy, &verdict);
        }
    }
    worker_await_verdicts(worker);
}

/* --- the loop --- */

static void worker_open_slice(struct worker *worker)
{
    struct view_refusal refusal = {.code = ABI_REFUSAL_NONE};

    if (worker->generations.stage != GENERATIONS_OPENING) {
        return;
    }
    switch (generations_step(&worker->generations, LIMIT_VIEW_SLICE_NS / 2, &refusal)) {
    case VIEW_MORE:
        break;
    case VIEW_READY:
        worker_tell_phase(worker, ABI_PHASE_PREPARED, worker->preparing);
        break;
    case VIEW_REFUSED:
        worker_tell_refused(worker, &refusal);
        break;
    }
}

static void worker_reap(struct worker *worker)
{
    bool committed = false;
    uint64_t generation;

    while ((generation = generations_reap(&worker->generations, &committed)) != 0) {
        evlog_note(&worker->events, "released", generation, committed ? 1 : 0);
        if (committed) {
            worker_tell(worker, ABI_CONTROL_RELEASED, generation);
        }
    }
}

static void worker_run_event(struct worker *worker, const struct ring_event *event)
{
    if (ring_token_kind(event->token) < PROXY_KIND_COUNT) {
        proxy_event(worker->proxy, event);
        return;
    }
    if (ring_token_kind(event->token) == WORKER_KIND_VERDICTS) {
        worker_on_verdicts(worker);
        return;
    }
    MUST(ring_token_kind(event->token) == WORKER_KIND_CONTROL);
    worker->watching = false;
    worker->readable = true;
}

static void worker_beat(struct worker *worker, uint32_t events)
{
    struct abi_stats *stats = worker->config->stats;

    abi_stat_add(&stats->counters[ABI_WORKER_TURNS], 1);
    abi_stat_add(&stats->counters[ABI_WORKER_EVENTS], events);
    abi_stat_set(&stats->counters[ABI_WORKER_VIEWS_LIVE], generations_live(&worker->generations));
    abi_stat_set(&stats->heartbeat_ns, ring_now_ns(worker->ring));
}

static uint64_t worker_sleep_ns(const struct worker *worker)
{
    if (worker->generations.stage == GENERATIONS_OPENING || worker->readable) {
        return 0;
    }
    return num_min_u64(proxy_sleep_ns(worker->proxy),
                       (uint64_t)WORKER_HEARTBEAT_MS * WORKER_NS_PER_MS);
}

/* One turn: 0, or the errno of a broken ring. */
static int worker_turn(struct worker *worker)
{
    int count = ring_wait(worker->ring, worker_sleep_ns(worker), worker->batch, LIMIT_EVENTS);

    if (count < 0) {
        return -count;
    }
    for (int i = 0; i < count; i++) {
        proxy_foresee(worker->proxy, &worker->batch[i], (uint32_t)(count - i));
        worker_run_event(worker, &worker->batch[i]);
    }
    proxy_turn(worker->proxy);
    worker_read_channel(worker);
    worker_open_slice(worker);
    worker_reap(worker);
    worker_beat(worker, (uint32_t)count);
    return 0;
}

static uint32_t worker_max_connections(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= WORKER_OTHER_FDS + 64u) {
        return 64;
    }
    return (uint32_t)num_min_u64(limit.rlim_cur - WORKER_OTHER_FDS, LIMIT_CONNECTIONS);
}

/* What needs the system at large: before the sandbox is entered. 0 or an exit status. */
static int worker_start(struct worker *worker)
{
    const struct ring_config ring = {.engine = worker->config->engine,
                                     .entries = WORKER_RING_ENTRIES,
                                     .small_buffers = LIMIT_SMALL_BUFFERS,
                                     .large_buffers = LIMIT_LARGE_BUFFERS,
                                     .pipes = LIMIT_PIPES};
    const char *hint = NULL;
    int err = ring_create(&ring, &worker->ring, &hint);
    struct proxy_config proxy = {.worker = worker->config->slot,
                                 .stats = worker->config->stats,
                                 .overlay = worker->config->overlay,
                                 .tally = worker->config->tally,
                                 .log = worker->config->log,
                                 .max_connections = worker->max_connections,
                                 .ask = worker_ask,
                                 .released = generations_released,
                                 .context = worker};

    if (err != 0) {
        log_line(LOG_LEVEL_ERROR, "no ring: %s%s%s", strerror(-err), hint != NULL ? "; " : "",
                 hint != NULL ? hint : "");
        return 69;
    }
    if (getrandom(&proxy.seed, sizeof(proxy.seed), 0) != sizeof(proxy.seed) ||
        getrandom(proxy.trace_seed, sizeof(proxy.trace_seed), 0) != sizeof(proxy.trace_seed)) {
        log_line(LOG_LEVEL_ERROR, "no random numbers: %s", strerror(errno));
        return 69;
    }
    proxy.ring = worker->ring;
    err = proxy_create(&proxy, &worker->proxy);
    if (err != MESH_OK) {
        log_line(LOG_LEVEL_ERROR, "the proxy cannot be made: %s", err_name(err));
        return 70;
    }
    worker->generations.proxy = worker->proxy;
    return 0;
}

static void worker_report_sandbox(const struct worker *worker, const struct sandbox_report *report)
{
    log_line(report->seccomp && report->landlock > 0 ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN,
             "in force: no_new_privs %s, seccomp %s, landlock %d; at most %u connections; %s, %s",
             report->no_new_privs ? "yes" : "no", report->seccomp ? "yes" : "no", report->landlock,
             worker->max_connections, ring_engine(worker->ring), ring_mode(worker->ring));
}

int worker_run(const struct worker_config *config)
{
    struct worker *worker = &worker_self;
    struct sandbox_report sandbox;
    int status;

    worker->config = config;
    worker->max_connections = worker_max_connections();
    crash_install(config->slot, &worker->events, &config->stats->generation);
    if (!cpus_pin(config->cpus, config->slot)) {
        log_line(LOG_LEVEL_WARN, "cannot be bound to its processor: %s", strerror(errno));
    }
    status = worker_start(worker);
    if (status != 0) {
        return status;
    }
    sandbox_enter(config->engine == RING_ENGINE_EPOLL ? SANDBOX_EPOLL : SANDBOX_URING, &sandbox);
    worker_report_sandbox(worker, &sandbox);
    worker->readable = true;
    worker_await_verdicts(worker);
    worker_beat(worker, 0);
    worker_tell(worker, ABI_CONTROL_READY, 0);
    while (!(worker->draining && proxy_is_drained(worker->proxy))) {
        int err = worker_turn(worker);

        if (err != 0) {
            log_line(LOG_LEVEL_ERROR, "the ring is broken: %s", strerror(err));
            return 70;
        }
    }
    worker_tell(worker, ABI_CONTROL_DRAINED, worker->config->stats->generation);
    return 0;
}
