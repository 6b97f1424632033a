/* Memory that ends at any moment: the session that asks for it ends or refuses, nobody else does,
 * and nothing is kept. The moments are those of every size by itself and of all together. */
#include "http2/h2_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cunit.h"
#include "http2_kit.h"

#define SIZES  H2_MEMORY_CLASSES /* each has one slab, the arena no more */
#define KEPT   4096u             /* objects of 32 bytes in a slab */
#define ROUNDS 3u

struct scarce {
    struct h2_memory memory;
    void *held[SIZES][KEPT];
    uint32_t count[SIZES];
};

static size_t size_of(uint32_t class)
{
    size_t size = (size_t)32 << (class / 2);

    return class % 2 == 0 ? size : size + size / 2;
}

/* Takes all there is of every size, so that each has a slab of its own. */
static struct scarce *scarce_new(void)
{
    struct scarce *scarce = calloc(1, sizeof(*scarce));
    void *arena = aligned_alloc(H2_SLAB_SIZE, SIZES * H2_SLAB_SIZE);

    MUST(scarce != NULL && arena != NULL);
    h2_memory_init(&scarce->memory, arena, SIZES * H2_SLAB_SIZE);
    for (uint32_t class = 0; class < SIZES; class ++) {
        void *object = h2_memory_take(&scarce->memory, size_of(class));

        while (object != NULL && scarce->memory.used == class + 1) {
            scarce->held[class][scarce->count[class]++] = object;
            object = h2_memory_take(&scarce->memory, size_of(class));
        }
        h2_memory_give(&scarce->memory, object); /* the first of another slab */
        CHECK_UINT(scarce->memory.used, class + 1);
    }
    return scarce;
}

/* Gives `most` objects of a size back. */
static void scarce_loosen(struct scarce *scarce, uint32_t class, uint32_t most)
{
    for (uint32_t i = 0; i < most && scarce->count[class] > 1; i++) { /* one keeps the slab its */
        h2_memory_give(&scarce->memory, scarce->held[class][--scarce->count[class]]);
    }
}

static void scarce_free(struct scarce *scarce)
{
    for (uint32_t class = 0; class < SIZES; class ++) {
        while (scarce->count[class] > 0) {
            h2_memory_give(&scarce->memory, scarce->held[class][--scarce->count[class]]);
        }
    }
    CHECK_UINT(scarce->memory.used, 0);
    free(scarce->memory.arena);
    free(scarce);
}

/* Requests with fields that go into the tables of both sides; bodies both ways. Whether all was
 * answered. */
static bool exchange_all(struct kit_side *client, struct kit_side *server)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nx-answer: kept in the table\r\n\r\n";
    uint32_t answered = 0;

    for (uint32_t round = 0; round < ROUNDS; round++) {
        struct kit_stream *stream = &client->streams[client->opened++];
        char text[512];
        int length =
            snprintf(text, sizeof(text), "POST /%u HTTP/1.1\r\nhost: a\r\nx-%u: %0200u\r\n\r\n",
                     round, round, round);

        *stream = (struct kit_stream){.used = true, .send = "question"};
        stream->id = h2_request(client->session, stream, bytes_of(text, (size_t)length), false);
        kit_exchange(client, server, SIZE_MAX);
        if (stream->id <= 0 || server->opened == 0 || !server->streams[server->opened - 1].ended) {
            break;
        }
        server->streams[server->opened - 1].send = "answer";
        (void)!h2_answer(server->session, server->streams[server->opened - 1].id,
                         bytes_of(answer, sizeof(answer) - 1), false);
        kit_exchange(client, server, SIZE_MAX);
        answered +=
            stream->closed && stream->code == H2_NO_ERROR && strcmp(stream->body, "answer") == 0;
    }
    return answered == ROUNDS;
}

/* One session with what `loosen` leaves it; beside it another that was there before. */
static bool run_with(uint32_t only, uint32_t most)
{
    struct scarce *scarce = scarce_new();
    struct kit_side *client = calloc(1, sizeof(*client));
    struct kit_side *server = calloc(1, sizeof(*server));
    bool whole = false;

    MUST(client != NULL && server != NULL);
    for (uint32_t class = 0; class < SIZES; class ++) {
        scarce_loosen(scarce, class, only == SIZES || class == only ? most : KEPT);
    }
    kit_open(client, false);
    if (kit_begin(server, true, &scarce->memory)) {
        whole = exchange_all(client, server);
        h2_destroy(server->session);
    }
    kit_close(client);
    free(client);
    free(server);
    scarce_free(scarce);
    return whole;
}

TEST(h2_memory_that_ends_anywhere_ends_one_session)
{
    for (uint32_t only = 0; only <= SIZES; only++) {
        bool whole = false;
        uint32_t most = 0;

        for (; !whole && most < 256; most++) {
            whole = run_with(only, most);
        }
        CHECK(whole); /* with enough of it all is answered */
    }
    CHECK(!run_with(SIZES, 1)); /* and without it is not */
}

/* A session that finds no memory takes none from its neighbour, whose tables stay whole. */
TEST(h2_memory_that_ends_for_one_is_there_for_its_neighbour)
{
    struct scarce *scarce = scarce_new();
    struct kit_side *sides = calloc(4, sizeof(*sides));
    uint32_t opened = 1;

    MUST(sides != NULL);
    for (uint32_t class = 0; class < SIZES; class ++) {
        scarce_loosen(scarce, class, 64);
    }
    kit_open(&sides[0], false);
    CHECK(kit_begin(&sides[1], true, &scarce->memory));
    CHECK(exchange_all(&sides[0], &sides[1]));
    kit_open(&sides[2], false);
    while (opened < 1000 && kit_begin(&sides[3], true, &scarce->memory)) {
        h2_destroy(sides[3].session);
        memset(&sides[3], 0, sizeof(sides[3]));
        for (uint32_t class = 0; class < SIZES; class ++) { /* a little less each time */
            void *object = h2_memory_take(&scarce->memory, size_of(class));

            if (object != NULL && scarce->count[class] < KEPT) {
                scarce->held[class][scarce->count[class]++] = object;
            }
        }
        opened++;
    }
    CHECK(opened > 1 && opened < 1000);
    for (uint32_t class = 0; class < SIZES; class ++) {
        scarce_loosen(scarce, class, 16);
    }
    CHECK(exchange_all(&sides[0], &sides[1]));
    h2_destroy(sides[1].session);
    kit_close(&sides[0]);
    kit_close(&sides[2]);
    free(sides);
    scarce_free(scarce);
}
