/* Clients of HTTP/2: all their exchanges at once on one connection, in their own pieces and at
 * their own pace; some cancel, some leave without a word. */
#include "http2_client.h"

#include <string.h>

#include "base/num.h"
#include "http2_peer.h"
#include "http_world.h"
#include "proxy_world.h"

#define CLIENT_US      1000ull
#define CLIENT_STREAMS 8u

struct http2_stream {
    struct http2_client *client;
    struct http_exchange *exchange;
    int32_t id;
    uint32_t sent; /* of its body */
    uint64_t at;   /* of the answer's */
    bool own;      /* the answer is the proxy's own */
    bool answered; /* by a final head */
    bool whole;
    bool over;
    char trailer[64];
};

struct http2_client {
    struct sim_peer *peer;
    struct h2_session *session;
    struct http2_stream streams[CLIENT_STREAMS];
    uint32_t count;
    uint32_t open;
    struct http_text out; /* frames that wait for the socket */
    size_t out_at;
    uint32_t piece;
    uint32_t gulp;
    uint64_t rest_ns;
    uint64_t read_from_ns;
    bool asked;
    bool left; /* of its own will, rudely */
    bool over;
};

static void client_run(struct http2_client *client);

/* --- the end --- */

static void stream_over(struct http2_stream *stream, enum http_end end)
{
    const struct http_exchange *exchange = stream->exchange;

    if (stream->over) {
        return;
    }
    stream->over = true;
    stream->client->open--;
    SIM_CHECK(end != HTTP_CUT || stream->client->left || !http_world_is_calm() ||
              http_exchange_had_its_time(exchange));
    http_exchange_end(stream->exchange, end);
}

static void client_over(struct http2_client *client)
{
    if (client->over) {
        return;
    }
    client->over = true;
    for (uint32_t i = 0; i < client->count; i++) {
        stream_over(&client->streams[i], client->left ? HTTP_GIVEN_UP : HTTP_CUT);
    }
    if (!client->peer->finished) {
        sim_peer_close(client->peer);
    }
    proxy_world.busy--;
}

/* --- what the session tells --- */

static void *on_opened(void *context, int32_t id)
{
    (void)context;
    (void)id;
    SIM_CHECK(false); /* nobody pushes */
    return NULL;
}

/* The value of the field in the text of a head; empty: it is not there. */
static struct bytes field_of(struct bytes text, struct bytes name)
{
    const uint8_t *at = memmem(text.ptr, text.len, name.ptr, name.len);
    const uint8_t *end;

    if (at == NULL) {
        return bytes_of(NULL, 0);
    }
    at += name.len;
    end = memchr(at, '\r', (size_t)(text.ptr + text.len - at));
    return bytes_of(at, (size_t)(end - at));
}

static void stream_ended(struct http2_stream *stream)
{
    const struct http_exchange *exchange = stream->exchange;

    SIM_CHECK(stream->answered);
    stream->whole = true;
    if (stream->own) {
        stream_over(stream, exchange->kind == HTTP_LOCAL ? HTTP_ANSWERED : HTTP_REFUSED);
        return;
    }
    SIM_CHECK(stream->at == exchange->response_size);
    if (exchange->response_framing == H1_FRAMING_CHUNKED && exchange->trailers) {
        struct http_text wanted = {0};

        http_text_put(&wanted, "x-trailer: %u-%u\r\n", exchange->number, (unsigned)HTTP_RESPONSE);
        SIM_CHECK(strlen(stream->trailer) == wanted.length &&
                  memcmp(stream->trailer, wanted.data, wanted.length) == 0);
    }
    stream_over(stream, HTTP_ANSWERED);
}

