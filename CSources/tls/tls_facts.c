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
