#include "wire/fwd.h"

#include <string.h>

#include "base/err.h"
#include "cunit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Reads a whole value: the number of elements, or the error; the last one stays in *element. */
static int read_all(struct bytes value, struct fwd_element *element)
{
    struct bytes rest = cunit_guarded(value);
    struct fwd_element next;
    int count = 0;
    int result;

    while ((result = fwd_next(&rest, &next)) > 0) {
        *element = next;
        count++;
    }
    return result < 0 ? result : count;
}

static const struct {
    const char *value;
    int elements; /* or the error */
} values[] = {
    {"", 0},
    {" , ,", 0},
    {"for=192.0.2.43", 1},
    {"For=192.0.2.43", 1},
    {"for=\"192.0.2.43\"", 1},
    {"for=\"192.0.2.43:47011\"", 1},
    {"for=\"[2001:db8:cafe::17]\"", 1},
    {"for=\"[2001:db8:cafe::17]:4711\"", 1},
    {"for=unknown, for=_hidden, for=_SEVKISEK", 3},
    {"for=\"_gazonk\"", 1},
    {"for=\"unknown:_port\"", 1},
    {"for=192.0.2.60;proto=http;by=203.0.113.43", 1},
    {"for=192.0.2.43, for=198.51.100.17;by=203.0.113.60;proto=http;host=example.com", 2},
    {"for=192.0.2.43,for=198.51.100.17", 2},
    {"proto=https;host=\"ex.test:8443\"", 1},
    {"for=192.0.2.43;secret=\"a \\\"b\\\", c\"", 1},
    {"for=192.0.2.43;", 1},
    {";for=192.0.2.43;;proto=http", 1},
    {"for=192.0.2.43;;", 1},
    {"a=1;b=2;c=3;d=4;e=5;f=6;g=7;h=8", 1},
    {"a=1;b=2;c=3;d=4;e=5;f=6;g=7;h=8;i=9", MESH_E_TOO_MANY},
    {"for=192.0.2.43;for=192.0.2.44", MESH_E_SYNTAX},
    {"for=192.0.2.43;FOR=192.0.2.43", MESH_E_SYNTAX},
    {"for=2001:db8::1", MESH_E_SYNTAX},
    {"for=\"2001:db8::1\"", MESH_E_SYNTAX},
    {"for=[2001:db8::1]", MESH_E_SYNTAX},
    {"for=\"[2001:db8::1\"", MESH_E_SYNTAX},
    {"for=\"[192.0.2.43]\"", MESH_E_SYNTAX},
    {"for=\"192.0.2.43:\"", MESH_E_SYNTAX},
    {"for=\"192.0.2.43:99999\"", MESH_E_SYNTAX},
    {"for=\"192.0.2.43", MESH_E_SYNTAX},
    {"for=\"192.0.2.43\\", MESH_E_SYNTAX},
    {"for=\"192.0.2.4\\3\"", MESH_E_SYNTAX},
    {"for=hidden", MESH_E_SYNTAX},
    {"for=_", MESH_E_SYNTAX},
    {"for=", MESH_E_SYNTAX},
    {"for=\"\"", MESH_E_SYNTAX},
    {"for", MESH_E_SYNTAX},
    {"=192.0.2.43", MESH_E_SYNTAX},
    {"for =192.0.2.43", MESH_E_SYNTAX},
    {"for= 192.0.2.43", MESH_E_SYNTAX},
    {"for=192.0.2.43; proto=http", MESH_E_SYNTAX},
    {"for=192.0.2.43 for=192.0.2.44", MESH_E_SYNTAX},
    {"for=192.0.2.43;proto=ht_tp", MESH_E_SYNTAX},
    {"for=192.0.2.43;proto=\"\"", MESH_E_SYNTAX},
    {"for=192.0.2.43;host=\"a b\"", MESH_E_SYNTAX},
    {"192.0.2.43", MESH_E_SYNTAX},
    {"for=1.2.3.4, evil", MESH_E_SYNTAX},
};

TEST(forwarded_is_read_strictly)
{
    for (size_t i = 0; i < COUNT(values); i++) {
        struct fwd_element element;

        cunit_context("%s", values[i].value);
        CHECK_INT(read_all(cunit_text(values[i].value), &element), values[i].elements);
    }
}

