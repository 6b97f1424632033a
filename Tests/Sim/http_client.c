/* Clients: they send in their own pieces and at their own pace, ahead of the answers or not, read
 * slowly, and some leave without a word. */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "http_world.h"
#include "proxy_world.h"

#define HTTP_CLIENT_US       1000ull
#define HTTP_CLIENT_DEAF_NS  (200ull * 1000000000)
#define HTTP_CLIENT_PATIENCE (300000 * HTTP_CLIENT_US) /* for a 100 */

/* What a client does with its last request. */
enum http_leave {
    HTTP_LEAVE_PROPERLY = 0,
    HTTP_LEAVE_HALF_CLOSED,                 /* sends its end at once and waits for the answer */
    HTTP_LEAVE_RUDELY,                      /* all below */
    HTTP_LEAVE_CUT_END = HTTP_LEAVE_RUDELY, /* sends its end within the message */
    HTTP_LEAVE_CUT_CLOSE,                   /* closes within it */
    HTTP_LEAVE_CUT_RESET,
    HTTP_LEAVE_STALL,   /* goes silent within it */
    HTTP_LEAVE_GARBAGE, /* goes on with what is no HTTP */
    HTTP_LEAVE_DEAF,    /* reads nothing of its answer */
    HTTP_LEAVE_COUNT
};

enum http_client_state { HTTP_CLIENT_HEAD = 0, HTTP_CLIENT_BODY, HTTP_CLIENT_TUNNEL };

struct http_client {
    struct sim_peer *peer;
    struct http_exchange **exchanges;
    uint32_t count;
    uint32_t depth;   /* requests sent ahead of an answer */
    uint32_t sending; /* exchange whose request is being sent */
    size_t sent;      /* of it */
    uint32_t waiting; /* exchange whose answer is being read */
    uint32_t piece;
    uint64_t pause_ns;
    uint32_t gulp; /* bytes read at once */
    uint64_t rest_ns;
    uint64_t send_from_ns;
    uint64_t read_from_ns;
    enum http_leave leave;
    size_t leave_at; /* bytes of the last request */
    bool left;       /* it did so: sends nothing any more */
    bool closing;    /* the proxy said that it closes */
    bool go;         /* 100 came, or patience ended */
    bool own;        /* the answer is the proxy's own */
    bool over;
    enum http_client_state state;
    struct http_body body;
    uint64_t tunnel_sent;
    uint64_t tunnel_got;
    struct http_inbox inbox;
};

static void client_run(struct http_client *client);

static void client_wake(void *context)
{
    struct http_client *client = context;

    if (!client->over && !client->peer->finished) {
        client_run(client);
    }
}

/* --- the end --- */

static void client_over(struct http_client *client, enum http_end end)
{
    const struct http_exchange *current =
        client->waiting < client->count ? client->exchanges[client->waiting] : NULL;

    if (client->over) {
        return;
    }
    client->over = true;
    /* Nothing but announced ends, and what the client itself did, may cut a calm run. */
    if (http_world_is_calm() && current != NULL && !client->closing && end == HTTP_CUT &&
        !http_exchange_had_its_time(current) && !SIM_CHECK(current == NULL)) {
        fprintf(stderr, "  exchange %u was cut after %llu bytes%s\n", current->number,
                (unsigned long long)client->body.at, client->peer->reset ? " by a reset" : "");
    }
    for (uint32_t i = client->waiting; i < client->count; i++) {
        http_exchange_end(client->exchanges[i],
                          i == client->waiting && !client->left ? end : HTTP_GIVEN_UP);
    }
    if (!client->peer->finished) {
        sim_peer_close(client->peer);
    }
    proxy_world.busy--;
}

static void client_leaves_deaf(void *context)
{
    client_over(context, HTTP_GIVEN_UP);
}

static void client_leave(struct http_client *client)
{
    static const char garbage[] = "\x16\x03\x01\x02 HTTP/9.9 \r\n\n\n";

    client->left = true;
    switch (client->leave) {
    case HTTP_LEAVE_HALF_CLOSED:
    case HTTP_LEAVE_CUT_END:
        sim_peer_shutdown(client->peer);
        break;
    case HTTP_LEAVE_CUT_CLOSE:
        client_over(client, HTTP_GIVEN_UP);
        break;
    case HTTP_LEAVE_CUT_RESET:
        sim_peer_reset(client->peer);
        client_over(client, HTTP_GIVEN_UP);
        break;
    case HTTP_LEAVE_GARBAGE:
        (void)sim_peer_send(client->peer, bytes_of(garbage, sizeof(garbage)));
        sim_peer_shutdown(client->peer);
        break;
    case HTTP_LEAVE_DEAF:
        sim_after(HTTP_CLIENT_DEAF_NS, client_leaves_deaf, client);
        break;
    case HTTP_LEAVE_PROPERLY:
    case HTTP_LEAVE_STALL:
    case HTTP_LEAVE_COUNT:
        break;
    }
}

