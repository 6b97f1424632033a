#include "http_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "base/num.h"

struct http_world http_world;

void http_world_start(void)
{
    http_world = (struct http_world){
        .exchanges = sim_alloc(HTTP_WORLD_EXCHANGES * sizeof(struct http_exchange)),
        .has_timeout = sim_chance(500),
    };
    switch (sim_random_below(4)) {
    case 0:
        break;
    case 1:
        http_world.hostile = 50 + sim_random_below(400);
        break;
    case 2:
        http_world.rude = 50 + sim_random_below(600);
        break;
    default:
        http_world.hostile = 20 + sim_random_below(200);
        http_world.rude = 20 + sim_random_below(300);
        break;
    }
}

bool http_world_is_calm(void)
{
    const struct sim_faults *faults = sim_faults();

    return http_world.hostile == 0 && http_world.rude == 0 && faults->peer_reset == 0 &&
           faults->connect_refused == 0 && faults->connect_lost == 0;
}

/* --- exchanges --- */

/* Mostly small; some fill buffers; a few are worth a splice. */
static uint32_t draw_size(void)
{
    switch (sim_random_below(20)) {
    case 0:
        return sim_chance(200) ? 600000 + sim_random_below(300000) : sim_random_below(200000);
    case 1:
    case 2:
    case 3:
        return sim_random_below(100000);
    case 4:
    case 5:
        return 0;
    default:
        return sim_random_below(1u << (1 + sim_random_below(12)));
    }
}

static void draw_request(struct http_exchange *exchange)
{
    static const enum h1_method methods[] = {H1_METHOD_GET,    H1_METHOD_GET, H1_METHOD_GET,
                                             H1_METHOD_HEAD,   H1_METHOD_PUT, H1_METHOD_POST,
                                             H1_METHOD_DELETE, H1_METHOD_POST};

    exchange->method = methods[sim_random_below(8)];
    exchange->minor0 = sim_chance(100);
    exchange->close = sim_chance(exchange->minor0 ? 500 : 50);
    if (exchange->method == H1_METHOD_PUT || exchange->method == H1_METHOD_POST || sim_chance(50)) {
        exchange->request_size = draw_size();
        exchange->request_framing =
            sim_chance(500) && !exchange->minor0 ? H1_FRAMING_CHUNKED : H1_FRAMING_LENGTH;
        exchange->expects = sim_chance(100) && !exchange->minor0;
    }
}

static void draw_response(struct http_exchange *exchange)
{
    exchange->status = 200;
    exchange->response_size = draw_size();
    exchange->response_framing = (enum h1_framing)(H1_FRAMING_LENGTH + sim_random_below(3));
    exchange->trailers = sim_chance(200);
    if (sim_chance(50)) {
        exchange->status = sim_chance(500) ? 204 : 304;
    }
    if (exchange->status != 200 || exchange->method == H1_METHOD_HEAD) {
        exchange->response_size = 0;
        exchange->response_framing = H1_FRAMING_NONE;
    }
}

