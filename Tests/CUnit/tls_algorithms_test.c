/* The engine's own algorithms against those of the library's default provider. */
#include "cunit.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "base/err.h"
#include "tls/tls_private.h"

/* What the library asks the key schedule for; NULL pointers are left out. */
struct asked {
    int mode;
    const char *digest;
    struct bytes key, salt, label, data;
    size_t len;
};

static OSSL_PARAM octets(const char *name, struct bytes value)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)value.ptr, value.len);
}

static bool derive(OSSL_LIB_CTX *library, const struct asked *asked, uint8_t *out)
{
    static const uint8_t prefix[] = "tls13 ";
    EVP_KDF *kdf = EVP_KDF_fetch(library, OSSL_KDF_NAME_TLS1_3_KDF, NULL);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    int mode = asked->mode;
    OSSL_PARAM params[8];
    size_t count = 0;
    bool done;

    params[count++] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    params[count++] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                                       (char *)(uintptr_t)asked->digest, 0);
    if (asked->key.ptr != NULL) {
        params[count++] = octets(OSSL_KDF_PARAM_KEY, asked->key);
    }
    if (asked->salt.ptr != NULL) {
        params[count++] = octets(OSSL_KDF_PARAM_SALT, asked->salt);
    }
    params[count++] = octets(OSSL_KDF_PARAM_PREFIX, bytes_of(prefix, sizeof(prefix) - 1));
    params[count++] = octets(OSSL_KDF_PARAM_LABEL, asked->label);
    if (asked->data.ptr != NULL) {
        params[count++] = octets(OSSL_KDF_PARAM_DATA, asked->data);
    }
    params[count] = OSSL_PARAM_construct_end();
    done = EVP_KDF_derive(context, out, asked->len, params) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done;
}

static void check_same(const struct asked *asked)
{
    uint8_t ours[512] = {0};
    uint8_t theirs[512] = {0};

    CHECK(derive(tls_engine.library, asked, ours));
    CHECK(derive(tls_engine.depot, asked, theirs));
    CHECK_BYTES(bytes_of(ours, sizeof(ours)), bytes_of(theirs, sizeof(theirs)));
}

static uint8_t material[256];

static void fill_material(void)
{
    CHECK(tls_init() == MESH_OK);
    for (size_t i = 0; i < sizeof(material); i++) {
        material[i] = (uint8_t)cunit_random();
    }
}

/* Lengths around the hash and its block, secrets longer than a block, labels from one byte to the
 * longest that a description has room for. */
TEST(labels_expand_as_the_library_does_it)
{
    static const char *digests[] = {"SHA256", "SHA2-384"};
    static const size_t lens[] = {1, 12, 16, 31, 32, 33, 47, 48, 49, 64, 200};
    static const size_t keys[] = {1, 31, 32, 48, 64, 65, 128, 129, 200};

    fill_material();
    for (size_t digest = 0; digest < 2; digest++) {
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
                struct asked asked = {EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                                      digests[digest],
                                      bytes_of(material, keys[k]),
                                      {0},
                                      bytes_of(material + 5, 1 + (i * 31 + k) % 243),
                                      {0},
                                      lens[i]};

                check_same(&asked);
                asked.data = bytes_of(material + 100, digest == 0 ? 32 : 48);
                check_same(&asked);
            }
        }
    }
}

/* The three secrets of a connection: with and without a secret before, with and without input. */
TEST(secrets_follow_each_other_as_in_the_library)
{
    fill_material();
    for (int i = 0; i < 8; i++) {
        size_t size = (i & 1) != 0 ? 48 : 32;
        struct asked asked = {EVP_KDF_HKDF_MODE_EXTRACT_ONLY,
                              (i & 1) != 0 ? "SHA384" : "SHA2-256",
                              (i & 2) != 0 ? bytes_of(material, 32) : (struct bytes){0},
                              (i & 4) != 0 ? bytes_of(material + 64, size) : (struct bytes){0},
                              BYTES_LITERAL("derived"),
                              {0},
                              size};

        check_same(&asked);
    }
}

/* What would make another secret than the one meant is refused. */
TEST(what_cannot_be_derived_is_refused)
{
    uint8_t out[16384];
    struct asked good = {EVP_KDF_HKDF_MODE_EXPAND_ONLY,
                         "SHA256",
                         bytes_of(material, 32),
                         {0},
                         BYTES_LITERAL("key"),
                         {0},
                         16};
    struct asked asked = good;

    fill_material();
    CHECK(derive(tls_engine.library, &asked, out));
    asked.digest = "SHA1";
    CHECK(!derive(tls_engine.library, &asked, out));
    asked = good;
    asked.mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
    CHECK(!derive(tls_engine.library, &asked, out));
    asked = good;
    asked.key = (struct bytes){0};
    CHECK(!derive(tls_engine.library, &asked, out));
    asked = good;
    asked.label = bytes_of(material, 249);
    CHECK(derive(tls_engine.library, &asked, out));
    asked.label = bytes_of(material, 250); /* with "tls13 " one more than a byte tells */
    CHECK(!derive(tls_engine.library, &asked, out));
    asked = good;
    asked.len = 255 * 32;
    CHECK(derive(tls_engine.library, &asked, out));
    asked.len = 255 * 32 + 1;
    CHECK(!derive(tls_engine.library, &asked, out));
    asked = good;
    asked.mode = EVP_KDF_HKDF_MODE_EXTRACT_ONLY;
    asked.len = 31;
    CHECK(!derive(tls_engine.library, &asked, out));
}

