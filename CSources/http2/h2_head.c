/* Blocks of fields become HTTP/1.1 text. The library has checked each field by itself and the set
 * of pseudo fields (RFC 9113 8.2, 8.3); the parser that reads the text checks the rest. */
#include <stdio.h>
#include <string.h>

#include "h2_private.h"

#define H2_BOMB 8u /* times a limit: nobody means that */

static struct bytes rcbuf_bytes(nghttp2_rcbuf *buffer)
{
    nghttp2_vec vec = nghttp2_rcbuf_get_buf(buffer);

    return bytes_of(vec.base, vec.len);
}

static void refuse(struct h2_block *block, uint16_t status)
{
    block->refusal = block->refusal == 0 ? status : block->refusal;
}

static void put(struct h2_block *block, struct bytes bytes)
{
    if (bytes.len > sizeof(block->text) - block->used) {
        refuse(block, 431);
        return;
    }
    if (bytes.len > 0) {
        memcpy(block->text + block->used, bytes.ptr, bytes.len);
        block->used += (uint32_t)bytes.len;
    }
}

#define PUT(block, literal) put((block), BYTES_LITERAL(literal))

static void put_line(struct h2_block *block, struct bytes name, struct bytes value)
{
    uint8_t *at = block->text + block->used;

    if (name.len + value.len + 4 > sizeof(block->text) - block->used) {
        refuse(block, 431);
        return;
    }
    memcpy(at, name.ptr, name.len);
    at += name.len;
    *at++ = ':';
    *at++ = ' ';
    if (value.len > 0) {
        memcpy(at, value.ptr, value.len);
        at += value.len;
    }
    *at++ = '\r';
    *at++ = '\n';
    block->used = (uint32_t)(at - block->text);
}

struct h2_block *h2_block_open(struct h2_session *session, const nghttp2_frame *frame)
{
    struct h2_block *block;

    h2_block_drop(session);
    block = h2_memory_take(session->memory, sizeof(*block));
    if (block == NULL) {
        return NULL;
    }
    memset(block, 0, offsetof(struct h2_block, text));
    block->stream = frame->hd.stream_id;
    block->part =
        frame->headers.cat == NGHTTP2_HCAT_REQUEST || frame->headers.cat == NGHTTP2_HCAT_RESPONSE
            ? H2_HEAD
            : H2_TRAILERS;
    session->block = block;
    return block;
}

static void drop_pseudo(struct h2_block *block)
{
    for (int i = 0; i < H2_PSEUDO_COUNT; i++) {
        if (block->pseudo[i] != NULL) {
            nghttp2_rcbuf_decref(block->pseudo[i]);
            block->pseudo[i] = NULL;
        }
    }
}

void h2_block_drop(struct h2_session *session)
{
    if (session->block != NULL) {
        drop_pseudo(session->block);
        h2_memory_give(session->memory, session->block);
        session->block = NULL;
    }
}

static struct bytes pseudo(const struct h2_block *block, enum h2_pseudo which)
{
    return block->pseudo[which] == NULL ? bytes_of(NULL, 0) : rcbuf_bytes(block->pseudo[which]);
}

/* What HTTP/1.1 wants beside Upgrade: a key of 16 bytes, in base64 (RFC 6455 4.1). */
static void put_key(struct h2_session *session, struct h2_block *block)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char key[25];

    for (int i = 0; i < 24; i++) {
        session->seed = session->seed * 6364136223846793005ULL + 1442695040888963407ULL;
        key[i] = digits[session->seed >> 58];
    }
    key[21] = 'A'; /* 128 bits end in the middle of a digit */
    key[22] = '=';
    key[23] = '=';
    put_line(block, BYTES_LITERAL("sec-websocket-key"), bytes_of(key, 24));
}

