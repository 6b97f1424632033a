#include "base/evlog.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* Appends `value` in decimal at `at`; at most 20 digits. Returns the new end. */
static char *evlog_put_number(char *at, uint64_t value)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

void evlog_dump(const struct evlog *log, int fd, uint32_t count)
{
    uint64_t stored = log->written < EVLOG_CAPACITY ? log->written : EVLOG_CAPACITY;
    uint64_t wanted = count < stored ? count : stored;

    for (uint64_t i = log->written - wanted; i < log->written; i++) {
        const struct evlog_record *record = &log->records[i & (EVLOG_CAPACITY - 1)];
        char line[128];
        size_t length = strnlen(record->what, 64);
        char *at = line;

        memcpy(at, record->what, length);
        at += length;
        *at++ = ' ';
        at = evlog_put_number(at, record->a);
        *at++ = ' ';
        at = evlog_put_number(at, record->b);
        *at++ = '\n';
        if (write(fd, line, (size_t)(at - line)) < 0) {
            return; /* nobody is left to tell */
        }
    }
}
