/* Plaintext through the engine: sizes, cuts, closing, and outputs of many sessions. */
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

static struct both open_version(uint16_t version)
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
    tls_kit_run(&both.pair, 0);
    CHECK(tls_kit_is_open(&both.pair));
    return both;
}

static void both_free(struct both *both)
{
    tls_kit_pair_free(&both->pair);
    tls_context_release(both->client);
    tls_context_release(both->server);
}

static uint8_t *noise(size_t len)
{
    uint8_t *data = malloc(len);

    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)cunit_random();
    }
    return data;
}

/* Writes `data` in random portions of random parts, moving it in random slices. */
static void send_all(struct tls_kit_end *from, struct tls_kit_end *to, struct bytes data)
{
    while (data.len > 0) {
        struct bytes parts[4];
        uint32_t count = 1 + cunit_random_below(4);

        for (uint32_t i = 0; i < count; i++) {
            size_t take =
                cunit_random_below(8) == 0 ? cunit_random_below(70000) : cunit_random_below(900);

            take = take < data.len ? take : data.len;
            parts[i] = bytes_part(data, 0, take);
            data = bytes_from(data, take);
        }
        CHECK_INT(tls_write(from->session, parts, count), MESH_OK);
        tls_kit_move(from, to, 1 + cunit_random_below(40000));
    }
}

static void check_big(uint16_t version)
{
    const size_t len = (3u << 20) + 17;
    struct both both = open_version(version);
    uint8_t *up = noise(len);
    uint8_t *down = noise(len);

    send_all(&both.pair.client, &both.pair.server, bytes_of(up, len));
    send_all(&both.pair.server, &both.pair.client, bytes_of(down, len));
    CHECK(bytes_equal(bytes_of(both.pair.server.plain, both.pair.server.plain_len),
                      bytes_of(up, len)));
    CHECK(bytes_equal(bytes_of(both.pair.client.plain, both.pair.client.plain_len),
                      bytes_of(down, len)));
    free(up);
    free(down);
    both_free(&both);
}

TEST(big_data_both_ways)
{
    check_big(TLS_VERSION_1_3);
    check_big(TLS_VERSION_1_2);
}

/* Bytes of ciphertext that `parts` cost, without what was there before. */
static size_t cost_of(struct tls_kit_end *end, const struct bytes *parts, uint32_t count)
{
    size_t cost;

    CHECK_INT(tls_write(end->session, parts, count), MESH_OK);
    cost = tls_output(end->session).len;
    tls_output_taken(end->session);
    return cost;
}

TEST(parts_share_records)
{
    const size_t head = 5 + 1 + 16; /* header, content type, tag */
    struct both both = open_version(TLS_VERSION_1_3);
    uint8_t *data = noise(3 * TLS_RECORD_MAX);
    struct bytes small[3] = {bytes_of(data, 100), {0}, bytes_of(data, 300)};
    struct bytes mixed[3] = {bytes_of(data, 100), bytes_of(data, 2 * TLS_RECORD_MAX),
                             bytes_of(data, 50)};
    struct bytes exact = bytes_of(data, TLS_RECORD_MAX);
    struct bytes over = bytes_of(data, TLS_RECORD_MAX + 1);

    CHECK_UINT(cost_of(&both.pair.client, small, 3), 400 + head);
    CHECK_UINT(cost_of(&both.pair.client, small, 0), 0);
    CHECK_UINT(cost_of(&both.pair.client, small + 1, 1), 0);
    CHECK_UINT(cost_of(&both.pair.client, mixed, 3), 150 + 2 * TLS_RECORD_MAX + 3 * head);
    CHECK_UINT(cost_of(&both.pair.client, &exact, 1), TLS_RECORD_MAX + head);
    CHECK_UINT(cost_of(&both.pair.client, &over, 1), TLS_RECORD_MAX + 1 + 2 * head);
    free(data);
    both_free(&both);
}

