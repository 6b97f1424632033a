/* The world's clock, chance, descriptors and life. */
#include "sim_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/must.h"

#define SIM_LIFE_NS (3600 * 1000 * SIM_MS)

struct sim_world *sim;

uint64_t sim_seed(void)
{
    return sim->seed;
}

uint64_t sim_now_ns(void)
{
    return sim->now_ns;
}

const struct sim_faults *sim_faults(void)
{
    return &sim->faults;
}

uint64_t sim_random(void)
{
    uint64_t mixed = sim->random += 0x9e3779b97f4a7c15ULL;

    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
}

uint32_t sim_random_below(uint32_t bound)
{
    MUST(bound > 0);
    return (uint32_t)((sim_random() >> 32) * bound >> 32);
}

bool sim_chance(uint32_t chance)
{
    return sim_random_below(1000) < chance;
}

/* Most faults are absent in a third of the runs, rare in a third and frequent in a third. */
static uint32_t sim_draw(uint32_t most)
{
    switch (sim_random_below(3)) {
    case 0:
        return 0;
    case 1:
        return 1 + most / 20;
    default:
        return most;
    }
}

void sim_start(uint64_t seed, const struct sim_faults *faults)
{
    MUST(sim == NULL);
    sim = calloc(1, sizeof(*sim));
    MUST(sim != NULL);
    sim->seed = seed;
    sim->random = seed;
    sim->now_ns = 1000 * SIM_MS + sim_random_below(1000000);
    sim->faults = faults != NULL ? *faults
                                 : (struct sim_faults){
                                       .partial_send = sim_draw(400),
                                       .partial_recv = sim_draw(400),
                                       .late_event = sim_draw(300),
                                       .slow_network = sim_draw(300),
                                       .no_buffer = sim_draw(100),
                                       .ended_multi = sim_draw(100),
                                       .accept_failure = sim_draw(100),
                                       .peer_reset = sim_draw(100),
                                       .connect_refused = sim_draw(100),
                                       .connect_lost = sim_draw(50),
                                       .no_pipe = sim_draw(200),
                                   };
}

void sim_end(void)
{
    MUST(sim->ring == NULL); /* the program destroys its ring */
    for (struct sim_memory *memory = sim->memory, *next; memory != NULL; memory = next) {
        next = memory->next;
        free(memory);
    }
    for (int fd = 0; fd < SIM_FDS_MAX; fd++) {
        free(sim->fds[fd]);
    }
    free(sim->peers);
    free(sim->events);
    free(sim);
    sim = NULL;
}

bool sim_failed(void)
{
    return sim->failed;
}

void *sim_alloc(size_t size)
{
    struct sim_memory *memory = calloc(1, sizeof(*memory) + size);

    MUST(memory != NULL);
    memory->next = sim->memory;
    sim->memory = memory;
    return memory->bytes;
}

bool sim_check(bool held, const char *what, const char *file, int line)
{
    if (!held && !sim->failed) {
        fprintf(stderr, "seed %llu at %.3f ms: %s:%d: %s\n", (unsigned long long)sim->seed,
                (double)sim->now_ns / 1e6, file, line, what);
    }
    sim->failed = sim->failed || !held;
    return held;
}

/* --- events --- */

static bool sim_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void sim_swap(size_t a, size_t b)
{
    struct sim_event kept = sim->events[a];

    sim->events[a] = sim->events[b];
    sim->events[b] = kept;
}

void sim_schedule(uint64_t delay_ns, void (*run)(void *context, uint64_t number), void *context,
                  uint64_t number)
{
    size_t at = sim->event_count;

    if (sim->event_count == sim->event_room) {
        sim->event_room = sim->event_room == 0 ? 256 : 2 * sim->event_room;
        sim->events = realloc(sim->events, sim->event_room * sizeof(sim->events[0]));
        MUST(sim->events != NULL);
    }
    sim->events[sim->event_count++] =
        (struct sim_event){sim->now_ns + delay_ns, sim->order++, run, context, number};
    while (at > 0 && sim_before(&sim->events[at], &sim->events[(at - 1) / 2])) {
        sim_swap(at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

static struct sim_event sim_pop(void)
{
    struct sim_event first = sim->events[0];
    size_t at = 0;

    sim->events[0] = sim->events[--sim->event_count];
    for (;;) {
        size_t least = at;

        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sim->event_count; child++) {
            least = sim_before(&sim->events[child], &sim->events[least]) ? child : least;
        }
        if (least == at) {
            return first;
        }
        sim_swap(at, least);
        at = least;
    }
}

bool sim_step(uint64_t limit_ns)
{
    struct sim_event event;

    if (sim->event_count == 0 || sim->events[0].at_ns > limit_ns) {
        return false;
    }
    event = sim_pop();
    sim->now_ns = event.at_ns > sim->now_ns ? event.at_ns : sim->now_ns;
    event.run(event.context, event.number);
    return true;
}

static void sim_run_after(void *context, uint64_t number)
{
    ((void (*)(void *))(uintptr_t)number)(context);
}

void sim_after(uint64_t delay_ns, void (*run)(void *context), void *context)
{
    sim_schedule(delay_ns, sim_run_after, context, (uint64_t)(uintptr_t)run);
}

bool sim_running(void)
{
    bool busy = sim->event_count > 0;

    if (!SIM_CHECK(sim->now_ns < SIM_LIFE_NS)) {
        return false;
    }
    for (uint32_t i = 0; i < sim->peer_count && !busy; i++) {
        busy = !sim->peers[i]->finished;
    }
    return busy && !sim->failed;
}

/* --- descriptors --- */

int sim_fd_open(enum sim_fd_kind kind)
{
    for (int fd = SIM_FD_FIRST; fd < SIM_FDS_MAX; fd++) {
        if (sim->fds[fd] == NULL) {
            sim->fds[fd] = calloc(1, sizeof(struct sim_fd));
            MUST(sim->fds[fd] != NULL);
            sim->fds[fd]->kind = kind;
            sim->fds[fd]->id = ++sim->last_id;
            return fd;
        }
    }
    return -EMFILE;
}

struct sim_fd *sim_fd_get(int fd)
{
    MUST(fd >= SIM_FD_FIRST && fd < SIM_FDS_MAX);
    MUST(sim->fds[fd] != NULL);
    MUST(!sim->fds[fd]->closing);
    return sim->fds[fd];
}

void sim_fd_free(int fd)
{
    free(sim->fds[fd]);
    sim->fds[fd] = NULL;
}

void sim_check_quiet(void)
{
    if (sim->failed) { /* what is left then says nothing */
        return;
    }
    for (int fd = SIM_FD_FIRST; fd < SIM_FDS_MAX; fd++) {
        const struct sim_fd *entry = sim->fds[fd];

        if (entry != NULL && entry->kind != SIM_FD_LISTENER && entry->kind != SIM_FD_PIPE) {
            fprintf(stderr, "seed %llu: descriptor %d is left open\n",
                    (unsigned long long)sim->seed, fd);
            SIM_CHECK(entry == NULL);
        }
    }
    SIM_CHECK(sim->ring == NULL || ring_sim_is_quiet(sim->ring));
}