/* Of CONNECT with a protocol (RFC 8441): HTTP/1.1 says it as an upgrade. */
static void put_extended(struct h2_session *session, struct h2_block *block)
{
    if (!bytes_equal(pseudo(block, H2_PSEUDO_PROTOCOL), BYTES_LITERAL("websocket"))) {
        refuse(block, 400);
        return;
    }
    PUT(block, "GET ");
    put(block, pseudo(block, H2_PSEUDO_PATH));
    PUT(block, " HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n");
    put_key(session, block);
}

static void put_request_line(struct h2_session *session, struct h2_block *block)
{
    struct bytes method = pseudo(block, H2_PSEUDO_METHOD);
    struct bytes scheme = pseudo(block, H2_PSEUDO_SCHEME);
    struct bytes authority = pseudo(block, H2_PSEUDO_AUTHORITY);

    block->connects = bytes_equal(method, BYTES_LITERAL("CONNECT"));
    if (scheme.len > 0 && !bytes_equal_nocase(scheme, BYTES_LITERAL("https")) &&
        !bytes_equal_nocase(scheme, BYTES_LITERAL("http"))) {
        refuse(block, 400);
    }
    if (block->connects && block->pseudo[H2_PSEUDO_PROTOCOL] != NULL) {
        put_extended(session, block);
    } else {
        put(block, method);
        PUT(block, " ");
        put(block, block->connects ? authority : pseudo(block, H2_PSEUDO_PATH));
        PUT(block, " HTTP/1.1\r\n");
    }
    if (block->pseudo[H2_PSEUDO_AUTHORITY] != NULL) {
        put_line(block, BYTES_LITERAL("host"), authority);
    }
}

static void put_first_line(struct h2_session *session, struct h2_block *block)
{
    block->begun = true;
    if (block->pseudo[H2_PSEUDO_STATUS] != NULL) {
        block->part = H2_HEAD; /* after interim ones the library does not tell it from trailers */
    }
    if (block->part == H2_TRAILERS) {
        return;
    }
    if (session->server) {
        put_request_line(session, block);
    } else {
        PUT(block, "HTTP/1.1 ");
        put(block, pseudo(block, H2_PSEUDO_STATUS));
        PUT(block, " \r\n");
    }
}

/* The only one that it can be. */
static enum h2_pseudo which_pseudo(struct bytes name)
{
    switch (name.len) {
    case 5:
        return H2_PSEUDO_PATH;
    case 9:
        return H2_PSEUDO_PROTOCOL;
    case 10:
        return H2_PSEUDO_AUTHORITY;
    case 7:
        return name.ptr[1] == 'm'   ? H2_PSEUDO_METHOD
               : name.ptr[2] == 'c' ? H2_PSEUDO_SCHEME
                                    : H2_PSEUDO_STATUS;
    default:
        return H2_PSEUDO_COUNT;
    }
}

static void add_pseudo(struct h2_block *block, struct bytes name, nghttp2_rcbuf *value)
{
    static const struct bytes names[H2_PSEUDO_COUNT + 1] = {
        {(const uint8_t *)":method", 7},     {(const uint8_t *)":scheme", 7},
        {(const uint8_t *)":authority", 10}, {(const uint8_t *)":path", 5},
        {(const uint8_t *)":protocol", 9},   {(const uint8_t *)":status", 7},
    };
    enum h2_pseudo which = which_pseudo(name);

    if (bytes_equal(name, names[which]) && block->pseudo[which] == NULL) {
        nghttp2_rcbuf_incref(value);
        block->pseudo[which] = value;
    }
}

/* Crumbs are one field again (RFC 9113 8.2.3). */
static void add_cookie(struct h2_block *block, struct bytes value)
{
    size_t joint = block->cookie > 0 ? 2 : 0;

    if (value.len + joint > sizeof(block->cookies) - block->cookie) {
        refuse(block, 431);
        return;
    }
    memcpy(block->cookies + block->cookie, "; ", joint);
    block->cookie += (uint32_t)joint;
    if (value.len > 0) {
        memcpy(block->cookies + block->cookie, value.ptr, value.len);
        block->cookie += (uint32_t)value.len;
    }
}

