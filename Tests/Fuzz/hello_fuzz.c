/* ClientHellos. What is accepted has the promised shape, is asked for more at every prefix, and is
 * the same when its message is cut into records elsewhere. The last byte says where. */
#include <string.h>

#include "fuzz.h"
#include "wire/hello.h"

/* The message of accepted records, in records of at most `piece` bytes; 0: too many. */
static size_t cut(struct bytes in, size_t piece, uint8_t *out)
{
    static uint8_t message[HELLO_MAX_INPUT];
    size_t size = 0;
    size_t used = 0;

    while (in.len > 0) {
        size_t len = (size_t)in.ptr[3] << 8 | in.ptr[4];

        memcpy(message + size, in.ptr + 5, len);
        size += len;
        in = bytes_from(in, 5 + len);
    }
    if ((size + piece - 1) / piece > HELLO_MAX_RECORDS) {
        return 0;
    }
    for (size_t at = 0; at < size; at += piece) {
        size_t len = size - at < piece ? size - at : piece;
        const uint8_t head[5] = {HELLO_FIRST_BYTE, 3, 3, (uint8_t)(len >> 8), (uint8_t)len};

        memcpy(out + used, head, sizeof(head));
        memcpy(out + used + sizeof(head), message + at, len);
        used += sizeof(head) + len;
    }
    return used;
}

FUZZ_TARGET(hello)
{
    static uint8_t again[HELLO_MAX_INPUT];
    size_t where = in.len == 0 ? 0 : in.ptr[in.len - 1];
    struct hello hello;
    struct hello other;
    int size = hello_parse(in, &hello);
    size_t used;

    if (size <= 0) {
        return;
    }
    MUST((size_t)size <= in.len && (size_t)size <= HELLO_MAX_INPUT);
    MUST(hello.name_len <= HELLO_MAX_NAME);
    for (uint32_t i = 0; i < hello.name_len; i++) {
        uint8_t c = hello.name[i];

        MUST(c > ' ' && c < 0x7f && c == bytes_lower(c));
    }
    in = bytes_part(in, 0, (size_t)size);
    MUST(hello_parse(bytes_part(in, 0, where % in.len), &other) == 0);
    used = cut(in, where * 8 + 1, again);
    if (used > 0) {
        MUST(hello_parse(bytes_of(again, used), &other) == (int)used);
        MUST(other.name_len == hello.name_len);
        MUST(memcmp(other.name, hello.name, hello.name_len) == 0);
    }
}
