/* The last events of a process, kept for its last words: fixed records in a ring that a crash
 * handler prints. Writing one is a few stores; there is no text formatting until the dump. */
#ifndef BASE_EVLOG_H
#define BASE_EVLOG_H

#include <stdint.h>

#define EVLOG_CAPACITY 1024u /* records, a power of two */

struct evlog_record {
    const char *what; /* string literal */
    uint64_t a;
    uint64_t b;
};

struct evlog {
    uint64_t written; /* records ever written; the newest is (written - 1) & (capacity - 1) */
    struct evlog_record records[EVLOG_CAPACITY];
};

static inline void evlog_note(struct evlog *log, const char *what, uint64_t a, uint64_t b)
{
    log->records[log->written & (EVLOG_CAPACITY - 1)] = (struct evlog_record){what, a, b};
    log->written++;
}

/* Writes the newest `count` records to `fd`, oldest first. Safe in a signal handler. */
void evlog_dump(const struct evlog *log, int fd, uint32_t count);

#endif
