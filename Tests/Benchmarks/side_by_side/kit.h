/* What loader and backend share: the bytes they exchange, clocks, sockets.
 *
 * Body number `seq` is a window into one pattern whose period is a prime, so that a chunk that was
 * lost, repeated, or given to another connection cannot look right.
 *
 * Text for coders is cut from a page of words whose period is the same prime.
 *
 * Exchange protocol (for L4 rows), little endian, any number of messages per connection:
 *   request   up u32 | down u32 | seq u64 | `up` bytes of body(seq)
 *   answer    seq u64 | `down` - 8 bytes of body(seq + 1)
 * The server closes at the first byte that is not as it should be. */
#ifndef KIT_H
#define KIT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define KIT_PERIOD        65521u
#define KIT_BODY_MAX      (4u << 20)
#define KIT_EXCHANGE_HEAD 16u
#define KIT_ANSWER_HEAD   8u

struct kit_exchange {
    uint32_t up;
    uint32_t down; /* at least KIT_ANSWER_HEAD */
    uint64_t seq;
};

_Static_assert(sizeof(struct kit_exchange) == KIT_EXCHANGE_HEAD, "sent as it lies in memory");

/* Fills the patterns; once, before any kit_body(). */
void kit_init(void);

/* At least KIT_BODY_MAX readable bytes. */
const uint8_t *kit_body(uint64_t seq);
/* As above, of text: gzip makes a fifth of it. */
const uint8_t *kit_text(uint64_t seq);

uint64_t kit_now_ns(void);

/* Processor time of a whole process in ns, threads that ended included: the same counter as
 * /proc/PID/schedstat, up to date also while the process runs. 0 when there is none such. */
uint64_t kit_cpu_ns(pid_t pid);

/* Pins the calling thread to one processor; does nothing for a negative one. */
void kit_pin(int cpu);

/* A decimal number within bounds, or the end of the program. */
uint64_t kit_number(const char *what, const char *text, uint64_t most);

/* Non-blocking, TCP_NODELAY, congestion control if not NULL. kit_connect() has begun to connect;
 * -1 with errno set when even that failed. */
int kit_listen(uint16_t port, const char *congestion);
int kit_connect(uint16_t port, const char *congestion);
void kit_tune(int fd, const char *congestion);

/* Takes as many descriptors as the machine lets it. */
void kit_open_files(void);

_Noreturn void kit_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
#endif
