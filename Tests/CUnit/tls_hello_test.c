/* What a server decides on the hello: certificate by name, protocol, version. */
#include "cunit.h"

#include <stdlib.h>

#include "base/err.h"
#include "tls/tls_private.h"
#include "tls_kit.h"

#define NAME BYTES_LITERAL("web.example")

struct vhost {
    struct tls_kit_cert cert;
    struct tls_certificate use;
};

static struct vhost vhost_of(const char *san, enum tls_kit_key key)
{
    static uint64_t id = 1000;
    struct tls_kit_spec spec = {
        .name = san, .issuer = &tls_kit_world()->ca, .key = key, .san = san};
    struct vhost vhost = {.cert = tls_kit_issue(&spec)};

    vhost.use = tls_kit_use(&vhost.cert);
    vhost.use.id = ++id;
    vhost.use.version = 1;
    return vhost;
}

/* The certificate that a client asking for `name` is shown; the kinds of keys it accepts may be
 * limited. */
static const struct vhost *shown(struct tls_context *client, struct tls_context *server,
                                 const char *name, const struct vhost *vhosts, const char *sigalgs)
{
    struct tls_kit_pair pair = tls_kit_pair(client, server, cunit_text(name), NULL);
    const struct vhost *found = NULL;
    X509 *leaf;

    if (sigalgs != NULL) {
        CHECK(SSL_set1_sigalgs_list(pair.client.session->ssl, sigalgs) == 1);
    }
    tls_kit_run(&pair, 0);
    cunit_context("%s: %s", name, tls_error(pair.client.session));
    CHECK(tls_kit_is_open(&pair));
    leaf = SSL_get0_peer_certificate(pair.client.session->ssl);
    for (int i = 0; i < 4 && leaf != NULL; i++) {
        if (X509_cmp(leaf, vhosts[i].cert.x509) == 0) {
            found = &vhosts[i];
        }
    }
    tls_kit_pair_free(&pair);
    return found;
}

/* A source: `a.example` has both kinds of keys, `b.example` an RSA key only. */
static uint32_t find(const void *argument, struct bytes name,
                     struct tls_certificate out[static TLS_CERTIFICATES_MAX])
{
    const struct vhost *vhosts = argument;

    if (bytes_equal(name, BYTES_LITERAL("a.example"))) {
        out[0] = vhosts[1].use;
        out[1] = vhosts[2].use;
        return 2;
    }
    if (bytes_equal(name, BYTES_LITERAL("b.example"))) {
        out[0] = vhosts[1].use;
        return 1;
    }
    if (bytes_equal(name, BYTES_LITERAL("default.example"))) {
        out[0] = vhosts[0].use;
        return 1;
    }
    return 0;
}

/* The server's complaint about a client that asks for `name`. */
static void check_refused(struct tls_context *client, struct tls_context *server, const char *name,
                          const char *why)
{
    struct tls_kit_pair pair = tls_kit_pair(client, server, cunit_text(name), NULL);

    tls_kit_run(&pair, 0);
    CHECK_INT(tls_status_of(pair.server.session), TLS_FAILED);
    CHECK_STRING(tls_error(pair.server.session), why);
    CHECK_STRING(tls_error(pair.client.session), "peer sent alert: internal error");
    tls_kit_pair_free(&pair);
}

TEST(server_name_chooses_the_certificate)
{
    struct vhost vhosts[4] = {
        vhost_of("DNS:default.example", TLS_KIT_EC),
        vhost_of("DNS:a.example", TLS_KIT_RSA),
        vhost_of("DNS:a.example", TLS_KIT_EC),
        vhost_of("DNS:nobody.example", TLS_KIT_EC),
    };
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context;
    struct tls_context *client_context;
    const char *rsa = "RSA-PSS+SHA256:RSA+SHA256";
    struct bytes key = vhosts[1].use.key;

    server.certificates = &vhosts[0].use;
    server.verify = TLS_VERIFY_NONE;
    client.verify = TLS_VERIFY_NONE;
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
    tls_context_set_source(server_context, (struct tls_source){find, vhosts});
#define SHOWN(name, sigalgs) (shown(client_context, server_context, name, vhosts, sigalgs) - vhosts)
    CHECK_INT(SHOWN("default.example", NULL), 0);
    CHECK_INT(SHOWN("unknown.example", NULL), 0);
    CHECK_INT(SHOWN("", NULL), 0);
    CHECK_INT(SHOWN("a.example", NULL), 2);
    CHECK_INT(SHOWN("A.EXAMPLE", NULL), 2);
    CHECK_INT(SHOWN("a.example", rsa), 1);
    CHECK_INT(SHOWN("b.example", NULL), 1);
#undef SHOWN
    vhosts[1].use.key = vhosts[3].use.key; /* never parsed again: version 1 is remembered */
    CHECK(shown(client_context, server_context, "b.example", vhosts, NULL) == &vhosts[1]);
    vhosts[1].use.version = 2;
    check_refused(client_context, server_context, "b.example",
                  "the private key does not belong to the certificate");
    vhosts[1].use.key = key;
    CHECK(shown(client_context, server_context, "b.example", vhosts, NULL) == &vhosts[1]);

    tls_context_drop_source(server_context, key.ptr); /* another one's */
    CHECK(shown(client_context, server_context, "b.example", vhosts, NULL) == &vhosts[1]);
    tls_context_drop_source(server_context, vhosts);
    check_refused(client_context, server_context, "b.example", "the configuration has changed");
    tls_context_release(client_context);
    tls_context_release(server_context);
    for (int i = 0; i < 4; i++) {
        tls_kit_free(&vhosts[i].cert);
    }
}

