/* A server of HTTP/2 under any bytes, whole and octet by octet; every head that comes out of it is
 * one that the parser of HTTP/1.1 reads to its end or refuses, and nothing stays behind. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "http2/h2.h"
#include "wire/h1.h"

#define ARENA (32u * H2_SLAB_SIZE)

struct side {
    struct h2_session *session;
    struct h2_memory memory;
    int32_t ids[128];
    uint32_t opened;
};

static void *on_opened(void *context, int32_t id)
{
    struct side *side = context;

    if (side->opened == 128) {
        return NULL;
    }
    side->ids[side->opened] = id;
    return &side->ids[side->opened++];
}

static void on_message(void *context, void *user, const struct h2_message *message)
{
    static struct h1_head head;
    struct side *side = context;
    int32_t id = *(int32_t *)user;
    int used;

    if (message->part == H2_HEAD && message->refusal == 0) {
        used = h1_parse_request(message->text, &head);
        MUST(used < 0 || used == (int)message->text.len);
        (void)h2_answer(side->session, id, BYTES_LITERAL("HTTP/1.1 200 OK\r\nx: y\r\n\r\n"),
                        id % 4 == 1);
    }
}

static void on_data(void *context, void *user, struct bytes bytes)
{
    struct side *side = context;

    h2_consume(side->session, *(int32_t *)user, bytes.len);
}

static void on_stream(void *context, void *user)
{
    (void)context;
    (void)user;
}

static void on_closed(void *context, void *user, uint32_t code)
{
    (void)context;
    (void)user;
    (void)code;
}

static struct h2_ready on_ready(void *context, void *user, size_t max)
{
    (void)context;
    (void)user;
    return (struct h2_ready){
        .count = max < 10 ? max : 10, .last = true, .trailers = BYTES_LITERAL("a: b\r\n")};
}

static void on_emit_data(void *context, void *user, size_t count)
{
    (void)context;
    (void)user;
    (void)count;
}

static void on_emit(void *context, struct bytes bytes)
{
    (void)context;
    (void)bytes;
}

static void on_event(void *context)
{
    (void)context;
}

static const struct h2_owner owner = {
    .opened = on_opened,
    .message = on_message,
    .data = on_data,
    .ended = on_stream,
    .closed = on_closed,
    .ready = on_ready,
    .emit_data = on_emit_data,
    .finished = on_stream,
    .emit = on_emit,
    .settled = on_event,
    .answered = on_event,
    .leaving = on_event,
};

static void play(struct bytes in, size_t piece)
{
    static void *arena;
    static struct side side;
    struct h2_config config = {
        .server = true,
        .limits = {.streams = 100,
                   .head = 20480,
                   .fields = 100,
                   .block = 32768,
                   .stream_window = 65536,
                   .window = 65536,
                   .calm = 1000,
                   .calm_per_second = 100},
        .memory = &side.memory,
        .owner = &owner,
        .context = &side,
    };
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    bool alive;

    if (arena == NULL) {
        arena = aligned_alloc(H2_SLAB_SIZE, ARENA);
    }
    MUST(arena != NULL);
    memset(&side, 0, sizeof(side));
    h2_memory_init(&side.memory, arena, ARENA);
    side.session = h2_create(&config);
    MUST(side.session != NULL);
    alive = h2_receive(side.session, bytes_of(preface, sizeof(preface) - 1), 1);
    while (alive && in.len > 0) {
        size_t part = in.len < piece ? in.len : piece;

        alive = h2_receive(side.session, bytes_part(in, 0, part), 2);
        (void)h2_send(side.session, 65536);
        in = bytes_from(in, part);
    }
    h2_destroy(side.session);
    MUST(side.memory.used == 0);
}

FUZZ_TARGET(http2_receive)
{
    play(in, SIZE_MAX);
    play(in, 1);
}
