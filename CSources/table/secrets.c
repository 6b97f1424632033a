#include "table/secrets.h"

#include "abi/limits.h"

#define TICKET_KEY_SIZE 80u /* of one tls_ticket_key */

static bool refuse(struct view_refusal *refusal, enum abi_refusal code, uint32_t record,
                   const char *what)
{
    *refusal = (struct view_refusal){code, ABI_SECTION_COUNT, record, what};
    return false;
}

static bool check_head(const struct abi_secrets *head, size_t size, struct view_refusal *refusal)
{
    if (size < sizeof(*head)) {
        return refuse(refusal, ABI_REFUSAL_SIZE, 0, "shorter than a header");
    }
    if (head->magic != ABI_SECRETS_MAGIC) {
        return refuse(refusal, ABI_REFUSAL_MAGIC, 0, "not a secrets region");
    }
    if (head->version != ABI_VERSION || head->header_size != sizeof(*head)) {
        return refuse(refusal, ABI_REFUSAL_VERSION, 0, "another ABI version");
    }
    if (head->size != size || size > LIMIT_SECRETS_SIZE) {
        return refuse(refusal, ABI_REFUSAL_SIZE, 0, "the header says another size");
    }
    if (head->generation == 0) {
        return refuse(refusal, ABI_REFUSAL_VALUE, 0, "the generation is 0");
    }
    if (head->_pad0 != 0) {
        return refuse(refusal, ABI_REFUSAL_PADDING, 0, "header");
    }
    if (head->count > LIMIT_SECRETS) {
        return refuse(refusal, ABI_REFUSAL_LIMIT, 0, "more secrets than LIMIT_SECRETS");
    }
    if (head->count * sizeof(struct abi_secret) > size - sizeof(*head)) {
        return refuse(refusal, ABI_REFUSAL_SECTION, 0, "records run past the end of the file");
    }
    if (head->checksum != abi_checksum(head + 1, size - sizeof(*head))) {
        return refuse(refusal, ABI_REFUSAL_CHECKSUM, 0, "the contents do not match the checksum");
    }
    return true;
}

/* A range of the bytes behind the records. */
static bool in_bytes(const struct secrets *secrets, struct abi_ref ref)
{
    uint64_t from = sizeof(struct abi_secrets) + secrets->head->count * sizeof(struct abi_secret);

    return ref.count == 0 ? ref.at == 0
                          : ref.at >= from && (uint64_t)ref.at + ref.count <= secrets->size;
}

static bool check_contents(const struct secrets *secrets, uint32_t i, struct view_refusal *refusal)
{
    const struct abi_secret *secret = &secrets->records[i];
    struct bytes names = secrets_bytes(secrets, secret->names);

    if (secret->key.count == 0) {
        return refuse(refusal, ABI_REFUSAL_SECRET, i, "a secret without a key");
    }
    if (secret->kind == ABI_SECRET_CERTIFICATE) {
        if (secret->chain.count == 0) {
            return refuse(refusal, ABI_REFUSAL_SECRET, i, "a certificate without a chain");
        }
        if (names.len > 0 && names.ptr[names.len - 1] != 0) {
            return refuse(refusal, ABI_REFUSAL_VALUE, i, "names without their last NUL");
        }
    } else if (secret->key.count % TICKET_KEY_SIZE != 0 ||
               secret->key.count / TICKET_KEY_SIZE > LIMIT_TICKET_KEYS ||
               secret->chain.count != 0 || names.len != 0) {
        return refuse(refusal, ABI_REFUSAL_SECRET, i, "ticket keys");
    }
    return true;
}

bool secrets_open(struct secrets *secrets, const void *bytes, size_t size,
                  struct view_refusal *refusal)
{
    const struct abi_secrets *head = bytes;

    MUST(((uintptr_t)bytes & (ABI_SECTION_ALIGN - 1)) == 0);
    *refusal = (struct view_refusal){0};
    if (!check_head(head, size, refusal)) {
        return false;
    }
    *secrets = (struct secrets){head, (const struct abi_secret *)(head + 1), size};
    for (uint32_t i = 0; i < head->count; i++) {
        const struct abi_secret *secret = &secrets->records[i];

        if (secret->id == 0 || (i > 0 && secret[-1].id >= secret->id)) {
            return refuse(refusal, ABI_REFUSAL_ORDER, i, "secrets are sorted by id, none twice");
        }
        if (secret->kind >= ABI_SECRET_KIND_COUNT) {
            return refuse(refusal, ABI_REFUSAL_VALUE, i, "kind of a secret");
        }
        if (secret->_pad0 != 0) {
            return refuse(refusal, ABI_REFUSAL_PADDING, i, "secret");
        }
        if (!in_bytes(secrets, secret->chain) || !in_bytes(secrets, secret->key) ||
            !in_bytes(secrets, secret->names)) {
            return refuse(refusal, ABI_REFUSAL_REFERENCE, i, "bytes of a secret");
        }
        if (!check_contents(secrets, i, refusal)) {
            return false;
        }
    }
    return true;
}

const struct abi_secret *secrets_find(const struct secrets *secrets, uint64_t id)
{
    uint32_t low = 0, high = secrets->head->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (secrets->records[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < secrets->head->count && secrets->records[low].id == id ? &secrets->records[low]
                                                                        : NULL;
}

struct bytes secrets_bytes(const struct secrets *secrets, struct abi_ref ref)
{
    return bytes_of((const uint8_t *)secrets->head + ref.at, ref.count);
}
