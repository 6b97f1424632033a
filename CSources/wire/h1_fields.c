/* Field lines of a head (RFC 9112 5) and the meaning of those that frame the message or belong to
 * the connection. */
#include <stddef.h>

#include "base/err.h"
#include "hdr_names.h"
#include "h1_private.h"
#include "scan.h"

struct h1_line { /* name `:` blanks value blanks CRLF */
    const uint8_t *colon;
    const uint8_t *value;
    const uint8_t *value_end;
    const uint8_t *end; /* its CR */
    uint8_t flags;      /* of enum h1_field_flag */
};

struct h1_span {
    const uint8_t *from;
    const uint8_t *to;
};

/* Cuts blanks off both ends. Rare, and apart so that the loop over the fields stays small. */
[[gnu::noinline]] static struct h1_span h1_trim(struct h1_span value)
{
    while (value.from < value.to && scan_is_blank(*value.from)) {
        value.from++;
    }
    while (value.to > value.from && scan_is_blank(value.to[-1])) {
        value.to--;
    }
    return value;
}

/* Whether there is one blank before the value and none behind it. */
[[gnu::noinline]] static uint8_t h1_canonical(const uint8_t *colon, struct h1_span value,
                                              const uint8_t *end)
{
    bool canonical = value.from - colon == 2 && colon[1] == ' ' && value.to == end;

    return canonical ? H1_FIELD_CANONICAL : 0;
}

/* Finds the parts of the field line at `at`. A value has no control but HTAB, so that what is not
 * above a blank is one. */
static inline int h1_find_line(const uint8_t *at, const uint8_t *end, const uint8_t *start,
                               struct h1_line *line)
{
    const uint8_t *stop = scan_token(at, end, start);

    line->colon = stop;
    if (stop == end) {
        return H1_STEP_MORE;
    }
    if (*stop != ':' || stop == at) {
        return MESH_E_SYNTAX;
    }
    stop = scan_value(stop + 1, end, start);
    line->end = stop;
    if (stop == end) {
        return H1_STEP_MORE;
    }
    if (*stop != '\r') {
        return MESH_E_SYNTAX;
    }
    if (end - stop < 2) {
        return H1_STEP_MORE;
    }
    if (stop[1] != '\n') {
        return MESH_E_SYNTAX;
    }
    line->value = line->colon + 2; /* at most the LF */
    line->value_end = stop;
    line->flags = H1_FIELD_CANONICAL;
    if (line->colon[1] != ' ' || *line->value <= ' ' || stop[-1] <= ' ') {
        struct h1_span value = h1_trim((struct h1_span){line->colon + 1, stop});

        line->flags = h1_canonical(line->colon, value, stop);
        line->value = value.from;
        line->value_end = value.to;
    }
    return H1_STEP_DONE;
}

/* The id of a name of tchars; *flags gets H1_FIELD_ALIAS if it is an alias. */
static inline uint8_t h1_identify(const uint8_t *name, size_t length, uint8_t *flags)
{
    const struct hdr_name *slot = hdr_slot(name, length);

    if (slot == NULL) {
        return HDR_OTHER;
    }
    if (hdr_is_name(name, slot->lower, length)) {
        return slot->id;
    }
    if (hdr_slot_has_alias(slot, name)) {
        *flags |= H1_FIELD_ALIAS;
    }
    return HDR_OTHER;
}

/* Writes down a line as a field. */
static inline uint8_t h1_put_field(struct h1_field *field, const uint8_t *start, const uint8_t *at,
                                   const struct h1_line *line)
{
    bool canonical =
        line->value - line->colon == 2 && line->colon[1] == ' ' && line->value_end == line->end;
    uint8_t flags = canonical ? H1_FIELD_CANONICAL : 0;
    size_t name_len = (size_t)(line->colon - at);
    uint8_t id = h1_identify(at, name_len, &flags);

    field->name_at = (uint32_t)(at - start);
    field->value_at = (uint32_t)(line->value - start);
    field->value_len = (uint32_t)(line->value_end - line->value);
    field->name_len = (uint16_t)name_len;
    field->id = id;
    field->flags = flags;
    return id;
}