static void on_head(struct http2_stream *stream, struct bytes text)
{
    const struct http_exchange *exchange = stream->exchange;
    uint32_t status = (uint32_t)(text.ptr[9] - '0') * 100 + (uint32_t)(text.ptr[10] - '0') * 10 +
                      (uint32_t)(text.ptr[11] - '0');
    struct bytes tag = field_of(text, BYTES_LITERAL("\r\nx-tag: "));
    uint32_t number = 0;

    if (status < 200) {
        return;
    }
    for (size_t i = 0; i < tag.len; i++) {
        number = number * 10 + (uint32_t)(tag.ptr[i] - '0');
    }
    /* The services send none: it is the proxy's, by the world's clock. */
    SIM_CHECK(
        bytes_has_prefix(field_of(text, BYTES_LITERAL("\r\ndate: ")), BYTES_LITERAL(SIM_DATE)));
    stream->answered = true;
    stream->own = tag.len == 0;
    if (!stream->own) {
        SIM_CHECK(number == exchange->number && status == exchange->status);
        return;
    }
    SIM_CHECK(exchange->kind == HTTP_LOCAL || status >= 400);
    SIM_CHECK(exchange->kind == HTTP_LOCAL || !http_world_is_calm() ||
              (status == 504 && http_exchange_had_its_time(exchange)));
}

static void on_message(void *context, void *user, const struct h2_message *message)
{
    struct http2_stream *stream = user;
    size_t length = num_min_size(message->text.len, sizeof(stream->trailer) - 1);

    (void)context;
    SIM_CHECK(message->refusal == 0);
    if (message->part == H2_HEAD) {
        on_head(stream, message->text);
    } else if (length > 0) {
        memcpy(stream->trailer, message->text.ptr, length);
    }
    if (message->end) {
        stream_ended(stream);
    }
}

static void on_data(void *context, void *user, struct bytes bytes)
{
    struct http2_client *client = context;
    struct http2_stream *stream = user;

    SIM_CHECK(stream->answered);
    http_world_check(bytes, stream->own ? UINT32_MAX : stream->exchange->number, HTTP_RESPONSE,
                     stream->at);
    stream->at += bytes.len;
    h2_consume(client->session, stream->id, bytes.len);
}

static void on_ended(void *context, void *user)
{
    (void)context;
    stream_ended(user);
}

static void on_closed(void *context, void *user, uint32_t code)
{
    struct http2_stream *stream = user;

    (void)context;
    (void)code;
    stream->id = 0;
    stream_over(stream, HTTP_CUT); /* unless it was answered before */
}

static struct h2_ready on_ready(void *context, void *user, size_t max)
{
    static char trailer[64];
    struct http2_stream *stream = user;
    const struct http_exchange *exchange = stream->exchange;
    struct h2_ready ready = {.count = num_min_size(exchange->request_size - stream->sent, max)};
    struct http_text line = {0};

    (void)context;
    ready.last = stream->sent + ready.count == exchange->request_size;
    if (ready.last && exchange->request_framing == H1_FRAMING_CHUNKED && exchange->trailers) {
        http_text_put(&line, "x-trailer: %u-%u\r\n", exchange->number, (unsigned)HTTP_REQUEST);
        memcpy(trailer, line.data, line.length);
        ready.trailers = bytes_of(trailer, line.length);
    }
    stream->exchange->sent_all = ready.last; /* before it is sent: the service may ask at once */
    return ready;
}

static void on_emit(void *context, struct bytes bytes)
{
    struct http2_client *client = context;

    http_text_add(&client->out, bytes);
}

static void on_emit_data(void *context, void *user, size_t count)
{
    struct http2_client *client = context;
    struct http2_stream *stream = user;

    http_text_fill(&client->out, stream->exchange, HTTP_REQUEST,
                   (struct http_part){.at = stream->sent, .count = count});
    stream->sent += (uint32_t)count;
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
    .answered = http2_peer_ignores,
    .leaving = http2_peer_ignores,
};

/* --- the run --- */

static void client_ask(struct http2_client *client)
{
    client->asked = true;
    for (uint32_t i = 0; i < client->count; i++) {
        struct http2_stream *stream = &client->streams[i];
        struct http_exchange *exchange = stream->exchange;
        bool end = exchange->request_size == 0 && exchange->request_framing != H1_FRAMING_CHUNKED;

        exchange->begun_ns = sim_now_ns();
        exchange->sent_all = end;
        stream->id = h2_request(client->session, stream,
                                bytes_part(exchange->request, 0, exchange->request_head), end);
        SIM_CHECK(stream->id > 0);
    }
}

