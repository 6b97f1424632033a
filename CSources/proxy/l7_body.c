/* Message bodies on their way through: decoded, framed again, gathered into few writes. */
#include <string.h>

#include "base/err.h"
#include "l7code.h"
#include "stream.h"

#define L7_SMALL_RECEIVE 4096u
#define L7_SMALL_PIECE   256u /* copying so little costs less than a part of its own */

void l7_gather_flush(struct proxy *proxy, struct l7_gather *gather)
{
    if (gather->count > 0) {
        conn_write(proxy, gather->to, gather->parts, gather->count);
        gather->count = 0;
        gather->sizes = 0;
        gather->small_from = 0;
        gather->small_to = 0;
    }
}

void l7_gather_add(struct proxy *proxy, struct l7_gather *gather, struct bytes part)
{
    if (gather->count == L7_GATHER_PARTS) {
        l7_gather_flush(proxy, gather);
    }
    gather->parts[gather->count++] = part;
}

static void l7_gather_whole(struct proxy *proxy, struct l7_gather *gather, struct bytes data)
{
    uint8_t *line;

    if (gather->count + 3 > L7_GATHER_PARTS || gather->sizes == L7_GATHER_SIZES) {
        l7_gather_flush(proxy, gather);
    }
    line = gather->size_lines[gather->sizes++];
    l7_gather_add(proxy, gather, bytes_of(line, h1body_put_size(line, data.len)));
    l7_gather_add(proxy, gather, data);
    l7_gather_add(proxy, gather, BYTES_LITERAL("\r\n"));
}

void l7_gather_data(struct proxy *proxy, struct l7_gather *gather, struct bytes data, bool chunk)
{
    if (chunk) {
        l7_gather_whole(proxy, gather, data);
    } else {
        l7_gather_add(proxy, gather, data);
    }
}

/* The small pieces so far become one chunk. */
static void l7_gather_small(struct proxy *proxy, struct l7_gather *gather)
{
    struct bytes run =
        bytes_of(proxy->small + gather->small_from, gather->small_to - gather->small_from);
    uint32_t to = gather->small_to;

    if (run.len > 0) {
        gather->small_from = to;
        l7_gather_whole(proxy, gather, run);
        if (gather->small_to == 0) { /* flushed in between: `run` is a part again, keep its bytes */
            gather->small_from = to;
            gather->small_to = to;
        }
    }
}

/* A piece of data as a chunk; a sender's many tiny chunks become few. */
static void l7_gather_chunk(struct proxy *proxy, struct l7_gather *gather, struct bytes data)
{
    if (data.len > L7_SMALL_PIECE) {
        l7_gather_small(proxy, gather);
        l7_gather_whole(proxy, gather, data);
        return;
    }
    if (gather->small_to + data.len > PROXY_SCRATCH_SIZE) {
        l7_gather_small(proxy, gather);
        l7_gather_flush(proxy, gather);
    }
    memcpy(proxy->small + gather->small_to, data.ptr, data.len);
    gather->small_to += (uint32_t)data.len;
}

/* The last chunk with the trailers that may be forwarded; where the next hop gets no chunks they
 * are only looked at. */
static int l7_gather_end(struct proxy *proxy, struct l7_gather *gather, struct spill *trailers,
                         bool chunk)
{
    struct iovec parts[2];
    int count = spill_parts(trailers, parts, 2);
    struct bytes rest;

    if (chunk) {
        l7_gather_add(proxy, gather, BYTES_LITERAL("0\r\n"));
    }
    MUST(count <= 1); /* H1BODY_MAX_TRAILER fits one block */
    rest = count == 0 ? bytes_of(NULL, 0) : bytes_of(parts[0].iov_base, parts[0].iov_len);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
        size_t length = end == NULL ? rest.len : (size_t)(end - rest.ptr);
        struct bytes line = bytes_part(rest, 0, length);
        struct bytes name, value;

        if (h1body_check_trailer(line, &name, &value) != MESH_OK) {
            return MESH_E_SYNTAX;
        }
        if (hdr_is_forbidden_trailer(hdr_find(name), name)) {
            line.len = 0;
        } else if (chunk) {
            l7_gather_add(proxy, gather, line);
            l7_gather_add(proxy, gather, BYTES_LITERAL("\r\n"));
        } else if (gather->to->stream != NULL) {
            stream_add_trailer(proxy, gather->to, line);
        }
        rest = bytes_from(rest, length + (end != NULL ? 1 : 0));
    }
    if (chunk) {
        l7_gather_add(proxy, gather, BYTES_LITERAL("\r\n"));
    }
    l7_gather_flush(proxy, gather);
    spill_clear(trailers, &proxy->blocks);
    return MESH_OK;
}

/* What the coder holds back goes out when the body is complete, and when nothing more of it is
 * there at the moment: the input did not fill the smallest of receive buffers. */
static bool l7_code_so_far(struct proxy *proxy, struct l7_gather *gather, bool done, size_t input,
                           bool chunk)
{
    bool pause = input > 0 && input < L7_SMALL_RECEIVE;
    enum compress_step step = done ? COMPRESS_FINISH : pause ? COMPRESS_FLUSH : COMPRESS_GATHER;

    if (step != COMPRESS_GATHER &&
        l7code_data(proxy, gather, bytes_of(NULL, 0), step, chunk) != MESH_OK) {
        return false;
    }
    l7code_emit(proxy, gather, chunk);
    return true;
}

int64_t l7_pass_body(struct proxy *proxy, struct h1body *body, struct bytes in, bool chunk,
                     struct spill *trailers, struct l7_gather *gather, uint64_t *data)
{
    size_t used = 0;

    while (!h1body_is_done(body) && used < in.len) {
        struct h1body_step step;
        int64_t count = h1body_next(body, bytes_from(in, used), &step);

        if (count < 0) {
            return count;
        }
        used += (size_t)count;
        if (step.kind == H1BODY_DATA) {
            *data += step.out.len;
            if (*data > gather->room) {
                return MESH_E_TOO_LONG;
            }
            if (gather->keep != NULL) {
                l7keep_add(proxy, gather->keep, step.out);
            }
            if (gather->coder != NULL) {
                if (l7code_data(proxy, gather, step.out, COMPRESS_GATHER, chunk) != MESH_OK) {
                    return MESH_E_NO_MEMORY;
                }
            } else if (chunk) {
                l7_gather_chunk(proxy, gather, step.out);
            } else {
                l7_gather_add(proxy, gather, step.out);
            }
        } else if (step.kind == H1BODY_FIELD) {
            if (gather->keep != NULL) { /* trailers are not kept */
                l7keep_drop(proxy, gather->keep);
                gather->keep = NULL;
            }
            if (spill_append(trailers, &proxy->blocks, step.out) != MESH_OK ||
                (step.line_end &&
                 spill_append(trailers, &proxy->blocks, BYTES_LITERAL("\n")) != MESH_OK)) {
                return MESH_E_NO_MEMORY;
            }
        }
        if (count == 0 && step.kind == H1BODY_MORE) {
            break;
        }
    }
    if (gather->coder != NULL) {
        if (!l7_code_so_far(proxy, gather, h1body_is_done(body), in.len, chunk)) {
            return MESH_E_NO_MEMORY;
        }
    } else if (chunk) {
        l7_gather_small(proxy, gather);
    }
    if (h1body_is_done(body) && (chunk || trailers->length > 0)) {
        int result = l7_gather_end(proxy, gather, trailers, chunk);

        if (result != MESH_OK) {
            return result;
        }
    }
    return (int64_t)used;
}
