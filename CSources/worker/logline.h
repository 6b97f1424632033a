/* A record of abi/log.h as one line of text. Pure: bytes in, bytes out; the clock is a parameter.
 *
 * Whatever a client sent comes out as printable ASCII or well-formed UTF-8 on one line: nothing in
 * it can end a line, a string or a field early, or reach a terminal as a control. */
#ifndef WORKER_LOGLINE_H
#define WORKER_LOGLINE_H

#include <stddef.h>
#include <stdint.h>

#include "abi/log.h"
#include "base/bytes.h"

struct logline_format {
    uint32_t count;
    const struct abi_log_op *ops;
    struct bytes text; /* what the literals point into */
};

/* What turns a record's clock into that of people; texts of the last second are kept. */
struct logline_clock {
    int64_t offset_ns; /* CLOCK_REALTIME less CLOCK_MONOTONIC */
    int64_t second;    /* that `stamp` stands for */
    char stamp[20];    /* 2026-01-31T23:59:59 */
};

/* Where the line goes. */
struct logline_room {
    char *at;
    size_t size;
};

/* One record to be written; `text` is what its parts point into. */
struct logline_input {
    const struct abi_log_record *record;
    struct bytes text;
    uint32_t worker;
};

/* Writes the line with its line feed; its length, 0 when it does not fit into `out`. The record has
 * been checked (abi_log_record_ok), the operations by view_open. */
size_t logline_write(const struct logline_format *format, const struct logline_input *input,
                     struct logline_clock *clock, struct logline_room out);

#endif
