/* Times that messages ask for: none is negative or beyond its bound, and a date that is later is
 * not waited for less. */
#include "fuzz.h"
#include "wire/delay.h"

#define NOW_S 1700000000

FUZZ_TARGET(delay)
{
    int64_t grpc = delay_parse_grpc(in);
    int64_t wait = delay_parse_retry_after(in, NOW_S);

    MUST(grpc >= -1 && grpc <= DELAY_MAX_MS);
    MUST(wait >= -1 && wait <= DELAY_MAX_MS);
    MUST(in.len <= 9 || grpc < 0);
    MUST(delay_parse_retry_after(in, NOW_S + 1) <= wait);
}