static void write_request(struct http_exchange *exchange)
{
    static const char *const names[] = {"OTHER",  "GET",     "HEAD",    "POST",  "PUT",
                                        "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    struct http_text text = {0};
    char path[24] = "/local";

    if (exchange->kind != HTTP_LOCAL) {
        (void)snprintf(path, sizeof(path), "/t/%u", exchange->number);
    }
    http_text_put(&text, "%s %s HTTP/1.%u\r\nHost: sim.test\r\n", names[exchange->method], path,
                  exchange->minor0 ? 0u : 1u);
    if (exchange->kind == HTTP_TUNNEL) {
        http_text_put(&text, "Connection: upgrade\r\nUpgrade: websocket\r\n");
    } else if (exchange->close != exchange->minor0) {
        http_text_put(&text, "Connection: %s\r\n", exchange->close ? "close" : "keep-alive");
    }
    if (exchange->request_framing == H1_FRAMING_LENGTH) {
        http_text_put(&text, "Content-Length: %u\r\n", exchange->request_size);
    } else if (exchange->request_framing == H1_FRAMING_CHUNKED) {
        http_text_put(&text, "Transfer-Encoding: chunked\r\n");
    }
    if (exchange->expects) {
        http_text_put(&text, "Expect: 100-continue\r\n");
    }
    if (sim_chance(50)) { /* more than the proxy keeps inline */
        http_text_put(&text, "X-Padding: %0*u\r\n", (int)(1 + sim_random_below(8000)), 0);
    }
    http_text_put(&text, "\r\n");
    exchange->request_head = (uint32_t)text.length;
    http_text_body(&text, exchange, HTTP_REQUEST, exchange->request_size);
    exchange->request = bytes_of(text.data, text.length);
}

struct http_exchange *http_exchange_new(void)
{
    struct http_exchange *exchange;

    if (http_world.count == HTTP_WORLD_EXCHANGES) {
        return NULL;
    }
    exchange = &http_world.exchanges[http_world.count];
    exchange->number = http_world.count++;
    draw_request(exchange);
    draw_response(exchange);
    if (sim_chance(100)) {
        exchange->kind = HTTP_LOCAL;
    } else if (exchange->request_framing == H1_FRAMING_NONE && !exchange->minor0 &&
               exchange->method == H1_METHOD_GET && !http_world.no_tunnels && sim_chance(100)) {
        exchange->kind = HTTP_TUNNEL;
        exchange->tunnel_size = draw_size();
    }
    write_request(exchange);
    return exchange;
}

struct http_exchange *http_exchange_find(uint32_t number)
{
    return SIM_CHECK(number < http_world.count) ? &http_world.exchanges[number] : NULL;
}

bool http_exchange_had_its_time(const struct http_exchange *exchange)
{
    return http_world.has_timeout &&
           sim_now_ns() - exchange->begun_ns >= HTTP_WORLD_TIMEOUT_MS * 1000000ull;
}

void http_exchange_end(struct http_exchange *exchange, enum http_end end)
{
    if (exchange->end == HTTP_PENDING) {
        exchange->end = end;
        http_world.ends[end]++;
    }
}

void http_world_describe(void)
{
    for (uint32_t i = 0; sim_failed() && i < http_world.count; i++) {
        const struct http_exchange *exchange = &http_world.exchanges[i];

        if (exchange->end == HTTP_PENDING && exchange->tried > 0) {
            fprintf(stderr,
                    "  exchange %u: kind %d, method %d, 1.%d, framing %d %u / %d %u, sent all %d, "
                    "tried %u, whole %u, last mood %u\n",
                    i, exchange->kind, exchange->method, exchange->minor0 ? 0 : 1,
                    exchange->request_framing, exchange->request_size, exchange->response_framing,
                    exchange->response_size, exchange->sent_all, exchange->tried,
                    exchange->complete, exchange->mood);
        }
    }
}

/* --- bytes --- */

uint8_t http_world_byte(uint32_t number, enum http_direction direction, uint64_t at)
{
    uint64_t seed = sim_seed() ^ (uint64_t)number << 40 ^ (uint64_t)direction << 36;

    return (uint8_t)(((seed + at) * 0x9e3779b97f4a7c15ULL) >> 56);
}

void http_world_fill(uint8_t *to, size_t count, uint32_t number, enum http_direction direction,
                     uint64_t at)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = http_world_byte(number, direction, at + i);
    }
}

bool http_world_check(struct bytes in, uint32_t number, enum http_direction direction, uint64_t at)
{
    if (number == UINT32_MAX) { /* somebody else's text */
        return true;
    }
    for (size_t i = 0; i < in.len; i++) {
        if (!SIM_CHECK(in.ptr[i] == http_world_byte(number, direction, at + i))) {
            return false;
        }
    }
    return true;
}

/* --- messages --- */

static void text_reserve(struct http_text *text, size_t more)
{
    size_t room = text->room == 0 ? 1024 : text->room;
    uint8_t *grown;

    while (room < text->length + more) {
        room *= 2;
    }
    if (room == text->room) {
        return;
    }
    grown = sim_alloc(room);
    if (text->length > 0) {
        memcpy(grown, text->data, text->length);
    }
    text->data = grown;
    text->room = room;
}

