/* One role (server of a listener, client of an identity) with everything its sessions share. */
#include "tls_private.h"

#include <stdio.h>

#include <openssl/err.h>

#include "base/err.h"

/* Forward secrecy and authenticated encryption only. AES-128 first: it is the cheapest with AES
 * instructions, and a client without them that prefers ChaCha20 gets it (PRIORITIZE_CHACHA). */
#define SUITES_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_1_2                                                                                 \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"     \
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define GROUPS         "X25519:P-256:P-384"
#define SECURITY_LEVEL 2 /* 112 bits: RSA from 2048, no SHA-1 */

struct building { /* a context on its way */
    const struct tls_options *options;
    struct tls_context *context;
    char *why;
    size_t why_size;
};

/* Always false. `what` NULL: the newest complaint of the library. */
static bool failed(const struct building *building, const char *what)
{
    const char *text = what != NULL ? what : ERR_reason_error_string(ERR_peek_last_error());

    if (building->why_size > 0) {
        (void)snprintf(building->why, building->why_size, "%s", text != NULL ? text : "failed");
    }
    return false;
}

/* Handshake messages after the handshake cost the sender nothing and us key derivations or alerts;
 * tls_read sets them off against plaintext. */
static void count_afterwards(const SSL *ssl, int where, int value)
{
    struct tls_session *session = tls_engine.current;
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);
    bool received = (where & SSL_CB_LOOP) != 0 &&
                    (state == TLS_ST_SR_KEY_UPDATE || state == TLS_ST_CR_KEY_UPDATE ||
                     state == TLS_ST_CR_SESSION_TICKET);
    bool refused = (where & SSL_CB_WRITE) != 0; /* a wish to renegotiate */

    (void)value;
    session->untidy = true;
    if (session->status == TLS_OPEN && (received || refused) &&
        session->afterwards < TLS_AFTERWARDS_MAX) {
        session->afterwards++;
    }
}

static bool set_versions(const struct building *building)
{
    const struct tls_options *options = building->options;
    SSL_CTX *ssl = building->context->ssl;
    uint16_t lowest = options->min_version == 0 ? TLS_VERSION_1_3 : options->min_version;
    uint16_t highest = options->max_version == 0 ? TLS_VERSION_1_3 : options->max_version;

    if (lowest < TLS_VERSION_1_2 || highest > TLS_VERSION_1_3 || lowest > highest) {
        return failed(building, "no such range of versions");
    }
    if (SSL_CTX_set_min_proto_version(ssl, lowest) != 1 ||
        SSL_CTX_set_max_proto_version(ssl, highest) != 1 ||
        SSL_CTX_set_ciphersuites(ssl, SUITES_1_3) != 1 ||
        SSL_CTX_set_cipher_list(ssl, SUITES_1_2) != 1 ||
        SSL_CTX_set1_groups_list(ssl, GROUPS) != 1) {
        return failed(building, NULL);
    }
    return true;
}

static void set_modes(SSL_CTX *ssl)
{
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    SSL_CTX_set_options(ssl, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_max_early_data(ssl, 0);
    SSL_CTX_set_info_callback(ssl, count_afterwards);
}

/* Keys too small and the like show up when a leaf is put to use: better when a context is looked at
 * than in a handshake. */
static const char *try_leaf(SSL_CTX *trial, const struct tls_leaf *leaf)
{
    if (SSL_CTX_use_cert_and_key(trial, leaf->x509, leaf->key, leaf->chain, 1) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());

        return reason != NULL ? reason : "cannot be used";
    }
    return NULL;
}

/* NULL, or what is wrong with certificate *number. */
static const char *load_set(struct tls_leaf_set *set, const struct tls_certificate *from,
                            uint32_t count, uint32_t *number)
{
    SSL_CTX *trial = SSL_CTX_new_ex(tls_engine.library, NULL, TLS_server_method());
    const char *wrong = trial == NULL ? "out of memory" : NULL;

    *set = (struct tls_leaf_set){0};
    if (trial != NULL) {
        SSL_CTX_set_security_level(trial, SECURITY_LEVEL);
    }
    for (*number = 0; wrong == NULL && *number < count; (*number)++) {
        const struct tls_leaf *leaf = tls_leaves_get(&from[*number], &wrong);
        enum tls_leaf_kind kind = leaf == NULL ? TLS_LEAF_RSA : tls_leaf_kind_of(leaf);

        if (leaf != NULL && set->kinds[kind].x509 != NULL) {
            wrong = "there are two with the same kind of key";
        } else if (leaf != NULL) {
            set->kinds[kind] = tls_leaf_share(leaf);
            wrong = try_leaf(trial, leaf);
        }
        if (wrong != NULL) {
            break;
        }
    }
    SSL_CTX_free(trial);
    if (wrong != NULL) {
        tls_leaf_free_set(set);
    }
    return wrong;
}

