/* What the proxy builds for a generation: TLS contexts. Unchanged ones are taken over from the
 * generation before, by key. Allocates: this is a change of configuration, not traffic. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "l7ops.h"
#include "request.h"
#include "table/certificate.h"

struct tables_slot {
    struct tls_context *context; /* NULL: not made yet */
    const struct proxy_generation *generation;
    uint32_t tls; /* TLS section */
};

struct tables {
    uint32_t count;
    bool resumes;               /* there are ticket keys */
    struct tables_slot slots[]; /* by TLS record */
};

_Static_assert(LIMIT_TLS_LEAVES == TLS_LEAVES_MAX, "one bound, two fences");
_Static_assert((int)ABI_KEY_COUNT == (int)TLS_CERTIFICATES_MAX, "one certificate of each kind");

static char tables_reason[LIMIT_REASON]; /* of the newest refusal; a worker has one thread */

static bool tables_refuse(struct view_refusal *refusal, enum abi_refusal code, uint32_t record,
                          const char *what)
{
    *refusal = (struct view_refusal){
        .code = code, .section = ABI_SECTION_TLS, .record = record, .what = what};
    return false;
}

/* Whether every certificate that the snapshot names is among the secrets. Both are sorted as a
 * rule, so the next one is where it is expected. */
static bool tables_check_secrets(const struct proxy_generation *generation,
                                 struct view_refusal *refusal)
{
    const struct view *view = &generation->view;
    const struct secrets *secrets = &generation->secrets;
    uint32_t next = 0;

    for (uint32_t i = 0; i < view->counts[ABI_SECTION_SECRET_LIST]; i++) {
        const struct abi_secret *secret = NULL;

        if (secrets->head != NULL) {
            secret =
                next < secrets->head->count && secrets->records[next].id == view->secret_list[i]
                    ? &secrets->records[next]
                    : secrets_find(secrets, view->secret_list[i]);
        }
        if (secret == NULL || secret->kind != ABI_SECRET_CERTIFICATE) {
            *refusal = (struct view_refusal){.code = ABI_REFUSAL_SECRET,
                                             .section = ABI_SECTION_SECRET_LIST,
                                             .record = i,
                                             .what = "a certificate is not in the secrets"};
            return false;
        }
        next = (uint32_t)(secret - secrets->records) + 1;
    }
    return true;
}

/* The certificate with this place in SECRET_LIST, which tables_check_secrets() has looked at. */
static struct tls_certificate tables_certificate(const struct proxy_generation *generation,
                                                 uint32_t place)
{
    const struct secrets *secrets = &generation->secrets;
    const struct abi_secret *secret = secrets_find(secrets, generation->view.secret_list[place]);

    MUST(secret != NULL);
    return (struct tls_certificate){
        .chain = secrets_bytes(secrets, secret->chain),
        .key = secrets_bytes(secrets, secret->key),
        .id = secret->id,
        .version = secret->version,
    };
}

static uint32_t tables_own_certificates(const struct proxy_generation *generation, uint32_t tls,
                                        struct tls_certificate out[static TLS_CERTIFICATES_MAX])
{
    struct abi_ref list = generation->view.tls[tls].certificates;

    for (uint32_t i = 0; i < list.count; i++) {
        out[i] = tables_certificate(generation, list.at + i);
    }
    return list.count;
}

/* struct tls_source: the certificates of a server name. */
static uint32_t tables_named_certificates(const void *argument, struct bytes name,
                                          struct tls_certificate out[static TLS_CERTIFICATES_MAX])
{
    const struct tables_slot *slot = argument;
    const struct view *view = &slot->generation->view;
    const struct abi_server_name *found = certificate_find(view, &view->tls[slot->tls], name);
    uint32_t count = 0;

    for (uint32_t kind = 0; found != NULL && kind < ABI_KEY_COUNT; kind++) {
        if (found->certificates[kind] != ABI_NONE) {
            out[count++] = tables_certificate(slot->generation, found->certificates[kind]);
        }
    }
    return count;
}

static uint32_t tables_ticket_keys(const struct proxy_generation *generation,
                                   struct tls_ticket_key out[LIMIT_TICKET_KEYS])
{
    const struct abi_secret *secret =
        generation->secrets.head == NULL
            ? NULL
            : secrets_find(&generation->secrets, ABI_SECRET_ID_TICKETS);
    uint32_t count = 0;
    struct bytes keys;

