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

static struct vhost vhost_of(const char *san, enum tls_kit_key key, struct bytes names)
{
    struct tls_kit_spec spec = {
        .name = san, .issuer = &tls_kit_world()->ca, .key = key, .san = san};
    struct vhost vhost = {.cert = tls_kit_issue(&spec)};

    vhost.use = tls_kit_use(&vhost.cert, names);
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

TEST(server_name_chooses_the_certificate)
{
    struct vhost vhosts[4] = {
        vhost_of("DNS:default.example", TLS_KIT_EC, BYTES_LITERAL("default.example")),
        vhost_of("DNS:a.example", TLS_KIT_RSA, BYTES_LITERAL("a.example\0*.a.example\0")),
        vhost_of("DNS:a.example", TLS_KIT_EC, BYTES_LITERAL("A.Example")),
        vhost_of("DNS:nobody.example", TLS_KIT_EC, (struct bytes){0}),
    };
    struct tls_certificate uses[4];
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_context *server_context;
    struct tls_context *client_context;
    const char *rsa = "RSA-PSS+SHA256:RSA+SHA256";

    for (int i = 0; i < 4; i++) {
        uses[i] = vhosts[i].use;
    }
    server.certificates = uses;
    server.certificate_count = 4;
    server.verify = TLS_VERIFY_NONE;
    client.verify = TLS_VERIFY_NONE;
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
#define SHOWN(name, sigalgs) (shown(client_context, server_context, name, vhosts, sigalgs) - vhosts)
    CHECK_INT(SHOWN("default.example", NULL), 0);
    CHECK_INT(SHOWN("unknown.example", NULL), 0);
    CHECK_INT(SHOWN("", NULL), 0);
    CHECK_INT(SHOWN("nobody.example", NULL), 0);
    CHECK_INT(SHOWN("a.example", NULL), 2);
    CHECK_INT(SHOWN("A.EXAMPLE", NULL), 2);
    CHECK_INT(SHOWN("a.example", rsa), 1);
    CHECK_INT(SHOWN("x.a.example", NULL), 1);
    CHECK_INT(SHOWN("y.x.a.example", NULL), 0);
    CHECK_INT(SHOWN("xa.example", NULL), 0);
#undef SHOWN
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

static int parse(struct bytes extension, uint8_t out[static TLS_NAME_MAX])
{
    struct bytes guarded = cunit_guarded(extension);
    int len = tls_names_parse_sni(guarded, out);

    cunit_unguard(guarded.ptr);
    return len;
}

TEST(server_name_extension)
{
    uint8_t extension[5 + 300] = {0};
    uint8_t out[TLS_NAME_MAX];
    struct bytes good = BYTES_LITERAL("\0\x09\0\0\x06"
                                      "A.b-_9");

    CHECK_INT(parse(good, out), 6);
    CHECK_BYTES(bytes_of(out, 6), BYTES_LITERAL("a.b-_9"));
    for (size_t len = 0; len < good.len; len++) {
        CHECK_INT(parse(bytes_part(good, 0, len), out), MESH_E_SYNTAX);
    }
    CHECK_INT(parse(BYTES_LITERAL("\0\x05\0\0\x02"
                                  "a."),
                    out),
              1);
    CHECK_INT(parse(BYTES_LITERAL("\0\x04\0\0\x01"
                                  "."),
                    out),
              MESH_E_SYNTAX);
    CHECK_INT(parse(BYTES_LITERAL("\0\x05\0\0\x02"
                                  ".."),
                    out),
              MESH_E_SYNTAX);
    CHECK_INT(parse(BYTES_LITERAL("\0\x03\0\0\0"), out), MESH_E_SYNTAX);
    CHECK_INT(parse(BYTES_LITERAL("\0\x04\1\0\x01"
                                  "a"),
                    out),
              MESH_E_SYNTAX);
    CHECK_INT(parse(BYTES_LITERAL("\0\x08\0\0\x01"
                                  "a\0\0\1b"),
                    out),
              MESH_E_SYNTAX);
    for (size_t len = TLS_NAME_MAX - 1; len <= TLS_NAME_MAX + 2; len++) {
        memset(extension + 5, 'a', len);
        extension[1] = (uint8_t)(len + 3);
        extension[0] = (uint8_t)((len + 3) >> 8);
        extension[4] = (uint8_t)len;
        CHECK_INT(parse(bytes_of(extension, 5 + len), out),
                  len <= TLS_NAME_MAX ? (int)len : MESH_E_SYNTAX);
    }
}

TEST(thousands_of_names)
{
    enum { COUNT = 5000 };
    struct tls_certificate *uses = calloc(COUNT, sizeof(*uses));
    char(*texts)[32] = calloc(COUNT, sizeof(*texts));
    struct tls_options server = tls_kit_server_options();
    struct tls_context *context;
    const struct tls_names *names;

    for (int i = 0; i < COUNT; i++) {
        snprintf(texts[i], sizeof(texts[i]), i % 2 ? "h%d.example" : "*.h%d.example", i);
        uses[i] = tls_kit_world()->server_use;
        uses[i].names = cunit_text(texts[i]);
    }
    server.certificates = uses;
    server.certificate_count = COUNT;
    context = tls_kit_context(&server);
    names = &context->names;
    for (int i = 0; i < COUNT; i++) {
        const struct tls_name *found;
        char name[40];

        snprintf(name, sizeof(name), i % 2 ? "h%d.example" : "x.h%d.example", i);
        found = tls_names_find(names, cunit_text(name));
        if (!CHECK(found != NULL) || !CHECK(found->leaves[TLS_LEAF_EC] == &names->leaves[i])) {
            break;
        }
        CHECK(tls_names_find(names, bytes_from(cunit_text(name), 1)) == NULL);
    }
    tls_context_release(context);
    free(texts);
    free(uses);
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

    CHECK(SSL_set1_groups_list(pair.client.session->ssl, "X448:P-256") == 1);
    tls_kit_run(&pair, 0);
    CHECK(tls_kit_is_open(&pair));
    CHECK_TEXT(tls_server_name(pair.server.session), "web.example");
    tls_kit_pair_free(&pair);
    tls_context_release(client_context);
    tls_context_release(server_context);
}