static bool use_set(SSL_CTX *ssl, const struct tls_leaf_set *set)
{
    for (int kind = 0; kind < TLS_LEAF_KIND_COUNT; kind++) {
        const struct tls_leaf *leaf = &set->kinds[kind];

        if (leaf->x509 != NULL &&
            SSL_CTX_use_cert_and_key(ssl, leaf->x509, leaf->key, leaf->chain, 1) != 1) {
            return false;
        }
    }
    return true;
}

static bool set_certificates(const struct building *building)
{
    const struct tls_options *options = building->options;
    struct tls_context *context = building->context;
    const char *wrong;
    uint32_t number;

    if (options->certificate_count == 0) {
        return !context->server || failed(building, "a server needs a certificate");
    }
    wrong = load_set(&context->own, options->certificates, options->certificate_count, &number);
    if (wrong != NULL) {
        (void)snprintf(building->why, building->why_size, "certificate %u: %s", number, wrong);
        return false;
    }
    return use_set(context->ssl, &context->own) || failed(building, NULL);
}

/* Whether both sets have the same versions of the same certificates, which are known by id. */
static bool is_same(const struct tls_leaf_set *set, const struct tls_certificate *other,
                    uint32_t count)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < count; i++) {
        for (int kind = 0; kind < TLS_LEAF_KIND_COUNT; kind++) {
            const struct tls_leaf *leaf = &set->kinds[kind];

            found += leaf->x509 != NULL && leaf->id != 0 && leaf->id == other[i].id &&
                     leaf->version == other[i].version;
        }
    }
    return found == count;
}

int tls_context_prepare(struct tls_context *context, const struct tls_certificate *certificates,
                        uint32_t count, char *why, size_t why_size)
{
    struct tls_leaf_set next;
    const char *wrong;
    uint32_t number;

    tls_leaf_free_set(&context->next);
    if (is_same(&context->own, certificates, count)) {
        return MESH_OK;
    }
    wrong = load_set(&next, certificates, count, &number);
    ERR_clear_error();
    if (wrong != NULL) {
        (void)snprintf(why, why_size, "certificate %u: %s", number, wrong);
        return MESH_E_TLS;
    }
    for (int kind = 0; kind < TLS_LEAF_KIND_COUNT; kind++) {
        if ((next.kinds[kind].x509 == NULL) != (context->own.kinds[kind].x509 == NULL)) {
            tls_leaf_free_set(&next);
            return MESH_E_STATE;
        }
    }
    context->next = next;
    return MESH_OK;
}

void tls_context_renew(struct tls_context *context)
{
    bool has_next = false;

    for (int kind = 0; kind < TLS_LEAF_KIND_COUNT; kind++) {
        has_next = has_next || context->next.kinds[kind].x509 != NULL;
    }
    if (!has_next) {
        return;
    }
    MUST(use_set(context->ssl, &context->next)); /* as the trial did */
    tls_leaf_free_set(&context->own);
    context->own = context->next;
    context->next = (struct tls_leaf_set){0};
}

void tls_context_set_source(struct tls_context *context, struct tls_source source)
{
    context->source = source;
    context->sourced = context->sourced || source.find != NULL;
}

void tls_context_drop_source(struct tls_context *context, const void *argument)
{
    if (context->source.argument == argument) {
        context->source = (struct tls_source){0};
    }
}

static bool set_trust(const struct building *building)
{
    struct tls_context *context = building->context;
    STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
    X509_STORE *store = X509_STORE_new();
    const char *wrong = "out of memory";
    struct tls_trust_count count = {0};

    if (names != NULL && store != NULL) {
        wrong = tls_leaf_load_trust(building->options->trust, store, names, &count);
    }
    if (wrong == NULL && count.authorities == 0 && context->verify != TLS_VERIFY_NONE) {
        wrong = "nothing is trusted, so no peer can be verified";
    }
    if (wrong != NULL) {
        X509_STORE_free(store);
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return failed(building, wrong);
    }
    tls_verify_setup(context, store, count.lists > 0);
    if (context->server && context->verify != TLS_VERIFY_NONE) {
        SSL_CTX_set_client_CA_list(context->ssl, names);
    } else {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
    }
    return true;
}

static bool set_alpn(const struct building *building)
{
    struct tls_context *context = building->context;
    struct bytes alpn = building->options->alpn;
    size_t at = 0;

    if (alpn.len == 0) {
        return true;
    }
    while (at < alpn.len && alpn.ptr[at] != 0) {
        at += 1u + alpn.ptr[at];
    }
    if (at != alpn.len || alpn.len > UINT16_MAX) {
        return failed(building, "the list of protocols is malformed");
    }
    context->alpn = OPENSSL_memdup(alpn.ptr, alpn.len);
    context->alpn_len = (uint32_t)alpn.len;
    if (context->alpn == NULL ||
        (!context->server &&
         SSL_CTX_set_alpn_protos(context->ssl, context->alpn, context->alpn_len) != 0)) {
        return failed(building, "out of memory");
    }
    return true;
}

