#include "table/secrets.h"

#include <stdlib.h>

#include "cunit.h"
#include "snapshot_builder.h"

static const uint8_t ticket_keys[160] = {7};

static uint8_t *sample(size_t *size)
{
    const struct snapshot_secret secrets[] = {
        {1, ABI_SECRET_TICKET_KEYS, {NULL, 0}, {ticket_keys, 160}, {NULL, 0}, 0},
        {7, ABI_SECRET_CERTIFICATE, BYTES_LITERAL("chain"), BYTES_LITERAL("key"),
         BYTES_LITERAL("web\0*.web\0"), 0},
        {9,
         ABI_SECRET_CERTIFICATE,
         BYTES_LITERAL("chain of nine"),
         BYTES_LITERAL("k"),
         {NULL, 0},
         0},
    };

    return snapshot_builder_secrets(secrets, 3, size);
}

static void sum(uint8_t *bytes, size_t size)
{
    struct abi_secrets *head = (struct abi_secrets *)(void *)bytes;

    head->checksum = abi_checksum(head + 1, size - sizeof(*head));
}

TEST(secrets_are_found_by_id)
{
    size_t size;
    uint8_t *bytes = sample(&size);
    struct secrets secrets;
    struct view_refusal refusal;
    const struct abi_secret *secret;

    CHECK(secrets_open(&secrets, bytes, size, &refusal));
    CHECK(secrets_find(&secrets, 0) == NULL);
    CHECK(secrets_find(&secrets, 8) == NULL);
    CHECK(secrets_find(&secrets, 10) == NULL);
    secret = secrets_find(&secrets, 7);
    if (CHECK(secret != NULL)) {
        CHECK_TEXT(secrets_bytes(&secrets, secret->chain), "chain");
        CHECK_TEXT(secrets_bytes(&secrets, secret->key), "key");
        CHECK_UINT(secret->names.count, 10);
    }
    CHECK(secrets_find(&secrets, ABI_SECRET_ID_TICKETS) == &secrets.records[0]);
    CHECK(secrets_find(&secrets, 9) == &secrets.records[2]);
    free(bytes);
}

TEST(every_truncated_secrets_region_is_refused)
{
    size_t size;
    uint8_t *bytes = sample(&size);

    for (size_t length = 0; length < size; length++) {
        uint8_t *copy = aligned_alloc(16, length + 16 - length % 16);
        struct secrets secrets;
        struct view_refusal refusal;

        memcpy(copy, bytes, length);
        cunit_context("%zu of %zu bytes", length, size);
        CHECK(!secrets_open(&secrets, copy, length, &refusal));
        if (length >= sizeof(struct abi_secrets)) {
            ((struct abi_secrets *)(void *)copy)->size = length;
            sum(copy, length);
            CHECK(!secrets_open(&secrets, copy, length, &refusal));
        }
        free(copy);
    }
    free(bytes);
}

/* Whatever bit is flipped, what is accepted can be read. */
TEST(flipped_bits_of_secrets_are_found_or_harmless)
{
    size_t size;
    uint8_t *bytes = sample(&size);
    uint8_t seen = 0;
    uint32_t accepted = 0;

    for (size_t bit = 0; bit < size * 8; bit++) {
        struct secrets secrets;
        struct view_refusal refusal;

        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        cunit_context("bit %zu", bit);
        if (bit / 8 >= sizeof(struct abi_secrets)) {
            CHECK(!secrets_open(&secrets, bytes, size, &refusal));
        }
        sum(bytes, size);
        if (secrets_open(&secrets, bytes, size, &refusal)) {
            accepted++;
            for (uint32_t i = 0; i < secrets.head->count; i++) {
                struct bytes key = secrets_bytes(&secrets, secrets.records[i].key);

                seen ^= key.ptr[key.len - 1];
            }
        }
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        sum(bytes, size);
    }
    CHECK(accepted > 160 * 8);
    CHECK(seen < 0xff);
    free(bytes);
}

TEST(each_broken_rule_of_secrets)
{
    const struct {
        size_t at, size;
        uint64_t value;
        enum abi_refusal code;
    } cases[] = {
#define HEAD(field) offsetof(struct abi_secrets, field), sizeof(((struct abi_secrets *)0)->field)
#define SECOND(field)                                                                              \
    sizeof(struct abi_secrets) + sizeof(struct abi_secret) + offsetof(struct abi_secret, field),   \
        sizeof(((struct abi_secret *)0)->field)
        {HEAD(magic), 1, ABI_REFUSAL_MAGIC},
        {HEAD(version), ABI_VERSION + 1, ABI_REFUSAL_VERSION},
        {HEAD(header_size), 40, ABI_REFUSAL_VERSION},
        {HEAD(size), 12, ABI_REFUSAL_SIZE},
        {HEAD(generation), 0, ABI_REFUSAL_VALUE},
        {HEAD(_pad0), 1, ABI_REFUSAL_PADDING},
        {HEAD(count), 1u << 17, ABI_REFUSAL_LIMIT},
        {HEAD(count), 60, ABI_REFUSAL_SECTION},
        {SECOND(id), 1, ABI_REFUSAL_ORDER},
        {SECOND(id), 9, ABI_REFUSAL_ORDER},
        {SECOND(kind), 2, ABI_REFUSAL_VALUE},
        {SECOND(kind), ABI_SECRET_TICKET_KEYS, ABI_REFUSAL_SECRET},
        {SECOND(_pad0), 1, ABI_REFUSAL_PADDING},
        {SECOND(key.count), 0, ABI_REFUSAL_REFERENCE},
        {SECOND(key.count), 1u << 20, ABI_REFUSAL_REFERENCE},
        {SECOND(key.at), 3, ABI_REFUSAL_REFERENCE},
        {SECOND(names.count), 9, ABI_REFUSAL_VALUE},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t size;
        uint8_t *bytes = sample(&size);
        struct secrets secrets;
        struct view_refusal refusal;

        memcpy(bytes + cases[i].at, &cases[i].value, cases[i].size);
        sum(bytes, size);
        cunit_context("case %zu", i);
        CHECK(!secrets_open(&secrets, bytes, size, &refusal));
        CHECK_INT(refusal.code, cases[i].code);
        free(bytes);
    }
}
