/* The server name of a ClientHello, wherever its bytes are cut. */
#include "wire/hello.h"

#include "base/err.h"
#include "cunit.h"
#include "hello_kit.h"

#define NAME "db.example.com"

static uint8_t message[HELLO_KIT_ROOM];
static uint8_t records[HELLO_KIT_ROOM];

static int parse(struct bytes in, struct hello *hello)
{
    struct bytes guarded = cunit_guarded(in);
    int result = hello_parse(guarded, hello);

    cunit_unguard(guarded.ptr);
    return result;
}

static struct bytes hello_of(const struct hello_kit *kit, size_t piece)
{
    return hello_kit_records(bytes_of(message, hello_kit_message(kit, message)), piece, records);
}

static void check_name(struct bytes in, const char *name)
{
    struct hello hello;

    CHECK_INT(parse(in, &hello), in.len);
    CHECK_TEXT(bytes_of(hello.name, hello.name_len), name);
}

TEST(names_in_their_one_spelling)
{
    check_name(hello_of(&(struct hello_kit){.name = NAME}, 0), NAME);
    check_name(hello_of(&(struct hello_kit){.name = "DB.Example.Com."}, 0), NAME);
    check_name(hello_of(&(struct hello_kit){.name = "a"}, 0), "a");
    check_name(hello_of(&(struct hello_kit){.name = NULL}, 0), "");
    check_name(hello_of(&(struct hello_kit){.name = NAME, .filler = 1300}, 0), NAME);
}

TEST(every_prefix_asks_for_more)
{
    struct bytes in = hello_of(&(struct hello_kit){.name = NAME, .filler = 1300}, 600);
    struct hello hello;

    for (size_t len = 0; len < in.len; len++) {
        cunit_context("%zu of %zu bytes", len, in.len);
        if (!CHECK_INT(parse(bytes_part(in, 0, len), &hello), 0)) {
            return;
        }
    }
}

TEST(records_of_every_size)
{
    const struct hello_kit kit = {.name = NAME, .filler = 300};
    size_t size = hello_kit_message(&kit, message);
    struct hello hello;

    for (size_t piece = 1; piece <= size; piece++) {
        struct bytes in = hello_kit_records(bytes_of(message, size), piece, records);
        bool fits = (size + piece - 1) / piece <= HELLO_MAX_RECORDS;

        cunit_context("records of %zu", piece);
        CHECK_INT(parse(in, &hello), fits ? (int)in.len : MESH_E_TOO_MANY);
        CHECK(!fits || hello.name_len == sizeof(NAME) - 1);
    }
}

TEST(length_of_the_message)
{
    struct hello_kit kit = {.name = NAME, .filler = 1};
    size_t rest = hello_kit_message(&kit, message) - 1 - 4;
    struct hello hello;

    for (size_t size = HELLO_MAX_MESSAGE - 1; size <= HELLO_MAX_MESSAGE + 1; size++) {
        struct bytes in;

        kit.filler = size - rest;
        in = hello_of(&kit, 0);
        cunit_context("%zu bytes", size);
        CHECK_INT(parse(in, &hello), size <= HELLO_MAX_MESSAGE ? (int)in.len : MESH_E_TOO_LONG);
        CHECK(in.len <= HELLO_MAX_INPUT + 1);
    }
    kit.filler = 60000; /* refused at the head of the message, not when all of it has come */
    CHECK_INT(parse(bytes_part(hello_of(&kit, 0), 0, 9), &hello), MESH_E_TOO_LONG);
}

TEST(noise_is_refused_at_once)
{
    struct hello hello;

    CHECK_INT(parse(BYTES_LITERAL("G"), &hello), MESH_E_SYNTAX);
    CHECK_INT(parse(BYTES_LITERAL("\x80\x2e\x01"), &hello), MESH_E_SYNTAX); /* SSL 2 */
    CHECK_INT(parse(BYTES_LITERAL("\x15\x03\x01\0\x02"), &hello), MESH_E_SYNTAX);
    CHECK_INT(parse(BYTES_LITERAL("\x16\x02"), &hello), MESH_E_SYNTAX);
    CHECK_INT(parse(BYTES_LITERAL("\x16\x03\x01\0\0"), &hello), MESH_E_SYNTAX);
    CHECK_INT(parse(BYTES_LITERAL("\x16\x03\x01\x40\x01"), &hello), MESH_E_SYNTAX);
    CHECK_INT(parse(BYTES_LITERAL("\x16\x03\x01\0\x04\x02"), &hello), MESH_E_SYNTAX);
}

/* One byte of a good hello changed. */
static int changed(struct bytes in, size_t at, uint8_t value)
{
    static uint8_t copy[HELLO_KIT_ROOM];
    struct hello hello;

    memcpy(copy, in.ptr, in.len);
    copy[at] = value;
    return parse(bytes_of(copy, in.len), &hello);
}

