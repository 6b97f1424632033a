/* The backend's HTTP/2: frames only. Every request is a unary call of gRPC, whatever its fields
 * say, so nothing is decompressed; what is answered never changes. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "backend_h2.h"

#define PREFACE 24u
#define FRAME   9u
#define CREDIT  32768u /* bytes of bodies after which the peer may send anew */

enum { DATA, HEADERS, SETTINGS = 4, PING = 6, GOAWAY, WINDOW_UPDATE };
enum { END_STREAM = 1, ACK = 1, END_HEADERS = 4 };

/* content-type: application/grpc and :status: 200, without the dynamic table. */
static const uint8_t head[] = "\x88\x0f\x10\x10"
                              "application/grpc";
static const uint8_t trailers[] = "\x00\x0bgrpc-status\x01"
                                  "0";

static uint32_t load32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put(struct backend_h2 *h2, const void *bytes, size_t count)
{
    memcpy(h2->out + h2->out_end, bytes, count);
    h2->out_end += (uint32_t)count;
}

static void put_frame(struct backend_h2 *h2, const uint8_t *payload, uint32_t length,
                      const uint32_t kind_flags_id[3])
{
    uint32_t id = kind_flags_id[2];
    uint8_t header[FRAME] = {
        (uint8_t)(length >> 16),   (uint8_t)(length >> 8),    (uint8_t)length,
        (uint8_t)kind_flags_id[0], (uint8_t)kind_flags_id[1], (uint8_t)(id >> 24),
        (uint8_t)(id >> 16),       (uint8_t)(id >> 8),        (uint8_t)id};

    put(h2, header, FRAME);
    put(h2, payload, length);
}

#define PUT(h2, payload, length, ...)                                                              \
    put_frame((h2), (payload), (uint32_t)(length), (const uint32_t[3]){__VA_ARGS__})

static void answer(struct backend_h2 *h2, uint32_t id)
{
    uint8_t message[BACKEND_H2_MESSAGE] = {0, 0, 0, 0, BACKEND_H2_MESSAGE - 5};

    memset(message + 5, 'x', sizeof(message) - 5);
    PUT(h2, head, sizeof(head) - 1, HEADERS, END_HEADERS, id);
    PUT(h2, message, sizeof(message), DATA, 0, id);
    PUT(h2, trailers, sizeof(trailers) - 1, HEADERS, END_HEADERS | END_STREAM, id);
    h2->window -= (int64_t)sizeof(message);
}

static bool has_room(const struct backend_h2 *h2)
{
    return BACKEND_H2_OUT - h2->out_end >= BACKEND_H2_ANSWER;
}

/* Answers those that wait, as far as the peer lets us. */
static void answer_all(struct backend_h2 *h2)
{
    while (h2->owed_from != h2->owed_to && h2->window >= (int64_t)BACKEND_H2_MESSAGE &&
           has_room(h2)) {
        answer(h2, h2->owed[h2->owed_from++ % BACKEND_H2_STREAMS]);
    }
}

static void take_data(struct backend_h2 *h2, uint32_t length)
{
    uint8_t credit[4];

    h2->taken += length;
    if (h2->taken >= CREDIT) {
        for (int i = 0; i < 4; i++) {
            credit[i] = (uint8_t)(h2->taken >> (24 - 8 * i));
        }
        PUT(h2, credit, 4, WINDOW_UPDATE, 0, 0);
        h2->taken = 0;
    }
}

/* One whole frame; false: the peer does what this backend does not understand. */
static bool take_frame(struct backend_h2 *h2, const uint8_t *frame, uint32_t length)
{
    uint32_t id = load32(frame + 5) & 0x7fffffff;
    bool ends = (frame[4] & END_STREAM) != 0;

    switch (frame[3]) {
    case DATA:
        take_data(h2, length);
        break;
    case HEADERS:
        break;
    case SETTINGS:
        if (!ends) {
            PUT(h2, frame, 0, SETTINGS, ACK, 0);
        }
        return true;
    case PING:
        if (!ends) {
            PUT(h2, frame + FRAME, 8, PING, ACK, 0);
        }
        return length == 8;
    case WINDOW_UPDATE:
        h2->window += id == 0 ? load32(frame + FRAME) : 0;
        return true;
    default:
        return true;
    }
    if (ends) {
        h2->owed[h2->owed_to++ % BACKEND_H2_STREAMS] = id;
    }
    return h2->owed_to - h2->owed_from <= BACKEND_H2_STREAMS;
}

static bool take(struct backend_h2 *h2)
{
    uint32_t at = 0;

    if (!h2->greeted) {
        static const uint8_t settings[] = {0, 3, 0, 0, BACKEND_H2_STREAMS >> 8, 0};

        if (h2->have < PREFACE) {
            return true;
        }
        at = PREFACE;
        h2->greeted = true;
        h2->window = 65535;
        PUT(h2, settings, sizeof(settings), SETTINGS, 0, 0);
    }
    while (h2->have - at >= FRAME && has_room(h2)) {
        uint32_t length = load32(h2->in + at) >> 8;

        if (length > BACKEND_H2_IN - FRAME) {
            return false;
        }
        if (h2->have - at < FRAME + length) {
            break;
        }
        if (!take_frame(h2, h2->in + at, length)) {
            return false;
        }
        at += FRAME + length;
    }
    h2->have -= at;
    memmove(h2->in, h2->in + at, h2->have);
    answer_all(h2);
    return true;
}

/* 1: all is out; 0: the socket is full; -1: the connection is gone. */
static int flush(struct backend_h2 *h2, int fd)
{
    while (h2->out_from < h2->out_end) {
        ssize_t sent = send(fd, h2->out + h2->out_from, h2->out_end - h2->out_from,
                            MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0) {
            return errno == EAGAIN ? 0 : -1;
        }
        h2->out_from += (uint32_t)sent;
    }
    h2->out_from = h2->out_end = 0;
    return 1;
}

int backend_h2_serve(struct backend_h2 *h2, int fd)
{
    for (;;) {
        int flushed = flush(h2, fd);
        ssize_t got;

        if (flushed <= 0) {
            return flushed;
        }
        if (!take(h2)) {
            return -1;
        }
        if (h2->out_end > 0) {
            continue;
        }
        got = recv(fd, h2->in + h2->have, BACKEND_H2_IN - h2->have, MSG_DONTWAIT);
        if (got <= 0) {
            return got < 0 && errno == EAGAIN ? 1 : -1;
        }
        h2->have += (uint32_t)got;
    }
}