    if (secret == NULL || secret->kind != ABI_SECRET_TICKET_KEYS) {
        return 0;
    }
    keys = secrets_bytes(&generation->secrets, secret->key);
    while (keys.len >= sizeof(*out) && count < LIMIT_TICKET_KEYS) {
        memcpy(&out[count++], keys.ptr, sizeof(*out));
        keys = bytes_from(keys, sizeof(*out));
    }
    return count;
}

static struct tls_context *tables_make(const struct proxy_generation *generation, uint32_t index,
                                       struct view_refusal *refusal)
{
    const struct view *view = &generation->view;
    const struct abi_tls *entry = &view->tls[index];
    struct tls_certificate certificates[TLS_CERTIFICATES_MAX];
    struct tls_ticket_key tickets[LIMIT_TICKET_KEYS];
    struct tls_context *context = NULL;
    uint64_t session_context = entry->key;
    struct tls_options options = {
        .server = entry->server != 0,
        .verify = (enum tls_verify)entry->verify,
        .min_version = entry->min_version,
        .max_version = entry->max_version,
        .trust = view_blob(view, entry->trust),
        .alpn = view_blob(view, entry->alpn),
        .alpn_required = entry->alpn_required != 0,
        .session_context = bytes_of(&session_context, sizeof(session_context)),
        .session_lifetime_s = entry->session_lifetime_s,
    };

    options.certificates = certificates;
    options.certificate_count = tables_own_certificates(generation, index, certificates);
    options.ticket_keys = tickets;
    options.ticket_key_count = tables_ticket_keys(generation, tickets);
    if (options.ticket_key_count == 0) {
        options.ticket_keys = NULL;
    }
    if (tls_context_create(&options, &context, tables_reason, sizeof(tables_reason)) != MESH_OK) {
        tables_refuse(refusal, ABI_REFUSAL_TLS, index, tables_reason);
        context = NULL;
    }
    explicit_bzero(tickets, sizeof(tickets));
    return context;
}

/* Keys of the old generation's contexts in an open-addressing table: slot -> index + 1. */
static uint32_t *tables_index(const struct proxy_generation *old, uint32_t *size)
{
    const struct tables *tables = old->tables;
    uint32_t *slots;

    *size = 16;
    while (*size < 2 * tables->count) {
        *size *= 2;
    }
    slots = calloc(*size, sizeof(*slots));
    for (uint32_t i = 0; slots != NULL && i < tables->count; i++) {
        uint32_t at = (uint32_t)hash_finish(old->view.tls[i].key) & (*size - 1);

        while (slots[at] != 0) {
            at = (at + 1) & (*size - 1);
        }
        slots[at] = i + 1;
    }
    return slots;
}

/* The context of the old generation for a record; NULL: there is none that would do. */
static struct tls_context *tables_old_context(const struct tables *from,
                                              const struct tables *tables,
                                              const struct tables_slot *slot, uint32_t old)
{
    struct tls_context *context = from->slots[old].context;
    bool server = slot->generation->view.tls[slot->tls].server != 0;

    /* A server's that was made without ticket keys stays without resumption. */
    return server && tables->resumes && !from->resumes ? NULL : context;
}

/* A server's own certificates may have changed. */
static bool tables_take_over(struct tables_slot *slot, struct tls_context *context,
                             struct view_refusal *refusal)
{
    struct tls_certificate certificates[TLS_CERTIFICATES_MAX];
    int result = MESH_OK;

    if (slot->generation->view.tls[slot->tls].server != 0) {
        uint32_t count = tables_own_certificates(slot->generation, slot->tls, certificates);

        result =
            tls_context_prepare(context, certificates, count, tables_reason, sizeof(tables_reason));
    }
    if (result == MESH_OK) {
        slot->context = tls_context_retain(context);
    }
    return result != MESH_E_TLS ||
           tables_refuse(refusal, ABI_REFUSAL_TLS, slot->tls, tables_reason);
}

static bool tables_take_over_all(const struct proxy_generation *old, const struct view *view,
                                 struct tables *tables, struct view_refusal *refusal)
{
    uint32_t size;
    uint32_t *slots = tables_index(old, &size);
    bool done = true;

    for (uint32_t i = 0; done && slots != NULL && i < tables->count; i++) {
        uint32_t at = (uint32_t)hash_finish(view->tls[i].key) & (size - 1);
        struct tls_context *context = NULL;

        for (; slots[at] != 0; at = (at + 1) & (size - 1)) {
            if (old->view.tls[slots[at] - 1].key == view->tls[i].key) {
                context = tables_old_context(old->tables, tables, &tables->slots[i], slots[at] - 1);
                break;
            }
        }
        done = context == NULL || tables_take_over(&tables->slots[i], context, refusal);
    }
    free(slots);
    return done;
}

