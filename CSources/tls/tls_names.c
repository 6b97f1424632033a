/* Certificates by server name: an open-addressed table built once with its context. A name may have
 * one certificate of each key kind, the client's hello decides between them. Of two of one kind
 * the first one given serves. */
#include "tls_private.h"

#include "base/err.h"
#include "base/hash.h"

/* The next name of a list in which each is followed by one NUL. */
static bool next_name(struct bytes *rest, struct bytes *name)
{
    const uint8_t *end;

    while (rest->len > 0) {
        end = memchr(rest->ptr, 0, rest->len);
        *name = bytes_of(rest->ptr, end == NULL ? rest->len : (size_t)(end - rest->ptr));
        *rest = bytes_from(*rest, name->len + (end != NULL));
        if (name->len > 0) {
            return true;
        }
    }
    return false;
}

static struct tls_name *find_slot(const struct tls_names *names, struct bytes name)
{
    uint32_t at = (uint32_t)hash_bytes(name) & names->slot_mask;

    while (names->slots[at].name.ptr != NULL && !bytes_equal(names->slots[at].name, name)) {
        at = (at + 1) & names->slot_mask;
    }
    return &names->slots[at];
}

static void add_leaf(struct tls_name *slot, const struct tls_leaf *leaf)
{
    enum tls_leaf_kind kind = tls_leaf_kind_of(leaf);

    if (slot->leaves[kind] == NULL) {
        slot->leaves[kind] = leaf;
    }
}

static bool take_room(struct tls_names *names, const struct tls_certificate *from, uint32_t count)
{
    size_t text_len = 0;
    uint32_t name_count = 0;
    uint32_t size = 4;

    for (uint32_t i = 0; i < count; i++) {
        struct bytes rest = from[i].names;
        struct bytes name;

        while (next_name(&rest, &name)) {
            text_len += name.len;
            name_count++;
        }
    }
    while (size < name_count * 2) {
        size *= 2;
    }
    names->slot_mask = size - 1;
    names->slots = OPENSSL_zalloc(size * sizeof(*names->slots));
    names->text = OPENSSL_malloc(text_len + 1);
    return names->slots != NULL && names->text != NULL;
}

bool tls_names_build(struct tls_names *names, const struct tls_certificate *from, uint32_t count)
{
    size_t used = 0;

    if (!take_room(names, from, count)) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct bytes rest = from[i].names;
        struct bytes name;

        while (next_name(&rest, &name)) {
            uint8_t *copy = names->text + used;
            struct tls_name *slot;

            for (size_t k = 0; k < name.len; k++) {
                copy[k] = bytes_lower(name.ptr[k]);
            }
            slot = find_slot(names, bytes_of(copy, name.len));
            if (slot->name.ptr == NULL) {
                slot->name = bytes_of(copy, name.len);
                used += name.len;
            }
            add_leaf(slot, &names->leaves[i]);
        }
    }
    if (count > 0) { /* the default, and what shares its first name with another kind of key */
        struct bytes rest = from[0].names;
        struct bytes name;

        add_leaf(&names->fallback, &names->leaves[0]);
        if (next_name(&rest, &name)) {
            const struct tls_name *slot = tls_names_find(names, name);

            for (int kind = 0; slot != NULL && kind < TLS_LEAF_KIND_COUNT; kind++) {
                if (slot->leaves[kind] != NULL) {
                    add_leaf(&names->fallback, slot->leaves[kind]);
                }
            }
        }
    }
    return true;
}

void tls_names_free(struct tls_names *names)
{
    for (uint32_t i = 0; i < names->leaf_count; i++) {
        tls_leaf_free(&names->leaves[i]);
    }
    OPENSSL_free(names->leaves);
    OPENSSL_free(names->slots);
    OPENSSL_free(names->text);
    *names = (struct tls_names){0};
}

const struct tls_name *tls_names_find(const struct tls_names *names, struct bytes name)
{
    uint8_t pattern[TLS_NAME_MAX + 1];
    const struct tls_name *slot;
    const uint8_t *dot;
    size_t tail;

    if (names->slots == NULL || name.len == 0 || name.len > TLS_NAME_MAX) {
        return NULL;
    }
    slot = find_slot(names, name);
    if (slot->name.ptr != NULL) {
        return slot;
    }
    dot = memchr(name.ptr, '.', name.len);
    if (dot == NULL || dot == name.ptr) {
        return NULL;
    }
    tail = name.len - (size_t)(dot - name.ptr);
    pattern[0] = '*';
    memcpy(pattern + 1, dot, tail);
    slot = find_slot(names, bytes_of(pattern, tail + 1));
    return slot->name.ptr == NULL ? NULL : slot;
}

static bool is_host_byte(uint8_t c)
{
    return (uint8_t)(c - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '-' || c == '.' || c == '_';
}

int tls_names_normalize(struct bytes in, uint8_t out[static TLS_NAME_MAX])
{
    uint8_t before = '.';

    if (in.len > 1 && in.ptr[in.len - 1] == '.') {
        in.len--;
    }
    if (in.len == 0 || in.len > TLS_NAME_MAX) {
        return MESH_E_SYNTAX;
    }
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = bytes_lower(in.ptr[i]);

        if (!is_host_byte(c) || (c == '.' && before == '.')) {
            return MESH_E_SYNTAX;
        }
        out[i] = c;
        before = c;
    }
    return before == '.' ? MESH_E_SYNTAX : (int)in.len;
}

/* struct { NameType name_type = host_name(0); opaque HostName<1..2^16-1>; } ServerNameList<1..> */
int tls_names_parse_sni(struct bytes extension, uint8_t out[static TLS_NAME_MAX])
{
    size_t len;

    if (extension.len < 5) {
        return MESH_E_SYNTAX;
    }
    len = (size_t)extension.ptr[0] << 8 | extension.ptr[1];
    if (len != extension.len - 2 || extension.ptr[2] != 0) {
        return MESH_E_SYNTAX;
    }
    len = (size_t)extension.ptr[3] << 8 | extension.ptr[4];
    if (len != extension.len - 5) { /* a second name is refused, as the library refuses it */
        return MESH_E_SYNTAX;
    }
    return tls_names_normalize(bytes_from(extension, 5), out);
}
