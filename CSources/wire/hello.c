#include "wire/hello.h"

#include <stdbool.h>

#include "base/err.h"

#define RECORD_HANDSHAKE      HELLO_FIRST_BYTE
#define RECORD_ALERT          21u
#define RECORD_MAX            16384u
#define MESSAGE_CLIENT_HELLO  1u
#define EXTENSION_SERVER_NAME 0u
#define NAME_HEAD             5u /* list length, type, name length */

/* Reads the message across its records. */
struct reader {
    struct bytes rest; /* of the input */
    size_t record;     /* bytes left of the present record */
    uint32_t records;
    int result; /* when a step fails: 0 for more input, or an error */
};

static bool fail(struct reader *reader, int result)
{
    reader->result = result;
    return false;
}

static bool next_record(struct reader *reader)
{
    const uint8_t *head = reader->rest.ptr;

    /* What is there of the head is looked at, so that noise is refused at its first byte. */
    if (reader->rest.len > 0 && head[0] != RECORD_HANDSHAKE) {
        return fail(reader, MESH_E_SYNTAX);
    }
    if (reader->rest.len > 1 && head[1] != 3) {
        return fail(reader, MESH_E_SYNTAX);
    }
    if (reader->rest.len < 5) {
        return fail(reader, 0);
    }
    reader->record = (size_t)head[3] << 8 | head[4];
    if (reader->record == 0 || reader->record > RECORD_MAX) {
        return fail(reader, MESH_E_SYNTAX);
    }
    if (++reader->records > HELLO_MAX_RECORDS) {
        return fail(reader, MESH_E_TOO_MANY);
    }
    reader->rest = bytes_from(reader->rest, 5);
    return true;
}

/* The next `count` bytes into `out`; NULL: nowhere. */
static bool take(struct reader *reader, size_t count, uint8_t *out)
{
    while (count > 0) {
        size_t now = count;

        if (reader->record == 0 && !next_record(reader)) {
            return false;
        }
        if (reader->rest.len == 0) {
            return fail(reader, 0);
        }
        now = now < reader->record ? now : reader->record;
        now = now < reader->rest.len ? now : reader->rest.len;
        if (out != NULL) {
            memcpy(out, reader->rest.ptr, now);
            out += now;
        }
        reader->rest = bytes_from(reader->rest, now);
        reader->record -= now;
        count -= now;
    }
    return true;
}

/* A number of `width` bytes from the front of *left bytes. */
static bool take_number(struct reader *reader, uint32_t width, size_t *left, size_t *number)
{
    uint8_t bytes[3];

    if (*left < width) {
        return fail(reader, MESH_E_SYNTAX);
    }
    if (!take(reader, width, bytes)) {
        return false;
    }
    *left -= width;
    *number = 0;
    for (uint32_t i = 0; i < width; i++) {
        *number = *number << 8 | bytes[i];
    }
    return true;
}

/* A vector with a length of `width` bytes, whose contents nobody wants. */
static bool skip_vector(struct reader *reader, uint32_t width, size_t *left, size_t *size)
{
    if (!take_number(reader, width, left, size)) {
        return false;
    }
    if (*size > *left) {
        return fail(reader, MESH_E_SYNTAX);
    }
    *left -= *size;
    return take(reader, *size, NULL);
}

static bool take_name(struct reader *reader, size_t size, struct hello *hello)
{
    uint8_t extension[NAME_HEAD + HELLO_MAX_NAME + 1]; /* a final dot more */
    int length;

    if (hello->name_len > 0 || size > sizeof(extension)) {
        return fail(reader, MESH_E_SYNTAX);
    }
    if (!take(reader, size, extension)) {
        return false;
    }
    length = hello_server_name(bytes_of(extension, size), hello->name);
    if (length < 0) {
        return fail(reader, length);
    }
    hello->name_len = (uint8_t)length;
    return true;
}

static bool take_extensions(struct reader *reader, size_t left, struct hello *hello)
{
    size_t size;
    size_t type;

    if (left == 0) { /* TLS 1.2 and before may have none */
        return true;
    }
    if (!take_number(reader, 2, &left, &size)) {
        return false;
    }
    if (size != left) {
        return fail(reader, MESH_E_SYNTAX);
    }
    while (left > 0) {
        if (!take_number(reader, 2, &left, &type) || !take_number(reader, 2, &left, &size)) {
            return false;
        }
        if (size > left) {
            return fail(reader, MESH_E_SYNTAX);
        }
        left -= size;
        if (type == EXTENSION_SERVER_NAME ? !take_name(reader, size, hello)
                                          : !take(reader, size, NULL)) {
            return false;
        }
    }
    return true;
}