int h1_take_fields(struct h1_reader *reader)
{
    const uint8_t *const start = reader->start; /* in locals, which stores cannot change */
    const uint8_t *const end = reader->end;
    const uint8_t *at = reader->at;
    struct h1_field *const fields = reader->head->fields;
    uint32_t ids = 0;
    uint32_t repeated = 0;
    uint32_t count = 0;

    while (at < end && *at != '\r') {
        struct h1_line line;
        int step = h1_find_line(at, end, start, &line);
        uint8_t id;

        if (step != H1_STEP_DONE) {
            return step;
        }
        if (count == H1_MAX_FIELDS) {
            return MESH_E_TOO_MANY;
        }
        id = h1_put_field(&fields[count], start, at, &line);
        if (id != HDR_OTHER) {
            if ((ids & 1u << id) == 0) {
                reader->first[id] = (uint8_t)count;
            }
            repeated |= ids & 1u << id;
            ids |= 1u << id;
        }
        count++;
        at = line.end + 2;
    }
    if (end - at < 2) {
        return H1_STEP_MORE;
    }
    if (at[1] != '\n') {
        return MESH_E_SYNTAX;
    }
    reader->at = at + 2;
    reader->repeated = repeated;
    reader->head->field_count = count;
    reader->head->ids = ids;
    return H1_STEP_DONE;
}

/* Marks the fields that a connection option names. */
static void h1_nominate(struct h1_reader *reader, struct bytes name)
{
    struct h1_head *head = reader->head;

    for (uint32_t i = 0; i < head->field_count; i++) {
        struct h1_field *field = &head->fields[i];

        if (field->name_len == name.len && !hdr_is_protected((enum hdr_id)field->id) &&
            bytes_equal_nocase(h1_name(reader->start, field), name)) {
            field->flags |= H1_FIELD_NOMINATED;
        }
    }
}

/* Whether a value or a part of one is `word`, which has lower-case letters, digits and `-`; a value
 * has no controls, so that hdr_is_name is exact for it, too. */
static inline bool h1_is_word(struct bytes in, const char *word, size_t length)
{
    return in.len == length && hdr_is_name(in.ptr, word, length);
}
#define H1_IS_WORD(in, word) h1_is_word((in), (word), sizeof(word) - 1)

struct h1_options { /* what Connection says */
    bool close;
    bool keep_alive;
    bool upgrade;
    uint32_t nominated;
};

static int h1_read_option(struct h1_reader *reader, struct bytes option, struct h1_options *options)
{
    if (H1_IS_WORD(option, "close")) {
        options->close = true;
        return MESH_OK;
    }
    if (H1_IS_WORD(option, "keep-alive")) {
        options->keep_alive = true;
        return MESH_OK;
    }
    if (H1_IS_WORD(option, "upgrade")) {
        options->upgrade = true;
        return MESH_OK;
    }
    options->nominated++;
    if (options->nominated > H1_MAX_NOMINATED) {
        return MESH_E_TOO_MANY; /* each is compared with every field */
    }
    h1_nominate(reader, option);
    return MESH_OK;
}

/* All lines of Connection (RFC 9110 7.6.1). */
static int h1_read_connection(struct h1_reader *reader, struct h1_options *options)
{
    const struct h1_head *head = reader->head;

    if (!h1_has(reader, HDR_CONNECTION)) {
        return MESH_OK;
    }
    if (!h1_has_several(reader, HDR_CONNECTION) &&
        H1_IS_WORD(h1_first_value(reader, HDR_CONNECTION), "keep-alive")) {
        options->keep_alive = true; /* nearly always */
        return MESH_OK;
    }
    for (uint32_t i = reader->first[HDR_CONNECTION]; i < head->field_count; i++) {
        struct bytes rest = h1_value(reader->start, &head->fields[i]);
        struct bytes option;

        if (head->fields[i].id != HDR_CONNECTION) {
            continue;
        }
        while (hdr_next_element(&rest, &option)) {
            int err = h1_read_option(reader, option, options);

            if (err != MESH_OK) {
                return err;
            }
        }
    }
    return MESH_OK;
}

