/* Keys of X25519, made for one handshake: those of the default provider, but for how they are made.
 *
 * OpenSSL 3.0 counts a public key with limbs of 26 bits, which takes longer than the exchange
 * itself. Here Nettle counts it; exchange, comparing and wiping stay the library's. */
#include "tls_private.h"

#include <string.h>

#include <nettle/curve25519.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/must.h"

#define KEY_SIZE       32
#define FUNCTIONS_MAX  32
#define ALGORITHM_NAME "X25519"

_Static_assert(KEY_SIZE == CURVE25519_SIZE, "both libraries mean the same key");

static OSSL_DISPATCH functions[FUNCTIONS_MAX + 1]; /* ends with one of id 0 */
OSSL_ALGORITHM tls_keys_algorithms[2];             /* ends with one that has no name */

static struct { /* of the default provider */
    OSSL_FUNC_keymgmt_new_fn *create;
    OSSL_FUNC_keymgmt_import_fn *import;
    OSSL_FUNC_keymgmt_dup_fn *copy;
    OSSL_FUNC_keymgmt_free_fn *release;
} theirs;

struct making { /* a key on its way */
    void *provider;
    int selection;
};

struct halves {
    uint8_t own[KEY_SIZE];  /* private */
    uint8_t open[KEY_SIZE]; /* public */
};

static int set_params(void *context, const OSSL_PARAM params[])
{
    const OSSL_PARAM *group = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_GROUP_NAME);

    (void)context;
    return group == NULL || (group->data_type == OSSL_PARAM_UTF8_STRING &&
                             OPENSSL_strcasecmp(group->data, ALGORITHM_NAME) == 0);
}

static const OSSL_PARAM *settable_params(void *context, void *provider)
{
    static const OSSL_PARAM known[] = {
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)context;
    (void)provider;
    return known;
}

static void *making_start(void *provider, int selection, const OSSL_PARAM params[])
{
    struct making *making = NULL;

    if (params == NULL || set_params(NULL, params) == 1) {
        making = OPENSSL_malloc(sizeof(*making));
    }
    if (making != NULL) {
        *making = (struct making){provider, selection};
    }
    return making;
}

static void making_end(void *context)
{
    OPENSSL_free(context);
}

/* A key of both halves. The library imports a private half to the common heap and copies one to the
 * secrets' heap, so what is imported is wiped again, and its copy is the key. */
static void *import(void *provider, const struct halves *halves)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PRIV_KEY, (void *)(uintptr_t)halves->own, KEY_SIZE),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)(uintptr_t)halves->open, KEY_SIZE),
        OSSL_PARAM_END,
    };
    void *imported = theirs.create(provider);
    void *key = NULL;

    if (imported != NULL && theirs.import(imported, OSSL_KEYMGMT_SELECT_KEYPAIR, params) == 1) {
        key = theirs.copy(imported, OSSL_KEYMGMT_SELECT_KEYPAIR);
    }
    theirs.release(imported);
    return key;
}

/* Nettle leaves a copy of the private half on the stack, below its caller. */
[[gnu::noinline]] static void wipe_stack(void)
{
    uint8_t area[512];

    OPENSSL_cleanse(area, sizeof(area));
}

void tls_keys_public(const uint8_t private_key[static KEY_SIZE],
                     uint8_t public_key[static KEY_SIZE])
{
    curve25519_mul_g(public_key, private_key);
    wipe_stack();
}

/* A key, or an empty one where only parameters are asked for. */
static void *make(void *context, OSSL_CALLBACK *progress, void *argument)
{
    const struct making *making = context;
    struct halves halves;
    void *key = NULL;

    (void)progress;
    (void)argument;
    if ((making->selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0) {
        return theirs.create(making->provider);
    }
    if (RAND_priv_bytes_ex(tls_engine.library, halves.own, KEY_SIZE, 0) == 1) {
        tls_keys_public(halves.own, halves.open);
        key = import(making->provider, &halves);
    }
    OPENSSL_cleanse(&halves, sizeof(halves));
    return key;
}

static const OSSL_DISPATCH ours[] = {
    {OSSL_FUNC_KEYMGMT_GEN_INIT, (void (*)(void))making_start},
    {OSSL_FUNC_KEYMGMT_GEN_SET_PARAMS, (void (*)(void))set_params},
    {OSSL_FUNC_KEYMGMT_GEN_SETTABLE_PARAMS, (void (*)(void))settable_params},
    {OSSL_FUNC_KEYMGMT_GEN, (void (*)(void))make},
    {OSSL_FUNC_KEYMGMT_GEN_CLEANUP, (void (*)(void))making_end},
};
#define OURS (sizeof(ours) / sizeof(ours[0]))

static void note(const OSSL_DISPATCH *function)
{
    switch (function->function_id) {
    case OSSL_FUNC_KEYMGMT_NEW:
        theirs.create = OSSL_FUNC_keymgmt_new(function);
        break;
    case OSSL_FUNC_KEYMGMT_IMPORT:
        theirs.import = OSSL_FUNC_keymgmt_import(function);
        break;
    case OSSL_FUNC_KEYMGMT_DUP:
        theirs.copy = OSSL_FUNC_keymgmt_dup(function);
        break;
    case OSSL_FUNC_KEYMGMT_FREE:
        theirs.release = OSSL_FUNC_keymgmt_free(function);
        break;
    default:
        break;
    }
}

static bool is_ours(const OSSL_DISPATCH *function)
{
    for (size_t i = 0; i < OURS; i++) {
        if (ours[i].function_id == function->function_id) {
            return true;
        }
    }
    return false;
}

static const OSSL_ALGORITHM *find(const OSSL_ALGORITHM *all)
{
    for (; all != NULL && all->algorithm_names != NULL; all++) {
        if (strcspn(all->algorithm_names, ":") == sizeof(ALGORITHM_NAME) - 1 &&
            memcmp(all->algorithm_names, ALGORITHM_NAME, sizeof(ALGORITHM_NAME) - 1) == 0) {
            return all;
        }
    }
    return NULL;
}

bool tls_keys_init(void)
{
    int may_change = 0;
    const OSSL_ALGORITHM *found =
        find(OSSL_PROVIDER_query_operation(tls_engine.algorithms, OSSL_OP_KEYMGMT, &may_change));
    size_t count = OURS;

    if (found == NULL) {
        return false;
    }
    memcpy(functions, ours, sizeof(ours));
    for (const OSSL_DISPATCH *at = found->implementation; at->function_id != 0; at++) {
        note(at);
        if (!is_ours(at)) {
            MUST(count < FUNCTIONS_MAX);
            functions[count++] = *at;
        }
    }
    functions[count] = (OSSL_DISPATCH){0};
    tls_keys_algorithms[0] = *found;
    tls_keys_algorithms[0].implementation = functions;
    return theirs.create != NULL && theirs.import != NULL && theirs.copy != NULL &&
           theirs.release != NULL;
}
