/* Server side of resumption: stateless tickets that every worker with the same keys can open.
 *
 * A resumed session skips the certificates, so a ticket carries, sealed with the rest, what the
 * full handshake had found, and is honoured only where all of it is still true:
 *
 *   u8 version | u8 name length | u64 end of the peer's chain | 32 fingerprint | name
 *
 * The fingerprint covers trust bundle, verify mode and session context (the listener); the name is
 * what the client asked for. Big-endian; another version is not opened. */
#include "tls_private.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#define NOTE_VERSION 1
#define NOTE_HEAD    (10 + TLS_FINGERPRINT)
#define NOTE_MAX     (NOTE_HEAD + TLS_NAME_MAX)

int64_t tls_tickets_remaining(int64_t at)
{
    ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)at);
    int days = 0;
    int seconds = 0;

    if (time == NULL || ASN1_TIME_diff(&days, &seconds, NULL, time) != 1) {
        days = -1;
    }
    ASN1_TIME_free(time);
    return (int64_t)days * 86400 + seconds;
}

static void store_u64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(value >> (56 - 8 * i));
    }
}

static uint64_t load_u64(const uint8_t *in)
{
    uint64_t value = 0;

    for (int i = 0; i < 8; i++) {
        value = value << 8 | in[i];
    }
    return value;
}

/* The part of the note that says what must be the same again. */
static size_t note_write(const struct tls_session *session, uint8_t note[static NOTE_MAX])
{
    note[0] = NOTE_VERSION;
    note[1] = session->name_len;
    store_u64(note + 2, (uint64_t)session->expires_at);
    memcpy(note + 10, session->context->fingerprint, TLS_FINGERPRINT);
    if (session->name_len > 0) {
        memcpy(note + NOTE_HEAD, session->name, session->name_len);
    }
    return NOTE_HEAD + session->name_len;
}

/* Before a ticket is made: bind it, and let it end no later than the peer's certificates. */
static int ticket_generate(SSL *ssl, void *argument)
{
    const struct tls_session *session = tls_engine.current;
    SSL_SESSION *sealed = SSL_get_session(ssl);
    int64_t life = session->context->lifetime_s;
    uint8_t note[NOTE_MAX];
    size_t len = note_write(session, note);

    (void)argument;
    if (session->expires_at != 0) {
        int64_t rest = tls_tickets_remaining(session->expires_at);

        life = rest < life ? rest : life;
        life = life < 1 ? 1 : life;
    }
    SSL_SESSION_set_timeout(sealed, (long)life);
    return SSL_SESSION_set1_ticket_appdata(sealed, note, len);
}

/* A ticket opened: 1 when the session may be resumed here and now. */
static bool ticket_holds(struct tls_session *session, SSL_SESSION *sealed)
{
    uint8_t expected[NOTE_MAX];
    void *data = NULL;
    size_t len = 0;
    const uint8_t *note;
    int64_t end;

    if (SSL_SESSION_get0_ticket_appdata(sealed, &data, &len) != 1 || len < NOTE_HEAD) {
        return false;
    }
    note = data;
    end = (int64_t)load_u64(note + 2);
    if (end != 0 && tls_tickets_remaining(end) <= 0) {
        return false;
    }
    session->expires_at = end;
    if (len != note_write(session, expected) || CRYPTO_memcmp(note, expected, len) != 0) {
        session->expires_at = 0;
        return false;
    }
    return true;
}

static SSL_TICKET_RETURN ticket_opened(SSL *ssl, SSL_SESSION *sealed, const unsigned char *name,
                                       size_t name_len, SSL_TICKET_STATUS status, void *argument)
{
    (void)name;
    (void)name_len;
    (void)argument;
    if (status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW) {
        if (!ticket_holds(tls_engine.current, sealed)) {
            return SSL_TICKET_RETURN_IGNORE_RENEW;
        }
        /* Clients of TLS 1.3 use a ticket once (RFC 8446 C.4), so each connection brings one. */
        return status == SSL_TICKET_SUCCESS && SSL_version(ssl) != TLS1_3_VERSION
                   ? SSL_TICKET_RETURN_USE
                   : SSL_TICKET_RETURN_USE_RENEW;
    }
    return SSL_TICKET_RETURN_IGNORE_RENEW;
}

static bool seal_with(const struct tls_ticket_key *key, EVP_MAC_CTX *mac)
{
    uint8_t secret[sizeof(key->hmac)];
    OSSL_PARAM params[3];
    bool done;

    memcpy(secret, key->hmac, sizeof(secret));
    params[0] = OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof(secret));
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0);
    params[2] = OSSL_PARAM_construct_end();
    done = EVP_MAC_CTX_set_params(mac, params) == 1;
    OPENSSL_cleanse(secret, sizeof(secret));
    return done;
}

/* The library asks for keys: to seal, with a name to write; to open, with the name found. 0 = go on
 * without a ticket, 1 = use it, 2 = use it and give a new one. */
static int ticket_keys(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                       EVP_MAC_CTX *mac, int sealing)
{
    const struct tls_context *context = tls_engine.current->context;
    const EVP_CIPHER *aes = tls_engine.ticket_cipher;
    const struct tls_ticket_key *key = context->tickets;

    (void)ssl;
    if (sealing) {
        if (context->ticket_count == 0 ||
            RAND_bytes_ex(tls_engine.library, iv, (size_t)EVP_CIPHER_get_iv_length(aes), 0) != 1) {
            return 0;
        }
        memcpy(name, key->name, sizeof(key->name));
        return EVP_EncryptInit_ex2(cipher, aes, key->aes, iv, NULL) == 1 && seal_with(key, mac);
    }
    for (uint32_t i = 0; i < context->ticket_count; i++) {
        key = &context->tickets[i];
        if (CRYPTO_memcmp(name, key->name, sizeof(key->name)) == 0) {
            if (EVP_DecryptInit_ex2(cipher, aes, key->aes, iv, NULL) != 1 || !seal_with(key, mac)) {
                return 0;
            }
            return i == 0 ? 1 : 2;
        }
    }
    return 0;
}

bool tls_tickets_setup(struct tls_context *context)
{
    SSL_CTX *ssl = context->ssl;

    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ssl, 1);
    SSL_CTX_set_timeout(ssl, (long)context->lifetime_s);
    return SSL_CTX_set_session_id_context(ssl, context->fingerprint, TLS_FINGERPRINT) == 1 &&
           SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, ticket_keys) == 1 &&
           SSL_CTX_set_session_ticket_cb(ssl, ticket_generate, ticket_opened, NULL) == 1;
}
