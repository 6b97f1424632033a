/* Lines of access logs. */
#include "worker/logline.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errors.h"
#include "cunit.h"

union buffer {
    struct abi_log_record record;
    uint8_t bytes[LIMIT_LOG_RECORD];
};

static void reset(union buffer *out)
{
    memset(out, 0, sizeof(*out));
    out->record.kind = ABI_RECORD_WHOLE;
    out->record.connect_us = ABI_LOG_NONE_US;
    out->record.wait_us = ABI_LOG_NONE_US;
    out->record.handshake_us = ABI_LOG_NONE_US;
}

static void put(union buffer *out, uint32_t variable, struct bytes text)
{
    struct abi_log_record *record = &out->record;

    record->parts[variable] = (struct abi_log_part){record->text, (uint16_t)text.len};
    memcpy(out->bytes + sizeof(*record) + record->text, text.ptr, text.len);
    record->text = (uint16_t)(record->text + text.len);
    record->length = (uint32_t)((sizeof(*record) + record->text + 7) & ~(size_t)7);
    MUST(abi_log_record_ok(record));
}

/* The line without its line feed. */
static struct bytes line_in(const union buffer *in, const struct logline_format *format,
                            size_t size)
{
    static char line[LIMIT_LOG_LINE];
    struct logline_clock clock = {.offset_ns = 1769860800000000000};
    const struct logline_input input = {
        .record = &in->record,
        .text = bytes_of(in->bytes + sizeof(in->record), in->record.text),
        .worker = 3,
    };
    char *room = (char *)cunit_guarded_room(size);
    size_t length = logline_write(format, &input, &clock, (struct logline_room){room, size});

    memcpy(line, room, length);
    cunit_unguard(room);
    if (length == 0) {
        return bytes_of(NULL, 0);
    }
    CHECK_INT(line[length - 1], '\n');
    return bytes_of(line, length - 1);
}

static struct bytes value(const union buffer *in, uint8_t variable, enum abi_log_style style)
{
    const struct abi_log_op op = {.variable = variable, .style = (uint8_t)style};
    const struct logline_format format = {.count = 1, .ops = &op};

    return line_in(in, &format, 16384);
}

static void check(const union buffer *in, uint8_t variable, const char *plain, const char *json)
{
    cunit_context("variable %u", variable);
    CHECK_TEXT(value(in, variable, ABI_LOG_PLAIN), plain);
    CHECK_TEXT(value(in, variable, ABI_LOG_JSON), json);
}

TEST(literals_and_values_in_their_order)
{
    const struct abi_log_op ops[] = {
        {.variable = ABI_LOG_LITERAL, .literal = {0, 3}},
        {.variable = ABI_LOG_METHOD},
        {.variable = ABI_LOG_LITERAL, .literal = {3, 2}},
        {.variable = ABI_LOG_STATUS, .style = ABI_LOG_JSON},
    };
    const struct logline_format format = {4, ops, BYTES_LITERAL("<< >>")};
    static union buffer in;

    reset(&in);
    in.record.status = 200;
    put(&in, ABI_LOG_METHOD, BYTES_LITERAL("GET"));
    CHECK_TEXT(line_in(&in, &format, 100), "<< GET>>200");
    /* At every size it is there whole or not at all. */
    for (size_t size = 0; size < 12; size++) {
        CHECK_UINT(line_in(&in, &format, size).len, 0);
    }
    CHECK_TEXT(line_in(&in, &format, 12), "<< GET>>200");
}

TEST(what_is_not_known_is_a_dash_or_null)
{
    static union buffer in;

    reset(&in);
    for (uint8_t text = ABI_LOG_LISTENER; text < ABI_LOG_TEXTS; text++) {
        check(&in, text, "-", "null");
    }
    check(&in, ABI_LOG_LISTENER_ADDRESS, "-", "null");
    check(&in, ABI_LOG_UPSTREAM_ADDRESS, "-", "null");
    check(&in, ABI_LOG_CLIENT_PORT, "-", "null");
    check(&in, ABI_LOG_STATUS, "-", "null");
    check(&in, ABI_LOG_CONNECT, "-", "null");
    check(&in, ABI_LOG_WAIT, "-", "null");
    check(&in, ABI_LOG_TLS_HANDSHAKE, "-", "null");
    check(&in, ABI_LOG_TLS_VERSION, "-", "null");
    check(&in, ABI_LOG_TLS_RESUMED, "no", "false");
    check(&in, ABI_LOG_UPSTREAM_REUSED, "no", "false");
}

