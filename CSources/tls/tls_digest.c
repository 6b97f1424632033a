#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init and the like: the hash without its object */
#include "tls/tls.h"

#include <openssl/sha.h>

_Static_assert(TLS_SHA256_SIZE == SHA256_DIGEST_LENGTH, "the library's digest");

void tls_sha256(struct bytes in, uint8_t out[TLS_SHA256_SIZE])
{
    SHA256_CTX state;

    (void)SHA256_Init(&state);
    (void)SHA256_Update(&state, in.ptr, in.len);
    (void)SHA256_Final(out, &state);
}
