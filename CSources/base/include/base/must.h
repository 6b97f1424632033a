/* Two grades of check on our own code; input from the network is never asserted, it is an error
 * code. MUST: an invariant whose violation makes going on unsafe; always compiled in. DCHECK: a
 * costly one; compiled in with MESH_DEBUG (unit tests, simulation, fuzzers). */
#ifndef BASE_MUST_H
#define BASE_MUST_H

/* Prints the condition and its place to stderr, runs the hook (see must_set_hook), aborts. */
[[noreturn]] void must_failed(const char *condition, const char *file, int line);

/* `hook` runs once between the message and abort(): the worker dumps its event ring there. */
void must_set_hook(void (*hook)(void));

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            must_failed(#condition, __FILE__, __LINE__);                                           \
        }                                                                                          \
    } while (0)

#ifdef MESH_DEBUG
#define DCHECK(condition) MUST(condition)
#else
#define DCHECK(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif
