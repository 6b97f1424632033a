#include "snapshot_builder.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "abi/layout.h"
#include "base/hash.h"
#include "base/must.h"
#include "base/num.h"

struct part {
    uint8_t *bytes;
    uint32_t count;
    size_t used;
    size_t room;
};

struct snapshot_builder {
    struct part parts[ABI_SECTION_COUNT];
    struct abi_snapshot head;
    uint64_t next_key;
    uint32_t next_slot;
    uint8_t *file;
    size_t size;
};

static void append(struct part *part, const void *bytes, size_t size)
{
    if (size == 0) {
        return;
    }
    if (part->used + size > part->room) {
        part->room = part->room * 2 + size;
        part->bytes = realloc(part->bytes, part->room);
        MUST(part->bytes != NULL);
    }
    memcpy(part->bytes + part->used, bytes, size);
    part->used += size;
}

struct snapshot_builder *snapshot_builder_new(void)
{
    struct snapshot_builder *b = calloc(1, sizeof(*b));

    MUST(b != NULL);
    b->head.magic = ABI_SNAPSHOT_MAGIC;
    b->head.version = ABI_VERSION;
    b->head.header_size = sizeof(b->head);
    b->head.generation = 1;
    b->next_key = 1;
    b->head.trust_domain = snapshot_builder_text(b, "test.mesh");
    b->head.datacenter = snapshot_builder_text(b, "dc1");
    b->head.node = snapshot_builder_text(b, "node-1");
    return b;
}

void snapshot_builder_free(struct snapshot_builder *b)
{
    for (uint32_t i = 0; i < ABI_SECTION_COUNT; i++) {
        free(b->parts[i].bytes);
    }
    free(b->file);
    free(b);
}

uint32_t snapshot_builder_add(struct snapshot_builder *b, enum abi_section section,
                              const void *record)
{
    append(&b->parts[section], record, abi_record_size(section));
    return b->parts[section].count++;
}

void *snapshot_builder_record(struct snapshot_builder *b, enum abi_section section, uint32_t index)
{
    MUST(index < b->parts[section].count);
    return b->parts[section].bytes + (size_t)index * abi_record_size(section);
}

uint32_t snapshot_builder_count(const struct snapshot_builder *b, enum abi_section section)
{
    return b->parts[section].count;
}

struct abi_text snapshot_builder_text(struct snapshot_builder *b, const char *text)
{
    struct part *part = &b->parts[ABI_SECTION_TEXT];
    struct abi_text at = {part->count, (uint32_t)strlen(text)};

    append(part, text, at.len);
    part->count += at.len;
    return at;
}

struct abi_ref snapshot_builder_blob(struct snapshot_builder *b, const void *bytes, size_t size)
{
    struct part *part = &b->parts[ABI_SECTION_BLOB];
    struct abi_ref at = {part->count, (uint32_t)size};

    append(part, bytes, size);
    part->count += at.count;
    return at;
}

struct abi_snapshot *snapshot_builder_head(struct snapshot_builder *b)
{
    return &b->head;
}

struct abi_address snapshot_builder_ip4(const char *dotted, uint16_t port)
{
    struct abi_address address = {.family = ABI_FAMILY_IP4, .port = port};

    MUST(inet_pton(AF_INET, dotted, address.ip) == 1);
    return address;
}

struct abi_listener snapshot_builder_listener(struct snapshot_builder *b, const char *name,
                                              uint16_t port)
{
    return (struct abi_listener){
        .key = b->next_key++,
        .name = snapshot_builder_text(b, name),
        .address = snapshot_builder_ip4("127.0.0.1", port),
        .stats_slot = (uint16_t)snapshot_builder_count(b, ABI_SECTION_LISTENER),
        .tls = ABI_NONE,
        .identity = ABI_NONE,
        .policy = ABI_NONE,
        .route_table = ABI_NONE,
        .log = ABI_NONE,
        .hops = ABI_NONE,
        .compression = ABI_NONE,
        .head_timeout_ms = 10000,
        .idle_timeout_ms = 60000,
        .handshake_timeout_ms = 10000,
    };
}

struct abi_ref snapshot_builder_split(struct snapshot_builder *b, uint32_t target)
{
    struct abi_split split = {.weight = ABI_SPLIT_TOTAL, .target = target};

    return (struct abi_ref){snapshot_builder_add(b, ABI_SECTION_SPLIT, &split), 1};
}

struct abi_route snapshot_builder_forward(struct snapshot_builder *b, uint32_t target)
{
    return (struct abi_route){
        .path_dfa = ABI_NONE,
        .traffic = ABI_NONE,
        .splits = snapshot_builder_split(b, target),
        .rule = snapshot_builder_text(b, "route"),
        .origin = snapshot_builder_text(b, "test"),
    };
}

uint32_t snapshot_builder_route_table(struct snapshot_builder *b, struct abi_route route)
{
    uint32_t index = snapshot_builder_add(b, ABI_SECTION_ROUTE, &route);
    struct abi_route_table table = {
        .routes = {snapshot_builder_add(b, ABI_SECTION_ROUTE_LIST, &index), 1}};

    return snapshot_builder_add(b, ABI_SECTION_ROUTE_TABLE, &table);
}

