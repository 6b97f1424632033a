#include "tls_kit.h"

#include <stdio.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "base/err.h"
#include "tls/tls_private.h"

static EVP_PKEY *make_key(enum tls_kit_key kind)
{
    static EVP_PKEY *rsa; /* slow to make, and one is as good as another */

    if (kind == TLS_KIT_RSA) {
        if (rsa == NULL) {
            rsa = EVP_PKEY_Q_keygen(tls_engine.library, NULL, "RSA", (size_t)2048);
        }
        EVP_PKEY_up_ref(rsa);
        return rsa;
    }
    return kind == TLS_KIT_EC ? EVP_PKEY_Q_keygen(tls_engine.library, NULL, "EC", "P-256")
                              : EVP_PKEY_Q_keygen(tls_engine.library, NULL, "ED25519");
}

static void add_extension(X509 *x509, X509V3_CTX *context, int nid, const char *value)
{
    X509_EXTENSION *extension;

    if (value == NULL) {
        return;
    }
    extension = X509V3_EXT_conf_nid(NULL, context, nid, value);
    MUST(extension != NULL);
    MUST(X509_add_ext(x509, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void add_raw_uri(X509 *x509, struct bytes uri)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();

    MUST(ASN1_STRING_set(text, uri.ptr, (int)uri.len) == 1);
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    sk_GENERAL_NAME_push(names, name);
    MUST(X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0) == 1);
    GENERAL_NAMES_free(names);
}

/* Of the whole public key, by the engine's hash: any value unique to the key will do. */
static void add_key_identifier(X509 *x509)
{
    ASN1_OCTET_STRING *identifier = ASN1_OCTET_STRING_new();
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(x509);
    unsigned char hash[EVP_MAX_MD_SIZE];

    MUST(EVP_Digest(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits), hash, NULL,
                    tls_engine.hash, NULL) == 1);
    MUST(ASN1_OCTET_STRING_set(identifier, hash, 20) == 1);
    MUST(X509_add1_ext_i2d(x509, NID_subject_key_identifier, identifier, 0, 0) == 1);
    ASN1_OCTET_STRING_free(identifier);
}

static void encode(struct tls_kit_cert *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert->x509, &der);

    MUST(len > 0);
    cert->der = bytes_of(der, (size_t)len);
    der = NULL;
    len = i2d_PrivateKey(cert->key, &der);
    MUST(len > 0);
    cert->key_der = bytes_of(der, (size_t)len);
}

static void fill(struct tls_kit_cert *cert, const struct tls_kit_spec *spec)
{
    static long serial = 0x7001;
    X509 *issuer = spec->issuer == NULL ? cert->x509 : spec->issuer->x509;
    bool usual = spec->from_s == 0 && spec->to_s == 0;
    X509V3_CTX context;

    X509_set_version(cert->x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert->x509), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert->x509), usual ? -3600 : spec->from_s);
    X509_gmtime_adj(X509_getm_notAfter(cert->x509), usual ? 86400 : spec->to_s);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert->x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)spec->name, -1, -1, 0);
    X509_set_issuer_name(cert->x509, X509_get_subject_name(issuer));
    X509_set_pubkey(cert->x509, cert->key);
    X509V3_set_ctx(&context, issuer, cert->x509, NULL, NULL, 0);
    add_extension(cert->x509, &context, NID_basic_constraints,
                  spec->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(cert->x509, &context, NID_key_usage, spec->usage);
    add_extension(cert->x509, &context, NID_ext_key_usage, spec->extended);
    add_extension(cert->x509, &context, NID_name_constraints, spec->constraints);
    add_extension(cert->x509, &context, NID_subject_alt_name, spec->san);
    add_key_identifier(cert->x509);
    add_extension(cert->x509, &context, NID_authority_key_identifier,
                  spec->issuer == NULL ? NULL : "keyid");
    if (spec->uri.len > 0) {
        add_raw_uri(cert->x509, spec->uri);
    }
}

struct tls_kit_cert tls_kit_issue(const struct tls_kit_spec *spec)
{
    struct tls_kit_cert cert = {
        X509_new_ex(tls_engine.library, NULL), make_key(spec->key), {0}, {0}};
    EVP_PKEY *signer = spec->issuer == NULL ? cert.key : spec->issuer->key;
    const EVP_MD *digest = EVP_PKEY_get_base_id(signer) == EVP_PKEY_ED25519 ? NULL : EVP_sha256();

    MUST(cert.x509 != NULL);
    MUST(cert.key != NULL);
    fill(&cert, spec);
    MUST(X509_sign(cert.x509, signer, digest) > 0);
    encode(&cert);
    ERR_clear_error();
    return cert;
}

void tls_kit_free(struct tls_kit_cert *cert)
{
    X509_free(cert->x509);
    EVP_PKEY_free(cert->key);
    OPENSSL_free((void *)(uintptr_t)cert->der.ptr);
    OPENSSL_free((void *)(uintptr_t)cert->key_der.ptr);
    *cert = (struct tls_kit_cert){0};
}

struct bytes tls_kit_join(const struct tls_kit_cert *const *certs, uint32_t count)
{
    size_t len = 0;
    uint8_t *out;

    for (uint32_t i = 0; i < count; i++) {
        len += certs[i]->der.len;
    }
    out = malloc(len);
    MUST(out != NULL);
    len = 0;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(out + len, certs[i]->der.ptr, certs[i]->der.len);
        len += certs[i]->der.len;
    }
    return bytes_of(out, len);
}

void tls_kit_join_free(struct bytes joined)
{
    free((void *)(uintptr_t)joined.ptr);
}

struct tls_certificate tls_kit_use(const struct tls_kit_cert *cert)
{
    return (struct tls_certificate){.chain = cert->der, .key = cert->key_der};
}

