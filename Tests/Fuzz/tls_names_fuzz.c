/* Fuzzes what the room reads by itself: the server_name extension, and the URIs of a certificate.
 * First byte even: an extension; odd: the value of a certificate's URI. What is accepted has the
 * promised shape. */
#include <string.h>

#include <openssl/err.h>

#include "base/err.h"
#include "fuzz.h"
#include "tls/tls_private.h"

static void fuzz_extension(struct bytes in)
{
    uint8_t name[TLS_NAME_MAX];
    int len = hello_server_name(in, name);

    MUST(len == MESH_E_SYNTAX || (len > 0 && len <= (int)TLS_NAME_MAX));
    if (len > 0) {
        MUST(memchr(name, 0, (size_t)len) == NULL);
        MUST(name[0] != '.');
        MUST(name[len - 1] != '.');
        for (int i = 0; i < len; i++) {
            MUST(name[i] == bytes_lower(name[i]));
        }
    }
}

static void fuzz_uri(struct bytes uri)
{
    X509 *x509 = X509_new();
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    GENERAL_NAMES *read = NULL;
    struct bytes id;

    ASN1_STRING_set(text, uri.ptr, (int)uri.len);
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    sk_GENERAL_NAME_push(names, name);
    if (X509_add1_ext_i2d(x509, NID_subject_alt_name, names, 0, 0) == 1 &&
        tls_peer_id_of(x509, &read, &id) == MESH_OK && id.len > 0) {
        MUST(bytes_equal(id, uri));
        MUST(bytes_has_prefix(id, BYTES_LITERAL("spiffe://")));
        MUST(id.len <= TLS_ID_MAX);
        MUST(memchr(id.ptr, 0, id.len) == NULL);
    }
    GENERAL_NAMES_free(read);
    GENERAL_NAMES_free(names);
    X509_free(x509);
    ERR_clear_error();
}

FUZZ_TARGET(tls_names)
{
    if (in.len < 2) {
        return;
    }
    if ((in.ptr[0] & 1) == 0) {
        fuzz_extension(bytes_from(in, 1));
    } else {
        fuzz_uri(bytes_from(in, 1));
    }
}
