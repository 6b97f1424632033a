#include "worker/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "base/num.h"
#include "elders.h"
#include "logkeeper.h"
#include "notify.h"
#include "peers.h"
#include "publish.h"
#include "slots.h"
#include "start.h"
#include "takeover.h"
#include "upgrade.h"

#define SUPERVISOR_LATE_MS 2000u /* a turn later than that: the supervisor itself stood still */

static uint64_t supervisor_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* --- the loop --- */

/* What each polled descriptor stands for. */
struct supervisor_polls {
    nfds_t count;
    struct pollfd list[5 + LIMIT_ELDERS + STATE_PEERS + 2 * LIMIT_WORKERS];
};

static void supervisor_poll_add(struct supervisor_polls *polls, int fd)
{
    MUST(polls->count < sizeof(polls->list) / sizeof(polls->list[0]));
    polls->list[polls->count++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

/* Descriptors that are -1 are passed over by poll(). The order is that of supervisor_dispatch(). */
static void supervisor_poll_fill(const struct state *state, struct supervisor_polls *polls)
{
    polls->count = 0;
    supervisor_poll_add(polls, state->signals);
    /* Until a takeover is done the one before answers there. */
    supervisor_poll_add(polls, state->takeover.phase == STATE_TAKEOVER_NONE ? state->socket : -1);
    supervisor_poll_add(polls, state->plane.fd);
    supervisor_poll_add(polls, state->upgrade.channel);
    supervisor_poll_add(polls, state->takeover.channel);
    for (uint32_t i = 0; i < LIMIT_ELDERS; i++) {
        supervisor_poll_add(polls, state->elders[i].channel);
    }
    for (uint32_t i = 0; i < STATE_PEERS; i++) {
        supervisor_poll_add(polls, state->peers[i].fd);
    }
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        supervisor_poll_add(polls, state->slots[slot].channel);
        supervisor_poll_add(polls, state->slots[slot].output);
    }
}

static void supervisor_read_signals(struct state *state)
{
    struct signalfd_siginfo info;

    while (read(state->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            continue; /* every turn reaps */
        }
        if (info.ssi_signo == SIGUSR1) {
            logkeeper_reopen(state);
            elders_reopen(state);
            continue;
        }
        if (state->retired && !state->signalled) {
            state->signalled = true; /* it ends by itself */
            continue;
        }
        if (state->draining) {
            log_line(LOG_LEVEL_WARN, "a second signal: what is left is cut");
            state->drain_end_ms = state->now_ms;
            elders_hurry(state, 0);
        }
        state->drain_wanted = true;
        state->drain_grace_ms = state->config->drain_timeout_ms;
    }
}

/* A descriptor may have been replaced by an earlier event of the same turn: each is read only while
 * it is the one that was polled. All are non-blocking. */
static void supervisor_dispatch(struct state *state, const struct supervisor_polls *polls)
{
    const struct pollfd *at = polls->list;

    supervisor_read_signals(state);
    at++;
    if (at->revents != 0) {
        peers_accept(state);
    }
    at++;
    if (at->revents != 0 && at->fd == state->plane.fd) {
        peers_read_plane(state);
    }
    at++;
    if (at->revents != 0 && at->fd == state->upgrade.channel) {
        upgrade_read(state);
    }
    at++;
    if (at->revents != 0 && at->fd == state->takeover.channel) {
        takeover_read(state);
    }
    at++;
    for (uint32_t i = 0; i < LIMIT_ELDERS; i++, at++) {
        if (at->revents != 0 && at->fd == state->elders[i].channel) {
            elders_read(state, &state->elders[i]);
        }
    }
    for (uint32_t i = 0; i < STATE_PEERS; i++, at++) {
        if (at->revents != 0 && at->fd == state->peers[i].fd) {
            peers_read(state, &state->peers[i]);
        }
    }
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        if (at->revents != 0 && at->fd == state->slots[slot].channel) {
            slots_read_channel(state, slot);
        }
        at++;
        if (at->revents != 0 && at->fd == state->slots[slot].output) {
            slots_read_output(state, slot);
        }
        at++;
    }
}

static void supervisor_begin_drain(struct state *state)
{
    state->drain_wanted = false;
    if (state->draining) {
        return;
    }
    if (state->takeover.phase != STATE_TAKEOVER_NONE) {
        takeover_abandon(state, "it was told to end");
        return;
    }
    log_line(LOG_LEVEL_INFO, "shutting down: what is in flight has %llu ms",
             (unsigned long long)state->drain_grace_ms);
    notify_stopping();
    elders_hurry(state, state->drain_grace_ms);
    slots_drain(state, state->drain_grace_ms);
    /* The workers close theirs as they begin to drain; from then on nobody is queued any more. */
    sockets_close(&state->sockets);
}

