/* Field lines of a head (RFC 9112 5) and the meaning of those that frame the message or belong to
 * the connection. */
#include <stddef.h>

#include "base/err.h"
#include "hdr_names.h"
#include "h1_private.h"
#include "scan.h"

/* Fills in the id of a field, and notes it. */
static inline void h1_identify(struct h1_reader *reader, struct h1_field *field, uint32_t index)
{
    const uint8_t *name = reader->start + field->name_at;
    const struct hdr_name *slot = hdr_slot(name, field->name_len);
    uint32_t bit;

    if (slot == NULL) {
        return;
    }
    if (!hdr_is_name(name, slot->lower, field->name_len)) {
        if (hdr_slot_has_alias(slot, name)) {
            field->flags |= H1_FIELD_ALIAS;
        }
        return;
    }
    field->id = slot->id;
    bit = 1u << slot->id;
    if ((reader->head->ids & bit) == 0) {
        reader->first[slot->id] = (uint8_t)index;
    }
    reader->repeated |= reader->head->ids & bit;
    reader->head->ids |= bit;
}

/* One field line, at which reader->at stands; `index` is its place. */
static inline int h1_take_field(struct h1_reader *reader, uint32_t index)
{
    const uint8_t *end = reader->end;
    const uint8_t *name = reader->at;
    const uint8_t *colon = scan_token(name, end, reader->start);
    const uint8_t *value;
    const uint8_t *line_end;
    const uint8_t *value_end;
    struct h1_field *field;

    if (colon == end) {
        return H1_STEP_MORE;
    }
    if (*colon != ':' || colon == name) {
        return MESH_E_SYNTAX;
    }
    value = colon + 1;
    while (value < end && scan_is_blank(*value)) {
        value++;
    }
    line_end = scan_value(value, end, reader->start);
    if (line_end == end) {
        return H1_STEP_MORE;
    }
    if (*line_end != '\r') {
        return MESH_E_SYNTAX;
    }
    if (end - line_end < 2) {
        return H1_STEP_MORE;
    }
    if (line_end[1] != '\n') {
        return MESH_E_SYNTAX;
    }
    if (index == H1_MAX_FIELDS) {
        return MESH_E_TOO_MANY;
    }
    value_end = line_end;
    while (value_end > value && scan_is_blank(value_end[-1])) {
        value_end--;
    }
    field = &reader->head->fields[index];
    *field = (struct h1_field){
        .name_at = h1_offset(reader, name),
        .value_at = h1_offset(reader, value),
        .value_len = (uint32_t)(value_end - value),
        .name_len = (uint16_t)(colon - name),
        .id = HDR_OTHER,
        .flags =
            value - colon == 2 && colon[1] == ' ' && value_end == line_end ? H1_FIELD_CANONICAL : 0,
    };
    h1_identify(reader, field, index);
    reader->at = line_end + 2;
    return H1_STEP_DONE;
}

int h1_take_fields(struct h1_reader *reader)
{
    uint32_t count = 0;

    for (;;) {
        int step;

        if (reader->at == reader->end) {
            return H1_STEP_MORE;
        }
        if (*reader->at == '\r') {
            break;
        }
        step = h1_take_field(reader, count);
        if (step != H1_STEP_DONE) {
            return step;
        }
        count++;
    }
    reader->head->field_count = count;
    if (reader->end - reader->at < 2) {
        return H1_STEP_MORE;
    }
    if (reader->at[1] != '\n') {
        return MESH_E_SYNTAX;
    }
    reader->at += 2;
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

struct h1_options { /* what Connection says */
    bool close;
    bool keep_alive;
    bool upgrade;
    uint32_t nominated;
};

static int h1_read_option(struct h1_reader *reader, struct bytes option, struct h1_options *options)
{
    if (bytes_equal_nocase(option, BYTES_LITERAL("close"))) {
        options->close = true;
        return MESH_OK;
    }
    if (bytes_equal_nocase(option, BYTES_LITERAL("keep-alive"))) {
        options->keep_alive = true;
        return MESH_OK;
    }
    if (bytes_equal_nocase(option, BYTES_LITERAL("upgrade"))) {
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
    if (!h1_has_several(reader, HDR_UPGRADE) &&
        bytes_equal_nocase(value, BYTES_LITERAL("websocket"))) {
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
            if (bytes_equal_nocase(coding, BYTES_LITERAL("trailers"))) {
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
    const struct bytes chunked = BYTES_LITERAL("chunked");
    struct bytes coding = {NULL, 0};
    uint32_t codings = 0;
    uint32_t chunked_count = 0;

    if (h1_has_several(reader, HDR_TRANSFER_ENCODING) || h1_has(reader, HDR_CONTENT_LENGTH) ||
        reader->head->minor == 0) {
        return MESH_E_FRAMING;
    }
    if (bytes_equal_nocase(value, chunked)) {
        reader->head->framing = H1_FRAMING_CHUNKED;
        return MESH_OK;
    }
    while (hdr_next_element(&value, &coding)) {
        codings++;
        chunked_count += bytes_equal_nocase(coding, chunked);
    }
    if (codings > 1 && chunked_count == 1 && bytes_equal_nocase(coding, chunked)) {
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
