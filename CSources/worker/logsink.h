/* Where lines of access logs go: files, standard output, standard error. Used by the logger process
 * only, which may wait for a slow disk; whoever does not read a pipe is not waited for.
 *
 * Lines are gathered and written in large pieces. What cannot be written stays until it can be, so
 * a full disk does not tear a line; meanwhile further lines are refused, and the caller counts
 * them. */
#ifndef WORKER_LOGSINK_H
#define WORKER_LOGSINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/limits.h"
#include "abi/log.h"

#define LOGSINK_SIZE     262144u /* bytes of lines that wait to be written */
#define LOGSINK_RETRY_MS 1000u   /* between two tries to open a file */

_Static_assert(LOGSINK_SIZE >= 2 * LIMIT_LOG_LINE, "a line fits while others wait");

struct logsink {
    enum abi_log_sink kind;
    char path[LIMIT_LOG_PATH + 1];
    int fd; /* -1: none */
    dev_t device;
    ino_t inode;
    bool regular;      /* a file, which takes what the disk has room for */
    bool failing;      /* the newest try failed, and that was said */
    bool torn;         /* the newest write ended within a line */
    uint64_t retry_ms; /* not before */
    uint64_t lost;     /* since it began to fail */
    size_t used;
    char *bytes; /* LOGSINK_SIZE */
};

/* Takes memory for lines; nothing is opened before there are some. false: no memory. */
[[nodiscard]] bool logsink_init(struct logsink *sink, enum abi_log_sink kind, const char *path,
                                size_t length);
void logsink_release(struct logsink *sink);

/* Room for one line of LIMIT_LOG_LINE bytes, or NULL: what is there cannot be written. */
char *logsink_room(struct logsink *sink, uint64_t now_ms);
/* `length` bytes were put there. */
void logsink_added(struct logsink *sink, size_t length);
/* A line found no room. */
void logsink_lose(struct logsink *sink);

/* Writes what there is, as far as it goes. */
void logsink_flush(struct logsink *sink, uint64_t now_ms);

/* What was open is closed and opened again by its name with the next line. */
void logsink_reopen(struct logsink *sink);
/* As above, if the name stands for another file by now, or for none. */
void logsink_follow(struct logsink *sink);

#endif
