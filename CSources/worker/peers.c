#include "peers.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "elders.h"
#include "logkeeper.h"
#include "publish.h"
#include "upgrade.h"

static void peers_close(struct state_peer *peer)
{
    if (peer->fd >= 0) {
        close(peer->fd);
    }
    *peer = (struct state_peer){.fd = -1};
}

static void peers_refuse(struct state_peer *peer, enum abi_refusal code, const char *reason)
{
    struct abi_control_refuse message = {
        .head = control_head(ABI_CONTROL_REFUSE, sizeof(message)),
        .version = ABI_VERSION,
        .code = (uint32_t)code,
    };

    control_reason(message.reason, reason);
    log_line(LOG_LEVEL_WARN, "refused control by process %u: %s", peer->pid, reason);
    if (control_send(peer->fd, &message, NULL, 0) != MESH_OK) {
        log_line(LOG_LEVEL_DEBUG, "process %u left before it was refused", peer->pid);
    }
    peers_close(peer);
}

void peers_accept(struct state *state)
{
    int fd = accept4(state->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct state_peer *oldest = &state->peers[0];
    uint32_t uid;

    if (fd < 0) {
        return; /* it has left again, or there are no descriptors: the next turn tries again */
    }
    for (uint32_t i = 0; i < STATE_PEERS && oldest->fd >= 0; i++) {
        if (state->peers[i].fd < 0 || state->peers[i].since_ms < oldest->since_ms) {
            oldest = &state->peers[i];
        }
    }
    peers_close(oldest); /* connections without HELLO do not keep anyone out */
    *oldest = (struct state_peer){.fd = fd, .since_ms = state->now_ms};
    if (shm_peer(fd, &uid, &oldest->pid) != 0) {
        peers_close(oldest);
    } else if (uid != 0 && uid != geteuid()) {
        peers_refuse(oldest, ABI_REFUSAL_VALUE,
                     "only root and the user of the data plane may control it");
    }
}

void peers_drop_plane(struct state *state, const char *why)
{
    if (state->plane.fd < 0) {
        return;
    }
    log_line(LOG_LEVEL_INFO, "control plane, process %u, is gone: %s; generation %llu stays live",
             state->plane.pid, why, (unsigned long long)state->committed.generation);
    peers_close(&state->plane);
}

void peers_tell(struct state *state, const void *message, const int *fds, uint32_t count)
{
    int err;

    if (state->plane.fd < 0) {
        return;
    }
    err = control_send(state->plane.fd, message, fds, count);
    if (err != MESH_OK) {
        peers_drop_plane(state, err == MESH_E_TOO_MANY ? "it does not read" : "closed");
    }
}

void peers_tell_worker(struct state *state, uint32_t slot, bool with_stats)
{
    const struct state_slot *worker = &state->slots[slot];
    const int fds[2] = {worker->stats_file, worker->questions[0]};
    struct abi_control_worker message = {
        .head = control_head(ABI_CONTROL_WORKER, sizeof(message)),
        .worker = slot,
        .pid = (uint32_t)worker->pid,
        .state = (uint32_t)worker->state,
        .exit_status = worker->exit_status,
        .generation = worker->generation,
    };

    peers_tell(state, &message, fds, with_stats ? 2 : 0);
}

static void peers_welcome(struct state *state)
{
    struct abi_control_welcome message = {
        .head = control_head(ABI_CONTROL_WELCOME, sizeof(message)),
        .version = ABI_VERSION,
        .pid = (uint32_t)getpid(),
        .workers = state->config->workers,
        .has_snapshot = state->committed.generation != 0 ? 1 : 0,
        .generation = state->committed.generation,
        .secrets_generation = state->committed.secrets_generation,
        .started_at_ms = state->started_at_ms,
        .kernel_tls = state->kernel_tls,
        .program = SUPERVISOR_PROGRAM,
    };
    const int fds[2] = {state->overlay_file, state->committed.snapshot};

    _Static_assert(sizeof(message.engine) == sizeof(state->engine_name), "copied whole");
    memcpy(message.engine, state->engine_name, sizeof(message.engine));
    peers_tell(state, &message, fds, 1 + message.has_snapshot);
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        peers_tell_worker(state, slot, true);
    }
    elders_introduce(state);
}

