/* Services: they check what they are asked to the byte, answer it, and some do neither. */
#include <string.h>

#include "base/num.h"
#include "http_world.h"
#include "proxy_world.h"

#define HTTP_SERVICE_US      1000ull
#define HTTP_SERVICE_DEAF_NS (400ull * 1000000000)

/* What a service does with one request. */
enum http_mood {
    HTTP_MOOD_PLAIN = 0,
    HTTP_MOOD_CLOSE,   /* announces its end with the answer */
    HTTP_MOOD_INTERIM, /* 103 before the answer */
    HTTP_MOOD_SLOW,
    HTTP_MOOD_HOSTILE,                    /* all below */
    HTTP_MOOD_VANISH = HTTP_MOOD_HOSTILE, /* closes some time after an answer that kept alive */
    HTTP_MOOD_EARLY,                      /* answers before it has read the body */
    HTTP_MOOD_HALF_HEAD,
    HTTP_MOOD_HALF_BODY,
    HTTP_MOOD_HALF_RESET,
    HTTP_MOOD_GARBAGE,
    HTTP_MOOD_CLOSE_AT_ONCE,
    HTTP_MOOD_RESET_AT_ONCE,
    HTTP_MOOD_SILENT, /* reads, says nothing */
    HTTP_MOOD_DEAF,   /* does not even read */
    HTTP_MOOD_COUNT
};

enum http_service_state {
    HTTP_SERVICE_HEAD = 0,
    HTTP_SERVICE_BODY,
    HTTP_SERVICE_ANSWER,
    HTTP_SERVICE_TUNNEL,
    HTTP_SERVICE_LOST, /* waits for the proxy to give up */
};

struct http_service {
    struct sim_peer *peer;
    enum http_service_state state;
    enum http_mood mood;
    struct http_exchange *exchange;
    struct http_body body;
    struct http_text out;
    size_t sent;
    bool closes;
    uint64_t from_ns; /* sends nothing before */
    struct http_inbox inbox;
};

static void service_run(struct http_service *service);

static void service_wake(void *context)
{
    struct http_service *service = context;

    if (!service->peer->finished) {
        service_run(service);
    }
}

static void service_close(void *context)
{
    struct http_service *service = context;

    if (service->peer->finished) {
        return;
    }
    if (service->state == HTTP_SERVICE_ANSWER) { /* an end would make the answer look whole */
        sim_peer_reset(service->peer);
    } else {
        sim_peer_close(service->peer);
    }
}

static enum http_mood service_draw_mood(const struct http_exchange *exchange)
{
    enum http_mood mood;

    if (!sim_chance(http_world.hostile)) {
        return (enum http_mood)sim_random_below(HTTP_MOOD_HOSTILE);
    }
    mood =
        (enum http_mood)(HTTP_MOOD_HOSTILE + sim_random_below(HTTP_MOOD_COUNT - HTTP_MOOD_HOSTILE));
    /* Without a limit on requests nothing ends the wait for an answer. */
    if ((mood == HTTP_MOOD_SILENT || mood == HTTP_MOOD_DEAF) && !http_world.has_timeout) {
        mood = HTTP_MOOD_PLAIN;
    }
    if (mood == HTTP_MOOD_DEAF && exchange->request_size == 0) {
        mood = HTTP_MOOD_SILENT;
    }
    /* An end of stream is the end of such a body, whatever the service meant. */
    if (mood == HTTP_MOOD_HALF_BODY && exchange->response_framing == H1_FRAMING_UNTIL_CLOSE) {
        mood = HTTP_MOOD_HALF_RESET;
    }
    return mood;
}

/* --- answers --- */

