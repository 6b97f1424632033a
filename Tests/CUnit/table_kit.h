/* Sample snapshots for the tests of the room table. */
#ifndef TABLE_KIT_H
#define TABLE_KIT_H

#include "snapshot_builder.h"
#include "table/route.h"
#include "table/view.h"

/* One L7 listener, one route, one target with two endpoints. */
struct snapshot_builder *table_kit_small(void);

/* Something in every section. Listeners: 0 L7 with hosts, 1 L4, 2 mesh inbound. Routes: 0 forward,
 * 1 respond, 2 redirect, 3 forward by regex and matches. Targets: 0 plaintext with failover to 1,
 * 1 mesh. TLS: 0 mesh server, 1 mesh client. Policy 0: web, policy 1: `*`. */
struct snapshot_builder *table_kit_everything(void);

/* Runs every lookup over everything in an opened view; for damaged snapshots that were accepted. */
void table_kit_use(const struct view *view);

/* A request with its fields: {"name", "value", ..., NULL}. */
struct route_input table_kit_request(uint32_t method, const char *host, const char *path,
                                     const char *query, const char *const *fields);

#endif
