/* Fuzzes tls_feed() and tls_read() on both sides. The first byte chooses the side and how the rest
 * is cut:
 *
 *   bit 0      0: the rest is fed to a server; 1: to a client that has said hello
 *   bit 1      1: to a session of a real handshake, by the changes below, instead of raw
 *   bits 2-7   size of a slice, 0 = all at once
 *
 * Changes are triples (offset u16, xor u8) applied to what the two real sessions say to each other,
 * offsets counted from the last change; so the fuzzer reaches what lies behind the cryptography.
 * Whatever comes, raw bytes never open a session, and plaintext is only what the peer wrote. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "tls/tls_private.h"
#include "tls_kit.h"

static struct tls_context *server_context;
static struct tls_context *client_context;

static void make_contexts(void)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();

    server.min_version = TLS_VERSION_1_2;
    server.verify = TLS_VERIFY_REQUEST;
    server.alpn = BYTES_LITERAL("\x02h2\x08http/1.1");
    server.alpn_required = true;
    client.min_version = TLS_VERSION_1_2;
    client.alpn = BYTES_LITERAL("\x08http/1.1");
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
}

static void fuzz_raw(struct tls_kit_pair *pair, bool client, struct bytes in, size_t slice)
{
    struct tls_kit_end *end = client ? &pair->client : &pair->server;

    if (client) {
        (void)tls_start(end->session);
        tls_output_taken(end->session);
    }
    tls_kit_feed(end, in, slice);
    MUST(tls_status_of(end->session) == TLS_HANDSHAKING ||
         tls_status_of(end->session) == TLS_FAILED);
    MUST(end->plain_len == 0);
    MUST(tls_peer_id(end->session).len == 0);
}

struct changes {
    struct bytes rest;
    size_t next; /* bytes until the next change */
    bool some;
};

static void changes_advance(struct changes *changes)
{
    changes->some = changes->rest.len >= 3;
    if (changes->some) {
        changes->next = (size_t)changes->rest.ptr[0] << 8 | changes->rest.ptr[1];
    }
}

/* Moves like tls_kit_move(), changing bytes on the way; bytes moved. */
static size_t move_changed(struct tls_kit_end *from, struct tls_kit_end *to, size_t slice,
                           struct changes *changes)
{
    struct bytes out = tls_output(from->session);
    uint8_t *copy = malloc(out.len + 1);
    size_t at = 0;

    MUST(copy != NULL);
    if (out.len > 0) {
        memcpy(copy, out.ptr, out.len);
    }
    tls_output_taken(from->session);
    while (changes->some && changes->next < out.len - at) {
        at += changes->next;
        copy[at] ^= changes->rest.ptr[2];
        changes->rest = bytes_from(changes->rest, 3);
        changes_advance(changes);
    }
    if (changes->some) {
        changes->next -= out.len - at;
    }
    from->sent += out.len;
    tls_kit_feed(to, bytes_of(copy, out.len), slice);
    free(copy);
    return out.len;
}

static void run_changed(struct tls_kit_pair *pair, size_t slice, struct changes *changes)
{
    while (move_changed(&pair->client, &pair->server, slice, changes) +
               move_changed(&pair->server, &pair->client, slice, changes) >
           0) {
    }
}

static void fuzz_changed(struct tls_kit_pair *pair, struct bytes in, size_t slice)
{
    static const uint8_t text[3000] = "what the client wrote";
    struct bytes part = bytes_of(text, sizeof(text));
    struct changes changes = {.rest = in};

    changes_advance(&changes);
    (void)tls_start(pair->client.session);
    run_changed(pair, slice, &changes);
    if (tls_status_of(pair->client.session) == TLS_OPEN) {
        (void)tls_write(pair->client.session, &part, 1);
        run_changed(pair, slice, &changes);
        tls_close_write(pair->client.session);
        run_changed(pair, slice, &changes);
    }
    MUST(pair->client.plain_len == 0);
    MUST(pair->server.plain_len <= sizeof(text));
    MUST(pair->server.plain_len == 0 ||
         memcmp(pair->server.plain, text, pair->server.plain_len) == 0);
    if (tls_status_of(pair->server.session) == TLS_PEER_CLOSED) {
        MUST(pair->server.plain_len == sizeof(text)); /* no end without all that came before it */
    }
}

FUZZ_TARGET(tls_feed)
{
    struct tls_kit_pair pair;
    struct bytes rest;
    uint8_t how;

    if (in.len == 0) {
        return;
    }
    if (server_context == NULL) {
        make_contexts();
    }
    how = in.ptr[0];
    rest = bytes_from(in, 1);
    pair = tls_kit_pair(client_context, server_context, BYTES_LITERAL("web.example"), NULL);
    if ((how & 2) != 0) {
        fuzz_changed(&pair, rest, how >> 2);
    } else {
        fuzz_raw(&pair, (how & 1) != 0, rest, how >> 2);
    }
    tls_kit_pair_free(&pair);
}
