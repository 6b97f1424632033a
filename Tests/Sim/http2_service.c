#include "http2_service.h"

#include <string.h>

#include "base/num.h"
#include "http2/h2.h"
#include "http2_peer.h"
#include "http_world.h"
#include "proxy_world.h"

#define SERVICE_US       1000ull
#define SERVICE_PREFACE  24u
#define SERVICE_HEADER   9u
#define SERVICE_STALL_US 5000000u

/* What a service does with one request. */
enum stream_mood {
    STREAM_MOOD_PLAIN = 0,
    STREAM_MOOD_INTERIM,                       /* 103 before the answer */
    STREAM_MOOD_SLOW,                          /* the answer comes after a while */
    STREAM_MOOD_STALL,                         /* windows open only after a while */
    STREAM_MOOD_SETTINGS,                      /* other settings, in the middle of everything */
    STREAM_MOOD_LEAVE,                         /* GOAWAY in its two steps: what is open is served */
    STREAM_MOOD_HOSTILE,                       /* all below */
    STREAM_MOOD_REFUSED = STREAM_MOOD_HOSTILE, /* before anything was done */
    STREAM_MOOD_RESET,                         /* instead of an answer */
    STREAM_MOOD_HALF_RESET,                    /* within its body */
    STREAM_MOOD_EARLY,                         /* answers before it has read the body */
    STREAM_MOOD_SILENT,
    STREAM_MOOD_LEAVE_NOW, /* GOAWAY at once: others may be above its last stream */
    STREAM_MOOD_ANGRY,     /* GOAWAY with an error */
    STREAM_MOOD_GARBAGE,   /* frames that nobody may send */
    STREAM_MOOD_CLOSE,     /* of the connection, with all that it carries */
    STREAM_MOOD_BREAK,     /* the same by a reset */
    STREAM_MOOD_COUNT
};

struct http2_service;

struct service_stream {
    struct http2_service *service;
    struct http_exchange *exchange;
    int32_t id; /* 0: it is no more */
    enum stream_mood mood;
    uint64_t at;      /* of the request's body */
    uint64_t kept;    /* of it, for which no window was opened yet */
    uint32_t sent;    /* of the answer's body */
    uint32_t upto;    /* ... bytes of which are sent before the stream is reset */
    bool whole;       /* the request */
    bool answered;    /* a final head was given */
    bool stalled;     /* windows stay as they are */
    char trailer[64]; /* of the answer */
};

struct http2_service {
    struct sim_peer *peer;
    struct h2_session *session;
    struct http_text out; /* frames that wait for the socket */
    size_t out_at;
    uint8_t header[SERVICE_HEADER]; /* of the frame that comes */
    uint32_t have;                  /* bytes of it */
    uint32_t payload;               /* bytes still to come of the frame */
    uint32_t preface;               /* bytes of it still to come */
    uint32_t acknowledged;          /* settings, by the proxy */
    uint32_t piece;
    uint32_t gulp;
    bool leaving;
    bool over;
    enum stream_mood end; /* CLOSE or BREAK: once the session is left alone; else 0 */
    struct h2_limits limits;
};

static void service_run(struct http2_service *service);

static void service_wake(void *context)
{
    struct http2_service *service = context;

    if (!service->over && !service->peer->finished) {
        service_run(service);
    }
}

static void service_over(struct http2_service *service)
{
    if (service->over) {
        return;
    }
    service->over = true;
    h2_destroy(service->session);
    if (!service->peer->finished) {
        sim_peer_close(service->peer);
    }
}

/* --- answers --- */

