/* Who a verified certificate belongs to. SPIFFE X.509-SVID 2 and 5.2: the id is a URI subject
 * alternative name, and a certificate with an id has exactly one URI. A certificate whose URIs are
 * of other schemes is no SVID: it has no id, and is otherwise as good as its chain. */
#include "tls_private.h"

#include "base/err.h"

#define SCHEME "spiffe://"

static bool has_scheme(struct bytes uri)
{
    return uri.len >= sizeof(SCHEME) - 1 &&
           bytes_equal_nocase(bytes_part(uri, 0, sizeof(SCHEME) - 1), BYTES_LITERAL(SCHEME));
}

static bool is_trust_domain_byte(uint8_t c)
{
    return (uint8_t)(c - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' || c == '.' || c == '_';
}

static bool is_path_byte(uint8_t c)
{
    return is_trust_domain_byte(c) || (uint8_t)(c - 'A') < 26;
}

/* SPIFFE-ID 2.1, 2.2: spiffe://trust-domain[/segment...], no empty, `.` or `..` segment, no
 * escapes. The scheme is compared as written: an id has one spelling. */
static bool is_valid_id(struct bytes id)
{
    struct bytes scheme = BYTES_LITERAL(SCHEME);
    size_t at = scheme.len;
    size_t start;

    if (id.len > TLS_ID_MAX || !bytes_has_prefix(id, scheme)) {
        return false;
    }
    while (at < id.len && is_trust_domain_byte(id.ptr[at])) {
        at++;
    }
    if (at == scheme.len || at - scheme.len > 255) {
        return false;
    }
    while (at < id.len) {
        if (id.ptr[at] != '/') {
            return false;
        }
        start = ++at;
        while (at < id.len && is_path_byte(id.ptr[at])) {
            at++;
        }
        if (at == start || (at - start == 1 && id.ptr[start] == '.') ||
            (at - start == 2 && id.ptr[start] == '.' && id.ptr[start + 1] == '.')) {
            return false;
        }
    }
    return true;
}

int tls_peer_id_of(X509 *leaf, GENERAL_NAMES **names, struct bytes *out)
{
    int critical = -1;
    uint32_t uris = 0;
    bool spiffe = false;

    *out = (struct bytes){0};
    *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, &critical, NULL);
    if (*names == NULL) { /* -1: there is no such extension; else it is broken or there twice */
        return critical == -1 ? MESH_OK : MESH_E_SYNTAX;
    }
    for (int i = 0; i < sk_GENERAL_NAME_num(*names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(*names, i);
        struct bytes uri;

        if (name->type != GEN_URI) {
            continue;
        }
        uri = bytes_of(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                       (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier));
        if (uri.len > 0 && memchr(uri.ptr, 0, uri.len) != NULL) {
            return MESH_E_SYNTAX;
        }
        uris++;
        if (has_scheme(uri)) {
            spiffe = true;
            *out = uri;
        }
    }
    if (!spiffe) {
        return MESH_OK;
    }
    return uris == 1 && is_valid_id(*out) ? MESH_OK : MESH_E_SYNTAX;
}

static void learn_serial(struct tls_session *session, X509 *leaf)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(leaf);
    size_t len = (size_t)ASN1_STRING_length(serial);

    session->serial_len = 0;
    if (len <= sizeof(session->serial)) { /* RFC 5280 4.1.2.2: longer ones are not conforming */
        memcpy(session->serial, ASN1_STRING_get0_data(serial), len);
        session->serial_len = (uint8_t)len;
    }
}

int tls_peer_learn(struct tls_session *session, X509 *leaf)
{
    GENERAL_NAMES *names = NULL;
    struct bytes id;
    int err = tls_peer_id_of(leaf, &names, &id);

    if (err == MESH_OK) {
        OPENSSL_free(session->id);
        session->id = id.len == 0 ? NULL : OPENSSL_memdup(id.ptr, id.len);
        session->id_len = session->id == NULL ? 0 : (uint16_t)id.len;
        learn_serial(session, leaf);
        if (id.len > 0 && session->id == NULL) {
            err = MESH_E_NO_MEMORY;
        }
    }
    GENERAL_NAMES_free(names);
    return err;
}
