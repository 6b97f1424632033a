/* Verdicts about tokens: what is accepted has every field within its bounds, in one length only. */
#include <string.h>

#include "abi/limits.h"
#include "fuzz.h"
#include "worker/questions.h"

FUZZ_TARGET(verdict)
{
    struct abi_token_verdict verdict;
    struct abi_token_verdict other;

    if (questions_read(in, &verdict)) {
        MUST(in.len == sizeof(verdict));
        MUST(memcmp(&verdict, in.ptr, sizeof(verdict)) == 0);
        MUST(verdict.magic == ABI_TOKENS_MAGIC);
        MUST(verdict.held <= 1);
        MUST(verdict.life_ms <= LIMIT_TOKEN_LIFE_MS);
    }
    for (size_t length = 0; length < in.len; length++) {
        MUST(length == sizeof(verdict) || !questions_read(bytes_part(in, 0, length), &other));
    }
}
