/* Certificates of our own, and those we trust, from DER. */
#include "tls_private.h"

#include <openssl/err.h>

/* SEQUENCE with a definite length of at most three bytes (X.690 8.1.3). */
struct bytes tls_leaf_next(struct bytes *rest)
{
    size_t head = 2;
    size_t len;
    struct bytes der;

    if (rest->len < 2 || rest->ptr[0] != 0x30) {
        return (struct bytes){0};
    }
    len = rest->ptr[1];
    if (len >= 0x80) {
        size_t width = len & 0x7f;

        if (width == 0 || width > 3 || rest->len < 2 + width) {
            return (struct bytes){0};
        }
        len = 0;
        for (; head < 2 + width; head++) {
            len = len << 8 | rest->ptr[head];
        }
    }
    if (len > rest->len - head) {
        return (struct bytes){0};
    }
    der = bytes_part(*rest, 0, head + len);
    *rest = bytes_from(*rest, der.len);
    return der;
}

X509 *tls_leaf_parse(struct bytes der)
{
    const unsigned char *at = der.ptr;
    X509 *x509 = der.len == 0 ? NULL : X509_new_ex(tls_engine.library, NULL);

    if (x509 == NULL || d2i_X509(&x509, &at, (long)der.len) == NULL) { /* which has freed it */
        return NULL;
    }
    if (at != der.ptr + der.len) {
        X509_free(x509);
        return NULL;
    }
    return x509;
}

static EVP_PKEY *load_key(struct bytes der)
{
    const unsigned char *at = der.ptr;
    EVP_PKEY *key;

    if (der.len == 0 || der.len > INT32_MAX) {
        return NULL;
    }
    key = d2i_AutoPrivateKey_ex(NULL, &at, (long)der.len, tls_engine.library, NULL);
    if (key != NULL && at != der.ptr + der.len) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

static const char *load_chain(struct tls_leaf *leaf, struct bytes rest)
{
    while (rest.len > 0) {
        X509 *x509 = tls_leaves_intermediate(tls_leaf_next(&rest));

        if (x509 == NULL) {
            return "a certificate of the chain is not valid DER";
        }
        if (sk_X509_push(leaf->chain, x509) == 0) {
            X509_free(x509);
            return "out of memory";
        }
    }
    return NULL;
}

static const char *load(struct tls_leaf *leaf, const struct tls_certificate *from)
{
    struct bytes rest = from->chain;

    leaf->x509 = tls_leaf_parse(tls_leaf_next(&rest));
    if (leaf->x509 == NULL) {
        return "the certificate is not valid DER";
    }
    leaf->key = load_key(from->key);
    if (leaf->key == NULL) {
        return "the private key is not valid DER";
    }
    if (X509_check_private_key(leaf->x509, leaf->key) != 1) {
        return "the private key does not belong to the certificate";
    }
    leaf->chain = sk_X509_new_null();
    if (leaf->chain == NULL) {
        return "out of memory";
    }
    return load_chain(leaf, rest);
}

const char *tls_leaf_load(struct tls_leaf *leaf, const struct tls_certificate *from)
{
    const char *wrong;

    *leaf = (struct tls_leaf){.id = from->id, .version = from->version};
    wrong = load(leaf, from);
    if (wrong != NULL) {
        tls_leaf_free(leaf);
    }
    return wrong;
}

struct tls_leaf tls_leaf_share(const struct tls_leaf *leaf)
{
    struct tls_leaf shared = *leaf;

    X509_up_ref(shared.x509);
    EVP_PKEY_up_ref(shared.key);
    shared.chain = X509_chain_up_ref(leaf->chain);
    return shared;
}

void tls_leaf_free(struct tls_leaf *leaf)
{
    X509_free(leaf->x509);
    EVP_PKEY_free(leaf->key);
    sk_X509_pop_free(leaf->chain, X509_free);
    *leaf = (struct tls_leaf){0};
}

void tls_leaf_free_set(struct tls_leaf_set *set)
{
    for (int kind = 0; kind < TLS_LEAF_KIND_COUNT; kind++) {
        tls_leaf_free(&set->kinds[kind]);
    }
}

enum tls_leaf_kind tls_leaf_kind_of(const struct tls_leaf *leaf)
{
    int type = EVP_PKEY_get_base_id(leaf->key);

    return type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS ? TLS_LEAF_RSA : TLS_LEAF_EC;
}

static const char *trust_one(X509 *x509, X509_STORE *store, STACK_OF(X509_NAME) * names)
{
    X509_NAME *name;

    if (X509_check_ca(x509) == 0) {
        return "a trusted certificate is not a certificate authority";
    }
    if (X509_STORE_add_cert(store, x509) != 1) {
        return "out of memory";
    }
    name = X509_NAME_dup(X509_get_subject_name(x509));
    if (name == NULL || sk_X509_NAME_push(names, name) == 0) {
        X509_NAME_free(name);
        return "out of memory";
    }
    return NULL;
}

/* A certificate and a revocation list cannot be taken for each other: behind its issuer, one has
 * two dates in a sequence and the other a date. */
static const char *trust_list(struct bytes der, X509_STORE *store)
{
    X509_CRL *list = X509_CRL_new_ex(tls_engine.library, NULL);
    const uint8_t *at = der.ptr;
    const char *why = NULL;

    if (list == NULL || d2i_X509_CRL(&list, &at, (long)der.len) == NULL ||
        at != der.ptr + der.len) {
        why = "a trusted certificate or revocation list is not valid DER";
    } else if (X509_STORE_add_crl(store, list) != 1) {
        why = "out of memory";
    }
    X509_CRL_free(list);
    return why;
}

const char *tls_leaf_load_trust(struct bytes der, X509_STORE *store, STACK_OF(X509_NAME) * names,
                                struct tls_trust_count *count)
{
    *count = (struct tls_trust_count){0};
    while (der.len > 0) {
        struct bytes one = tls_leaf_next(&der);
        X509 *x509 = tls_leaf_parse(one);
        const char *why;

        if (x509 == NULL) {
            why = trust_list(one, store);
            if (why != NULL) {
                return why;
            }
            count->lists++;
            continue;
        }
        why = trust_one(x509, store, names);
        X509_free(x509);
        if (why != NULL) {
            return why;
        }
        count->authorities++;
    }
    return NULL;
}