/* --- sending --- */

/* Bytes of the request that is being sent which may go now. */
static size_t client_limit(struct http_client *client, const struct http_exchange *exchange)
{
    size_t limit = exchange->request.len;

    if (client->sending + 1 == client->count && client->leave >= HTTP_LEAVE_RUDELY &&
        client->leave != HTTP_LEAVE_DEAF) {
        limit = num_min_size(limit, client->leave_at);
    }
    if (exchange->expects && !client->go) {
        limit = num_min_size(limit, exchange->request_head);
    }
    return limit;
}

static void client_patience_ends(void *context)
{
    struct http_client *client = context;

    client->go = true;
    client->send_from_ns = 0;
    client_wake(client);
}

/* A request is out, or as much of it as will ever be. */
static void client_sent_one(struct http_client *client, struct http_exchange *exchange)
{
    exchange->sent_all = client->sent == exchange->request.len;
    client->sending++;
    client->sent = 0;
    client->go = false;
    if (client->sending == client->count && client->leave != HTTP_LEAVE_PROPERLY) {
        client_leave(client);
    }
}

static bool client_may_send(const struct http_client *client)
{
    const struct http_exchange *before =
        client->sending > client->waiting ? client->exchanges[client->sending - 1] : NULL;

    return client->sending < client->count && !client->left && !client->closing &&
           client->sending - client->waiting < client->depth &&
           (before == NULL || (!before->close && !before->expects && before->kind != HTTP_TUNNEL));
}

static void client_send(struct http_client *client)
{
    while (!client->over && client_may_send(client)) {
        struct http_exchange *exchange = client->exchanges[client->sending];
        size_t limit = client_limit(client, exchange);
        size_t count = num_min_size(limit - client->sent, client->piece);

        if (sim_now_ns() < client->send_from_ns) {
            return;
        }
        count = num_min_size(count, sim_peer_room(client->peer));
        if (count > 0) {
            /* Before it is sent: the service may ask at any time from then on. */
            exchange->sent_all = client->sent + count == exchange->request.len;
            exchange->begun_ns = client->sent == 0 ? sim_now_ns() : exchange->begun_ns;
            count = sim_peer_send(
                client->peer, bytes_part(exchange->request, client->sent, client->sent + count));
            client->sent += count;
            if (client->pause_ns > 0) {
                client->send_from_ns = sim_now_ns() + client->pause_ns;
                sim_after(client->pause_ns, client_wake, client);
            }
        }
        if (client->sent == limit) {
            if (exchange->expects && !client->go && client->sent == exchange->request_head &&
                exchange->request.len > exchange->request_head) {
                sim_after(HTTP_CLIENT_PATIENCE, client_patience_ends, client);
                client->send_from_ns = UINT64_MAX; /* until then */
                return;
            }
            client_sent_one(client, exchange);
        } else if (count == 0) {
            return;
        }
    }
}

/* --- receiving --- */

static struct bytes client_field(const struct http_client *client, const struct h1_head *head,
                                 struct bytes name)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (bytes_equal_nocase(h1_name(client->inbox.data, &head->fields[i]), name)) {
            return h1_value(client->inbox.data, &head->fields[i]);
        }
    }
    return bytes_of(NULL, 0);
}

static void client_next(struct http_client *client, enum http_end end)
{
    http_exchange_end(client->exchanges[client->waiting], end);
    client->waiting++;
    client->state = HTTP_CLIENT_HEAD;
    if (client->waiting == client->count) {
        client_over(client, end);
    }
}

