#include "l7code.h"

#include "base/err.h"
#include "table/compression.h"
#include "wire/coding.h"

_Static_assert((int)CODING_GZIP - 1 == (int)ABI_CODING_GZIP &&
                   (int)CODING_BROTLI - 1 == (int)ABI_CODING_BROTLI &&
                   (int)CODING_ZSTD - 1 == (int)ABI_CODING_ZSTD,
               "wishes have identity besides");
_Static_assert((int)COMPRESS_GZIP == (int)ABI_CODING_GZIP &&
                   (int)COMPRESS_BROTLI == (int)ABI_CODING_BROTLI &&
                   (int)COMPRESS_ZSTD == (int)ABI_CODING_ZSTD,
               "one numbering");
_Static_assert(LIMIT_LEVEL_GZIP == COMPRESS_GZIP_MAX && LIMIT_LEVEL_BROTLI == COMPRESS_BROTLI_MAX &&
                   LIMIT_LEVEL_ZSTD == COMPRESS_ZSTD_MAX,
               "what a snapshot may ask for, the engines do");

static const struct abi_compression *settings_of(struct proxy *proxy, const struct conn *down)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, down));

    return entry == NULL || entry->compression == ABI_NONE
               ? NULL
               : &proxy->current->view.compressions[entry->compression];
}

static bool is_named(const uint8_t *start, const struct h1_field *field, struct bytes name)
{
    return field->id == HDR_OTHER && bytes_equal_nocase(h1_name(start, field), name);
}

void l7code_wish(struct proxy *proxy, struct request *request, const struct abi_listener *entry,
                 const uint8_t *start)
{
    const struct abi_compression *settings = &proxy->current->view.compressions[entry->compression];
    const struct h1_head *head = &proxy->head;
    struct coding_wishes wishes;
    uint8_t offered[ABI_CODING_COUNT];

    coding_init(&wishes);
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (is_named(start, &head->fields[i], BYTES_LITERAL("accept-encoding"))) {
            coding_read(&wishes, h1_value(start, &head->fields[i]));
        }
    }
    for (uint32_t i = 0; i < settings->coding_count; i++) {
        offered[i] = (uint8_t)(settings->codings[i] + 1);
    }
    request->coding = (uint8_t)coding_choose(&wishes, offered, settings->coding_count);
}

/* What an answer's fields say about coding it. */
struct l7_facts {
    bool covered; /* its media type is one of those */
    bool fixed;   /* it must not be changed: coded already, a part, no-transform, or summed */
    bool varies;  /* Vary names Accept-Encoding, or everything */
};

static bool list_has(struct bytes list, struct bytes wanted)
{
    struct bytes element;

    while (hdr_next_element(&list, &element)) {
        if (bytes_equal_nocase(element, wanted)) {
            return true;
        }
    }
    return false;
}

static void look_at(struct l7_facts *facts, const uint8_t *start, const struct h1_field *field)
{
    /* Sums of the octets that are sent, or of the representation as it is coded. */
    static const struct bytes sums[] = {
        {(const uint8_t *)"content-digest", 14}, {(const uint8_t *)"repr-digest", 11},
        {(const uint8_t *)"digest", 6},          {(const uint8_t *)"content-md5", 11},
        {(const uint8_t *)"content-range", 13},
    };
    struct bytes name = h1_name(start, field);
    struct bytes value = h1_value(start, field);

    if (bytes_equal_nocase(name, BYTES_LITERAL("vary"))) {
        facts->varies = facts->varies || list_has(value, BYTES_LITERAL("accept-encoding")) ||
                        list_has(value, BYTES_LITERAL("*"));
    } else if (bytes_equal_nocase(name, BYTES_LITERAL("cache-control"))) {
        facts->fixed = facts->fixed || list_has(value, BYTES_LITERAL("no-transform"));
    } else {
        for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
            facts->fixed = facts->fixed || bytes_equal_nocase(name, sums[i]);
        }
    }
}

static struct l7_facts facts_of(struct proxy *proxy, const struct abi_compression *settings,
                                const uint8_t *start)
{
    const struct h1_head *head = &proxy->head;
    struct l7_facts facts = {0};
    uint32_t types = 0;

    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct h1_field *field = &head->fields[i];
        struct bytes value = h1_value(start, field);

        if (field->id == HDR_CONTENT_TYPE) {
            types++;
            facts.covered = compression_covers(&proxy->current->view, settings, value);
        } else if (field->id == HDR_CONTENT_ENCODING) {
            facts.fixed = true;
        } else if (field->id == HDR_OTHER) {
            look_at(&facts, start, field);
        }
    }
    facts.covered = facts.covered && types == 1; /* of two types neither is to be believed */
    return facts;
}

