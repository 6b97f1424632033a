/* Which URIs are SPIFFE ids (SPIFFE-ID 2, X.509-SVID 2). */
#include "cunit.h"

#include <stdlib.h>

#include "base/err.h"
#include "tls/tls_private.h"
#include "tls_kit.h"

static int read_id(struct bytes uri, struct bytes expected)
{
    struct tls_kit_spec spec = {.name = "leaf", .issuer = &tls_kit_world()->ca, .uri = uri};
    struct tls_kit_cert leaf = tls_kit_issue(&spec);
    GENERAL_NAMES *names = NULL;
    struct bytes id;
    int err = tls_peer_id_of(leaf.x509, &names, &id);

    if (err == MESH_OK) {
        CHECK_BYTES(id, expected);
    }
    GENERAL_NAMES_free(names);
    tls_kit_free(&leaf);
    return err;
}

TEST(valid_ids)
{
    static const char *const valid[] = {
        "spiffe://td",
        "spiffe://td.example/a",
        "spiffe://1-td_x.example/ns/default/dc/dc1/svc/web",
        "spiffe://td/A.b_c-9",
        "spiffe://td/...",
        "spiffe://td/.a",
    };

    for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
        cunit_context("%s", valid[i]);
        CHECK_INT(read_id(cunit_text(valid[i]), cunit_text(valid[i])), MESH_OK);
    }
}

TEST(invalid_ids)
{
    static const char *const invalid[] = {
        "spiffe://",        "spiffe:///a",          "spiffe://td/",    "spiffe://td//a",
        "spiffe://td/a/",   "spiffe://td/./a",      "spiffe://td/..",  "spiffe://td/a b",
        "spiffe://td/%41",  "spiffe://td/a?b",      "spiffe://td/a#b", "spiffe://Td/a",
        "spiffe://td:80/a", "spiffe://u@td/a",      "Spiffe://td/a",   "spiffe://td/*",
        "spiffe://*/a",     "spiffe://td/\xc3\xa4",
    };

    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        cunit_context("%s", invalid[i]);
        CHECK_INT(read_id(cunit_text(invalid[i]), (struct bytes){0}), MESH_E_SYNTAX);
    }
}

TEST(other_schemes_give_no_id)
{
    CHECK_INT(read_id(BYTES_LITERAL("https://td/a"), (struct bytes){0}), MESH_OK);
    CHECK_INT(read_id(BYTES_LITERAL("spiffe:/td/a"), (struct bytes){0}), MESH_OK);
    CHECK_INT(read_id(BYTES_LITERAL("https://td/a\0b"), (struct bytes){0}), MESH_E_SYNTAX);
}

static int read_long(size_t len, size_t domain)
{
    static const char scheme[] = "spiffe://";
    uint8_t *text = malloc(len);
    int err;

    memset(text, 'a', len);
    memcpy(text, scheme, sizeof(scheme) - 1);
    if (sizeof(scheme) - 1 + domain < len) {
        text[sizeof(scheme) - 1 + domain] = '/';
    }
    err = read_id(bytes_of(text, len), bytes_of(text, len));
    free(text);
    return err;
}

TEST(length_limits)
{
    CHECK_INT(read_long(TLS_ID_MAX - 1, 10), MESH_OK);
    CHECK_INT(read_long(TLS_ID_MAX, 10), MESH_OK);
    CHECK_INT(read_long(TLS_ID_MAX + 1, 10), MESH_E_SYNTAX);
    CHECK_INT(read_long(400, 254), MESH_OK);
    CHECK_INT(read_long(400, 255), MESH_OK);
    CHECK_INT(read_long(400, 256), MESH_E_SYNTAX);
}
