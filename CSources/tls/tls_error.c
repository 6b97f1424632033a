/* Names of failures, for people: all of static storage. */
#include "tls_private.h"

#include <openssl/err.h>
#include <openssl/sslerr.h>

static const char *alert_name(int alert)
{
    switch (alert) {
    case SSL_AD_UNEXPECTED_MESSAGE:
        return "peer sent alert: unexpected message";
    case SSL_AD_BAD_RECORD_MAC:
        return "peer sent alert: bad record mac";
    case SSL_AD_HANDSHAKE_FAILURE:
        return "peer sent alert: handshake failure";
    case SSL_AD_BAD_CERTIFICATE:
        return "peer sent alert: bad certificate";
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
        return "peer sent alert: unsupported certificate";
    case SSL_AD_CERTIFICATE_REVOKED:
        return "peer sent alert: certificate revoked";
    case SSL_AD_CERTIFICATE_EXPIRED:
        return "peer sent alert: certificate expired";
    case SSL_AD_CERTIFICATE_UNKNOWN:
        return "peer sent alert: certificate unknown";
    case SSL_AD_ILLEGAL_PARAMETER:
        return "peer sent alert: illegal parameter";
    case SSL_AD_UNKNOWN_CA:
        return "peer sent alert: unknown ca";
    case SSL_AD_ACCESS_DENIED:
        return "peer sent alert: access denied";
    case SSL_AD_DECODE_ERROR:
        return "peer sent alert: decode error";
    case SSL_AD_DECRYPT_ERROR:
        return "peer sent alert: decrypt error";
    case SSL_AD_PROTOCOL_VERSION:
        return "peer sent alert: protocol version";
    case SSL_AD_INSUFFICIENT_SECURITY:
        return "peer sent alert: insufficient security";
    case SSL_AD_INTERNAL_ERROR:
        return "peer sent alert: internal error";
    case SSL_AD_MISSING_EXTENSION:
        return "peer sent alert: missing extension";
    case SSL_AD_UNSUPPORTED_EXTENSION:
        return "peer sent alert: unsupported extension";
    case SSL_AD_UNRECOGNIZED_NAME:
        return "peer sent alert: unrecognized name";
    case SSL_AD_CERTIFICATE_REQUIRED:
        return "peer sent alert: certificate required";
    case SSL_AD_NO_APPLICATION_PROTOCOL:
        return "peer sent alert: no application protocol";
    default:
        return "peer sent an alert";
    }
}

/* Plaintext HTTP is the usual visitor of a TLS port, and of a plaintext port the usual answer. The
 * library knows some methods only. */
static const char *plaintext_name(const struct tls_session *session)
{
    uint32_t letters = 0;

    if (session->first_len >= 5 && memcmp(session->first, "HTTP/", 5) == 0) {
        return "http response";
    }
    while (letters < session->first_len && (uint8_t)(session->first[letters] - 'A') < 26) {
        letters++;
    }
    if (letters < 3) {
        return NULL;
    }
    if (letters == session->first_len || session->first[letters] == ' ') {
        return "http request";
    }
    return NULL;
}

const char *tls_error_describe(const struct tls_session *session)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    long verified = SSL_get_verify_result(session->ssl);
    const char *text;

    if (session->why != NULL) { /* a callback of ours knows best */
        return session->why;
    }
    text = plaintext_name(session);
    if (text != NULL) {
        return text;
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET) {
        return alert_name(reason - SSL_AD_REASON_OFFSET);
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason == SSL_R_CERTIFICATE_VERIFY_FAILED &&
        verified != X509_V_OK) {
        return X509_verify_cert_error_string(verified);
    }
    text = ERR_reason_error_string(code);
    return text != NULL ? text : "protocol error";
}