static void client_check_whole(struct http_client *client)
{
    const struct http_exchange *exchange = client->exchanges[client->waiting];

    if (client->own) {
        client_next(client, exchange->kind == HTTP_LOCAL ? HTTP_ANSWERED : HTTP_REFUSED);
        return;
    }
    if (!SIM_CHECK(client->body.at == exchange->response_size)) {
        fprintf(stderr, "  exchange %u has %llu bytes of %u\n", exchange->number,
                (unsigned long long)client->body.at, exchange->response_size);
    }
    if (exchange->response_framing == H1_FRAMING_CHUNKED && exchange->trailers &&
        !exchange->minor0) {
        SIM_CHECK(http_body_has_trailer(&client->body, exchange->number, HTTP_RESPONSE));
    }
    client_next(client, HTTP_ANSWERED);
}

/* A final head: whose it is, and what follows. */
static void client_on_head(struct http_client *client, const struct h1_head *head)
{
    const struct http_exchange *exchange = client->exchanges[client->waiting];
    struct bytes tag = client_field(client, head, BYTES_LITERAL("x-tag"));
    uint32_t number = 0;

    client->own = tag.len == 0;
    client->closing = client->closing || (head->flags & H1_KEEP_ALIVE) == 0;
    for (size_t i = 0; i < tag.len; i++) {
        number = number * 10 + (uint32_t)(tag.ptr[i] - '0');
    }
    if (client->own) {
        SIM_CHECK(exchange->kind == HTTP_LOCAL || head->status >= 400);
        SIM_CHECK(exchange->kind == HTTP_LOCAL || !http_world_is_calm() ||
                  (head->status == 504 && http_exchange_had_its_time(exchange)));
    } else {
        SIM_CHECK(number == exchange->number);
        SIM_CHECK(exchange->kind == HTTP_TUNNEL || head->status == exchange->status);
    }
    if (head->framing == H1_FRAMING_TUNNEL) {
        SIM_CHECK(exchange->kind == HTTP_TUNNEL);
        client->state = HTTP_CLIENT_TUNNEL;
        return;
    }
    /* The services send none: it is the proxy's, by the world's clock. */
    SIM_CHECK(bytes_has_prefix(client_field(client, head, BYTES_LITERAL("date")),
                               BYTES_LITERAL(SIM_DATE)));
    http_body_start(&client->body, (enum h1_framing)head->framing, head->content_length);
    client->state = HTTP_CLIENT_BODY;
}

/* False: more is needed. */
static bool client_take_head(struct http_client *client)
{
    static struct h1_head head;
    const struct http_exchange *exchange = client->exchanges[client->waiting];
    int length = client->inbox.length == 0
                     ? 0
                     : h1_parse_response(bytes_of(client->inbox.data, client->inbox.length),
                                         exchange->method, &head);

    SIM_CHECK(length >= 0);
    /* No answer before its question. */
    SIM_CHECK(length <= 0 || client->sending > client->waiting || client->sent > 0);
    if (length <= 0) {
        return false;
    }
    if (head.status < 200 && head.status != 101) {
        SIM_CHECK(!exchange->minor0);
        if (head.status == 100 && exchange->expects && client->sending == client->waiting &&
            client->sent == exchange->request_head) {
            client->go = true;
            client->send_from_ns = 0;
        }
    } else {
        client_on_head(client, &head);
    }
    http_inbox_use(&client->inbox, (size_t)length);
    return true;
}

static void client_tunnel(struct http_client *client)
{
    const struct http_exchange *exchange = client->exchanges[client->waiting];
    uint8_t data[4096];
    size_t room;

    http_world_check(bytes_of(client->inbox.data, client->inbox.length), exchange->number,
                     HTTP_TUNNELLED, client->tunnel_got);
    client->tunnel_got += client->inbox.length;
    client->inbox.length = 0;
    SIM_CHECK(client->tunnel_got <= client->tunnel_sent);
    while (client->tunnel_sent < exchange->tunnel_size &&
           (room = sim_peer_room(client->peer)) > 0) {
        size_t count = num_min_size(exchange->tunnel_size - client->tunnel_sent, sizeof(data));

        count = num_min_size(count, room);
        http_world_fill(data, count, exchange->number, HTTP_TUNNELLED, client->tunnel_sent);
        client->tunnel_sent += sim_peer_send(client->peer, bytes_of(data, count));
    }
    if (client->tunnel_sent == exchange->tunnel_size) {
        sim_peer_shutdown(client->peer);
    }
    if (client->peer->ended && client->tunnel_got == exchange->tunnel_size) {
        client->closing = true;
        client_next(client, HTTP_ANSWERED);
    }
}

