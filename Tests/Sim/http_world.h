/* HTTP clients and services that know each other: every exchange has a number, which both ends
 * find in the messages, and bodies whose every byte follows from it. So each end can tell at once
 * that a byte was lost, doubled, or meant for somebody else. */
#ifndef HTTP_WORLD_H
#define HTTP_WORLD_H

#include "sim.h"
#include "wire/h1body.h"

#define HTTP_WORLD_EXCHANGES  512u
#define HTTP_WORLD_INBOX      32768u
#define HTTP_WORLD_TIMEOUT_MS 60000u /* of a whole request */

/* What the route of an exchange does, by its path. */
enum http_kind {
    HTTP_FORWARD = 0, /* /t/N: to the service */
    HTTP_LOCAL,       /* /local: answered by the route, 203 "local\n" */
    HTTP_TUNNEL,      /* /t/N with Upgrade: then every byte comes back */
    HTTP_KIND_COUNT
};

/* How it ended for the client. */
enum http_end {
    HTTP_PENDING = 0,
    HTTP_ANSWERED, /* by the service, whole */
    HTTP_REFUSED,  /* by an answer of the proxy's own */
    HTTP_CUT,      /* the connection ended first, visibly */
    HTTP_GIVEN_UP, /* the client left, or never asked */
};

struct http_exchange {
    uint32_t number;
    enum http_kind kind;
    enum h1_method method;
    bool minor0;   /* HTTP/1.0 */
    bool close;    /* the request says so, or, on HTTP/1.0, does not say keep-alive */
    bool expects;  /* waits for 100 before its body */
    bool trailers; /* in both directions */
    enum h1_framing request_framing;
    uint32_t request_size;
    enum h1_framing response_framing;
    uint32_t response_size;
    uint16_t status;
    uint64_t begun_ns;     /* the client sent its first byte */
    struct bytes request;  /* all of it */
    uint32_t request_head; /* bytes of its head */
    uint32_t tunnel_size;  /* bytes to go there and back */
    bool sent_all;         /* the client has sent the last byte of it */
    uint32_t tried;        /* heads that reached a service */
    uint32_t complete;     /* whole requests that did */
    uint32_t mood;         /* of the service at the last try */
    enum http_end end;
};

struct http_world {
    struct http_exchange *exchanges;
    uint32_t count;
    uint32_t hostile;  /* chance in 1000 of a service to misbehave, per request */
    uint32_t rude;     /* chance in 1000 of a client to misbehave, per connection */
    bool has_timeout;  /* requests end by themselves after HTTP_WORLD_TIMEOUT_MS: a service may stay
                          silent */
    bool clients_wait; /* half-closed peers get their answers (not so through every hop) */
    bool no_tunnels;   /* no exchange asks for another protocol */
    uint32_t ends[HTTP_GIVEN_UP + 1];
};

extern struct http_world http_world;

/* Draws how this run is: calm, or with misbehaving peers of one or both sorts. */
void http_world_start(void);

/* No fault of this run can spoil an exchange: all must be answered. */
bool http_world_is_calm(void);

/* After a failure: what is still open. */
void http_world_describe(void);

/* A client of `port` with some exchanges, drawn from the seed. proxy_world.busy counts it. */
void http_client_start(uint16_t port);

/* A service that answers exchanges. */
void http_service_start(uint16_t port);

/* --- shared by both ends --- */

struct http_exchange *http_exchange_new(void);
struct http_exchange *http_exchange_find(uint32_t number);
/* So long ago did it begin that the time for a whole request may be over: a large body through a
 * slow network takes longer even in a calm run. */
bool http_exchange_had_its_time(const struct http_exchange *exchange);
void http_exchange_end(struct http_exchange *exchange, enum http_end end);

enum http_direction { HTTP_REQUEST = 0, HTTP_RESPONSE = 1, HTTP_TUNNELLED = 2 };

/* Byte `at` of a body. */
uint8_t http_world_byte(uint32_t number, enum http_direction direction, uint64_t at);
void http_world_fill(uint8_t *to, size_t count, uint32_t number, enum http_direction direction,
                     uint64_t at);
/* Whether `in` is the body from position `at` on; else the run has failed. */
bool http_world_check(struct bytes in, uint32_t number, enum http_direction direction, uint64_t at);

/* Part of a body. */
struct http_part {
    uint64_t at;
    size_t count;
};

/* A message being written: grows, lives as long as the world. */
struct http_text {
    uint8_t *data;
    size_t length;
    size_t room;
};
[[gnu::format(printf, 2, 3)]] void http_text_put(struct http_text *text, const char *format, ...);
void http_text_add(struct http_text *text, struct bytes in);
/* Part of the body of an exchange, without a framing. */
void http_text_fill(struct http_text *text, const struct http_exchange *exchange,
                    enum http_direction direction, struct http_part part);
/* The body of an exchange in its framing; `upto` bytes of data of it, without an end when they are
 * not all. */
void http_text_body(struct http_text *text, const struct http_exchange *exchange,
                    enum http_direction direction, uint32_t upto);

/* Bytes that arrived and were not used. */
struct http_inbox {
    uint8_t data[HTTP_WORLD_INBOX];
    size_t length;
};
/* Reads at most `max` more; how much came. */
size_t http_inbox_fill(struct http_inbox *inbox, struct sim_peer *peer, size_t max);
void http_inbox_use(struct http_inbox *inbox, size_t count);

/* A body on its way in: what of the inbox is body is used and checked. True when it is whole. False
 * with *broken: it is malformed. */
struct http_body {
    struct h1body decoder;
    uint64_t at;
    uint8_t trailer[512];
    size_t trailer_length;
};
void http_body_start(struct http_body *body, enum h1_framing framing, uint64_t length);
bool http_body_take(struct http_body *body, struct http_inbox *inbox, uint32_t number,
                    enum http_direction direction, bool *broken);
/* Whether its trailer section is the exchange's. */
bool http_body_has_trailer(const struct http_body *body, uint32_t number,
                           enum http_direction direction);

#endif
