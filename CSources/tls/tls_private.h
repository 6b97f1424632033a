/* Inside of the TLS room: what its files share. Only they and the room's tests include it.
 *
 * Every call from outside enters through tls_bio_enter(), so that the callbacks of OpenSSL find
 * their session in tls_engine.current; no session needs ex_data or a BIO of its own. */
#ifndef TLS_TLS_PRIVATE_H
#define TLS_TLS_PRIVATE_H

#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/tls.h"
#include "wire/hello.h"

#define TLS_RECORD_MAX        16384u        /* plaintext of one record (RFC 8446 5.1) */
#define TLS_OUTPUT_MAX        (1024u << 10) /* ciphertext not yet taken, of one session */
#define TLS_INPUT_MAX         (256u << 10)  /* ciphertext fed and not yet read, of one session */
#define TLS_HANDSHAKE_MAX     (256u << 10)  /* ciphertext from the peer before it is done */
#define TLS_CHAIN_BYTES_MAX   (64u << 10)   /* certificates that the peer shows */
#define TLS_CHAIN_DEPTH       4             /* intermediates between a leaf and its root */
#define TLS_AFTERWARDS_MAX    64u    /* handshake messages after the handshake, see tls_read */
#define TLS_AFTERWARDS_CREDIT 65536u /* plaintext bytes that pay for one of them */
#define TLS_NAME_MAX          HELLO_MAX_NAME
#define TLS_ID_MAX            2048u /* a SPIFFE id (SPIFFE-ID 2.3) */
#define TLS_FINGERPRINT       32u

_Static_assert(TLS_OUTPUT_MAX > 4 * TLS_INPUT_MAX - 1, "answers to one feed fit the output");

enum tls_leaf_kind {
    TLS_LEAF_RSA = 0,
    TLS_LEAF_EC, /* ECDSA and EdDSA: what a modern client takes first */
    TLS_LEAF_KIND_COUNT
};

struct tls_leaf { /* one certificate of our own, parsed; x509 NULL: none */
    X509 *x509;
    EVP_PKEY *key;
    STACK_OF(X509) * chain; /* intermediates, shared between leaves */
    uint64_t id;
    uint64_t version;
};

/* A context's own certificates by kind of key. */
struct tls_leaf_set {
    struct tls_leaf kinds[TLS_LEAF_KIND_COUNT];
};

_Static_assert(TLS_CERTIFICATES_MAX == TLS_LEAF_KIND_COUNT, "one of each kind");

struct tls_context {
    SSL_CTX *ssl;
    uint32_t references;
    bool server;
    bool alpn_required;
    enum tls_verify verify;
    uint32_t lifetime_s; /* of a session that may be resumed; 0 = none is */
    bool sourced;        /* has, or had, a source */
    struct tls_source source;
    struct tls_leaf_set own;
    struct tls_leaf_set next; /* looked at, not in use yet; all empty: none */
    uint8_t *alpn;
    uint32_t alpn_len;
    uint32_t ticket_count;
    struct tls_ticket_key *tickets;
    uint8_t fingerprint[TLS_FINGERPRINT]; /* of all that a resumed session takes for granted */
};

struct tls_session {
    SSL *ssl;
    struct tls_context *context;
    struct bytes in;     /* ciphertext not yet read: the caller's slice, or `kept` */
    uint8_t *kept;       /* own copy of unread ciphertext; NULL = none */
    uint8_t *held;       /* output that had to leave the scratch; NULL = none */
    uint8_t *name;       /* server: name asked for; client: name to check */
    uint8_t *id;         /* SPIFFE id of the peer */
    uint8_t *expected;   /* client: id to insist on; gone after the handshake */
    const char *why;     /* static text; NULL = nothing failed */
    SSL_SESSION *ticket; /* client: the newest one received */
    int64_t expires_at;  /* the peer's certificates are good until then (unix time); 0 = no peer */
    uint32_t held_len;
    uint32_t moved_in;    /* ciphertext bytes during the handshake; then plaintext credit */
    uint32_t records_out; /* since the last change of the sending key */
    uint16_t id_len;
    uint16_t expected_len;
    uint8_t name_len;
    uint8_t status;     /* enum tls_status */
    uint8_t afterwards; /* handshake messages after the handshake, not yet paid for */
    uint8_t first_len;
    uint8_t first[8]; /* first bytes from the peer: tells HTTP from noise */
    uint8_t serial[20];
    uint8_t serial_len;
    bool close_sent;
    bool untidy; /* handshake messages since the buffers were last given back */
};

struct tls_resume {
    SSL_SESSION *session;
    int64_t expires_at;
    uint8_t fingerprint[TLS_FINGERPRINT];
    uint8_t *name;
    uint8_t name_len;
};