/* The client's hello with the server name overwritten in place. */
static void check_sni(struct bytes name, const char *says)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context = tls_kit_context(&server);
    struct tls_context *client_context = tls_kit_context(&client);
    struct tls_kit_pair pair = tls_kit_pair(client_context, server_context, NAME, NULL);
    struct bytes hello;
    uint8_t *changed;
    uint8_t *at;

    (void)tls_start(pair.client.session);
    hello = tls_output(pair.client.session);
    changed = malloc(hello.len);
    memcpy(changed, hello.ptr, hello.len);
    hello.ptr = changed;
    at = memmem(changed, hello.len, NAME.ptr, NAME.len);
    if (CHECK(at != NULL) && CHECK_UINT(name.len, NAME.len)) {
        memcpy(at, name.ptr, name.len);
    }
    tls_kit_feed(&pair.server, hello, 0);
    CHECK_INT(tls_status_of(pair.server.session), TLS_FAILED);
    CHECK_STRING(tls_error(pair.server.session), says);
    tls_output_taken(pair.client.session);
    tls_kit_move(&pair.server, &pair.client, 0);
    CHECK_STRING(tls_error(pair.client.session), "peer sent alert: unrecognized name");
    free(changed);
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
}

TEST(invalid_server_names_are_refused)
{
    check_sni(BYTES_LITERAL("web\0example"), "server name is not valid");
    check_sni(BYTES_LITERAL("web.exampl\0"), "server name is not valid");
    check_sni(BYTES_LITERAL("web..exampl"), "server name is not valid");
    check_sni(BYTES_LITERAL(".eb.example"), "server name is not valid");
    check_sni(BYTES_LITERAL("web example"), "server name is not valid");
    check_sni(BYTES_LITERAL("*.b.example"), "server name is not valid");
    check_sni(BYTES_LITERAL("w\xc3\xa4.example"), "server name is not valid");
}

TEST(a_bounded_number_of_leaves_is_remembered)
{
    struct tls_certificate use = tls_kit_world()->server_use;
    const char *why = NULL;

    tls_leaves_clear();
    for (uint64_t id = 1; id <= TLS_LEAVES_MAX + 200; id++) {
        use.id = id;
        use.version = 1;
        if (!CHECK(tls_leaves_get(&use, &why) != NULL)) {
            return;
        }
    }
    CHECK(tls_leaves_count() <= TLS_LEAVES_MAX);
    CHECK(tls_leaves_count() > TLS_LEAVES_MAX * 3 / 4);
    CHECK(tls_leaves_get(&use, &why) == tls_leaves_get(&use, &why));
    tls_leaves_clear();
    CHECK_UINT(tls_leaves_count(), 0);
}

TEST(a_new_version_takes_the_place_of_the_old)
{
    struct tls_certificate use = tls_kit_world()->server_use;
    const struct tls_leaf *leaf;
    const char *why = NULL;

    tls_leaves_clear();
    use.id = 7;
    use.version = 1;
    CHECK(tls_leaves_get(&use, &why) != NULL);
    use.version = 2;
    leaf = tls_leaves_get(&use, &why);
    if (CHECK(leaf != NULL)) {
        CHECK_UINT(leaf->version, 2);
    }
    CHECK_UINT(tls_leaves_count(), 1);
    use.version = 3;
    use.key = tls_kit_world()->client.key_der;
    CHECK(tls_leaves_get(&use, &why) == NULL);
    CHECK_STRING(why, "the private key does not belong to the certificate");
    CHECK_UINT(tls_leaves_count(), 1);
    tls_leaves_clear();
}

