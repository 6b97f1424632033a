#include "upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"
#include "elders.h"
#include "handover.h"
#include "logkeeper.h"
#include "notify.h"
#include "peers.h"
#include "publish.h"
#include "slots.h"

#define UPGRADE_CHANNEL 3 /* descriptor of the channel in the heir */

bool upgrade_is_under_way(const struct state *state)
{
    return state->upgrade.phase != STATE_UPGRADE_NONE && state->upgrade.phase != STATE_UPGRADE_DONE;
}

/* --- outcomes --- */

static void upgrade_tell(struct state *state, enum abi_upgraded outcome, const char *reason)
{
    struct abi_control_upgraded message = {
        .head = control_head(ABI_CONTROL_UPGRADED, sizeof(message)),
        .outcome = (uint32_t)outcome,
        .pid = (uint32_t)state->upgrade.pid,
    };

    control_reason(message.reason, reason);
    peers_tell(state, &message, NULL, 0);
}

static void upgrade_close(struct state_upgrade *upgrade)
{
    if (upgrade->channel >= 0) {
        close(upgrade->channel);
    }
    upgrade->channel = -1;
}

/* Everything is as it was before. A heir that still runs and has not given up by itself is ended;
 * its workers finish what they have accepted. */
[[gnu::format(printf, 3, 4)]] static void upgrade_fail(struct state *state, bool end,
                                                       const char *format, ...)
{
    struct state_upgrade *upgrade = &state->upgrade;
    char reason[LIMIT_REASON];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    log_line(LOG_LEVEL_ERROR, "no upgrade to %s: %s", upgrade->path, reason);
    if (end && upgrade->pid != 0 && !upgrade->reaped) {
        kill(upgrade->pid, SIGKILL);
    }
    upgrade_close(upgrade);
    upgrade->phase = STATE_UPGRADE_NONE;
    upgrade_tell(state, ABI_UPGRADED_FAILED, reason);
    upgrade->pid = 0;
}

/* The heir serves: what clients have here goes on to its end, everything else is the heir's. */
static void upgrade_yield(struct state *state)
{
    const struct abi_handover_step go = {.head = control_head(ABI_HANDOVER_GO, sizeof(go))};
    struct state_upgrade *upgrade = &state->upgrade;

    if (control_send(upgrade->channel, &go, NULL, 0) != MESH_OK) {
        upgrade_fail(state, true, "the new program is gone at the moment it was to take over");
        return;
    }
    log_line(LOG_LEVEL_INFO, "upgrade: process %d serves; what is in flight here has %llu ms",
             (int)upgrade->pid, (unsigned long long)state->config->drain_timeout_ms);
    notify_main_pid(upgrade->pid);
    upgrade_tell(state, ABI_UPGRADED_DONE, "");
    peers_leave(state, "it goes over to the new data plane");
    upgrade->phase = STATE_UPGRADE_DONE;
    upgrade->due_ms = state->now_ms;
    elders_leave(state);
    close(state->socket);
    close(state->lock);
    state->socket = -1;
    state->lock = -1;
    slots_retire(state);
    handover_let_go(&state->sockets);
}

/* --- start --- */

