/* The key schedule of TLS 1.3 (RFC 8446 7.1) as the library wants it: HKDF-Expand-Label, and
 * HKDF-Extract behind a Derive-Secret of nothing.
 *
 * A handshake derives some twenty secrets. The library's own implementation looks up the digest by
 * name, copies every parameter and makes three contexts of HMAC for each; here a secret costs its
 * blocks of SHA-2 and no allocation. The library asks for both kinds with all parameters at once.
 */
#define OPENSSL_SUPPRESS_DEPRECATED /* SHA256_Init and the like: the hash without its object */
#include "tls_private.h"

#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/sha.h>

#include "base/must.h"

#define HASH_MAX  SHA384_DIGEST_LENGTH
#define BLOCK_MAX SHA512_CBLOCK
#define LABEL_MAX 255u /* with its prefix (RFC 8446 7.1) */

struct hash {
    bool wide; /* SHA-384; else SHA-256 */
    union {
        SHA256_CTX narrow;
        SHA512_CTX wide;
    } state;
};

struct secret { /* what is asked for */
    bool wide;
    int mode;
    struct bytes key, salt, prefix, label, data;
};

struct room { /* where it goes */
    uint8_t *ptr;
    size_t len;
};

static size_t size_of(bool wide)
{
    return wide ? SHA384_DIGEST_LENGTH : SHA256_DIGEST_LENGTH;
}

static void hash_start(struct hash *hash, bool wide)
{
    hash->wide = wide;
    if (wide) {
        (void)SHA384_Init(&hash->state.wide);
    } else {
        (void)SHA256_Init(&hash->state.narrow);
    }
}

static void hash_add(struct hash *hash, struct bytes in)
{
    if (in.len == 0) {
        return;
    }
    if (hash->wide) {
        (void)SHA384_Update(&hash->state.wide, in.ptr, in.len);
    } else {
        (void)SHA256_Update(&hash->state.narrow, in.ptr, in.len);
    }
}

static void hash_end(struct hash *hash, uint8_t out[static HASH_MAX])
{
    if (hash->wide) {
        (void)SHA384_Final(out, &hash->state.wide);
    } else {
        (void)SHA256_Final(out, &hash->state.narrow);
    }
}

/* HMAC (RFC 2104) of three parts. */
static void hmac(bool wide, struct bytes key, const struct bytes parts[static 3],
                 uint8_t out[static HASH_MAX])
{
    size_t block = wide ? SHA512_CBLOCK : SHA256_CBLOCK;
    uint8_t pad[BLOCK_MAX] = {0};
    struct hash hash;

    if (key.len > block) {
        hash_start(&hash, wide);
        hash_add(&hash, key);
        hash_end(&hash, pad);
    } else if (key.len > 0) {
        memcpy(pad, key.ptr, key.len);
    }
    for (size_t i = 0; i < block; i++) {
        pad[i] ^= 0x36;
    }
    hash_start(&hash, wide);
    hash_add(&hash, bytes_of(pad, block));
    for (int i = 0; i < 3; i++) {
        hash_add(&hash, parts[i]);
    }
    hash_end(&hash, out);
    for (size_t i = 0; i < block; i++) {
        pad[i] ^= 0x36 ^ 0x5c;
    }
    hash_start(&hash, wide);
    hash_add(&hash, bytes_of(pad, block));
    hash_add(&hash, bytes_of(out, size_of(wide)));
    hash_end(&hash, out);
    OPENSSL_cleanse(pad, sizeof(pad));
    OPENSSL_cleanse(&hash, sizeof(hash));
}

/* HKDF-Expand (RFC 5869 2.3). */
static bool expand(bool wide, struct bytes key, struct bytes info, uint8_t *out, size_t len)
{
    size_t size = size_of(wide);
    uint8_t block[HASH_MAX];
    struct bytes before = {0};

    if (len > 255 * size) {
        return false;
    }
    for (uint8_t number = 1; len > 0; number++) {
        struct bytes parts[3] = {before, info, bytes_of(&number, 1)};
        size_t take = len < size ? len : size;

        hmac(wide, key, parts, block);
        memcpy(out, block, take);
        before = bytes_of(block, size);
        out += take;
        len -= take;
    }
    OPENSSL_cleanse(block, sizeof(block));
    return true;
}

static uint8_t *put(uint8_t *at, struct bytes part)
{
    if (part.len > 0) {
        memcpy(at, part.ptr, part.len);
    }
    return at + part.len;
}

/* HKDF-Expand-Label; `key` and `data` in place of those of the secret. */
static bool expand_label(const struct secret *secret, struct bytes key, struct bytes data,
                         struct room out)
{
    uint8_t info[2 + 1 + LABEL_MAX + 1 + HASH_MAX];
    size_t label = secret->prefix.len + secret->label.len;
    uint8_t *at = info;