TEST(own_certificates_are_renewed_in_place)
{
    struct vhost vhosts[4] = {
        vhost_of("DNS:first.example", TLS_KIT_EC),
        vhost_of("DNS:second.example", TLS_KIT_EC),
        vhost_of("DNS:third.example", TLS_KIT_RSA),
        vhost_of("DNS:nobody.example", TLS_KIT_EC),
    };
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls_certificate next;
    char why[128] = "";

    server.certificates = &vhosts[0].use;
    server.verify = TLS_VERIFY_NONE;
    client.verify = TLS_VERIFY_NONE;
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
    CHECK(shown(client_context, server_context, "x", vhosts, NULL) == &vhosts[0]);
    CHECK_INT(tls_context_prepare(server_context, &vhosts[1].use, 1, why, sizeof(why)), MESH_OK);
    CHECK(shown(client_context, server_context, "x", vhosts, NULL) == &vhosts[0]);
    tls_context_renew(server_context);
    CHECK(shown(client_context, server_context, "x", vhosts, NULL) == &vhosts[1]);
    CHECK_INT(tls_context_prepare(server_context, &vhosts[2].use, 1, why, sizeof(why)),
              MESH_E_STATE);
    next = vhosts[0].use;
    next.version = 2;
    next.key = vhosts[3].use.key;
    CHECK_INT(tls_context_prepare(server_context, &next, 1, why, sizeof(why)), MESH_E_TLS);
    CHECK_STRING(why, "certificate 0: the private key does not belong to the certificate");
    tls_context_renew(server_context);
    CHECK(shown(client_context, server_context, "x", vhosts, NULL) == &vhosts[1]);
    tls_context_release(client_context);
    tls_context_release(server_context);
    for (int i = 0; i < 4; i++) {
        tls_kit_free(&vhosts[i].cert);
    }
}

static void check_alpn(struct bytes offered, struct bytes known, bool required,
                       const char *selected, const char *says)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context;
    struct tls_context *client_context;
    struct tls_kit_pair pair;

    server.alpn = known;
    server.alpn_required = required;
    client.alpn = offered;
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
    pair = tls_kit_pair(client_context, server_context, NAME, NULL);
    tls_kit_run(&pair, 0);
    CHECK_STRING(tls_error(pair.client.session), says);
    CHECK_INT(tls_kit_is_open(&pair), strcmp(says, "no error") == 0);
    CHECK_TEXT(tls_alpn(pair.client.session), selected);
    CHECK_TEXT(tls_alpn(pair.server.session), selected);
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
}

TEST(protocol_is_negotiated)
{
    struct bytes both = BYTES_LITERAL("\x02h2\x08http/1.1");
    struct bytes reversed = BYTES_LITERAL("\x08http/1.1\x02h2");
    struct bytes other = BYTES_LITERAL("\x03irc");
    struct bytes none = {0};
    const char *refused = "peer sent alert: no application protocol";

    check_alpn(both, both, true, "h2", "no error");
    check_alpn(both, reversed, true, "http/1.1", "no error"); /* the server prefers */
    check_alpn(other, both, true, "", refused);
    check_alpn(other, both, false, "", "no error");
    check_alpn(none, both, true, "", "no error"); /* who offers nothing is not refused */
    check_alpn(both, none, false, "", "no error");
}

TEST(versions_must_meet)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context = tls_kit_context(&server);
    struct tls_context *client_context;
    struct tls_kit_pair pair;

    client.min_version = TLS_VERSION_1_2;
    client.max_version = TLS_VERSION_1_2;
    client_context = tls_kit_context(&client);
    pair = tls_kit_pair(client_context, server_context, NAME, NULL);
    tls_kit_run(&pair, 0);
    CHECK_STRING(tls_error(pair.server.session), "unsupported protocol");
    CHECK_STRING(tls_error(pair.client.session), "peer sent alert: protocol version");
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
}

/* A client whose key share is of another group is asked again; the name stays the same. */
TEST(retry_request)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context = tls_kit_context(&server);
    struct tls_context *client_context = tls_kit_context(&client);
    struct tls_kit_pair pair = tls_kit_pair(client_context, server_context, NAME, NULL);

    CHECK(SSL_set1_groups_list(pair.client.session->ssl, "P-521:P-256") == 1);
    tls_kit_run(&pair, 0);
    CHECK(tls_kit_is_open(&pair));
    CHECK_TEXT(tls_server_name(pair.server.session), "web.example");
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
}
