#include "hello_kit.h"

#include <string.h>

#define RECORD_MAX 16384u

static uint8_t *put(uint8_t *at, size_t value, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++) {
        *at++ = (uint8_t)(value >> (8 * (width - 1 - i)));
    }
    return at;
}

static uint8_t *put_name(uint8_t *at, const char *name)
{
    size_t len = strlen(name);

    at = put(at, 0, 2);
    at = put(at, len + 5, 2);
    at = put(at, len + 3, 2);
    at = put(at, 0, 1);
    at = put(at, len, 2);
    memcpy(at, name, len);
    return at + len;
}

static uint8_t *put_extensions(uint8_t *at, const struct hello_kit *kit)
{
    if (kit->filler > 0) {
        at = put(at, 51, 2); /* key_share */
        at = put(at, kit->filler, 2);
        memset(at, 0xa5, kit->filler);
        at += kit->filler;
    }
    if (kit->name != NULL) {
        at = put_name(at, kit->name);
    }
    if (kit->twice != 0) {
        at = put_name(at, kit->name);
    }
    at = put(at, 43, 2); /* supported_versions: 1.3 */
    at = put(at, 3, 2);
    return put(at, 0x020304, 3);
}

size_t hello_kit_message(const struct hello_kit *kit, uint8_t *out)
{
    static const uint8_t random[32] = {1, 2, 3};
    uint8_t *at = out + 4;
    uint8_t *extensions;

    at = put(at, 0x0303, 2);
    memcpy(at, random, sizeof(random));
    at = put(at + sizeof(random), 32, 1);
    memcpy(at, random, sizeof(random)); /* session id */
    at = put(at + sizeof(random), 4, 2);
    at = put(at, 0x13011302, 4);
    at = put(at, 0x0100, 2); /* no compression */
    extensions = at;
    at = put_extensions(at + 2, kit);
    (void)put(extensions, (size_t)(at - extensions) - 2, 2);
    (void)put(out, 1, 1);
    (void)put(out + 1, (size_t)(at - out) - 4, 3);
    return (size_t)(at - out);
}

struct bytes hello_kit_records(struct bytes message, size_t piece, uint8_t *out)
{
    uint8_t *at = out;

    piece = piece == 0 || piece > RECORD_MAX ? RECORD_MAX : piece;
    while (message.len > 0) {
        size_t now = message.len < piece ? message.len : piece;

        at = put(at, 0x160301, 3);
        at = put(at, now, 2);
        memcpy(at, message.ptr, now);
        at += now;
        message = bytes_from(message, now);
    }
    return bytes_of(out, (size_t)(at - out));
}

struct bytes hello_kit_hello(const struct hello_kit *kit)
{
    static uint8_t message[HELLO_KIT_ROOM];
    static uint8_t records[HELLO_KIT_ROOM];

    return hello_kit_records(bytes_of(message, hello_kit_message(kit, message)), 0, records);
}
