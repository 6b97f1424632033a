/* Must crash: tools/fuzz and the unit tests prove by it that a crash is noticed. */
#include "fuzz.h"

FUZZ_TARGET(canary)
{
    MUST(!bytes_has_prefix(in, BYTES_LITERAL("dead")));
}
