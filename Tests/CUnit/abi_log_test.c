/* The ring of access records: what is put in comes out, whole and in order, or not at all. */
#include "abi/log.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/errors.h"
#include "cunit.h"

static struct abi_records *new_ring(uint64_t position)
{
    struct abi_records *ring = mmap(NULL, abi_log_ring_bytes(), PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    MUST(ring != MAP_FAILED);
    ring->head = position;
    ring->tail = position;
    return ring;
}

static void drop_ring(struct abi_records *ring)
{
    munmap(ring, abi_log_ring_bytes());
}

union buffer {
    struct abi_log_record record;
    uint8_t bytes[LIMIT_LOG_RECORD];
};

/* A record numbered `number` with `text` bytes that follow from it. */
static const struct abi_log_record *make(union buffer *out, uint64_t number, uint32_t text)
{
    memset(&out->record, 0, sizeof(out->record));
    out->record.kind = ABI_RECORD_WHOLE;
    out->record.log = number;
    out->record.text = (uint16_t)text;
    out->record.length = (uint32_t)((sizeof(out->record) + text + 7) & ~(size_t)7);
    memset(out->bytes + sizeof(out->record), (int)(number & 0x7f),
           out->record.length - sizeof(out->record));
    return &out->record;
}

static bool is(const union buffer *in, uint64_t number, uint32_t text)
{
    static union buffer expected;

    make(&expected, number, text);
    return memcmp(in, &expected, expected.record.length) == 0;
}

static uint32_t text_of(uint64_t number)
{
    return (uint32_t)(number * 2654435761u % (ABI_LOG_TEXT_SIZE + 1));
}

TEST(records_of_any_size_come_out_as_they_went_in_many_times_around)
{
    static union buffer buffer;
    struct abi_records *ring = new_ring(0);
    uint64_t put = 0, taken = 0, tail = 0;

    while (taken < 20000) {
        for (uint32_t i = cunit_random_below(800); i > 0; i--) {
            if (abi_log_ring_put(ring, make(&buffer, put, text_of(put))) == 0) {
                break;
            }
            put++;
        }
        for (uint32_t i = cunit_random_below(800); i > 0; i--) {
            enum abi_records_read read = abi_log_ring_next(ring, &tail, &buffer.record);

            if (read == ABI_RECORDS_EMPTY) {
                CHECK_UINT(taken, put);
                break;
            }
            if (!CHECK_INT(read, ABI_RECORDS_TAKEN) || !CHECK(is(&buffer, taken, text_of(taken)))) {
                drop_ring(ring);
                return;
            }
            taken++;
        }
        abi_records_release(ring, tail);
    }
    CHECK(ring->head > 4ULL * LIMIT_LOG_RING);
    drop_ring(ring);
}

TEST(a_full_ring_takes_nothing_and_loses_nothing)
{
    static union buffer buffer;
    struct abi_records *ring = new_ring(8); /* the last one does not end with the ring */
    uint64_t put = 0, tail = 8;

    while (abi_log_ring_put(ring, make(&buffer, put, 800)) != 0) {
        put++;
    }
    CHECK_UINT(put, (LIMIT_LOG_RING - 8) / 1024);
    for (uint64_t i = 0; i < put; i++) {
        CHECK_INT(abi_log_ring_put(ring, make(&buffer, 99, 800)), 0);
        CHECK_INT(abi_log_ring_next(ring, &tail, &buffer.record), ABI_RECORDS_TAKEN);
        CHECK(is(&buffer, i, 800));
    }
    CHECK_INT(abi_log_ring_next(ring, &tail, &buffer.record), ABI_RECORDS_EMPTY);
    CHECK_INT(abi_log_ring_put(ring, make(&buffer, 99, 800)), 0); /* until the reader says so */
    abi_records_release(ring, tail);
    CHECK_INT(abi_log_ring_put(ring, make(&buffer, 99, 800)), 1);
    CHECK_INT(abi_log_ring_next(ring, &tail, &buffer.record), ABI_RECORDS_TAKEN);
    CHECK(is(&buffer, 99, 800));
    drop_ring(ring);
}

/* Positions count bytes for ever; only their difference means anything. */
TEST(positions_may_wrap)
{
    static union buffer buffer;
    uint64_t start = UINT64_MAX - 2047;
    struct abi_records *ring = new_ring(start);
    uint64_t tail = start;

    for (uint64_t i = 0; i < 8; i++) {
        CHECK_INT(abi_log_ring_put(ring, make(&buffer, i, 1000)), 1);
    }
    for (uint64_t i = 0; i < 8; i++) {
        CHECK_INT(abi_log_ring_next(ring, &tail, &buffer.record), ABI_RECORDS_TAKEN);
        CHECK(is(&buffer, i, 1000));
    }
    CHECK(tail < start);
    drop_ring(ring);
}

/* A process that dies at any moment of writing leaves whole records only. */
TEST(a_writer_killed_at_any_moment_leaves_no_torn_record)
{
    static union buffer buffer;
    struct abi_records *ring = new_ring(0);
    uint64_t tail = 0, next = 0;

    for (uint32_t round = 0; round < 20; round++) {
        pid_t writer = fork();
        enum abi_records_read read;
        uint64_t seen = 0;

        if (writer == 0) {
            for (uint64_t number = 0;; number++) {
                while (abi_log_ring_put(ring, make(&buffer, number, text_of(number))) == 0) {
                }
            }
        }
        MUST(writer > 0);
        while (seen < 50 + cunit_random_below(500)) {
            read = abi_log_ring_next(ring, &tail, &buffer.record);
            if (read == ABI_RECORDS_TAKEN) {
                CHECK(is(&buffer, seen, text_of(seen)));
                abi_records_release(ring, tail);
                seen++;
            } else if (!CHECK_INT(read, ABI_RECORDS_EMPTY)) {
                break;
            }
        }
        kill(writer, SIGKILL);
        MUST(waitpid(writer, NULL, 0) == writer);
        while ((read = abi_log_ring_next(ring, &tail, &buffer.record)) == ABI_RECORDS_TAKEN) {
            CHECK(is(&buffer, seen, text_of(seen)));
            seen++;
        }
        CHECK_INT(read, ABI_RECORDS_EMPTY);
        abi_records_release(ring, tail);
        next += seen;
    }
    CHECK(next >= 20 * 50);
    drop_ring(ring);
}

/* The writer is not trusted: whatever stands there, the reader ends behind it. */
TEST(what_no_writer_of_ours_left_is_skipped)
{
    static union buffer buffer;
    const struct {
        const char *what;
        size_t at;
        uint32_t value;
    } broken[] = {
        {"length 0", offsetof(struct abi_log_record, length), 0},
        {"shorter than a record", offsetof(struct abi_log_record, length), 216},
        {"longer than any record", offsetof(struct abi_log_record, length), LIMIT_LOG_RECORD + 8},
        {"longer than what was written", offsetof(struct abi_log_record, length), 1u << 31},
        {"longer than its text", offsetof(struct abi_log_record, length), 344},
        {"not a multiple of eight", offsetof(struct abi_log_record, length), 333},
        {"no such kind", offsetof(struct abi_log_record, kind), 3},
        {"a filler that does not end the ring", offsetof(struct abi_log_record, kind),
         ABI_RECORD_FILLER},
        {"a part behind the text", offsetof(struct abi_log_record, parts[3].len), 300},
        {"a part longer than its limit", offsetof(struct abi_log_record, parts[4]), 100u << 16},
        {"the unused part", offsetof(struct abi_log_record, parts[0]), 1u << 16},
    };

    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        struct abi_records *ring = new_ring(0);
        uint64_t tail = 0;

        cunit_context("%s", broken[i].what);
        CHECK_INT(abi_log_ring_put(ring, make(&buffer, 1, 104)), 1);
        CHECK_INT(abi_log_ring_put(ring, make(&buffer, 2, 104)), 1);
        memcpy(abi_records_data(ring) + broken[i].at, &broken[i].value, 4);
        CHECK_INT(abi_log_ring_next(ring, &tail, &buffer.record), ABI_RECORDS_BROKEN);
        CHECK_UINT(tail, ring->head);
        drop_ring(ring);
    }
}

TEST(a_head_that_cannot_be_is_skipped)
{
    static union buffer buffer;
    const uint64_t heads[] = {4, LIMIT_LOG_RING + 8, UINT64_MAX & ~7ULL};

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        struct abi_records *ring = new_ring(0);
        uint64_t tail = 0;

        ring->head = heads[i];
        CHECK_INT(abi_log_ring_next(ring, &tail, &buffer.record), ABI_RECORDS_BROKEN);
        CHECK_UINT(tail, heads[i]);
        drop_ring(ring);
    }
}

TEST(every_outcome_has_its_own_word)
{
    for (uint32_t i = 0; i < ABI_OUTCOME_COUNT; i++) {
        for (uint32_t j = 0; j < i; j++) {
            CHECK(strcmp(abi_outcome_name(i), abi_outcome_name(j)) != 0);
        }
    }
    CHECK_STRING(abi_outcome_name(ABI_OUTCOME_UPSTREAM_TLS), "upstream_tls");
    CHECK_STRING(abi_outcome_name(ABI_OUTCOME_PROXY_HEADER), "proxy_header");
    CHECK_STRING(abi_outcome_name(ABI_OUTCOME_COUNT), "unknown");
}
