/* TLS at the front door of a proxy under test: listeners with certificates, and clients that speak
 * it, in the same thread as the proxy. */
#ifndef PROXY_TLS_KIT_H
#define PROXY_TLS_KIT_H

#include "proxy_kit.h"
#include "tls_kit.h"

#define PROXY_TLS_KIT_SECRET 77u

/* A TLS record of a server with the certificate of tls_kit_world(), which anybody may use. */
uint32_t proxy_tls_kit_server(struct proxy_kit *kit);
/* The secrets of the next generation: that certificate, and ticket keys all of whose bytes are
 * `mark`; 0: no ticket keys. */
void proxy_tls_kit_secrets(struct proxy_kit *kit, uint8_t mark);

struct proxy_tls_client {
    int fd;
    struct tls_context *context;
    struct tls_session *session;
    uint8_t plain[4096];
    size_t plain_len;
    bool ended; /* the stream is */
};

/* A connection to listener `number` that asks for `name`; with the ticket of `earlier`, which is
 * used up, unless that is NULL. Nothing is sent yet. */
struct proxy_tls_client *proxy_tls_kit_connect(struct proxy_kit *kit, uint32_t number,
                                               const char *name, struct proxy_tls_client *earlier);
/* Takes what has arrived and sends what there is to say, without running the proxy: one step. */
void proxy_tls_kit_step(struct proxy_tls_client *client);
/* Runs the proxy until the handshake is over: whether it went well. */
bool proxy_tls_kit_open(struct proxy_kit *kit, struct proxy_tls_client *client);
void proxy_tls_kit_send(struct proxy_tls_client *client, const char *text);
/* Runs the proxy until `text` has come. */
bool proxy_tls_kit_until(struct proxy_kit *kit, struct proxy_tls_client *client, const char *text);
void proxy_tls_kit_free(struct proxy_tls_client *client);

#endif
