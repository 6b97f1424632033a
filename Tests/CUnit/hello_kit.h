/* ClientHellos for tests: made field by field, so that every rule can be broken. */
#ifndef HELLO_KIT_H
#define HELLO_KIT_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

#define HELLO_KIT_ROOM (80u << 10)

struct hello_kit {
    const char *name; /* NULL: no server_name extension */
    size_t filler;    /* bytes of another extension, as of a post-quantum key; 0: none */
    uint8_t twice;    /* 1: the server_name extension is there again */
};

/* The message (RFC 8446 4.1.2) into `out` of HELLO_KIT_ROOM bytes; its length. */
size_t hello_kit_message(const struct hello_kit *kit, uint8_t *out);
/* A message cut into records of at most `piece` bytes each (0: as few as can be) into `out` of
 * HELLO_KIT_ROOM bytes; all their bytes. */
struct bytes hello_kit_records(struct bytes message, size_t piece, uint8_t *out);
/* Both, in as few records as can be; static storage. */
struct bytes hello_kit_hello(const struct hello_kit *kit);

#endif
