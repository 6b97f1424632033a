/* Response heads, as h1_request_fuzz.c. The first byte chooses the method of the request. */
#include <stdio.h>

#include "fuzz.h"
#include "h1_reference.h"
#include "wire/h1.h"

FUZZ_TARGET(h1_response)
{
    static const char *const methods[] = {"GET", "HEAD", "CONNECT", "POST"};
    const char *why = "";
    const char *method;
    struct h1_head head;
    struct bytes text;
    int length;

    if (in.len == 0) {
        return;
    }
    method = methods[in.ptr[0] & 3];
    text = bytes_from(in, 1);
    if (!reference_agrees_on_response(text, bytes_of(method, strlen(method)), &why)) {
        fprintf(stderr, "the readers differ: %s\n", why);
        MUST(false);
    }
    length = h1_parse_response(text, H1_METHOD_GET, &head);
    for (int cut = 0; cut < length; cut += 1 + cut / 3) {
        MUST(h1_parse_response(bytes_part(text, 0, (size_t)cut), H1_METHOD_GET, &head) == 0);
    }
}
