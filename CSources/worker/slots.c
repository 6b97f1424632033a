#include "slots.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"
#include "base/num.h"
#include "gauges.h"
#include "logkeeper.h"
#include "peers.h"
#include "publish.h"
#include "takeover.h"
#include "tally.h"
#include "upgrade.h"
#include "worker.h"

#define SLOTS_CHANNEL   3 /* descriptor of the channel in a worker */
#define SLOTS_QUESTIONS 4 /* ... of its end of abi/tokens.h */

static const char *const slots_state_names[ABI_WORKER_STATE_COUNT] = {
    "starting", "serving", "draining", "dead", "out of service"};

static void slots_init_spans(struct abi_records *ring)
{
    ring->magic = ABI_SPANS_MAGIC;
    ring->version = ABI_VERSION;
    ring->size = LIMIT_SPAN_RING;
}

bool slots_init(struct state *state)
{
    state->tally_file = tally_create(state->config->workers, &state->tally);
    if (state->tally_file < 0) {
        log_line(LOG_LEVEL_ERROR, "no memory for the tally: %s", strerror(-state->tally_file));
        return false;
    }
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        struct state_slot *worker = &state->slots[slot];
        struct abi_stats *stats;

        *worker = (struct state_slot){
            .channel = -1, .output = -1, .questions = {-1, -1}, .state = ABI_WORKER_DEAD};
        worker->stats_file = region_create("ringmesh-stats", abi_stats_size(), &worker->stats);
        if (worker->stats_file < 0) {
            log_line(LOG_LEVEL_ERROR, "no memory for statistics: %s",
                     strerror(-worker->stats_file));
            return false;
        }
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                       worker->questions) != 0) {
            log_line(LOG_LEVEL_ERROR, "no sockets for questions: %s", strerror(errno));
            return false;
        }
        MUST(worker->questions[1] > SLOTS_QUESTIONS); /* see slots_connect() */
        if (!logkeeper_init(state, slot)) {
            return false;
        }
        stats = worker->stats.base;
        stats->magic = ABI_STATS_MAGIC;
        stats->version = ABI_VERSION;
        stats->worker = slot;
        stats->listener_slots = LIMIT_LISTENERS;
        stats->target_slots = LIMIT_TARGETS;
        slots_init_spans(abi_stats_spans(stats));
    }
    return true;
}

void slots_set_state(struct state *state, uint32_t slot, enum abi_worker_state next)
{
    struct state_slot *worker = &state->slots[slot];

    if (worker->state != next) {
        log_line(next == ABI_WORKER_BROKEN ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO,
                 "worker %u, process %d: %s", slot, (int)worker->pid, slots_state_names[next]);
    }
    worker->state = next;
    peers_tell_worker(state, slot, false);
}

/* --- what a worker is told --- */

static void slots_send(struct state *state, uint32_t slot, const void *message, const int *fds,
                       uint32_t count)
{
    struct state_slot *worker = &state->slots[slot];
    int err;

    if (worker->channel < 0) {
        return;
    }
    err = control_send(worker->channel, message, fds, count);
    if (err == MESH_E_TOO_MANY) {
        slots_kill(state, slot, "it does not read its messages");
    }
    /* MESH_E_CLOSED: it is about to be reaped. */
}

void slots_send_sockets(struct state *state, uint32_t slot, bool committed)
{
    struct abi_control_listener message = {.head =
                                               control_head(ABI_CONTROL_LISTENER, sizeof(message))};
    int fds[ABI_CONTROL_LISTENERS];

    for (uint32_t i = 0; i < state->sockets.count; i++) {
        const struct sockets_entry *entry = &state->sockets.entries[i];
        bool wanted = committed ? entry->committed : entry->staged && !entry->committed;

        if (wanted && entry->fds[slot] >= 0) {
            message.keys[message.count] = entry->key;
            fds[message.count++] = entry->fds[slot];
        }
        if (message.count == ABI_CONTROL_LISTENERS) {
            slots_send(state, slot, &message, fds, message.count);
            message.count = 0;
            memset(message.keys, 0, sizeof(message.keys));
        }
    }
    if (message.count > 0) {
        slots_send(state, slot, &message, fds, message.count);
    }
}

void slots_send_generation(struct state *state, uint32_t slot, enum abi_control_type type,
                           const struct state_files *files)
{
    bool secrets = type == ABI_CONTROL_PREPARE && files->secrets >= 0;
    struct abi_control_generation message = {
        .head = control_head(type, sizeof(message)),
        .worker = slot,
        .has_secrets = secrets ? 1 : 0,
        .generation = files->generation,
    };
    const int fds[2] = {files->snapshot, files->secrets};

    slots_send(state, slot, &message, fds, type == ABI_CONTROL_PREPARE ? (secrets ? 2 : 1) : 0);
}

