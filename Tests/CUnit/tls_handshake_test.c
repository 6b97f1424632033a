/* Handshakes that must succeed, in every mode and with every way to cut the bytes. */
#include "cunit.h"

#include "base/err.h"
#include "tls/tls_private.h"
#include "tls_kit.h"

#define API_ID "spiffe://td.example/ns/default/dc/dc1/svc/api"

TEST(mutual_handshake_tells_both_identities)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context = tls_kit_context(&server);
    struct tls_context *client_context = tls_kit_context(&client);
    struct tls_kit_pair pair =
        tls_kit_pair(client_context, server_context, BYTES_LITERAL("Web.Example"), NULL);
    const ASN1_INTEGER *serial = X509_get0_serialNumber(tls_kit_world()->client.x509);

    CHECK_INT(tls_status_of(pair.client.session), TLS_HANDSHAKING);
    CHECK_INT(tls_version(pair.client.session), 0);
    tls_kit_run(&pair, 0);
    CHECK(tls_kit_is_open(&pair));
    CHECK_TEXT(tls_peer_id(pair.client.session), TLS_KIT_ID);
    CHECK_TEXT(tls_peer_id(pair.server.session), API_ID);
    CHECK_BYTES(tls_peer_serial(pair.server.session),
                bytes_of(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial)));
    CHECK_TEXT(tls_server_name(pair.server.session), "web.example");
    CHECK_UINT(tls_version(pair.server.session), TLS_VERSION_1_3);
    CHECK_UINT(tls_alpn(pair.server.session).len, 0);
    CHECK(!tls_resumed(pair.server.session));
    CHECK_STRING(tls_error(pair.server.session), "no error");
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
}

struct mode {
    const char *what;
    enum tls_verify verify;
    uint16_t client_min, client_max, server_min;
    enum tls_kit_key key;
    bool client_certificate;
};

static const struct mode modes[] = {
    {"1.3 ec", TLS_VERIFY_REQUIRE, 0, 0, 0, TLS_KIT_EC, true},
    {"1.3 rsa", TLS_VERIFY_REQUIRE, 0, 0, 0, TLS_KIT_RSA, true},
    {"1.3 ed25519", TLS_VERIFY_REQUIRE, 0, 0, 0, TLS_KIT_ED25519, true},
    {"1.2 ec", TLS_VERIFY_REQUIRE, TLS_VERSION_1_2, TLS_VERSION_1_2, TLS_VERSION_1_2, TLS_KIT_EC,
     true},
    {"1.2 rsa", TLS_VERIFY_REQUIRE, TLS_VERSION_1_2, TLS_VERSION_1_2, TLS_VERSION_1_2, TLS_KIT_RSA,
     true},
    {"1.2 and 1.3", TLS_VERIFY_REQUIRE, TLS_VERSION_1_2, 0, TLS_VERSION_1_2, TLS_KIT_EC, true},
    {"no client certificate", TLS_VERIFY_NONE, 0, 0, 0, TLS_KIT_EC, false},
    {"certificate not asked for", TLS_VERIFY_NONE, 0, 0, 0, TLS_KIT_EC, true},
    {"requested and given", TLS_VERIFY_REQUEST, 0, 0, 0, TLS_KIT_EC, true},
    {"requested and not given", TLS_VERIFY_REQUEST, 0, 0, 0, TLS_KIT_EC, false},
    {"1.2, not given", TLS_VERIFY_REQUEST, TLS_VERSION_1_2, TLS_VERSION_1_2, TLS_VERSION_1_2,
     TLS_KIT_EC, false},
};

static void check_mode(const struct mode *mode, size_t slice)
{
    struct tls_kit_spec spec = {.name = "leaf",
                                .issuer = &tls_kit_world()->ca,
                                .key = mode->key,
                                .san = "URI:" TLS_KIT_ID ",DNS:web.example"};
    struct tls_kit_cert leaf = tls_kit_issue(&spec);
    struct tls_certificate use = tls_kit_use(&leaf);
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls_kit_pair pair;

    server.certificates = &use;
    server.verify = mode->verify;
    server.min_version = mode->server_min;
    client.min_version = mode->client_min;
    client.max_version = mode->client_max;
    client.certificate_count = mode->client_certificate ? 1 : 0;
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
    pair = tls_kit_pair(client_context, server_context, BYTES_LITERAL("web.example"), NULL);
    cunit_context("%s, slices of %zu", mode->what, slice);
    tls_kit_run(&pair, slice);
    CHECK(tls_kit_is_open(&pair));
    CHECK_UINT(tls_version(pair.server.session),
               mode->client_max == TLS_VERSION_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3);
    CHECK_TEXT(tls_peer_id(pair.client.session), TLS_KIT_ID);
    CHECK_TEXT(tls_peer_id(pair.server.session),
               mode->client_certificate && mode->verify != TLS_VERIFY_NONE ? API_ID : "");
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
    tls_kit_free(&leaf);
}

TEST(every_mode_shakes_hands)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        check_mode(&modes[i], 0);
        check_mode(&modes[i], 1);
    }
}

/* Each flight is cut once at every byte. A TLS 1.3 handshake with client certificate is about 3 KB
 * in all, so all cuts of the whole conversation are tried in one run per position of the cut. */
