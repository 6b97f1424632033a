/* Opening a snapshot: header, places, checksum, then every record by the rules of its section. */
#include "table/view.h"

#include "abi/layout.h"
#include "abi/limits.h"
#include "base/num.h"
#include "view_walk.h"

/* Greatest number of records of each section; 0: only the size of the file bounds it. */
static const uint32_t section_limits[ABI_SECTION_COUNT] = {
    [ABI_SECTION_LISTENER] = LIMIT_LISTENERS,
    [ABI_SECTION_ROUTE] = LIMIT_ROUTES,
    [ABI_SECTION_TARGET] = LIMIT_TARGETS,
    [ABI_SECTION_ENDPOINT] = LIMIT_ENDPOINTS,
    [ABI_SECTION_INTENTION] = LIMIT_INTENTIONS,
    [ABI_SECTION_TLS] = LIMIT_TLS_CONTEXTS,
    [ABI_SECTION_LOG] = LIMIT_LOGS,
    [ABI_SECTION_SERVER_NAME] = LIMIT_SERVER_NAMES,
    [ABI_SECTION_HOPS] = LIMIT_LISTENERS,
    [ABI_SECTION_COMPRESSION] = LIMIT_LISTENERS,
    [ABI_SECTION_TRAFFIC] = LIMIT_ROUTES,
    [ABI_SECTION_GUARD] = LIMIT_TARGETS,
    [ABI_SECTION_RATE] = LIMIT_RATES,
    [ABI_SECTION_BALANCER] = LIMIT_TARGETS,
    [ABI_SECTION_TIER] = LIMIT_TARGETS * LIMIT_TIERS,
    [ABI_SECTION_SLOT] = LIMIT_HASH_SLOTS,
    [ABI_SECTION_HASH] = LIMIT_TARGETS * LIMIT_TARGET_HASHES,
    [ABI_SECTION_ORIGINAL] = LIMIT_ORIGINALS,
    [ABI_SECTION_TOKEN] = LIMIT_TOKENS,
    [ABI_SECTION_TOKEN_CHECK] = LIMIT_TOKENS,
    [ABI_SECTION_TOKEN_PLACE] = LIMIT_TOKENS,
};

static bool refuse(struct view_refusal *refusal, enum abi_refusal code, uint32_t section,
                   const char *what)
{
    *refusal = (struct view_refusal){code, section, 0, what};
    return false;
}

static bool check_head(const struct abi_snapshot *head, size_t size, struct view_refusal *refusal)
{
    const uint32_t none = ABI_SECTION_COUNT;

    if (size < sizeof(*head)) {
        return refuse(refusal, ABI_REFUSAL_SIZE, none, "shorter than a header");
    }
    if (head->magic != ABI_SNAPSHOT_MAGIC) {
        return refuse(refusal, ABI_REFUSAL_MAGIC, none, "not a snapshot");
    }
    if (head->version != ABI_VERSION || head->header_size != sizeof(*head)) {
        return refuse(refusal, ABI_REFUSAL_VERSION, none, "another ABI version");
    }
    if (head->size != size) {
        return refuse(refusal, ABI_REFUSAL_SIZE, none, "the header says another size");
    }
    if (size > LIMIT_SNAPSHOT_SIZE) {
        return refuse(refusal, ABI_REFUSAL_SIZE, none, "larger than LIMIT_SNAPSHOT_SIZE");
    }
    if (head->generation == 0) {
        return refuse(refusal, ABI_REFUSAL_VALUE, none, "the generation is 0");
    }
    return true;
}

/* Sections fill the file from the header to its end; only gaps of less than ABI_SECTION_ALIGN zero
 * bytes stand between them, so no byte is left unexplained. */
