/* Changes that a route makes to the fields of a message; private to the room. */
#ifndef PROXY_L7OPS_H
#define PROXY_L7OPS_H

#include "l7vars.h"
#include "table/view.h"

/* All zero: none. Those of a table, or those that l7ops_pack has kept: an answer may come when the
 * table is gone. */
struct l7ops {
    const struct view *table; /* NULL: `packed` */
    struct abi_ref list;      /* HEADER_OP section of `table` */
    bool response;            /* which of them: the answer's, or the request's */
    struct bytes packed;
    const struct l7vars *vars; /* what values with variables are about; NULL: all are empty */
};

#define L7OPS_FULL SIZE_MAX

static inline bool l7ops_is_none(const struct l7ops *ops)
{
    return ops->list.count == 0 && ops->packed.len == 0;
}

/* Whether a field of the message with this name does not go on as it is. */
bool l7ops_drops(const struct l7ops *ops, struct bytes name);
/* Writes the lines that come to the message; their length, or L7OPS_FULL. A value with variables
 * that comes out empty makes no line. */
size_t l7ops_lines(const struct l7ops *ops, uint8_t *to, size_t capacity);
/* Bytes that l7ops_pack needs where no value has variables; l7ops_lines needs no more then. */
size_t l7ops_size(const struct l7ops *ops);
/* Writes the changes down, to be kept, with what is known by now of their variables; the length, or
 * L7OPS_FULL. */
size_t l7ops_pack(const struct l7ops *ops, uint8_t *to, size_t capacity);
/* The same for a single change of enum abi_header_op_kind: the two texts and five bytes. */
size_t l7ops_pack_one(uint8_t kind, struct bytes name, struct bytes value, uint8_t *to);

#endif