TEST(numbers_words_and_addresses)
{
    static union buffer in;

    reset(&in);
    in.record.status = 503;
    in.record.outcome = ABI_OUTCOME_NO_ENDPOINT;
    in.record.protocol = ABI_LOG_HTTP11;
    in.record.flags = ABI_LOG_IS_TLS | ABI_LOG_IS_RESUMED | ABI_LOG_IS_REUSED;
    in.record.client_port = 65535;
    in.record.bytes_in = UINT64_MAX;
    in.record.bytes_out = 0;
    in.record.duration_us = 1234567;
    in.record.connect_us = 0;
    in.record.tls_version = 0x0304;
    in.record.attempts = 2;
    in.record.listener = (struct abi_log_address){ABI_FAMILY_IP4, 0, 80, {127, 0, 0, 1}};
    in.record.upstream = (struct abi_log_address){ABI_FAMILY_IP6, 0, 8080, {[15] = 1}};
    check(&in, ABI_LOG_STATUS, "503", "503");
    check(&in, ABI_LOG_FLAG, "no_endpoint", "\"no_endpoint\"");
    check(&in, ABI_LOG_PROTOCOL, "HTTP/1.1", "\"HTTP/1.1\"");
    in.record.protocol = ABI_LOG_HTTP2;
    check(&in, ABI_LOG_PROTOCOL, "HTTP/2", "\"HTTP/2\"");
    in.record.protocol = ABI_LOG_HTTP11;
    check(&in, ABI_LOG_SCHEME, "https", "\"https\"");
    check(&in, ABI_LOG_TLS_RESUMED, "yes", "true");
    check(&in, ABI_LOG_UPSTREAM_REUSED, "yes", "true");
    check(&in, ABI_LOG_TLS_VERSION, "1.3", "\"1.3\"");
    check(&in, ABI_LOG_CLIENT_PORT, "65535", "65535");
    check(&in, ABI_LOG_BYTES_IN, "18446744073709551615", "18446744073709551615");
    check(&in, ABI_LOG_BYTES_OUT, "0", "0");
    check(&in, ABI_LOG_DURATION, "1234567", "1234567");
    check(&in, ABI_LOG_CONNECT, "0", "0");
    check(&in, ABI_LOG_ATTEMPTS, "2", "2");
    check(&in, ABI_LOG_WORKER, "3", "3");
    check(&in, ABI_LOG_LISTENER_ADDRESS, "127.0.0.1:80", "\"127.0.0.1:80\"");
    check(&in, ABI_LOG_UPSTREAM_ADDRESS, "[::1]:8080", "\"[::1]:8080\"");
    in.record.upstream.family = ABI_FAMILY_UNIX;
    check(&in, ABI_LOG_UPSTREAM_ADDRESS, "unix", "\"unix\"");
}

TEST(times_have_microseconds)
{
    static union buffer in;

    reset(&in);
    in.record.started_ns = 7001000;
    check(&in, ABI_LOG_TIME, "2026-01-31T12:00:00.007001Z", "\"2026-01-31T12:00:00.007001Z\"");
    in.record.started_ns = 999999999;
    check(&in, ABI_LOG_TIME, "2026-01-31T12:00:00.999999Z", "\"2026-01-31T12:00:00.999999Z\"");
    in.record.started_ns = 1000000000;
    check(&in, ABI_LOG_TIME, "2026-01-31T12:00:01.000000Z", "\"2026-01-31T12:00:01.000000Z\"");
    in.record.started_ns = UINT64_MAX / 2; /* no worker of ours says that */
    CHECK(value(&in, ABI_LOG_TIME, ABI_LOG_JSON).len > 0);
    in.record.started_ns = UINT64_MAX;
    CHECK(value(&in, ABI_LOG_TIME, ABI_LOG_JSON).len > 0);
}

static void text(struct bytes raw, const char *plain, const char *json)
{
    static union buffer in;

    reset(&in);
    put(&in, ABI_LOG_PATH, raw);
    check(&in, ABI_LOG_PATH, plain, json);
}