    if (label > LABEL_MAX || data.len > HASH_MAX || out.len > UINT16_MAX) {
        return false;
    }
    *at++ = (uint8_t)(out.len >> 8);
    *at++ = (uint8_t)out.len;
    *at++ = (uint8_t)label;
    at = put(put(at, secret->prefix), secret->label);
    *at++ = (uint8_t)data.len;
    at = put(at, data);
    return expand(secret->wide, key, bytes_of(info, (size_t)(at - info)), out.ptr, out.len);
}

/* HKDF-Extract of the next secret: of `key`, or of zeros, with what is derived from `salt`, the
 * secret before, if there is one. */
static bool extract(const struct secret *secret, struct room out)
{
    static const uint8_t zeros[HASH_MAX];
    size_t size = size_of(secret->wide);
    struct bytes parts[3] = {secret->key, {0}, {0}};
    struct bytes salt = {0};
    uint8_t derived[HASH_MAX];
    uint8_t found[HASH_MAX];
    bool done = out.len == size;

    if (parts[0].ptr == NULL) {
        parts[0] = bytes_of(zeros, size);
    }
    if (done && secret->salt.ptr != NULL) {
        struct hash nothing;

        hash_start(&nothing, secret->wide);
        hash_end(&nothing, found);
        salt = bytes_of(derived, size);
        done =
            expand_label(secret, secret->salt, bytes_of(found, size), (struct room){derived, size});
    }
    if (done) {
        hmac(secret->wide, salt, parts, found);
        memcpy(out.ptr, found, size);
    }
    OPENSSL_cleanse(derived, sizeof(derived));
    OPENSSL_cleanse(found, sizeof(found));
    return done;
}

static bool is_named(const OSSL_PARAM *param, const char *name)
{
    return strcmp(param->key, name) == 0;
}

static bool read_digest(struct secret *secret, const OSSL_PARAM *param)
{
    const char *name = param->data;

    if (param->data_type != OSSL_PARAM_UTF8_STRING || name == NULL) {
        return false;
    }
    secret->wide =
        OPENSSL_strcasecmp(name, "SHA384") == 0 || OPENSSL_strcasecmp(name, "SHA2-384") == 0;
    return secret->wide || OPENSSL_strcasecmp(name, "SHA256") == 0 ||
           OPENSSL_strcasecmp(name, "SHA2-256") == 0;
}

static bool read_param(struct secret *secret, const OSSL_PARAM *param)
{
    struct bytes value = bytes_of(param->data, param->data_size);

    if (is_named(param, OSSL_KDF_PARAM_MODE)) {
        return OSSL_PARAM_get_int(param, &secret->mode) == 1;
    }
    if (is_named(param, OSSL_KDF_PARAM_DIGEST)) {
        return read_digest(secret, param);
    }
    if (param->data_type != OSSL_PARAM_OCTET_STRING || param->data == NULL) {
        return false;
    }
    if (is_named(param, OSSL_KDF_PARAM_KEY)) {
        secret->key = value;
    } else if (is_named(param, OSSL_KDF_PARAM_SALT)) {
        secret->salt = value;
    } else if (is_named(param, OSSL_KDF_PARAM_PREFIX)) {
        secret->prefix = value;
    } else if (is_named(param, OSSL_KDF_PARAM_LABEL)) {
        secret->label = value;
    } else if (is_named(param, OSSL_KDF_PARAM_DATA)) {
        secret->data = value;
    } else {
        return false; /* a secret that depends on what is not understood is a wrong one */
    }
    return true;
}

static int derive(void *context, unsigned char *out, size_t len, const OSSL_PARAM params[])
{
    struct secret secret = {.mode = -1};

    (void)context;
    for (; params != NULL && params->key != NULL; params++) {
        if (!read_param(&secret, params)) {
            return 0;
        }
    }
    switch (secret.mode) {
    case EVP_KDF_HKDF_MODE_EXPAND_ONLY:
        return secret.key.ptr != NULL &&
               expand_label(&secret, secret.key, secret.data, (struct room){out, len});
    case EVP_KDF_HKDF_MODE_EXTRACT_ONLY:
        return extract(&secret, (struct room){out, len});
    default:
        return 0;
    }
}

/* There is nothing to keep between two derivations. */
static void *new_context(void *provider)
{
    static uint8_t nothing;

    (void)provider;
    return &nothing;
}

static void forget(void *context)
{
    (void)context;
}

static int set_params(void *context, const OSSL_PARAM params[])
{
    (void)context;
    return params == NULL || params->key == NULL;
}

static const OSSL_DISPATCH functions[] = {
    {OSSL_FUNC_KDF_NEWCTX, (void (*)(void))new_context},
    {OSSL_FUNC_KDF_FREECTX, (void (*)(void))forget},
    {OSSL_FUNC_KDF_RESET, (void (*)(void))forget},
    {OSSL_FUNC_KDF_DERIVE, (void (*)(void))derive},
    {OSSL_FUNC_KDF_SET_CTX_PARAMS, (void (*)(void))set_params},
    {0, NULL},
};

const OSSL_ALGORITHM tls_kdf_algorithms[] = {
    {"TLS13-KDF", "provider=ringmesh", functions, NULL},
    {NULL, NULL, NULL, NULL},
};
