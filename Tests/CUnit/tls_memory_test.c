/* What an idle session costs. */
#include "cunit.h"

#include <malloc.h>
#include <stdlib.h>

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
