/* The algorithms of the process: a provider that shows the library those of its default provider
 * that TLS needs, and own ones where the library's way to them is long.
 *
 * The default provider lives in a library context beside the engine's. OpenSSL 3.0 walks over every
 * name it has heard of whenever it makes or takes a key, nine times in a handshake, and sets up
 * every decoder it has for every public key it parses: of 600 names 60 are left, and of 70 decoders
 * the 20 that read DER of the kinds of key that certificates have. Legacy names are not loaded for
 * the same reason. */
#include "tls_private.h"

#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>

#include "base/must.h"

#define NAME        "ringmesh"
#define CHOICES_MAX 64

struct choice { /* what of one operation is shown */
    int operation;
    const char *names;    /* each ends with a blank; first names of the default provider */
    const char *property; /* part of the definition; NULL: any */
    const OSSL_ALGORITHM *own;
};

#define KINDS_OF_KEY "RSA RSA-PSS EC ED25519 ED448 " /* of certificates */

/* MD5 and SHA-1 are for the library: it makes a context with both, and tells certificates apart by
 * SHA-1. The security level keeps them out of signatures. */
static const struct choice choices[] = {
    {OSSL_OP_DIGEST, "SHA1 SHA2-224 SHA2-256 SHA2-384 SHA2-512 MD5 MD5-SHA1 ", NULL, NULL},
    {OSSL_OP_CIPHER, "AES-128-GCM AES-256-GCM ChaCha20-Poly1305 AES-256-CBC ", NULL, NULL},
    {OSSL_OP_MAC, "HMAC ", NULL, NULL},
    {OSSL_OP_KDF, "HKDF TLS1-PRF ", NULL, tls_kdf_algorithms},
    {OSSL_OP_RAND, "CTR-DRBG SEED-SRC ", NULL, NULL},
    {OSSL_OP_KEYMGMT, KINDS_OF_KEY "HMAC ", NULL, tls_keys_algorithms},
    {OSSL_OP_KEYEXCH, "ECDH X25519 ", NULL, NULL},
    {OSSL_OP_SIGNATURE, "RSA ECDSA ED25519 ED448 HMAC ", NULL, NULL},
    {OSSL_OP_ENCODER, KINDS_OF_KEY, "output=der", NULL},
    {OSSL_OP_DECODER, KINDS_OF_KEY "DER ", "input=der", NULL},
};
#define OPERATIONS (sizeof(choices) / sizeof(choices[0]))

static OSSL_ALGORITHM shown[OPERATIONS][CHOICES_MAX + 1]; /* ends with one that has no name */

static bool is_chosen(const struct choice *choice, const OSSL_ALGORITHM *algorithm)
{
    size_t len = strcspn(algorithm->algorithm_names, ":");
    const char *at = choice->names;

    if (choice->property != NULL &&
        strstr(algorithm->property_definition, choice->property) == NULL) {
        return false;
    }
    for (; *at != 0; at += strcspn(at, " ") + 1) {
        if (strcspn(at, " ") == len && memcmp(at, algorithm->algorithm_names, len) == 0) {
            return true;
        }
    }
    return false;
}

static bool choose(OSSL_ALGORITHM *out, const struct choice *choice)
{
    int may_change = 0;
    const OSSL_ALGORITHM *all =
        OSSL_PROVIDER_query_operation(tls_engine.algorithms, choice->operation, &may_change);
    const OSSL_ALGORITHM *own = choice->own;
    uint32_t count = 0;

    for (; own != NULL && own->algorithm_names != NULL; own++) {
        out[count++] = *own;
    }
    for (; all != NULL && all->algorithm_names != NULL; all++) {
        if (is_chosen(choice, all)) {
            MUST(count < CHOICES_MAX);
            out[count++] = *all;
        }
    }
    out[count] = (OSSL_ALGORITHM){0};
    return count > 0 && may_change == 0;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *may_change)
{
    (void)context;
    *may_change = 0;
    for (size_t i = 0; i < OPERATIONS; i++) {
        if (choices[i].operation == operation) {
            return shown[i];
        }
    }
    return NULL;
}

/* Groups of TLS. */
static int capabilities(void *context, const char *capability, OSSL_CALLBACK *found, void *argument)
{
    (void)context;
    return OSSL_PROVIDER_get_capabilities(tls_engine.algorithms, capability, found, argument);
}

static void teardown(void *context)
{
    (void)context;
}

/* The functions come with the context that the default provider gave itself: what they take from
 * elsewhere, randomness for one, they take from its library context. */
static int provider_start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                          const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH doors[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
        {OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown},
        {0, NULL},
    };

    (void)handle;
    (void)in;
    *out = doors;
    *context = OSSL_PROVIDER_get0_provider_ctx(tls_engine.algorithms);
    return 1;
}

/* The library looks for a digest of a signature by its legacy name. */
static bool add_digests(void)
{
    return EVP_add_digest(EVP_sha1()) == 1 && EVP_add_digest(EVP_sha224()) == 1 &&
           EVP_add_digest(EVP_sha256()) == 1 && EVP_add_digest(EVP_sha384()) == 1 &&
           EVP_add_digest(EVP_sha512()) == 1;
}

bool tls_algorithms_load(void)
{
    tls_engine.depot = OSSL_LIB_CTX_new();
    tls_engine.library = OSSL_LIB_CTX_new();
    if (tls_engine.depot == NULL || tls_engine.library == NULL || !add_digests()) {
        return false;
    }
    tls_engine.algorithms = OSSL_PROVIDER_load(tls_engine.depot, "default");
    if (tls_engine.algorithms == NULL || !tls_keys_init()) {
        return false;
    }
    for (size_t i = 0; i < OPERATIONS; i++) {
        if (!choose(shown[i], &choices[i])) {
            return false;
        }
    }
    return OSSL_PROVIDER_add_builtin(tls_engine.library, NAME, provider_start) == 1 &&
           OSSL_PROVIDER_load(tls_engine.library, NAME) != NULL;
}
