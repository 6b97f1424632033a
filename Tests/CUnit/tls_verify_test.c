/* Whom a session believes: chains, purposes, dates, names and SPIFFE ids. */
#include "cunit.h"

#include <stdlib.h>

#include "base/err.h"
#include "tls/tls_private.h"
#include "tls_kit.h"

#define API_ID "spiffe://td.example/ns/default/dc/dc1/svc/api"

/* A client that shows `leaf` (with `chain` behind it) to a mutual-TLS server. */
static struct tls_kit_pair show_to_server(const struct tls_kit_cert *leaf, struct bytes chain,
                                          struct bytes trust)
{
    struct tls_certificate use = {.chain = chain.len > 0 ? chain : leaf->der, .key = leaf->key_der};
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls_kit_pair pair;

    client.certificates = &use;
    if (trust.len > 0) {
        server.trust = trust;
    }
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
    pair = tls_kit_pair(client_context, server_context, (struct bytes){0}, NULL);
    tls_kit_run(&pair, 0);
    tls_context_release(client_context);
    tls_context_release(server_context);
    return pair;
}

struct bad_leaf {
    struct tls_kit_spec spec;
    const char *server_says;
    const char *client_says;
};

TEST(server_refuses_bad_client_certificates)
{
    static const char two[] = "URI:" API_ID ",URI:spiffe://td.example/other";
    static const uint8_t nul[] = "spiffe://td.example/a\0b";
    const struct tls_kit_cert *ca = &tls_kit_world()->ca;
    struct tls_kit_spec foreign_ca = {.name = "mesh ca", .ca = true};
    struct tls_kit_cert foreign = tls_kit_issue(&foreign_ca);
    const struct bad_leaf bad[] = {
        {{.name = "wrong ca", .issuer = &foreign, .san = "URI:" API_ID},
         "unable to get local issuer certificate",
         "peer sent alert: unknown ca"},
        {{.name = "expired", .issuer = ca, .san = "URI:" API_ID, .from_s = -7200, .to_s = -1},
         "certificate has expired",
         "peer sent alert: certificate expired"},
        {{.name = "early", .issuer = ca, .san = "URI:" API_ID, .from_s = 600, .to_s = 7200},
         "certificate is not yet valid",
         "peer sent alert: bad certificate"},
        {{.name = "purpose", .issuer = ca, .san = "URI:" API_ID, .extended = "serverAuth"},
         "unsuitable certificate purpose",
         "peer sent alert: unsupported certificate"},
        {{.name = "usage", .issuer = ca, .san = "URI:" API_ID, .usage = "keyEncipherment"},
         "unsuitable certificate purpose",
         "peer sent alert: unsupported certificate"},
        {{.name = "two uris", .issuer = ca, .san = two},
         "malformed SPIFFE id",
         "peer sent alert: bad certificate"},
        {{.name = "second scheme", .issuer = ca, .san = "URI:https://x/,URI:" API_ID},
         "malformed SPIFFE id",
         "peer sent alert: bad certificate"},
        {{.name = "nul", .issuer = ca, .uri = {nul, sizeof(nul) - 1}},
         "malformed SPIFFE id",
         "peer sent alert: bad certificate"},
        {{.name = "wildcard", .issuer = ca, .san = "URI:spiffe://td.example/svc/*"},
         "malformed SPIFFE id",
         "peer sent alert: bad certificate"},
        {{.name = "case", .issuer = ca, .san = "URI:SPIFFE://td.example/svc/api"},
         "malformed SPIFFE id",
         "peer sent alert: bad certificate"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct tls_kit_cert leaf = tls_kit_issue(&bad[i].spec);
        struct tls_kit_pair pair = show_to_server(&leaf, (struct bytes){0}, (struct bytes){0});

        cunit_context("%s", bad[i].spec.name);
        CHECK_INT(tls_status_of(pair.server.session), TLS_FAILED);
        CHECK_STRING(tls_error(pair.server.session), bad[i].server_says);
        CHECK_UINT(tls_peer_id(pair.server.session).len, 0);
        CHECK_UINT(tls_peer_serial(pair.server.session).len, 0);
        CHECK_INT(tls_status_of(pair.client.session), TLS_FAILED);
        CHECK_STRING(tls_error(pair.client.session), bad[i].client_says);
        tls_kit_pair_free(&pair);
        tls_kit_free(&leaf);
    }
    tls_kit_free(&foreign);
}

TEST(certificate_without_spiffe_uri_is_verified_but_has_no_id)
{
    static const char *const sans[] = {NULL, "DNS:host.example", "URI:https://a/,URI:https://b/"};

    for (size_t i = 0; i < 3; i++) {
        struct tls_kit_spec spec = {
            .name = "plain", .issuer = &tls_kit_world()->ca, .san = sans[i]};
        struct tls_kit_cert leaf = tls_kit_issue(&spec);
        struct tls_kit_pair pair = show_to_server(&leaf, (struct bytes){0}, (struct bytes){0});

        cunit_context("%s", sans[i] == NULL ? "no names" : sans[i]);
        CHECK(tls_kit_is_open(&pair));
        CHECK_UINT(tls_peer_id(pair.server.session).len, 0);
        CHECK(tls_peer_serial(pair.server.session).len > 0);
        tls_kit_pair_free(&pair);
        tls_kit_free(&leaf);
    }
}

TEST(required_certificate_must_be_given)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context = tls_kit_context(&server);
    struct tls_context *client_context;
    struct tls_kit_pair pair;

    client.certificate_count = 0;
    client_context = tls_kit_context(&client);
    pair = tls_kit_pair(client_context, server_context, (struct bytes){0}, NULL);
    tls_kit_run(&pair, 0);
    CHECK_STRING(tls_error(pair.server.session), "peer did not return a certificate");
    CHECK_STRING(tls_error(pair.client.session), "peer sent alert: certificate required");
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
}