TEST(reading_in_small_portions)
{
    struct both both = open_version(TLS_VERSION_1_3);
    struct bytes text = BYTES_LITERAL("0123456789");
    uint8_t out[3];
    struct bytes in;
    size_t total = 0;
    int64_t got;

    for (int i = 0; i < 3; i++) {
        CHECK_INT(tls_write(both.pair.client.session, &text, 1), MESH_OK);
    }
    in = cunit_guarded(tls_output(both.pair.client.session));
    tls_output_taken(both.pair.client.session);
    CHECK_INT(tls_feed(both.pair.server.session, in), TLS_OPEN);
    while ((got = tls_read(both.pair.server.session, out, sizeof(out))) > 0) {
        for (int64_t i = 0; i < got; i++) {
            CHECK_INT(out[i], '0' + (int)(total++ % 10));
        }
    }
    CHECK_INT(got, 0);
    CHECK_UINT(total, 30);
    both_free(&both);
}

/* Back-pressure: the fed slice is given back half read, and more is fed before all is read. */
TEST(unread_input_can_be_kept)
{
    struct both both = open_version(TLS_VERSION_1_3);
    struct tls_session *server = both.pair.server.session;
    uint8_t *data = noise(40000);
    uint8_t *result = malloc(120000);
    struct bytes plain = bytes_of(data, 40000);
    size_t total = 0;

    for (int i = 0; i < 3; i++) {
        struct bytes out;
        uint8_t *copy;

        CHECK_INT(tls_write(both.pair.client.session, &plain, 1), MESH_OK);
        out = tls_output(both.pair.client.session);
        copy = malloc(out.len);
        memcpy(copy, out.ptr, out.len);
        tls_output_taken(both.pair.client.session);
        CHECK_INT(tls_feed(server, bytes_of(copy, out.len)), TLS_OPEN);
        total += (size_t)tls_read(server, result + total, 1000);
        tls_keep(server);
        tls_keep(server); /* twice is once */
        memset(copy, 0xee, out.len);
        free(copy);
    }
    for (;;) {
        int64_t got = tls_read(server, result + total, 120000 - total);

        if (got <= 0) {
            CHECK_INT(got, 0);
            break;
        }
        total += (size_t)got;
    }
    CHECK_UINT(total, 120000);
    for (size_t i = 0; i < 3; i++) {
        CHECK(memcmp(result + i * 40000, data, 40000) == 0);
    }
    CHECK(server->kept == NULL);
    free(result);
    free(data);
    both_free(&both);
}

TEST(unread_input_is_bounded)
{
    struct both both = open_version(TLS_VERSION_1_3);
    uint8_t *data = noise(TLS_INPUT_MAX);
    struct bytes half = bytes_of(data, TLS_INPUT_MAX / 2);

    CHECK_INT(tls_feed(both.pair.server.session, half), TLS_OPEN);
    CHECK_INT(tls_feed(both.pair.server.session, half), TLS_OPEN);
    CHECK_INT(tls_feed(both.pair.server.session, bytes_of(data, 1)), TLS_FAILED);
    CHECK_STRING(tls_error(both.pair.server.session), "input was not read");
    free(data);
    both_free(&both);
}

TEST(half_close)
{
    static const uint16_t versions[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};

    for (size_t i = 0; i < 2; i++) {
        struct both both = open_version(versions[i]);
        struct tls_kit_pair *pair = &both.pair;
        struct bytes text = BYTES_LITERAL("after the end of the other side");

        cunit_context("version %x", versions[i]);
        tls_close_write(pair->client.session);
        tls_close_write(pair->client.session);
        tls_kit_run(pair, 0);
        CHECK_INT(tls_status_of(pair->server.session), TLS_PEER_CLOSED);
        CHECK_INT(tls_status_of(pair->client.session), TLS_OPEN);
        CHECK_INT(tls_write(pair->client.session, &text, 1), MESH_E_TLS);
        CHECK_INT(tls_write(pair->server.session, &text, 1), MESH_OK);
        tls_kit_run(pair, 1);
        CHECK_BYTES(bytes_of(pair->client.plain, pair->client.plain_len), text);
        tls_close_write(pair->server.session);
        tls_kit_run(pair, 0);
        CHECK_INT(tls_status_of(pair->client.session), TLS_PEER_CLOSED);
        CHECK_STRING(tls_error(pair->client.session), "no error");
        both_free(&both);
    }
}