[[noreturn]] static void upgrade_become_heir(const struct state *state, int channel)
{
    static const char *const engines[] = {"auto", "io_uring", "io_uring", "epoll"};
    const struct supervisor_config *config = state->config;
    char workers[16], drain[24], cpus[CPUS_TEXT], fd[16];
    const char *arguments[20];
    sigset_t none;
    size_t count = 0;

    snprintf(workers, sizeof(workers), "%u", config->workers);
    snprintf(drain, sizeof(drain), "%llu", (unsigned long long)config->drain_timeout_ms);
    snprintf(fd, sizeof(fd), "%d", UPGRADE_CHANNEL);
    cpus_text(&config->cpus, cpus);
    arguments[count++] = state->upgrade.path;
    arguments[count++] = "--control-socket";
    arguments[count++] = config->control_socket;
    arguments[count++] = "--workers";
    arguments[count++] = workers;
    arguments[count++] = "--cpus";
    arguments[count++] = cpus;
    arguments[count++] = "--engine";
    arguments[count++] = engines[config->engine];
    arguments[count++] = "--drain-timeout";
    arguments[count++] = drain;
    arguments[count++] = "--log-level";
    arguments[count++] = log_level_in_force();
    arguments[count++] = "--take-over";
    arguments[count++] = fd;
    if (config->pid_file != NULL) {
        arguments[count++] = "--pid-file";
        arguments[count++] = config->pid_file;
    }
    arguments[count] = NULL;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(channel, UPGRADE_CHANNEL) < 0 || close_range(UPGRADE_CHANNEL + 1, ~0u, 0) != 0) {
        _exit(SUPERVISOR_EXIT_UNAVAILABLE);
    }
    execv(state->upgrade.path, (char *const *)(const void *)arguments);
    _exit(errno == EACCES ? 126 : 127); /* as shells say it */
}

static void upgrade_start(struct state *state)
{
    struct state_upgrade *upgrade = &state->upgrade;
    int channel[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel) != 0) {
        upgrade_fail(state, false, "no channel: %s", strerror(errno));
        return;
    }
    /* dup2() onto the same number would keep close-on-exec. */
    MUST(channel[1] > UPGRADE_CHANNEL);
    upgrade->pid = fork();
    if (upgrade->pid == 0) {
        upgrade_become_heir(state, channel[1]);
    }
    close(channel[1]);
    upgrade->channel = channel[0];
    if (upgrade->pid < 0) {
        upgrade->pid = 0;
        upgrade_fail(state, false, "no process: %s", strerror(errno));
        return;
    }
    upgrade->phase = STATE_UPGRADE_STARTED;
    upgrade->due_ms = state->now_ms + UPGRADE_HELLO_MS;
    log_line(LOG_LEVEL_INFO, "upgrade: started %s, process %d", upgrade->path, (int)upgrade->pid);
}

void upgrade_receive(struct state *state, const char *path)
{
    struct state_upgrade *upgrade = &state->upgrade;
    char reason[LIMIT_REASON] = "";

    if (state->draining) {
        snprintf(reason, sizeof(reason), "the data plane is shutting down");
    } else if (upgrade->phase != STATE_UPGRADE_NONE) {
        snprintf(reason, sizeof(reason), "an upgrade is under way");
    } else if (elders_count(state) == LIMIT_ELDERS) {
        snprintf(reason, sizeof(reason),
                 "%u data planes of before still drain, the first of them for %llu s at most",
                 LIMIT_ELDERS, (unsigned long long)(elders_left_ms(state) + 999) / 1000);
    }
    if (reason[0] != '\0') {
        log_line(LOG_LEVEL_WARN, "no upgrade to %s: %s", path, reason);
        upgrade_tell(state, ABI_UPGRADED_BUSY, reason);
        return;
    }
    *upgrade = (struct state_upgrade){.phase = STATE_UPGRADE_WANTED, .channel = -1};
    snprintf(upgrade->path, sizeof(upgrade->path), "%s", path);
    upgrade_tick(state);
}

/* --- what the heir asks for --- */

static void upgrade_give_state(struct state *state)
{
    const struct state_files *files = &state->committed;
    struct abi_handover_state message = {
        .head = control_head(ABI_HANDOVER_STATE, sizeof(message)),
        .version = ABI_VERSION,
        .workers = state->config->workers,
        .has_snapshot = files->snapshot >= 0,
        .has_secrets = files->secrets >= 0,
        .has_installation = state->has_installation,
        .generation = files->generation,
        .secrets_generation = files->secrets_generation,
        .newest = state->newest,
        .open_slots = state->sockets.open_slots,
    };
    int fds[SHM_DESCRIPTORS] = {state->lock, state->socket, state->overlay_file};
    uint32_t count = 3;

    if (files->snapshot >= 0) {
        fds[count++] = files->snapshot;
    }
    if (files->secrets >= 0) {
        fds[count++] = files->secrets;
    }
    for (uint32_t i = 0; i < LIMIT_ELDERS; i++) {
        if (state->elders[i].channel >= 0) {
            fds[count++] = state->elders[i].channel;
            message.elders++;
        }
    }
    memcpy(message.installation, state->installation, sizeof(message.installation));
    if (control_send(state->upgrade.channel, &message, fds, count) != MESH_OK) {
        upgrade_fail(state, true, "it does not take what it is given");
    }
}