void http_text_put(struct http_text *text, const char *format, ...)
{
    va_list arguments;
    int length;

    text_reserve(text, 10000);
    va_start(arguments, format);
    length = vsnprintf((char *)text->data + text->length, 10000, format, arguments);
    va_end(arguments);
    MUST(length >= 0 && length < 10000);
    text->length += (size_t)length;
}

void http_text_add(struct http_text *text, struct bytes in)
{
    text_reserve(text, in.len);
    memcpy(text->data + text->length, in.ptr, in.len);
    text->length += in.len;
}

void http_text_fill(struct http_text *text, const struct http_exchange *exchange,
                    enum http_direction direction, struct http_part part)
{
    text_reserve(text, part.count);
    http_world_fill(text->data + text->length, part.count, exchange->number, direction, part.at);
    text->length += part.count;
}

void http_text_body(struct http_text *text, const struct http_exchange *exchange,
                    enum http_direction direction, uint32_t upto)
{
    uint32_t total = direction == HTTP_REQUEST ? exchange->request_size : exchange->response_size;
    bool chunked = (direction == HTTP_REQUEST ? exchange->request_framing
                                              : exchange->response_framing) == H1_FRAMING_CHUNKED;
    uint32_t at = 0;
    /* Chunks of one size for a body: from a byte to all of it. */
    uint32_t most = 1u << sim_random_below(18);

    while (at < upto) {
        uint32_t count = num_min_u32(upto - at, most < 64 && total > 10000 ? 64 : most);

        if (chunked) {
            http_text_put(text, at == 0 && sim_chance(300) ? "%x;name=\"va lue\"\r\n" : "%x\r\n",
                          count);
        }
        http_text_fill(text, exchange, direction, (struct http_part){.at = at, .count = count});
        at += count;
        if (chunked) {
            http_text_put(text, "\r\n");
        }
    }
    if (chunked && upto == total) {
        http_text_put(text, "0\r\n");
        if (exchange->trailers) {
            http_text_put(text, "x-trailer: %u-%u\r\n", exchange->number, (unsigned)direction);
        }
        http_text_put(text, "\r\n");
    }
}

/* --- what arrives --- */

size_t http_inbox_fill(struct http_inbox *inbox, struct sim_peer *peer, size_t max)
{
    size_t room = num_min_size(HTTP_WORLD_INBOX - inbox->length, max);
    size_t got = sim_peer_read(peer, inbox->data + inbox->length, room);

    inbox->length += got;
    return got;
}

void http_inbox_use(struct http_inbox *inbox, size_t count)
{
    MUST(count <= inbox->length);
    inbox->length -= count;
    memmove(inbox->data, inbox->data + count, inbox->length);
}

void http_body_start(struct http_body *body, enum h1_framing framing, uint64_t length)
{
    *body = (struct http_body){0};
    h1body_start(&body->decoder, framing, length);
}

bool http_body_take(struct http_body *body, struct http_inbox *inbox, uint32_t number,
                    enum http_direction direction, bool *broken)
{
    size_t used = 0;

    while (used < inbox->length && !h1body_is_done(&body->decoder)) {
        struct h1body_step step;
        int64_t count =
            h1body_next(&body->decoder, bytes_of(inbox->data + used, inbox->length - used), &step);

        if (count < 0) {
            *broken = true;
            break;
        }
        used += (size_t)count;
        if (step.kind == H1BODY_DATA) {
            http_world_check(step.out, number, direction, body->at);
            body->at += step.out.len;
        } else if (step.kind == H1BODY_FIELD) {
            MUST(body->trailer_length + step.out.len <= sizeof(body->trailer));
            if (step.out.len > 0) {
                memcpy(body->trailer + body->trailer_length, step.out.ptr, step.out.len);
            }
            body->trailer_length += step.out.len;
        }
    }
    http_inbox_use(inbox, used);
    return !*broken && h1body_is_done(&body->decoder);
}

bool http_body_has_trailer(const struct http_body *body, uint32_t number,
                           enum http_direction direction)
{
    char wanted[64];
    int length = snprintf(wanted, sizeof(wanted), "x-trailer: %u-%u", number, (unsigned)direction);

    return bytes_equal(bytes_of(body->trailer, body->trailer_length),
                       bytes_of(wanted, (size_t)length));
}