static void client_read(struct http_client *client)
{
    bool more = true;
    bool broken = false;

    while (more && !client->over) {
        const struct http_exchange *exchange = client->exchanges[client->waiting];

        switch (client->state) {
        case HTTP_CLIENT_HEAD:
            more = client_take_head(client);
            break;
        case HTTP_CLIENT_BODY:
            more =
                http_body_take(&client->body, &client->inbox,
                               client->own ? UINT32_MAX : exchange->number, HTTP_RESPONSE, &broken);
            SIM_CHECK(!broken);
            if (more) {
                client_check_whole(client);
            }
            break;
        case HTTP_CLIENT_TUNNEL:
            client_tunnel(client);
            more = false;
            break;
        }
    }
}

/* The proxy's end: of an answer that has no other, or of the whole conversation. */
static void client_ended(struct http_client *client)
{
    if (client->state == HTTP_CLIENT_BODY && h1body_may_end(&client->body.decoder)) {
        client_check_whole(client);
    }
    client_over(client, HTTP_CUT);
}

static void client_run(struct http_client *client)
{
    struct sim_peer *peer = client->peer;

    if (peer->reset || peer->refused) {
        client_over(client, HTTP_CUT);
        return;
    }
    client_send(client);
    if (client->over || (client->left && client->leave == HTTP_LEAVE_DEAF)) {
        return;
    }
    while (!client->over && !sim_failed()) {
        size_t got;

        if (sim_now_ns() < client->read_from_ns) {
            return;
        }
        got = http_inbox_fill(&client->inbox, peer, client->gulp);
        client_read(client);
        if (!client->over) {
            client_send(client);
        }
        if (got == 0) {
            break;
        }
        if (client->rest_ns > 0) {
            client->read_from_ns = sim_now_ns() + client->rest_ns;
            sim_after(client->rest_ns, client_wake, client);
        }
    }
    if (!client->over && peer->ended && client->inbox.length == 0) {
        client_ended(client);
    }
}

static void client_changed(struct sim_peer *peer)
{
    client_run(peer->context);
}

/* --- birth --- */

static void client_draw_leave(struct http_client *client)
{
    const struct http_exchange *last = client->exchanges[client->count - 1];
    bool in_head = sim_chance(300);

    if (!sim_chance(http_world.rude)) {
        client->leave = sim_chance(100) && last->kind != HTTP_TUNNEL && http_world.clients_wait
                            ? HTTP_LEAVE_HALF_CLOSED
                            : HTTP_LEAVE_PROPERLY;
        return;
    }
    client->leave = (enum http_leave)(HTTP_LEAVE_RUDELY +
                                      sim_random_below(HTTP_LEAVE_COUNT - HTTP_LEAVE_RUDELY));
    client->leave_at = sim_random_below(in_head ? last->request_head : (uint32_t)last->request.len);
    if (client->leave == HTTP_LEAVE_GARBAGE) { /* where a message or a chunk must begin */
        client->leave_at = last->request_framing == H1_FRAMING_CHUNKED ? last->request_head : 0;
    }
}

void http_client_start(uint16_t port)
{
    struct http_client *client = sim_alloc(sizeof(*client));
    uint32_t wanted = 1 + sim_random_below(8);

    client->exchanges = sim_alloc(wanted * sizeof(client->exchanges[0]));
    while (client->count < wanted) {
        struct http_exchange *exchange = http_exchange_new();

        if (exchange == NULL) {
            break;
        }
        client->exchanges[client->count++] = exchange;
        if (exchange->close || exchange->kind == HTTP_TUNNEL) {
            break;
        }
    }
    if (client->count == 0) {
        return;
    }
    client->depth = sim_chance(500) ? 1 : 1 + sim_random_below(8);
    client->piece = sim_chance(600) ? UINT32_MAX : 1u << sim_random_below(16);
    /* A head must come in ten seconds, whatever its pieces are. */
    client->pause_ns = client->piece < 1024 ? sim_random_below(3) * 100 * HTTP_CLIENT_US
                                            : sim_random_below(20) * 100 * HTTP_CLIENT_US;
    client->gulp = sim_chance(700) ? HTTP_WORLD_INBOX : 64u << sim_random_below(8);
    client->rest_ns = sim_chance(600) ? 0 : sim_random_below(3000) * HTTP_CLIENT_US;
    client_draw_leave(client);
    proxy_world.busy++;
    client->peer = sim_connect(port, client_changed, client);
}