static bool tables_make_contexts(struct proxy *proxy, struct proxy_generation *generation,
                                 struct view_refusal *refusal)
{
    const struct view *view = &generation->view;
    struct tables *tables = generation->tables;

    if (!tables_check_secrets(generation, refusal)) {
        return false;
    }
    if (proxy->current != NULL && !tables_take_over_all(proxy->current, view, tables, refusal)) {
        return false;
    }
    for (uint32_t i = 0; i < tables->count; i++) {
        if (view->tls[i].server == 0 || tables->slots[i].context != NULL) {
            continue; /* clients' contexts are made when they are first needed */
        }
        tables->slots[i].context = tables_make(generation, i, refusal);
        if (tables->slots[i].context == NULL) {
            return false;
        }
    }
    return true;
}

/* What a route or a leg of it changes in answers is kept with each request: it must fit there. */
static bool tables_check_ops(const struct view *view, struct view_refusal *refusal)
{
    static const enum abi_section sections[] = {ABI_SECTION_ROUTE, ABI_SECTION_SPLIT};

    for (uint32_t s = 0; s < 2; s++) {
        for (uint32_t i = 0; i < view->counts[sections[s]]; i++) {
            struct l7ops ops = {.table = view,
                                .list = sections[s] == ABI_SECTION_ROUTE
                                            ? view->routes[i].header_ops
                                            : view->splits[i].header_ops,
                                .response = true};

            if (ops.list.count > 0 && l7ops_size(&ops) > REQUEST_OPS_MAX) {
                *refusal = (struct view_refusal){.code = ABI_REFUSAL_LIMIT,
                                                 .section = sections[s],
                                                 .record = i,
                                                 .what = "header rules for answers above 8 KiB"};
                return false;
            }
        }
    }
    return true;
}

bool tables_build(struct proxy *proxy, struct proxy_generation *generation,
                  struct view_refusal *refusal)
{
    const struct view *view = &generation->view;
    uint32_t count = view->counts[ABI_SECTION_TLS];
    struct tls_ticket_key tickets[LIMIT_TICKET_KEYS];
    struct tables *tables;

    if (count > LIMIT_TLS_CONTEXTS) {
        return tables_refuse(refusal, ABI_REFUSAL_LIMIT, LIMIT_TLS_CONTEXTS,
                             "too many TLS records");
    }
    if (!tables_check_ops(view, refusal)) {
        return false;
    }
    tables = calloc(1, sizeof(*tables) + (size_t)count * sizeof(tables->slots[0]));
    if (tables == NULL) {
        return tables_refuse(refusal, ABI_REFUSAL_TLS, 0, "out of memory");
    }
    tables->count = count;
    tables->resumes = tables_ticket_keys(generation, tickets) > 0;
    explicit_bzero(tickets, sizeof(tickets));
    for (uint32_t i = 0; i < count; i++) {
        tables->slots[i] = (struct tables_slot){.generation = generation, .tls = i};
    }
    generation->tables = tables;
    if (!tables_make_contexts(proxy, generation, refusal)) {
        tables_release(generation);
        return false;
    }
    return true;
}

void tables_activate(struct proxy_generation *generation)
{
    struct tables *tables = generation->tables;
    struct tls_ticket_key tickets[LIMIT_TICKET_KEYS];
    uint32_t count = tables_ticket_keys(generation, tickets);

    for (uint32_t i = 0; i < tables->count; i++) {
        struct tables_slot *slot = &tables->slots[i];

        if (slot->context != NULL && generation->view.tls[i].server != 0) {
            tls_context_set_tickets(slot->context, tickets, count);
            tls_context_renew(slot->context);
            tls_context_set_source(slot->context,
                                   (struct tls_source){tables_named_certificates, slot});
        }
    }
    explicit_bzero(tickets, sizeof(tickets));
}

void tables_release(struct proxy_generation *generation)
{
    struct tables *tables = generation->tables;

    if (tables == NULL) {
        return;
    }
    for (uint32_t i = 0; i < tables->count; i++) {
        struct tables_slot *slot = &tables->slots[i];

        if (slot->context != NULL) {
            tls_context_drop_source(slot->context, slot);
            tls_context_release(slot->context);
        }
    }
    free(tables);
    generation->tables = NULL;
}

struct tls_context *tables_tls(struct proxy_generation *generation, uint32_t tls)
{
    struct tables *tables = generation->tables;
    struct view_refusal refusal;

    if (tables->slots[tls].context == NULL) {
        tables->slots[tls].context = tables_make(generation, tls, &refusal);
    }
    return tables->slots[tls].context;
}