static void service_write_answer(struct http_service *service)
{
    const struct http_exchange *exchange = service->exchange;
    bool until_close = exchange->response_framing == H1_FRAMING_UNTIL_CLOSE;
    struct http_text *out = &service->out;
    uint32_t upto = exchange->response_size;
    size_t head;

    *out = (struct http_text){0};
    service->sent = 0;
    service->closes = service->mood == HTTP_MOOD_CLOSE || until_close;
    if (service->mood == HTTP_MOOD_INTERIM) {
        http_text_put(out, "HTTP/1.1 103 Early Hints\r\nLink: </s>\r\n\r\n");
    }
    if (exchange->kind == HTTP_TUNNEL && service->mood != HTTP_MOOD_CLOSE) {
        service->closes = false;
        http_text_put(out,
                      "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                      "Upgrade: websocket\r\nx-tag: %u\r\n\r\n",
                      exchange->number);
        return;
    }
    http_text_put(out, "HTTP/1.1 %u Whatever\r\nx-tag: %u\r\n", exchange->status, exchange->number);
    if (exchange->response_framing == H1_FRAMING_LENGTH) {
        http_text_put(out, "Content-Length: %u\r\n", exchange->response_size);
    } else if (exchange->response_framing == H1_FRAMING_CHUNKED) {
        http_text_put(out, "Transfer-Encoding: chunked\r\n");
    }
    if (service->closes && sim_chance(700)) {
        http_text_put(out, "Connection: close\r\n");
    } else if (service->closes && !until_close) {
        service->closes = false;
    }
    http_text_put(out, "\r\n");
    head = out->length;
    if (service->mood == HTTP_MOOD_HALF_HEAD) {
        out->length = 1 + sim_random_below((uint32_t)head - 1);
        return;
    }
    if ((service->mood == HTTP_MOOD_HALF_BODY || service->mood == HTTP_MOOD_HALF_RESET) &&
        upto > 0) {
        upto = sim_random_below(upto);
    }
    http_text_body(out, exchange, HTTP_RESPONSE, upto);
}

/* The answer, or what takes its place, is out. */
static void service_answered(struct http_service *service)
{
    struct sim_peer *peer = service->peer;

    service->state = HTTP_SERVICE_HEAD;
    switch (service->mood) {
    case HTTP_MOOD_EARLY:
    case HTTP_MOOD_HALF_HEAD:
    case HTTP_MOOD_HALF_BODY:
    case HTTP_MOOD_GARBAGE:
        sim_peer_close(peer);
        return;
    case HTTP_MOOD_HALF_RESET:
        sim_peer_reset(peer);
        return;
    case HTTP_MOOD_VANISH:
        sim_after(sim_random_below(3000) * HTTP_SERVICE_US, service_close, service);
        break;
    default:
        break;
    }
    if (service->closes) {
        sim_peer_close(peer);
    } else if (service->exchange->kind == HTTP_TUNNEL && service->mood != HTTP_MOOD_CLOSE) {
        service->state = HTTP_SERVICE_TUNNEL;
    }
}

