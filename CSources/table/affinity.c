#include "table/affinity.h"

#include "base/hash.h"

/* Fields of one request that are looked at. */
struct part {
    uint64_t hash;
    bool found;
};

static void part_add(struct part *part, struct bytes value)
{
    /* Values are told apart from one value that reads the same. */
    part->hash = hash_more(part->found ? part->hash : HASH_START, value);
    part->hash = hash_more(part->hash, BYTES_LITERAL(","));
    part->found = true;
}

static struct part hash_fields(const struct route_input *request, struct bytes name)
{
    struct part part = {0, false};
    struct route_field field;

    for (uint32_t i = 0; request->next_field(request->context, i, &field); i++) {
        if (bytes_equal_nocase(field.name, name)) {
            part_add(&part, field.value);
        }
    }
    return part;
}

static size_t find(struct bytes in, uint8_t c)
{
    const uint8_t *at = in.len == 0 ? NULL : memchr(in.ptr, c, in.len);

    return at == NULL ? in.len : (size_t)(at - in.ptr);
}

static struct bytes trim(struct bytes in)
{
    while (in.len > 0 && (in.ptr[0] == ' ' || in.ptr[0] == '\t')) {
        in = bytes_from(in, 1);
    }
    while (in.len > 0 && (in.ptr[in.len - 1] == ' ' || in.ptr[in.len - 1] == '\t')) {
        in.len--;
    }
    return in;
}

/* The first `name=value` of a list; *value is it. */
static bool find_pair(struct bytes list, uint8_t separator, struct bytes name, struct bytes *value)
{
    while (list.len > 0) {
        size_t end = find(list, separator);
        struct bytes pair = trim(bytes_part(list, 0, end));
        size_t equals = find(pair, '=');

        list = bytes_from(list, end < list.len ? end + 1 : end);
        if (bytes_equal(bytes_part(pair, 0, equals), name)) {
            *value = bytes_from(pair, equals < pair.len ? equals + 1 : equals);
            return true;
        }
    }
    return false;
}

/* RFC 6265 5.4: one field, in HTTP/2 also several. An empty value is none. */
static struct part hash_cookie(const struct route_input *request, struct bytes name)
{
    struct part part = {0, false};
    struct route_field field;
    struct bytes value;

    for (uint32_t i = 0; !part.found && request->next_field(request->context, i, &field); i++) {
        if (bytes_equal_nocase(field.name, BYTES_LITERAL("cookie")) &&
            find_pair(field.value, ';', name, &value) && value.len > 0) {
            part_add(&part, value);
        }
    }
    return part;
}

static struct part hash_query(const struct route_input *request, struct bytes name)
{
    struct part part = {0, false};
    struct bytes value;

    if (find_pair(request->query, '&', name, &value)) {
        part_add(&part, value);
    }
    return part;
}

static struct part hash_of(const struct view *view, const struct abi_hash *hash,
                           const struct affinity_input *input)
{
    struct bytes name = view_text(view, hash->name);
    struct part part = {0, false};

    if (hash->of == ABI_HASH_ADDRESS) {
        if (input->address != NULL) {
            part_add(&part, bytes_of(input->address, 16));
        }
    } else if (input->request == NULL) {
        return part;
    } else if (hash->of == ABI_HASH_HEADER) {
        part = hash_fields(input->request, name);
    } else if (hash->of == ABI_HASH_COOKIE) {
        part = hash_cookie(input->request, name);
    } else {
        part = hash_query(input->request, name);
    }
    return part;
}

void affinity_write(uint64_t fresh, uint8_t out[static AFFINITY_VALUE])
{
    for (uint32_t i = 0; i < AFFINITY_VALUE; i++) {
        out[i] = (uint8_t)"0123456789abcdef"[fresh >> (60 - 4 * i) & 15];
    }
}

void affinity_of(const struct view *view, const struct abi_balancer *balancer,
                 const struct affinity_input *input, struct affinity *out)
{
    *out = (struct affinity){.found = false};
    for (uint32_t i = 0; i < balancer->hashes.count; i++) {
        const struct abi_hash *hash = &view->hashes[balancer->hashes.at + i];
        struct part part = hash_of(view, hash, input);

        if (!part.found && hash->attributes.len > 0 && input->request != NULL &&
            out->made == NULL) {
            uint8_t value[AFFINITY_VALUE];

            /* The next request brings it along and goes the same way. */
            affinity_write(input->fresh, value);
            part_add(&part, bytes_of(value, sizeof(value)));
            out->made = hash;
        }
        if (!part.found) {
            continue;
        }
        part.hash = hash_finish(hash_finish(part.hash));
        out->hash =
            out->found ? hash_finish(out->hash ^ (part.hash << 1 | part.hash >> 63)) : part.hash;
        out->found = true;
        out->by = hash;
        if (hash->terminal != 0) {
            return;
        }
    }
}
