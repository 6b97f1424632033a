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
