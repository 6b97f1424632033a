/* Snapshots and secrets for tests of the C rooms. The product's writer is Swift; this one is small,
 * checks nothing and can therefore write what must be refused.
 *
 *     struct snapshot_builder *b = snapshot_builder_new();
 *     uint32_t web = snapshot_builder_target(b, "web", (uint16_t[]){18000, 18001}, 2);
 *     uint32_t table = snapshot_builder_route_table(b, snapshot_builder_forward(b, web));
 *     struct abi_listener listener = snapshot_builder_listener(b, "public", 8080);
 *
 *     listener.kind = ABI_LISTENER_L7;
 *     listener.route_table = table;
 *     snapshot_builder_add(b, ABI_SECTION_LISTENER, &listener);
 *     CHECK(view_open(&view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal));
 *     snapshot_builder_free(b);
 *
 * Records of listeners and targets must be added in the order of their keys; the helpers count keys
 * up by themselves. */
#ifndef SNAPSHOT_BUILDER_H
#define SNAPSHOT_BUILDER_H

#include <stddef.h>
#include <stdint.h>

#include "abi/log.h"
#include "abi/snapshot.h"
#include "base/bytes.h"

struct snapshot_builder;

struct snapshot_builder *snapshot_builder_new(void);
void snapshot_builder_free(struct snapshot_builder *b);

/* Appends one record to a section; its index. */
uint32_t snapshot_builder_add(struct snapshot_builder *b, enum abi_section section,
                              const void *record);
/* A record that was added, to change it. Not to be kept over further additions. */
void *snapshot_builder_record(struct snapshot_builder *b, enum abi_section section, uint32_t index);
/* Records of a section so far: what is added next has this index. */
uint32_t snapshot_builder_count(const struct snapshot_builder *b, enum abi_section section);

struct abi_text snapshot_builder_text(struct snapshot_builder *b, const char *text);
struct abi_ref snapshot_builder_blob(struct snapshot_builder *b, const void *bytes, size_t size);

/* The header's fields that are not 0 and 1: trust domain "test.mesh" and generation 1 by default.
 */
struct abi_snapshot *snapshot_builder_head(struct snapshot_builder *b);

/* --- usual records, filled with defaults that view_open accepts --- */

struct abi_address snapshot_builder_ip4(const char *dotted, uint16_t port);
/* L4 on 127.0.0.1, plaintext, with the next key and slot; `splits` or `route_table` is to be set.
 */
struct abi_listener snapshot_builder_listener(struct snapshot_builder *b, const char *name,
                                              uint16_t port);
/* One split that takes all. */
struct abi_ref snapshot_builder_split(struct snapshot_builder *b, uint32_t target);
/* A route to a target for any request. */
struct abi_route snapshot_builder_forward(struct snapshot_builder *b, uint32_t target);
/* A table whose only route is this one, for every host. */
uint32_t snapshot_builder_route_table(struct snapshot_builder *b, struct abi_route route);
/* An HTTP target with plaintext endpoints on 127.0.0.1 of weight 1, overlay slots in order. */
uint32_t snapshot_builder_target(struct snapshot_builder *b, const char *service,
                                 const uint16_t *ports, uint32_t count);
/* A policy for `destination` with intentions for exact sources (sorted), then the fallback when
 * `any` is not NULL; a leading `-` denies: {"api", "-billing"}. */
uint32_t snapshot_builder_policy(struct snapshot_builder *b, const char *destination,
                                 const char *const *sources, uint32_t count, const char *any);

/* A table of hosts: names and the range of routes of each. */
struct abi_ref snapshot_builder_hosts(struct snapshot_builder *b, const char *const *names,
                                      const struct abi_ref *routes, uint32_t count);

/* A table of server names with the EC and RSA certificate of each: indexes into SECRET_LIST or
 * ABI_NONE. */
struct snapshot_name {
    const char *name;
    uint32_t certificates[ABI_KEY_COUNT];
};
struct abi_ref snapshot_builder_names(struct snapshot_builder *b, const struct snapshot_name *names,
                                      uint32_t count);

/* An automaton that accepts exactly `text`. */
uint32_t snapshot_builder_dfa(struct snapshot_builder *b, const char *text);

/* --- the file --- */

/* Lays the file out and computes its checksum; later additions need another call. The bytes are
 * 16-byte aligned, end where their allocation ends, and live until snapshot_builder_free. */
uint8_t *snapshot_builder_bytes(struct snapshot_builder *b);
size_t snapshot_builder_size(const struct snapshot_builder *b);
/* For bytes that a test has changed. */
void snapshot_builder_seal(uint8_t *bytes, size_t size);

/* --- secrets --- */

struct snapshot_secret {
    uint64_t id;
    uint32_t kind; /* enum abi_secret_kind */
    struct bytes chain;
    struct bytes key;
    struct bytes names; /* each followed by one NUL */
    uint64_t version;   /* 0 stands for 1 */
};

/* A region with these secrets in the given order; freed with free(). */
uint8_t *snapshot_builder_secrets(const struct snapshot_secret *secrets, uint32_t count,
                                  size_t *size);

/* A log to standard output with these operations; a literal is a blank. */
uint32_t snapshot_builder_log(struct snapshot_builder *b, const struct abi_log_op *ops,
                              uint32_t count);

#endif