/* The end of the connection without close_notify: whoever cuts it cannot forge one, so the caller
 * sees the end of the stream while the session is still open. */
TEST(truncation_is_not_an_end)
{
    struct both both = open_version(TLS_VERSION_1_3);
    struct bytes text = BYTES_LITERAL("pay 100");
    struct bytes out;

    CHECK_INT(tls_write(both.pair.client.session, &text, 1), MESH_OK);
    tls_close_write(both.pair.client.session);
    out = tls_output(both.pair.client.session);
    CHECK_UINT(out.len, 7 + 22 + 2 + 22);
    tls_kit_feed(&both.pair.server, bytes_part(out, 0, out.len - 1), 0); /* close_notify is cut */
    CHECK_BYTES(bytes_of(both.pair.server.plain, both.pair.server.plain_len), text);
    CHECK_INT(tls_status_of(both.pair.server.session), TLS_OPEN);
    tls_kit_feed(&both.pair.server, bytes_from(out, out.len - 1), 0);
    CHECK_INT(tls_status_of(both.pair.server.session), TLS_PEER_CLOSED);
    both_free(&both);
}

TEST(changed_ciphertext_is_refused)
{
    struct both both = open_version(TLS_VERSION_1_3);
    struct bytes text = BYTES_LITERAL("good");
    struct bytes out;
    uint8_t *copy;
    uint8_t plain[16];

    CHECK_INT(tls_write(both.pair.client.session, &text, 1), MESH_OK);
    CHECK_INT(tls_write(both.pair.client.session, &text, 1), MESH_OK);
    out = tls_output(both.pair.client.session);
    copy = malloc(out.len);
    memcpy(copy, out.ptr, out.len);
    copy[out.len - 1] ^= 1;
    CHECK_INT(tls_feed(both.pair.server.session, bytes_of(copy, out.len)), TLS_OPEN);
    CHECK_INT(tls_read(both.pair.server.session, plain, sizeof(plain)), 4);
    CHECK_INT(tls_status_of(both.pair.server.session), TLS_FAILED);
    CHECK_INT(tls_read(both.pair.server.session, plain, sizeof(plain)), MESH_E_TLS);
    CHECK_STRING(tls_error(both.pair.server.session), "decryption failed or bad record mac");
    CHECK_INT(tls_write(both.pair.server.session, &text, 1), MESH_E_TLS);
    CHECK_TEXT(tls_peer_id(both.pair.server.session), "spiffe://td.example/ns/default/dc/dc1/svc/"
                                                      "api");
    free(copy);
    tls_output_taken(both.pair.client.session);
    tls_kit_move(&both.pair.server, &both.pair.client, 0);
    CHECK_STRING(tls_error(both.pair.client.session), "peer sent alert: bad record mac");
    both_free(&both);
}

