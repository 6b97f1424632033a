/* Parsed certificates. Of thousands that a server may show, a worker parses those that are asked
 * for, at their first use: that costs half a millisecond, most of it in the library's search for a
 * decoder. They are remembered by id and version in sets of WAYS, of which the one that was not
 * used for longest goes when another comes (clock). Whoever uses one holds references of its own,
 * so that it may go at any time. Intermediates are few and shared, and have a table of their own.
 */
#include "tls_private.h"

#include <openssl/err.h>

#include "base/hash.h"

#define WAYS          8u
#define SETS          (TLS_LEAVES_MAX / WAYS)
#define INTERMEDIATES 64u

struct place {
    struct tls_leaf leaf; /* id 0: free */
    bool used;            /* since the hand came by */
};

struct intermediate {
    struct bytes der; /* owned; empty: free */
    X509 *x509;
};

static struct place places[SETS][WAYS];
static uint8_t hands[SETS];
static uint32_t place_count;
static struct intermediate intermediates[INTERMEDIATES];
static struct tls_leaf unnamed; /* the newest without an id */

_Static_assert((SETS & (SETS - 1)) == 0, "a set is chosen by low bits of a hash");

/* Where a certificate with this id goes: where an older version is, a free place, or that of one
 * that nobody used lately. */
static struct place *place_for(uint64_t id, uint32_t set)
{
    struct place *best = NULL;

    for (uint32_t i = 0; i < WAYS; i++) {
        struct place *place = &places[set][i];

        if (place->leaf.id == id) {
            return place;
        }
        if (best == NULL && place->leaf.id == 0) {
            best = place;
        }
    }
    while (best == NULL) {
        struct place *place = &places[set][hands[set]];

        hands[set] = (uint8_t)((hands[set] + 1) % WAYS);
        if (!place->used) {
            best = place;
        }
        place->used = false;
    }
    return best;
}

static void empty(struct place *place)
{
    if (place->leaf.id != 0) {
        tls_leaf_free(&place->leaf);
        place_count--;
    }
}

const struct tls_leaf *tls_leaves_get(const struct tls_certificate *from, const char **why)
{
    uint32_t set = (uint32_t)hash_finish(from->id) & (SETS - 1);
    struct tls_leaf leaf;
    struct place *place;

    for (uint32_t i = 0; from->id != 0 && i < WAYS; i++) {
        place = &places[set][i];
        if (place->leaf.id == from->id && place->leaf.version == from->version) {
            place->used = true;
            return &place->leaf;
        }
    }
    *why = tls_leaf_load(&leaf, from);
    if (*why != NULL) {
        return NULL;
    }
    if (from->id == 0) {
        tls_leaf_free(&unnamed);
        unnamed = leaf;
        return &unnamed;
    }
    place = place_for(from->id, set);
    empty(place);
    *place = (struct place){leaf, true};
    place_count++;
    return &place->leaf;
}

X509 *tls_leaves_intermediate(struct bytes der)
{
    struct intermediate *entry = &intermediates[(uint32_t)hash_bytes(der) & (INTERMEDIATES - 1)];
    uint8_t *copy;
    X509 *x509;

    if (der.len > 0 && bytes_equal(entry->der, der)) {
        X509_up_ref(entry->x509);
        return entry->x509;
    }
    x509 = tls_leaf_parse(der);
    copy = x509 == NULL ? NULL : OPENSSL_memdup(der.ptr, der.len);
    if (copy != NULL) {
        X509_free(entry->x509);
        OPENSSL_free((void *)(uintptr_t)entry->der.ptr);
        X509_up_ref(x509);
        *entry = (struct intermediate){bytes_of(copy, der.len), x509};
    }
    return x509;
}

uint32_t tls_leaves_count(void)
{
    return place_count;
}

void tls_leaves_clear(void)
{
    for (uint32_t set = 0; set < SETS; set++) {
        for (uint32_t i = 0; i < WAYS; i++) {
            empty(&places[set][i]);
            places[set][i].used = false;
        }
    }
    tls_leaf_free(&unnamed);
    for (uint32_t i = 0; i < INTERMEDIATES; i++) {
        X509_free(intermediates[i].x509);
        OPENSSL_free((void *)(uintptr_t)intermediates[i].der.ptr);
        intermediates[i] = (struct intermediate){0};
    }
}
