#include "logsink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/must.h"
#include "worker/log.h"

bool logsink_init(struct logsink *sink, enum abi_log_sink kind, const char *path, size_t length)
{
    void *bytes = mmap(NULL, LOGSINK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    MUST(length <= LIMIT_LOG_PATH);
    if (bytes == MAP_FAILED) {
        return false;
    }
    *sink = (struct logsink){.kind = kind, .fd = -1, .bytes = bytes};
    memcpy(sink->path, path, length);
    return true;
}

static void close_file(struct logsink *sink)
{
    if (sink->fd > STDERR_FILENO) {
        close(sink->fd);
    }
    sink->fd = -1;
}

void logsink_release(struct logsink *sink)
{
    close_file(sink);
    if (sink->bytes != NULL) {
        munmap(sink->bytes, LOGSINK_SIZE);
    }
    *sink = (struct logsink){.fd = -1};
}

static const char *name_of(const struct logsink *sink)
{
    return sink->kind == ABI_LOG_FILE     ? sink->path
           : sink->kind == ABI_LOG_STDOUT ? "standard output"
                                          : "standard error";
}

/* Said once for each time that it begins. */
static void fail(struct logsink *sink, int err, uint64_t now_ms)
{
    if (!sink->failing) {
        log_line(LOG_LEVEL_ERROR, "access log %s: %s: records are lost until this is over",
                 name_of(sink), strerror(err));
    }
    sink->failing = true;
    sink->retry_ms = now_ms + LOGSINK_RETRY_MS;
}

static void recover(struct logsink *sink)
{
    if (sink->failing) {
        log_line(LOG_LEVEL_WARN, "access log %s: goes on; %llu records were lost", name_of(sink),
                 (unsigned long long)sink->lost);
        sink->failing = false;
        sink->lost = 0;
    }
}

/* A stream of our own: standard output is shared with others, who may not expect it to be
 * non-blocking. Where that cannot be had (a socket), its own descriptor serves. */
static int open_stream(enum abi_log_sink kind)
{
    int number = kind == ABI_LOG_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
    char name[32];
    int fd;

    snprintf(name, sizeof(name), "/proc/self/fd/%d", number);
    fd = open(name, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd >= 0 ? fd : number;
}

static bool open_file(struct logsink *sink, uint64_t now_ms)
{
    struct stat about;

    if (sink->fd >= 0) {
        return true;
    }
    sink->fd = sink->kind == ABI_LOG_FILE
                   ? open(sink->path,
                          O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640)
                   : open_stream(sink->kind);
    if (sink->fd < 0 || fstat(sink->fd, &about) != 0) {
        fail(sink, errno, now_ms);
        close_file(sink);
        return false;
    }
    sink->device = about.st_dev;
    sink->inode = about.st_ino;
    sink->regular = S_ISREG(about.st_mode);
    return true;
}

/* How much of what waits is written at once. A pipe that polls writable takes PIPE_BUF bytes even
 * where it is in blocking mode; others write to it too, so a piece ends with a line if it can. */
static size_t piece_of(const struct logsink *sink, size_t from)
{
    size_t length = sink->used - from;
    const char *end;

    if (sink->regular || length <= PIPE_BUF) {
        return length;
    }
    end = memrchr(sink->bytes + from, '\n', PIPE_BUF);
    return end == NULL ? PIPE_BUF : (size_t)(end - (sink->bytes + from)) + 1;
}

/* -1 and errno, EAGAIN when a reader would have to be waited for. */
static ssize_t write_some(struct logsink *sink, size_t from)
{
    struct pollfd ready = {.fd = sink->fd, .events = POLLOUT};
    ssize_t written;

    if (!sink->regular && (poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0)) {
        errno = (ready.revents & (POLLERR | POLLHUP)) != 0 ? EPIPE : EAGAIN;
        return -1;
    }
    do {
        written = write(sink->fd, sink->bytes + from, piece_of(sink, from));
    } while (written < 0 && errno == EINTR);
    if (written == 0) {
        errno = ENOSPC;
        return -1;
    }
    return written;
}

void logsink_flush(struct logsink *sink, uint64_t now_ms)
{
    size_t done = 0;

    if (sink->used == 0 || now_ms < sink->retry_ms || !open_file(sink, now_ms)) {
        return;
    }
    while (done < sink->used) {
        ssize_t written = write_some(sink, done);

        if (written < 0 && errno == EAGAIN) {
            sink->retry_ms = now_ms + 1;
            break;
        }
        if (written < 0) {
            fail(sink, errno, now_ms);
            break;
        }
        done += (size_t)written;
    }
    if (done > 0) {
        sink->torn = sink->bytes[done - 1] != '\n';
        memmove(sink->bytes, sink->bytes + done, sink->used - done);
        sink->used -= done;
    }
    if (sink->used == 0) {
        recover(sink);
    }
}

char *logsink_room(struct logsink *sink, uint64_t now_ms)
{
    if (LOGSINK_SIZE - sink->used < LIMIT_LOG_LINE) {
        logsink_flush(sink, now_ms);
    }
    return LOGSINK_SIZE - sink->used < LIMIT_LOG_LINE ? NULL : sink->bytes + sink->used;
}

void logsink_added(struct logsink *sink, size_t length)
{
    MUST(length <= LOGSINK_SIZE - sink->used);
    sink->used += length;
}

void logsink_lose(struct logsink *sink)
{
    sink->lost++;
}

void logsink_reopen(struct logsink *sink)
{
    if (sink->kind == ABI_LOG_FILE) {
        close_file(sink);
        sink->retry_ms = 0;
        if (sink->torn) { /* the rest of a line is of no use in another file */
            const char *end = memchr(sink->bytes, '\n', sink->used);
            size_t rest = end == NULL ? sink->used : (size_t)(end - sink->bytes) + 1;

            memmove(sink->bytes, sink->bytes + rest, sink->used - rest);
            sink->used -= rest;
            sink->torn = false;
        }
    }
}

void logsink_follow(struct logsink *sink)
{
    struct stat about;

    if (sink->kind == ABI_LOG_FILE && sink->fd >= 0 &&
        (stat(sink->path, &about) != 0 || about.st_dev != sink->device ||
         about.st_ino != sink->inode)) {
        logsink_reopen(sink);
    }
}
