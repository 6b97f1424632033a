#include "wire/delay.h"

#include <stdbool.h>

#define DELAY_GRPC_DIGITS 8u
#define DELAY_DATE        29u /* "Sun, 06 Nov 1994 08:49:37 GMT" */

static int64_t delay_bound(uint64_t ms)
{
    return ms > DELAY_MAX_MS ? (int64_t)DELAY_MAX_MS : (int64_t)ms;
}

int64_t delay_parse_grpc(struct bytes value)
{
    uint64_t number = 0;
    size_t digits = 0;

    while (digits < value.len && (uint8_t)(value.ptr[digits] - '0') <= 9) {
        if (digits == DELAY_GRPC_DIGITS) {
            return -1;
        }
        number = number * 10 + (uint64_t)(value.ptr[digits++] - '0');
    }
    if (digits == 0 || digits + 1 != value.len) {
        return -1;
    }
    switch (value.ptr[digits]) {
    case 'H':
        return delay_bound(number * 3600000u);
    case 'M':
        return delay_bound(number * 60000u);
    case 'S':
        return delay_bound(number * 1000u);
    case 'm':
        return delay_bound(number);
    case 'u':
        return delay_bound((number + 999u) / 1000u);
    case 'n':
        return delay_bound((number + 999999u) / 1000000u);
    default:
        return -1;
    }
}

/* A number of `count` digits; -1: it is none. */
static int64_t delay_digits(const uint8_t *at, size_t count)
{
    int64_t number = 0;

    for (size_t i = 0; i < count; i++) {
        if ((uint8_t)(at[i] - '0') > 9) {
            return -1;
        }
        number = number * 10 + (at[i] - '0');
    }
    return number;
}

/* Which of `count` names of three letters stands there; -1: none does. */
static int64_t delay_name(const uint8_t *at, const char *names, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const char *name = names + 3 * i;

        if (at[0] == (uint8_t)name[0] && at[1] == (uint8_t)name[1] && at[2] == (uint8_t)name[2]) {
            return i;
        }
    }
    return -1;
}

/* Days since 1970 of a date in the Gregorian calendar, years counted from March. */
static int64_t delay_days(int64_t year, int64_t month, int64_t day)
{
    int64_t from_march = month >= 2 ? month - 2 : month + 10;
    int64_t years = month >= 2 ? year : year - 1;

    return 365 * years + years / 4 - years / 100 + years / 400 + (153 * from_march + 2) / 5 + day -
           1 - 719468;
}

/* Seconds since 1970; false: it is no IMF-fixdate. */
static bool delay_parse_date(struct bytes value, int64_t *seconds)
{
    static const char shape[] = "..., .. ... .... ..:..:.. GMT";
    int64_t month, day, year, hour, minute, second;

    if (value.len != DELAY_DATE) {
        return false;
    }
    for (size_t i = 0; i < DELAY_DATE; i++) {
        if (shape[i] != '.' && value.ptr[i] != (uint8_t)shape[i]) {
            return false;
        }
    }
    day = delay_digits(value.ptr + 5, 2);
    month = delay_name(value.ptr + 8, "JanFebMarAprMayJunJulAugSepOctNovDec", 12);
    year = delay_digits(value.ptr + 12, 4);
    hour = delay_digits(value.ptr + 17, 2);
    minute = delay_digits(value.ptr + 20, 2);
    second = delay_digits(value.ptr + 23, 2);
    if (delay_name(value.ptr, "SunMonTueWedThuFriSat", 7) < 0 || day < 1 || day > 31 || month < 0 ||
        year < 1970 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
        second > 60) {
        return false;
    }
    *seconds = delay_days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
    return true;
}

int64_t delay_parse_retry_after(struct bytes value, int64_t now_s)
{
    uint64_t number = 0;
    int64_t date;

    if (delay_parse_date(value, &date)) {
        return date <= now_s ? 0 : delay_bound((uint64_t)(date - now_s) * 1000u);
    }
    if (value.len == 0) {
        return -1;
    }
    for (size_t i = 0; i < value.len; i++) {
        if ((uint8_t)(value.ptr[i] - '0') > 9) {
            return -1;
        }
        number = number * 10 + (uint64_t)(value.ptr[i] - '0');
        number = number > DELAY_MAX_MS ? DELAY_MAX_MS : number;
    }
    return delay_bound(number * 1000u);
}
