/* The log of the data plane: JSON lines on standard error, written by the supervisor only. A worker
 * writes plain lines `<N>text` (N: enum log_level) into a pipe; the supervisor makes JSON of them,
 * so that whatever a dying process prints arrives as a whole, well-formed line too. Never called
 * for traffic. A reader that stops reading costs lines, never a blocked supervisor; the number of
 * lost lines is told once it reads again. */
#ifndef WORKER_LOG_H
#define WORKER_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_TRACE = 0,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_COUNT
};

/* "trace" to "error"; false for other names. */
bool log_parse_level(const char *name, enum log_level *out);

/* Lines below `level` are dropped. */
void log_set_level(enum log_level level);
/* The name of that level. */
const char *log_level_in_force(void);

/* From now on this process is a worker: lines go to standard error as `<N>text`. */
void log_become_worker(void);

[[gnu::format(printf, 2, 3)]] void log_line(enum log_level level, const char *format, ...);

/* Who wrote a relayed line. */
struct log_origin {
    uint32_t worker; /* slot */
    uint32_t pid;
};

/* Bytes read from a worker's pipe, cut into lines and written as the worker's. A line without a
 * level is what a library or a crash printed: an error. */
#define LOG_RELAY_SIZE 2048u
struct log_relay {
    uint32_t length; /* bytes of a line that is not complete */
    char line[LOG_RELAY_SIZE];
};
void log_relay(struct log_relay *relay, struct log_origin origin, const char *bytes, size_t length);
/* The worker is gone: what is left is its last line. */
void log_relay_end(struct log_relay *relay, struct log_origin origin);

#define LOG_LINE_SIZE 4096u /* what a pipe takes in one piece */

struct log_entry {
    enum log_level level;
    uint64_t ms;                     /* Unix time */
    const struct log_origin *origin; /* NULL: the supervisor */
    const char *text;                /* any bytes: invalid UTF-8 and controls are escaped */
    size_t length;
};

/* One JSON line with its newline, a text too long for it cut; returns its length. */
size_t log_format(char out[LOG_LINE_SIZE], const struct log_entry *entry);

#endif
