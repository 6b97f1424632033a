/* TLS as an engine over memory (OpenSSL): ciphertext in, ciphertext out, plaintext in, plaintext
 * out. No sockets and no clock of its own. One session belongs to one connection; contexts are
 * shared by the sessions of one worker. Not thread-safe, as nothing in a worker is. */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct tls_context; /* one role with its certificates, trust and options; counted */
struct tls_session; /* one connection */

enum tls_verify {
    TLS_VERIFY_NONE =
        0, /* the peer's certificate is not asked for (server) or not checked (client) */
    TLS_VERIFY_REQUEST, /* server: asked for, checked when given */
    TLS_VERIFY_REQUIRE, /* asked for and checked; its absence ends the handshake */
};

#define TLS_VERSION_1_2 0x0303u
#define TLS_VERSION_1_3 0x0304u

struct tls_ticket_key { /* session tickets shared by all workers (RFC 5077 form) */
    uint8_t name[16];
    uint8_t hmac[32];
    uint8_t aes[32];
};

struct tls_certificate {
    struct bytes chain; /* certificates in DER, leaf first, one behind the other */
    struct bytes key;   /* private key in DER (PKCS#8 or SEC1) */
    uint64_t id;        /* with `version` what its parsed form is remembered by; 0: it is not */
    uint64_t version;
};

#define TLS_CERTIFICATES_MAX 2u    /* of one name: one with an RSA key, one with another */
#define TLS_LEAVES_MAX       1024u /* parsed certificates that the process remembers */

/* Where a server finds the certificates of a name that a client asks for. Asked in each handshake;
 * what it gives is parsed when it is first used, and remembered. */
struct tls_source {
    /* How many certificates of the name are in `out`, of different kinds of keys; 0: the name is
     * not known, and the context's own certificates serve. */
    uint32_t (*find)(const void *argument, struct bytes name,
                     struct tls_certificate out[static TLS_CERTIFICATES_MAX]);
    const void *argument;
};

struct tls_options {
    bool server;
    enum tls_verify verify;
    uint16_t min_version; /* TLS_VERSION_*; 0 = 1.3 */
    uint16_t max_version; /* 0 = newest */
    const struct tls_certificate
        *certificates;          /* of different kinds of keys; may be NULL for clients */
    uint32_t certificate_count; /* <= TLS_CERTIFICATES_MAX */
    struct bytes trust; /* CA certificates in DER, one behind the other; empty with VERIFY_NONE */
    struct bytes
        alpn; /* wire form (RFC 7301): length-prefixed names, preferred first; empty = none */
    bool alpn_required; /* server: a client that offers only others is refused
                           (no_application_protocol) */
    const struct tls_ticket_key
        *ticket_keys; /* first encrypts, all decrypt; NULL = no resumption */
    uint32_t ticket_key_count;
    struct bytes session_context; /* <= 32 bytes; resumption only where it matches */
    uint32_t session_lifetime_s;  /* 0 = no resumption */
};

/* 0 and *out (count 1), or MESH_E_TLS with the reason in `why` (always terminated). Everything in
 * `options` is copied; private keys live on inside OpenSSL only. */
[[nodiscard]] int tls_context_create(const struct tls_options *options, struct tls_context **out,
                                     char *why, size_t why_size);
struct tls_context *tls_context_retain(struct tls_context *context);
void tls_context_release(struct tls_context *context);

/* Another version of a context's own certificates, in two steps: looked at first, then put to use
 * in the sessions from then on. MESH_E_STATE: their kinds of keys are not those that the context
 * was made with, so another context is needed; MESH_E_TLS with the reason in `why`. */
[[nodiscard]] int tls_context_prepare(struct tls_context *context,
                                      const struct tls_certificate *certificates, uint32_t count,
                                      char *why, size_t why_size);
void tls_context_renew(struct tls_context *context);

/* Where a server's certificates by name are from now on. A server that had a source and has none
 * (find NULL) refuses clients that name a server: what it would show them is not known any more. */
void tls_context_set_source(struct tls_context *context, struct tls_source source);
/* No source any more, if its argument is this. */
void tls_context_drop_source(struct tls_context *context, const void *argument);

/* Replaces the ticket keys of a server context. */
void tls_context_set_tickets(struct tls_context *context, const struct tls_ticket_key *keys,
                             uint32_t count);

