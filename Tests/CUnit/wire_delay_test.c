/* Times that messages ask for. */
#include <stdio.h>
#include <string.h>

#include "cunit.h"
#include "wire/delay.h"

#define SUNDAY   "Sun, 06 Nov 1994 08:49:37 GMT"
#define SUNDAY_S 784111777

static int64_t grpc_of(const char *text)
{
    return delay_parse_grpc(cunit_guarded(bytes_of(text, strlen(text))));
}

static int64_t wait_of(const char *text, int64_t now_s)
{
    return delay_parse_retry_after(cunit_guarded(bytes_of(text, strlen(text))), now_s);
}

TEST(timeouts_of_grpc)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"1S", 1000},        {"100m", 100},
        {"0m", 0},           {"2M", 120000},
        {"1H", 3600000},     {"99999999H", DELAY_MAX_MS},
        {"1u", 1},           {"1000u", 1},
        {"1001u", 2},        {"0n", 0},
        {"1n", 1},           {"99999999n", 100},
        {"00000001S", 1000}, {"000000001S", -1},
        {"123456789S", -1},  {"", -1},
        {"S", -1},           {"1", -1},
        {"1s", -1},          {"-1S", -1},
        {"1 S", -1},         {"1SS", -1},
        {"1S ", -1},         {"1.5S", -1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cunit_context("%s", cases[i].text);
        CHECK_INT(grpc_of(cases[i].text), cases[i].ms);
    }
}

TEST(times_to_wait)
{
    static const struct {
        const char *text;
        int64_t now_s;
        int64_t ms;
    } cases[] = {
        {"0", 0, 0},
        {"1", 0, 1000},
        {"120", 0, 120000},
        {"4294967", 0, 4294967000},
        {"4294968", 0, DELAY_MAX_MS},
        {"99999999999999999999999999", 0, DELAY_MAX_MS},
        {"", 0, -1},
        {"1s", 0, -1},
        {"-1", 0, -1},
        {"1.5", 0, -1},
        {SUNDAY, SUNDAY_S, 0},
        {SUNDAY, SUNDAY_S - 1, 1000},
        {SUNDAY, SUNDAY_S + 1, 0},
        {SUNDAY, SUNDAY_S - 90, 90000},
        {SUNDAY, 0, DELAY_MAX_MS},
        {"Thu, 29 Feb 2024 23:59:60 GMT", 1709251199, 1000},
        {"Thu, 01 Jan 1970 00:00:05 GMT", 0, 5000},
        {"Fri, 31 Dec 9999 23:59:59 GMT", 253402300799, 0},
        {"Sun, 06 Nov 1969 08:49:37 GMT", 0, -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", 0, -1},
        {"Sun, 32 Nov 1994 08:49:37 GMT", 0, -1},
        {"Sun, 06 nov 1994 08:49:37 GMT", 0, -1},
        {"sun, 06 Nov 1994 08:49:37 GMT", 0, -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", 0, -1},
        {"Sun, 06 Nov 1994 08:60:37 GMT", 0, -1},
        {"Sun, 06 Nov 1994 08:49:61 GMT", 0, -1},
        {"Sun, 06 Nov 1994 08:49:37 UTC", 0, -1},
        {"Sun, 06 Nov 1994 08:49:3x GMT", 0, -1},
        {"Sun, 06-Nov-94 08:49:37 GMT", 0, -1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cunit_context("%s", cases[i].text);
        CHECK_INT(wait_of(cases[i].text, cases[i].now_s), cases[i].ms);
    }
}

TEST(a_part_of_a_date_is_none)
{
    char text[sizeof(SUNDAY)];

    for (size_t length = 0; length < sizeof(SUNDAY) - 1; length++) {
        memcpy(text, SUNDAY, length);
        text[length] = '\0';
        CHECK_INT(wait_of(text, 0), -1);
    }
}
