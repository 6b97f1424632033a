/* Every file of Tests/Fuzz/corpus through its fuzz target: seeds, and crashes that were mended. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "../Fuzz/fuzz.h"
#include "cunit.h"
#include "table/secrets.h"
#include "table/view.h"

#define CORPUS       "Tests/Fuzz/corpus"
#define FUZZ_MAX_LEN 32768u /* -max_len of tools/fuzz */

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

/* Runs what the target makes itself; how many that is. */
static uint32_t replay_made(const struct fuzz_target *target)
{
    uint32_t count = 0;
    struct bytes seed;

    while (target->seed != NULL && target->seed(count, &seed)) {
        struct bytes in = cunit_guarded(seed);

        cunit_context("%s, seed %u", target->name, count);
        CHECK(seed.len <= FUZZ_MAX_LEN); /* else the fuzzer cuts it */
        target->run(in);
        cunit_unguard(in.ptr);
        count++;
    }
    return count;
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
            CHECK(replay(target) + replay_made(target) > 0);
            seen++;
        }
    }
    CHECK(seen > 0);
}

/* Mutations of what is refused at once find nothing: the walk must come to its end. */
TEST(seeds_of_views_are_taken)
{
    uint32_t views = 0, secrets = 0;

    for (const struct fuzz_target *target = targets; target != NULL; target = target->next) {
        struct view_refusal refusal;
        struct secrets kept;
        struct view view;
        struct bytes seed;

        for (uint32_t i = 0; strcmp(target->name, "view") == 0 && target->seed(i, &seed); i++) {
            views += view_open(&view, seed.ptr, seed.len, &refusal) ? 1 : 0;
            secrets += secrets_open(&kept, seed.ptr, seed.len, &refusal) ? 1 : 0;
        }
    }
    CHECK_UINT(views, 2);
    CHECK_UINT(secrets, 1);
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
