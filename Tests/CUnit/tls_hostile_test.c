/* Peers that mean no good, or speak something else. */
#include "cunit.h"

#include <stdlib.h>

#include "base/err.h"
#include "tls/tls_private.h"
#include "tls_kit.h"

struct both {
    struct tls_context *client;
    struct tls_context *server;
    struct tls_kit_pair pair;
};

static struct both create(uint16_t version)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct both both;

    server.min_version = version;
    client.min_version = version;
    client.max_version = version;
    both.server = tls_kit_context(&server);
    both.client = tls_kit_context(&client);
    both.pair = tls_kit_pair(both.client, both.server, BYTES_LITERAL("web.example"), NULL);
    return both;
}

static void both_free(struct both *both)
{
    tls_kit_pair_free(&both->pair);
    tls_context_release(both->client);
    tls_context_release(both->server);
}

static void check_first_bytes(struct bytes in, size_t slice, const char *says)
{
    struct both both = create(TLS_VERSION_1_3);

    tls_kit_feed(&both.pair.server, in, slice);
    cunit_context("%.*s in slices of %zu", (int)in.len, (const char *)in.ptr, slice);
    CHECK_INT(tls_status_of(both.pair.server.session), TLS_FAILED);
    CHECK_STRING(tls_error(both.pair.server.session), says);
    both_free(&both);
}

TEST(plaintext_on_a_tls_port_is_told)
{
    static const char *const requests[] = {
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /form HTTP/1.1\r\n", "HEAD / HTTP/1.0\r\n\r\n",
        "DELETE /a/b HTTP/1.1\r\n",          "OPTIONS * HTTP/1.1\r\n",  "PROPFIND / HTTP/1.1\r\n",
        "CONNECT a:443 HTTP/1.1\r\n",        "PRI * HTTP/2.0\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        check_first_bytes(cunit_text(requests[i]), 0, "http request");
        check_first_bytes(cunit_text(requests[i]), 8, "http request");
    }
    check_first_bytes(BYTES_LITERAL("SSH-2.0-OpenSSH_9.2\r\n"), 0, "wrong version number");
    check_first_bytes(BYTES_LITERAL("\0\0\0\0\0\0\0\0\0\0\0"), 0, "wrong version number");
}

TEST(plaintext_answer_is_told)
{
    struct both both = create(TLS_VERSION_1_3);

    (void)tls_start(both.pair.client.session);
    tls_kit_feed(&both.pair.client, BYTES_LITERAL("HTTP/1.1 400 Bad Request\r\n\r\n"), 0);
    CHECK_INT(tls_status_of(both.pair.client.session), TLS_FAILED);
    CHECK_STRING(tls_error(both.pair.client.session), "http response");
    both_free(&both);
}

/* Noise of any shape ends a handshake or waits for more; it never opens one. */
TEST(garbage_never_opens)
{
    struct both shared = create(TLS_VERSION_1_2);

    for (int round = 0; round < 400; round++) {
        struct tls_kit_pair pair =
            tls_kit_pair(shared.client, shared.server, (struct bytes){0}, NULL);
        struct tls_kit_end *end = round % 2 ? &pair.client : &pair.server;
        size_t len = 1 + cunit_random_below(3000);
        uint8_t *data = malloc(len);

        for (size_t i = 0; i < len; i++) {
            data[i] = (uint8_t)cunit_random();
        }
        if (round % 4 >= 2 && len > 10) { /* a plausible record header */
            memcpy(data, "\x16\x03\x01", 3);
            data[3] = (uint8_t)((len - 5) >> 8);
            data[4] = (uint8_t)(len - 5);
            data[5] = round % 2 ? 2 : 1;
            data[6] = 0;
            data[7] = (uint8_t)((len - 9) >> 8);
            data[8] = (uint8_t)(len - 9);
        }
        if (round % 2) {
            (void)tls_start(pair.client.session);
        }
        tls_kit_feed(end, bytes_of(data, len), round % 3 == 0 ? 7 : 0);
        CHECK(tls_status_of(end->session) == TLS_FAILED ||
              tls_status_of(end->session) == TLS_HANDSHAKING);
        free(data);
        tls_kit_pair_free(&pair);
    }
    both_free(&shared);
}

/* Every byte of the server's first flight changed once: the client never gets through with it. One
 * byte does not count, the lower half of legacy_record_version (RFC 8446 5.1). */
