/* What the proxy builds for a generation: TLS contexts. Unchanged ones are taken over from the
 * generation before, by key. Allocates: this is a change of configuration, not traffic. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "request.h"

struct tables {
    uint32_t count;
    bool resumes;                   /* there are ticket keys */
    struct tls_context *contexts[]; /* by TLS record; NULL: not made yet */
};

#define TABLES_MAX_CERTIFICATES 4096u
#define TABLES_MAX_TICKET_KEYS  8u

static char tables_reason[LIMIT_REASON]; /* of the newest refusal; a worker has one thread */

static bool tables_refuse(struct view_refusal *refusal, enum abi_refusal code, uint32_t record,
                          const char *what)
{
    *refusal = (struct view_refusal){
        .code = code, .section = ABI_SECTION_TLS, .record = record, .what = what};
    return false;
}

/* Fills the certificates of a record from the secrets; their number, or -1 when one is missing. */
static int64_t tables_certificates(const struct proxy_generation *generation,
                                   const struct abi_tls *entry, struct tls_certificate *out)
{
    const struct view *view = &generation->view;

    for (uint32_t i = 0; i < entry->certificates.count; i++) {
        uint64_t id = view->secret_list[entry->certificates.at + i];
        const struct abi_secret *secret =
            generation->secrets.head == NULL ? NULL : secrets_find(&generation->secrets, id);

        if (secret == NULL || secret->kind != ABI_SECRET_CERTIFICATE) {
            return -1;
        }
        out[i] = (struct tls_certificate){
            .chain = secrets_bytes(&generation->secrets, secret->chain),
            .key = secrets_bytes(&generation->secrets, secret->key),
            .names = secrets_bytes(&generation->secrets, secret->names),
        };
    }
    return entry->certificates.count;
}

static uint32_t tables_ticket_keys(const struct proxy_generation *generation,
                                   struct tls_ticket_key out[TABLES_MAX_TICKET_KEYS])
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
    while (keys.len >= sizeof(*out) && count < TABLES_MAX_TICKET_KEYS) {
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
    struct tls_certificate *certificates = NULL;
    struct tls_ticket_key tickets[TABLES_MAX_TICKET_KEYS];
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
    int64_t count;

    if (entry->certificates.count > TABLES_MAX_CERTIFICATES) {
        tables_refuse(refusal, ABI_REFUSAL_LIMIT, index, "too many certificates");
        return NULL;
    }
    if (entry->certificates.count > 0) {
        certificates = calloc(entry->certificates.count, sizeof(*certificates));
        if (certificates == NULL) {
            tables_refuse(refusal, ABI_REFUSAL_TLS, index, "out of memory");
            return NULL;
        }
    }
    count = tables_certificates(generation, entry, certificates);
    if (count < 0) {
        tables_refuse(refusal, ABI_REFUSAL_SECRET, index, "a certificate is not in the secrets");
        goto out;
    }
    options.certificates = certificates;
    options.certificate_count = (uint32_t)count;
    options.ticket_keys = tickets;
    options.ticket_key_count = tables_ticket_keys(generation, tickets);
    if (options.ticket_key_count == 0) {
        options.ticket_keys = NULL;
    }
    if (tls_context_create(&options, &context, tables_reason, sizeof(tables_reason)) != MESH_OK) {
        tables_refuse(refusal, ABI_REFUSAL_TLS, index, tables_reason);
        context = NULL;
    }
out:
    explicit_bzero(tickets, sizeof(tickets));
    free(certificates);
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

static void tables_take_over(const struct proxy_generation *old, const struct view *view,
                             struct tables *tables)
{
    uint32_t size;
    uint32_t *slots = tables_index(old, &size);

    for (uint32_t i = 0; slots != NULL && i < tables->count; i++) {
        uint32_t at = (uint32_t)hash_finish(view->tls[i].key) & (size - 1);

        for (; slots[at] != 0; at = (at + 1) & (size - 1)) {
            struct tables *from = old->tables;

            if (old->view.tls[slots[at] - 1].key == view->tls[i].key) {
                /* A server's that was made without ticket keys stays without resumption. */
                if (from->contexts[slots[at] - 1] != NULL &&
                    (view->tls[i].server == 0 || from->resumes || !tables->resumes)) {
                    tables->contexts[i] = tls_context_retain(from->contexts[slots[at] - 1]);
                }
                break;
            }
        }
    }
    free(slots);
}

bool tables_build(struct proxy *proxy, struct proxy_generation *generation,
                  struct view_refusal *refusal)
{
    const struct view *view = &generation->view;
    uint32_t count = view->counts[ABI_SECTION_TLS];
    struct tls_ticket_key tickets[TABLES_MAX_TICKET_KEYS];
    struct tables *tables;

    if (count > LIMIT_TLS_CONTEXTS) {
        return tables_refuse(refusal, ABI_REFUSAL_LIMIT, LIMIT_TLS_CONTEXTS,
                             "too many TLS records");
    }
    if (view->counts[ABI_SECTION_HEADER_OP] > 0) {
        *refusal = (struct view_refusal){.code = ABI_REFUSAL_VALUE,
                                         .section = ABI_SECTION_HEADER_OP,
                                         .what = "header operations are not executed yet"};
        return false;
    }
    tables = calloc(1, sizeof(*tables) + (size_t)count * sizeof(tables->contexts[0]));
    if (tables == NULL) {
        return tables_refuse(refusal, ABI_REFUSAL_TLS, 0, "out of memory");
    }
    tables->count = count;
    tables->resumes = tables_ticket_keys(generation, tickets) > 0;
    explicit_bzero(tickets, sizeof(tickets));
    generation->tables = tables;
    if (proxy->current != NULL) {
        tables_take_over(proxy->current, view, tables);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (view->tls[i].server == 0 || tables->contexts[i] != NULL) {
            continue; /* clients' contexts are made when they are first needed */
        }
        tables->contexts[i] = tables_make(generation, i, refusal);
        if (tables->contexts[i] == NULL) {
            tables_release(generation);
            return false;
        }
    }
    return true;
}

void tables_activate(struct proxy_generation *generation)
{
    struct tables *tables = generation->tables;
    struct tls_ticket_key tickets[TABLES_MAX_TICKET_KEYS];
    uint32_t count = tables_ticket_keys(generation, tickets);

    for (uint32_t i = 0; i < tables->count; i++) {
        if (tables->contexts[i] != NULL) {
            tls_context_set_tickets(tables->contexts[i], tickets, count);
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
        if (tables->contexts[i] != NULL) {
            tls_context_release(tables->contexts[i]);
        }
    }
    free(tables);
    generation->tables = NULL;
}

struct tls_context *tables_tls(struct proxy_generation *generation, uint32_t tls)
{
    struct tables *tables = generation->tables;
    struct view_refusal refusal;

    if (tables->contexts[tls] == NULL) {
        tables->contexts[tls] = tables_make(generation, tls, &refusal);
    }
    return tables->contexts[tls];
}
