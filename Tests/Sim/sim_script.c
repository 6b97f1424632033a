#include "sim_script.h"

#include <string.h>

#include "base/num.h"

#define SIM_SCRIPT_MS 1000000ull

/* One connection that follows a script. */
struct sim_follower {
    struct sim_script *script;
    struct sim_peer *peer;
    uint32_t step;
    size_t done;  /* bytes of this step */
    bool waiting; /* a wake-up is on its way */
    bool slept;   /* the pause of this step is over */
    uint64_t allowed_ns;
    uint8_t seen[SIM_SCRIPT_SEEN];
};

enum sim_progress { SIM_GO_ON, SIM_WAIT };

static void sim_follow(struct sim_follower *follower);

static void sim_follower_wake(void *context)
{
    struct sim_follower *follower = context;

    follower->waiting = false;
    follower->slept = true;
    if (!follower->peer->finished) {
        sim_follow(follower);
    }
}

static void sim_follower_sleep(struct sim_follower *follower, uint64_t delay_ns)
{
    if (!follower->waiting) {
        follower->waiting = true;
        sim_after(delay_ns, sim_follower_wake, follower);
    }
}

/* Reads at most `max`, and no faster than the script says. */
static size_t sim_follower_read(struct sim_follower *follower, uint8_t *to, size_t max)
{
    uint32_t slow = follower->script->slow;
    size_t got;

    if (slow == 0) {
        return sim_peer_read(follower->peer, to, max);
    }
    if (sim_now_ns() < follower->allowed_ns) {
        sim_follower_sleep(follower, follower->allowed_ns - sim_now_ns());
        return 0;
    }
    got = sim_peer_read(follower->peer, to, num_min_size(max, slow));
    follower->allowed_ns = sim_now_ns() + SIM_SCRIPT_MS;
    if (got > 0) {
        sim_follower_sleep(follower, SIM_SCRIPT_MS);
    }
    return got;
}

static enum sim_progress sim_follow_send(struct sim_follower *follower, const struct sim_step *step)
{
    follower->done += sim_peer_send(follower->peer, bytes_from(step->bytes, follower->done));
    return follower->done == step->bytes.len ? SIM_GO_ON : SIM_WAIT;
}

/* The stream must not end inside a step that reads. */
static enum sim_progress sim_follow_starved(const struct sim_follower *follower)
{
    SIM_CHECK(!follower->peer->ended);
    return SIM_WAIT;
}

static enum sim_progress sim_follow_expect(struct sim_follower *follower,
                                           const struct sim_step *step)
{
    while (follower->done < step->bytes.len) {
        size_t got =
            sim_follower_read(follower, follower->seen,
                              num_min_size(SIM_SCRIPT_SEEN, step->bytes.len - follower->done));

        if (got == 0) {
            return sim_follow_starved(follower);
        }
        if (!SIM_CHECK(memcmp(follower->seen, step->bytes.ptr + follower->done, got) == 0)) {
            return SIM_WAIT;
        }
        follower->done += got;
    }
    return SIM_GO_ON;
}

/* Byte by byte, so that nothing behind the marker is taken. */
static enum sim_progress sim_follow_until(struct sim_follower *follower,
                                          const struct sim_step *step)
{
    for (;;) {
        struct bytes seen = bytes_of(follower->seen, follower->done);
        bool enough = step->kind == SIM_STEP_COUNT
                          ? seen.len == step->number
                          : seen.len > 0 && bytes_has_suffix(seen, step->bytes);

        if (enough) {
            SIM_CHECK(step->check == NULL || step->check(seen));
            return SIM_GO_ON;
        }
        if (!SIM_CHECK(follower->done < SIM_SCRIPT_SEEN)) {
            return SIM_WAIT;
        }
        if (sim_follower_read(follower, follower->seen + follower->done, 1) == 0) {
            return sim_follow_starved(follower);
        }
        follower->done++;
    }
}

static enum sim_progress sim_follow_end(struct sim_follower *follower)
{
    uint8_t more;

    if (!SIM_CHECK(sim_peer_read(follower->peer, &more, 1) == 0)) {
        return SIM_WAIT;
    }
    return follower->peer->ended ? SIM_GO_ON : SIM_WAIT;
}

static enum sim_progress sim_follow_step(struct sim_follower *follower)
{
    const struct sim_step *step = &follower->script->steps[follower->step];

    switch (step->kind) {
    case SIM_STEP_SEND:
        return sim_follow_send(follower, step);
    case SIM_STEP_EXPECT:
        return sim_follow_expect(follower, step);
    case SIM_STEP_UNTIL:
    case SIM_STEP_COUNT:
        return sim_follow_until(follower, step);
    case SIM_STEP_EXPECT_END:
        return sim_follow_end(follower);
    case SIM_STEP_PAUSE:
        if (!follower->slept) {
            sim_follower_sleep(follower, step->number * SIM_SCRIPT_MS);
            return SIM_WAIT;
        }
        return SIM_GO_ON;
    case SIM_STEP_SHUTDOWN:
        sim_peer_shutdown(follower->peer);
        return SIM_GO_ON;
    case SIM_STEP_CLOSE:
        sim_peer_close(follower->peer);
        return SIM_GO_ON;
    case SIM_STEP_RESET:
        sim_peer_reset(follower->peer);
        return SIM_GO_ON;
    }
    return SIM_WAIT;
}

static void sim_follow(struct sim_follower *follower)
{
    struct sim_script *script = follower->script;

    if (follower->peer->refused || follower->peer->reset) {
        script->broken++;
        sim_peer_close(follower->peer);
        return;
    }
    while (follower->step < script->count && sim_follow_step(follower) == SIM_GO_ON) {
        follower->step++;
        follower->done = 0;
        follower->slept = false;
    }
    if (follower->step == script->count) {
        script->completed++;
        sim_peer_close(follower->peer);
    }
}

static struct sim_follower *sim_follower_new(struct sim_script *script)
{
    struct sim_follower *follower = sim_alloc(sizeof(*follower));

    follower->script = script;
    script->begun++;
    return follower;
}

static void sim_follower_changed(struct sim_peer *peer)
{
    sim_follow(peer->context);
}

/* The first sign of a connection to a service: it gets a follower of its own. */
static void sim_follower_arrived(struct sim_peer *peer)
{
    struct sim_follower *follower = sim_follower_new(peer->context);

    follower->peer = peer;
    peer->context = follower;
    peer->changed = sim_follower_changed;
    sim_follow(follower);
}

void sim_script_connect(uint16_t port, struct sim_script *script)
{
    struct sim_follower *follower = sim_follower_new(script);

    follower->peer = sim_connect(port, sim_follower_changed, follower);
}

void sim_script_serve(uint16_t port, struct sim_script *script)
{
    sim_serve(port, sim_follower_arrived, script);
}
