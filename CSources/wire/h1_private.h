/* Between the files of the head parser. */
#ifndef WIRE_H1_PRIVATE_H
#define WIRE_H1_PRIVATE_H

#include <stdint.h>

#include "wire/h1.h"

/* What the steps of the parser return: this, or MESH_E_*. */
enum h1_step {
    H1_STEP_DONE = 0, /* went past the element */
    H1_STEP_MORE = 1, /* the input ends within the element */
};

struct h1_reader {
    const uint8_t *start;
    const uint8_t *end; /* of what may belong to the head: at most H1_MAX_HEAD bytes */
    const uint8_t *at;  /* first byte not yet read */
    struct h1_head *head;
    uint8_t first[HDR_COUNT]; /* index of the first field with an id that is in head->ids */
    uint32_t repeated;        /* as head->ids: there is more than one */
};

static inline uint32_t h1_offset(const struct h1_reader *reader, const uint8_t *place)
{
    return (uint32_t)(place - reader->start);
}

/* h1_fields.c: field lines and the empty line after them. */
int h1_take_fields(struct h1_reader *reader);
/* h1_fields.c: what Connection, Upgrade, TE, Content-Length and Transfer-Encoding say. */
int h1_read_fields(struct h1_reader *reader);

static inline bool h1_has(const struct h1_reader *reader, enum hdr_id id)
{
    return (reader->head->ids & (1u << id)) != 0;
}

static inline bool h1_has_several(const struct h1_reader *reader, enum hdr_id id)
{
    return (reader->repeated & (1u << id)) != 0;
}

/* The value of the first field with an id that h1_has. */
static inline struct bytes h1_first_value(const struct h1_reader *reader, enum hdr_id id)
{
    return h1_value(reader->start, &reader->head->fields[reader->first[id]]);
}

#endif
