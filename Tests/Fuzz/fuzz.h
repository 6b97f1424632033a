/* Fuzz targets. A file `x_fuzz.c` has one:
 *
 *     FUZZ_TARGET(x)
 *     {
 *         MUST(what has to hold for the slice `in`);
 *     }
 *
 * tools/fuzz builds each as a libFuzzer program; tools/cunit replays Tests/Fuzz/corpus/x through
 * it. `in` is never NULL.
 *
 * A format that changes with the program would make old seeds worthless without a word: its target
 * is a FUZZ_TARGET_WITH_SEEDS(x, seed), whose function makes seed number `index`, false behind the
 * last. They live until the next call. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/must.h"

typedef bool fuzz_seed(uint32_t index, struct bytes *out);

struct fuzz_target {
    const char *name;
    void (*run)(struct bytes in);
    fuzz_seed *seed; /* or NULL */
    struct fuzz_target *next;
};

#ifdef FUZZ_LIBFUZZER
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* With FUZZ_SEEDS the program writes its seeds into that folder and ends. */
static inline void fuzz_write_seeds(fuzz_seed *seed)
{
    const char *folder = getenv("FUZZ_SEEDS");
    struct bytes bytes;
    char path[512];

    for (uint32_t i = 0; folder != NULL && seed != NULL && seed(i, &bytes); i++) {
        FILE *file;

        snprintf(path, sizeof(path), "%s/made-%u", folder, i);
        file = fopen(path, "wb");
        MUST(file != NULL && fwrite(bytes.ptr, 1, bytes.len, file) == bytes.len);
        MUST(fclose(file) == 0);
    }
    if (folder != NULL) {
        exit(0);
    }
}

#define FUZZ_ENTRY(title, seed)                                                                    \
    __attribute__((visibility("default"))) int LLVMFuzzerInitialize(int *argc, char ***argv)       \
    {                                                                                              \
        (void)argc;                                                                                \
        (void)argv;                                                                                \
        fuzz_write_seeds(seed);                                                                    \
        return 0;                                                                                  \
    }                                                                                              \
    __attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *data,         \
                                                                      size_t size)                 \
    {                                                                                              \
        fuzz_run_##title(bytes_of(data, size));                                                    \
        return 0;                                                                                  \
    }
#else
void fuzz_register(struct fuzz_target *target);
#define FUZZ_ENTRY(title, seed)                                                                    \
    [[gnu::constructor]] static void fuzz_add_##title(void)                                        \
    {                                                                                              \
        static struct fuzz_target target = {#title, fuzz_run_##title, seed, NULL};                 \
        fuzz_register(&target);                                                                    \
    }
#endif

#define FUZZ_TARGET(title) FUZZ_TARGET_WITH_SEEDS(title, NULL)

#define FUZZ_TARGET_WITH_SEEDS(title, seed)                                                        \
    static void fuzz_run_##title(struct bytes in);                                                 \
    FUZZ_ENTRY(title, seed)                                                                        \
    static void fuzz_run_##title(struct bytes in)

#endif