/* Host beside :authority says the same, or the request has two meanings. */
static bool is_said(struct h2_block *block, struct bytes host)
{
    if (block->pseudo[H2_PSEUDO_AUTHORITY] == NULL) {
        return false;
    }
    if (!bytes_equal_nocase(host, pseudo(block, H2_PSEUDO_AUTHORITY))) {
        refuse(block, 400);
    }
    return true;
}

static void add_field(struct h2_session *session, struct h2_block *block, struct bytes name,
                      struct bytes value)
{
    if (session->server && block->part == H2_HEAD) {
        if (name.len == 6 && bytes_equal(name, BYTES_LITERAL("cookie"))) {
            add_cookie(block, value);
            return;
        }
        if (name.len == 4 && bytes_equal(name, BYTES_LITERAL("host")) && is_said(block, value)) {
            return;
        }
        if (block->pseudo[H2_PSEUDO_PROTOCOL] != NULL && name.len == 17 &&
            bytes_equal(name, BYTES_LITERAL("sec-websocket-key"))) {
            return;
        }
    }
    if (name.len == 14 && bytes_equal(name, BYTES_LITERAL("content-length"))) {
        block->length = true;
        block->empty = value.len == 1 && value.ptr[0] == '0';
        block->announced = 0;
        for (size_t i = 0; i < value.len; i++) { /* the library has checked that it is a number */
            block->announced = block->announced * 10 + (uint8_t)(value.ptr[i] - '0');
        }
    }
    put_line(block, name, value);
}

bool h2_block_add(struct h2_session *session, nghttp2_rcbuf *name, nghttp2_rcbuf *value)
{
    struct h2_block *block = session->block;
    struct bytes name_bytes = rcbuf_bytes(name);
    struct bytes value_bytes = rcbuf_bytes(value);

    block->fields++;
    block->listed += (uint32_t)(name_bytes.len + value_bytes.len) + 32;
    if (block->listed > session->limits.head || block->fields > session->limits.fields) {
        refuse(block, 431);
    }
    if (block->refusal != 0) { /* only looked at for the sake of the compression's state */
        return block->listed <= H2_BOMB * session->limits.head &&
               block->fields <= H2_BOMB * session->limits.fields;
    }
    if (name_bytes.len > 0 && name_bytes.ptr[0] == ':') {
        add_pseudo(block, name_bytes, value);
        return true;
    }
    if (!block->begun) {
        put_first_line(session, block);
    }
    add_field(session, block, name_bytes, value_bytes);
    return true;
}

/* An answer before the answer: it has no body (RFC 9110 15.2), whatever follows it. */
static bool is_interim(const struct h2_block *block)
{
    struct bytes status = pseudo(block, H2_PSEUDO_STATUS);

    return status.len > 0 && status.ptr[0] == '1';
}

struct h2_message h2_block_close(struct h2_session *session, bool end)
{
    struct h2_block *block = session->block;
    struct h2_message message = {.part = block->part, .end = end};

    if (!block->begun && block->refusal == 0) {
        put_first_line(session, block);
    }
    if (block->cookie > 0 && block->refusal == 0) {
        put_line(block, BYTES_LITERAL("cookie"), bytes_of(block->cookies, block->cookie));
    }
    if (block->connects && block->length) {
        refuse(block, 400); /* a tunnel has no length */
    }
    if (block->part == H2_HEAD) {
        message.empty = !end && block->empty;
        message.length = block->announced;
        message.chunked = !end && !block->length && !block->connects && !is_interim(block);
        if (message.chunked) {
            PUT(block, "transfer-encoding: chunked\r\n");
        }
        PUT(block, "\r\n");
    }
    drop_pseudo(block);
    message.refusal = block->refusal;
    if (block->refusal == 0) {
        message.text = bytes_of(block->text, block->used);
    }
    return message;
}
