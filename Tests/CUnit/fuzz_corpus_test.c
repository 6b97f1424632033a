/* Every file of Tests/Fuzz/corpus through its fuzz target: seeds, and crashes that were mended. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "../Fuzz/fuzz.h"
#include "cunit.h"

#define CORPUS "Tests/Fuzz/corpus"

static struct fuzz_target *targets;

void fuzz_register(struct fuzz_target *target)
{
    target->next = targets;
    targets = target;
}

static struct bytes read_file(const char *path)
{
    static uint8_t text[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t length = 0;

    if (CHECK(file != NULL)) {
        length = fread(text, 1, sizeof(text), file);
        CHECK(feof(file));
        fclose(file);
    }
    return bytes_of(text, length);
}

/* Runs the files of one folder; their number. */
static uint32_t replay(const struct fuzz_target *target)
{
    char path[512];
    DIR *folder;
    uint32_t count = 0;

    snprintf(path, sizeof(path), CORPUS "/%s", target->name);
    folder = opendir(path);
    if (folder == NULL) {
        return 0;
    }
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct bytes in;

        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), CORPUS "/%s/%s", target->name, entry->d_name);
        cunit_context("%s", path);
        in = cunit_guarded(read_file(path));
        target->run(in);
        cunit_unguard(in.ptr);
        count++;
    }
    closedir(folder);
    return count;
}

TEST(the_corpora_are_replayed)
{
    uint32_t seen = 0;

    for (const struct fuzz_target *target = targets; target != NULL; target = target->next) {
        cunit_context("%s", target->name);
        if (strcmp(target->name, "canary") != 0) {
            CHECK(replay(target) > 0);
            seen++;
        }
    }
    CHECK(seen > 0);
}

static void replay_canary(void *target)
{
    replay(target);
}

TEST(the_canary_dies)
{
    for (struct fuzz_target *target = targets; target != NULL; target = target->next) {
        if (strcmp(target->name, "canary") == 0) {
            CHECK_ABORTS(replay_canary, target);
        }
    }
}