TEST(an_element_has_parts)
{
    struct fwd_element element = {0};

    CHECK_INT(read_all(BYTES_LITERAL("for=_a , for=\"[2001:db8::17]:4711\";by=\"1.2.3.4:_x\";"
                                     "host=\"Ex.test:80\";proto=https , "),
                       &element),
              2);
    CHECK_TEXT(element.text, "for=\"[2001:db8::17]:4711\";by=\"1.2.3.4:_x\";"
                             "host=\"Ex.test:80\";proto=https");
    CHECK_UINT(element.client.kind, FWD_NODE_IP);
    CHECK_TEXT(element.client.name, "2001:db8::17");
    CHECK_UINT(element.client.port, 4711);
    CHECK_UINT(element.by.kind, FWD_NODE_IP);
    CHECK_UINT(element.by.port, 0);
    CHECK_TEXT(element.host, "Ex.test:80");
    CHECK_TEXT(element.proto, "https");
    CHECK_INT(read_all(BYTES_LITERAL("proto=http"), &element), 1);
    CHECK_UINT(element.client.kind, FWD_NODE_NONE);
}

/* Every prefix is read without a byte too far, whatever it says. */
TEST(cut_values_do_not_mislead)
{
    for (size_t i = 0; i < COUNT(values); i++) {
        struct bytes whole = cunit_text(values[i].value);

        for (size_t length = 0; length < whole.len; length++) {
            struct fwd_element element;
            struct ip_address ip;
            struct bytes text;
            struct bytes in = cunit_guarded(bytes_part(whole, 0, length));

            (void)read_all(in, &element);
            (void)fwd_last_address(&in, &ip, &text);
        }
        cunit_unguard_all();
    }
    CHECK(true);
}

static const struct {
    const char *value;
    const char *addresses[5]; /* from the right, until the first that is none */
    bool to_the_end;
} lists[] = {
    {"", {NULL}, true},
    {"1.2.3.4", {"1.2.3.4"}, true},
    {"1.2.3.4, 5.6.7.8", {"5.6.7.8", "1.2.3.4"}, true},
    {" 1.2.3.4 ,\t5.6.7.8\t,, ", {"5.6.7.8", "1.2.3.4"}, true},
    {"2001:db8::1,[2001:db8::2], [2001:db8::3]:80,1.2.3.4:80",
     {"1.2.3.4", "2001:db8::3", "2001:db8::2", "2001:db8::1"},
     true},
    {"unknown, 1.2.3.4", {"1.2.3.4"}, false},
    {"1.2.3.4, evil<script>, 5.6.7.8", {"5.6.7.8"}, false},
    {":80", {NULL}, false},
    {"1.2.3.4, 5.6.7.8:", {NULL}, false},
    {"1.2.3.4, 5.6.7.8:99999", {NULL}, false},
    {"1.2.3.4, 5.6.7.8 9", {NULL}, false},
    {"1.2.3.4, [5.6.7.8]", {NULL}, false},
    {"1.2.3.4, [::1", {NULL}, false},
    {"1.2.3.4, ::1]", {NULL}, false},
    {"1.2.3.4, \"5.6.7.8\"", {NULL}, false},
    {"1.2.3.4, 5.6.7.08", {NULL}, false},
};

TEST(addresses_come_from_the_right)
{
    for (size_t i = 0; i < COUNT(lists); i++) {
        struct bytes rest = cunit_guarded(cunit_text(lists[i].value));
        struct bytes text;
        struct ip_address ip;
        size_t count = 0;
        int result;

        cunit_context("%s", lists[i].value);
        while ((result = fwd_last_address(&rest, &ip, &text)) > 0) {
            if (!CHECK(count < 5 && lists[i].addresses[count] != NULL)) {
                break;
            }
            CHECK_TEXT(text, lists[i].addresses[count]);
            count++;
        }
        CHECK(count == 5 || lists[i].addresses[count] == NULL);
        CHECK_INT(result, lists[i].to_the_end ? 0 : MESH_E_SYNTAX);
    }
}

TEST(schemes)
{
    CHECK(fwd_is_scheme(BYTES_LITERAL("https")));
    CHECK(fwd_is_scheme(BYTES_LITERAL("h2+x-1.0")));
    CHECK(!fwd_is_scheme(BYTES_LITERAL("")));
    CHECK(!fwd_is_scheme(BYTES_LITERAL("1http")));
    CHECK(!fwd_is_scheme(BYTES_LITERAL("http:")));
    CHECK(!fwd_is_scheme(BYTES_LITERAL("http, https")));
}
