/* Rules of access logs. */
#include "abi/limits.h"
#include "abi/log.h"
#include "view_walk.h"

/* What a log's operations name, and that their longest line fits. */
static bool check_ops(struct view_walk *walk, const struct abi_log *log)
{
    const struct view *view = walk->view;
    uint64_t variables = 0, longest = 1; /* the line feed */

    walk->budget -= log->ops.count / 8;
    for (uint32_t i = 0; i < log->ops.count; i++) {
        const struct abi_log_op *op = &view->log_ops[log->ops.at + i];

        /* Operations are checked on their own later: nothing is taken for granted here. */
        if (op->variable == ABI_LOG_LITERAL) {
            longest += op->literal.len;
        } else {
            variables |= op->variable < 64 ? 1ULL << op->variable : 0;
            longest += abi_log_longest(op->variable, op->style);
        }
    }
    return view_rule(walk, longest <= LIMIT_LOG_LINE, ABI_REFUSAL_LIMIT, "longest line of a log") &&
           view_rule(walk, variables == log->variables, ABI_REFUSAL_VALUE, "variables of a log") &&
           view_rule(walk,
                     (variables >> ABI_LOG_HEADER_0 & ((1u << LIMIT_LOG_HEADERS) - 1)) >>
                             log->headers.count ==
                         0,
                     ABI_REFUSAL_REFERENCE, "a log names a field that it has not");
}

bool view_check_log(struct view_walk *walk)
{
    const struct abi_log *log = &walk->view->logs[walk->record];
    bool file = log->sink == ABI_LOG_FILE;

    return view_rule(walk, walk->record == 0 || log[-1].key < log->key, ABI_REFUSAL_ORDER,
                     "logs are sorted by key, no key twice") &&
           view_rule(walk, log->sink < ABI_LOG_SINK_COUNT, ABI_REFUSAL_VALUE, "sink of a log") &&
           view_rule(walk, log->path.len <= LIMIT_LOG_PATH && (log->path.len > 0) == file,
                     ABI_REFUSAL_VALUE, "file of a log") &&
           view_check_line(walk, log->path, "file of a log") &&
           view_rule(walk, !file || walk->view->text[log->path.at] == '/', ABI_REFUSAL_VALUE,
                     "file of a log") &&
           view_rule(walk, log->sample <= ABI_LOG_SAMPLE_ALL, ABI_REFUSAL_VALUE,
                     "sample of a log") &&
           view_ref(walk, log->headers, ABI_SECTION_LOG_HEADER, "fields of a log") &&
           view_rule(walk, log->headers.count <= LIMIT_LOG_HEADERS, ABI_REFUSAL_LIMIT,
                     "fields of a log") &&
           view_ref(walk, log->ops, ABI_SECTION_LOG_OP, "operations of a log") &&
           view_rule(walk, log->ops.count > 0 && log->ops.count <= LIMIT_LOG_OPS, ABI_REFUSAL_LIMIT,
                     "operations of a log") &&
           view_own_range(walk, log->ops, "two logs share operations") && check_ops(walk, log);
}

bool view_check_log_op(struct view_walk *walk)
{
    const struct abi_log_op *op = &walk->view->log_ops[walk->record];
    bool literal = op->variable == ABI_LOG_LITERAL;

    return view_rule(walk, op->variable < ABI_LOG_VARIABLE_COUNT && op->style < ABI_LOG_STYLE_COUNT,
                     ABI_REFUSAL_VALUE, "operation of a log") &&
           view_rule(walk, op->_pad0 == 0 && op->_pad1 == 0, ABI_REFUSAL_PADDING,
                     "operation of a log") &&
           view_rule(walk, (op->literal.len > 0) == literal, ABI_REFUSAL_VALUE,
                     "text of an operation") &&
           view_check_line(walk, op->literal, "text of an operation");
}

bool view_check_log_header(struct view_walk *walk)
{
    const struct abi_log_header *header = &walk->view->log_headers[walk->record];

    for (uint32_t i = 0; i < sizeof(header->_pad0); i++) {
        if (!view_rule(walk, header->_pad0[i] == 0, ABI_REFUSAL_PADDING, "field of a log")) {
            return false;
        }
    }
    return view_rule(walk, header->response <= 1, ABI_REFUSAL_VALUE, "field of a log") &&
           view_check_token(walk, header->name, false, "field of a log") &&
           view_check_lower(walk, header->name, "field of a log");
}
