/* Resumption: when it happens, what is known afterwards, and where it must not happen. */
#include "cunit.h"

#include "base/err.h"
#include "tls/tls_private.h"
#include "tls_kit.h"

#define API_ID "spiffe://td.example/ns/default/dc/dc1/svc/api"
#define NAME   BYTES_LITERAL("web.example")

static const struct tls_ticket_key key_a = {"key-a", {1, 2}, {3, 4}};
static const struct tls_ticket_key key_b = {"key-b", {5, 6}, {7, 8}};

struct side { /* two contexts, as two workers and a client have them */
    struct tls_context *client;
    struct tls_context *server;
};

static struct side sides_of(struct tls_options *client, struct tls_options *server)
{
    return (struct side){tls_kit_context(client), tls_kit_context(server)};
}

static void sides_free(struct side *side)
{
    tls_context_release(side->client);
    tls_context_release(side->server);
}

/* A full handshake; the ticket it brought. */
static struct tls_resume *first_contact(const struct side *side, struct bytes name)
{
    struct tls_kit_pair pair = tls_kit_pair(side->client, side->server, name, NULL);
    struct tls_resume *resume;

    tls_kit_run(&pair, 0);
    CHECK(tls_kit_is_open(&pair));
    CHECK(!tls_resumed(pair.server.session));
    resume = tls_take_resume(pair.client.session);
    CHECK(tls_take_resume(pair.client.session) == NULL);
    tls_kit_pair_free(&pair);
    return resume;
}

/* 1 when the second contact resumed, 0 when it made a full handshake; both must be open. */
static int second_contact(const struct side *side, struct bytes name, struct tls_resume *resume)
{
    struct tls_kit_pair pair = tls_kit_pair(side->client, side->server, name, resume);
    bool resumed;

    tls_kit_run(&pair, 0);
    CHECK(tls_kit_is_open(&pair));
    CHECK_STRING(tls_error(pair.client.session), "no error");
    resumed = tls_resumed(pair.client.session);
    CHECK_INT(resumed, tls_resumed(pair.server.session));
    tls_kit_pair_free(&pair);
    return resumed;
}

static void check_identities(uint16_t version)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct side side;
    struct tls_resume *resume;

    server.min_version = TLS_VERSION_1_2;
    client.min_version = version;
    client.max_version = version;
    side = sides_of(&client, &server);
    resume = first_contact(&side, NAME);
    for (int i = 0; i < 4 && CHECK(resume != NULL); i++) {
        struct tls_kit_pair pair = tls_kit_pair(side.client, side.server, NAME, resume);

        tls_kit_run(&pair, i == 0 ? 1 : 0);
        cunit_context("version %x, resumption %d", version, i);
        CHECK(tls_kit_is_open(&pair));
        CHECK(tls_resumed(pair.client.session));
        CHECK(tls_resumed(pair.server.session));
        CHECK_TEXT(tls_peer_id(pair.client.session), TLS_KIT_ID);
        CHECK_TEXT(tls_peer_id(pair.server.session), API_ID);
        CHECK(tls_peer_serial(pair.server.session).len > 0);
        CHECK_TEXT(tls_server_name(pair.server.session), "web.example");
        if (version == TLS_VERSION_1_3) { /* each connection brings the ticket for the next */
            tls_resume_free(resume);
            resume = tls_take_resume(pair.client.session);
        }
        tls_kit_pair_free(&pair);
    }
    tls_resume_free(resume);
    sides_free(&side);
}

TEST(resumed_sessions_know_their_peers)
{
    check_identities(TLS_VERSION_1_3);
    check_identities(TLS_VERSION_1_2);
}

TEST(one_ticket_serves_several_connections)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct side side = sides_of(&client, &server);
    struct tls_resume *resume = first_contact(&side, NAME);

    for (int i = 0; i < 3; i++) {
        CHECK_INT(second_contact(&side, NAME, resume), 1);
    }
    tls_resume_free(resume);
    sides_free(&side);
}

TEST(another_worker_opens_the_ticket)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct side side = sides_of(&client, &server);
    struct tls_resume *resume = first_contact(&side, NAME);

    tls_context_release(side.server);
    side.server = tls_kit_context(&server);
    CHECK_INT(second_contact(&side, NAME, resume), 1);
    tls_resume_free(resume);
    sides_free(&side);
}