TEST(lengths_have_to_add_up)
{
    struct bytes in = hello_of(&(struct hello_kit){.name = NAME}, 0);
    size_t session = 5 + 4 + 2 + 32;
    size_t ciphers = session + 33;
    size_t compression = ciphers + 2 + 4;
    size_t extensions = compression + 2;
    size_t name = extensions + 2;

    CHECK_INT(changed(in, 9, 2), MESH_E_SYNTAX);           /* version 2.3 */
    CHECK_INT(changed(in, session, 33), MESH_E_SYNTAX);    /* session id of 33 */
    CHECK_INT(changed(in, session, 200), MESH_E_SYNTAX);   /* past the end */
    CHECK_INT(changed(in, ciphers + 1, 0), MESH_E_SYNTAX); /* no ciphers */
    CHECK_INT(changed(in, ciphers + 1, 3), MESH_E_SYNTAX); /* one and a half */
    CHECK_INT(changed(in, ciphers, 9), MESH_E_SYNTAX);     /* past the end */
    CHECK_INT(changed(in, compression, 0), MESH_E_SYNTAX); /* no compression method */
    CHECK_INT(changed(in, extensions + 1, 5), MESH_E_SYNTAX);
    CHECK_INT(changed(in, name + 3, 5), MESH_E_SYNTAX);
    CHECK_INT(changed(in, name + 3, 200), MESH_E_SYNTAX);
    CHECK_INT(changed(in, name + 6, 1), MESH_E_SYNTAX); /* no host name */
    CHECK_INT(changed(in, name + 8, 3), MESH_E_SYNTAX); /* bytes behind the name */
    CHECK_INT(changed(in, name + 9, ' '), MESH_E_SYNTAX);
    CHECK_INT(changed(in, name + 9, 0), MESH_E_SYNTAX);
    CHECK_INT(changed(in, name + 9, 'x'), in.len);
    CHECK_INT(changed(in, 4, (uint8_t)(in.len - 6)), MESH_E_SYNTAX); /* a byte without a record */
}

TEST(one_name_once)
{
    struct hello hello;
    char longest[HELLO_MAX_NAME + 3];

    CHECK_INT(parse(hello_of(&(struct hello_kit){.name = NAME, .twice = 1}, 0), &hello),
              MESH_E_SYNTAX);
    for (size_t len = HELLO_MAX_NAME - 1; len <= HELLO_MAX_NAME + 1; len++) {
        struct bytes in;

        memset(longest, 'a', len);
        longest[len] = 0;
        in = hello_of(&(struct hello_kit){.name = longest}, 0);
        cunit_context("%zu bytes", len);
        CHECK_INT(parse(in, &hello), len <= HELLO_MAX_NAME ? (int)in.len : MESH_E_SYNTAX);
    }
}

TEST(what_follows_in_the_record_is_refused)
{
    static uint8_t in[256] = {0x16, 3, 1};
    size_t size = hello_kit_message(&(struct hello_kit){.name = NAME}, in + 5);
    struct hello hello;

    in[4] = (uint8_t)size;
    CHECK_INT(parse(bytes_of(in, size + 5), &hello), size + 5);
    CHECK_INT(parse(bytes_of(in, size + 6), &hello), size + 5); /* the next record is not ours */
    in[4] = (uint8_t)(size + 1);
    CHECK_INT(parse(bytes_of(in, size + 6), &hello), MESH_E_SYNTAX);
}

TEST(alert_record)
{
    uint8_t out[HELLO_ALERT_SIZE];

    hello_write_alert(HELLO_ALERT_UNRECOGNIZED_NAME, out);
    CHECK_BYTES(bytes_of(out, sizeof(out)), BYTES_LITERAL("\x15\x03\x03\0\x02\x02\x70"));
}

static int parse_name(struct bytes extension, uint8_t out[static HELLO_MAX_NAME])
{
    struct bytes guarded = cunit_guarded(extension);
    int len = hello_server_name(guarded, out);

    cunit_unguard(guarded.ptr);
    return len;
}

TEST(server_name_extension)
{
    uint8_t out[HELLO_MAX_NAME];
    struct bytes good = BYTES_LITERAL("\0\x09\0\0\x06"
                                      "A.b-_9");

    CHECK_INT(parse_name(good, out), 6);
    CHECK_BYTES(bytes_of(out, 6), BYTES_LITERAL("a.b-_9"));
    for (size_t len = 0; len < good.len; len++) {
        CHECK_INT(parse_name(bytes_part(good, 0, len), out), MESH_E_SYNTAX);
    }
    CHECK_INT(parse_name(BYTES_LITERAL("\0\x05\0\0\x02"
                                       "a."),
                         out),
              1);
    CHECK_INT(parse_name(BYTES_LITERAL("\0\x04\0\0\x01"
                                       "."),
                         out),
              MESH_E_SYNTAX);
    CHECK_INT(parse_name(BYTES_LITERAL("\0\x05\0\0\x02"
                                       ".."),
                         out),
              MESH_E_SYNTAX);
    CHECK_INT(parse_name(BYTES_LITERAL("\0\x03\0\0\0"), out), MESH_E_SYNTAX);
    CHECK_INT(parse_name(BYTES_LITERAL("\0\x04\1\0\x01"
                                       "a"),
                         out),
              MESH_E_SYNTAX);
    CHECK_INT(parse_name(BYTES_LITERAL("\0\x08\0\0\x01"
                                       "a\0\0\1b"),
                         out),
              MESH_E_SYNTAX);
}