uint32_t snapshot_builder_target(struct snapshot_builder *b, const char *service,
                                 const uint16_t *ports, uint32_t count)
{
    struct abi_text name = snapshot_builder_text(b, service);
    struct abi_target target = {
        .key = b->next_key++,
        .name = name,
        .service = name,
        .endpoints = {snapshot_builder_count(b, ABI_SECTION_ENDPOINT), count},
        .policy = ABI_NONE,
        .guard = ABI_NONE,
        .stats_slot = snapshot_builder_count(b, ABI_SECTION_TARGET),
        .protocol = ABI_PROTOCOL_HTTP1,
        .connect_timeout_ms = 5000,
        .max_weight = count > 0,
        .balancer = ABI_NONE,
    };

    for (uint32_t i = 0; i < count; i++) {
        struct abi_endpoint endpoint = {
            .key = b->next_key++,
            .address = snapshot_builder_ip4("127.0.0.1", ports[i]),
            .overlay_slot = b->next_slot++,
            .tls = ABI_NONE,
            .weight = 1,
            .instance = name,
            .node = b->head.node,
        };

        snapshot_builder_add(b, ABI_SECTION_ENDPOINT, &endpoint);
    }
    return snapshot_builder_add(b, ABI_SECTION_TARGET, &target);
}

static uint32_t add_intention(struct snapshot_builder *b, const char *source,
                              struct abi_text destination, bool any_destination)
{
    bool denies = source[0] == '-';
    const char *name = source + denies;
    int precedence = (any_destination ? 6 : 9) - (strcmp(name, "*") == 0);
    struct abi_intention intention = {
        .source = snapshot_builder_text(b, name),
        .destination = destination,
        .action = denies ? ABI_INTENTION_DENY : ABI_INTENTION_ALLOW,
        .precedence = (uint8_t)precedence,
        .origin = snapshot_builder_text(b, "test"),
    };

    return snapshot_builder_add(b, ABI_SECTION_INTENTION, &intention);
}

uint32_t snapshot_builder_policy(struct snapshot_builder *b, const char *destination,
                                 const char *const *sources, uint32_t count, const char *any)
{
    bool any_destination = strcmp(destination, "*") == 0;
    struct abi_policy policy = {
        .key = b->next_key++,
        .destination = snapshot_builder_text(b, destination),
        .intentions = {count > 0 ? snapshot_builder_count(b, ABI_SECTION_INTENTION) : 0, count},
        .fallback = ABI_NONE,
    };

    for (uint32_t i = 0; i < count; i++) {
        add_intention(b, sources[i], policy.destination, any_destination);
    }
    if (any != NULL) {
        policy.fallback = add_intention(b, any, policy.destination, any_destination);
    }
    return snapshot_builder_add(b, ABI_SECTION_POLICY, &policy);
}

uint32_t snapshot_builder_log(struct snapshot_builder *b, const struct abi_log_op *ops,
                              uint32_t count)
{
    struct abi_log log = {
        .key = b->next_key++,
        .sink = ABI_LOG_STDOUT,
        .sample = ABI_LOG_SAMPLE_ALL,
        .ops = {snapshot_builder_count(b, ABI_SECTION_LOG_OP), count},
        .headers = {snapshot_builder_count(b, ABI_SECTION_LOG_HEADER), 0},
    };

    for (uint32_t i = 0; i < count; i++) {
        struct abi_log_op op = ops[i];

        if (op.variable == ABI_LOG_LITERAL) {
            op.literal = snapshot_builder_text(b, " ");
        } else {
            log.variables |= 1ULL << op.variable;
        }
        snapshot_builder_add(b, ABI_SECTION_LOG_OP, &op);
    }
    return snapshot_builder_add(b, ABI_SECTION_LOG, &log);
}

struct abi_ref snapshot_builder_hosts(struct snapshot_builder *b, const char *const *names,
                                      const struct abi_ref *routes, uint32_t count)
{
    struct abi_ref ref = {snapshot_builder_count(b, ABI_SECTION_HOST), 2};
    const struct abi_host free_slot = {0};

    while (ref.count < 2 * count) {
        ref.count *= 2;
    }
    for (uint32_t i = 0; i < ref.count; i++) {
        snapshot_builder_add(b, ABI_SECTION_HOST, &free_slot);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t home = (uint32_t)hash_bytes(bytes_of(names[i], strlen(names[i])));
        struct abi_host *slot;

        do {
            slot = snapshot_builder_record(b, ABI_SECTION_HOST, ref.at + (home & (ref.count - 1)));
            home++;
        } while (slot->name.len > 0);
        slot->name = snapshot_builder_text(b, names[i]);
        slot->routes = routes[i];
    }
    return ref;
}