TEST(hostile_bytes_stay_within_their_field)
{
    text(BYTES_LITERAL("/a b"), "/a b", "\"/a b\"");
    text(BYTES_LITERAL("\"\\"), "\\x22\\x5c", "\"\\\"\\\\\"");
    text(BYTES_LITERAL("a\nb\r\t\x1b[2J\x7f"), "a\\x0ab\\x0d\\x09\\x1b[2J\\x7f",
         "\"a\\u000ab\\u000d\\u0009\\u001b[2J\\u007f\"");
    text(BYTES_LITERAL("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
         "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    text(BYTES_LITERAL("\xff"), "\\xff", "\"\\ufffd\"");
    text(BYTES_LITERAL("\xc3"), "\\xc3", "\"\\ufffd\"");                 /* cut */
    text(BYTES_LITERAL("\xc0\x80"), "\\xc0\\x80", "\"\\ufffd\\ufffd\""); /* overlong */
    text(BYTES_LITERAL("\xed\xa0\x80"), "\\xed\\xa0\\x80",
         "\"\\ufffd\\ufffd\\ufffd\""); /* a surrogate */
    text(BYTES_LITERAL("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80",
         "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");                            /* too great */
    text(BYTES_LITERAL("\xc2\x85"), "\\xc2\\x85", "\"\\ufffd\\ufffd\""); /* a C1 control */
    text(BYTES_LITERAL("\xe2\x80\xa8"), "\\xe2\\x80\\xa8",
         "\"\\ufffd\\ufffd\\ufffd\""); /* ends lines */
}

/* Bytes of a JSON string without its quotes are whole escapes and printable characters. */
static bool is_json_string(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.ptr[i];

        if (byte < 0x20 || byte == '"' || byte == 0x7f) {
            return false;
        }
        if (byte == '\\') {
            if (++i == text.len || strchr("\"\\u", text.ptr[i]) == NULL) {
                return false;
            }
            if (text.ptr[i] == 'u') {
                for (int n = 0; n < 4; n++) {
                    if (++i == text.len || strchr("0123456789abcdef", text.ptr[i]) == NULL) {
                        return false;
                    }
                }
            }
        }
    }
    return true;
}

TEST(any_bytes_make_a_string)
{
    static union buffer in;

    for (uint32_t round = 0; round < 3000; round++) {
        uint8_t bytes[40];
        uint32_t length = 1 + cunit_random_below(sizeof(bytes));
        struct bytes line;

        for (uint32_t i = 0; i < length; i++) {
            bytes[i] = (uint8_t)cunit_random();
        }
        reset(&in);
        put(&in, ABI_LOG_USER_AGENT, bytes_of(bytes, length));
        line = value(&in, ABI_LOG_USER_AGENT, ABI_LOG_JSON);
        CHECK(line.len >= 3 && line.ptr[0] == '"' && line.ptr[line.len - 1] == '"' &&
              is_json_string(bytes_part(line, 1, line.len - 1)));
        CHECK(line.len <= abi_log_longest(ABI_LOG_USER_AGENT, ABI_LOG_JSON));
        CHECK(value(&in, ABI_LOG_USER_AGENT, ABI_LOG_PLAIN).len <=
              abi_log_longest(ABI_LOG_USER_AGENT, ABI_LOG_PLAIN));
    }
}

/* What abi_log_longest() promises holds for the worst of everything. */
TEST(no_value_is_longer_than_promised)
{
    static union buffer in;
    uint8_t worst[1024];

    memset(worst, 0xff, sizeof(worst));
    reset(&in);
    memset(&in.record.listener, 0xff, sizeof(in.record.listener));
    in.record.listener.family = ABI_FAMILY_IP6;
    in.record.upstream = in.record.listener;
    in.record.started_ns = UINT64_MAX / 2;
    in.record.duration_us = in.record.bytes_in = in.record.bytes_out = UINT64_MAX;
    for (uint8_t i = ABI_LOG_LISTENER; i < ABI_LOG_TEXTS; i++) {
        put(&in, i, bytes_of(worst, abi_log_text_limit(i)));
    }
    for (uint8_t i = ABI_LOG_LISTENER; i < ABI_LOG_VARIABLE_COUNT; i++) {
        for (uint32_t style = 0; style < ABI_LOG_STYLE_COUNT; style++) {
            cunit_context("variable %u, style %u", i, style);
            CHECK(value(&in, i, (enum abi_log_style)style).len <= abi_log_longest(i, style));
        }
    }
    for (uint32_t i = 0; i < ABI_OUTCOME_COUNT; i++) {
        CHECK(strlen(abi_outcome_name(i)) + 2 <= abi_log_longest(ABI_LOG_FLAG, ABI_LOG_JSON));
    }
}