const struct tls_kit_world *tls_kit_world(void)
{
    static struct tls_kit_world world;

    if (world.ca.x509 == NULL) {
        struct tls_kit_spec ca = {
            .name = "mesh ca", .ca = true, .usage = "critical,keyCertSign,cRLSign"};
        struct tls_kit_spec server = {.name = "web",
                                      .issuer = &world.ca,
                                      .san = "URI:" TLS_KIT_ID
                                             ",DNS:web.example,DNS:*.wild.example,IP:127.0.0.1",
                                      .usage = "critical,digitalSignature",
                                      .extended = "serverAuth,clientAuth"};
        struct tls_kit_spec client = {.name = "api",
                                      .issuer = &world.ca,
                                      .san = "URI:spiffe://td.example/ns/default/dc/dc1/svc/api",
                                      .usage = "critical,digitalSignature",
                                      .extended = "serverAuth,clientAuth"};

        MUST(tls_init() == MESH_OK);
        world.ca = tls_kit_issue(&ca);
        world.server = tls_kit_issue(&server);
        world.client = tls_kit_issue(&client);
        world.server_use = tls_kit_use(&world.server);
        world.client_use = tls_kit_use(&world.client);
    }
    return &world;
}

struct tls_options tls_kit_server_options(void)
{
    static const struct tls_ticket_key key = {{1}, {2}, {3}};
    const struct tls_kit_world *world = tls_kit_world();

    return (struct tls_options){.server = true,
                                .verify = TLS_VERIFY_REQUIRE,
                                .certificates = &world->server_use,
                                .certificate_count = 1,
                                .trust = world->ca.der,
                                .ticket_keys = &key,
                                .ticket_key_count = 1,
                                .session_context = BYTES_LITERAL("listener-1"),
                                .session_lifetime_s = 3600};
}

struct tls_options tls_kit_client_options(void)
{
    const struct tls_kit_world *world = tls_kit_world();

    return (struct tls_options){.verify = TLS_VERIFY_REQUIRE,
                                .certificates = &world->client_use,
                                .certificate_count = 1,
                                .trust = world->ca.der,
                                .session_lifetime_s = 3600};
}

struct tls_context *tls_kit_context(const struct tls_options *options)
{
    struct tls_context *context;
    char why[128];

    if (tls_context_create(options, &context, why, sizeof(why)) != MESH_OK) {
        fprintf(stderr, "context refused: %s\n", why);
        abort();
    }
    return context;
}

static struct tls_kit_pair pair_of(struct tls_session *client, struct tls_session *server)
{
    struct tls_kit_pair pair = {.client.session = client, .server.session = server};

    MUST(client != NULL);
    MUST(server != NULL);
    return pair;
}

struct tls_kit_pair tls_kit_pair(struct tls_context *client, struct tls_context *server,
                                 struct bytes name, struct tls_resume *resume)
{
    return pair_of(tls_session_create(client, name, (struct bytes){0}, resume),
                   tls_session_create(server, (struct bytes){0}, (struct bytes){0}, NULL));
}

struct tls_kit_pair tls_kit_pair_expecting(struct tls_context *client, struct tls_context *server,
                                           struct bytes expected_id)
{
    return pair_of(tls_session_create(client, (struct bytes){0}, expected_id, NULL),
                   tls_session_create(server, (struct bytes){0}, (struct bytes){0}, NULL));
}

void tls_kit_pair_free(struct tls_kit_pair *pair)
{
    tls_session_destroy(pair->client.session);
    tls_session_destroy(pair->server.session);
    free(pair->client.plain);
    free(pair->server.plain);
    *pair = (struct tls_kit_pair){0};
}

static void read_all(struct tls_kit_end *end)
{
    for (;;) {
        int64_t got;

        if (end->plain_capacity - end->plain_len < 65536) {
            end->plain_capacity = end->plain_capacity * 2 + 131072;
            end->plain = realloc(end->plain, end->plain_capacity);
            MUST(end->plain != NULL);
        }
        got = tls_read(end->session, end->plain + end->plain_len,
                       end->plain_capacity - end->plain_len);
        if (got <= 0) {
            return;
        }
        end->plain_len += (size_t)got;
    }
}

void tls_kit_feed(struct tls_kit_end *to, struct bytes in, size_t slice)
{
    while (in.len > 0) {
        size_t take = slice == 0 || slice > in.len ? in.len : slice;
        uint8_t *copy = malloc(take);

        MUST(copy != NULL);
        memcpy(copy, in.ptr, take);
        (void)tls_feed(to->session, bytes_of(copy, take));
        read_all(to);
        free(copy);
        in = bytes_from(in, take);
    }
}

size_t tls_kit_move(struct tls_kit_end *from, struct tls_kit_end *to, size_t slice)
{
    struct bytes out = tls_output(from->session);
    uint8_t *copy;

    if (out.len == 0) {
        return 0;
    }
    copy = malloc(out.len);
    MUST(copy != NULL);
    memcpy(copy, out.ptr, out.len);
    tls_output_taken(from->session);
    from->sent += out.len;
    tls_kit_feed(to, bytes_of(copy, out.len), slice);
    free(copy);
    return out.len;
}

void tls_kit_run(struct tls_kit_pair *pair, size_t slice)
{
    if (pair->client.sent == 0) {
        (void)tls_start(pair->client.session);
    }
    while (tls_kit_move(&pair->client, &pair->server, slice) +
               tls_kit_move(&pair->server, &pair->client, slice) >
           0) {
    }
}

bool tls_kit_is_open(const struct tls_kit_pair *pair)
{
    return tls_status_of(pair->client.session) == TLS_OPEN &&
           tls_status_of(pair->server.session) == TLS_OPEN;
}