static void slots_finish(struct state *state, enum abi_control_type type, uint64_t grace_ms)
{
    state->draining = true;
    state->drain_end_ms = state->now_ms + grace_ms + SLOTS_KILL_MS;
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        struct abi_control_generation message = {
            .head = control_head(type, sizeof(message)),
            .worker = slot,
            .grace_ms = grace_ms,
        };

        if (state->slots[slot].pid != 0) {
            slots_send(state, slot, &message, NULL, 0);
            slots_set_state(state, slot, ABI_WORKER_DRAINING);
        }
    }
}

void slots_drain(struct state *state, uint64_t grace_ms)
{
    slots_finish(state, ABI_CONTROL_DRAIN, grace_ms);
}

void slots_retire(struct state *state)
{
    state->retired = true;
    slots_finish(state, ABI_CONTROL_RETIRE, state->config->drain_timeout_ms);
}

uint64_t slots_connections(const struct state *state)
{
    uint64_t count = 0;

    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        const struct abi_stats *stats = state->slots[slot].stats.base;

        if (state->slots[slot].pid != 0) {
            count += abi_stat_get(&stats->counters[ABI_WORKER_CONNECTIONS_OPEN]);
        }
    }
    return count;
}

/* --- start --- */

/* The worker process: everything of the supervisor that it has no use for is closed, so that a
 * listening socket that the supervisor gives up is gone, and given back, so that what the
 * supervisor knows is not in a worker's memory. */
[[noreturn]] static void slots_become_worker(struct state *state, uint32_t slot, int channel,
                                             int output)
{
    const struct worker_config config = {
        .slot = slot,
        .channel = SLOTS_CHANNEL,
        .questions = SLOTS_QUESTIONS,
        .stats = state->slots[slot].stats.base,
        .overlay = state->overlay.base,
        .tally = state->tally.base,
        .log = state->slots[slot].log.base,
        .cpus = &state->config->cpus,
        .engine = state->engine,
        .orphan_grace_ms = state->config->drain_timeout_ms,
    };
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1};
    sigset_t none;
    int nothing = open("/dev/null", O_RDWR);

    sigemptyset(&none);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        /* The supervisor decides when a worker ends; a terminal or a service manager that signals
         * the whole group must not cut what is in flight. */
        struct sigaction ignore = {.sa_handler = SIG_IGN};

        MUST(sigaction(numbers[i], &ignore, NULL) == 0);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (nothing < 0 || dup2(nothing, 0) < 0 || dup2(nothing, 1) < 0 || dup2(output, 2) < 0 ||
        dup2(channel, SLOTS_CHANNEL) < 0 ||
        dup2(state->slots[slot].questions[1], SLOTS_QUESTIONS) < 0 ||
        close_range(SLOTS_QUESTIONS + 1, ~0u, 0) != 0) {
        _exit(SUPERVISOR_EXIT_UNAVAILABLE);
    }
    for (uint32_t other = 0; other < state->config->workers; other++) {
        if (other != slot) {
            region_unmap(&state->slots[other].stats);
            region_unmap(&state->slots[other].log);
        }
    }
    region_forget(state, sizeof(*state));
    log_become_worker();
    _exit(worker_run(&config));
}

/* The channel ([0] ours, [1] the worker's) and the pipe of its standard error ([0] ours). */
static bool slots_connect(int channel[2], int output[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel) != 0) {
        return false;
    }
    if (pipe2(output, O_CLOEXEC | O_NONBLOCK) != 0) {
        close(channel[0]);
        close(channel[1]);
        return false;
    }
    /* dup2() onto the same number would keep close-on-exec; both ends must lie above. */
    MUST(channel[1] > SLOTS_QUESTIONS);
    MUST(output[1] > SLOTS_QUESTIONS);
    return true;
}

/* What a fresh process needs to serve: the committed generation first, then the one under way. */
static void slots_feed(struct state *state, uint32_t slot)
{
    if (state->committed.generation != 0) {
        slots_send_sockets(state, slot, true);
        slots_send_generation(state, slot, ABI_CONTROL_PREPARE, &state->committed);
        slots_send_generation(state, slot, ABI_CONTROL_COMMIT, &state->committed);
        state->slots[slot].behind_ms = state->now_ms;
    }
    if (state->rollout.state == ROLLOUT_PREPARING) {
        slots_send_sockets(state, slot, false);
        slots_send_generation(state, slot, ABI_CONTROL_PREPARE, &state->staged);
        rollout_join(&state->rollout, slot);
    }
}

