/* Birth, handshake and death of a session. */
#include "tls_private.h"

#include <openssl/err.h>

#include "base/err.h"

static bool attach(struct tls_session *session)
{
    struct tls_context *context = session->context;

    session->ssl = SSL_new(context->ssl);
    if (session->ssl == NULL) {
        return false;
    }
    BIO_up_ref(tls_engine.bio); /* reading and writing side share this one reference */
    SSL_set_bio(session->ssl, tls_engine.bio, tls_engine.bio);
    if (context->server) {
        SSL_set_accept_state(session->ssl);
        if (context->ticket_count == 0) {
            SSL_set_options(session->ssl, SSL_OP_NO_TICKET);
            SSL_set_num_tickets(session->ssl, 0);
        }
    } else {
        SSL_set_connect_state(session->ssl);
    }
    return true;
}

struct tls_session *tls_session_create(struct tls_context *context, struct bytes server_name,
                                       struct bytes expected_id, struct tls_resume *resume)
{
    struct tls_session *session = OPENSSL_zalloc(sizeof(*session));

    if (session == NULL) {
        return NULL;
    }
    session->context = tls_context_retain(context);
    session->status = TLS_HANDSHAKING;
    if (!attach(session)) {
        goto failed;
    }
    if (!context->server) {
        if (!tls_verify_expect(session, server_name, expected_id)) {
            if (session->why == NULL) {
                goto failed;
            }
            session->status = TLS_FAILED; /* tls_start() will say so */
        } else if (resume != NULL) {
            tls_resume_apply(session, resume);
        }
    }
    ERR_clear_error();
    return session;
failed:
    ERR_clear_error();
    tls_session_destroy(session);
    return NULL;
}

bool tls_session_is_outdated(const struct tls_session *session, const struct tls_context *context)
{
    return session->context != context && session->status == TLS_HANDSHAKING &&
           session->first_len == 0;
}

void tls_session_destroy(struct tls_session *session)
{
    if (session == NULL) {
        return;
    }
    tls_engine.current = session;
    if (session->ssl != NULL && session->status != TLS_FAILED) {
        /* However the connection ended, the ticket it brought stays good: without this the library
         * would mark it. */
        SSL_set_shutdown(session->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(session->ssl);
    SSL_SESSION_free(session->ticket);
    tls_bio_forget(session);
    tls_context_release(session->context);
    OPENSSL_free(session->kept);
    OPENSSL_free(session->held);
    OPENSSL_free(session->name);
    OPENSSL_free(session->id);
    OPENSSL_free(session->expected);
    OPENSSL_free(session);
}

void tls_session_drop_input(struct tls_session *session)
{
    OPENSSL_free(session->kept);
    session->kept = NULL;
    session->in = (struct bytes){0};
}

void tls_session_fail(struct tls_session *session)
{
    session->why = tls_error_describe(session);
    if (session->status == TLS_HANDSHAKING) { /* nobody has been verified */
        OPENSSL_free(session->id);
        session->id = NULL;
        session->id_len = 0;
        session->serial_len = 0;
    }
    session->status = TLS_FAILED;
    tls_session_drop_input(session);
    ERR_clear_error();
}

/* The handshake is done: what the peer is stands in the session from the verification, or is read
 * from the ticket's certificate now. */
static bool identify(struct tls_session *session)
{
    bool verifies = session->context->verify != TLS_VERIFY_NONE || session->expected != NULL;
    X509 *leaf = SSL_get0_peer_certificate(session->ssl);

    if (!verifies || leaf == NULL || SSL_session_reused(session->ssl) == 0) {
        return true;
    }
    if (tls_peer_learn(session, leaf) != MESH_OK) {
        session->why = "malformed SPIFFE id";
        return false;
    }
    if (session->expected != NULL &&
        !bytes_equal(bytes_of(session->id, session->id_len),
                     bytes_of(session->expected, session->expected_len))) {
        session->why = "peer has another identity";
        return false;
    }
    return true;
}

void tls_session_handshake(struct tls_session *session)
{
    int done = SSL_do_handshake(session->ssl);

    if (done == 1) {
        if (!identify(session)) {
            tls_session_fail(session);
            return;
        }
        session->status = TLS_OPEN;
        session->moved_in = 0;
        OPENSSL_free(session->expected);
        session->expected = NULL;
        session->expected_len = 0;
    } else if (SSL_get_error(session->ssl, done) != SSL_ERROR_WANT_READ) {
        tls_session_fail(session);
    } else if (session->moved_in > TLS_HANDSHAKE_MAX) {
        session->why = "handshake is too long";
        tls_session_fail(session);
    }
    ERR_clear_error();
}
