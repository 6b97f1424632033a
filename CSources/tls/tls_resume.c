/* Client side of resumption. The pools above are keyed by all that matters; a session is compared
 * here once more, because resuming one skips the check of the server's certificate. */
#include "tls_private.h"

#include "base/err.h"

/* A ticket arrived (in TLS 1.3 any time after the handshake). Returns 1: the reference is ours. */
static int ticket_received(SSL *ssl, SSL_SESSION *ticket)
{
    struct tls_session *session = tls_engine.current;

    (void)ssl;
    SSL_SESSION_free(session->ticket);
    session->ticket = ticket;
    return 1;
}

void tls_resume_setup(struct tls_context *context)
{
    if (context->lifetime_s == 0) {
        SSL_CTX_set_session_cache_mode(context->ssl, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_options(context->ssl, SSL_OP_NO_TICKET);
        return;
    }
    SSL_CTX_set_session_cache_mode(context->ssl,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ssl, ticket_received);
}

struct tls_resume *tls_take_resume(struct tls_session *session)
{
    struct tls_resume *resume;
    int64_t end;

    if (session->ticket == NULL || !SSL_SESSION_is_resumable(session->ticket)) {
        return NULL;
    }
    resume = OPENSSL_zalloc(sizeof(*resume));
    if (resume == NULL) {
        return NULL;
    }
    if (session->name_len > 0) {
        resume->name = OPENSSL_memdup(session->name, session->name_len);
        resume->name_len = session->name_len;
        if (resume->name == NULL) {
            OPENSSL_free(resume);
            return NULL;
        }
    }
    end = (int64_t)SSL_SESSION_get_time(session->ticket) + session->context->lifetime_s;
    if (session->expires_at != 0 && session->expires_at < end) {
        end = session->expires_at;
    }
    resume->expires_at = end;
    resume->session = session->ticket;
    session->ticket = NULL;
    memcpy(resume->fingerprint, session->context->fingerprint, TLS_FINGERPRINT);
    return resume;
}

void tls_resume_free(struct tls_resume *resume)
{
    if (resume != NULL) {
        SSL_SESSION_free(resume->session);
        OPENSSL_free(resume->name);
        OPENSSL_free(resume);
    }
}

static bool has_expected_id(const struct tls_session *session, const struct tls_resume *resume)
{
    X509 *leaf = SSL_SESSION_get0_peer(resume->session);
    GENERAL_NAMES *names = NULL;
    struct bytes id;
    bool same;

    if (session->expected == NULL) {
        return true;
    }
    same = leaf != NULL && tls_peer_id_of(leaf, &names, &id) == MESH_OK &&
           bytes_equal(id, bytes_of(session->expected, session->expected_len));
    GENERAL_NAMES_free(names);
    return same;
}

void tls_resume_apply(struct tls_session *session, const struct tls_resume *resume)
{
    struct bytes name = bytes_of(session->name, session->name_len);
    SSL_SESSION *copy; /* the library marks a session used in TLS 1.3; `resume` is only read */

    if (session->context->lifetime_s == 0 || !SSL_SESSION_is_resumable(resume->session) ||
        memcmp(resume->fingerprint, session->context->fingerprint, TLS_FINGERPRINT) != 0 ||
        !bytes_equal(name, bytes_of(resume->name, resume->name_len)) ||
        tls_tickets_remaining(resume->expires_at) <= 0 || !has_expected_id(session, resume)) {
        return;
    }
    copy = SSL_SESSION_dup(resume->session);
    if (copy != NULL && SSL_set_session(session->ssl, copy) == 1) {
        session->expires_at = resume->expires_at;
    }
    SSL_SESSION_free(copy);
}