static void slots_start(struct state *state, uint32_t slot)
{
    struct state_slot *worker = &state->slots[slot];
    struct abi_stats *stats = worker->stats.base;
    char reason[LIMIT_REASON];
    int channel[2], output[2];
    pid_t pid;

    worker->start_ms = state->now_ms + LIFE_PAUSE_MS; /* if anything below fails */
    if (worker->state == ABI_WORKER_BROKEN && !sockets_open_slot(&state->sockets, slot, reason)) {
        log_line(LOG_LEVEL_ERROR, "worker %u comes back incomplete: %s", slot, reason);
    }
    if (!slots_connect(channel, output)) {
        log_line(LOG_LEVEL_ERROR, "worker %u cannot be started: %s", slot, strerror(errno));
        return;
    }
    gauges_clear(worker->stats_file, stats);
    pid = fork();
    if (pid == 0) {
        slots_become_worker(state, slot, channel[1], output[1]);
    }
    close(channel[1]);
    close(output[1]);
    if (pid < 0) {
        log_line(LOG_LEVEL_ERROR, "worker %u cannot be started: %s", slot, strerror(errno));
        close(channel[0]);
        close(output[0]);
        return;
    }
    worker->pid = pid;
    worker->channel = channel[0];
    worker->output = output[0];
    worker->generation = 0;
    worker->started_ms = state->now_ms;
    worker->behind_ms = 0;
    worker->abort_ms = 0;
    worker->ended = false;
    __atomic_store_n(&stats->pid, (uint32_t)pid, __ATOMIC_RELAXED);
    __atomic_store_n(&stats->generation, 0, __ATOMIC_RELAXED);
    abi_stat_add(&stats->counters[ABI_WORKER_STARTS], 1);
    slots_set_state(state, slot, ABI_WORKER_STARTING);
    slots_feed(state, slot);
}

/* --- what a worker says --- */

static void slots_on_message(struct state *state, uint32_t slot)
{
    struct control_message *message = &state->message;

    switch (message->head.type) {
    case ABI_CONTROL_READY:
        peers_tell(state, message->bytes, NULL, 0);
        if (state->slots[slot].state == ABI_WORKER_STARTING && state->committed.generation == 0) {
            slots_set_state(state, slot, ABI_WORKER_SERVING);
        }
        break;
    case ABI_CONTROL_PHASE:
        publish_phase(state, slot, &message->phase);
        break;
    default: /* DRAINED, RELEASED */
        peers_tell(state, message->bytes, NULL, 0);
        break;
    }
}

/* The slot a message speaks for: READY, DRAINED, RELEASED and PHASE carry it behind the head. */
static uint32_t slots_speaker(const struct control_message *message)
{
    return message->head.type == ABI_CONTROL_PHASE ? message->phase.worker
                                                   : message->generation.worker;
}

void slots_read_channel(struct state *state, uint32_t slot)
{
    struct state_slot *worker = &state->slots[slot];
    const char *why = "closed";
    int got = 1;

    while (got == 1 && worker->channel >= 0) {
        got = control_receive(worker->channel, CONTROL_WORKER, &state->message, &why);
        if (got == 1 && slots_speaker(&state->message) != slot) {
            why = "it speaks for another worker";
            got = MESH_E_SYNTAX;
        }
        if (got == 1) {
            slots_on_message(state, slot);
        } else if (got == MESH_E_CLOSED) {
            close(worker->channel); /* it ends; its status is taken when it has */
            worker->channel = -1;
        } else if (got < 0) {
            slots_kill(state, slot, why);
        }
    }
}

void slots_read_output(struct state *state, uint32_t slot)
{
    struct state_slot *worker = &state->slots[slot];
    const struct log_origin origin = {.worker = slot, .pid = (uint32_t)worker->pid};
    char bytes[4096];
    ssize_t length;

    do {
        length = read(worker->output, bytes, sizeof(bytes));
        if (length > 0) {
            log_relay(&worker->relay, origin, bytes, (size_t)length);
        }
    } while (length > 0);
    if (length == 0) {
        close(worker->output);
        worker->output = -1;
    }
}

/* --- end --- */

void slots_kill(struct state *state, uint32_t slot, const char *why)
{
    struct state_slot *worker = &state->slots[slot];

    if (worker->pid != 0 && !worker->ended) {
        worker->ended = true;
        log_line(LOG_LEVEL_ERROR, "worker %u, process %d, is ended: %s", slot, (int)worker->pid,
                 why);
        kill(worker->pid, SIGKILL);
    }
}

