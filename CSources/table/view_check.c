/* The rules of a record by its section; those of lists stand here. */
#include "view_walk.h"

static bool check_split(struct view_walk *walk)
{
    const struct abi_split *split = &walk->view->splits[walk->record];

    return view_rule(walk, split->weight >= 1 && split->weight <= ABI_SPLIT_TOTAL,
                     ABI_REFUSAL_VALUE, "weight of a split") &&
           view_rule(walk, split->target < walk->view->counts[ABI_SECTION_TARGET],
                     ABI_REFUSAL_REFERENCE, "target of a split") &&
           view_ref(walk, split->header_ops, ABI_SECTION_HEADER_OP, "header rules of a split");
}

static bool check_route_list(struct view_walk *walk)
{
    return view_rule(walk,
                     walk->view->route_list[walk->record] < walk->view->counts[ABI_SECTION_ROUTE],
                     ABI_REFUSAL_REFERENCE, "route of a list");
}

static bool check_target_list(struct view_walk *walk)
{
    return view_rule(walk,
                     walk->view->target_list[walk->record] < walk->view->counts[ABI_SECTION_TARGET],
                     ABI_REFUSAL_REFERENCE, "target of a list");
}

static bool check_secret_list(struct view_walk *walk)
{
    return view_rule(walk, walk->view->secret_list[walk->record] != 0, ABI_REFUSAL_VALUE,
                     "a secret's id is 0");
}

/* Of those in front of a listener. */
static bool check_front_record(struct view_walk *walk)
{
    switch (walk->view->_section) {
    case ABI_SECTION_NETWORK:
        return view_check_network(walk);
    case ABI_SECTION_SERVER_NAME:
        return view_check_server_name(walk);
    case ABI_SECTION_HOPS:
        return view_check_hops(walk);
    default:
        return view_check_original(walk);
    }
}

/* Of what is done with requests beyond their route. */
static bool check_late_record(struct view_walk *walk)
{
    switch (walk->view->_section) {
    case ABI_SECTION_COMPRESSION:
        return view_check_compression(walk);
    case ABI_SECTION_MEDIA_TYPE:
        return view_check_media_type(walk);
    case ABI_SECTION_TRAFFIC:
        return view_check_traffic(walk);
    case ABI_SECTION_GUARD:
        return view_check_guard(walk);
    case ABI_SECTION_RATE:
        return view_check_rate(walk);
    case ABI_SECTION_TOKEN:
    case ABI_SECTION_TOKEN_CHECK:
    case ABI_SECTION_TOKEN_PLACE:
        return view_check_tokens(walk);
    default:
        return view_check_balancing(walk);
    }
}

bool view_check_record(struct view_walk *walk)
{
    switch ((enum abi_section)walk->view->_section) {
    case ABI_SECTION_LISTENER:
        return view_check_listener(walk);
    case ABI_SECTION_ROUTE_TABLE:
        return view_check_route_table(walk);
    case ABI_SECTION_HOST:
        return view_check_host(walk);
    case ABI_SECTION_ROUTE_LIST:
        return check_route_list(walk);
    case ABI_SECTION_ROUTE:
        return view_check_route(walk);
    case ABI_SECTION_MATCH:
        return view_check_match(walk);
    case ABI_SECTION_HEADER_OP:
        return view_check_header_op(walk);
    case ABI_SECTION_DFA:
        return view_check_dfa(walk);
    case ABI_SECTION_SPLIT:
        return check_split(walk);
    case ABI_SECTION_TARGET:
        return view_check_target(walk);
    case ABI_SECTION_TARGET_LIST:
        return check_target_list(walk);
    case ABI_SECTION_ENDPOINT:
        return view_check_endpoint(walk);
    case ABI_SECTION_POLICY:
        return view_check_policy(walk);
    case ABI_SECTION_INTENTION:
        return view_check_intention(walk);
    case ABI_SECTION_PERMISSION:
        return view_check_permission(walk);
    case ABI_SECTION_IDENTITY:
        return view_check_identity(walk);
    case ABI_SECTION_TLS:
        return view_check_tls(walk);
    case ABI_SECTION_SECRET_LIST:
        return check_secret_list(walk);
    case ABI_SECTION_LOG:
        return view_check_log(walk);
    case ABI_SECTION_LOG_OP:
        return view_check_log_op(walk);
    case ABI_SECTION_LOG_HEADER:
        return view_check_log_header(walk);
    case ABI_SECTION_SERVER_NAME:
    case ABI_SECTION_NETWORK:
    case ABI_SECTION_HOPS:
    case ABI_SECTION_ORIGINAL:
        return check_front_record(walk);
    case ABI_SECTION_COMPRESSION:
    case ABI_SECTION_MEDIA_TYPE:
    case ABI_SECTION_TRAFFIC:
    case ABI_SECTION_GUARD:
    case ABI_SECTION_RATE:
    case ABI_SECTION_BALANCER:
    case ABI_SECTION_TIER:
    case ABI_SECTION_HASH:
    case ABI_SECTION_TOKEN:
    case ABI_SECTION_TOKEN_CHECK:
    case ABI_SECTION_TOKEN_PLACE:
        return check_late_record(walk);
    case ABI_SECTION_TEXT:
    case ABI_SECTION_BLOB:
    case ABI_SECTION_SLOT:
    case ABI_SECTION_COUNT:
        break; /* without records to check */
    }
    return false;
}
