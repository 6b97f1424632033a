#include "worker/log.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/must.h"
#include "base/num.h"

static const char *const log_names[LOG_LEVEL_COUNT] = {"trace", "debug", "info", "warn", "error"};

static enum log_level log_threshold = LOG_LEVEL_INFO;
static bool log_in_worker;
static uint64_t log_lost; /* lines that found no reader */

bool log_parse_level(const char *name, enum log_level *out)
{
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        if (strcmp(name, log_names[i]) == 0) {
            *out = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_set_level(enum log_level level)
{
    log_threshold = level;
}

const char *log_level_in_force(void)
{
    return log_names[log_threshold];
}

void log_become_worker(void)
{
    log_in_worker = true;
}

/* Bytes of the well-formed UTF-8 sequence at `at` (RFC 3629), 0 when there is none. */
static size_t log_utf8(const unsigned char *at, size_t left)
{
    size_t length;
    uint32_t value;

    if (at[0] < 0x80) {
        return 1;
    }
    length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || length > left) {
        return 0;
    }
    value = at[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (at[i] & 0x3fu);
    }
    if ((length == 3 && (value < 0x800 || (value >= 0xd800 && value < 0xe000))) ||
        (length == 4 && (value < 0x10000 || value > 0x10ffff))) {
        return 0;
    }
    return length;
}

/* Escapes `text` into at most `room` bytes; returns the bytes written. */
static size_t log_escape(char *out, size_t room, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0;

    for (size_t i = 0; i < length;) {
        size_t count = log_utf8(at + i, length - i);
        bool quoted = at[i] == '"' || at[i] == '\\';

        if (used + 6 > room) {
            break;
        }
        if (count == 0) {
            memcpy(out + used, "\\ufffd", 6);
            used += 6;
            i++;
        } else if (at[i] < 0x20 || at[i] == 0x7f) {
            memcpy(out + used, "\\u00", 4);
            out[used + 4] = hex[at[i] >> 4];
            out[used + 5] = hex[at[i] & 15];
            used += 6;
            i++;
        } else {
            if (quoted) {
                out[used++] = '\\';
            }
            memcpy(out + used, at + i, count);
            used += count;
            i += count;
        }
    }
    return used;
}

size_t log_format(char out[LOG_LINE_SIZE], const struct log_entry *entry)
{
    const size_t tail = 96; /* origin and end */
    time_t seconds = (time_t)(entry->ms / 1000);
    struct tm parts;
    char stamp[32];
    size_t used;

    gmtime_r(&seconds, &parts);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &parts);
    used = (size_t)snprintf(out, LOG_LINE_SIZE,
                            "{\"ts\":\"%s.%03uZ\",\"level\":\"%s\",\"subsystem\":\"%s\",\"msg\":\"",
                            stamp, (unsigned)(entry->ms % 1000), log_names[entry->level],
                            entry->origin == NULL ? "dataplane" : "dataplane.worker");
    used += log_escape(out + used, LOG_LINE_SIZE - used - tail, entry->text, entry->length);
    if (entry->origin == NULL) {
        used += (size_t)snprintf(out + used, LOG_LINE_SIZE - used, "\"}\n");
    } else {
        used += (size_t)snprintf(out + used, LOG_LINE_SIZE - used,
                                 "\",\"worker\":\"%u\",\"pid\":\"%u\"}\n", entry->origin->worker,
                                 entry->origin->pid);
    }
    MUST(used < LOG_LINE_SIZE);
    return used;
}

/* Standard error may be a pipe whose reader stands still; it may also be shared with others, so it
 * is not made non-blocking: a pipe that polls writable takes a line of up to PIPE_BUF bytes. */
static bool log_put(const char *line, size_t length)
{
    struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};

    return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0 &&
           write(STDERR_FILENO, line, length) == (ssize_t)length;
}

static void log_write(enum log_level level, const struct log_origin *origin, const char *text,
                      size_t length)
{
    struct timespec now;
    struct log_entry entry = {.level = level, .origin = origin, .text = text, .length = length};
    char line[LOG_LINE_SIZE];

    if (level < log_threshold) {
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    entry.ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (log_lost > 0) {
        char notice[64];
        struct log_entry about = {.level = LOG_LEVEL_WARN, .ms = entry.ms, .text = notice};

        about.length =
            (size_t)snprintf(notice, sizeof(notice), "%llu log lines were lost: nobody read them",
                             (unsigned long long)log_lost);
        if (log_put(line, log_format(line, &about))) {
            log_lost = 0;
        }
    }
    if (!log_put(line, log_format(line, &entry))) {
        log_lost++;
    }
}

void log_line(enum log_level level, const char *format, ...)
{
    char text[LOG_RELAY_SIZE];
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(text + 3, sizeof(text) - 4, format, arguments);
    va_end(arguments);
    if (length < 0) {
        return;
    }
    length = (int)num_min_u32((uint32_t)length, sizeof(text) - 5);
    if (!log_in_worker) {
        log_write(level, NULL, text + 3, (size_t)length);
        return;
    }
    text[0] = '<';
    text[1] = (char)('0' + level);
    text[2] = '>';
    text[3 + length] = '\n';
    if (write(STDERR_FILENO, text, (size_t)length + 4) < 0) {
        log_lost++; /* the pipe is full or the supervisor gone: a worker does not wait for it */
    }
}

static void log_relay_line(const char *line, size_t length, const struct log_origin *origin)
{
    enum log_level level = LOG_LEVEL_ERROR;

    if (length >= 3 && line[0] == '<' && line[2] == '>' && line[1] >= '0' &&
        line[1] < '0' + LOG_LEVEL_COUNT) {
        level = (enum log_level)(line[1] - '0');
        line += 3;
        length -= 3;
    }
    if (length > 0) {
        log_write(level, origin, line, length);
    }
}

void log_relay(struct log_relay *relay, struct log_origin origin, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n' || relay->length == LOG_RELAY_SIZE) {
            log_relay_line(relay->line, relay->length, &origin);
            relay->length = 0;
        }
        if (bytes[i] != '\n') {
            relay->line[relay->length++] = bytes[i];
        }
    }
}

void log_relay_end(struct log_relay *relay, struct log_origin origin)
{
    if (relay->length > 0) {
        log_relay_line(relay->line, relay->length, &origin);
        relay->length = 0;
    }
}