TEST(handshake_survives_a_cut_at_every_byte)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context = tls_kit_context(&server);
    struct tls_context *client_context = tls_kit_context(&client);

    for (size_t slice = 1; slice < 1600; slice = slice < 40 ? slice + 1 : slice + 37) {
        struct tls_kit_pair pair =
            tls_kit_pair(client_context, server_context, BYTES_LITERAL("web.example"), NULL);

        cunit_context("slices of %zu", slice);
        tls_kit_run(&pair, slice);
        CHECK(tls_kit_is_open(&pair));
        tls_kit_pair_free(&pair);
    }
    tls_context_release(client_context);
    tls_context_release(server_context);
}

/* First flight of `from`, copied; the caller frees. */
static struct bytes flight_of(struct tls_session *from)
{
    struct bytes out = tls_output(from);
    uint8_t *copy = malloc(out.len);

    memcpy(copy, out.ptr, out.len);
    tls_output_taken(from);
    return bytes_of(copy, out.len);
}

static void feed_cut(struct tls_kit_end *to, struct bytes flight, size_t cut)
{
    size_t first = cut < flight.len ? cut : flight.len;

    if (first > 0) {
        tls_kit_feed(to, bytes_part(flight, 0, first), 0);
    }
    tls_kit_feed(to, bytes_from(flight, first), 0);
}

TEST(handshake_survives_one_cut_anywhere)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context = tls_kit_context(&server);
    struct tls_context *client_context = tls_kit_context(&client);
    size_t longest = 1;

    for (size_t cut = 0; cut < longest; cut += cut < 64 ? 1 : 11) {
        struct tls_kit_pair pair =
            tls_kit_pair(client_context, server_context, BYTES_LITERAL("web.example"), NULL);

        cunit_context("cut after %zu", cut);
        (void)tls_start(pair.client.session);
        for (int i = 0; i < 2; i++) {
            struct bytes hello = flight_of(pair.client.session);
            struct bytes answer;

            longest = hello.len > longest ? hello.len : longest;
            feed_cut(&pair.server, hello, cut);
            answer = flight_of(pair.server.session);
            longest = answer.len > longest ? answer.len : longest;
            feed_cut(&pair.client, answer, cut);
            free((void *)(uintptr_t)hello.ptr);
            free((void *)(uintptr_t)answer.ptr);
        }
        CHECK(tls_kit_is_open(&pair));
        tls_kit_pair_free(&pair);
    }
    CHECK(longest > 500);
    tls_context_release(client_context);
    tls_context_release(server_context);
}

TEST(context_refuses_what_cannot_work)
{
    struct tls_options options = tls_kit_server_options();
    struct tls_certificate use = tls_kit_world()->server_use;
    struct tls_context *context;
    char why[128];

    options.certificates = &use;
    use.key = tls_kit_world()->client.key_der;
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "certificate 0: the private key does not belong to the certificate");
    CHECK(context == NULL);
    use.key = bytes_part(tls_kit_world()->server.key_der, 0, 10);
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "certificate 0: the private key is not valid DER");
    use = tls_kit_world()->server_use;
    use.chain = bytes_from(use.chain, 1);
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "certificate 0: the certificate is not valid DER");
    options.certificate_count = 0;
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "a server needs a certificate");

    options = tls_kit_server_options();
    options.trust = (struct bytes){0};
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "nothing is trusted, so no peer can be verified");
    options.trust = tls_kit_world()->server.der;
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "a trusted certificate is not a certificate authority");

    options = tls_kit_server_options();
    options.session_context = (struct bytes){0};
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "resumption needs a session context of 1 to 32 bytes");

    options = tls_kit_server_options();
    options.alpn = BYTES_LITERAL("\x02h");
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "the list of protocols is malformed");
    options = tls_kit_server_options();
    options.min_version = 0x0301;
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "no such range of versions");
}

TEST(weak_keys_are_refused_at_start)
{
    struct tls_kit_cert weak = {X509_new_ex(tls_engine.library, NULL),
                                EVP_PKEY_Q_keygen(tls_engine.library, NULL, "RSA", (size_t)1024),
                                {0},
                                {0}};
    struct tls_options options = tls_kit_server_options();
    struct tls_certificate use;
    struct tls_context *context;
    unsigned char *der = NULL;
    char why[128];

    X509_set_pubkey(weak.x509, weak.key);
    X509_gmtime_adj(X509_getm_notBefore(weak.x509), -60);
    X509_gmtime_adj(X509_getm_notAfter(weak.x509), 60);
    X509_sign(weak.x509, weak.key, EVP_sha256());
    weak.der.len = (size_t)i2d_X509(weak.x509, &der);
    weak.der.ptr = der;
    der = NULL;
    weak.key_der.len = (size_t)i2d_PrivateKey(weak.key, &der);
    weak.key_der.ptr = der;
    use = tls_kit_use(&weak);
    options.certificates = &use;
    CHECK_INT(tls_context_create(&options, &context, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "certificate 0: ee key too small");
    tls_kit_free(&weak);
}

TEST(library_is_named)
{
    CHECK_INT(tls_init(), MESH_OK);
    CHECK_INT(tls_init(), MESH_OK);
    CHECK(strncmp(tls_library(), "openssl 3.", 10) == 0);
}
