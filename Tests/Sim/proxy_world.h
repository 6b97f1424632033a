/* The proxy of one worker on the simulated ring: its snapshots, its loop, and the state in which it
 * must be found when all is over. One at a time.
 *
 *     struct snapshot_builder *b = snapshot_builder_new();
 *     ... records ...
 *     proxy_world_start(b);
 *     proxy_world_listen(key, 80);
 *     ... clients and services ...
 *     while (proxy_world_running()) { proxy_world_turn(); }
 *     proxy_world_finish();
 */
#ifndef PROXY_WORLD_H
#define PROXY_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/stats.h"
#include "core/ring.h"
#include "proxy/proxy.h"
#include "snapshot_builder.h"

struct proxy_world {
    struct ring *ring;
    struct proxy *proxy;
    struct abi_stats *stats;
    struct abi_overlay *overlay;
    struct abi_tally *tally;
    uint32_t live;         /* generations not given back yet */
    uint32_t spill_blocks; /* that the proxy has; fewer than in a real worker */
    uint32_t busy;         /* clients that the scenario waits for */
};

extern struct proxy_world proxy_world;

/* A ring and a proxy of random size, and the first generation. The builder is the world's. */
void proxy_world_start(struct snapshot_builder *first);

/* Another generation, from now on. */
void proxy_world_commit(struct snapshot_builder *next);

/* A listening socket for the listener with this key. */
void proxy_world_listen(uint64_t key, uint16_t port);

/* What a secrets region holds; for the generations from now on. Given back by
 * proxy_world_finish(). */
void proxy_world_set_secrets(uint8_t *bytes, size_t size);

/* Whether clients are still at it. */
bool proxy_world_running(void);

/* One turn of the worker's loop; false when nothing happened in it. */
bool proxy_world_turn(void);

/* Turns for so long. */
void proxy_world_pass(uint64_t duration_ms);

/* Drains, checks that nothing is left of anything, and ends the proxy. */
void proxy_world_finish(void);

#endif
