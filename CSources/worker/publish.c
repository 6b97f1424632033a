#include "publish.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/must.h"
#include "logkeeper.h"
#include "peers.h"
#include "slots.h"
#include "takeover.h"
#include "upgrade.h"

#define PUBLISH_STEP 4096u /* records at a time until the listeners are checked */

void publish_close(struct state_files *files)
{
    if (files->snapshot >= 0) {
        close(files->snapshot);
    }
    if (files->secrets >= 0) {
        close(files->secrets);
    }
    *files = (struct state_files){.snapshot = -1, .secrets = -1};
}

static void publish_tell_phase(struct state *state, uint32_t worker, enum abi_phase phase,
                               uint64_t generation)
{
    struct abi_control_phase message = {
        .head = control_head(ABI_CONTROL_PHASE, sizeof(message)),
        .worker = worker,
        .phase = (uint32_t)phase,
        .generation = generation,
    };

    peers_tell(state, &message, NULL, 0);
}

static void publish_tell_end(struct state *state, uint64_t generation, struct rollout_result result,
                             enum log_level level)
{
    static const char *const outcomes[ABI_PUBLISHED_COUNT] = {"live", "live with laggards",
                                                              "refused"};
    struct abi_control_published message = {
        .head = control_head(ABI_CONTROL_PUBLISHED, sizeof(message)),
        .generation = generation,
        .outcome = (uint32_t)result.outcome,
        .laggards = result.laggards,
    };

    log_line(result.outcome == ABI_PUBLISHED_LIVE ? LOG_LEVEL_DEBUG : level,
             "generation %llu: %s%s", (unsigned long long)generation, outcomes[result.outcome],
             result.outcome == ABI_PUBLISHED_REFUSED ? ", the one before goes on" : "");
    peers_tell(state, &message, NULL, 0);
}

/* What the supervisor itself has against a generation. */
struct publish_objection {
    enum abi_refusal code;
    uint32_t listener; /* as in struct abi_control_phase */
    char reason[LIMIT_REASON];
};

/* The address of one listener is tried again and again while another program has it: the control
 * plane, which publishes without the listener, says so once. */
static enum log_level publish_level(const struct publish_objection *why)
{
    bool is_named = why->code == ABI_REFUSAL_LISTENER && why->listener != ABI_LISTENER_UNKNOWN;

    return is_named ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN;
}

static void publish_tell_objection(struct state *state, uint64_t generation,
                                   const struct publish_objection *why)
{
    struct abi_control_phase message = {
        .head = control_head(ABI_CONTROL_PHASE, sizeof(message)),
        .worker = ABI_WORKER_SUPERVISOR,
        .phase = ABI_PHASE_REFUSED,
        .generation = generation,
        .code = (uint32_t)why->code,
        .listener = why->listener,
    };

    control_reason(message.reason, why->reason);
    log_line(publish_level(why), "generation %llu: %s", (unsigned long long)generation,
             message.reason);
    peers_tell(state, &message, NULL, 0);
}

/* Refuses a publication that no worker has heard of. */
static void publish_refuse(struct state *state, uint64_t generation,
                           const struct publish_objection *why)
{
    publish_tell_objection(state, generation, why);
    publish_tell_end(state, generation, (struct rollout_result){.outcome = ABI_PUBLISHED_REFUSED},
                     publish_level(why));
}

static void publish_refuse_busy(struct state *state, uint64_t generation, const char *reason)
{
    struct publish_objection why = {.code = ABI_REFUSAL_BUSY};

    control_reason(why.reason, reason);
    publish_refuse(state, generation, &why);
}

static bool publish_object(struct publish_objection *why, enum abi_refusal code, const char *reason)
{
    why->code = code;
    control_reason(why->reason, reason);
    return false;
}

static bool publish_object_view(struct publish_objection *why, const struct view_refusal *refusal)
{
    why->code = refusal->code;
    snprintf(why->reason, LIMIT_REASON, "section %u, record %u: %s", (unsigned)refusal->section,
             refusal->record, refusal->what != NULL ? refusal->what : "refused");
    return false;
}

/* A snapshot while the supervisor walks it. */
struct publish_walk {
    struct region region;
    struct view view;
    enum view_progress progress;
    struct view_refusal refusal;
};

static bool publish_map(const struct state_files *files, struct publish_walk *walk,
                        struct publish_objection *why)
{
    size_t size = 0;
    enum abi_refusal code = region_check(files->snapshot, LIMIT_SNAPSHOT_SIZE, &size);