TEST(changed_handshakes_fail)
{
    struct both shared = create(TLS_VERSION_1_3);

    for (size_t at = 0; at < 900; at += at < 100 ? 1 : 13) {
        struct tls_kit_pair pair =
            tls_kit_pair(shared.client, shared.server, BYTES_LITERAL("web.example"), NULL);
        struct bytes out;
        uint8_t *copy;

        (void)tls_start(pair.client.session);
        tls_kit_move(&pair.client, &pair.server, 0);
        out = tls_output(pair.server.session);
        copy = malloc(out.len);
        memcpy(copy, out.ptr, out.len);
        if (CHECK(at < out.len)) {
            copy[at] ^= 0x20;
        }
        tls_output_taken(pair.server.session);
        tls_kit_feed(&pair.client, bytes_of(copy, out.len), 0);
        tls_kit_run(&pair, 0);
        cunit_context("byte %zu", at);
        CHECK_INT(tls_kit_is_open(&pair), at == 2);
        free(copy);
        tls_kit_pair_free(&pair);
    }
    both_free(&shared);
}

TEST(long_handshakes_are_cut)
{
    static const uint8_t record[5] = {0x16, 0x03, 0x01, 0x40, 0x00};
    struct both both = create(TLS_VERSION_1_3);
    uint8_t *data = calloc(1, 5 + TLS_RECORD_MAX);
    size_t fed = 0;

    memcpy(data, record, sizeof(record));
    data[5] = 1; /* a hello of 2 MiB - 1 */
    data[6] = 0x1f;
    data[7] = data[8] = 0xff;
    while (tls_status_of(both.pair.server.session) == TLS_HANDSHAKING && fed < 1u << 20) {
        tls_kit_feed(&both.pair.server, bytes_of(data, 5 + TLS_RECORD_MAX), 0);
        fed += 5 + TLS_RECORD_MAX;
    }
    CHECK_INT(tls_status_of(both.pair.server.session), TLS_FAILED);
    CHECK(fed <= TLS_HANDSHAKE_MAX + 5 + TLS_RECORD_MAX);
    free(data);
    both_free(&both);
}

TEST(renegotiation_is_refused)
{
    struct both both = create(TLS_VERSION_1_2);
    SSL *client = both.pair.client.session->ssl;
    struct bytes text = BYTES_LITERAL("still here");

    tls_kit_run(&both.pair, 0);
    CHECK(tls_kit_is_open(&both.pair));
    SSL_clear_options(client, SSL_OP_NO_RENEGOTIATION);
    tls_bio_enter(both.pair.client.session);
    CHECK_INT(SSL_renegotiate(client), 1);
    CHECK_INT(SSL_do_handshake(client), -1);
    CHECK(tls_output(both.pair.client.session).len > 100); /* a second hello */
    tls_kit_move(&both.pair.client, &both.pair.server, 0);
    /* The server says no_renegotiation and goes on as if nothing had been. */
    CHECK_INT(tls_status_of(both.pair.server.session), TLS_OPEN);
    CHECK_UINT(tls_output(both.pair.server.session).len, 5 + 8 + 2 + 16);
    CHECK_UINT(both.pair.server.session->afterwards, 1);
    CHECK_INT(tls_write(both.pair.server.session, &text, 1), MESH_OK);
    tls_kit_move(&both.pair.server, &both.pair.client, 0);
    CHECK_STRING(tls_error(both.pair.client.session), "no renegotiation");
    both_free(&both);
}

static uint32_t update_keys(struct both *both, uint32_t count)
{
    struct tls_session *client = both->pair.client.session;
    uint32_t done = 0;

    while (done < count && tls_status_of(both->pair.server.session) == TLS_OPEN) {
        tls_bio_enter(client);
        MUST(SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED) == 1);
        MUST(SSL_do_handshake(client->ssl) == 1);
        tls_kit_run(&both->pair, 0);
        done++;
    }
    return done;
}

TEST(key_updates_must_be_paid_for)
{
    struct both both = create(TLS_VERSION_1_3);
    uint8_t *data = calloc(1, 4 * TLS_AFTERWARDS_CREDIT);
    struct bytes credit = bytes_of(data, 4 * TLS_AFTERWARDS_CREDIT);
    uint32_t before;

    tls_kit_run(&both.pair, 0);
    for (int i = 0; i < 60; i++) { /* few among much data: any number of them */
        CHECK_UINT(update_keys(&both, 1), 1);
        CHECK_INT(tls_write(both.pair.client.session, &credit, 1), MESH_OK);
        tls_kit_run(&both.pair, 0);
    }
    CHECK(tls_kit_is_open(&both.pair));
    before = both.pair.server.session->afterwards;
    CHECK(before < 4);
    CHECK_UINT(update_keys(&both, 1000), TLS_AFTERWARDS_MAX - before);
    CHECK_INT(tls_status_of(both.pair.server.session), TLS_FAILED);
    CHECK_STRING(tls_error(both.pair.server.session), "too many handshake messages");
    free(data);
    both_free(&both);
}
