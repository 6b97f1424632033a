/* A snapshot opened for reading. view_open walks everything once: places, alignment, references,
 * ranges, order, padding; after that, lookups trust the bytes (the file is sealed).
 *
 * No allocation: a view is a struct of pointers into a mapping that its owner keeps. */
#ifndef TABLE_VIEW_H
#define TABLE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "abi/errors.h"
#include "abi/snapshot.h"
#include "base/bytes.h"

struct view {
    const struct abi_snapshot *head; /* also the start of the mapping */
    size_t size;
    const uint8_t *text;
    const uint8_t *blob;
    const struct abi_listener *listeners;
    const struct abi_route_table *route_tables;
    const struct abi_host *hosts;
    const uint32_t *route_list;
    const struct abi_route *routes;
    const struct abi_match *matches;
    const struct abi_header_op *header_ops;
    const struct abi_dfa *dfas;
    const struct abi_split *splits;
    const struct abi_target *targets;
    const uint32_t *target_list;
    const struct abi_endpoint *endpoints;
    const struct abi_policy *policies;
    const struct abi_intention *intentions;
    const struct abi_permission *permissions;
    const struct abi_identity *identities;
    const struct abi_tls *tls;
    const uint64_t *secret_list;
    const struct abi_log *logs;
    const struct abi_log_op *log_ops;
    const struct abi_log_header *log_headers;
    const struct abi_server_name *server_names;
    const struct abi_network *networks;
    const struct abi_hops *hops;
    const struct abi_compression *compressions;
    const struct abi_text *media_types;
    const struct abi_traffic *traffic;
    const struct abi_guard *guards;
    const struct abi_rate *rates;
    const struct abi_balancer *balancers;
    const struct abi_tier *tiers;
    const uint32_t *slots;
    const struct abi_hash *hashes;
    const struct abi_original *originals;
    const struct abi_token *tokens;
    const struct abi_token_check *token_checks;
    const struct abi_token_place *token_places;
    uint32_t counts[ABI_SECTION_COUNT];
    /* progress of the walk */
    uint32_t _section;   /* being checked; ABI_SECTION_COUNT: the checksum still */
    uint32_t _record;    /* of it, next to be checked */
    uint64_t _part;      /* of the record (or bytes of TEXT, of the checksum) already checked */
    uint64_t _watermark; /* end of the last range that records of this section may not share */
    uint64_t _checksum;
};

enum view_progress {
    VIEW_MORE = 0,    /* call view_open_step again */
    VIEW_READY = 1,   /* every byte is checked */
    VIEW_REFUSED = 2, /* see the refusal */
};

struct view_refusal {
    enum abi_refusal code;
    uint32_t section; /* enum abi_section, or ABI_SECTION_COUNT for the header */
    uint32_t record;
    const char *what; /* static text: the rule that is broken */
};

/* Checks the header and sets the pointers. VIEW_MORE or VIEW_REFUSED. `bytes` is 16-byte aligned;
 * `size` is the size of the file, exactly what the header says. */
[[nodiscard]] enum view_progress view_open_begin(struct view *view, const void *bytes, size_t size,
                                                 struct view_refusal *refusal);

/* Checks on, about `records` records (or as many 64-byte lines of checksum, text or automaton), so
 * that a worker can go on serving between steps. The checksum comes first. */
[[nodiscard]] enum view_progress view_open_step(struct view *view, uint32_t records,
                                                struct view_refusal *refusal);

/* Between steps: whether the checksum holds and every listener is checked, its texts as well. */
[[nodiscard]] bool view_has_listeners(const struct view *view);

/* Both at once, for start-up, tests and tools. */
[[nodiscard]] bool view_open(struct view *view, const void *bytes, size_t size,
                             struct view_refusal *refusal);

static inline struct bytes view_text(const struct view *view, struct abi_text text)
{
    return bytes_of(view->text + text.at, text.len);
}

static inline struct bytes view_blob(const struct view *view, struct abi_ref ref)
{
    return bytes_of(view->blob + ref.at, ref.count);
}

/* Index of the listener or target with this key, or ABI_NONE. By binary search. */
uint32_t view_find_listener(const struct view *view, uint64_t key);
uint32_t view_find_target(const struct view *view, uint64_t key);

#endif