/* Takes what the process left behind and plans its successor. */
static void slots_ended(struct state *state, uint32_t slot, int status)
{
    struct state_slot *worker = &state->slots[slot];
    const struct log_origin origin = {.worker = slot, .pid = (uint32_t)worker->pid};
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    struct life_plan plan;

    worker->ended = true; /* its number may belong to another process by now */
    slots_read_channel(state, slot);
    if (worker->channel >= 0) {
        close(worker->channel);
        worker->channel = -1;
    }
    if (worker->output >= 0) {
        slots_read_output(state, slot);
    }
    if (worker->output >= 0) {
        close(worker->output);
        worker->output = -1;
    }
    log_relay_end(&worker->relay, origin);
    log_line(clean ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "worker %u, process %d, has ended: %s %d",
             slot, (int)worker->pid, WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    tally_forget(state->tally_file, state->tally.base, slot);
    worker->pid = 0;
    worker->generation = 0;
    worker->exit_status = (uint32_t)status;
    rollout_gone(&state->rollout, slot);
    if (state->takeover.phase != STATE_TAKEOVER_NONE) {
        takeover_abandon(state, "one of its workers ended before all of them served");
    }
    if (state->draining) {
        slots_set_state(state, slot, ABI_WORKER_DEAD);
        return;
    }
    plan = life_ended(&worker->life, worker->started_ms, state->now_ms);
    worker->start_ms = plan.start_ms;
    if (plan.out_of_service) {
        /* The last one keeps its sockets: clients that wait are better off than refused ones. */
        if ((slots_in_service(state) & ~(1ULL << slot)) != 0) {
            sockets_close_slot(&state->sockets, slot);
        }
        rollout_forget(&state->rollout, slot);
    }
    slots_set_state(state, slot, plan.out_of_service ? ABI_WORKER_BROKEN : ABI_WORKER_DEAD);
}

void slots_reap(struct state *state)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (logkeeper_ended(state, pid, status) || upgrade_ended(state, pid, status)) {
            continue;
        }
        for (uint32_t slot = 0; slot < state->config->workers; slot++) {
            if (state->slots[slot].pid == pid) {
                slots_ended(state, slot, status);
                break;
            }
        }
    }
}

/* --- the watch --- */

static void slots_watch(struct state *state, uint32_t slot)
{
    struct state_slot *worker = &state->slots[slot];
    const struct abi_stats *stats = worker->stats.base;
    uint64_t seen_ms = abi_stat_get(&stats->heartbeat_ns) / 1000000u;

    seen_ms = seen_ms > worker->started_ms ? seen_ms : worker->started_ms;
    seen_ms = seen_ms > state->watch_from_ms ? seen_ms : state->watch_from_ms;
    if (worker->abort_ms != 0) {
        if (state->now_ms >= worker->abort_ms + SLOTS_ABORT_MS) {
            slots_kill(state, slot, "it did not end by itself");
        }
    } else if (state->now_ms >= seen_ms + SLOTS_STUCK_MS) {
        log_line(LOG_LEVEL_ERROR, "worker %u, process %d, makes no loop turns: it is aborted", slot,
                 (int)worker->pid);
        worker->abort_ms = state->now_ms;
        kill(worker->pid, SIGABRT);
    } else if (worker->behind_ms != 0 && state->now_ms >= worker->behind_ms + SLOTS_BEHIND_MS) {
        slots_kill(state, slot, "it does not take the committed generation");
    }
}

void slots_tick(struct state *state)
{
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        struct state_slot *worker = &state->slots[slot];

        if (worker->pid != 0) {
            if (!state->draining) {
                slots_watch(state, slot);
            }
        } else if (!state->draining && state->now_ms >= worker->start_ms) {
            slots_start(state, slot);
        }
    }
    logkeeper_tick(state);
}

uint64_t slots_due_ms(const struct state *state)
{
    uint64_t due = state->now_ms + 1000; /* the watch */

    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        const struct state_slot *worker = &state->slots[slot];

        if (worker->pid == 0 && !state->draining) {
            due = num_min_u64(due, worker->start_ms);
        } else if (worker->abort_ms != 0 && !worker->ended) {
            due = num_min_u64(due, worker->abort_ms + SLOTS_ABORT_MS);
        }
    }
    if (state->logger.wanted && state->logger.pid == 0) {
        due = num_min_u64(due, state->logger.start_ms);
    }
    return due;
}

uint64_t slots_alive(const struct state *state)
{
    uint64_t set = 0;

    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        set |= state->slots[slot].pid != 0 ? 1ULL << slot : 0;
    }
    return set;
}

uint64_t slots_in_service(const struct state *state)
{
    uint64_t set = 0;

    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        set |= state->slots[slot].state != ABI_WORKER_BROKEN ? 1ULL << slot : 0;
    }
    return set;
}