static bool check_places(const struct abi_snapshot *head, struct view_refusal *refusal)
{
    const uint8_t *bytes = (const uint8_t *)head;
    uint64_t end = sizeof(*head);

    for (uint32_t i = 0; i < ABI_SECTION_COUNT; i++) {
        const struct abi_section_place *place = &head->sections[i];
        uint64_t at = end;

        if (place->record_size != abi_record_size(i)) {
            return refuse(refusal, ABI_REFUSAL_SECTION, i, "another record size");
        }
        if (place->at != at) {
            return refuse(refusal, ABI_REFUSAL_SECTION, i, "not where the section before ends");
        }
        if (section_limits[i] != 0 && place->count > section_limits[i]) {
            return refuse(refusal, ABI_REFUSAL_LIMIT, i, "more records than the limit");
        }
        /* 32 bits times less than 2^10 plus less than 2^28 cannot wrap. */
        end = at + (uint64_t)place->count * place->record_size;
        if (end > head->size) {
            return refuse(refusal, ABI_REFUSAL_SECTION, i, "runs past the end of the file");
        }
        for (at = end, end = num_align_up(end, ABI_SECTION_ALIGN); at < end && at < head->size;
             at++) {
            if (bytes[at] != 0) {
                return refuse(refusal, ABI_REFUSAL_PADDING, i, "bytes behind the section");
            }
        }
    }
    if (end != head->size) {
        return refuse(refusal, ABI_REFUSAL_SECTION, ABI_SECTION_COUNT,
                      "the file does not end with its last section");
    }
    return true;
}

static void set_pointers(struct view *view)
{
    const uint8_t *start = (const uint8_t *)view->head;
    const void *at[ABI_SECTION_COUNT];

    for (uint32_t i = 0; i < ABI_SECTION_COUNT; i++) {
        at[i] = start + view->head->sections[i].at;
        view->counts[i] = view->head->sections[i].count;
    }
    view->text = at[ABI_SECTION_TEXT];
    view->blob = at[ABI_SECTION_BLOB];
    view->listeners = at[ABI_SECTION_LISTENER];
    view->route_tables = at[ABI_SECTION_ROUTE_TABLE];
    view->hosts = at[ABI_SECTION_HOST];
    view->route_list = at[ABI_SECTION_ROUTE_LIST];
    view->routes = at[ABI_SECTION_ROUTE];
    view->matches = at[ABI_SECTION_MATCH];
    view->header_ops = at[ABI_SECTION_HEADER_OP];
    view->dfas = at[ABI_SECTION_DFA];
    view->splits = at[ABI_SECTION_SPLIT];
    view->targets = at[ABI_SECTION_TARGET];
    view->target_list = at[ABI_SECTION_TARGET_LIST];
    view->endpoints = at[ABI_SECTION_ENDPOINT];
    view->policies = at[ABI_SECTION_POLICY];
    view->intentions = at[ABI_SECTION_INTENTION];
    view->permissions = at[ABI_SECTION_PERMISSION];
    view->identities = at[ABI_SECTION_IDENTITY];
    view->tls = at[ABI_SECTION_TLS];
    view->secret_list = at[ABI_SECTION_SECRET_LIST];
    view->logs = at[ABI_SECTION_LOG];
    view->log_ops = at[ABI_SECTION_LOG_OP];
    view->log_headers = at[ABI_SECTION_LOG_HEADER];
    view->server_names = at[ABI_SECTION_SERVER_NAME];
    view->networks = at[ABI_SECTION_NETWORK];
    view->hops = at[ABI_SECTION_HOPS];
    view->compressions = at[ABI_SECTION_COMPRESSION];
    view->media_types = at[ABI_SECTION_MEDIA_TYPE];
    view->traffic = at[ABI_SECTION_TRAFFIC];
    view->guards = at[ABI_SECTION_GUARD];
    view->rates = at[ABI_SECTION_RATE];
    view->balancers = at[ABI_SECTION_BALANCER];
    view->tiers = at[ABI_SECTION_TIER];
    view->slots = at[ABI_SECTION_SLOT];
    view->hashes = at[ABI_SECTION_HASH];
    view->originals = at[ABI_SECTION_ORIGINAL];
    view->tokens = at[ABI_SECTION_TOKEN];
    view->token_checks = at[ABI_SECTION_TOKEN_CHECK];
    view->token_places = at[ABI_SECTION_TOKEN_PLACE];
}