static void upgrade_give(struct state *state, uint64_t index)
{
    const struct abi_handover_step end = {.head = control_head(ABI_HANDOVER_END, sizeof(end))};
    struct abi_handover_sockets message;
    int fds[SHM_DESCRIPTORS];
    int err;

    if (index == 0) {
        upgrade_give_state(state);
        return;
    }
    if (handover_sockets(&state->sockets, index - 1, &message, fds)) {
        err = control_send(state->upgrade.channel, &message, fds, message.count);
    } else {
        state->upgrade.given = true;
        err = control_send(state->upgrade.channel, &end, NULL, 0);
    }
    if (err != MESH_OK) {
        upgrade_fail(state, true, "it does not take what it is given");
    }
}

static void upgrade_greet(struct state *state, const struct abi_handover_hello *hello)
{
    struct state_upgrade *upgrade = &state->upgrade;

    if (upgrade->phase != STATE_UPGRADE_STARTED) {
        upgrade_fail(state, true, "it greets twice");
    } else if (hello->version + 1 < ABI_VERSION || hello->version > ABI_VERSION + 1) {
        upgrade_fail(state, true, "%s speaks version %u of the control channel, this one %u",
                     hello->program, hello->version, ABI_VERSION);
    } else {
        upgrade->phase = STATE_UPGRADE_GIVING;
        upgrade->due_ms = state->now_ms + UPGRADE_GIVE_MS;
        log_line(LOG_LEVEL_INFO, "upgrade: process %d is %s", (int)upgrade->pid, hello->program);
    }
}

/* A word of the heir that now drives this one to its end. */
static void upgrade_hear_done(struct state *state, const struct control_message *message)
{
    if (message->head.type == ABI_CONTROL_REOPEN) {
        logkeeper_reopen(state);
    } else if (message->head.type == ABI_CONTROL_SHUTDOWN) {
        uint64_t end_ms = state->now_ms + message->shutdown.grace_ms;

        state->drain_end_ms = end_ms < state->drain_end_ms ? end_ms : state->drain_end_ms;
    }
}

static void upgrade_hear(struct state *state, const struct control_message *message)
{
    if (state->upgrade.phase == STATE_UPGRADE_DONE) {
        upgrade_hear_done(state, message);
        return;
    }
    switch (message->head.type) {
    case ABI_HANDOVER_HELLO:
        upgrade_greet(state, &message->heir);
        break;
    case ABI_HANDOVER_NEXT:
        if (state->upgrade.phase == STATE_UPGRADE_GIVING) {
            upgrade_give(state, message->step.index);
        } else {
            upgrade_fail(state, true, "it asks before it greets");
        }
        break;
    case ABI_HANDOVER_TAKEN:
        if (state->upgrade.given) {
            upgrade_yield(state);
        } else {
            upgrade_fail(state, true, "it takes over before it has everything");
        }
        break;
    case ABI_HANDOVER_FAIL:
        upgrade_fail(state, false, "%s", message->fail.reason);
        break;
    default:
        upgrade_fail(state, true, "it says what is for later");
        break;
    }
}

