/* Request heads: the reader of the room and the slow one of the tests agree, and every prefix of a
 * good head asks for more. */
#include <stdio.h>

#include "fuzz.h"
#include "h1_reference.h"
#include "wire/h1.h"

FUZZ_TARGET(h1_request)
{
    const char *why = "";
    struct h1_head head;
    int length;

    if (!reference_agrees_on_request(in, &why)) {
        fprintf(stderr, "the readers differ: %s\n", why);
        MUST(false);
    }
    length = h1_parse_request(in, &head);
    for (int cut = 0; cut < length; cut += 1 + cut / 3) {
        MUST(h1_parse_request(bytes_part(in, 0, (size_t)cut), &head) == 0);
    }
}
