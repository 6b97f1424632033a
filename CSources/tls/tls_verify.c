/* Verification of the peer. The chain is the library's work (purpose, dates, depth, name
 * constraints, host name); then the identity is read from the verified leaf and compared. The
 * verified chain is dropped right after: what is needed of it stands in the session. */
#include "tls_private.h"

#include <openssl/err.h>

#include "base/err.h"

/* Seconds since 1970. */
static int64_t time_of(const ASN1_TIME *time)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0;
    int seconds = 0;

    if (epoch == NULL || ASN1_TIME_diff(&days, &seconds, epoch, time) != 1) {
        days = 0;
        seconds = 1; /* long over */
    }
    ASN1_TIME_free(epoch);
    return (int64_t)days * 86400 + seconds;
}

/* When the first certificate of the chain expires. */
static int64_t earliest_end(STACK_OF(X509) * chain)
{
    int64_t earliest = INT64_MAX;

    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t end = time_of(X509_get0_notAfter(sk_X509_value(chain, i)));

        earliest = end < earliest ? end : earliest;
    }
    return earliest;
}

static int refuse(X509_STORE_CTX *store, struct tls_session *session, int error, const char *why)
{
    X509_STORE_CTX_set_error(store, error);
    session->why = why;
    return 0;
}

/* 1 = accepted. The error left in `store` chooses the alert, both below give bad_certificate. */
static int check_identity(X509_STORE_CTX *store, struct tls_session *session)
{
    int err = tls_peer_learn(session, X509_STORE_CTX_get0_cert(store));

    if (err == MESH_E_NO_MEMORY) {
        return refuse(store, session, X509_V_ERR_OUT_OF_MEM, "out of memory");
    }
    if (err != MESH_OK) {
        return refuse(store, session, X509_V_ERR_CERT_REJECTED, "malformed SPIFFE id");
    }
    if (session->expected != NULL &&
        !bytes_equal(bytes_of(session->id, session->id_len),
                     bytes_of(session->expected, session->expected_len))) {
        return refuse(store, session, X509_V_ERR_HOSTNAME_MISMATCH, "peer has another identity");
    }
    return 1;
}

/* What ends the chain is trusted as it is: nobody has to say that it is not revoked. */
static int judge(int accepted, X509_STORE_CTX *store)
{
    int last = sk_X509_num(X509_STORE_CTX_get0_chain(store)) - 1;

    if (accepted != 0 || X509_STORE_CTX_get_error_depth(store) != last) {
        return accepted;
    }
    switch (X509_STORE_CTX_get_error(store)) {
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE:
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    default:
        return 0;
    }
}

static int verify_peer(X509_STORE_CTX *store, void *argument)
{
    struct tls_session *session = tls_engine.current;

    (void)argument;
    if (session->context->verify == TLS_VERIFY_NONE && session->expected == NULL) {
        X509_STORE_CTX_set_error(store, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_verify_cb(store, judge);
    if (X509_verify_cert(store) <= 0) {
        ERR_clear_error(); /* what it stumbled over; the result says what it means */
        return 0;
    }
    if (check_identity(store, session) == 0) {
        return 0;
    }
    session->expires_at = earliest_end(X509_STORE_CTX_get0_chain(store));
    X509_STORE_CTX_set0_verified_chain(store, NULL);
    return 1;
}

static int mode_of(const struct tls_context *context)
{
    if (context->verify == TLS_VERIFY_NONE) {
        return SSL_VERIFY_NONE;
    }
    if (context->server && context->verify == TLS_VERIFY_REQUEST) {
        return SSL_VERIFY_PEER;
    }
    return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

void tls_verify_setup(struct tls_context *context, X509_STORE *store, bool revocation)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(context->ssl);

    SSL_CTX_set_cert_store(context->ssl, store);
    SSL_CTX_set_verify(context->ssl, mode_of(context), NULL);
    SSL_CTX_set_cert_verify_callback(context->ssl, verify_peer, NULL);
    SSL_CTX_set_max_cert_list(context->ssl, TLS_CHAIN_BYTES_MAX);
    /* A trusted intermediate ends a chain: bundles of meshes whose root is kept offline hold no
     * more than that. */
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    if (revocation) {
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }
    X509_VERIFY_PARAM_set_depth(param, TLS_CHAIN_DEPTH);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                               X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
}

/* Host names go out as SNI and are checked; addresses are only checked. */
static bool expect_name(struct tls_session *session, struct bytes name, bool check)
{
    char text[TLS_NAME_MAX + 1];
    ASN1_OCTET_STRING *address;
    bool done;

    if (name.len > TLS_NAME_MAX || memchr(name.ptr, 0, name.len) != NULL) {
        session->why = "server name is not valid";
        return false;
    }
    memcpy(text, name.ptr, name.len);
    text[name.len] = 0;
    address = a2i_IPADDRESS(text);
    if (address != NULL) {
        done = !check || X509_VERIFY_PARAM_set1_ip(SSL_get0_param(session->ssl),
                                                   ASN1_STRING_get0_data(address),
                                                   (size_t)ASN1_STRING_length(address)) == 1;
        ASN1_OCTET_STRING_free(address);
    } else {
        int len = hello_host(name, (uint8_t *)text);

        if (len < 0) {
            session->why = "server name is not valid";
            return false;
        }
        text[len] = 0;
        name.len = (size_t)len;
        done = SSL_set_tlsext_host_name(session->ssl, text) == 1 &&
               (!check || SSL_set1_host(session->ssl, text) == 1);
    }
    session->name = OPENSSL_memdup(text, name.len);
    session->name_len = (uint8_t)name.len;
    return done && session->name != NULL;
}

bool tls_verify_expect(struct tls_session *session, struct bytes server_name,
                       struct bytes expected_id)
{
    if (expected_id.len > TLS_ID_MAX) {
        session->why = "expected identity is too long";
        return false;
    }
    if (expected_id.len > 0) {
        session->expected = OPENSSL_memdup(expected_id.ptr, expected_id.len);
        session->expected_len = (uint16_t)expected_id.len;
        if (session->expected == NULL) {
            return false;
        }
        /* An identity means nothing without its chain, whatever the context says. */
        SSL_set_verify(session->ssl, SSL_VERIFY_PEER, NULL);
    }
    if (server_name.len > 0) {
        bool check = expected_id.len == 0 && session->context->verify != TLS_VERIFY_NONE;

        return expect_name(session, server_name, check);
    }
    return true;
}
