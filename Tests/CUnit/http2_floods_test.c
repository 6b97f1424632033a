/* Peers that send much and want little: the connection ends, and memory is where it was. */
#include "http2/h2.h"

#include <stdlib.h>
#include <string.h>

#include "cunit.h"
#include "http2_kit.h"

/* GET / of http://a, by static entries and one literal. */
static const uint8_t request[] = {0x82, 0x86, 0x84, 0x01, 0x01, 'a'};
/* ... with a field whose name no request may have, and a POST. */
static const uint8_t upper[] = {0x82, 0x86, 0x84, 0x01, 0x01, 'a', 0x00, 0x01, 'X', 0x00};
static const uint8_t post[] = {0x83, 0x86, 0x84, 0x01, 0x01, 'a'};

enum { DATA = 0, HEADERS = 1, PRIORITY = 2, RST = 3, SETTINGS = 4, PING = 6, WINDOW = 8, CONT = 9 };

struct flood {
    uint8_t type;
    uint8_t flags;
    uint32_t id;
    struct bytes payload;
};

/* How many of these frames a server takes; 0: it never has enough. */
static uint32_t taken(const struct flood *flood, bool open)
{
    struct kit_side *side = malloc(sizeof(*side));
    uint8_t frame[16384 + 9];
    uint32_t count = 0;

    MUST(side != NULL);
    kit_open(side, true);
    kit_feed(side, kit_preface());
    if (open) {
        kit_feed(side,
                 bytes_of(frame, kit_frame(frame, HEADERS, 4, 1, bytes_of(post, sizeof(post)))));
    }
    while (side->alive && count < 100000) {
        kit_feed(side, bytes_of(frame, kit_frame(frame, flood->type, flood->flags, flood->id,
                                                 flood->payload)));
        count++;
        side->out_length = 0;
        (void)h2_send(side->session, 1);
    }
    CHECK(side->memory.high_water < 24);
    CHECK(!side->alive && h2_is_over(side->session));
    kit_close(side);
    free(side);
    return count;
}

static const uint8_t zeros[16384];

TEST(h2_floods_of_frames_without_effect_end)
{
    static const uint8_t one[4] = {0, 0, 0, 1};
    const struct flood floods[] = {
        {PING, 0, 0, bytes_of(zeros, 8)}, {SETTINGS, 0, 0, bytes_of(NULL, 0)},
        {WINDOW, 0, 0, bytes_of(one, 4)}, {PRIORITY, 0, 7, bytes_of(zeros, 5)},
        {0xee, 0, 0, bytes_of(NULL, 0)},  {0xee, 0, 0, bytes_of(zeros, 100)},
    };

    for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
        uint32_t count = taken(&floods[i], false);

        cunit_context("flood %zu: %u frames", i, count);
        CHECK(count > 100 && count <= kit_limits.calm + 2);
    }
}

TEST(h2_flood_of_empty_data_ends)
{
    const struct flood flood = {DATA, 0, 1, bytes_of(NULL, 0)};
    uint32_t count = taken(&flood, true);

    CHECK(count > 100 && count <= kit_limits.calm + 2);
}

/* Streams that are opened and given up, or that force us to reset them, in a row. */
static uint32_t resets_taken(bool made)
{
    struct kit_side *side = malloc(sizeof(*side));
    static const uint8_t cancel[4] = {0, 0, 0, 8};
    uint8_t frame[64];
    uint32_t id = 1;

    MUST(side != NULL);
    kit_open(side, true);
    kit_feed(side, kit_preface());
    for (; side->alive && id < 200000; id += 2) {
        side->opened = 0;
        kit_feed(side, bytes_of(frame, kit_frame(frame, HEADERS, 5, id,
                                                 made ? bytes_of(upper, sizeof(upper))
                                                      : bytes_of(request, sizeof(request)))));
        if (!made) {
            kit_feed(side, bytes_of(frame, kit_frame(frame, RST, 0, id, bytes_of(cancel, 4))));
        }
        side->out_length = 0;
        (void)h2_send(side->session, 1000);
    }
    CHECK(side->memory.high_water < 24);
    kit_close(side);
    free(side);
    return id / 2;
}

TEST(h2_rapid_resets_end)
{
    uint32_t count = resets_taken(false);

    CHECK(count > 50 && count <= kit_limits.calm / 2 + 2);
}

TEST(h2_resets_that_the_peer_provokes_count_too)
{
    uint32_t count = resets_taken(true);

    CHECK(count > 30 && count <= kit_limits.calm / 2 + 2);
}