/* Upgrade is ignored in HTTP/1.0 and without its connection option (RFC 9110 7.8). */
static void h1_read_upgrade(struct h1_reader *reader, const struct h1_options *options)
{
    struct h1_head *head = reader->head;
    struct bytes value;

    if (!options->upgrade || head->minor == 0 || !h1_has(reader, HDR_UPGRADE)) {
        return;
    }
    value = h1_first_value(reader, HDR_UPGRADE);
    if (value.len == 0) {
        return;
    }
    head->flags |= H1_UPGRADE;
    if (!h1_has_several(reader, HDR_UPGRADE) && H1_IS_WORD(value, "websocket")) {
        head->flags |= H1_UPGRADE_WEBSOCKET;
    }
}

static void h1_read_te(struct h1_reader *reader)
{
    struct h1_head *head = reader->head;

    if (!h1_has(reader, HDR_TE)) {
        return;
    }
    for (uint32_t i = reader->first[HDR_TE]; i < head->field_count; i++) {
        struct bytes rest = h1_value(reader->start, &head->fields[i]);
        struct bytes coding;

        while (head->fields[i].id == HDR_TE && hdr_next_element(&rest, &coding)) {
            if (H1_IS_WORD(coding, "trailers")) {
                head->flags |= H1_TE_TRAILERS;
            }
        }
    }
}

/* Exactly one number in its shortest form, so that whoever reads the forwarded line reads the same:
 * no sign, list, blank or leading zero (which some read as octal). At most INT64_MAX. */
static int h1_read_content_length(struct h1_reader *reader)
{
    struct bytes value = h1_first_value(reader, HDR_CONTENT_LENGTH);
    uint64_t length = 0;

    if (h1_has_several(reader, HDR_CONTENT_LENGTH) || value.len == 0 || value.len > 19 ||
        (value.ptr[0] == '0' && value.len > 1)) {
        return MESH_E_FRAMING;
    }
    for (size_t i = 0; i < value.len; i++) {
        if (!scan_is_digit(value.ptr[i])) {
            return MESH_E_FRAMING;
        }
        length = length * 10 + (uint64_t)(value.ptr[i] - '0'); /* 19 digits fit */
    }
    if (length > INT64_MAX) {
        return MESH_E_FRAMING;
    }
    reader->head->content_length = length;
    reader->head->framing = H1_FRAMING_LENGTH;
    return MESH_OK;
}

/* Only `chunked`, only once, only in HTTP/1.1. With other codings before it the message is readable
 * for others but not for us; whatever else stands there has no length (RFC 9112 6.1, 6.3). */
static int h1_read_transfer_encoding(struct h1_reader *reader)
{
    struct bytes value = h1_first_value(reader, HDR_TRANSFER_ENCODING);
    struct bytes coding = {NULL, 0};
    uint32_t codings = 0;
    uint32_t chunked_count = 0;

    if (h1_has_several(reader, HDR_TRANSFER_ENCODING) || h1_has(reader, HDR_CONTENT_LENGTH) ||
        reader->head->minor == 0) {
        return MESH_E_FRAMING;
    }
    if (H1_IS_WORD(value, "chunked")) {
        reader->head->framing = H1_FRAMING_CHUNKED;
        return MESH_OK;
    }
    while (hdr_next_element(&value, &coding)) {
        codings++;
        chunked_count += H1_IS_WORD(coding, "chunked");
    }
    if (codings > 1 && chunked_count == 1 && H1_IS_WORD(coding, "chunked")) {
        return MESH_E_UNSUPPORTED;
    }
    return MESH_E_FRAMING;
}

int h1_read_fields(struct h1_reader *reader)
{
    struct h1_head *head = reader->head;
    struct h1_options options = {false, false, false, 0};
    int err = h1_read_connection(reader, &options);

    if (err != MESH_OK) {
        return err;
    }
    if (!options.close && (head->minor == 1 || options.keep_alive)) {
        head->flags |= H1_KEEP_ALIVE;
    }
    h1_read_upgrade(reader, &options);
    h1_read_te(reader);
    if (h1_has(reader, HDR_TRANSFER_ENCODING)) {
        return h1_read_transfer_encoding(reader);
    }
    if (h1_has(reader, HDR_CONTENT_LENGTH)) {
        return h1_read_content_length(reader);
    }
    return MESH_OK;
}