/* `depth` intermediates between the mesh's root and a client leaf. */
static void check_depth(uint32_t depth, bool accepted)
{
    struct tls_kit_cert between[8];
    struct tls_kit_spec spec = {.name = "api", .san = "URI:" API_ID};
    const struct tls_kit_cert *issuer = &tls_kit_world()->ca;
    const struct tls_kit_cert *chain[9];
    struct tls_kit_cert leaf;
    struct tls_kit_pair pair;
    struct bytes joined;

    for (uint32_t i = 0; i < depth; i++) {
        char name[16];
        struct tls_kit_spec middle = {.name = name, .issuer = issuer, .ca = true};

        snprintf(name, sizeof(name), "level %u", i);
        between[i] = tls_kit_issue(&middle);
        issuer = &between[i];
        chain[i + 1] = issuer;
    }
    spec.issuer = issuer;
    leaf = tls_kit_issue(&spec);
    chain[0] = &leaf;
    joined = tls_kit_join(chain, depth + 1);
    pair = show_to_server(&leaf, joined, (struct bytes){0});
    cunit_context("%u intermediates", depth);
    CHECK_INT(tls_kit_is_open(&pair), accepted);
    CHECK_STRING(tls_error(pair.server.session),
                 accepted ? "no error" : "certificate chain too long");
    tls_kit_pair_free(&pair);
    tls_kit_join_free(joined);
    tls_kit_free(&leaf);
    for (uint32_t i = 0; i < depth; i++) {
        tls_kit_free(&between[i]);
    }
}

TEST(chain_depth_is_bounded)
{
    check_depth(1, true);
    check_depth(TLS_CHAIN_DEPTH, true);
    check_depth(TLS_CHAIN_DEPTH + 1, false);
    check_depth(TLS_CHAIN_DEPTH + 3, false);
}

TEST(leaf_cannot_issue)
{
    const struct tls_kit_cert *issuer = &tls_kit_world()->client;
    struct tls_kit_spec spec = {.name = "forged", .issuer = issuer, .san = "URI:" TLS_KIT_ID};
    struct tls_kit_cert forged = tls_kit_issue(&spec);
    const struct tls_kit_cert *chain[] = {&forged, issuer};
    struct bytes joined = tls_kit_join(chain, 2);
    struct tls_kit_pair pair = show_to_server(&forged, joined, (struct bytes){0});

    CHECK_STRING(tls_error(pair.server.session), "invalid CA certificate");
    tls_kit_pair_free(&pair);
    tls_kit_join_free(joined);
    tls_kit_free(&forged);
}

