/* PROXY headers: one reading however the bytes are cut, and what is written is read again. */
#include "base/err.h"
#include "fuzz.h"
#include "wire/pp.h"

static void write_again(const struct pp_header *header)
{
    uint8_t out[PP_MAX_WRITTEN];
    size_t length = pp_write(header, out, sizeof(out));
    struct pp_header back;

    MUST(length > 0);
    MUST(pp_parse(bytes_of(out, length), header->version, &back) == (int)length);
    MUST(back.version == header->version);
    MUST(back.local == (header->local && header->version == PP_V2));
    if (header->version == PP_V2) {
        MUST(back.family == header->family);
        MUST(bytes_equal(back.authority, header->authority));
        MUST(bytes_equal(back.alpn, header->alpn));
        MUST(bytes_equal(back.unique_id, header->unique_id));
        MUST(back.has_ssl == header->has_ssl && back.ssl.client == header->ssl.client);
        MUST(bytes_equal(back.ssl.name, header->ssl.name));
        MUST(back.checksum == header->checksum);
    }
    if (back.family == PP_IP4 || back.family == PP_IP6) {
        MUST(memcmp(&back.source, &header->source, sizeof(back.source)) == 0);
        MUST(memcmp(&back.destination, &header->destination, sizeof(back.destination)) == 0);
        MUST(back.source_port == header->source_port);
        MUST(back.destination_port == header->destination_port);
    }
}

FUZZ_TARGET(pp)
{
    struct pp_header header;
    int whole = pp_parse(in, PP_ANY, &header);

    MUST(whole <= (int)PP_MAX_HEADER);
    MUST(whole != 0 || in.len < PP_MAX_HEADER);
    if (whole > 0) {
        MUST((size_t)whole <= in.len);
        MUST(header.version == PP_V1 || header.version == PP_V2);
        write_again(&header);
    }
    for (size_t length = 0; length < in.len && length < 600; length++) {
        int part = pp_parse(bytes_part(in, 0, length), PP_ANY, &header);

        if (part != 0) {
            MUST(part == whole);
        } else {
            MUST(whole <= 0 || (size_t)whole > length);
        }
    }
}