TEST(keys_rotate)
{
    const struct tls_ticket_key both[] = {key_b, key_a};
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_resume *old;
    struct tls_resume *renewed;
    struct tls_kit_pair pair;
    struct side side;

    server.ticket_keys = &key_a;
    side = sides_of(&client, &server);
    old = first_contact(&side, NAME);
    tls_context_set_tickets(side.server, both, 2);
    pair = tls_kit_pair(side.client, side.server, NAME, old);
    tls_kit_run(&pair, 0);
    CHECK(tls_resumed(pair.server.session));
    renewed = tls_take_resume(pair.client.session);
    tls_kit_pair_free(&pair);
    tls_context_set_tickets(side.server, &key_b, 1);
    CHECK_INT(second_contact(&side, NAME, old), 0); /* its key is gone */
    CHECK_INT(second_contact(&side, NAME, renewed), 1);
    tls_context_set_tickets(side.server, NULL, 0);
    CHECK_INT(second_contact(&side, NAME, renewed), 0);
    CHECK(first_contact(&side, NAME) == NULL); /* without keys there are no tickets */
    tls_resume_free(old);
    tls_resume_free(renewed);
    sides_free(&side);
}

/* Keys may go away between hello and ticket: the handshake goes on without one. */
TEST(keys_vanish_during_a_handshake)
{
    static const uint16_t versions[] = {TLS_VERSION_1_2, TLS_VERSION_1_3};

    for (size_t i = 0; i < 2; i++) {
        struct tls_options server = tls_kit_server_options();
        struct tls_options client = tls_kit_client_options();
        struct tls_kit_pair pair;
        struct side side;

        server.min_version = versions[i];
        client.min_version = versions[i];
        client.max_version = versions[i];
        side = sides_of(&client, &server);
        pair = tls_kit_pair(side.client, side.server, NAME, NULL);
        (void)tls_start(pair.client.session);
        tls_kit_move(&pair.client, &pair.server, 0);
        tls_context_set_tickets(side.server, NULL, 0);
        tls_kit_run(&pair, 0);
        cunit_context("version %x: %s", versions[i], tls_error(pair.server.session));
        CHECK(tls_kit_is_open(&pair));
        CHECK(tls_take_resume(pair.client.session) == NULL);
        tls_kit_pair_free(&pair);
        sides_free(&side);
    }
}

/* Tickets of `from` shown to `to` must lead to a full handshake. */
static void check_not_across(const char *what, struct tls_options *from, struct tls_options *to)
{
    struct tls_options client = tls_kit_client_options();
    struct side side = sides_of(&client, from);
    struct tls_resume *resume = first_contact(&side, NAME);

    cunit_context("%s", what);
    CHECK(resume != NULL);
    CHECK_INT(second_contact(&side, NAME, resume), 1);
    tls_context_release(side.server);
    side.server = tls_kit_context(to);
    CHECK_INT(second_contact(&side, NAME, resume), 0);
    tls_resume_free(resume);
    sides_free(&side);
}

TEST(tickets_are_void_elsewhere)
{
    struct tls_options from = tls_kit_server_options();
    struct tls_options to = tls_kit_server_options();
    struct tls_kit_spec spec = {.name = "second ca", .ca = true};
    struct tls_kit_cert second = tls_kit_issue(&spec);
    const struct tls_kit_cert *both[] = {&tls_kit_world()->ca, &second};
    struct bytes bundle = tls_kit_join(both, 2);

    to.session_context = BYTES_LITERAL("listener-2");
    check_not_across("another listener", &from, &to);
    to = tls_kit_server_options();
    to.verify = TLS_VERIFY_REQUEST;
    check_not_across("stricter to laxer", &from, &to);
    from.verify = TLS_VERIFY_NONE;
    check_not_across("not verified to verified", &from, &to);
    from = tls_kit_server_options();
    to = tls_kit_server_options();
    to.trust = bundle;
    check_not_across("another bundle", &from, &to);
    to = tls_kit_server_options();
    to.ticket_keys = &key_b;
    check_not_across("other keys", &from, &to);
    to = tls_kit_server_options();
    to.session_lifetime_s = 0;
    check_not_across("no resumption", &from, &to);
    tls_kit_join_free(bundle);
    tls_kit_free(&second);
}

/* The client itself never shows a ticket where its server was not the same one; a client that does
 * is another program, so here the ticket's own note is changed to get past our check. */