/* How long poll() may wait. */
static int supervisor_patience(const struct state *state)
{
    uint64_t due = num_min_u64(slots_due_ms(state), rollout_due_ms(&state->rollout));

    due = num_min_u64(due, upgrade_due_ms(state));
    if (state->draining) {
        due = num_min_u64(due, state->drain_end_ms);
    }
    return due <= state->now_ms ? 0 : (int)num_min_u64(due - state->now_ms, 1000);
}

static void supervisor_turn(struct state *state)
{
    struct supervisor_polls polls;
    uint64_t before = state->now_ms;

    supervisor_poll_fill(state, &polls);
    if (poll(polls.list, polls.count, supervisor_patience(state)) < 0) {
        MUST(errno == EINTR);
        return;
    }
    state->now_ms = supervisor_now_ms();
    if (state->now_ms - before > SUPERVISOR_LATE_MS) {
        state->watch_from_ms = state->now_ms; /* the machine stood still, workers too */
    }
    supervisor_dispatch(state, &polls);
    slots_reap(state);
    if (state->drain_wanted) {
        supervisor_begin_drain(state);
    }
    slots_tick(state);
    publish_tick(state);
    upgrade_tick(state);
    takeover_tick(state);
    peers_tick(state);
}

/* --- the end --- */

static void supervisor_finish(struct state *state)
{
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        slots_kill(state, slot, "its time to drain is over");
    }
    while (slots_alive(state) != 0) {
        struct pollfd wait = {.fd = state->signals, .events = POLLIN};

        (void)poll(&wait, 1, 100);
        supervisor_read_signals(state);
        slots_reap(state);
    }
    logkeeper_finish(state);
    if (state->plane.fd >= 0) {
        close(state->plane.fd); /* its end of the channel says that all is over */
    }
    if (!state->retired) {
        unlink(state->config->control_socket);
        if (state->config->pid_file != NULL) {
            unlink(state->config->pid_file);
        }
    }
    log_line(LOG_LEVEL_INFO, "ended");
}

/* `ready` is written to once the data plane is up; -1: nobody waits for it. */
static int supervisor_main(const struct supervisor_config *given, int ready)
{
    static struct supervisor_config config;
    static struct state state;
    int status;

    config = *given;
    status = start_supervisor(&state, &config);

    if (status != SUPERVISOR_EXIT_OK) {
        return status;
    }
    if (ready >= 0) {
        const char up = 1;

        if (write(ready, &up, 1) < 0) {
            log_line(LOG_LEVEL_WARN, "whoever started this is gone");
        }
        close(ready);
    }
    if (config.take_over < 0) {
        notify_ready();
    }
    logkeeper_committed(&state);
    slots_tick(&state);
    while (!state.draining || ((slots_alive(&state) != 0 || elders_count(&state) != 0) &&
                               state.now_ms < state.drain_end_ms)) {
        supervisor_turn(&state);
    }
    supervisor_finish(&state);
    return SUPERVISOR_EXIT_OK;
}

/* The parent of a detached data plane: waits until it is up or has failed. */
static int supervisor_wait(pid_t child, int ready)
{
    char up;
    ssize_t got;
    int status;

    do {
        got = read(ready, &up, 1);
    } while (got < 0 && errno == EINTR);
    if (got == 1) {
        return SUPERVISOR_EXIT_OK;
    }
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return SUPERVISOR_EXIT_BUG;
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : SUPERVISOR_EXIT_BUG;
}

static int supervisor_detach(const struct supervisor_config *config)
{
    int ready[2], nothing;
    pid_t child;

    if (pipe2(ready, O_CLOEXEC) != 0) {
        return SUPERVISOR_EXIT_UNAVAILABLE;
    }
    child = fork();
    if (child < 0) {
        return SUPERVISOR_EXIT_UNAVAILABLE;
    }
    if (child > 0) {
        close(ready[1]);
        return supervisor_wait(child, ready[0]);
    }
    close(ready[0]);
    setsid();
    nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing >= 0) {
        dup2(nothing, STDIN_FILENO); /* standard output may be an access log */
    }
    return supervisor_main(config, ready[1]);
}

int supervisor_run(const struct supervisor_config *config)
{
    struct sockaddr_un address;
    int fd;

    if (strlen(config->control_socket) >= sizeof(address.sun_path)) {
        log_line(LOG_LEVEL_ERROR, "%s: longer than the %zu bytes of a socket path",
                 config->control_socket, sizeof(address.sun_path) - 1);
        return SUPERVISOR_EXIT_CONFIG;
    }
    /* Whatever whoever started this had open is not for a process that outlives it. */
    if (config->take_over < 0) {
        (void)close_range(STDERR_FILENO + 1, ~0u, 0);
    } else {
        MUST(config->take_over > STDERR_FILENO);
        (void)close_range((unsigned)config->take_over + 1, ~0u, 0);
    }
    do { /* descriptors 0 to 2 are taken, so that none of ours becomes standard error */
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
    return config->detach ? supervisor_detach(config) : supervisor_main(config, -1);
}
