#include "worker/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "base/num.h"
#include "core/ring.h"
#include "logkeeper.h"
#include "peers.h"
#include "publish.h"
#include "ring/mode.h"
#include "slots.h"
#include "state.h"

#define SUPERVISOR_LOCK_TRIES 25 /* a probe of the lock by somebody else takes an instant */
#define SUPERVISOR_LOCK_NS    20000000
#define SUPERVISOR_LATE_MS    2000u /* a turn later than that: the supervisor itself stood still */
#define SUPERVISOR_KILL_MS    1000u /* after the grace */

static uint64_t supervisor_clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* --- start --- */

/* Holds <control socket>.lock for as long as this process lives. The descriptor, -1 after an error,
 * -2 when another data plane holds it. */
static int supervisor_lock(const char *path)
{
    const struct timespec pause = {.tv_nsec = SUPERVISOR_LOCK_NS};
    char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
    int fd;

    snprintf(name, sizeof(name), "%s.lock", path);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", name, strerror(errno));
        return -1;
    }
    for (int i = 0; i < SUPERVISOR_LOCK_TRIES; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return fd;
        }
        nanosleep(&pause, NULL);
    }
    log_line(LOG_LEVEL_ERROR, "%s is held: another data plane runs on this control socket", name);
    close(fd);
    return -2;
}

/* The control socket, which only its owner may use. -1: said in the log. */
static int supervisor_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before;
    int bound;

    if (fd < 0) {
        log_line(LOG_LEVEL_ERROR, "no control socket: %s", strerror(errno));
        return -1;
    }
    MUST(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path));
    unlink(path); /* the lock is ours: whoever made it is gone */
    before = umask(0177);
    bound = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    umask(before);
    if (bound != 0 || listen(fd, 16) != 0) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static int supervisor_catch_signals(void)
{
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;

    MUST(sigaction(SIGPIPE, &ignore, NULL) == 0);
    MUST(sigaction(SIGHUP, &ignore, NULL) == 0);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGUSR1);
    MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void supervisor_raise_limits(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            log_line(LOG_LEVEL_WARN, "open files stay limited: %s", strerror(errno));
        }
    }
}

/* Written by the control plane, read by workers: they inherit a mapping that cannot be written. */
static bool supervisor_make_overlay(struct state *state)
{
    struct abi_overlay *overlay;
    int err;

    state->overlay_file = region_create("ringmesh-overlay", ABI_OVERLAY_SIZE, &state->overlay);
    if (state->overlay_file < 0) {
        log_line(LOG_LEVEL_ERROR, "no memory for the overlay: %s", strerror(-state->overlay_file));
        return false;
    }
    overlay = state->overlay.base;
    overlay->magic = ABI_OVERLAY_MAGIC;
    overlay->version = ABI_VERSION;
    overlay->slots = LIMIT_ENDPOINTS;
    err = region_protect(&state->overlay);
    if (err != 0) {
        log_line(LOG_LEVEL_ERROR, "the overlay cannot be protected: %s", strerror(-err));
    }
    return err == 0;
}

static bool supervisor_write_pid(const char *path)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool ok;

    if (fd < 0) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", path, strerror(errno));
        return false;
    }
    ok = write(fd, text, (size_t)length) == length;
    close(fd);
    return ok;
}

/* Which engine the workers run, tried here so that all run the same one; or, at once and with the
 * reason, that no worker could run. */
static bool supervisor_choose_engine(struct state *state)
{
    const struct ring_config config = {.engine = state->config->engine,
                                       .entries = 8,
                                       .small_buffers = 1,
                                       .large_buffers = 1,
                                       .pipes = 1};
    const char *hint = NULL;
    struct ring *ring;
    int err = ring_create(&config, &ring, &hint);

    if (err != 0) {
        log_line(LOG_LEVEL_ERROR, "%s cannot be used: %s%s%s",
                 config.engine == RING_ENGINE_EPOLL ? "epoll" : "io_uring", strerror(-err),
                 hint != NULL ? "; " : "", hint != NULL ? hint : "");
        return false;
    }
    state->engine = ring_kind(ring);
    snprintf(state->engine_name, sizeof(state->engine_name), "%s", ring_engine(ring));
    if (config.engine == RING_ENGINE_AUTO && state->engine == RING_ENGINE_EPOLL) {
        log_line(LOG_LEVEL_WARN, "the workers run on epoll, not on io_uring: %s",
                 hint != NULL ? hint : "it cannot be set up here");
    }
    log_line(LOG_LEVEL_INFO, "engine %s, %s", ring_engine(ring), ring_mode(ring));
    ring_destroy(ring);
    return true;
}

