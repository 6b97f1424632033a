/* The walk of view_open: shared by view_open.c, which drives it, and the files with the rules of
 * each section. A rule returns false after it has filled the refusal. */
#ifndef TABLE_VIEW_WALK_H
#define TABLE_VIEW_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "table/view.h"

struct view_walk {
    struct view *view;
    uint32_t record;
    int64_t budget; /* lines of 64 bytes or records that may still be checked in this step */
    struct view_refusal *refusal;
};

/* One rule: `held`, or the refusal is filled. Rules are chained with &&, so that a later one may
 * rely on an earlier one. */
static inline bool view_rule(struct view_walk *walk, bool held, enum abi_refusal code,
                             const char *what)
{
    if (__builtin_expect(held, 1)) {
        return true;
    }
    walk->refusal->code = code;
    walk->refusal->section = walk->view->_section;
    walk->refusal->record = walk->record;
    walk->refusal->what = what;
    return false;
}

static inline bool view_in_section(const struct view_walk *walk, struct abi_ref ref,
                                   enum abi_section section)
{
    uint32_t count = walk->view->counts[section];

    return ref.at <= count && ref.count <= count - ref.at;
}

static inline bool view_ref(struct view_walk *walk, struct abi_ref ref, enum abi_section section,
                            const char *what)
{
    return view_rule(walk, view_in_section(walk, ref, section), ABI_REFUSAL_REFERENCE, what);
}

/* An index of a section, or ABI_NONE. */
static inline bool view_index(struct view_walk *walk, uint32_t index, enum abi_section section,
                              const char *what)
{
    return view_rule(walk, index == ABI_NONE || index < walk->view->counts[section],
                     ABI_REFUSAL_REFERENCE, what);
}

/* Whether a record of many parts goes on with the next. A call begins with budget, or with part 0,
 * so it does at least one part: view->_part is 0 again only when the record is complete. */
static inline bool view_goes_on(const struct view_walk *walk)
{
    return walk->budget > 0 || walk->view->_part == 0;
}

/* A range that no other record of this section shares: it lies behind the last such range. */
bool view_own_range(struct view_walk *walk, struct abi_ref ref, const char *what);

/* Any text: in TEXT, not longer than LIMIT_TEXT, whole characters. */
bool view_check_text(struct view_walk *walk, struct abi_text text, const char *what);
/* Text that is sent in a head: no controls but tab. May be empty. */
bool view_check_line(struct view_walk *walk, struct abi_text text, const char *what);
/* An RFC 9110 token; may be empty when `optional`. */
bool view_check_token(struct view_walk *walk, struct abi_text text, bool optional,
                      const char *what);
/* No upper-case ASCII letters. */
bool view_check_lower(struct view_walk *walk, struct abi_text text, const char *what);
/* Neither controls nor blanks. */
bool view_check_word(struct view_walk *walk, struct abi_text text, const char *what);
/* Empty or beginning with `/`, without controls and blanks. */
bool view_check_path(struct view_walk *walk, struct abi_text text, const char *what);
bool view_check_address(struct view_walk *walk, const struct abi_address *address);
/* A TCP congestion control's name, or empty. */
bool view_check_congestion(struct view_walk *walk, struct abi_text text);
/* Weights of a list of destinations. */
bool view_check_splits(struct view_walk *walk, struct abi_ref splits);

/* Hash tables of slots that begin with their name. */
struct view_slots {
    const void *first;
    size_t size;
    uint32_t count;
};
/* Slots are checked as the budget allows; view->_part of them are done, 0: all are. */
bool view_check_slots(struct view_walk *walk, struct view_slots slots);

/* The rules of one record of a section. A record that needs more work than the budget allows leaves
 * it below zero with view->_part telling how far it came, and is called again. */
bool view_check_record(struct view_walk *walk);
bool view_check_listener(struct view_walk *walk);
bool view_check_route_table(struct view_walk *walk);
bool view_check_host(struct view_walk *walk);
bool view_check_route(struct view_walk *walk);
bool view_check_match(struct view_walk *walk);
bool view_check_header_op(struct view_walk *walk);
bool view_check_dfa(struct view_walk *walk);
bool view_check_target(struct view_walk *walk);
bool view_check_endpoint(struct view_walk *walk);
bool view_check_policy(struct view_walk *walk);
bool view_check_intention(struct view_walk *walk);
bool view_check_permission(struct view_walk *walk);
/* A record of TOKEN, TOKEN_CHECK or TOKEN_PLACE. */
bool view_check_tokens(struct view_walk *walk);
bool view_check_identity(struct view_walk *walk);
bool view_check_tls(struct view_walk *walk);
bool view_check_log(struct view_walk *walk);
bool view_check_log_op(struct view_walk *walk);
bool view_check_log_header(struct view_walk *walk);
bool view_check_server_name(struct view_walk *walk);
bool view_check_network(struct view_walk *walk);
bool view_check_hops(struct view_walk *walk);
bool view_check_original(struct view_walk *walk);
/* A listener's flags and `other` against the ways of redirected connections. */
bool view_check_listener_original(struct view_walk *walk, const struct abi_listener *listener);
bool view_check_traffic(struct view_walk *walk);
bool view_check_guard(struct view_walk *walk);
bool view_check_rate(struct view_walk *walk);
/* A listener's index of HOPS against its kind and flags. */
bool view_check_listener_hops(struct view_walk *walk, const struct abi_listener *listener);
bool view_check_compression(struct view_walk *walk);
bool view_check_media_type(struct view_walk *walk);
/* A record of BALANCER, TIER or HASH. */
bool view_check_balancing(struct view_walk *walk);
/* A target's balancer against its endpoints and enum abi_balance. */
bool view_check_target_balancer(struct view_walk *walk, const struct abi_target *target);
/* Whether endpoint `number` of the target is as light as its tier says. */
bool view_check_tier_weight(struct view_walk *walk, const struct abi_target *target,
                            uint32_t number);
/* A listener's index of COMPRESSION against its kind. */
bool view_check_listener_compression(struct view_walk *walk, const struct abi_listener *listener);
/* The TEXT section as a whole: UTF-8 without NUL, in steps. */
bool view_check_all_text(struct view_walk *walk);

#endif