TEST(name_constraints_bind_the_trust_domain)
{
    struct tls_kit_spec ca_spec = {
        .name = "bound ca", .ca = true, .constraints = "critical,permitted;URI:td.example"};
    struct tls_kit_cert ca = tls_kit_issue(&ca_spec);
    struct tls_kit_spec inside = {.name = "in", .issuer = &ca, .san = "URI:spiffe://td.example/a"};
    struct tls_kit_spec outside = {
        .name = "out", .issuer = &ca, .san = "URI:spiffe://other.example/a"};
    struct tls_kit_cert good = tls_kit_issue(&inside);
    struct tls_kit_cert bad = tls_kit_issue(&outside);
    struct tls_kit_pair pair = show_to_server(&good, (struct bytes){0}, ca.der);

    CHECK_TEXT(tls_peer_id(pair.server.session), "spiffe://td.example/a");
    tls_kit_pair_free(&pair);
    pair = show_to_server(&bad, (struct bytes){0}, ca.der);
    CHECK_STRING(tls_error(pair.server.session), "permitted subtree violation");
    tls_kit_pair_free(&pair);
    tls_kit_free(&good);
    tls_kit_free(&bad);
    tls_kit_free(&ca);
}

TEST(trusted_intermediate_ends_a_chain)
{
    struct tls_kit_spec middle_spec = {
        .name = "middle", .issuer = &tls_kit_world()->ca, .ca = true};
    struct tls_kit_cert middle = tls_kit_issue(&middle_spec);
    struct tls_kit_spec spec = {.name = "api", .issuer = &middle, .san = "URI:" API_ID};
    struct tls_kit_cert leaf = tls_kit_issue(&spec);
    struct tls_kit_pair pair = show_to_server(&leaf, (struct bytes){0}, middle.der);

    CHECK(tls_kit_is_open(&pair));
    tls_kit_pair_free(&pair);
    pair = show_to_server(&tls_kit_world()->client, (struct bytes){0}, middle.der);
    CHECK_STRING(tls_error(pair.server.session), "unable to get local issuer certificate");
    tls_kit_pair_free(&pair);
    tls_kit_free(&leaf);
    tls_kit_free(&middle);
}

static void check_expected(const char *expected, enum tls_verify verify, const char *client_says,
                           const char *server_says)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context = tls_kit_context(&server);
    struct tls_context *client_context;
    struct tls_kit_pair pair;

    client.verify = verify;
    client_context = tls_kit_context(&client);
    pair = tls_kit_pair_expecting(client_context, server_context, cunit_text(expected));
    tls_kit_run(&pair, 0);
    cunit_context("%s", expected);
    CHECK_STRING(tls_error(pair.client.session), client_says);
    CHECK_STRING(tls_error(pair.server.session), server_says);
    CHECK_INT(tls_kit_is_open(&pair), strcmp(client_says, "no error") == 0);
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
}

TEST(client_insists_on_the_expected_id)
{
    static const char other[] = "peer has another identity";
    static const char alert[] = "peer sent alert: bad certificate";

    check_expected(TLS_KIT_ID, TLS_VERIFY_REQUIRE, "no error", "no error");
    check_expected(TLS_KIT_ID "2", TLS_VERIFY_REQUIRE, other, alert);
    check_expected("spiffe://td.example/ns/default/dc/dc1/svc/we", TLS_VERIFY_REQUIRE, other,
                   alert);
    check_expected("spiffe://TD.example/ns/default/dc/dc1/svc/web", TLS_VERIFY_REQUIRE, other,
                   alert);
    /* An expected id verifies even where the context would not. */
    check_expected(TLS_KIT_ID, TLS_VERIFY_NONE, "no error", "no error");
    check_expected(API_ID, TLS_VERIFY_NONE, other, alert);
}

