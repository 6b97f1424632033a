#include "worker/log.h"

#include <stdio.h>
#include <string.h>

#include "cunit.h"

static struct bytes format(const struct log_entry *entry)
{
    static char line[LOG_LINE_SIZE];

    return bytes_of(line, log_format(line, entry));
}

TEST(a_line_of_the_supervisor)
{
    const struct log_entry entry = {
        .level = LOG_LEVEL_INFO, .ms = 1769860800250, .text = "started", .length = 7};

    CHECK_TEXT(format(&entry), "{\"ts\":\"2026-01-31T12:00:00.250Z\",\"level\":\"info\","
                               "\"subsystem\":\"dataplane\",\"msg\":\"started\"}\n");
}

TEST(a_line_of_a_worker)
{
    const struct log_origin origin = {.worker = 3, .pid = 4711};
    const struct log_entry entry = {
        .level = LOG_LEVEL_ERROR, .ms = 7, .origin = &origin, .text = "x", .length = 1};

    CHECK_TEXT(format(&entry), "{\"ts\":\"1970-01-01T00:00:00.007Z\",\"level\":\"error\","
                               "\"subsystem\":\"dataplane.worker\",\"msg\":\"x\","
                               "\"worker\":\"3\",\"pid\":\"4711\"}\n");
}

static void escapes(const char *text, size_t length, const char *expected)
{
    static const char head[] = "\"msg\":\"";
    const struct log_entry entry = {.level = LOG_LEVEL_INFO, .text = text, .length = length};
    struct bytes line = format(&entry);
    const char *at = memmem(line.ptr, line.len, head, sizeof(head) - 1);

    cunit_context("%s", expected);
    if (CHECK(at != NULL)) {
        const char *start = at + sizeof(head) - 1;

        CHECK_TEXT(bytes_of(start, strlen(expected)), expected);
        CHECK_INT(memcmp(start + strlen(expected), "\"}\n", 3), 0);
    }
}

TEST(whatever_bytes_come_the_line_is_json)
{
    escapes("say \"hi\" \\ back", 15, "say \\\"hi\\\" \\\\ back");
    escapes("a\tb\x01\x1f\x7f", 6, "a\\u0009b\\u0001\\u001f\\u007f");
    escapes("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    escapes("\xff", 1, "\\ufffd");
    escapes("\xc3", 1, "\\ufffd");                                  /* cut */
    escapes("\xc0\x80", 2, "\\ufffd\\ufffd");                       /* overlong */
    escapes("\xe0\x80\x80", 3, "\\ufffd\\ufffd\\ufffd");            /* overlong */
    escapes("\xed\xa0\x80", 3, "\\ufffd\\ufffd\\ufffd");            /* a surrogate */
    escapes("\xf4\x90\x80\x80", 4, "\\ufffd\\ufffd\\ufffd\\ufffd"); /* beyond U+10FFFF */
    escapes("\xf5", 1, "\\ufffd");
    escapes("\0", 1, "\\u0000");
}

TEST(a_text_that_does_not_fit_is_cut_between_characters)
{
    const struct log_origin origin = {.worker = UINT32_MAX, .pid = UINT32_MAX};
    static char text[3 * LOG_LINE_SIZE];
    struct log_entry entry = {.level = LOG_LEVEL_INFO, .origin = &origin, .text = text};

    memset(text, '\x01', sizeof(text));
    for (entry.length = 0; entry.length < sizeof(text); entry.length += 97) {
        struct bytes line = format(&entry);

        CHECK(line.len < LOG_LINE_SIZE);
        CHECK_INT(memcmp(line.ptr + line.len - 2, "}\n", 2), 0);
    }
}

TEST(names_of_levels)
{
    enum log_level level = LOG_LEVEL_COUNT;

    CHECK(log_parse_level("trace", &level) && level == LOG_LEVEL_TRACE);
    CHECK(log_parse_level("error", &level) && level == LOG_LEVEL_ERROR);
    CHECK(!log_parse_level("Error", &level));
    CHECK(!log_parse_level("", &level));
    CHECK(!log_parse_level("warning", &level));
    CHECK_INT(level, LOG_LEVEL_ERROR);
}