static void stream_give_head(struct service_stream *stream)
{
    const struct http_exchange *exchange = stream->exchange;
    struct http_text text = {0};
    bool whole = exchange->response_framing == H1_FRAMING_NONE ||
                 (exchange->response_framing == H1_FRAMING_LENGTH && exchange->response_size == 0);

    http_text_put(&text, "HTTP/1.1 %u Whatever\r\nx-tag: %u\r\n", exchange->status,
                  exchange->number);
    if (exchange->response_framing == H1_FRAMING_LENGTH) {
        http_text_put(&text, "Content-Length: %u\r\n", exchange->response_size);
    }
    http_text_put(&text, "\r\n");
    stream->answered = true;
    stream->upto = exchange->response_size;
    if (stream->mood == STREAM_MOOD_HALF_RESET && stream->upto > 0) {
        stream->upto = sim_random_below(stream->upto);
    }
    SIM_CHECK(
        h2_answer(stream->service->session, stream->id, bytes_of(text.data, text.length), whole));
}

static void stream_answer_late(void *context)
{
    struct service_stream *stream = context;

    if (!stream->service->over && stream->id != 0) {
        stream_give_head(stream);
        service_wake(stream->service);
    }
}

static void stream_opens_windows(void *context)
{
    struct service_stream *stream = context;
    struct http2_service *service = stream->service;

    stream->stalled = false;
    if (!service->over && stream->kept > 0) {
        h2_consume(service->session, stream->id, stream->kept);
        stream->kept = 0;
        service_wake(service);
    }
}

/* Fewer streams, no memory for the compression, smaller windows, while all of them are in use. The
 * session knows nothing of it: it takes more streams, half of its larger window opens it again. */
static void service_other_settings(struct http2_service *service)
{
    static const uint8_t header[SERVICE_HEADER] = {0, 0, 18, 4, 0, 0, 0, 0, 0};
    const uint32_t settings[3][2] = {
        {3, 1 + sim_random_below(num_min_u32(service->limits.streams, 8))}, /* MAX_STREAMS */
        {1, sim_random_below(4096)},                                        /* HEADER_TABLE_SIZE */
        {4, service->limits.stream_window / 4 * 3}, /* INITIAL_WINDOW_SIZE */
    };

    http_text_add(&service->out, bytes_of(header, sizeof(header)));
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t value = settings[i][1];
        const uint8_t entry[6] = {0,
                                  (uint8_t)settings[i][0],
                                  (uint8_t)(value >> 24),
                                  (uint8_t)(value >> 16),
                                  (uint8_t)(value >> 8),
                                  (uint8_t)value};

        http_text_add(&service->out, bytes_of(entry, sizeof(entry)));
    }
}

