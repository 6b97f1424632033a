/* Certificates by server name. */
#include "table/certificate.h"

#include <stdio.h>
#include <stdlib.h>

#include "cunit.h"
#include "snapshot_builder.h"

#define NAMES 10000u

static void open(struct view *view, struct snapshot_builder *b, struct abi_ref names)
{
    struct abi_tls tls = {.key = 1,
                          .server = 1,
                          .min_version = 0x0304,
                          .max_version = 0x0304,
                          .certificates = {0, 1},
                          .names = names};
    struct view_refusal refusal;

    snapshot_builder_add(b, ABI_SECTION_TLS, &tls);
    if (!view_open(view, snapshot_builder_bytes(b), snapshot_builder_size(b), &refusal)) {
        cunit_context("%s", refusal.what);
        CHECK(false);
    }
}

static struct snapshot_builder *with_secrets(uint32_t count)
{
    struct snapshot_builder *b = snapshot_builder_new();

    for (uint64_t id = 10; id < 10 + count; id++) {
        snapshot_builder_add(b, ABI_SECTION_SECRET_LIST, &id);
    }
    return b;
}

static const struct abi_server_name *find(const struct view *view, const char *name)
{
    struct bytes guarded = cunit_guarded(cunit_text(name));
    const struct abi_server_name *slot = certificate_find(view, &view->tls[0], guarded);

    cunit_unguard(guarded.ptr);
    return slot;
}

TEST(exact_then_a_wildcard_of_one_label)
{
    static const struct snapshot_name names[] = {
        {"a.test", {0, 1}}, {"*.a.test", {2, ABI_NONE}}, {"x.a.test", {ABI_NONE, 1}}};
    static const char *const unknown[] = {"test", "y.x.a.test", "xa.test", ".a.test", "", "a"};
    struct snapshot_builder *b = with_secrets(3);
    struct view view;

    open(&view, b, snapshot_builder_names(b, names, 3));
    CHECK_UINT(find(&view, "a.test")->certificates[ABI_KEY_EC], 0);
    CHECK_UINT(find(&view, "a.test")->certificates[ABI_KEY_RSA], 1);
    CHECK_UINT(find(&view, "y.a.test")->certificates[ABI_KEY_EC], 2);
    CHECK_UINT(find(&view, "x.a.test")->certificates[ABI_KEY_EC], ABI_NONE);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        cunit_context("\"%s\"", unknown[i]);
        CHECK(find(&view, unknown[i]) == NULL);
    }
    snapshot_builder_free(b);
}

TEST(a_server_without_names)
{
    struct snapshot_builder *b = with_secrets(1);
    struct view view;

    open(&view, b, (struct abi_ref){0, 0});
    CHECK(find(&view, "a.test") == NULL);
    snapshot_builder_free(b);
}

TEST(thousands_of_names)
{
    struct snapshot_name *names = calloc(NAMES, sizeof(*names));
    char(*texts)[32] = calloc(NAMES, sizeof(*texts));
    struct snapshot_builder *b = with_secrets(NAMES);
    struct view view;

    for (uint32_t i = 0; i < NAMES; i++) {
        snprintf(texts[i], sizeof(texts[i]), i % 2 ? "h%u.test" : "*.h%u.test", i);
        names[i] = (struct snapshot_name){texts[i], {i, ABI_NONE}};
    }
    open(&view, b, snapshot_builder_names(b, names, NAMES));
    for (uint32_t i = 0; i < NAMES; i++) {
        const struct abi_server_name *slot;
        char name[40];

        snprintf(name, sizeof(name), i % 2 ? "h%u.test" : "x.h%u.test", i);
        slot = certificate_find(&view, &view.tls[0], cunit_text(name));
        if (!CHECK(slot != NULL) || !CHECK_UINT(slot->certificates[ABI_KEY_EC], i)) {
            break;
        }
        CHECK(certificate_find(&view, &view.tls[0], bytes_from(cunit_text(name), 1)) == NULL);
    }
    snapshot_builder_free(b);
    free(texts);
    free(names);
}