    if (code != ABI_REFUSAL_NONE) {
        return publish_object(why, code,
                              code == ABI_REFUSAL_SEAL ? "the snapshot is not sealed"
                                                       : "the snapshot is empty or too large");
    }
    if (files->new_secrets) {
        size_t secrets = 0;

        code = region_check(files->secrets, LIMIT_SECRETS_SIZE, &secrets);
        if (code != ABI_REFUSAL_NONE) {
            return publish_object(why, code,
                                  code == ABI_REFUSAL_SEAL ? "the secrets are not sealed"
                                                           : "the secrets are empty or too large");
        }
    }
    if (region_map(files->snapshot, size, false, &walk->region) != 0) {
        return publish_object(why, ABI_REFUSAL_SIZE, "the snapshot cannot be mapped");
    }
    return true;
}

/* Walks a snapshot until its listeners are checked, and binds these. */
static bool publish_stage(struct state *state, const struct state_files *files,
                          struct publish_walk *walk, struct publish_objection *why)
{
    struct view *view = &walk->view;

    if (!publish_map(files, walk, why)) {
        return false;
    }
    walk->progress = view_open_begin(view, walk->region.base, walk->region.size, &walk->refusal);
    while (walk->progress == VIEW_MORE && !view_has_listeners(view)) {
        walk->progress = view_open_step(view, PUBLISH_STEP, &walk->refusal);
    }
    if (walk->progress == VIEW_REFUSED) {
        return publish_object_view(why, &walk->refusal);
    }
    if (view->head->generation != files->generation) {
        why->code = ABI_REFUSAL_VALUE;
        snprintf(why->reason, LIMIT_REASON, "the snapshot is generation %llu",
                 (unsigned long long)view->head->generation);
        return false;
    }
    why->code = ABI_REFUSAL_LISTENER;
    return sockets_stage(&state->sockets, view, &why->listener, why->reason);
}

/* Walks the rest. */
static bool publish_check(struct publish_walk *walk, struct publish_objection *why)
{
    while (walk->progress == VIEW_MORE) {
        walk->progress = view_open_step(&walk->view, UINT32_MAX, &walk->refusal);
    }
    return walk->progress == VIEW_READY || publish_object_view(why, &walk->refusal);
}

static void publish_ship(struct state *state)
{
    uint64_t asked = slots_alive(state);

    rollout_begin(&state->rollout, state->staged.generation, asked, state->now_ms);
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        if ((asked >> slot & 1) != 0) {
            slots_send_sockets(state, slot, false);
            slots_send_generation(state, slot, ABI_CONTROL_PREPARE, &state->staged);
        }
    }
}

/* Workers are told as soon as the sockets are there: they walk the snapshot while the supervisor
 * walks the rest of it. Nothing is committed before it has. */
static void publish_begin(struct state *state)
{
    struct publish_objection why = {.code = ABI_REFUSAL_NONE};
    struct publish_walk walk = {.progress = VIEW_MORE};
    bool staged = false;

    if (state->queued.generation <= state->newest) {
        why.code = ABI_REFUSAL_VALUE;
        snprintf(why.reason, sizeof(why.reason), "generation %llu was taken in before",
                 (unsigned long long)state->newest);
    } else {
        staged = publish_stage(state, &state->queued, &walk, &why);
    }
    if (staged) {
        state->staged = state->queued;
        state->queued = (struct state_files){.snapshot = -1, .secrets = -1};
        state->newest = state->staged.generation;
        publish_ship(state);
        if (!publish_check(&walk, &why)) {
            publish_tell_objection(state, state->staged.generation, &why);
            state->rollout.refused = true;
        }
    } else {
        publish_refuse(state, state->queued.generation, &why);
        publish_close(&state->queued);
    }
    region_unmap(&walk.region);
}

void publish_receive(struct state *state, struct control_message *message)
{
    const struct abi_control_publish *publish = &message->publish;

    if (state->draining) {
        publish_refuse_busy(state, publish->generation, "the data plane is shutting down");
        return;
    }
    if (upgrade_is_under_way(state)) {
        publish_refuse_busy(state, publish->generation, "the data plane is being upgraded");
        return;
    }
    if (state->queued.generation != 0) {
        publish_refuse_busy(state, state->queued.generation,
                            "a newer generation came while it waited");
        publish_close(&state->queued);
    }
    state->queued = (struct state_files){
        .generation = publish->generation,
        .secrets_generation = publish->secrets_generation,
        .snapshot = control_take(message, 0),
        .secrets = publish->has_secrets != 0 ? control_take(message, 1) : -1,
        .new_secrets = publish->has_secrets != 0,
    };
    if (state->rollout.state == ROLLOUT_IDLE) {
        publish_begin(state);
    }
}

