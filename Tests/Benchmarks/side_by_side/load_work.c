/* Requests, and the check of every byte that comes back. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "load.h"

static uint64_t seq_of(const struct load_conn *conn, uint64_t number)
{
    return conn->base + number;
}

static uint32_t put_http(const struct load_options *options, struct load_conn *conn, uint64_t seq)
{
    static const char rest[] = " HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: ringmesh-bench/1\r\n"
                               "Accept: */*\r\n\r\n";
    char digits[24];
    uint32_t at = 0;
    int len = 0;

    at = (uint32_t)snprintf((char *)conn->out, sizeof(conn->out), "GET /b/%u/", options->down);
    do {
        digits[len++] = (char)('0' + seq % 10);
        seq /= 10;
    } while (seq > 0);
    while (len > 0) {
        conn->out[at++] = (uint8_t)digits[--len];
    }
    memcpy(conn->out + at, rest, sizeof(rest) - 1);
    return at + (uint32_t)sizeof(rest) - 1;
}

void load_work_begin(const struct load_options *options, struct load_conn *conn, uint64_t now)
{
    uint64_t seq = seq_of(conn, conn->sent);

    if (options->exchange) {
        struct kit_exchange message = {options->up, options->down, seq};

        memcpy(conn->out, &message, sizeof(message));
        conn->out_head_len = sizeof(message);
    } else {
        conn->out_head_len = put_http(options, conn, seq);
    }
    conn->out_head = conn->out_head_len;
    conn->out_body = options->exchange ? options->up : 0;
    conn->begun_ns[conn->sent % LOAD_DEPTH_MAX] = now;
    conn->sent++;
    conn->in_flight++;
}

/* The value of content-length in a head that ends with an empty line; -1 when there is not exactly
 * one, or when the answer is framed in another way. */
static int64_t content_length(const char *head, size_t len)
{
    static const char name[] = "content-length:", coding[] = "transfer-encoding:";
    const char *line = memchr(head, '\n', len);
    int64_t found = -1;

    while (line != NULL && ++line < head + len) {
        size_t left = (size_t)(head + len - line);

        if (left > sizeof(coding) && strncasecmp(line, coding, sizeof(coding) - 1) == 0) {
            return -1;
        }
        if (left > sizeof(name) && strncasecmp(line, name, sizeof(name) - 1) == 0) {
            if (found >= 0) {
                return -1;
            }
            found = 0;
            for (line += sizeof(name) - 1; *line == ' '; line++) {
            }
            for (; *line >= '0' && *line <= '9' && found < KIT_BODY_MAX; line++) {
                found = found * 10 + (*line - '0');
            }
            if (*line != '\r') {
                return -1;
            }
        }
        line = memchr(line, '\n', (size_t)(head + len - line));
    }
    return found;
}

static enum load_error check_head(const struct load_options *options, const uint8_t *head,
                                  size_t len)
{
    static const char status[] = "HTTP/1.1 200 ";

    if (len < sizeof(status) || memcmp(head, status, sizeof(status) - 1) != 0 ||
        content_length((const char *)head, len) != options->down) {
        return LOAD_BAD_HEAD;
    }
    return LOAD_OK;
}

/* Finds the end of an answer's head: bytes of `in` that belong to it, 0 when more are needed, and
 * with all of it checked; -1 when it is wrong. */
static int64_t take_http_head(const struct load_options *options, struct load_conn *conn,
                              struct load_bytes in)
{
    const uint8_t *whole = in.ptr;
    size_t len = in.len, before = conn->have;

    if (conn->have > 0) {
        len = in.len < LOAD_HEAD_MAX - conn->have ? in.len : LOAD_HEAD_MAX - conn->have;
        memcpy(conn->head + conn->have, in.ptr, len);
        whole = conn->head;
        len += conn->have;
    }
    const uint8_t *end = memmem(whole, len, "\r\n\r\n", 4);

    if (end != NULL) {
        size_t size = (size_t)(end + 4 - whole);

        conn->have = 0;
        return check_head(options, whole, size) == LOAD_OK ? (int64_t)(size - before) : -1;
    }
    if (len >= LOAD_HEAD_MAX) {
        return -1;
    }
    if (before == 0) {
        memcpy(conn->head, in.ptr, in.len);
    }
    conn->have = (uint32_t)len;
    return 0;
}

/* As take_http_head(), for the sequence number that begins an answer of the exchange protocol. */
static int64_t take_exchange_head(struct load_conn *conn, struct load_bytes in)
{
    uint32_t missing = KIT_ANSWER_HEAD - conn->have;
    uint32_t here = in.len < missing ? (uint32_t)in.len : missing;
    uint64_t seq;

    memcpy(conn->head + conn->have, in.ptr, here);
    conn->have += here;
    if (conn->have < KIT_ANSWER_HEAD) {
        return 0;
    }
    conn->have = 0;
    memcpy(&seq, conn->head, sizeof(seq));
    return seq == seq_of(conn, conn->answered) ? (int64_t)here : -1;
}

static int64_t take_head(const struct load_options *options, struct load_conn *conn,
                         struct load_bytes in)
{
    int64_t used =
        options->exchange ? take_exchange_head(conn, in) : take_http_head(options, conn, in);

    if (used > 0) {
        conn->in_body = true;
        conn->body_at = 0;
        conn->body_left = options->down - (options->exchange ? KIT_ANSWER_HEAD : 0);
    }
    return used;
}

enum load_error load_work_take(const struct load_options *options, struct load_conn *conn,
                               struct load_bytes in, uint32_t *ended)
{
    while (in.len > 0) {
        if (conn->in_flight == 0) {
            return LOAD_BAD_HEAD;
        }
        if (!conn->in_body) {
            int64_t used = take_head(options, conn, in);

            if (used <= 0) {
                return used == 0 ? LOAD_OK : LOAD_BAD_HEAD;
            }
            in.ptr += used;
            in.len -= (size_t)used;
        }
        uint64_t seq = seq_of(conn, conn->answered) + (options->exchange ? 1 : 0);
        uint32_t here = in.len < conn->body_left ? (uint32_t)in.len : conn->body_left;

        if (memcmp(in.ptr, kit_body(seq) + conn->body_at, here) != 0) {
            return LOAD_BAD_BODY;
        }
        in.ptr += here;
        in.len -= here;
        conn->body_at += here;
        conn->body_left -= here;
        if (conn->body_left == 0) {
            conn->in_body = false;
            conn->answered++;
            conn->in_flight--;
            (*ended)++;
        }
    }
    return LOAD_OK;
}
