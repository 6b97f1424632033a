#include "wire/uri.h"

#include <string.h>

#include "base/err.h"
#include "cunit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The normal form of `path`, from and to memory beside unreadable pages; "refused" for an error. */
static struct bytes normal_of(struct bytes path, bool *changed)
{
    struct bytes in = cunit_guarded(path);
    uint8_t *out = cunit_guarded_room(path.len);
    int result = uri_normal_path(in, out, changed);

    if (result < 0) {
        CHECK_INT(result, MESH_E_SYNTAX);
        return BYTES_LITERAL("refused");
    }
    CHECK((size_t)result <= in.len && result > 0);
    return *changed ? bytes_of(out, (size_t)result) : in;
}

static const struct {
    const char *path;
    const char *normal;
} paths[] = {
    {"/", "/"},
    {"/a", "/a"},
    {"/a/b/c.html", "/a/b/c.html"},
    {"/a/", "/a/"},
    /* escapes */
    {"/%61dmin", "/admin"},
    {"/%41dmin", "/Admin"},
    {"/%7euser/%2D%5f%2e", "/~user/-_."},
    {"/caf%c3%a9", "/caf%C3%A9"},
    {"/a%20b%3f%23%25", "/a%20b%3F%23%25"},
    {"/a%252e%252e/b", "/a%252e%252e/b"},
    {"/admin%3f", "/admin%3F"},
    {"/a+b,c;d=e:@&$!*'()", "/a+b,c;d=e:@&$!*'()"},
    {"/%e9t%E9", "/%E9t%E9"},
    {"/public/%ef%bc%8e%ef%bc%8e/admin", "/public/%EF%BC%8E%EF%BC%8E/admin"},
    /* dot segments and slashes */
    {"/./admin", "/admin"},
    {"/admin/.", "/admin/"},
    {"/admin/..", "/"},
    {"/a/b/..", "/a/"},
    {"/a/b/../c", "/a/c"},
    {"/a/b/../../c", "/c"},
    {"/a/./b/./c", "/a/b/c"},
    {"/public/../admin", "/admin"},
    {"/public/%2e%2e/admin", "/admin"},
    {"/public/%2E./admin", "/admin"},
    {"/public/.%2E/admin", "/admin"},
    {"//admin", "/admin"},
    {"/a//b///c", "/a/b/c"},
    {"/a//../b", "/b"},
    {"/a/..//b", "/b"},
    {"//", "/"},
    {"/.", "/"},
    {"/./", "/"},
    {"/.well-known/x", "/.well-known/x"},
    {"/a/...", "/a/..."},
    {"/a/..b/.c", "/a/..b/.c"},
    {"/a/b..", "/a/b.."},
    {"/admin;x=y", "/admin;x=y"},
    {"/.a;b", "/.a;b"},
    {"/...;b", "/...;b"},
    {"//evil.test/%2e%2e", "/"},
    /* refused */
    {"/..", "refused"},
    {"/../a", "refused"},
    {"/a/../..", "refused"},
    {"/a/../../b", "refused"},
    {"/%2e%2e/a", "refused"},
    {"//..", "refused"},
    {"/public%2f..%2fadmin", "refused"},
    {"/a%2F", "refused"},
    {"/a%5cb", "refused"},
    {"/a\\b", "refused"},
    {"/a\\..\\admin", "refused"},
    {"/public/..;/admin", "refused"},
    {"/public/..;x=1/admin", "refused"},
    {"/public/.;/admin", "refused"},
    {"/public/..%3b/admin", "refused"},
    {"/public/%2e%2e%3B", "refused"},
    {"/a%", "refused"},
    {"/admin%2", "refused"},
    {"/a%2", "refused"},
    {"/a%zz", "refused"},
    {"/a%2g", "refused"},
    {"/a%00", "refused"},
    {"/a%0d%0ab", "refused"},
    {"/a%1f", "refused"},
    {"/a%7f", "refused"},
    {"/public/%c0%ae%c0%ae/admin", "refused"},
    {"/%c0%af", "refused"},
    {"/%C1%9C", "refused"},
    {"/%e0%80%ae", "refused"},
    {"/%f0%80%80%ae", "refused"},
    {"/%f8%80%80%80%ae", "refused"},
    {"/%fc%80%80%80%80%ae", "refused"},
    {"", "refused"},
    {"a", "refused"},
    {"a/b", "refused"},
    {"*", "refused"},
    {"/a?b", "refused"},
    {"/a#b", "refused"},
    {"/a b", "refused"},
    {"/a\tb", "refused"},
    {"/caf\xc3\xa9", "refused"},
    {"/a\x7f", "refused"},
};