/* A control plane has said who it is: it takes over, or is told why not. */
static void peers_hello(struct state *state, struct state_peer *peer)
{
    static const uint8_t nobody[STATE_INSTALLATION] = {0};
    const struct abi_control_hello *hello = &state->message.hello;

    if (hello->version < ABI_VERSION_OLDEST || hello->version > ABI_VERSION) {
        peers_refuse(peer, ABI_REFUSAL_VERSION,
                     "the control plane speaks another version of the control channel");
        return;
    }
    if (memcmp(hello->installation, nobody, STATE_INSTALLATION) == 0) {
        peers_refuse(peer, ABI_REFUSAL_VALUE, "the control plane names no installation");
        return;
    }
    if (state->has_installation &&
        memcmp(hello->installation, state->installation, STATE_INSTALLATION) != 0) {
        peers_refuse(peer, ABI_REFUSAL_VALUE, "this data plane belongs to another installation");
        return;
    }
    if (state->draining) {
        peers_refuse(peer, ABI_REFUSAL_BUSY, "the data plane is shutting down");
        return;
    }
    memcpy(state->installation, hello->installation, STATE_INSTALLATION);
    state->has_installation = true;
    peers_drop_plane(state, "a newer one of the same installation takes over");
    state->plane = *peer;
    *peer = (struct state_peer){.fd = -1};
    log_line(LOG_LEVEL_INFO, "control plane, process %u, is connected; generation %llu is live",
             state->plane.pid, (unsigned long long)state->committed.generation);
    peers_welcome(state);
}

void peers_read(struct state *state, struct state_peer *peer)
{
    const char *why = "closed";
    int got = control_receive(peer->fd, CONTROL_PLANE, &state->message, &why);

    if (got == 0) {
        return;
    }
    if (got == MESH_E_CLOSED) {
        peers_close(peer);
    } else if (got < 0) {
        peers_refuse(peer, ABI_REFUSAL_VALUE, why);
    } else if (state->message.head.type != ABI_CONTROL_HELLO) {
        control_drop(&state->message);
        peers_refuse(peer, ABI_REFUSAL_VALUE, "the first message must be HELLO");
    } else {
        peers_hello(state, peer);
    }
}

void peers_read_plane(struct state *state)
{
    const char *why = "closed";
    int got = control_receive(state->plane.fd, CONTROL_PLANE, &state->message, &why);

    if (got == 0) {
        return;
    }
    if (got < 0) {
        peers_drop_plane(state, why);
        return;
    }
    switch (state->message.head.type) {
    case ABI_CONTROL_PUBLISH:
        publish_receive(state, &state->message);
        break;
    case ABI_CONTROL_SHUTDOWN:
        state->drain_wanted = true;
        state->drain_grace_ms = state->message.shutdown.grace_ms;
        break;
    case ABI_CONTROL_REOPEN:
        logkeeper_reopen(state);
        elders_reopen(state);
        break;
    case ABI_CONTROL_UPGRADE:
        upgrade_receive(state, state->message.upgrade.path);
        break;
    default:
        peers_drop_plane(state, "a second HELLO");
        break;
    }
    control_drop(&state->message);
}

void peers_leave(struct state *state, const char *why)
{
    peers_drop_plane(state, why);
    for (uint32_t i = 0; i < STATE_PEERS; i++) {
        peers_close(&state->peers[i]);
    }
}

void peers_tick(struct state *state)
{
    for (uint32_t i = 0; i < STATE_PEERS; i++) {
        struct state_peer *peer = &state->peers[i];

        if (peer->fd >= 0 && state->now_ms - peer->since_ms >= STATE_HELLO_MS) {
            peers_refuse(peer, ABI_REFUSAL_VALUE, "no HELLO in time");
        }
    }
}