TEST(tickets_are_void_for_another_name)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct bytes other = BYTES_LITERAL("b.wild.example");
    struct side side = sides_of(&client, &server);
    struct tls_resume *resume = first_contact(&side, BYTES_LITERAL("a.wild.example"));

    CHECK_INT(second_contact(&side, other, resume), 0);
    OPENSSL_free(resume->name);
    resume->name = OPENSSL_memdup(other.ptr, other.len);
    resume->name_len = (uint8_t)other.len;
    CHECK_INT(second_contact(&side, other, resume), 0);
    tls_resume_free(resume);
    sides_free(&side);
}

TEST(client_resumes_only_for_the_expected_id)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct side side = sides_of(&client, &server);
    struct tls_resume *resume = first_contact(&side, (struct bytes){0});
    struct tls_session *session;
    struct tls_kit_pair pair = tls_kit_pair(side.client, side.server, (struct bytes){0}, NULL);

    for (int same = 0; same < 2; same++) {
        tls_kit_pair_free(&pair);
        session =
            tls_session_create(side.client, (struct bytes){0},
                               same ? BYTES_LITERAL(TLS_KIT_ID) : BYTES_LITERAL(API_ID), resume);
        pair.client = (struct tls_kit_end){.session = session};
        pair.server.session =
            tls_session_create(side.server, (struct bytes){0}, (struct bytes){0}, NULL);
        tls_kit_run(&pair, 0);
        cunit_context("same %d", same);
        CHECK_INT(tls_kit_is_open(&pair), same);
        CHECK_INT(tls_resumed(session), same);
        CHECK_STRING(tls_error(session), same ? "no error" : "peer has another identity");
    }
    tls_kit_pair_free(&pair);
    tls_resume_free(resume);
    sides_free(&side);
}

TEST(another_client_identity_does_not_resume)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_certificate use = tls_kit_use(&tls_kit_world()->server);
    struct side side = sides_of(&client, &server);
    struct tls_resume *resume = first_contact(&side, NAME);

    client.certificates = &use;
    tls_context_release(side.client);
    side.client = tls_kit_context(&client);
    CHECK_INT(second_contact(&side, NAME, resume), 0);
    client = tls_kit_client_options();
    client.session_lifetime_s = 0;
    tls_context_release(side.client);
    side.client = tls_kit_context(&client);
    CHECK_INT(second_contact(&side, NAME, resume), 0);
    CHECK(first_contact(&side, NAME) == NULL);
    tls_resume_free(resume);
    sides_free(&side);
}

/* Ends of certificates bind both sides: a ticket of a leaf that ends in 600 s says so, and what is
 * remembered past the end is not used. */
TEST(tickets_end_with_the_certificates)
{
    struct tls_kit_spec spec = {.name = "api",
                                .issuer = &tls_kit_world()->ca,
                                .san = "URI:" API_ID,
                                .from_s = -60,
                                .to_s = 600};
    struct tls_kit_cert brief = tls_kit_issue(&spec);
    struct tls_certificate use = tls_kit_use(&brief);
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_resume *resume;
    unsigned long hint;
    struct side side;

    client.certificates = &use;
    side = sides_of(&client, &server);
    resume = first_contact(&side, NAME);
    hint = SSL_SESSION_get_ticket_lifetime_hint(resume->session);
    CHECK(hint > 590);
    CHECK(hint <= 600);
    CHECK(tls_tickets_remaining(resume->expires_at) > 3500); /* the server's leaf lives a day */
    CHECK_INT(second_contact(&side, NAME, resume), 1);
    resume->expires_at -= 3600;
    CHECK_INT(second_contact(&side, NAME, resume), 0);
    tls_resume_free(resume);
    sides_free(&side);
    tls_kit_free(&brief);
}

TEST(a_failed_connection_does_not_spoil_the_ticket)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct side side = sides_of(&client, &server);
    struct tls_resume *resume = first_contact(&side, NAME);
    struct tls_kit_pair pair = tls_kit_pair(side.client, side.server, NAME, resume);

    (void)tls_start(pair.client.session); /* the hello is never answered */
    tls_kit_pair_free(&pair);
    CHECK_INT(second_contact(&side, NAME, resume), 1);
    tls_resume_free(resume);
    sides_free(&side);
}