TEST(normal_forms_of_paths)
{
    for (size_t i = 0; i < COUNT(paths); i++) {
        bool changed = true;

        cunit_context("%s", paths[i].path);
        CHECK_TEXT(normal_of(cunit_text(paths[i].path), &changed), paths[i].normal);
        if (strcmp(paths[i].normal, "refused") != 0) {
            CHECK_INT(changed, strcmp(paths[i].path, paths[i].normal) != 0);
        }
    }
}

TEST(a_nul_is_refused_wherever_it_stands)
{
    for (size_t at = 0; at < 40; at++) {
        char path[40];
        bool changed;

        memset(path, 'a', sizeof(path));
        path[0] = '/';
        path[at] = '\0';
        CHECK_TEXT(normal_of(bytes_of(path, sizeof(path)), &changed), "refused");
    }
}

/* Whatever is accepted is stable, has no dot segment, no doubled slash, no escape that could be
 * spelt in another way; and the decoded bytes are those of the input. */
static void check_normal(struct bytes path, struct bytes normal)
{
    bool changed = true;

    CHECK_BYTES(normal_of(normal, &changed), normal);
    CHECK(!changed);
    CHECK(normal.ptr[0] == '/');
    for (size_t i = 0; i < normal.len; i++) {
        size_t left = normal.len - i;
        const uint8_t *at = normal.ptr + i;

        CHECK(!(left >= 2 && memcmp(at, "//", 2) == 0));
        CHECK(!(left >= 3 && (memcmp(at, "/./", 3) == 0 || memcmp(at, "%2E", 3) == 0 ||
                              memcmp(at, "%2F", 3) == 0 || memcmp(at, "%5C", 3) == 0)));
        CHECK(!(left >= 4 && memcmp(at, "/../", 4) == 0));
        CHECK(*at != '\\');
    }
    CHECK(!bytes_has_suffix(normal, BYTES_LITERAL("/..")));
    CHECK(!bytes_has_suffix(normal, BYTES_LITERAL("/.")));
    CHECK(normal.len <= path.len);
}

TEST(normal_forms_are_stable)
{
    static const char *const parts[] = {"/",   "a",   ".",   "..", "%2e", "%2f", "%41", "%c0",
                                        "%ae", ";",   "x",   "%",  "%25", "b/",  "/..", "%3b",
                                        "\\",  "%e0", "%80", "~",  "//",  "c"};
    uint32_t accepted = 0;

    for (int round = 0; round < 50000; round++) {
        char path[64] = "/";
        bool changed;
        struct bytes normal;
        struct bytes in;

        for (uint32_t i = cunit_random_below(12); i > 0; i--) {
            strcat(path, parts[cunit_random_below(COUNT(parts))]);
        }
        in = cunit_guarded(cunit_text(path));
        cunit_context("%s", path);
        normal = normal_of(in, &changed);
        if (!bytes_equal(normal, BYTES_LITERAL("refused"))) {
            accepted++;
            check_normal(in, normal);
        }
        if (round % 500 == 0) {
            cunit_unguard_all();
        }
    }
    CHECK(accepted > 5000);
}