/* struct { ProtocolVersion; opaque Random[32]; opaque session_id<0..32>;
 *          CipherSuite<2..2^16-2>; opaque compression<1..2^8-1>; Extension<0..2^16-1>; } */
static bool take_message(struct reader *reader, struct hello *hello)
{
    uint8_t kind;
    size_t head = 3;
    size_t left;
    size_t size;

    if (!take(reader, 1, &kind)) {
        return false;
    }
    if (kind != MESSAGE_CLIENT_HELLO) {
        return fail(reader, MESH_E_SYNTAX);
    }
    if (!take_number(reader, 3, &head, &left)) {
        return false;
    }
    if (left > HELLO_MAX_MESSAGE) {
        return fail(reader, MESH_E_TOO_LONG);
    }
    if (!take_number(reader, 2, &left, &size)) {
        return false;
    }
    if (size >> 8 != 3 || left < 32) {
        return fail(reader, MESH_E_SYNTAX);
    }
    left -= 32;
    if (!take(reader, 32, NULL) || !skip_vector(reader, 1, &left, &size)) {
        return false;
    }
    if (size > 32) {
        return fail(reader, MESH_E_SYNTAX);
    }
    if (!skip_vector(reader, 2, &left, &size)) {
        return false;
    }
    if (size < 2 || size % 2 != 0) {
        return fail(reader, MESH_E_SYNTAX);
    }
    if (!skip_vector(reader, 1, &left, &size)) {
        return false;
    }
    if (size == 0) {
        return fail(reader, MESH_E_SYNTAX);
    }
    return take_extensions(reader, left, hello);
}

int hello_parse(struct bytes in, struct hello *hello)
{
    struct reader reader = {.rest = in};

    hello->name_len = 0;
    if (!take_message(&reader, hello)) {
        return reader.result;
    }
    /* Nothing may follow in its record: keys change behind a hello (RFC 8446 5.1). */
    return reader.record == 0 ? (int)(in.len - reader.rest.len) : MESH_E_SYNTAX;
}

static bool is_host_byte(uint8_t c)
{
    return (uint8_t)(c - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' || c == '.' || c == '_';
}

int hello_host(struct bytes in, uint8_t out[static HELLO_MAX_NAME])
{
    uint8_t before = '.';

    if (in.len > 1 && in.ptr[in.len - 1] == '.') {
        in.len--;
    }
    if (in.len == 0 || in.len > HELLO_MAX_NAME) {
        return MESH_E_SYNTAX;
    }
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = bytes_lower(in.ptr[i]);

        if (!is_host_byte(c) || (c == '.' && before == '.')) {
            return MESH_E_SYNTAX;
        }
        out[i] = c;
        before = c;
    }
    return before == '.' ? MESH_E_SYNTAX : (int)in.len;
}

/* struct { NameType name_type = host_name(0); opaque HostName<1..2^16-1>; } ServerNameList<1..> */
int hello_server_name(struct bytes extension, uint8_t out[static HELLO_MAX_NAME])
{
    size_t len;

    if (extension.len < NAME_HEAD) {
        return MESH_E_SYNTAX;
    }
    len = (size_t)extension.ptr[0] << 8 | extension.ptr[1];
    if (len != extension.len - 2 || extension.ptr[2] != 0) {
        return MESH_E_SYNTAX;
    }
    len = (size_t)extension.ptr[3] << 8 | extension.ptr[4];
    if (len != extension.len - NAME_HEAD) { /* a second name is refused, as libraries refuse it */
        return MESH_E_SYNTAX;
    }
    return hello_host(bytes_from(extension, NAME_HEAD), out);
}

void hello_write_alert(enum hello_alert alert, uint8_t out[static HELLO_ALERT_SIZE])
{
    const uint8_t record[HELLO_ALERT_SIZE] = {RECORD_ALERT, 3, 3, 0, 2, 2 /* fatal */, alert};

    memcpy(out, record, sizeof(record));
}