static bool hash_part(EVP_MD_CTX *hash, struct bytes part)
{
    uint64_t len = part.len;

    return EVP_DigestUpdate(hash, &len, sizeof(len)) == 1 &&
           (len == 0 || EVP_DigestUpdate(hash, part.ptr, part.len) == 1);
}

/* All that a resumed session takes for granted. A client's own certificates count, because the
 * server remembers them; a server's do not: a renewed leaf must not void its clients' tickets. */
static bool set_fingerprint(const struct building *building)
{
    const struct tls_options *options = building->options;
    struct tls_context *context = building->context;
    uint8_t role[2] = {context->server, (uint8_t)context->verify};
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool done = hash != NULL && EVP_DigestInit_ex2(hash, tls_engine.hash, NULL) == 1 &&
                hash_part(hash, bytes_of(role, sizeof(role))) &&
                hash_part(hash, options->session_context) && hash_part(hash, options->trust);

    for (uint32_t i = 0; done && !context->server && i < options->certificate_count; i++) {
        done = hash_part(hash, options->certificates[i].chain);
    }
    done = done && EVP_DigestFinal_ex(hash, context->fingerprint, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return done || failed(building, NULL);
}

static bool set_resumption(const struct building *building)
{
    const struct tls_options *options = building->options;
    struct tls_context *context = building->context;

    context->lifetime_s = options->session_lifetime_s;
    if (!context->server) {
        tls_resume_setup(context);
        return true;
    }
    if (options->ticket_keys != NULL && options->ticket_key_count > 0 && context->lifetime_s > 0) {
        if (options->session_context.len == 0 || options->session_context.len > 32) {
            return failed(building, "resumption needs a session context of 1 to 32 bytes");
        }
        tls_context_set_tickets(context, options->ticket_keys, options->ticket_key_count);
    } else {
        context->lifetime_s = 0;
    }
    return tls_tickets_setup(context) || failed(building, NULL);
}

static bool build(const struct building *building)
{
    struct tls_context *context = building->context;
    const struct tls_options *options = building->options;

    context->ssl = SSL_CTX_new_ex(tls_engine.library, NULL,
                                  options->server ? TLS_server_method() : TLS_client_method());
    if (context->ssl == NULL) {
        return failed(building, NULL);
    }
    context->references = 1;
    context->server = options->server;
    context->verify = options->verify;
    context->alpn_required = options->alpn_required;
    set_modes(context->ssl);
    if (!set_versions(building) || !set_certificates(building) || !set_trust(building) ||
        !set_alpn(building) || !set_fingerprint(building) || !set_resumption(building)) {
        return false;
    }
    if (context->server) {
        tls_hello_setup(context);
    }
    return true;
}

int tls_context_create(const struct tls_options *options, struct tls_context **out, char *why,
                       size_t why_size)
{
    struct building building = {options, OPENSSL_zalloc(sizeof(struct tls_context)), why, why_size};
    bool built;

    MUST(tls_engine.bio != NULL); /* tls_init() comes first */
    *out = NULL;
    if (why_size > 0) {
        why[0] = 0;
    }
    built = building.context != NULL ? build(&building) : failed(&building, "out of memory");
    ERR_clear_error();
    if (!built) {
        if (building.context != NULL) {
            building.context->references = 1;
            tls_context_release(building.context);
        }
        return MESH_E_TLS;
    }
    *out = building.context;
    return MESH_OK;
}

struct tls_context *tls_context_retain(struct tls_context *context)
{
    MUST(context->references > 0);
    context->references++;
    return context;
}

static void drop_tickets(struct tls_context *context)
{
    OPENSSL_secure_clear_free(context->tickets, context->ticket_count * sizeof(*context->tickets));
    context->tickets = NULL;
    context->ticket_count = 0;
}

void tls_context_release(struct tls_context *context)
{
    if (context == NULL) {
        return;
    }
    MUST(context->references > 0);
    context->references--;
    if (context->references > 0) {
        return;
    }
    SSL_CTX_free(context->ssl);
    tls_leaf_free_set(&context->own);
    tls_leaf_free_set(&context->next);
    drop_tickets(context);
    OPENSSL_free(context->alpn);
    OPENSSL_free(context);
}

void tls_context_set_tickets(struct tls_context *context, const struct tls_ticket_key *keys,
                             uint32_t count)
{
    struct tls_ticket_key *copy = NULL;

    if (!context->server || context->lifetime_s == 0) {
        return; /* made without resumption: it stays so */
    }
    if (count > 0) {
        copy = OPENSSL_secure_malloc(count * sizeof(*keys));
    }
    if (copy != NULL) {
        memcpy(copy, keys, count * sizeof(*keys));
    }
    drop_tickets(context);
    context->tickets = copy;
    context->ticket_count = copy == NULL ? 0 : count;
}