/* DATA on stream 0, a frame that is too long, a field that no table has. */
static void service_garbage(struct http2_service *service)
{
    static const uint8_t frames[3][12] = {
        {0, 0, 3, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c'},
        {0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0},
        {0, 0, 3, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff},
    };

    http_text_add(&service->out, bytes_of(frames[sim_random_below(3)], 12));
}

static void service_leave(struct http2_service *service)
{
    if (!service->leaving) {
        service->leaving = true;
        h2_leave(service->session, false);
        h2_ping(service->session);
    }
}

/* The request is there, or as much of it as the mood wants. */
static void stream_answer(struct service_stream *stream)
{
    struct http2_service *service = stream->service;

    switch (stream->mood) {
    case STREAM_MOOD_SLOW:
        sim_after(sim_random_below(500000) * SERVICE_US, stream_answer_late, stream);
        return;
    case STREAM_MOOD_INTERIM:
        SIM_CHECK(h2_answer(service->session, stream->id,
                            BYTES_LITERAL("HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n"),
                            false));
        break;
    case STREAM_MOOD_SETTINGS:
        service_other_settings(service);
        break;
    case STREAM_MOOD_LEAVE:
        service_leave(service);
        break;
    case STREAM_MOOD_RESET:
        h2_reset(service->session, stream->id, sim_chance(500) ? H2_INTERNAL_ERROR : H2_CANCEL);
        return;
    case STREAM_MOOD_SILENT:
        return;
    case STREAM_MOOD_LEAVE_NOW:
        h2_leave(service->session, true);
        break;
    case STREAM_MOOD_GARBAGE:
        service_garbage(service);
        return;
    case STREAM_MOOD_ANGRY:
        h2_terminate(service->session, H2_ENHANCE_YOUR_CALM);
        return;
    case STREAM_MOOD_CLOSE:
    case STREAM_MOOD_BREAK:
        service->end = stream->mood;
        return;
    default:
        break;
    }
    stream_give_head(stream);
}

static enum stream_mood draw_mood(void)
{
    enum stream_mood mood;

    if (!sim_chance(http_world.hostile)) {
        return (enum stream_mood)sim_random_below(STREAM_MOOD_HOSTILE);
    }
    mood = (enum stream_mood)(STREAM_MOOD_HOSTILE +
                              sim_random_below(STREAM_MOOD_COUNT - STREAM_MOOD_HOSTILE));
    /* Without a limit on requests nothing ends the wait for an answer. */
    return mood == STREAM_MOOD_SILENT && !http_world.has_timeout ? STREAM_MOOD_PLAIN : mood;
}

/* --- what the session tells --- */

static void *on_opened(void *context, int32_t id)
{
    struct service_stream *stream = sim_alloc(sizeof(*stream));

    stream->service = context;
    stream->id = id;
    return stream;
}

static void stream_whole(struct service_stream *stream)
{
    struct http_exchange *exchange = stream->exchange;

    SIM_CHECK(stream->at == exchange->request_size);
    SIM_CHECK(exchange->sent_all); /* nothing is whole here that was not there */
    stream->whole = true;
    if (stream->id == 0 || stream->mood == STREAM_MOOD_REFUSED) {
        return;
    }
    exchange->complete++;
    if (http_world_is_calm() || !h1_is_idempotent(exchange->method)) {
        SIM_CHECK(exchange->complete == 1);
    }
    if (!stream->answered) {
        stream_answer(stream);
    }
}

static void on_head(struct service_stream *stream, const struct h2_message *message)
{
    static struct h1_head head;
    int length = h1_parse_request(message->text, &head);
    struct bytes path;
    uint32_t number = 0;

    SIM_CHECK(length > 0 && (size_t)length == message->text.len);
    path = h1_slice(message->text.ptr, head.path);
    SIM_CHECK(bytes_has_prefix(path, BYTES_LITERAL("/t/")));
    for (size_t i = 3; i < path.len; i++) {
        number = number * 10 + (uint32_t)(path.ptr[i] - '0');
    }
    stream->exchange = http_exchange_find(number);
    if (stream->exchange == NULL) {
        return;
    }
    SIM_CHECK(head.method == stream->exchange->method);
    SIM_CHECK(stream->exchange->kind == HTTP_FORWARD);
    stream->exchange->tried++;
    stream->mood = draw_mood();
    stream->exchange->mood = stream->mood;
    if (stream->exchange->expects && stream->mood < STREAM_MOOD_HOSTILE && sim_chance(700)) {
        SIM_CHECK(h2_answer(stream->service->session, stream->id,
                            BYTES_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"), false));
    }
    switch (stream->mood) {
    case STREAM_MOOD_REFUSED:
        h2_reset(stream->service->session, stream->id, H2_REFUSED_STREAM);
        break;
    case STREAM_MOOD_EARLY:
        stream_give_head(stream);
        break;
    case STREAM_MOOD_STALL:
        stream->stalled = true;
        sim_after(sim_random_below(SERVICE_STALL_US) * SERVICE_US, stream_opens_windows, stream);
        break;
    default:
        break;
    }
}

static void on_message(void *context, void *user, const struct h2_message *message)
{
    struct service_stream *stream = user;

    (void)context;
    SIM_CHECK(message->refusal == 0);
    if (message->part == H2_HEAD) {
        on_head(stream, message);
    } else if (stream->exchange != NULL) {
        struct http_text wanted = {0};

        http_text_put(&wanted, "x-trailer: %u-%u\r\n", stream->exchange->number,
                      (unsigned)HTTP_REQUEST);
        SIM_CHECK(stream->exchange->trailers &&
                  bytes_equal(message->text, bytes_of(wanted.data, wanted.length)));
    }
    if (message->end && stream->exchange != NULL) {
        stream_whole(stream);
    }
}

static void on_data(void *context, void *user, struct bytes bytes)
{
    struct http2_service *service = context;
    struct service_stream *stream = user;

    if (stream->exchange == NULL) {
        return;
    }
    http_world_check(bytes, stream->exchange->number, HTTP_REQUEST, stream->at);
    stream->at += bytes.len;
    if (stream->stalled) {
        stream->kept += bytes.len;
    } else {
        h2_consume(service->session, stream->id, bytes.len);
    }
}

static void on_ended(void *context, void *user)
{
    struct service_stream *stream = user;

    (void)context;
    if (stream->exchange != NULL) {
        stream_whole(stream);
    }
}

static void on_closed(void *context, void *user, uint32_t code)
{
    struct http2_service *service = context;
    struct service_stream *stream = user;

    (void)code;
    stream->id = 0;
    if (stream->kept > 0) { /* of the connection's window */
        h2_consume(service->session, 0, stream->kept);
        stream->kept = 0;
    }
}

static struct h2_ready on_ready(void *context, void *user, size_t max)
{
    struct service_stream *stream = user;
    const struct http_exchange *exchange = stream->exchange;
    struct h2_ready ready = {.count = num_min_size(stream->upto - stream->sent, max)};
    struct http_text line = {0};

    (void)context;
    if (stream->mood == STREAM_MOOD_HALF_RESET) {
        if (ready.count == 0) {
            h2_abandon(stream->service->session, stream->id, H2_INTERNAL_ERROR);
            stream->id = 0;
        }
        return ready;
    }
    ready.last = stream->sent + ready.count == stream->upto;
    if (ready.last && exchange->response_framing == H1_FRAMING_CHUNKED && exchange->trailers) {
        http_text_put(&line, "x-trailer: %u-%u\r\n", exchange->number, (unsigned)HTTP_RESPONSE);
        memcpy(stream->trailer, line.data, line.length);
        ready.trailers = bytes_of(stream->trailer, line.length);
    }
    return ready;
}

static void on_emit(void *context, struct bytes bytes)
{
    struct http2_service *service = context;

    http_text_add(&service->out, bytes);
}

static void on_emit_data(void *context, void *user, size_t count)
{
    struct http2_service *service = context;
    struct service_stream *stream = user;

    http_text_fill(&service->out, stream->exchange, HTTP_RESPONSE,
                   (struct http_part){.at = stream->sent, .count = count});
    stream->sent += (uint32_t)count;
}

/* The round trip after the notice is over: all that was on its way has come. */
static void on_answered(void *context)
{
    struct http2_service *service = context;

    if (service->leaving) {
        h2_leave(service->session, true);
    }
}

static const struct h2_owner owner = {
    .opened = on_opened,
    .message = on_message,
    .data = on_data,
    .ended = on_ended,
    .closed = on_closed,
    .ready = on_ready,
    .emit_data = on_emit_data,
    .finished = http2_peer_ignores_stream,
    .emit = on_emit,
    .settled = http2_peer_ignores,
    .answered = on_answered,
    .leaving = http2_peer_ignores,
};

/* --- the run --- */

/* A header is complete: it goes to the session unless it is to be hidden. */
static bool service_take_header(struct http2_service *service)
{
    const uint8_t *header = service->header;

    service->have = 0;
    service->payload = (uint32_t)header[0] << 16 | (uint32_t)header[1] << 8 | header[2];
    if (header[3] == 4 && (header[4] & 1) != 0 && service->acknowledged++ > 0) {
        return true;
    }
    return h2_receive(service->session, bytes_of(header, SERVICE_HEADER), sim_now_ns() / 1000000);
}

/* Gives the session what came, but for acknowledgements of settings that it does not know of: the
 * first is its own. Bytes are cut into headers and payloads of frames to find them. */
static void service_feed(struct http2_service *service, struct bytes in)
{
    bool goes_on = true;

    while (in.len > 0 && goes_on) {
        uint32_t *left = service->preface > 0 ? &service->preface : &service->payload;
        struct bytes part = bytes_part(in, 0, num_min_size(*left, in.len));

        if (*left > 0) {
            *left -= (uint32_t)part.len;
            goes_on = h2_receive(service->session, part, sim_now_ns() / 1000000);
        } else {
            part = bytes_part(in, 0, num_min_size(SERVICE_HEADER - service->have, in.len));
            memcpy(service->header + service->have, part.ptr, part.len);
            service->have += (uint32_t)part.len;
            goes_on = service->have < SERVICE_HEADER || service_take_header(service);
        }
        in = bytes_from(in, part.len);
    }
}

static void service_send(struct http2_service *service)
{
    if (service->out_at == service->out.length) {
        service->out.length = 0;
        service->out_at = 0;
        (void)h2_send(service->session, 65536);
    }
    while (service->out_at < service->out.length) {
        size_t room = num_min_size(sim_peer_room(service->peer), service->piece);
        size_t count = num_min_size(service->out.length - service->out_at, room);

        count = count == 0 ? 0
                           : sim_peer_send(service->peer,
                                           bytes_of(service->out.data + service->out_at, count));
        if (count == 0) {
            return;
        }
        service->out_at += count;
    }
}

static void service_run(struct http2_service *service)
{
    struct sim_peer *peer = service->peer;
    uint8_t in[65536];
    size_t got = 1;

    if (peer->reset) {
        service_over(service);
        return;
    }
    service_send(service);
    while (got > 0 && !service->over && !sim_failed()) {
        got = sim_peer_read(peer, in, service->gulp);
        service_feed(service, bytes_of(in, got));
        service_send(service);
        if (service->end == STREAM_MOOD_BREAK) {
            sim_peer_reset(peer);
            service_over(service);
        } else if (service->end == STREAM_MOOD_CLOSE) {
            service_over(service);
        }
    }
    if (!service->over && ((got == 0 && peer->ended) || (service->out_at == service->out.length &&
                                                         h2_is_over(service->session)))) {
        service_over(service);
    }
}

static void service_changed(struct sim_peer *peer)
{
    service_wake(peer->context);
}

static struct h2_memory *service_memory;

/* Windows and streams from almost nothing to more than anybody asks for. */
static struct h2_limits draw_limits(void)
{
    struct h2_limits limits = {
        .streams = sim_chance(300) ? 1 + sim_random_below(4) : 100,
        .head = 20480,
        .fields = 100,
        .block = 32768,
        .stream_window = sim_chance(500) ? 65535 : 1000u << sim_random_below(8),
        .calm = 100000,
        .calm_per_second = 1000,
    };

    limits.window = 65535u << sim_random_below(4);
    return limits;
}

static void service_arrived(struct sim_peer *peer)
{
    struct http2_service *service = sim_alloc(sizeof(*service));
    struct h2_config config = {.server = true,
                               .limits = draw_limits(),
                               .memory = service_memory,
                               .owner = &owner,
                               .context = service,
                               .seed = 1};

    service->peer = peer;
    service->preface = SERVICE_PREFACE;
    service->limits = config.limits;
    service->piece = sim_chance(600) ? UINT32_MAX : 256u << sim_random_below(8);
    service->gulp = sim_chance(700) ? 65536 : 256u << sim_random_below(8);
    service->session = h2_create(&config);
    peer->context = service;
    peer->changed = service_changed;
    if (SIM_CHECK(service->session != NULL)) {
        service_run(service);
    } else {
        service->over = true;
    }
}

void http2_service_start(uint16_t port, struct h2_memory *memory)
{
    service_memory = memory;
    sim_serve(port, service_arrived, NULL);
}