/* What the process has once: library, BIO, output scratch. */
struct tls_engine {
    OSSL_LIB_CTX *library;     /* see tls_library.c */
    OSSL_LIB_CTX *depot;       /* where the default provider lives, see tls_algorithms.c */
    OSSL_PROVIDER *algorithms; /* the default provider */
    OSSL_PROVIDER *nothing;    /* held, because the library ends without giving it back */
    EVP_CIPHER *ticket_cipher;
    EVP_MD *hash;
    BIO_METHOD *method;
    BIO *bio;
    struct tls_session *current; /* whose call runs */
    struct tls_session *owner;   /* whose ciphertext the scratch holds */
    uint8_t *scratch;
    size_t scratch_len;
    size_t scratch_capacity;
};
extern struct tls_engine tls_engine;

/* tls_algorithms.c */
[[nodiscard]] bool tls_algorithms_load(void);

/* tls_kdf.c: own implementations, an array that ends with one without a name. */
extern const OSSL_ALGORITHM tls_kdf_algorithms[];

/* tls_keys.c: the same for keys; filled by tls_keys_init(), false: the library has no X25519. */
extern OSSL_ALGORITHM tls_keys_algorithms[];
[[nodiscard]] bool tls_keys_init(void);
/* The public half of X25519 (RFC 7748 6.1), in a time that does not depend on the private one. */
void tls_keys_public(const uint8_t private_key[static 32], uint8_t public_key[static 32]);

/* tls_bio.c */
[[nodiscard]] bool tls_bio_init(void);
/* Makes `session` the current one; output of another session moves out of the scratch to it. */
void tls_bio_enter(struct tls_session *session);
void tls_bio_forget(struct tls_session *session);

/* tls_leaf.c */
/* NULL, or what is wrong. */
const char *tls_leaf_load(struct tls_leaf *leaf, const struct tls_certificate *from);
/* Another owner of the same parsed certificate. */
struct tls_leaf tls_leaf_share(const struct tls_leaf *leaf);
void tls_leaf_free(struct tls_leaf *leaf);
void tls_leaf_free_set(struct tls_leaf_set *set);
enum tls_leaf_kind tls_leaf_kind_of(const struct tls_leaf *leaf);
struct tls_trust_count {
    uint32_t authorities;
    uint32_t lists; /* of revoked certificates */
};
/* NULL, or what is wrong; `count` is set. */
const char *tls_leaf_load_trust(struct bytes der, X509_STORE *store, STACK_OF(X509_NAME) * names,
                                struct tls_trust_count *count);
/* Takes one certificate off the front of *rest; an empty slice when there is no whole one. */
struct bytes tls_leaf_next(struct bytes *rest);
/* NULL: not valid DER. */
X509 *tls_leaf_parse(struct bytes der);

/* tls_leaves.c: parsed certificates, remembered by id and version. */
/* The parsed form, which stays until the next call; NULL and *why when it cannot be had. */
[[nodiscard]] const struct tls_leaf *tls_leaves_get(const struct tls_certificate *from,
                                                    const char **why);
/* One reference to a certificate of a chain, parsed now or before; NULL: not valid DER. */
[[nodiscard]] X509 *tls_leaves_intermediate(struct bytes der);
uint32_t tls_leaves_count(void);
void tls_leaves_clear(void);

/* tls_peer.c: what a certificate says about its owner. */
/* The SPIFFE id of `leaf`; empty when it has none; MESH_E_SYNTAX when its URIs break the rules. The
 * slice lives in `names`, which the caller frees. */
[[nodiscard]] int tls_peer_id_of(X509 *leaf, GENERAL_NAMES **names, struct bytes *out);
/* Notes id and serial in the session. MESH_OK, MESH_E_SYNTAX or MESH_E_NO_MEMORY. */
[[nodiscard]] int tls_peer_learn(struct tls_session *session, X509 *leaf);

/* tls_verify.c */
/* `revocation`: every certificate below the trusted one needs a list of its issuer. */
void tls_verify_setup(struct tls_context *context, X509_STORE *store, bool revocation);
[[nodiscard]] bool tls_verify_expect(struct tls_session *session, struct bytes server_name,
                                     struct bytes expected_id);

/* tls_tickets.c: server side of resumption. */
[[nodiscard]] bool tls_tickets_setup(struct tls_context *context);
/* Seconds from now until `at` (unix time), by the library's clock. */
int64_t tls_tickets_remaining(int64_t at);

/* tls_resume.c: client side of resumption. */
void tls_resume_setup(struct tls_context *context);
void tls_resume_apply(struct tls_session *session, const struct tls_resume *resume);

/* tls_hello.c: what a server decides on the client's hello. */
void tls_hello_setup(struct tls_context *context);

/* tls_error.c: names of failures. */
const char *tls_error_describe(const struct tls_session *session);

/* tls_session.c */
void tls_session_handshake(struct tls_session *session);
void tls_session_fail(struct tls_session *session);
void tls_session_drop_input(struct tls_session *session);

/* tls.c: records until the sending key is changed; less only in tests. */
extern uint32_t tls_rekey_after;

#endif
