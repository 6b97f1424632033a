#include "logkeeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "abi/snapshot.h"
#include "base/err.h"
#include "base/must.h"
#include "logger.h"

#define LOGKEEPER_CHANNEL 3 /* descriptor of the channel in the logger */

bool logkeeper_init(struct state *state, uint32_t slot)
{
    struct state_slot *worker = &state->slots[slot];
    struct abi_records *ring;
    int fd = region_create("ringmesh-log", abi_log_ring_bytes(), &worker->log);

    if (fd < 0) {
        log_line(LOG_LEVEL_ERROR, "no memory for access records: %s", strerror(-fd));
        return false;
    }
    close(fd); /* children inherit the mapping */
    ring = worker->log.base;
    ring->magic = ABI_LOG_MAGIC;
    ring->version = ABI_VERSION;
    ring->size = LIMIT_LOG_RING;
    return true;
}

[[noreturn]] static void logkeeper_become_logger(struct state *state, int channel)
{
    const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGUSR1};
    struct logger_config config = {.channel = LOGKEEPER_CHANNEL,
                                   .workers = state->config->workers,
                                   .orphan_grace_ms = state->config->drain_timeout_ms};
    sigset_t none;

    sigemptyset(&none);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction ignore = {.sa_handler = SIG_IGN}; /* the supervisor tells it to end */

        MUST(sigaction(numbers[i], &ignore, NULL) == 0);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(channel, LOGKEEPER_CHANNEL) < 0 || close_range(LOGKEEPER_CHANNEL + 1, ~0u, 0) != 0) {
        _exit(SUPERVISOR_EXIT_UNAVAILABLE);
    }
    (void)cpus_spare(&state->config->cpus, config.workers); /* else it shares one with a worker */
    for (uint32_t slot = 0; slot < config.workers; slot++) {
        config.rings[slot] = state->slots[slot].log.base;
        config.stats[slot] = state->slots[slot].stats.base;
    }
    region_forget(state, sizeof(*state));
    _exit(logger_run(&config));
}

static void logkeeper_send(struct state *state, const void *message, const int *fds, uint32_t count)
{
    if (state->logger.channel < 0) {
        return;
    }
    if (control_send(state->logger.channel, message, fds, count) == MESH_E_TOO_MANY) {
        /* It waits for a disk; a fresh one is told of the committed snapshot only. */
        log_line(LOG_LEVEL_ERROR, "the logger does not read its messages: it is ended");
        kill(state->logger.pid, SIGKILL);
    }
}

static void logkeeper_send_snapshot(struct state *state)
{
    const struct abi_control_generation message = {
        .head = control_head(ABI_CONTROL_PREPARE, sizeof(message)),
        .generation = state->committed.generation,
    };

    logkeeper_send(state, &message, &state->committed.snapshot, 1);
}

static void logkeeper_start(struct state *state)
{
    struct state_logger *logger = &state->logger;
    int channel[2];

    logger->start_ms = state->now_ms + LOGKEEPER_PAUSE_MS; /* if anything below fails */
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel) != 0) {
        log_line(LOG_LEVEL_ERROR, "the logger cannot be started: %s", strerror(errno));
        return;
    }
    MUST(channel[1] > LOGKEEPER_CHANNEL);
    logger->pid = fork();
    if (logger->pid == 0) {
        logkeeper_become_logger(state, channel[1]);
    }
    close(channel[1]);
    if (logger->pid < 0) {
        log_line(LOG_LEVEL_ERROR, "the logger cannot be started: %s", strerror(errno));
        logger->pid = 0;
        close(channel[0]);
        return;
    }
    logger->channel = channel[0];
    log_line(LOG_LEVEL_INFO, "logger, process %d: started", (int)logger->pid);
    logkeeper_send_snapshot(state);
}

/* Whether the committed snapshot writes access logs. */
static bool logkeeper_has_logs(const struct state *state)
{
    struct abi_snapshot head;

    return state->committed.snapshot >= 0 &&
           pread(state->committed.snapshot, &head, sizeof(head), 0) == sizeof(head) &&
           head.sections[ABI_SECTION_LOG].count > 0;
}

void logkeeper_committed(struct state *state)
{
    state->logger.wanted = state->logger.wanted || logkeeper_has_logs(state);
    if (state->logger.pid != 0) {
        logkeeper_send_snapshot(state);
    } else {
        logkeeper_tick(state);
    }
}

void logkeeper_reopen(struct state *state)
{
    const struct abi_control_reopen message = {
        .head = control_head(ABI_CONTROL_REOPEN, sizeof(message))};

    logkeeper_send(state, &message, NULL, 0);
}

void logkeeper_tick(struct state *state)
{
    if (state->logger.wanted && state->logger.pid == 0 && state->now_ms >= state->logger.start_ms) {
        logkeeper_start(state);
    }
}

bool logkeeper_ended(struct state *state, pid_t pid, int status)
{
    struct state_logger *logger = &state->logger;

    if (logger->pid != pid) {
        return false;
    }
    log_line(state->draining ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
             "logger, process %d, has ended: %s %d", (int)pid,
             WIFSIGNALED(status) ? "signal" : "status",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    close(logger->channel);
    logger->channel = -1;
    logger->pid = 0;
    logger->start_ms = state->now_ms + LOGKEEPER_PAUSE_MS;
    return true;
}

void logkeeper_finish(struct state *state)
{
    const struct abi_control_generation message = {
        .head = control_head(ABI_CONTROL_DRAIN, sizeof(message))};
    struct timespec pause = {.tv_nsec = 5000000};
    int status;

    if (state->logger.pid == 0) {
        return;
    }
    logkeeper_send(state, &message, NULL, 0);
    for (uint32_t waited_ms = 0; waited_ms <= LOGKEEPER_END_MS; waited_ms += 5) {
        if (waitpid(state->logger.pid, &status, WNOHANG) == state->logger.pid) {
            (void)logkeeper_ended(state, state->logger.pid, status);
            return;
        }
        nanosleep(&pause, NULL);
    }
    log_line(LOG_LEVEL_ERROR, "the logger does not end: what it had is lost");
    kill(state->logger.pid, SIGKILL);
}