static const struct {
    const char *authority;
    const char *host; /* or NULL when refused */
    uint16_t port;
} authorities[] = {
    {"ex.test", "ex.test", 0},
    {"EX.Test", "ex.test", 0},
    {"ex.test.", "ex.test", 0},
    {"ex.test.:80", "ex.test", 80},
    {"ex.test:80", "ex.test", 80},
    {"ex.test:", "ex.test", 0},
    {"ex.test:1", "ex.test", 1},
    {"ex.test:65535", "ex.test", 65535},
    {"ex.test:00080", "ex.test", 80},
    {"a_b-c.d", "a_b-c.d", 0},
    {"1.2.3.4:5", "1.2.3.4", 5},
    {"x", "x", 0},
    {"[::1]", "[::1]", 0},
    {"[::1]:80", "[::1]", 80},
    {"[0:0:0:0:0:0:0:1]", "[::1]", 0},
    {"[2001:DB8::00ab]:443", "[2001:db8::ab]", 443},
    {"[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", 0},
    {"", NULL, 0},
    {".", NULL, 0},
    {".ex.test", NULL, 0},
    {"ex..test", NULL, 0},
    {"ex.test..", NULL, 0},
    {"ex.test:0", NULL, 0},
    {"ex.test:65536", NULL, 0},
    {"ex.test:000080", NULL, 0},
    {"ex.test:4294967376", NULL, 0},
    {"ex.test:8a", NULL, 0},
    {"ex.test:-1", NULL, 0},
    {"ex.test:80:80", NULL, 0},
    {":80", NULL, 0},
    {"u@ex.test", NULL, 0},
    {"u:p@ex.test", NULL, 0},
    {"ex test", NULL, 0},
    {"ex.test/", NULL, 0},
    {"ex.test?", NULL, 0},
    {"ex%2etest", NULL, 0},
    {"ex,test", NULL, 0},
    {"*.test", NULL, 0},
    {"ex\xc3\xa9", NULL, 0},
    {"[", NULL, 0},
    {"[]", NULL, 0},
    {"[::1", NULL, 0},
    {"[::1]80", NULL, 0},
    {"[::1].", NULL, 0},
    {"[::1%25eth0]", NULL, 0},
    {"[1.2.3.4]", NULL, 0},
    {"[v1.a]", NULL, 0},
    {"[:::1]", NULL, 0},
    {"[12345::]", NULL, 0},
    {"[1:2:3:4:5:6:7:8:9]", NULL, 0},
    {"::1", NULL, 0},
};

TEST(normal_forms_of_authorities)
{
    for (size_t i = 0; i < COUNT(authorities); i++) {
        struct bytes in = cunit_guarded(cunit_text(authorities[i].authority));
        uint8_t *out = cunit_guarded_room(URI_MAX_HOST);
        uint16_t port = 7;
        int result = uri_normal_host(in, out, &port);

        cunit_context("%s", authorities[i].authority);
        if (authorities[i].host == NULL) {
            CHECK_INT(result, MESH_E_SYNTAX);
        } else if (CHECK(result > 0)) {
            CHECK_TEXT(bytes_of(out, (size_t)result), authorities[i].host);
            CHECK_UINT(port, authorities[i].port);
        }
    }
}

TEST(a_nul_in_an_address_is_refused)
{
    uint8_t out[URI_MAX_HOST];
    uint16_t port;

    CHECK_INT(uri_normal_host(BYTES_LITERAL("[::1\0]"), out, &port), MESH_E_SYNTAX);
    CHECK_INT(uri_normal_host(BYTES_LITERAL("ex\0.test"), out, &port), MESH_E_SYNTAX);
    CHECK_INT(uri_normal_host(bytes_of(NULL, 0), out, &port), MESH_E_SYNTAX);
}

TEST(the_longest_host)
{
    char authority[300];
    uint8_t *out = cunit_guarded_room(URI_MAX_HOST);
    uint16_t port;

    memset(authority, 'A', sizeof(authority));
    CHECK_INT(uri_normal_host(bytes_of(authority, URI_MAX_HOST - 1), out, &port), URI_MAX_HOST - 1);
    CHECK_INT(uri_normal_host(bytes_of(authority, URI_MAX_HOST), out, &port), URI_MAX_HOST);
    CHECK_INT(out[URI_MAX_HOST - 1], 'a');
    CHECK_INT(uri_normal_host(bytes_of(authority, URI_MAX_HOST + 1), out, &port), MESH_E_TOO_LONG);
    memcpy(authority + URI_MAX_HOST, ":443", 4);
    CHECK_INT(uri_normal_host(bytes_of(authority, URI_MAX_HOST + 4), out, &port), URI_MAX_HOST);
    CHECK_UINT(port, 443);
}

TEST(the_host_is_a_slice_of_the_authority)
{
    struct bytes authority = BYTES_LITERAL("Ex.Test.:80");
    struct bytes host;
    uint16_t port;

    CHECK_INT(uri_split_authority(authority, &host, &port), MESH_OK);
    CHECK(host.ptr == authority.ptr);
    CHECK_TEXT(host, "Ex.Test");
    CHECK_UINT(port, 80);
}