static void service_answer(struct http_service *service)
{
    service->state = HTTP_SERVICE_ANSWER;
    switch (service->mood) {
    case HTTP_MOOD_SILENT:
    case HTTP_MOOD_DEAF:
        service->state = HTTP_SERVICE_LOST;
        return;
    case HTTP_MOOD_CLOSE_AT_ONCE:
        sim_peer_close(service->peer);
        return;
    case HTTP_MOOD_RESET_AT_ONCE:
        sim_peer_reset(service->peer);
        return;
    case HTTP_MOOD_GARBAGE:
        service->out = (struct http_text){0};
        service->sent = 0;
        http_text_put(&service->out, sim_chance(500) ? "HTTP/1.1 OK 200\r\n\r\n"
                                                     : "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                                                       "Content-Length: 2\r\n\r\nab");
        return;
    case HTTP_MOOD_SLOW:
        service->from_ns = sim_now_ns() + sim_random_below(500000) * HTTP_SERVICE_US;
        sim_after(service->from_ns - sim_now_ns(), service_wake, service);
        break;
    default:
        break;
    }
    service_write_answer(service);
}

/* --- requests --- */

static uint32_t service_number(const struct http_service *service, const struct h1_head *head)
{
    struct bytes path = h1_slice(service->inbox.data, head->path);
    uint32_t number = 0;

    SIM_CHECK(bytes_has_prefix(path, BYTES_LITERAL("/t/")));
    for (size_t i = 3; i < path.len; i++) {
        number = number * 10 + (uint32_t)(path.ptr[i] - '0');
    }
    return number;
}

static void service_on_whole(struct http_service *service)
{
    struct http_exchange *exchange = service->exchange;

    SIM_CHECK(service->body.at == exchange->request_size);
    SIM_CHECK(exchange->sent_all); /* nothing is whole here that was not there */
    if (exchange->request_framing == H1_FRAMING_CHUNKED && exchange->trailers) {
        SIM_CHECK(http_body_has_trailer(&service->body, exchange->number, HTTP_REQUEST));
    }
    exchange->complete++;
    if (http_world_is_calm() || !h1_is_idempotent(exchange->method)) {
        SIM_CHECK(exchange->complete == 1);
    }
    service_answer(service);
}

/* False: more is needed. */
static bool service_take_head(struct http_service *service)
{
    static struct h1_head head;
    int length =
        service->inbox.length == 0
            ? 0
            : h1_parse_request(bytes_of(service->inbox.data, service->inbox.length), &head);
    struct http_exchange *exchange;

    SIM_CHECK(length >= 0);
    if (length <= 0) {
        return false;
    }
    exchange = http_exchange_find(service_number(service, &head));
    if (exchange == NULL) {
        return false;
    }
    service->exchange = exchange;
    SIM_CHECK(head.method == exchange->method);
    SIM_CHECK(exchange->kind != HTTP_LOCAL);
    SIM_CHECK(((head.flags & H1_UPGRADE) != 0) == (exchange->kind == HTTP_TUNNEL));
    exchange->tried++;
    service->mood = service_draw_mood(exchange);
    exchange->mood = service->mood;
    http_body_start(&service->body, (enum h1_framing)head.framing, head.content_length);
    http_inbox_use(&service->inbox, (size_t)length);
    service->state = HTTP_SERVICE_BODY;
    if (service->mood == HTTP_MOOD_EARLY && exchange->request_size > 0) {
        service_answer(service);
    } else if (service->mood == HTTP_MOOD_DEAF) {
        service->state = HTTP_SERVICE_LOST;
        sim_after(HTTP_SERVICE_DEAF_NS, service_close, service);
    } else if (exchange->expects && sim_chance(700)) {
        (void)sim_peer_send(service->peer, BYTES_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
    }
    return true;
}

static bool service_take_body(struct http_service *service)
{
    bool broken = false;

    if (h1body_is_done(&service->body.decoder) ||
        http_body_take(&service->body, &service->inbox, service->exchange->number, HTTP_REQUEST,
                       &broken)) {
        service_on_whole(service);
        return true;
    }
    SIM_CHECK(!broken);
    return false;
}

static void service_tunnel(struct http_service *service)
{
    size_t count =
        sim_peer_send(service->peer, bytes_of(service->inbox.data, service->inbox.length));

    http_inbox_use(&service->inbox, count);
    if (service->peer->ended && service->inbox.length == 0) {
        sim_peer_close(service->peer);
    }
}

static void service_send(struct http_service *service)
{
    struct bytes rest = bytes_of(service->out.data, service->out.length);

    if (sim_now_ns() < service->from_ns) {
        return;
    }
    service->sent += sim_peer_send(service->peer, bytes_from(rest, service->sent));
    if (service->sent == rest.len) {
        service_answered(service);
    }
}

static void service_work(struct http_service *service)
{
    bool more = true;

    while (more && !service->peer->finished && !sim_failed()) {
        enum http_service_state state = service->state;

        switch (state) {
        case HTTP_SERVICE_HEAD:
            more = service_take_head(service);
            break;
        case HTTP_SERVICE_BODY:
            more = service_take_body(service);
            break;
        case HTTP_SERVICE_ANSWER:
            service_send(service);
            more = service->state != state;
            break;
        case HTTP_SERVICE_TUNNEL:
            service_tunnel(service);
            more = false;
            break;
        case HTTP_SERVICE_LOST:
            service->inbox.length = 0;
            more = false;
            break;
        }
    }
}

static void service_run(struct http_service *service)
{
    struct sim_peer *peer = service->peer;
    size_t got = 1;

    if (peer->reset) {
        sim_peer_close(peer);
        return;
    }
    while (got > 0 && !peer->finished && !sim_failed()) {
        bool deaf = service->state == HTTP_SERVICE_LOST && service->mood == HTTP_MOOD_DEAF;

        got = deaf ? 0 : http_inbox_fill(&service->inbox, peer, HTTP_WORLD_INBOX);
        service_work(service);
    }
    /* The proxy has gone: between requests, within one, or because it would wait no longer. */
    if (!peer->finished && peer->ended && service->state != HTTP_SERVICE_ANSWER &&
        service->state != HTTP_SERVICE_TUNNEL) {
        sim_peer_close(peer);
    }
}

static void service_changed(struct sim_peer *peer)
{
    service_run(peer->context);
}

static void service_arrived(struct sim_peer *peer)
{
    struct http_service *service = sim_alloc(sizeof(*service));

    service->peer = peer;
    peer->context = service;
    peer->changed = service_changed;
    service_run(service);
}

void http_service_start(uint16_t port)
{
    sim_serve(port, service_arrived, NULL);
}