TEST(h2_credit_comes_back_with_time)
{
    struct kit_side *side = malloc(sizeof(*side));
    uint8_t frame[32];

    MUST(side != NULL);
    kit_open(side, true);
    kit_feed(side, kit_preface());
    for (uint32_t i = 0; i < 5000 && side->alive; i++) {
        side->now_ms += 11; /* 91 in a second, of 100 */
        kit_feed(side, bytes_of(frame, kit_frame(frame, PING, 0, 0, bytes_of(zeros, 8))));
        side->out_length = 0;
        (void)h2_send(side->session, 1000);
    }
    CHECK(side->alive);
    kit_close(side);
    free(side);
}

/* --- blocks of fields --- */

TEST(h2_flood_of_continuations_ends)
{
    struct kit_side *side = malloc(sizeof(*side));
    uint8_t frame[16384 + 9];
    uint32_t count = 0;

    MUST(side != NULL);
    kit_open(side, true);
    kit_feed(side, kit_preface());
    kit_feed(side,
             bytes_of(frame, kit_frame(frame, HEADERS, 0, 1, bytes_of(request, sizeof(request)))));
    CHECK(h2_is_within_head(side->session));
    while (side->alive && count < 100000) {
        kit_feed(side, bytes_of(frame, kit_frame(frame, CONT, 0, 1, bytes_of(NULL, 0))));
        count++;
    }
    CHECK(count > 100 && count <= kit_limits.calm + 2);
    CHECK(kit_said_goaway(side, H2_ENHANCE_YOUR_CALM));
    kit_close(side);
    free(side);
}

TEST(h2_block_above_its_limit_ends)
{
    struct kit_side *side = malloc(sizeof(*side));
    static uint8_t frame[16384 + 9];
    uint32_t count = 0;

    MUST(side != NULL);
    kit_open(side, true);
    kit_feed(side, kit_preface());
    kit_feed(side,
             bytes_of(frame, kit_frame(frame, HEADERS, 0, 1, bytes_of(request, sizeof(request)))));
    while (side->alive && count < 100) {
        uint8_t block[8000];

        memset(block, 0x82, sizeof(block));
        kit_feed(side, bytes_of(frame, kit_frame(frame, CONT, 0, 1, bytes_of(block, 8000))));
        count++;
    }
    CHECK(count == 5); /* 32 KiB */
    CHECK(kit_said_goaway(side, H2_ENHANCE_YOUR_CALM));
    kit_close(side);
    free(side);
}

/* One entry of nearly 4 KiB, named again by every byte of the block: 30 KB become 120 MB. */
TEST(h2_bomb_of_references_ends_without_memory)
{
    struct kit_side *side = malloc(sizeof(*side));
    static uint8_t block[32000];
    static uint8_t frame[16384 + 9];
    size_t at = sizeof(request);

    MUST(side != NULL);
    kit_open(side, true);
    kit_feed(side, kit_preface());
    memcpy(block, request, sizeof(request));
    block[at++] = 0x40; /* a literal that is remembered */
    block[at++] = 1;
    block[at++] = 'x';
    block[at++] = 0x7f; /* a length of 4000 */
    block[at++] = (4000 - 127) % 128 + 128;
    block[at++] = (4000 - 127) / 128;
    memset(block + at, 'v', 4000);
    at += 4000;
    memset(block + at, 0xbe, sizeof(block) - at); /* the newest entry */
    kit_feed(side, bytes_of(frame, kit_frame(frame, HEADERS, 1, 1, bytes_of(block, 16000))));
    kit_feed(side, bytes_of(frame, kit_frame(frame, CONT, 4, 1, bytes_of(block + 16000, 16000))));
    CHECK(!side->alive && side->opened == 0);
    CHECK(kit_said_goaway(side, H2_ENHANCE_YOUR_CALM));
    CHECK(side->memory.high_water < 24);
    kit_close(side);
    free(side);
}

TEST(h2_streams_above_the_limit_are_refused_alone)
{
    struct kit_side *side = malloc(sizeof(*side));
    uint8_t frame[64];

    MUST(side != NULL);
    kit_open(side, true);
    kit_feed(side, kit_preface());
    (void)h2_send(side->session, 1000);
    kit_feed(side, bytes_of(frame, kit_frame(frame, SETTINGS, 1, 0, bytes_of(NULL, 0))));
    for (uint32_t i = 0; i < kit_limits.streams + 3; i++) {
        kit_feed(side, bytes_of(frame, kit_frame(frame, HEADERS, 5, 2 * i + 1,
                                                 bytes_of(request, sizeof(request)))));
    }
    CHECK(side->alive && side->opened == kit_limits.streams);
    kit_close(side);
    free(side);
}