/* Reported, and used by nothing yet. */
static void supervisor_look_at_kernel_tls(struct state *state)
{
    switch (ring_ktls_probe()) {
    case RING_KTLS_YES:
        state->kernel_tls = ABI_KERNEL_TLS_YES;
        log_line(LOG_LEVEL_INFO, "the kernel can make TLS records; that is not used");
        break;
    case RING_KTLS_NO:
        state->kernel_tls = ABI_KERNEL_TLS_NO;
        log_line(LOG_LEVEL_INFO, "the kernel cannot make TLS records (TCP_ULP tls is refused)");
        break;
    case RING_KTLS_UNKNOWN:
        state->kernel_tls = ABI_KERNEL_TLS_UNKNOWN;
        log_line(LOG_LEVEL_INFO, "whether the kernel can make TLS records could not be tried");
        break;
    }
}

/* 0 or an exit status. */
static int supervisor_start(struct state *state, const struct supervisor_config *config)
{
    *state = (struct state){.config = config,
                            .lock = -1,
                            .socket = -1,
                            .signals = -1,
                            .overlay_file = -1,
                            .plane = {.fd = -1},
                            .logger = {.channel = -1},
                            .committed = {.snapshot = -1, .secrets = -1},
                            .staged = {.snapshot = -1, .secrets = -1},
                            .queued = {.snapshot = -1, .secrets = -1}};
    for (uint32_t i = 0; i < STATE_PEERS; i++) {
        state->peers[i].fd = -1;
    }
    state->started_at_ms = supervisor_clock_ms(CLOCK_REALTIME);
    state->now_ms = supervisor_clock_ms(CLOCK_MONOTONIC);
    sockets_init(&state->sockets, config->workers);
    supervisor_raise_limits();
    state->lock = supervisor_lock(config->control_socket);
    if (state->lock < 0) {
        return state->lock == -2 ? SUPERVISOR_EXIT_HELD : SUPERVISOR_EXIT_CONFIG;
    }
    state->signals = supervisor_catch_signals();
    if (state->signals < 0 || !supervisor_choose_engine(state) || !supervisor_make_overlay(state) ||
        !slots_init(state)) {
        return SUPERVISOR_EXIT_UNAVAILABLE;
    }
    supervisor_look_at_kernel_tls(state);
    state->socket = supervisor_listen(config->control_socket);
    if (state->socket < 0 ||
        (config->pid_file != NULL && !supervisor_write_pid(config->pid_file))) {
        return SUPERVISOR_EXIT_CONFIG;
    }
    log_line(LOG_LEVEL_INFO, "dataplane %s, process %d: %u workers, control socket %s",
             SUPERVISOR_VERSION, (int)getpid(), config->workers, config->control_socket);
    return SUPERVISOR_EXIT_OK;
}

/* --- the loop --- */

/* What each polled descriptor stands for. */
struct supervisor_polls {
    nfds_t count;
    struct pollfd list[4 + STATE_PEERS + 2 * LIMIT_WORKERS];
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
    supervisor_poll_add(polls, state->socket);
    supervisor_poll_add(polls, state->plane.fd);
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
            continue;
        }
        if (state->draining) {
            log_line(LOG_LEVEL_WARN, "a second signal: what is left is cut");
            state->drain_end_ms = state->now_ms;
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
    log_line(LOG_LEVEL_INFO, "shutting down: what is in flight has %llu ms",
             (unsigned long long)state->drain_grace_ms);
    state->draining = true;
    state->drain_end_ms = state->now_ms + state->drain_grace_ms + SUPERVISOR_KILL_MS;
    slots_drain(state, state->drain_grace_ms);
    /* The workers close theirs as they begin to drain; from then on nobody is queued any more. */
    sockets_close(&state->sockets);
}

/* How long poll() may wait. */
static int supervisor_patience(const struct state *state)
{
    uint64_t due = num_min_u64(slots_due_ms(state), rollout_due_ms(&state->rollout));

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
    state->now_ms = supervisor_clock_ms(CLOCK_MONOTONIC);
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
    unlink(state->config->control_socket);
    if (state->config->pid_file != NULL) {
        unlink(state->config->pid_file);
    }
    log_line(LOG_LEVEL_INFO, "ended");
}

/* `ready` is written to once the data plane is up; -1: nobody waits for it. */
static int supervisor_main(const struct supervisor_config *config, int ready)
{
    static struct state state;
    int status = supervisor_start(&state, config);

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
    slots_tick(&state);
    while (!state.draining || (slots_alive(&state) != 0 && state.now_ms < state.drain_end_ms)) {
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
    (void)close_range(STDERR_FILENO + 1, ~0u, 0);
    do { /* descriptors 0 to 2 are taken, so that none of ours becomes standard error */
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) {
        close(fd);
    }
    return config->detach ? supervisor_detach(config) : supervisor_main(config, -1);
}
