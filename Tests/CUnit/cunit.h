/* Unit tests of the C rooms. A test registers itself:
 *
 *     TEST(refuses_a_bare_lf)
 *     {
 *         struct bytes in = cunit_guarded(BYTES_LITERAL("GET / HTTP/1.1\n\n"));
 *         struct h1_head head;
 *
 *         CHECK_INT(h1_parse_request(in, &head), MESH_E_SYNTAX);
 *     }
 *
 * A failed check is printed and counted, and the test goes on; every check is also an expression
 * that tells whether it held: `if (!CHECK(x != NULL)) return;`. A test without any check fails.
 * Run with `tools/cunit [-v] [filter...]`; a filter is a part of `room_file/test_name`. */
#ifndef CUNIT_H
#define CUNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct cunit_test {
    const char *file; /* __FILE__ of the test */
    const char *name;
    void (*run)(void);
    struct cunit_test *next;
};

void cunit_register(struct cunit_test *test);

#define TEST(title)                                                                                \
    static void cunit_run_##title(void);                                                           \
    [[gnu::constructor]] static void cunit_add_##title(void)                                       \
    {                                                                                              \
        static struct cunit_test test = {__FILE__, #title, cunit_run_##title, NULL};               \
        cunit_register(&test);                                                                     \
    }                                                                                              \
    static void cunit_run_##title(void)

/* Arguments are evaluated once. Signed and unsigned integers up to 64 bits are printed both ways.
 */
#define CHECK(condition) cunit_check((condition), #condition, __FILE__, __LINE__)
#define CHECK_INT(actual, expected)                                                                \
    cunit_check_int((int64_t)(actual), (int64_t)(expected), #actual " == " #expected, __FILE__,    \
                    __LINE__)
#define CHECK_UINT(actual, expected)                                                               \
    cunit_check_uint((uint64_t)(actual), (uint64_t)(expected), #actual " == " #expected, __FILE__, \
                     __LINE__)
/* Slices (struct bytes) by content. */
#define CHECK_BYTES(actual, expected)                                                              \
    cunit_check_bytes((actual), (expected), #actual " == " #expected, __FILE__, __LINE__)
/* A slice against a NUL-terminated string. */
#define CHECK_TEXT(actual, expected)                                                               \
    cunit_check_bytes((actual), cunit_text(expected), #actual " == " #expected, __FILE__, __LINE__)
/* Two NUL-terminated strings. */
#define CHECK_STRING(actual, expected)                                                             \
    cunit_check_bytes(cunit_text(actual), cunit_text(expected), #actual " == " #expected,          \
                      __FILE__, __LINE__)
/* That `run(argument)` ends its process by SIGABRT, as a broken MUST does. */
#define CHECK_ABORTS(run, argument)                                                                \
    cunit_check(cunit_aborts((run), (argument)), #run "(" #argument ") aborts", __FILE__, __LINE__)

bool cunit_check(bool held, const char *what, const char *file, int line);
bool cunit_check_int(int64_t actual, int64_t expected, const char *what, const char *file,
                     int line);
bool cunit_check_uint(uint64_t actual, uint64_t expected, const char *what, const char *file,
                      int line);
bool cunit_check_bytes(struct bytes actual, struct bytes expected, const char *what,
                       const char *file, int line);
bool cunit_aborts(void (*run)(void *argument), void *argument);
struct bytes cunit_text(const char *text);

/* Names what a test looks at now (a vector, a seed, a split point); printed with the next failing
 * checks of this test. printf-like; NULL forgets it. */
[[gnu::format(printf, 1, 2)]] void cunit_context(const char *format, ...);

/* Ends the test as skipped for a reason outside the code (a kernel feature, a peer). Does not
 * return. */
[[noreturn, gnu::format(printf, 1, 2)]] void cunit_skip(const char *format, ...);

/* A copy of `in` whose end touches an unreadable page: reading one byte too far ends the program
 * with a report. cunit_guarded_start is the same for the byte before the start. Both live until the
 * test ends, or until cunit_unguard, which loops need. */
struct bytes cunit_guarded(struct bytes in);
struct bytes cunit_guarded_start(struct bytes in);
/* `len` writable bytes, filled with 0xa5, that end at an unreadable page. */
uint8_t *cunit_guarded_room(size_t len);
void cunit_unguard(const void *start);
/* Everything that cunit_guarded and its relatives gave out in this test. */
void cunit_unguard_all(void);

/* Repeatable noise; the seed is printed when a test fails and set by CUNIT_SEED. Every test starts
 * from the same seed. */
uint64_t cunit_random(void);
/* Less than `bound`, which is not 0. */
uint32_t cunit_random_below(uint32_t bound);

#endif
