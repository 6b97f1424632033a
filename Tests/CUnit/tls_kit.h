/* What tests, fuzzers and benchmarks of the TLS room share: a certificate factory, and two sessions
 * wired to each other in memory. */
#ifndef TLS_KIT_H
#define TLS_KIT_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "tls/tls.h"

#define TLS_KIT_ID "spiffe://td.example/ns/default/dc/dc1/svc/web"

enum tls_kit_key { TLS_KIT_EC = 0, TLS_KIT_RSA, TLS_KIT_ED25519 };

struct tls_kit_spec {
    const char *name;                  /* common name */
    const struct tls_kit_cert *issuer; /* NULL: signs itself */
    enum tls_kit_key key;
    bool ca;
    const char *san;         /* OpenSSL notation ("DNS:a,URI:b"); NULL = none */
    const char *usage;       /* keyUsage; NULL = none */
    const char *extended;    /* extendedKeyUsage; NULL = none */
    const char *constraints; /* nameConstraints; NULL = none */
    struct bytes uri;        /* instead of `san`: one URI as it is, NULs and all */
    int64_t from_s;          /* offsets from now; both 0: an hour ago to in a day */
    int64_t to_s;
};

struct tls_kit_cert {
    X509 *x509;
    EVP_PKEY *key;
    struct bytes der; /* owned */
    struct bytes key_der;
};

struct tls_kit_cert tls_kit_issue(const struct tls_kit_spec *spec);
void tls_kit_free(struct tls_kit_cert *cert);
/* DER of several, one behind the other; the caller frees ptr. */
struct bytes tls_kit_join(const struct tls_kit_cert *const *certs, uint32_t count);
void tls_kit_join_free(struct bytes joined);

/* A certificate authority with one server and one client leaf, made once per process. */
struct tls_kit_world {
    struct tls_kit_cert ca;
    struct tls_kit_cert server; /* id TLS_KIT_ID, DNS web.example, *.wild.example */
    struct tls_kit_cert client; /* id .../svc/api */
    struct tls_certificate server_use;
    struct tls_certificate client_use;
};
const struct tls_kit_world *tls_kit_world(void);
struct tls_certificate tls_kit_use(const struct tls_kit_cert *cert);
/* Mutual TLS as sidecars do it, with resumption; change what the test is about. */
struct tls_options tls_kit_server_options(void);
struct tls_options tls_kit_client_options(void);
/* Stops the process when the options are refused. */
struct tls_context *tls_kit_context(const struct tls_options *options);

struct tls_kit_end {
    struct tls_session *session;
    uint8_t *plain; /* everything read so far */
    size_t plain_len;
    size_t plain_capacity;
    size_t sent; /* ciphertext bytes that left this end */
};

struct tls_kit_pair {
    struct tls_kit_end client;
    struct tls_kit_end server;
};

struct tls_kit_pair tls_kit_pair(struct tls_context *client, struct tls_context *server,
                                 struct bytes name, struct tls_resume *resume);
struct tls_kit_pair tls_kit_pair_expecting(struct tls_context *client, struct tls_context *server,
                                           struct bytes expected_id);
void tls_kit_pair_free(struct tls_kit_pair *pair);
/* Gives ciphertext to an end in slices of at most `slice` bytes (0 = at once), each in memory of
 * its exact size that is gone afterwards, and reads all plaintext. */
void tls_kit_feed(struct tls_kit_end *to, struct bytes in, size_t slice);
/* Moves what one end has to say to the other; bytes moved. */
size_t tls_kit_move(struct tls_kit_end *from, struct tls_kit_end *to, size_t slice);
/* Starts the client if need be and moves both ways until both are silent. */
void tls_kit_run(struct tls_kit_pair *pair, size_t slice);
/* Both ends are TLS_OPEN. */
bool tls_kit_is_open(const struct tls_kit_pair *pair);

#endif