/* The staged files become the committed ones; secrets that did not change are carried over. */
static void publish_adopt(struct state *state)
{
    struct state_files before = state->committed;

    state->committed = state->staged;
    state->staged = (struct state_files){.snapshot = -1, .secrets = -1};
    if (!state->committed.new_secrets) {
        state->committed.secrets = before.secrets;
        state->committed.secrets_generation = before.secrets_generation;
        before.secrets = -1;
    }
    publish_close(&before);
    sockets_commit(&state->sockets);
}

static void publish_abort(struct state *state)
{
    uint64_t asked = state->rollout.asked;

    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        if ((asked >> slot & 1) != 0) {
            slots_send_generation(state, slot, ABI_CONTROL_ABORT, &state->staged);
        }
    }
    publish_close(&state->staged);
    sockets_unstage(&state->sockets);
}

/* From here on the publication cannot be taken back. */
static void publish_commit(struct state *state)
{
    uint64_t silent = rollout_silent(&state->rollout);
    uint64_t asked = state->rollout.asked;
    struct publish_objection why = {
        .code = ABI_REFUSAL_LISTENER,
        .listener = ABI_LISTENER_UNKNOWN,
    };

    if (!sockets_listen(&state->sockets, why.reason)) {
        publish_tell_objection(state, state->rollout.generation, &why);
        state->rollout.refused = true;
        return;
    }
    publish_adopt(state);
    logkeeper_committed(state);
    rollout_commit(&state->rollout, slots_in_service(state), state->now_ms);
    for (uint32_t slot = 0; slot < state->config->workers; slot++) {
        if ((silent >> slot & 1) != 0) {
            publish_tell_phase(state, slot, ABI_PHASE_TIMED_OUT, state->committed.generation);
        }
        if ((asked >> slot & 1) != 0) {
            state->slots[slot].behind_ms = state->now_ms;
            slots_send_generation(state, slot, ABI_CONTROL_COMMIT, &state->committed);
        }
    }
}

static void publish_end(struct state *state)
{
    uint64_t generation = state->rollout.generation;
    bool committed = state->rollout.state == ROLLOUT_COMMITTING;
    struct rollout_result result = rollout_end(&state->rollout, state->config->workers);

    if (committed) {
        sockets_settle(&state->sockets);
    }
    publish_tell_end(state, generation, result, LOG_LEVEL_WARN);
    if (state->queued.generation != 0) {
        publish_begin(state);
    }
}

void publish_tick(struct state *state)
{
    enum rollout_step step;

    while ((step = rollout_next(&state->rollout, state->now_ms)) != ROLLOUT_WAIT) {
        switch (step) {
        case ROLLOUT_COMMIT:
            publish_commit(state);
            break;
        case ROLLOUT_ABORT:
            publish_abort(state);
            publish_end(state);
            break;
        default:
            publish_end(state);
            break;
        }
    }
}

/* A refusal after the commit, or of the committed generation by a fresh process: it cannot stay as
 * it is, because it would route by what is no longer true. */
static void publish_late_refusal(struct state *state, uint32_t slot, uint64_t generation)
{
    if (generation == state->committed.generation) {
        slots_kill(state, slot, "it refuses the committed generation");
    }
}

void publish_phase(struct state *state, uint32_t slot, const struct abi_control_phase *phase)
{
    struct state_slot *worker = &state->slots[slot];

    peers_tell(state, phase, NULL, 0);
    switch (phase->phase) {
    case ABI_PHASE_PREPARED:
        (void)rollout_prepared(&state->rollout, slot, phase->generation);
        break;
    case ABI_PHASE_REFUSED:
        log_line(LOG_LEVEL_WARN, "worker %u refuses generation %llu: %s", slot,
                 (unsigned long long)phase->generation, phase->reason);
        if (state->takeover.phase != STATE_TAKEOVER_NONE) {
            takeover_abandon(state, phase->reason);
        } else if (!rollout_refused(&state->rollout, slot, phase->generation)) {
            publish_late_refusal(state, slot, phase->generation);
        }
        break;
    default:
        MUST(phase->phase == ABI_PHASE_COMMITTED);
        worker->generation = phase->generation;
        if (phase->generation == state->committed.generation) {
            worker->behind_ms = 0;
        }
        if (worker->state == ABI_WORKER_STARTING) {
            slots_set_state(state, slot, ABI_WORKER_SERVING);
        }
        (void)rollout_committed(&state->rollout, slot, phase->generation);
        break;
    }
}