static bool exchange(EVP_PKEY *own, EVP_PKEY *peer, OSSL_LIB_CTX *library, uint8_t out[static 32])
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(library, own, NULL);
    size_t len = 32;
    bool done = EVP_PKEY_derive_init(context) == 1 &&
                EVP_PKEY_derive_set_peer(context, peer) == 1 &&
                EVP_PKEY_derive(context, out, &len) == 1 && len == 32;

    EVP_PKEY_CTX_free(context);
    return done;
}

/* The public half of `key` as another key, of `library`. */
static EVP_PKEY *share_of(EVP_PKEY *key, OSSL_LIB_CTX *library)
{
    unsigned char *encoded = NULL;
    size_t len = EVP_PKEY_get1_encoded_public_key(key, &encoded);
    EVP_PKEY *share = EVP_PKEY_new_raw_public_key_ex(library, "X25519", NULL, encoded, len);

    CHECK_UINT(len, 32);
    CHECK(share != NULL);
    OPENSSL_free(encoded);
    return share;
}

static void check_public(const uint8_t private_key[static 32])
{
    EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key_ex(tls_engine.depot, "X25519", NULL, private_key, 32);
    uint8_t ours[32];
    uint8_t theirs[32];
    size_t len = 32;

    CHECK(EVP_PKEY_get_raw_public_key(key, theirs, &len) == 1);
    tls_keys_public(private_key, ours);
    CHECK_BYTES(bytes_of(ours, 32), bytes_of(theirs, 32));
    EVP_PKEY_free(key);
}

/* Random keys, and those of nothing but zeros, ones, or one bit. */
TEST(public_keys_are_those_of_the_library)
{
    uint8_t key[32];

    CHECK(tls_init() == MESH_OK);
    for (int i = 0; i < 1000; i++) {
        for (int k = 0; k < 32; k++) {
            key[k] = (uint8_t)cunit_random();
        }
        check_public(key);
    }
    for (int bit = 0; bit < 256; bit++) {
        memset(key, 0, 32);
        key[bit / 8] = (uint8_t)(1 << bit % 8);
        check_public(key);
    }
    memset(key, 0, 32);
    check_public(key);
    memset(key, 0xff, 32);
    check_public(key);
}

/* RFC 7748 6.1. */
TEST(public_keys_are_those_of_the_rfc)
{
    static const uint8_t private_key[32] = {0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d,
                                            0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
                                            0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a,
                                            0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a};
    static const uint8_t public_key[32] = {0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54,
                                           0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e, 0xf7, 0x5a,
                                           0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4,
                                           0xeb, 0xa4, 0xa9, 0x8e, 0xaa, 0x9b, 0x4e, 0x6a};
    uint8_t out[32];

    tls_keys_public(private_key, out);
    CHECK_BYTES(bytes_of(out, 32), bytes_of(public_key, 32));
}

/* A key as a handshake makes it agrees with one that the library made alone, either way, and its
 * private half is in the secrets' heap. */
TEST(keys_of_a_handshake_agree_with_others)
{
    EVP_PKEY *ours;
    EVP_PKEY *theirs;
    EVP_PKEY *our_share;
    EVP_PKEY *their_share;
    uint8_t one[32];
    uint8_t other[32];
    size_t secret;

    CHECK(tls_init() == MESH_OK);
    secret = CRYPTO_secure_used();
    ours = EVP_PKEY_Q_keygen(tls_engine.library, NULL, "X25519");
    CHECK(ours != NULL);
    CHECK_UINT(CRYPTO_secure_used() - secret, 64); /* a block */
    theirs = EVP_PKEY_Q_keygen(tls_engine.depot, NULL, "X25519");
    our_share = share_of(ours, tls_engine.depot);
    their_share = share_of(theirs, tls_engine.library);
    CHECK(exchange(ours, their_share, tls_engine.library, one));
    CHECK(exchange(theirs, our_share, tls_engine.depot, other));
    CHECK_BYTES(bytes_of(one, 32), bytes_of(other, 32));
    CHECK(EVP_PKEY_get_security_bits(ours) == 128);
    EVP_PKEY_free(our_share);
    EVP_PKEY_free(their_share);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(ours);
    CHECK_UINT(CRYPTO_secure_used(), secret);
}

TEST(no_two_keys_are_the_same)
{
    EVP_PKEY *one;
    EVP_PKEY *other;

    CHECK(tls_init() == MESH_OK);
    one = EVP_PKEY_Q_keygen(tls_engine.library, NULL, "X25519");
    other = EVP_PKEY_Q_keygen(tls_engine.library, NULL, "X25519");
    CHECK(EVP_PKEY_eq(one, other) == 0);
    CHECK(EVP_PKEY_eq(one, one) == 1);
    EVP_PKEY_free(one);
    EVP_PKEY_free(other);
}

/* What is not shown does not exist for the engine. */
TEST(only_what_tls_needs_is_there)
{
    EVP_CIPHER *cipher;

    CHECK(tls_init() == MESH_OK);
    cipher = EVP_CIPHER_fetch(tls_engine.library, "AES-128-GCM", NULL);
    CHECK(cipher != NULL);
    EVP_CIPHER_free(cipher);
    CHECK(EVP_CIPHER_fetch(tls_engine.library, "DES-EDE3-CBC", NULL) == NULL);
    CHECK(EVP_KEYMGMT_fetch(tls_engine.library, "DSA", NULL) == NULL);
    CHECK(EVP_MD_fetch(tls_engine.library, "SHA3-256", NULL) == NULL);
}
