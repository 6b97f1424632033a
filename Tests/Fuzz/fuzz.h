/* Fuzz targets. A file `x_fuzz.c` has one:
 *
 *     FUZZ_TARGET(x)
 *     {
 *         MUST(what has to hold for the slice `in`);
 *     }
 *
 * tools/fuzz builds each as a libFuzzer program; tools/cunit replays Tests/Fuzz/corpus/x through
 * it. `in` is never NULL. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/must.h"

struct fuzz_target {
    const char *name;
    void (*run)(struct bytes in);
    struct fuzz_target *next;
};

#ifdef FUZZ_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#define FUZZ_ENTRY(title)                                                                          \
    __attribute__((visibility("default"))) int LLVMFuzzerTestOneInput(const uint8_t *data,         \
                                                                      size_t size)                 \
    {                                                                                              \
        fuzz_run_##title(bytes_of(data, size));                                                    \
        return 0;                                                                                  \
    }
#else
void fuzz_register(struct fuzz_target *target);
#define FUZZ_ENTRY(title)                                                                          \
    [[gnu::constructor]] static void fuzz_add_##title(void)                                        \
    {                                                                                              \
        static struct fuzz_target target = {#title, fuzz_run_##title, NULL};                       \
        fuzz_register(&target);                                                                    \
    }
#endif

#define FUZZ_TARGET(title)                                                                         \
    static void fuzz_run_##title(struct bytes in);                                                 \
    FUZZ_ENTRY(title)                                                                              \
    static void fuzz_run_##title(struct bytes in)

#endif