static void check_name(const char *name, const char *says)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context = tls_kit_context(&server);
    struct tls_context *client_context = tls_kit_context(&client);
    struct tls_kit_pair pair = tls_kit_pair(client_context, server_context, cunit_text(name), NULL);

    tls_kit_run(&pair, 0);
    cunit_context("%s", name);
    CHECK_STRING(tls_error(pair.client.session), says);
    CHECK_INT(tls_status_of(pair.client.session),
              strcmp(says, "no error") == 0 ? TLS_OPEN : TLS_FAILED);
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
}

TEST(client_checks_the_host_name)
{
    check_name("web.example", "no error");
    check_name("WEB.EXAMPLE.", "no error");
    check_name("a.wild.example", "no error");
    check_name("127.0.0.1", "no error");
    check_name("", "no error");
    check_name("web.example.org", "hostname mismatch");
    check_name("web", "hostname mismatch"); /* the common name does not count */
    check_name("a.b.wild.example", "hostname mismatch");
    check_name("wild.example", "hostname mismatch");
    check_name("127.0.0.2", "IP address mismatch");
    check_name("::1", "IP address mismatch");
    check_name("we b", "server name is not valid");
    check_name("-..-", "server name is not valid");
}

/* A DNS name with a NUL in it, which an authority might sign for its part behind. */
static struct tls_kit_cert issue_with_name(struct bytes name)
{
    struct tls_kit_spec spec = {.name = "nul", .issuer = &tls_kit_world()->ca};
    struct tls_kit_cert cert = tls_kit_issue(&spec);
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *one = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    EVP_MD *hash = EVP_MD_fetch(tls_engine.library, "SHA256", NULL);
    unsigned char *der = NULL;
    int len;

    CHECK(ASN1_STRING_set(text, name.ptr, (int)name.len) == 1);
    GENERAL_NAME_set0_value(one, GEN_DNS, text);
    CHECK(sk_GENERAL_NAME_push(names, one) == 1);
    CHECK(X509_add1_ext_i2d(cert.x509, NID_subject_alt_name, names, 0, 0) == 1);
    CHECK(X509_sign(cert.x509, tls_kit_world()->ca.key, hash) > 0);
    OPENSSL_free((void *)(uintptr_t)cert.der.ptr);
    len = i2d_X509(cert.x509, &der);
    cert.der = bytes_of(der, (size_t)len);
    GENERAL_NAMES_free(names);
    EVP_MD_free(hash);
    return cert;
}

static void check_signed_name(struct bytes name, const char *says)
{
    struct tls_kit_cert cert = issue_with_name(name);
    struct tls_certificate use = tls_kit_use(&cert);
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls_kit_pair pair;

    server.certificates = &use;
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
    pair = tls_kit_pair(client_context, server_context, BYTES_LITERAL("web.example"), NULL);
    tls_kit_run(&pair, 0);
    CHECK_STRING(tls_error(pair.client.session), says);
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
    tls_kit_free(&cert);
}

TEST(a_nul_in_a_signed_name_ends_nothing)
{
    check_signed_name(BYTES_LITERAL("web.example"), "no error");
    check_signed_name(BYTES_LITERAL("web.example\0.evil.example"), "hostname mismatch");
    check_signed_name(BYTES_LITERAL("evil.example\0web.example"), "hostname mismatch");
    check_signed_name(BYTES_LITERAL("web.example\0"), "hostname mismatch");
}

TEST(unverified_server_has_no_identity)
{
    struct tls_kit_spec spec = {.name = "self", .san = "URI:" TLS_KIT_ID};
    struct tls_kit_cert self = tls_kit_issue(&spec);
    struct tls_certificate use = tls_kit_use(&self);
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls_kit_pair pair;

    server.certificates = &use;
    client.verify = TLS_VERIFY_NONE;
    client.trust = (struct bytes){0};
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
    pair = tls_kit_pair(client_context, server_context, BYTES_LITERAL("any.example"), NULL);
    tls_kit_run(&pair, 0);
    CHECK(tls_kit_is_open(&pair));
    CHECK_UINT(tls_peer_id(pair.client.session).len, 0);
    CHECK_UINT(tls_peer_serial(pair.client.session).len, 0);
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
    tls_kit_free(&self);
}
