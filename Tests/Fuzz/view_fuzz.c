/* Snapshots under a header that agrees with them: whatever the walk accepts, every lookup can use,
 * and the walk comes to the same end in steps of any size. The seeds are made by
 * Tests/CUnit/table_kit.c in the layout of the day. */
#include <stdlib.h>

#include "base/hash.h"
#include "fuzz.h"
#include "snapshot_builder.h"
#include "table/secrets.h"
#include "table_kit.h"

static enum view_progress walk(struct bytes in, uint32_t step, struct view_refusal *refusal,
                               struct view *view)
{
    enum view_progress progress = view_open_begin(view, in.ptr, in.len, refusal);

    for (uint64_t steps = 0; progress == VIEW_MORE; steps++) {
        MUST(steps <= in.len * 4 + 64);
        progress = view_open_step(view, step, refusal);
    }
    return progress;
}

/* Sets what a mutation of other bytes would nearly always break. */
static void seal(uint8_t *bytes, size_t size)
{
    struct abi_snapshot *head = (struct abi_snapshot *)(void *)bytes;

    if (size >= sizeof(*head)) {
        head->magic = ABI_SNAPSHOT_MAGIC;
        head->version = ABI_VERSION;
        head->header_size = sizeof(*head);
        head->size = size;
        snapshot_builder_seal(bytes, size);
    }
}

static void seal_secrets(uint8_t *bytes, size_t size)
{
    struct abi_secrets *head = (struct abi_secrets *)(void *)bytes;

    if (size >= sizeof(*head)) {
        head->magic = ABI_SECRETS_MAGIC;
        head->version = ABI_VERSION;
        head->header_size = sizeof(*head);
        head->size = size;
        head->checksum = abi_checksum(head + 1, size - sizeof(*head));
    }
}

static volatile uint64_t sink; /* so that bytes are really read */

static void read_secrets(struct bytes in)
{
    struct secrets secrets;
    struct view_refusal refusal;

    if (!secrets_open(&secrets, in.ptr, in.len, &refusal)) {
        MUST(refusal.code != ABI_REFUSAL_NONE);
        return;
    }
    for (uint32_t i = 0; i < secrets.head->count; i++) {
        const struct abi_secret *secret = &secrets.records[i];
        struct bytes key = secrets_bytes(&secrets, secret->key);

        MUST(secrets_find(&secrets, secret->id) == secret);
        MUST(key.len > 0);
        sink = hash_bytes(key);
    }
}

static bool view_seed(uint32_t index, struct bytes *out)
{
    static const uint8_t tickets[160] = {7};
    static struct snapshot_builder *builder;
    static uint8_t *secrets;
    const struct snapshot_secret kept[] = {
        {1, ABI_SECRET_TICKET_KEYS, {NULL, 0}, bytes_of(tickets, sizeof(tickets)), {NULL, 0}, 0},
        {7, ABI_SECRET_CERTIFICATE, BYTES_LITERAL("chain"), BYTES_LITERAL("key"),
         BYTES_LITERAL("web\0*.web\0"), 0},
    };
    size_t size;

    if (builder != NULL) {
        snapshot_builder_free(builder);
        builder = NULL;
    }
    free(secrets);
    secrets = NULL;
    if (index < 2) {
        builder = index == 0 ? table_kit_small() : table_kit_everything();
        *out = bytes_of(snapshot_builder_bytes(builder), snapshot_builder_size(builder));
        return true;
    }
    if (index == 2) {
        secrets = snapshot_builder_secrets(kept, 2, &size);
        *out = bytes_of(secrets, size);
    }
    return index == 2;
}

FUZZ_TARGET_WITH_SEEDS(view, view_seed)
{
    /* The allocation ends where the input ends, so that a read beyond it is seen. */
    uint8_t *copy = malloc(in.len == 0 ? 1 : in.len);
    struct view view, again;
    struct view_refusal refusal, second;
    enum view_progress progress;

    memcpy(copy, in.ptr, in.len);
    seal(copy, in.len);
    progress = walk(bytes_of(copy, in.len), UINT32_MAX, &refusal, &view);
    MUST(walk(bytes_of(copy, in.len), 1, &second, &again) == progress);
    MUST(second.code == refusal.code);
    if (progress == VIEW_READY) {
        table_kit_use(&view);
    } else {
        MUST(refusal.code != ABI_REFUSAL_NONE);
        MUST(refusal.what != NULL);
    }
    seal_secrets(copy, in.len);
    read_secrets(bytes_of(copy, in.len));
    free(copy);
}