void upgrade_read(struct state *state)
{
    struct state_upgrade *upgrade = &state->upgrade;
    const char *why = "closed";
    int got = 1;

    while (got == 1 && upgrade->channel >= 0) {
        got = control_receive(upgrade->channel, CONTROL_HEIR, &state->message, &why);
        if (got == 1) {
            upgrade_hear(state, &state->message);
            control_drop(&state->message);
        } else if (got == MESH_E_CLOSED) {
            upgrade_close(upgrade);
            upgrade->lost = true;
            upgrade->due_ms = state->now_ms + UPGRADE_LOST_MS;
        } else if (got < 0 && upgrade->phase == STATE_UPGRADE_DONE) {
            upgrade_close(upgrade);
        } else if (got < 0) {
            upgrade_fail(state, true, "it speaks another language: %s", why);
        }
    }
}

/* --- time --- */

bool upgrade_ended(struct state *state, pid_t pid, int status)
{
    struct state_upgrade *upgrade = &state->upgrade;

    if (upgrade->pid != pid) {
        return false;
    }
    upgrade->reaped = true;
    upgrade->status = status;
    return true;
}

static void upgrade_explain_end(struct state *state)
{
    const struct state_upgrade *upgrade = &state->upgrade;
    const char *when =
        upgrade->phase == STATE_UPGRADE_STARTED ? "at once" : "before its workers served";

    if (!upgrade->reaped) {
        upgrade_fail(state, true, "it closed its channel");
    } else if (WIFSIGNALED(upgrade->status)) {
        upgrade_fail(state, false, "it was ended by signal %d %s", WTERMSIG(upgrade->status), when);
    } else if (WEXITSTATUS(upgrade->status) == 126 || WEXITSTATUS(upgrade->status) == 127) {
        upgrade_fail(state, false, "it cannot be executed");
    } else if (WEXITSTATUS(upgrade->status) == SUPERVISOR_EXIT_USAGE) {
        upgrade_fail(state, false, "it does not know how to take over: is it a data plane?");
    } else {
        upgrade_fail(state, false, "it ended with status %d %s", WEXITSTATUS(upgrade->status),
                     when);
    }
}

static void upgrade_tell_draining(struct state *state)
{
    struct abi_handover_draining message = {
        .head = control_head(ABI_HANDOVER_DRAINING, sizeof(message)),
        .generation = state->committed.generation,
        .connections = slots_connections(state),
        .left_ms = state->drain_end_ms > state->now_ms ? state->drain_end_ms - state->now_ms : 0,
        .program = SUPERVISOR_PROGRAM,
    };

    state->upgrade.due_ms = state->now_ms + UPGRADE_TELL_MS;
    if (state->upgrade.channel >= 0 &&
        control_send(state->upgrade.channel, &message, NULL, 0) == MESH_E_CLOSED) {
        upgrade_close(&state->upgrade);
    }
}

void upgrade_tick(struct state *state)
{
    struct state_upgrade *upgrade = &state->upgrade;

    switch (upgrade->phase) {
    case STATE_UPGRADE_NONE:
        break;
    case STATE_UPGRADE_WANTED:
        if (state->draining) {
            upgrade_fail(state, false, "the data plane is shutting down");
        } else if (state->rollout.state == ROLLOUT_IDLE) {
            upgrade_start(state);
        }
        break;
    case STATE_UPGRADE_STARTED:
    case STATE_UPGRADE_GIVING:
        if (state->draining) {
            upgrade_fail(state, true, "the data plane is shutting down");
        } else if (upgrade->lost && (upgrade->reaped || state->now_ms >= upgrade->due_ms)) {
            upgrade_explain_end(state);
        } else if (state->now_ms >= upgrade->due_ms) {
            upgrade_fail(state, true, "%s",
                         upgrade->phase == STATE_UPGRADE_STARTED
                             ? "it says nothing"
                             : "its workers do not serve in time");
        }
        break;
    case STATE_UPGRADE_DONE:
        if (state->now_ms >= upgrade->due_ms) {
            upgrade_tell_draining(state);
        }
        break;
    }
}

uint64_t upgrade_due_ms(const struct state *state)
{
    return state->upgrade.phase == STATE_UPGRADE_NONE ||
                   state->upgrade.phase == STATE_UPGRADE_WANTED
               ? UINT64_MAX
               : state->upgrade.due_ms;
}
