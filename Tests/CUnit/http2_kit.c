#include "http2_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit.h"
#include "http2_peer.h"

#define KIT_ARENA (64u * H2_SLAB_SIZE)

const struct h2_limits kit_limits = HTTP2_PEER_LIMITS(16, 200, 100);

static void *on_opened(void *context, int32_t id)
{
    struct kit_side *side = context;
    struct kit_stream *stream;

    if (side->opened == KIT_STREAMS) {
        return NULL;
    }
    stream = &side->streams[side->opened++];
    *stream = (struct kit_stream){.id = id, .used = true};
    return stream;
}

static void keep(char *to, size_t capacity, struct bytes text)
{
    size_t length = text.len < capacity ? text.len : capacity - 1;

    memcpy(to, text.ptr == NULL ? (const uint8_t *)"" : text.ptr, length);
    to[length] = '\0';
}

static void on_message(void *context, void *user, const struct h2_message *message)
{
    struct kit_stream *stream = user;

    (void)context;
    if (message->part == H2_HEAD) {
        stream->heads++;
        stream->refusal = message->refusal;
        stream->chunked = message->chunked;
        keep(stream->head, sizeof(stream->head), message->text);
    } else {
        keep(stream->trailers, sizeof(stream->trailers), message->text);
    }
    stream->ended = stream->ended || message->end;
}

static void on_data(void *context, void *user, struct bytes bytes)
{
    struct kit_side *side = context;
    struct kit_stream *stream = user;
    size_t room = sizeof(stream->body) - stream->body_length;
    size_t count = bytes.len < room ? bytes.len : room;

    memcpy(stream->body + stream->body_length, bytes.ptr, count);
    stream->body_length += count;
    stream->received += bytes.len;
    h2_consume(side->session, stream->id, bytes.len);
}

static void on_ended(void *context, void *user)
{
    (void)context;
    ((struct kit_stream *)user)->ended = true;
}

static void on_closed(void *context, void *user, uint32_t code)
{
    struct kit_stream *stream = user;

    (void)context;
    stream->closed = true;
    stream->code = code;
}

static struct h2_ready on_ready(void *context, void *user, size_t max)
{
    struct kit_stream *stream = user;
    size_t left = stream->send == NULL ? 0 : strlen(stream->send) - stream->sent;
    struct h2_ready ready = {.count = left < max ? left : max};

    (void)context;
    ready.last = ready.count == left;
    if (ready.last && stream->send_trailers != NULL) {
        ready.trailers = bytes_of(stream->send_trailers, strlen(stream->send_trailers));
    }
    return ready;
}

static void on_emit(void *context, struct bytes bytes)
{
    struct kit_side *side = context;

    if (side->out_length + bytes.len > sizeof(side->out)) {
        side->out_length = 0; /* a flood: nobody reads it */
    }
    memcpy(side->out + side->out_length, bytes.ptr, bytes.len);
    side->out_length += bytes.len;
}

static void on_emit_data(void *context, void *user, size_t count)
{
    struct kit_stream *stream = user;

    on_emit(context, bytes_of(stream->send + stream->sent, count));
    stream->sent += count;
}

static void on_finished(void *context, void *user)
{
    (void)context;
    ((struct kit_stream *)user)->finished = true;
}

static void on_answered(void *context)
{
    ((struct kit_side *)context)->pings++;
}

static void on_leaving(void *context)
{
    ((struct kit_side *)context)->left = true;
}

static const struct h2_owner owner = {
    .opened = on_opened,
    .message = on_message,
    .data = on_data,
    .ended = on_ended,
    .closed = on_closed,
    .ready = on_ready,
    .emit_data = on_emit_data,
    .finished = on_finished,
    .emit = on_emit,
    .settled = http2_peer_ignores,
    .answered = on_answered,
    .leaving = on_leaving,
};

bool kit_begin(struct kit_side *side, bool server, struct h2_memory *memory)
{
    struct h2_config config = {
        .server = server,
        .limits = kit_limits,
        .memory = memory,
        .owner = &owner,
        .context = side,
        .seed = 7,
    };

    side->now_ms = 1000;
    side->alive = true;
    side->session = h2_create(&config);
    return side->session != NULL;
}

void kit_open(struct kit_side *side, bool server)
{
    void *arena = aligned_alloc(H2_SLAB_SIZE, KIT_ARENA);

    memset(side, 0, sizeof(*side));
    MUST(arena != NULL);
    h2_memory_init(&side->memory, arena, KIT_ARENA);
    MUST(kit_begin(side, server, &side->memory));
}

void kit_close(struct kit_side *side)
{
    h2_destroy(side->session);
    CHECK(side->memory.used == 0);
    free(side->memory.arena);
}

void kit_feed(struct kit_side *side, struct bytes bytes)
{
    side->alive = h2_receive(side->session, bytes, side->now_ms);
}

static bool kit_pass(struct kit_side *from, struct kit_side *to, size_t piece)
{
    size_t at = 0;
    size_t length;

    from->out_length = 0;
    (void)h2_send(from->session, sizeof(from->out) / 2);
    length = from->out_length;
    while (at < length) {
        size_t part = length - at < piece ? length - at : piece;

        kit_feed(to, bytes_of(from->out + at, part));
        at += part;
    }
    return length > 0;
}

void kit_exchange(struct kit_side *a, struct kit_side *b, size_t piece)
{
    while (kit_pass(a, b, piece) || kit_pass(b, a, piece)) {
    }
}

bool kit_said_goaway(struct kit_side *side, uint32_t code)
{
    const uint8_t *last;

    side->out_length = 0;
    (void)h2_send(side->session, sizeof(side->out) / 2);
    if (side->out_length < 17) {
        return false;
    }
    last = side->out + side->out_length - 17;
    return last[3] == 7 && last[16] == code && h2_is_over(side->session);
}

size_t kit_frame(uint8_t *out, uint8_t type, uint8_t flags, uint32_t id, struct bytes payload)
{
    out[0] = (uint8_t)(payload.len >> 16);
    out[1] = (uint8_t)(payload.len >> 8);
    out[2] = (uint8_t)payload.len;
    out[3] = type;
    out[4] = flags;
    out[5] = (uint8_t)(id >> 24);
    out[6] = (uint8_t)(id >> 16);
    out[7] = (uint8_t)(id >> 8);
    out[8] = (uint8_t)id;
    if (payload.len > 0) {
        memcpy(out + 9, payload.ptr, payload.len);
    }
    return 9 + payload.len;
}

struct bytes kit_preface(void)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";

    return bytes_of(preface, sizeof(preface) - 1);
}
