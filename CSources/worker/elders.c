#include "elders.h"

#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/must.h"
#include "peers.h"

static void elders_tell(struct state *state, const struct state_elder *elder, bool ended)
{
    struct abi_control_elder message = {
        .head = control_head(ABI_CONTROL_ELDER, sizeof(message)),
        .pid = elder->pid,
        .ended = ended ? 1 : 0,
        .generation = elder->generation,
        .connections = ended ? 0 : elder->connections,
        .left_ms = ended || elder->end_ms < state->now_ms ? 0 : elder->end_ms - state->now_ms,
    };

    _Static_assert(sizeof(message.program) == sizeof(elder->program), "copied whole");
    memcpy(message.program, elder->program, sizeof(message.program));
    peers_tell(state, &message, NULL, 0);
}

void elders_add(struct state *state, int channel)
{
    struct state_elder *elder = NULL;
    uint32_t uid;

    for (uint32_t i = 0; i < LIMIT_ELDERS; i++) {
        if (state->elders[i].channel < 0) {
            elder = &state->elders[i];
        }
    }
    MUST(elder != NULL); /* no upgrade begins while there are as many as may be */
    *elder = (struct state_elder){
        .channel = channel,
        .generation = state->committed.generation,
        .end_ms = state->now_ms + state->config->drain_timeout_ms,
    };
    if (shm_peer(channel, &uid, &elder->pid) != 0) { /* whoever made the pair of sockets */
        log_line(LOG_LEVEL_WARN, "the process that drains cannot be named");
    }
    elders_tell(state, elder, false);
}

void elders_read(struct state *state, struct state_elder *elder)
{
    const char *why = "closed";
    int got = control_receive(elder->channel, CONTROL_ELDER, &state->message, &why);

    if (got == 0) {
        return;
    }
    if (got == 1 && state->message.head.type == ABI_HANDOVER_DRAINING) {
        const struct abi_handover_draining *from = &state->message.draining;

        elder->generation = from->generation;
        elder->connections = from->connections;
        elder->end_ms = state->now_ms + from->left_ms;
        memcpy(elder->program, from->program, sizeof(elder->program));
        elders_tell(state, elder, false);
        return;
    }
    if (got == 1) {
        control_drop(&state->message);
        why = "it speaks out of turn";
    }
    log_line(LOG_LEVEL_INFO, "the data plane of before, process %u, has ended: %s", elder->pid,
             why);
    close(elder->channel);
    elder->channel = -1;
    elders_tell(state, elder, true);
}

uint32_t elders_count(const struct state *state)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < LIMIT_ELDERS; i++) {
        count += state->elders[i].channel >= 0 ? 1u : 0u;
    }
    return count;
}

uint64_t elders_left_ms(const struct state *state)
{
    uint64_t first = UINT64_MAX;

    for (uint32_t i = 0; i < LIMIT_ELDERS; i++) {
        const struct state_elder *elder = &state->elders[i];

        if (elder->channel >= 0 && elder->end_ms < first) {
            first = elder->end_ms;
        }
    }
    return first == UINT64_MAX || first <= state->now_ms ? 0 : first - state->now_ms;
}

void elders_introduce(struct state *state)
{
    for (uint32_t i = 0; i < LIMIT_ELDERS; i++) {
        if (state->elders[i].channel >= 0) {
            elders_tell(state, &state->elders[i], false);
        }
    }
}

static void elders_send(struct state *state, const void *message)
{
    for (uint32_t i = 0; i < LIMIT_ELDERS; i++) {
        if (state->elders[i].channel >= 0 &&
            control_send(state->elders[i].channel, message, NULL, 0) == MESH_E_TOO_MANY) {
            log_line(LOG_LEVEL_WARN, "process %u, which drains, does not read its messages",
                     state->elders[i].pid);
        }
    }
}

void elders_reopen(struct state *state)
{
    const struct abi_control_reopen message = {
        .head = control_head(ABI_CONTROL_REOPEN, sizeof(message))};

    elders_send(state, &message);
}

void elders_hurry(struct state *state, uint64_t grace_ms)
{
    const struct abi_control_shutdown message = {
        .head = control_head(ABI_CONTROL_SHUTDOWN, sizeof(message)), .grace_ms = grace_ms};

    elders_send(state, &message);
}

void elders_leave(struct state *state)
{
    for (uint32_t i = 0; i < LIMIT_ELDERS; i++) {
        if (state->elders[i].channel >= 0) {
            close(state->elders[i].channel);
            state->elders[i].channel = -1;
        }
    }
}
