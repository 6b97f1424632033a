#include "takeover.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"
#include "elders.h"
#include "handover.h"
#include "logkeeper.h"
#include "slots.h"
#include "start.h"
#include "upgrade.h"

/* --- before the loop --- */

static bool takeover_say(char *reason, const char *text)
{
    snprintf(reason, LIMIT_REASON, "%s", text);
    return false;
}

static uint64_t takeover_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

/* The next message of the elder, by then. */
static bool takeover_await(struct state *state, uint64_t until_ms, char *reason)
{
    const char *why = "closed";

    while (true) {
        struct pollfd wait = {.fd = state->takeover.channel, .events = POLLIN};
        int got = control_receive(state->takeover.channel, CONTROL_ELDER, &state->message, &why);
        uint64_t now_ms = takeover_now_ms();

        if (got == 1) {
            return true;
        }
        if (got == MESH_E_CLOSED) {
            return takeover_say(reason, "the running data plane has closed the channel");
        }
        if (got < 0) {
            return takeover_say(reason, why);
        }
        if (now_ms >= until_ms) {
            return takeover_say(reason, "the running data plane does not answer");
        }
        if (poll(&wait, 1, (int)(until_ms - now_ms)) < 0 && errno != EINTR) {
            return takeover_say(reason, strerror(errno));
        }
    }
}

static bool takeover_ask(struct state *state, uint64_t index, uint64_t until_ms, char *reason)
{
    const struct abi_handover_step next = {.head = control_head(ABI_HANDOVER_NEXT, sizeof(next)),
                                           .index = index};

    if (control_send(state->takeover.channel, &next, NULL, 0) != MESH_OK) {
        return takeover_say(reason, "the running data plane does not listen");
    }
    return takeover_await(state, until_ms, reason);
}

static bool takeover_map_overlay(struct state *state, char *reason)
{
    const struct abi_overlay *overlay;

    if (shm_size(state->overlay_file) != (int64_t)ABI_OVERLAY_SIZE ||
        region_share(state->overlay_file, ABI_OVERLAY_SIZE, &state->overlay) != 0) {
        return takeover_say(reason, "the overlay of the running data plane cannot be used");
    }
    overlay = state->overlay.base;
    return (overlay->magic == ABI_OVERLAY_MAGIC && overlay->version == ABI_VERSION) ||
           takeover_say(reason, "the overlay of the running data plane is of another version");
}

/* The same walk that every worker will make, made once before any of them starts. */
static bool takeover_check_snapshot(const struct state_files *files, char *reason)
{
    struct view_refusal refusal = {.code = ABI_REFUSAL_NONE};
    struct region region = {.base = NULL};
    struct view view;
    size_t size = 0;
    bool ok;

    if (files->snapshot < 0) {
        return true;
    }
    if (region_check(files->snapshot, LIMIT_SNAPSHOT_SIZE, &size) != ABI_REFUSAL_NONE ||
        region_map(files->snapshot, size, false, &region) != 0) {
        return takeover_say(reason, "the live snapshot cannot be mapped");
    }
    ok = view_open(&view, region.base, region.size, &refusal);
    if (!ok) {
        snprintf(reason, LIMIT_REASON, "it refuses the live snapshot: section %u, record %u: %s",
                 (unsigned)refusal.section, refusal.record,
                 refusal.what != NULL ? refusal.what : "refused");
    }
    region_unmap(&region);
    return ok;
}

static bool takeover_take_state(struct state *state, struct supervisor_config *config, char *reason)
{
    const struct abi_handover_state *from = &state->message.state;
    struct state_files *files = &state->committed;
    uint32_t at = 3;

    if (from->head.type != ABI_HANDOVER_STATE) {
        return takeover_say(reason, "the running data plane speaks out of turn");
    }
    if (from->version != ABI_VERSION) {
        snprintf(reason, LIMIT_REASON,
                 "the running data plane speaks version %u of the control channel, this one %u",
                 from->version, ABI_VERSION);
        return false;
    }
    config->workers = from->workers;
    sockets_init(&state->sockets, from->workers);
    state->sockets.open_slots = from->open_slots;
    state->lock = control_take(&state->message, 0);
    state->socket = control_take(&state->message, 1);
    state->overlay_file = control_take(&state->message, 2);
    *files = (struct state_files){
        .generation = from->generation,
        .secrets_generation = from->secrets_generation,
        .snapshot = -1,
        .secrets = -1,
    };
    if (from->has_snapshot != 0) {
        files->snapshot = control_take(&state->message, at++);
    }
    if (from->has_secrets != 0) {
        files->secrets = control_take(&state->message, at++);
    }
    for (uint32_t i = 0; i < from->elders; i++) {
        elders_add(state, control_take(&state->message, at++));
    }
    state->newest = from->newest;
    state->has_installation = from->has_installation != 0;
    memcpy(state->installation, from->installation, sizeof(state->installation));
    return takeover_map_overlay(state, reason) && takeover_check_snapshot(files, reason);
}

