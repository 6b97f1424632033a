/* What an idle session costs. */
#include "cunit.h"

#include <malloc.h>
#include <stdlib.h>

#include <openssl/crypto.h>

#include "tls/tls_private.h"
#include "tls_kit.h"

/* The sanitizer's allocator answers instead of mallinfo2(), without the allocator's own overhead.
 */
[[gnu::weak]] size_t __sanitizer_get_current_allocated_bytes(void);

enum { SESSIONS = 1000 };

static size_t heap_bytes(void)
{
    struct mallinfo2 info;

    if (__sanitizer_get_current_allocated_bytes != NULL) {
        return __sanitizer_get_current_allocated_bytes();
    }
    info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void check_memory(const char *what, bool mutual, size_t server_limit, size_t client_limit)
{
    struct tls_options server = tls_kit_server_options();
    struct tls_options client = tls_kit_client_options();
    struct tls_kit_pair *pairs = calloc(SESSIONS, sizeof(*pairs));
    struct tls_context *server_context;
    struct tls_context *client_context;
    size_t empty;
    size_t full;
    size_t servers;

    server.verify = mutual ? TLS_VERIFY_REQUIRE : TLS_VERIFY_NONE;
    client.certificate_count = mutual ? 1 : 0;
    server_context = tls_kit_context(&server);
    client_context = tls_kit_context(&client);
    pairs[0] = tls_kit_pair(client_context, server_context, BYTES_LITERAL("web.example"), NULL);
    tls_kit_run(&pairs[0], 0); /* what is made once */
    tls_kit_pair_free(&pairs[0]);
    empty = heap_bytes();
    for (int i = 0; i < SESSIONS; i++) {
        pairs[i] = tls_kit_pair(client_context, server_context, BYTES_LITERAL("web.example"), NULL);
        tls_kit_run(&pairs[i], 0);
        CHECK(tls_kit_is_open(&pairs[i]));
        free(pairs[i].client.plain);
        free(pairs[i].server.plain);
        pairs[i].client.plain = pairs[i].server.plain = NULL;
    }
    full = heap_bytes();
    for (int i = 0; i < SESSIONS; i++) {
        tls_session_destroy(pairs[i].client.session);
    }
    servers = heap_bytes();
    for (int i = 0; i < SESSIONS; i++) {
        tls_session_destroy(pairs[i].server.session);
    }
    printf("%s: %zu bytes a server session, %zu a client session\n", what,
           (servers - empty) / SESSIONS, (full - servers) / SESSIONS);
    CHECK((servers - empty) / SESSIONS < server_limit);
    CHECK((full - servers) / SESSIONS < client_limit);
    CHECK(heap_bytes() < empty + 65536); /* and all of it comes back */
    free(pairs);
    tls_context_release(client_context);
    tls_context_release(server_context);
}

TEST(idle_sessions_are_small)
{
    check_memory("one-sided", false, 15 << 10, 20 << 10);
    check_memory("mutual", true, 20 << 10, 20 << 10);
}

/* The private parts of a key are in the heap that is not dumped, and gone with the last user. */
static void check_key(enum tls_kit_key kind, size_t least)
{
    struct tls_kit_spec spec = {.name = "key", .issuer = &tls_kit_world()->ca, .key = kind};
    struct tls_kit_cert cert = tls_kit_issue(&spec);
    struct tls_certificate use = tls_kit_use(&cert);
    struct tls_leaf leaf;
    size_t before;

    tls_kit_free(&cert);
    cert = tls_kit_issue(&spec);
    use = tls_kit_use(&cert);
    before = CRYPTO_secure_used();
    CHECK(tls_leaf_load(&leaf, &use) == NULL);
    CHECK(CRYPTO_secure_used() >= before + least);
    tls_leaf_free(&leaf);
    CHECK_UINT(CRYPTO_secure_used(), before);
    tls_kit_free(&cert);
}

TEST(keys_live_in_a_heap_of_their_own)
{
    struct tls_options options = tls_kit_server_options();
    struct tls_context *context;
    size_t before;

    check_key(TLS_KIT_EC, 32);
    check_key(TLS_KIT_RSA, 256 + 5 * 128);
    check_key(TLS_KIT_ED25519, 32);
    tls_leaves_clear();
    before = CRYPTO_secure_used();
    context = tls_kit_context(&options);
    CHECK(CRYPTO_secure_used() >= before + sizeof(struct tls_ticket_key) + 32);
    tls_context_release(context);
    tls_leaves_clear();
    CHECK_UINT(CRYPTO_secure_used(), before);
}

/* What LIMIT_TLS_LEAVES costs, with an intermediate that all of them share. */
TEST(a_remembered_leaf_is_small)
{
    enum { LEAVES = 256 };
    const struct tls_kit_world *world = tls_kit_world();
    const struct tls_kit_cert *const certs[] = {&world->server, &world->ca};
    struct tls_certificate use = world->server_use;
    const char *why = NULL;
    size_t before;

    use.chain = tls_kit_join(certs, 2);
    use.version = 1;
    tls_leaves_clear();
    CHECK(tls_leaves_get(&use, &why) != NULL);
    before = heap_bytes();
    for (use.id = 1; use.id <= LEAVES; use.id++) {
        CHECK(tls_leaves_get(&use, &why) != NULL);
    }
    printf("%zu bytes a remembered leaf\n", (heap_bytes() - before) / LEAVES);
    CHECK((heap_bytes() - before) / LEAVES < 8192);
    tls_leaves_clear();
    tls_kit_join_free(use.chain);
}
