/* Files of access logs: whole lines, in their order, or not at all. */
#include "worker/logsink.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "cunit.h"
#include "worker/log.h"

static char folder[64];
static char path[96];

static void setup(struct logsink *sink)
{
    snprintf(folder, sizeof(folder), "/tmp/logsink.XXXXXX");
    MUST(mkdtemp(folder) != NULL);
    snprintf(path, sizeof(path), "%s/access.log", folder);
    MUST(logsink_init(sink, ABI_LOG_FILE, path, strlen(path)));
    log_set_level(LOG_LEVEL_COUNT); /* what it says of failures is wanted here */
}

static void cleanup(struct logsink *sink)
{
    char other[128];

    logsink_release(sink);
    snprintf(other, sizeof(other), "%s.1", path);
    unlink(path);
    unlink(other);
    rmdir(folder);
    log_set_level(LOG_LEVEL_INFO);
}

static bool add(struct logsink *sink, const char *text)
{
    char *room = logsink_room(sink, 0);

    if (room == NULL) {
        return false;
    }
    memcpy(room, text, strlen(text));
    logsink_added(sink, strlen(text));
    return true;
}

static struct bytes content(const char *name)
{
    static uint8_t bytes[1 << 20];
    FILE *file = fopen(name, "rb");
    size_t length = 0;

    if (file != NULL) {
        length = fread(bytes, 1, sizeof(bytes), file);
        fclose(file);
    }
    return bytes_of(bytes, length);
}

TEST(lines_are_appended)
{
    struct logsink sink;
    struct stat about;

    setup(&sink);
    CHECK(add(&sink, "one\n"));
    CHECK(access(path, F_OK) != 0); /* gathered until flushed */
    CHECK(add(&sink, "two\n"));
    logsink_flush(&sink, 1);
    CHECK_TEXT(content(path), "one\ntwo\n");
    CHECK_INT(stat(path, &about), 0);
    CHECK_INT(about.st_mode & 0777, 0640);
    logsink_flush(&sink, 1);
    CHECK_TEXT(content(path), "one\ntwo\n");
    cleanup(&sink);
}

TEST(a_renamed_file_gets_no_more_lines)
{
    char other[128];
    struct logsink sink;

    setup(&sink);
    snprintf(other, sizeof(other), "%s.1", path);
    CHECK(add(&sink, "one\n"));
    logsink_flush(&sink, 1);
    logsink_follow(&sink);
    CHECK_INT(rename(path, other), 0);
    CHECK(add(&sink, "two\n"));
    logsink_flush(&sink, 2); /* nobody said so yet: it goes to the file that is open */
    logsink_follow(&sink);
    CHECK(add(&sink, "three\n"));
    logsink_flush(&sink, 3);
    CHECK_TEXT(content(other), "one\ntwo\n");
    CHECK_TEXT(content(path), "three\n");
    CHECK_INT(rename(path, other), 0);
    logsink_reopen(&sink);
    CHECK(add(&sink, "four\n"));
    logsink_flush(&sink, 4);
    CHECK_TEXT(content(path), "four\n");
    cleanup(&sink);
}

TEST(a_file_that_cannot_be_made_is_tried_again)
{
    struct logsink sink;

    setup(&sink);
    CHECK_INT(rmdir(folder), 0);
    CHECK(add(&sink, "one\n"));
    logsink_flush(&sink, 1);
    CHECK(sink.failing);
    CHECK_INT(mkdir(folder, 0700), 0);
    logsink_flush(&sink, LOGSINK_RETRY_MS);
    CHECK(sink.failing); /* not before its time */
    logsink_flush(&sink, LOGSINK_RETRY_MS + 1);
    CHECK(!sink.failing);
    CHECK_TEXT(content(path), "one\n");
    cleanup(&sink);
}

/* A limit on the size of files behaves as a full disk does: a part of a piece is written, then
 * nothing. */
TEST(a_full_disk_refuses_lines_and_tears_none)
{
    const struct rlimit before = {RLIM_INFINITY, RLIM_INFINITY}, full = {1000, RLIM_INFINITY};
    struct logsink sink;
    char line[101], expected[1 << 19];
    uint32_t put = 0;
    struct bytes written;

    setup(&sink);
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &full) != 0) {
        cunit_skip("no limit on the size of files");
    }
    do {
        snprintf(line, sizeof(line), "%099u\n", put);
        memcpy(expected + 100 * put, line, 100);
    } while (add(&sink, line) && ++put < 5000);
    CHECK(put < 5000);
    CHECK(sink.failing);
    CHECK_UINT(content(path).len, 1000);
    logsink_lose(&sink);
    CHECK_UINT(sink.lost, 1);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    logsink_flush(&sink, 2 * LOGSINK_RETRY_MS);
    CHECK(!sink.failing);
    CHECK_UINT(sink.lost, 0);
    written = content(path);
    CHECK_BYTES(written, bytes_of(expected, 100 * (size_t)put));
    signal(SIGXFSZ, SIG_DFL);
    cleanup(&sink);
}

TEST(a_torn_line_does_not_go_on_in_the_next_file)
{
    const struct rlimit before = {RLIM_INFINITY, RLIM_INFINITY}, full = {6, RLIM_INFINITY};
    char other[128];
    struct logsink sink;

    setup(&sink);
    snprintf(other, sizeof(other), "%s.1", path);
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &full) != 0) {
        cunit_skip("no limit on the size of files");
    }
    CHECK(add(&sink, "one\ntwo\nthree\n"));
    logsink_flush(&sink, 1);
    CHECK_TEXT(content(path), "one\ntw");
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    CHECK_INT(rename(path, other), 0);
    logsink_follow(&sink);
    logsink_flush(&sink, 2 * LOGSINK_RETRY_MS);
    CHECK_TEXT(content(path), "three\n");
    signal(SIGXFSZ, SIG_DFL);
    cleanup(&sink);
}

/* Standard output is a pipe that nobody reads: nobody waits, and what was taken is whole lines. */
TEST(a_pipe_without_a_reader_is_not_waited_for)
{
    int before = dup(STDOUT_FILENO);
    struct logsink sink;
    char line[1001];
    int ends[2];
    uint32_t put = 0;
    ssize_t got, last = 0;
    static char bytes[1 << 18];
    uint32_t total = 0;

    MUST(before >= 0 && pipe(ends) == 0);
    memset(line, 'x', 999);
    line[999] = '\n';
    line[1000] = '\0';
    fflush(stdout);
    dup2(ends[1], STDOUT_FILENO);
    MUST(logsink_init(&sink, ABI_LOG_STDOUT, "", 0));
    while (put < 2000 && add(&sink, line)) {
        put++;
    }
    logsink_flush(&sink, 2);
    dup2(before, STDOUT_FILENO);
    CHECK(put > 64 && put < 2000);
    close(ends[1]);
    logsink_release(&sink);
    while ((got = read(ends[0], bytes, sizeof(bytes))) > 0) {
        total += (uint32_t)got;
        last = got;
    }
    CHECK(total > 0 && total % 1000 == 0);
    CHECK(last > 0);
    close(ends[0]);
    close(before);
}
