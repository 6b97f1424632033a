/* Certificates of our own and trusted ones, from DER. Intermediates that many leaves share are
 * parsed once: a node with thousands of public certificates has a handful of them. */
#include "tls_private.h"

#include <openssl/err.h>

#include "base/hash.h"

struct intern_slot {
    struct bytes der; /* points into the options, which outlive the table */
    X509 *x509;
};

struct tls_intern {
    struct intern_slot *slots;
    uint32_t mask;
    uint32_t used;
};

struct tls_intern *tls_intern_create(uint32_t expected)
{
    struct tls_intern *intern = OPENSSL_zalloc(sizeof(*intern));
    uint32_t size = 16;

    if (intern == NULL) {
        return NULL;
    }
    while (size < expected * 2 && size < 1u << 30) {
        size *= 2;
    }
    intern->slots = OPENSSL_zalloc(size * sizeof(*intern->slots));
    intern->mask = size - 1;
    if (intern->slots == NULL) {
        OPENSSL_free(intern);
        return NULL;
    }
    return intern;
}

void tls_intern_destroy(struct tls_intern *intern)
{
    if (intern == NULL) {
        return;
    }
    for (uint32_t i = 0; i <= intern->mask; i++) {
        X509_free(intern->slots[i].x509);
    }
    OPENSSL_free(intern->slots);
    OPENSSL_free(intern);
}

/* Takes one certificate off the front of *rest; NULL when there is none. The slice *der is its
 * encoding. */
static X509 *next_certificate(struct bytes *rest, struct bytes *der)
{
    const unsigned char *at = rest->ptr;
    long len = rest->len > INT32_MAX ? INT32_MAX : (long)rest->len;
    X509 *x509 = X509_new_ex(tls_engine.library, NULL);

    if (x509 == NULL || d2i_X509(&x509, &at, len) == NULL) { /* which has freed it */
        return NULL;
    }
    *der = bytes_of(rest->ptr, (size_t)(at - rest->ptr));
    *rest = bytes_from(*rest, der->len);
    return x509;
}

/* The certificate at the front of *rest, parsed now or before; the caller owns one reference. */
static X509 *next_interned(struct tls_intern *intern, struct bytes *rest)
{
    struct bytes der;
    X509 *x509 = next_certificate(rest, &der);
    uint32_t at;

    if (x509 == NULL) {
        return NULL;
    }
    at = (uint32_t)hash_bytes(der) & intern->mask;
    while (intern->slots[at].x509 != NULL && !bytes_equal(intern->slots[at].der, der)) {
        at = (at + 1) & intern->mask;
    }
    if (intern->slots[at].x509 != NULL) {
        X509_free(x509);
        x509 = intern->slots[at].x509;
    } else if (intern->used < intern->mask) {
        intern->slots[at] = (struct intern_slot){der, x509};
        intern->used++;
    } else { /* full: this one is not shared */
        return x509;
    }
    X509_up_ref(x509);
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

static const char *load_chain(struct tls_leaf *leaf, struct bytes rest, struct tls_intern *intern)
{
    while (rest.len > 0) {
        X509 *x509 = next_interned(intern, &rest);

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

const char *tls_leaf_load(struct tls_leaf *leaf, const struct tls_certificate *from,
                          struct tls_intern *intern)
{
    struct bytes rest = from->chain;
    struct bytes der;

    *leaf = (struct tls_leaf){0};
    leaf->x509 = rest.len == 0 ? NULL : next_certificate(&rest, &der);
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
    return load_chain(leaf, rest, intern);
}

void tls_leaf_free(struct tls_leaf *leaf)
{
    X509_free(leaf->x509);
    EVP_PKEY_free(leaf->key);
    sk_X509_pop_free(leaf->chain, X509_free);
    *leaf = (struct tls_leaf){0};
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

const char *tls_leaf_load_trust(struct bytes der, X509_STORE *store, STACK_OF(X509_NAME) * names,
                                uint32_t *count)
{
    *count = 0;
    while (der.len > 0) {
        struct bytes one;
        X509 *x509 = next_certificate(&der, &one);
        const char *why;

        if (x509 == NULL) {
            return "a trusted certificate is not valid DER";
        }
        why = trust_one(x509, store, names);
        X509_free(x509);
        if (why != NULL) {
            return why;
        }
        (*count)++;
    }
    return NULL;
}
