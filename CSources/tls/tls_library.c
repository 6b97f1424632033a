/* The library of the process, set up once.
 *
 * The engine lives in a library context of its own (tls_algorithms.c says what is in it), and the
 * context that everything falls back to has no algorithms. That is for speed: OpenSSL 3.0 sets up a
 * chain of decoders for every certificate it parses. Certificates from the wire need that, for
 * their key. But the library also parses the peer's certificate twice on the way through a session
 * ticket, when it makes one and when it opens one, where nobody asks for the key; and those parses
 * happen in the fallback context, where there are no decoders to set up.
 *
 * Private keys, also those of key exchanges, live in a heap of their own: between guard pages, left
 * out of core dumps, locked into memory as far as the process may, wiped when they are given back.
 */
#include "tls_private.h"

#include <stdio.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>

#include "base/err.h"

struct tls_engine tls_engine;

static char name[48] = "openssl";

/* A thousand RSA keys of 4,096 bits take two mebibytes, the key exchanges of 65,536 handshakes at a
 * time four. Pages are taken when they are first touched; the heap's own tables are touched whole
 * at the start, four bits for each block. */
#define SECRETS_SIZE  (8u << 20)
#define SECRETS_BLOCK 64u

/* The generators of random numbers start before, in the heap of everything else: their state tells
 * nothing about what they gave out (SP 800-90A, backtracking resistance), and it holds pointers. */
static bool take_secrets_heap(void)
{
    uint8_t byte;

    return RAND_bytes_ex(tls_engine.library, &byte, 1, 0) == 1 &&
           RAND_priv_bytes_ex(tls_engine.library, &byte, 1, 0) == 1 &&
           RAND_bytes_ex(tls_engine.depot, &byte, 1, 0) == 1 &&
           RAND_priv_bytes_ex(tls_engine.depot, &byte, 1, 0) == 1 &&
           (CRYPTO_secure_malloc_initialized() == 1 ||
            CRYPTO_secure_malloc_init(SECRETS_SIZE, SECRETS_BLOCK) != 0);
}

static bool load_library(void)
{
    OSSL_LIB_CTX *library;

    /* No configuration is read: what the engine does stands in this room. */
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_ADD_ALL_CIPHERS | OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
                            NULL) != 1 ||
        OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1 || !tls_algorithms_load() ||
        !take_secrets_heap()) {
        return false;
    }
    library = tls_engine.library;
    tls_engine.nothing = OSSL_PROVIDER_load(NULL, "null");
    tls_engine.ticket_cipher = EVP_CIPHER_fetch(library, "AES-256-CBC", NULL);
    tls_engine.hash = EVP_MD_fetch(library, "SHA256", NULL);
    (void)snprintf(name, sizeof(name), "openssl %s", OpenSSL_version(OPENSSL_VERSION_STRING));
    return tls_engine.nothing != NULL && tls_engine.ticket_cipher != NULL &&
           tls_engine.hash != NULL;
}

int tls_init(void)
{
    if (tls_engine.bio != NULL) {
        return MESH_OK;
    }
    if (!load_library() || !tls_bio_init()) {
        ERR_clear_error();
        return MESH_E_TLS;
    }
    return MESH_OK;
}

const char *tls_library(void)
{
    return name;
}