TEST(outputs_of_many_sessions_do_not_mix)
{
    struct both a = open_version(TLS_VERSION_1_3);
    struct both b = open_version(TLS_VERSION_1_3);
    struct bytes one = BYTES_LITERAL("one");
    struct bytes two = BYTES_LITERAL("two");

    for (int i = 0; i < 5; i++) {
        CHECK_INT(tls_write(a.pair.client.session, &one, 1), MESH_OK);
        CHECK_INT(tls_write(b.pair.client.session, &two, 1), MESH_OK);
        CHECK_INT(tls_write(a.pair.server.session, &two, 1), MESH_OK);
    }
    CHECK_UINT(tls_output(a.pair.client.session).len, 5 * 25);
    CHECK_UINT(tls_output(b.pair.client.session).len, 5 * 25);
    CHECK_UINT(tls_output(b.pair.server.session).len, 0);
    tls_kit_run(&a.pair, 0);
    tls_kit_run(&b.pair, 7);
    CHECK_TEXT(bytes_of(a.pair.server.plain, a.pair.server.plain_len), "oneoneoneoneone");
    CHECK_TEXT(bytes_of(b.pair.server.plain, b.pair.server.plain_len), "twotwotwotwotwo");
    CHECK_TEXT(bytes_of(a.pair.client.plain, a.pair.client.plain_len), "twotwotwotwotwo");
    CHECK_INT(tls_write(a.pair.client.session, &one, 1), MESH_OK);
    CHECK_INT(tls_write(b.pair.client.session, &one, 1), MESH_OK);
    tls_output_taken(a.pair.client.session); /* from its own buffer */
    CHECK_UINT(tls_output(a.pair.client.session).len, 0);
    CHECK_INT(tls_write(a.pair.client.session, &one, 1), MESH_OK);
    both_free(&a); /* with output waiting in the scratch, and in a buffer of its own */
    both_free(&b);
}

TEST(output_not_taken_is_bounded)
{
    struct both both = open_version(TLS_VERSION_1_3);
    uint8_t *data = noise(TLS_OUTPUT_MAX / 2);
    struct bytes half = bytes_of(data, TLS_OUTPUT_MAX / 2);

    CHECK_INT(tls_write(both.pair.client.session, &half, 1), MESH_OK);
    CHECK_INT(tls_write(both.pair.client.session, &half, 1), MESH_E_TLS);
    CHECK_STRING(tls_error(both.pair.client.session), "output was not taken");
    CHECK_INT(tls_status_of(both.pair.client.session), TLS_FAILED);
    free(data);
    both_free(&both);
}

TEST(nothing_is_written_before_the_handshake)
{
    struct tls_options options = tls_kit_client_options();
    struct tls_context *context = tls_kit_context(&options);
    struct tls_session *client =
        tls_session_create(context, (struct bytes){0}, (struct bytes){0}, NULL);
    struct bytes text = BYTES_LITERAL("early");
    uint8_t out[8];

    CHECK_INT(tls_write(client, &text, 1), MESH_E_TLS);
    tls_close_write(client);
    CHECK_UINT(tls_output(client).len, 0);
    CHECK_INT(tls_start(client), TLS_HANDSHAKING);
    CHECK(tls_output(client).len > 100);
    CHECK_INT(tls_write(client, &text, 1), MESH_E_TLS);
    CHECK_INT(tls_read(client, out, sizeof(out)), 0);
    tls_idle(client);
    tls_session_destroy(client);
    tls_session_destroy(NULL);
    tls_context_release(context);
}

TEST(sending_key_is_renewed)
{
    struct both both = open_version(TLS_VERSION_1_3);
    struct bytes text = BYTES_LITERAL("0123456789");

    tls_rekey_after = 4;
    for (int i = 0; i < 9; i++) {
        CHECK_INT(tls_write(both.pair.server.session, &text, 1), MESH_OK);
    }
    tls_rekey_after = 1u << 24;
    /* Two updates went along: a handshake record of 5 bytes each. */
    CHECK_UINT(tls_output(both.pair.server.session).len, 9 * (10 + 22) + 2 * (5 + 22));
    tls_kit_run(&both.pair, 0);
    CHECK_UINT(both.pair.client.plain_len, 90);
    CHECK_INT(tls_status_of(both.pair.client.session), TLS_OPEN);
    both_free(&both);
}

TEST(idle_sessions_go_on)
{
    struct both both = open_version(TLS_VERSION_1_3);
    struct bytes text = BYTES_LITERAL("x");

    for (int i = 0; i < 3; i++) {
        tls_idle(both.pair.client.session);
        tls_idle(both.pair.server.session);
        CHECK_INT(tls_write(both.pair.client.session, &text, 1), MESH_OK);
        tls_kit_run(&both.pair, i == 1 ? 1 : 0);
    }
    CHECK_TEXT(bytes_of(both.pair.server.plain, both.pair.server.plain_len), "xxx");
    both_free(&both);
}
