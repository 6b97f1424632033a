#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "ring/mode.h"
#include "slots.h"
#include "takeover.h"

#define START_LOCK_TRIES 25 /* a probe of the lock by somebody else takes an instant */
#define START_LOCK_NS    20000000

static uint64_t start_clock_ms(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* Holds <control socket>.lock for as long as this process lives. The descriptor, -1 after an error,
 * -2 when another data plane holds it. */
static int start_lock(const char *path)
{
    const struct timespec pause = {.tv_nsec = START_LOCK_NS};
    char name[sizeof(((struct sockaddr_un *)0)->sun_path) + 8];
    int fd;

    snprintf(name, sizeof(name), "%s.lock", path);
    fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", name, strerror(errno));
        return -1;
    }
    for (int i = 0; i < START_LOCK_TRIES; i++) {
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
static int start_listen(const char *path)
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
    if (bound != 0 || listen(fd, START_BACKLOG) != 0) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static int start_catch_signals(void)
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

static void start_raise_limits(void)
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
static bool start_make_overlay(struct state *state)
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

bool start_write_pid(const char *path)
{
    char text[16], fresh[4096];
    int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    bool ok;
    int fd;

    if (path == NULL) {
        return true;
    }
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", fresh, strerror(errno));
        return false;
    }
    ok = write(fd, text, (size_t)length) == length;
    close(fd);
    if (!ok || rename(fresh, path) != 0) {
        log_line(LOG_LEVEL_ERROR, "%s: %s", path, strerror(errno));
        unlink(fresh);
        return false;
    }
    return true;
}

/* Which engine the workers run, tried here so that all run the same one; or, at once and with the
 * reason, that no worker could run. */
static bool start_choose_engine(struct state *state)
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
static void start_look_at_kernel_tls(struct state *state)
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

/* Everything that a data plane without a predecessor makes itself. 0 or an exit status. */
static int start_afresh(struct state *state)
{
    state->lock = start_lock(state->config->control_socket);
    if (state->lock < 0) {
        return state->lock == -2 ? SUPERVISOR_EXIT_HELD : SUPERVISOR_EXIT_CONFIG;
    }
    if (!start_choose_engine(state) || !start_make_overlay(state) || !slots_init(state)) {
        return SUPERVISOR_EXIT_UNAVAILABLE;
    }
    start_look_at_kernel_tls(state);
    state->socket = start_listen(state->config->control_socket);
    return state->socket >= 0 && start_write_pid(state->config->pid_file) ? SUPERVISOR_EXIT_OK
                                                                          : SUPERVISOR_EXIT_CONFIG;
}

/* Everything that one with a predecessor is given by it. 0 or an exit status. */
static int start_as_heir(struct state *state, struct supervisor_config *config)
{
    char reason[LIMIT_REASON] = "";

    if (!start_choose_engine(state)) {
        return SUPERVISOR_EXIT_UNAVAILABLE;
    }
    if (!takeover_receive(state, config, reason) || !slots_init(state)) {
        takeover_fail(state, reason[0] != '\0' ? reason : "no memory for its workers");
        return SUPERVISOR_EXIT_UNAVAILABLE;
    }
    start_look_at_kernel_tls(state);
    return SUPERVISOR_EXIT_OK;
}

int start_supervisor(struct state *state, struct supervisor_config *config)
{
    int status;

    *state = (struct state){.config = config,
                            .lock = -1,
                            .socket = -1,
                            .signals = -1,
                            .overlay_file = -1,
                            .plane = {.fd = -1},
                            .logger = {.channel = -1},
                            .upgrade = {.channel = -1},
                            .takeover = {.channel = -1},
                            .committed = {.snapshot = -1, .secrets = -1},
                            .staged = {.snapshot = -1, .secrets = -1},
                            .queued = {.snapshot = -1, .secrets = -1}};
    for (uint32_t i = 0; i < STATE_PEERS; i++) {
        state->peers[i].fd = -1;
    }
    for (uint32_t i = 0; i < LIMIT_ELDERS; i++) {
        state->elders[i].channel = -1;
    }
    state->started_at_ms = start_clock_ms(CLOCK_REALTIME);
    state->now_ms = start_clock_ms(CLOCK_MONOTONIC);
    sockets_init(&state->sockets, config->workers);
    start_raise_limits();
    state->signals = start_catch_signals();
    if (state->signals < 0) {
        return SUPERVISOR_EXIT_UNAVAILABLE;
    }
    status = config->take_over >= 0 ? start_as_heir(state, config) : start_afresh(state);
    if (status == SUPERVISOR_EXIT_OK) {
        log_line(LOG_LEVEL_INFO, "dataplane %s, process %d: %u workers, control socket %s",
                 SUPERVISOR_VERSION, (int)getpid(), config->workers, config->control_socket);
    }
    return status;
}