static void client_send(struct http2_client *client)
{
    if (client->out_at == client->out.length) {
        client->out.length = 0;
        client->out_at = 0;
        (void)h2_send(client->session, 65536);
    }
    while (client->out_at < client->out.length) {
        size_t room = num_min_size(sim_peer_room(client->peer), client->piece);
        size_t count = num_min_size(client->out.length - client->out_at, room);

        count = count == 0 ? 0
                           : sim_peer_send(client->peer,
                                           bytes_of(client->out.data + client->out_at, count));
        if (count == 0) {
            return;
        }
        client->out_at += count;
    }
}

static void client_wake(void *context)
{
    struct http2_client *client = context;

    if (!client->over && !client->peer->finished) {
        client_run(client);
    }
}

static void client_run(struct http2_client *client)
{
    uint8_t in[65536];
    size_t got = 1;

    if (client->peer->reset || client->peer->refused) {
        client_over(client);
        return;
    }
    if (!client->asked) {
        client_ask(client);
    }
    client_send(client);
    while (!client->over && !sim_failed() && got > 0 && sim_now_ns() >= client->read_from_ns) {
        got = sim_peer_read(client->peer, in, client->gulp);
        if (got > 0) {
            (void)h2_receive(client->session, bytes_of(in, got), sim_now_ns() / 1000000u);
            client_send(client);
        }
        if (got > 0 && client->rest_ns > 0) {
            client->read_from_ns = sim_now_ns() + client->rest_ns;
            sim_after(client->rest_ns, client_wake, client);
        }
    }
    if (client->open == 0 || (got == 0 && client->peer->ended)) {
        client_over(client);
    }
}

static void client_changed(struct sim_peer *peer)
{
    client_wake(peer->context);
}

/* Some streams, or all of them with the connection. */
static void client_is_rude(void *context)
{
    struct http2_client *client = context;
    uint32_t how = sim_random_below(3);

    if (client->over || client->peer->finished || client->peer->reset || !client->asked) {
        return;
    }
    client->left = true;
    if (how > 0) {
        if (how == 2) {
            sim_peer_reset(client->peer);
        }
        client_over(client);
        return;
    }
    for (uint32_t i = 0; i < client->count; i++) {
        struct http2_stream *stream = &client->streams[i];

        if (!stream->over && stream->id != 0 && sim_chance(500)) {
            h2_reset(client->session, stream->id, H2_CANCEL);
            stream_over(stream, HTTP_GIVEN_UP);
        }
    }
    client_run(client);
}

void http2_client_start(uint16_t port, struct h2_memory *memory)
{
    struct http2_client *client = sim_alloc(sizeof(*client));
    struct h2_config config = {.limits = HTTP2_PEER_LIMITS(100, 100000, 1000),
                               .memory = memory,
                               .owner = &owner,
                               .context = client,
                               .seed = 1};
    uint32_t wanted = 1 + sim_random_below(CLIENT_STREAMS);

    while (client->count < wanted) {
        struct http_exchange *exchange = http_exchange_new();

        if (exchange == NULL) {
            break;
        }
        if (exchange->kind == HTTP_TUNNEL) { /* has its place in the scenario of HTTP/1.1 */
            http_exchange_end(exchange, HTTP_GIVEN_UP);
            continue;
        }
        client->streams[client->count++] =
            (struct http2_stream){.client = client, .exchange = exchange};
    }
    if (client->count == 0) {
        return;
    }
    client->session = h2_create(&config);
    if (!SIM_CHECK(client->session != NULL)) {
        return;
    }
    client->open = client->count;
    client->piece = sim_chance(600) ? UINT32_MAX : 256u << sim_random_below(8);
    client->gulp = sim_chance(700) ? 65536 : 256u << sim_random_below(8);
    client->rest_ns = sim_chance(600) ? 0 : sim_random_below(2000) * CLIENT_US;
    proxy_world.busy++;
    client->peer = sim_connect(port, client_changed, client);
    if (sim_chance(http_world.rude)) {
        sim_after(sim_random_below(400000) * CLIENT_US, client_is_rude, client);
    }
}