struct abi_ref snapshot_builder_names(struct snapshot_builder *b, const struct snapshot_name *names,
                                      uint32_t count)
{
    struct abi_ref ref = {snapshot_builder_count(b, ABI_SECTION_SERVER_NAME), 2};
    const struct abi_server_name free_slot = {0};

    while (ref.count < 2 * count) {
        ref.count *= 2;
    }
    for (uint32_t i = 0; i < ref.count; i++) {
        snapshot_builder_add(b, ABI_SECTION_SERVER_NAME, &free_slot);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t home = (uint32_t)hash_bytes(bytes_of(names[i].name, strlen(names[i].name)));
        struct abi_server_name *slot;

        do {
            slot = snapshot_builder_record(b, ABI_SECTION_SERVER_NAME,
                                           ref.at + (home & (ref.count - 1)));
            home++;
        } while (slot->name.len > 0);
        slot->name = snapshot_builder_text(b, names[i].name);
        memcpy(slot->certificates, names[i].certificates, sizeof(slot->certificates));
    }
    return ref;
}

uint32_t snapshot_builder_dfa(struct snapshot_builder *b, const char *text)
{
    uint32_t length = (uint32_t)strlen(text);
    struct abi_dfa dfa = {.states = length + 2};
    uint8_t accepts = 0;

    if (b->parts[ABI_SECTION_BLOB].count % 2 == 1) {
        snapshot_builder_blob(b, "", 1);
    }
    dfa.table = b->parts[ABI_SECTION_BLOB].count;
    for (uint32_t state = 0; state < dfa.states; state++) {
        uint16_t row[256] = {0};

        if (state > 0 && state <= length) {
            row[(uint8_t)text[state - 1]] = (uint16_t)(state + 1);
        }
        snapshot_builder_blob(b, row, sizeof(row));
    }
    for (uint32_t state = 0; state < dfa.states; state++) {
        accepts = state == length + 1;
        snapshot_builder_blob(b, &accepts, 1);
    }
    return snapshot_builder_add(b, ABI_SECTION_DFA, &dfa);
}

uint8_t *snapshot_builder_bytes(struct snapshot_builder *b)
{
    uint64_t at = sizeof(b->head);

    for (uint32_t i = 0; i < ABI_SECTION_COUNT; i++) {
        b->head.sections[i] = (struct abi_section_place){at, b->parts[i].count, abi_record_size(i)};
        at = num_align_up(at + b->parts[i].used, ABI_SECTION_ALIGN);
    }
    b->head.size = at;
    b->size = at;
    free(b->file);
    b->file = aligned_alloc(ABI_SECTION_ALIGN, at);
    MUST(b->file != NULL);
    memset(b->file, 0, at);
    memcpy(b->file, &b->head, sizeof(b->head));
    for (uint32_t i = 0; i < ABI_SECTION_COUNT; i++) {
        if (b->parts[i].used > 0) {
            memcpy(b->file + b->head.sections[i].at, b->parts[i].bytes, b->parts[i].used);
        }
    }
    snapshot_builder_seal(b->file, b->size);
    return b->file;
}

size_t snapshot_builder_size(const struct snapshot_builder *b)
{
    return b->size;
}

void snapshot_builder_seal(uint8_t *bytes, size_t size)
{
    struct abi_snapshot *head = (struct abi_snapshot *)(void *)bytes;

    if (size >= sizeof(*head)) {
        head->checksum = abi_checksum(head + 1, size - sizeof(*head));
    }
}

uint8_t *snapshot_builder_secrets(const struct snapshot_secret *secrets, uint32_t count,
                                  size_t *size)
{
    struct abi_secrets head = {.magic = ABI_SECRETS_MAGIC,
                               .version = ABI_VERSION,
                               .header_size = sizeof(head),
                               .generation = 1,
                               .count = count};
    uint64_t at = sizeof(head) + count * sizeof(struct abi_secret);
    struct part records = {0}, bytes = {0};
    uint8_t *file;

    for (uint32_t i = 0; i < count; i++) {
        struct abi_secret record = {.id = secrets[i].id,
                                    .version = secrets[i].version > 0 ? secrets[i].version : 1,
                                    .kind = secrets[i].kind};
        const struct bytes *from[] = {&secrets[i].chain, &secrets[i].key, &secrets[i].names};
        struct abi_ref *to[] = {&record.chain, &record.key, &record.names};

        for (uint32_t n = 0; n < 3; n++) {
            if (from[n]->len > 0) {
                *to[n] = (struct abi_ref){(uint32_t)(at + bytes.used), (uint32_t)from[n]->len};
                append(&bytes, from[n]->ptr, from[n]->len);
            }
        }
        append(&records, &record, sizeof(record));
    }
    *size = at + bytes.used;
    head.size = *size;
    file = aligned_alloc(ABI_SECTION_ALIGN, num_align_up(*size, ABI_SECTION_ALIGN));
    MUST(file != NULL);
    memcpy(file, &head, sizeof(head));
    memcpy(file + sizeof(head), records.bytes, records.used);
    memcpy(file + at, bytes.bytes, bytes.used);
    head.checksum = abi_checksum(file + sizeof(head), *size - sizeof(head));
    memcpy(file, &head, sizeof(head));
    free(records.bytes);
    free(bytes.bytes);
    return file;
}
