/* The library of the process, set up once.
 *
 * The engine lives in a library context of its own, and the context that everything falls back to
 * has no algorithms. That is for speed: OpenSSL 3.0 sets up a chain of decoders for every
 * certificate it parses, a quarter of a millisecond each. Certificates from the wire need that, for
 * their key. But the library also parses the peer's certificate twice on the way through a session
 * ticket, when it makes one and when it opens one, where nobody asks for the key; and those parses
 * happen in the fallback context, where there are no decoders to set up. */
#include "tls_private.h"

#include <stdio.h>

#include <openssl/err.h>

#include "base/err.h"

struct tls_engine tls_engine;

static char name[48] = "openssl";

static bool load_library(void)
{
    OSSL_LIB_CTX *library;

    /* No configuration is read: what the engine does stands in this room. */
    if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1) {
        return false;
    }
    library = OSSL_LIB_CTX_new();
    if (library == NULL || OSSL_PROVIDER_load(library, "default") == NULL) {
        return false;
    }
    tls_engine.nothing = OSSL_PROVIDER_load(NULL, "null");
    tls_engine.library = library;
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