/* NULL when memory is out. `server_name` (clients: SNI and, unless `expected_id` is set, the DNS
 * name to check) may be empty. `expected_id` (clients): the SPIFFE id the server must present;
 * empty = any that the trust bundle covers. `resume` may be NULL; it is only read. */
struct tls_resume; /* a client-side session to resume, counted by OpenSSL */
struct tls_session *tls_session_create(struct tls_context *context, struct bytes server_name,
                                       struct bytes expected_id, struct tls_resume *resume);
void tls_session_destroy(struct tls_session *session);

/* Whether it began with another context than this and nothing has come from the peer yet. */
bool tls_session_is_outdated(const struct tls_session *session, const struct tls_context *context);

enum tls_status {
    TLS_OPEN = 0,    /* handshake complete */
    TLS_HANDSHAKING, /* needs more ciphertext from the peer */
    TLS_PEER_CLOSED, /* close_notify received: no more plaintext will come */
    TLS_FAILED,      /* an alert may wait in the output; then close */
};

/* Feeds ciphertext. `in` is read in place: it must stay as it is until tls_read() has returned 0
 * or an error (then all of it is taken, and at most one partial record is kept inside), or until
 * tls_keep(). Answers of the protocol (handshake, alerts, key updates) appear in the output. */
enum tls_status tls_feed(struct tls_session *session, struct bytes in);

/* For a caller who cannot read on now but must give the fed slice back (back-pressure): copies what
 * is unread. Feeding before all is read does the same to the earlier bytes; more than 256 KiB
 * unread is a failure of the session. */
void tls_keep(struct tls_session *session);

/* Decrypts into `out`: bytes; 0 = none now (see tls_status_of); MESH_E_TLS. */
[[nodiscard]] int64_t tls_read(struct tls_session *session, uint8_t *out, size_t capacity);

/* Encrypts all of the parts; the ciphertext appears in the output. Only when TLS_OPEN. MESH_OK or
 * MESH_E_TLS. */
[[nodiscard]] int tls_write(struct tls_session *session, const struct bytes *parts, uint32_t count);

/* Puts close_notify into the output; the receiving side stays open (half-close). */
void tls_close_write(struct tls_session *session);

/* Ciphertext waiting to be sent: a slice valid until the next call on any session of the thread
 * (the output is one scratch of the worker: take it before you touch another session). Emptied by
 * tls_output_taken(). */
struct bytes tls_output(struct tls_session *session);
void tls_output_taken(struct tls_session *session);

/* Starts a client's handshake: its hello appears in the output. */
enum tls_status tls_start(struct tls_session *session);

enum tls_status tls_status_of(const struct tls_session *session);

/* After the handshake; empty slices when there is none. Valid as long as the session. */
struct bytes tls_alpn(const struct tls_session *session);
struct bytes
tls_server_name(const struct tls_session *session);          /* server: what the client asked for */
struct bytes tls_peer_id(const struct tls_session *session); /* SPIFFE URI of the verified peer */
struct bytes tls_peer_serial(const struct tls_session *session); /* big-endian bytes */
/* The verified peer's common name in UTF-8; its length, 0: none, longer than `capacity`, or with a
 * zero in it. */
size_t tls_peer_common_name(const struct tls_session *session, uint8_t *out, size_t capacity);
uint16_t tls_version(const struct tls_session *session);
struct bytes tls_cipher(const struct tls_session *session); /* its name in the RFCs */
bool tls_resumed(const struct tls_session *session);
/* Name of what failed: OpenSSL's reason or the verification error ("certificate has expired"). */
const char *tls_error(const struct tls_session *session);

/* Client: the newest session ticket received, to be resumed later; NULL when none. The caller owns
 * it. */
struct tls_resume *tls_take_resume(struct tls_session *session);
void tls_resume_free(struct tls_resume *resume);

/* Drops buffers of a session that has nothing in flight (memory of idle connections). */
void tls_idle(struct tls_session *session);

/* Once per process before any context; MESH_OK or MESH_E_TLS. */
[[nodiscard]] int tls_init(void);

/* SHA-256, without an allocation. */
#define TLS_SHA256_SIZE 32u
void tls_sha256(struct bytes in, uint8_t out[TLS_SHA256_SIZE]);

/* "openssl 3.0.19"; whether the kernel offers kTLS (probed once by tls_init's caller, see ring). */
const char *tls_library(void);

#endif