static bool is_long_enough(const struct h1_head *head, const struct abi_compression *settings)
{
    switch (head->framing) {
    case H1_FRAMING_LENGTH:
        return head->content_length > 0 && head->content_length >= settings->min_length;
    case H1_FRAMING_CHUNKED:
    case H1_FRAMING_UNTIL_CLOSE:
        return true;
    default:
        return false;
    }
}

/* An entity tag that is not weak yet. */
static bool is_strong_tag(const uint8_t *start, const struct h1_field *field)
{
    struct bytes value = h1_value(start, field);

    return is_named(start, field, BYTES_LITERAL("etag")) && value.len > 0 && value.ptr[0] == '"';
}

/* The length is another one, ranges would be of other octets, and so is what a strong tag names. */
static void hold_back(struct h1_head *head, const uint8_t *start)
{
    l7head_hold_back(head, HDR_CONTENT_LENGTH);
    for (uint32_t i = 0; i < head->field_count; i++) {
        struct h1_field *field = &head->fields[i];

        if (is_strong_tag(start, field) || is_named(start, field, BYTES_LITERAL("accept-ranges"))) {
            field->flags |= H1_FIELD_NOMINATED;
        }
    }
}

struct bytes l7code_tag(const struct h1_head *head, const uint8_t *start)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (is_strong_tag(start, &head->fields[i])) {
            return h1_value(start, &head->fields[i]);
        }
    }
    return bytes_of(NULL, 0);
}

void l7code_judge(struct proxy *proxy, struct request *request, const uint8_t *start)
{
    const struct abi_compression *settings = settings_of(proxy, request->down);
    struct h1_head *head = &proxy->head;
    struct l7_facts facts;
    uint8_t level;
    void *memory;

    if (settings == NULL || head->status == 206) {
        return;
    }
    facts = facts_of(proxy, settings, start);
    if (!facts.covered || facts.fixed) {
        return;
    }
    request->varies = !facts.varies; /* also of what happens to go as it came */
    if (request->coding == CODING_IDENTITY || request_has(request, REQUEST_HTTP10) ||
        !is_long_enough(head, settings)) {
        return;
    }
    level = settings->levels[request->coding - 1];
    if (level == 0) { /* no longer offered */
        return;
    }
    memory = pool_take_dirty(&proxy->coders);
    if (memory == NULL) { /* others are being coded: this one goes as it came */
        return;
    }
    request->coder = compress_start(memory, (enum compress_coding)(request->coding - 1), level);
    if (request->coder == NULL) {
        pool_give(&proxy->coders, memory);
        return;
    }
    if (request->down->stream == NULL) {
        request->flags |= REQUEST_CHUNK_DOWN;
    }
    hold_back(head, start);
}

void l7code_emit(struct proxy *proxy, struct l7_gather *gather, bool chunk)
{
    if (gather->coded_to > gather->coded_from) {
        l7_gather_data(
            proxy, gather,
            bytes_of(proxy->coded + gather->coded_from, gather->coded_to - gather->coded_from),
            chunk);
        gather->coded_from = gather->coded_to;
    }
}

int l7code_data(struct proxy *proxy, struct l7_gather *gather, struct bytes in,
                enum compress_step step, bool chunk)
{
    int result;

    do {
        struct compress_output out = {proxy->coded, PROXY_SCRATCH_SIZE, gather->coded_to};

        result = compress_run(gather->coder, &in, step, &out);
        if (result < 0) {
            return result;
        }
        gather->coded += out.length - gather->coded_to;
        gather->coded_to = (uint32_t)out.length;
        if (result > 0) { /* the room is full */
            l7code_emit(proxy, gather, chunk);
            l7_gather_flush(proxy, gather);
            gather->coded_from = 0;
            gather->coded_to = 0;
        }
    } while (result > 0);
    return MESH_OK;
}

void l7code_forget(struct proxy *proxy, struct request *request)
{
    pool_give(&proxy->coders, request->coder);
    request->coder = NULL;
}