static bool takeover_greet(struct state *state, char *reason)
{
    const struct abi_handover_hello hello = {
        .head = control_head(ABI_HANDOVER_HELLO, sizeof(hello)),
        .version = ABI_VERSION,
        .pid = (uint32_t)getpid(),
        .program = SUPERVISOR_PROGRAM,
    };

    return control_send(state->takeover.channel, &hello, NULL, 0) == MESH_OK ||
           takeover_say(reason, "the running data plane does not listen");
}

bool takeover_receive(struct state *state, struct supervisor_config *config, char *reason)
{
    uint64_t until_ms = takeover_now_ms() + TAKEOVER_GIVE_MS;
    bool ok;

    state->takeover =
        (struct state_takeover){.phase = STATE_TAKEOVER_WARMING, .channel = config->take_over};
    ok = takeover_greet(state, reason) && takeover_ask(state, 0, until_ms, reason) &&
         takeover_take_state(state, config, reason);
    for (uint64_t index = 1; ok; index++) {
        ok = takeover_ask(state, index, until_ms, reason);
        if (!ok || state->message.head.type == ABI_HANDOVER_END) {
            break;
        }
        ok = (state->message.head.type == ABI_HANDOVER_SOCKETS &&
              handover_take_sockets(&state->sockets, &state->message)) ||
             takeover_say(reason, "the listening sockets do not fit together");
        control_drop(&state->message);
    }
    state->now_ms = takeover_now_ms();
    return ok;
}

void takeover_fail(struct state *state, const char *reason)
{
    struct abi_handover_fail message = {.head = control_head(ABI_HANDOVER_FAIL, sizeof(message))};

    control_reason(message.reason, reason);
    log_line(LOG_LEVEL_ERROR, "no takeover: %s", message.reason);
    if (control_send(state->takeover.channel, &message, NULL, 0) != MESH_OK) {
        log_line(LOG_LEVEL_DEBUG, "the running data plane does not hear it");
    }
}

/* --- in the loop --- */

static void takeover_end(struct state *state)
{
    close(state->takeover.channel);
    state->takeover = (struct state_takeover){.channel = -1};
}

void takeover_abandon(struct state *state, const char *reason)
{
    takeover_fail(state, reason);
    takeover_end(state);
    slots_retire(state);
    handover_let_go(&state->sockets);
}

/* From here on this is the data plane. */
static void takeover_go(struct state *state, const char *how)
{
    log_line(LOG_LEVEL_INFO, "process %d is the data plane now: %s; generation %llu is live",
             (int)getpid(), how, (unsigned long long)state->committed.generation);
    state->takeover.phase = STATE_TAKEOVER_NONE;
    if (listen(state->socket, START_BACKLOG) != 0) { /* again: whoever connects sees who answers */
        log_line(LOG_LEVEL_ERROR, "the control socket names another process: %s", strerror(errno));
    }
    if (!start_write_pid(state->config->pid_file)) {
        log_line(LOG_LEVEL_ERROR, "the pid file names another process");
    }
}

void takeover_read(struct state *state)
{
    const char *why = "closed";
    int got = control_receive(state->takeover.channel, CONTROL_ELDER, &state->message, &why);
    int channel = state->takeover.channel;

    if (got == 0) {
        return;
    }
    if (got == MESH_E_CLOSED) {
        takeover_go(state, "the one before has died");
        takeover_end(state);
    } else if (got == 1 && state->message.head.type == ABI_HANDOVER_GO) {
        takeover_go(state, "the one before drains");
        state->takeover.channel = -1;
        elders_add(state, channel);
    } else if (got == 1 && state->message.head.type == ABI_HANDOVER_FAIL) {
        takeover_abandon(state, "the running data plane goes on");
    } else {
        control_drop(&state->message);
        takeover_abandon(state, got < 0 ? why : "the running data plane speaks out of turn");
    }
}

void takeover_tick(struct state *state)
{
    const struct abi_handover_step taken = {.head =
                                                control_head(ABI_HANDOVER_TAKEN, sizeof(taken))};

    if (state->takeover.phase != STATE_TAKEOVER_WARMING) {
        return;
    }
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        if (state->slots[slot].state != ABI_WORKER_SERVING ||
            state->slots[slot].generation != state->committed.generation) {
            return;
        }
    }
    state->takeover.phase = STATE_TAKEOVER_ASKED;
    if (control_send(state->takeover.channel, &taken, NULL, 0) != MESH_OK) {
        log_line(LOG_LEVEL_DEBUG, "the running data plane is gone"); /* takeover_read() sees it */
    }
}
