/* What is known of a session. */
#include <string.h>

#include "tls_private.h"

enum tls_status tls_status_of(const struct tls_session *session)
{
    return session->status;
}

struct bytes tls_alpn(const struct tls_session *session)
{
    const unsigned char *name = NULL;
    unsigned int len = 0;

    SSL_get0_alpn_selected(session->ssl, &name, &len);
    return bytes_of(name, len);
}

struct bytes tls_server_name(const struct tls_session *session)
{
    return bytes_of(session->name, session->name_len);
}

struct bytes tls_peer_id(const struct tls_session *session)
{
    return bytes_of(session->id, session->id_len);
}

struct bytes tls_peer_serial(const struct tls_session *session)
{
    return bytes_of(session->serial, session->serial_len);
}

size_t tls_peer_common_name(const struct tls_session *session, uint8_t *out, size_t capacity)
{
    X509 *leaf = session->serial_len == 0 ? NULL : SSL_get0_peer_certificate(session->ssl);
    X509_NAME *subject = leaf == NULL ? NULL : X509_get_subject_name(leaf);
    int at = subject == NULL ? -1 : X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    unsigned char *text = NULL;
    size_t length = 0;
    int got;

    if (at < 0) {
        return 0;
    }
    got = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (got > 0 && (size_t)got <= capacity && memchr(text, 0, (size_t)got) == NULL) {
        length = (size_t)got;
        memcpy(out, text, length);
    }
    OPENSSL_free(text);
    return length;
}

uint16_t tls_version(const struct tls_session *session)
{
    return session->status == TLS_HANDSHAKING ? 0 : (uint16_t)SSL_version(session->ssl);
}

struct bytes tls_cipher(const struct tls_session *session)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(session->ssl);
    const char *name = cipher == NULL ? NULL : SSL_CIPHER_standard_name(cipher);

    return bytes_of(name, name == NULL ? 0 : strlen(name));
}

bool tls_resumed(const struct tls_session *session)
{
    return SSL_session_reused(session->ssl) == 1;
}

const char *tls_error(const struct tls_session *session)
{
    return session->why != NULL ? session->why : "no error";
}
