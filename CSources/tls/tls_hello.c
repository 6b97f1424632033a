/* What a server decides on the client's hello: the certificate by server name, and the protocol by
 * ALPN (RFC 7301). The name is read before anything else of the hello, tickets included. */
#include "tls_private.h"

static bool note_name(struct tls_session *session, struct bytes name)
{
    if (session->name != NULL) { /* the hello after a retry request: nothing may change */
        return bytes_equal(name, bytes_of(session->name, session->name_len));
    }
    session->name = OPENSSL_memdup(name.ptr, name.len);
    session->name_len = session->name == NULL ? 0 : (uint8_t)name.len;
    return session->name != NULL;
}

/* Whether a set of certificates is the context's own, which a session has from its birth. */
static bool is_own(const struct tls_context *context, const struct tls_certificate *chosen,
                   uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        bool found = false;

        for (int kind = 0; kind < TLS_LEAF_KIND_COUNT; kind++) {
            const struct tls_leaf *leaf = &context->own.kinds[kind];

            found = found || (leaf->id != 0 && leaf->id == chosen[i].id &&
                              leaf->version == chosen[i].version);
        }
        if (!found) {
            return false;
        }
    }
    /* A name with one kind of key does not get the other from the defaults. */
    return (context->own.kinds[0].x509 != NULL) + (context->own.kinds[1].x509 != NULL) ==
           (int)count;
}

static bool use_certificates(struct tls_session *session, const struct tls_certificate *chosen,
                             uint32_t count)
{
    SSL_certs_clear(session->ssl);
    for (uint32_t i = 0; i < count; i++) {
        const struct tls_leaf *leaf = tls_leaves_get(&chosen[i], &session->why);

        if (leaf == NULL ||
            SSL_use_cert_and_key(session->ssl, leaf->x509, leaf->key, leaf->chain, 1) != 1) {
            return false;
        }
    }
    return true;
}

static bool choose(struct tls_session *session, struct bytes name)
{
    const struct tls_context *context = session->context;
    struct tls_certificate chosen[TLS_CERTIFICATES_MAX];
    uint32_t count;

    if (context->source.find == NULL) {
        session->why = context->sourced ? "the configuration has changed" : NULL;
        return !context->sourced;
    }
    count = context->source.find(context->source.argument, name, chosen);
    return count == 0 || is_own(context, chosen, count) || use_certificates(session, chosen, count);
}

static int hello_received(SSL *ssl, int *alert, void *argument)
{
    struct tls_session *session = tls_engine.current;
    const unsigned char *extension;
    uint8_t name[TLS_NAME_MAX];
    size_t extension_len;
    int len;

    (void)argument;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &extension, &extension_len) != 1) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    len = hello_server_name(bytes_of(extension, extension_len), name);
    if (len < 0) {
        session->why = "server name is not valid";
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (!note_name(session, bytes_of(name, (size_t)len))) {
        session->why = "server name changed";
        *alert = SSL_AD_ILLEGAL_PARAMETER;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (!choose(session, bytes_of(name, (size_t)len))) {
        session->why = session->why != NULL ? session->why : "certificate cannot be used";
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* The server's preference decides. The library has checked the client's list. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *offered, unsigned int offered_len, void *argument)
{
    const struct tls_context *context = tls_engine.current->context;

    (void)ssl;
    (void)argument;
    for (uint32_t i = 0; i < context->alpn_len; i += 1u + context->alpn[i]) {
        struct bytes ours = bytes_of(context->alpn + i + 1, context->alpn[i]);

        for (uint32_t k = 0; k < offered_len; k += 1u + offered[k]) {
            if (bytes_equal(ours, bytes_of(offered + k + 1, offered[k]))) {
                *out = ours.ptr;
                *out_len = (unsigned char)ours.len;
                return SSL_TLSEXT_ERR_OK;
            }
        }
    }
    return context->alpn_required ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_NOACK;
}

void tls_hello_setup(struct tls_context *context)
{
    SSL_CTX_set_client_hello_cb(context->ssl, hello_received, NULL);
    if (context->alpn_len > 0) {
        SSL_CTX_set_alpn_select_cb(context->ssl, select_protocol, NULL);
    }
}