enum view_progress view_open_begin(struct view *view, const void *bytes, size_t size,
                                   struct view_refusal *refusal)
{
    const struct abi_snapshot *head = bytes;

    MUST(((uintptr_t)bytes & (ABI_SECTION_ALIGN - 1)) == 0);
    *view = (struct view){.head = head, .size = size, ._section = ABI_SECTION_COUNT};
    *refusal = (struct view_refusal){0};
    if (!check_head(head, size, refusal) || !check_places(head, refusal)) {
        return VIEW_REFUSED;
    }
    set_pointers(view);
    view->_checksum = abi_checksum_start(size - sizeof(*head));
    return VIEW_MORE;
}

/* Sums up to walk->budget lines. When all is summed, the walk of the sections begins. */
static bool step_checksum(struct view_walk *walk)
{
    struct view *view = walk->view;
    size_t rest = view->size - sizeof(*view->head) - view->_part;
    size_t piece = num_min_size(rest, (size_t)walk->budget * 64);

    view->_checksum =
        abi_checksum_more(view->_checksum, (const uint8_t *)(view->head + 1) + view->_part, piece);
    view->_part += piece;
    walk->budget -= (int64_t)(piece / 64) + 1;
    if (piece < rest) {
        return true;
    }
    if (!view_rule(walk, view->_checksum == view->head->checksum, ABI_REFUSAL_CHECKSUM,
                   "the contents do not match the checksum")) {
        return false;
    }
    if (!view_check_text(walk, view->head->trust_domain, "trust domain") ||
        !view_check_text(walk, view->head->datacenter, "datacenter") ||
        !view_check_text(walk, view->head->node, "node")) {
        return false;
    }
    view->_part = 0;
    view->_section = 0;
    return true;
}

/* Checks records of one section until it ends or the budget is used up. */
static bool step_section(struct view_walk *walk)
{
    struct view *view = walk->view;
    uint32_t count = view->counts[view->_section];

    if (view->_section == ABI_SECTION_TEXT) {
        if (!view_check_all_text(walk)) {
            return false;
        }
        view->_record = view->_part == count ? count : 0;
    } else if (view->_section == ABI_SECTION_BLOB || view->_section == ABI_SECTION_SLOT) {
        view->_record = count; /* checked by those who refer to them */
    }
    while (view->_record < count && walk->budget > 0) {
        walk->record = view->_record;
        if (!view_check_record(walk)) {
            return false;
        }
        walk->budget--;
        if (view->_part == 0) {
            view->_record++;
        }
    }
    if (view->_record == count) {
        view->_section++;
        view->_record = 0;
        view->_part = 0;
        view->_watermark = 0;
    }
    return true;
}

enum view_progress view_open_step(struct view *view, uint32_t records, struct view_refusal *refusal)
{
    struct view_walk walk = {view, 0, records > 0 ? records : 1, refusal};

    if (view->_section == ABI_SECTION_COUNT && !step_checksum(&walk)) {
        return VIEW_REFUSED;
    }
    while (walk.budget > 0 && view->_section < ABI_SECTION_COUNT) {
        if (!step_section(&walk)) {
            return VIEW_REFUSED;
        }
        if (view->_section == ABI_SECTION_COUNT) {
            return VIEW_READY;
        }
    }
    return VIEW_MORE;
}

bool view_has_listeners(const struct view *view)
{
    /* Sections are walked in their order; before the first one it is the turn of the checksum. */
    return view->_section > ABI_SECTION_LISTENER && view->_section < ABI_SECTION_COUNT;
}

bool view_open(struct view *view, const void *bytes, size_t size, struct view_refusal *refusal)
{
    enum view_progress progress = view_open_begin(view, bytes, size, refusal);

    while (progress == VIEW_MORE) {
        progress = view_open_step(view, UINT32_MAX, refusal);
    }
    return progress == VIEW_READY;
}
