#include "logline.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "abi/errors.h"
#include "base/must.h"

#define LOGLINE_NS 1000000000

/* A bounded writer; `full` once something did not fit. */
struct line {
    char *at;
    char *end;
    bool full;
};

static void add(struct line *line, const void *bytes, size_t length)
{
    if (line->full || (size_t)(line->end - line->at) < length) {
        line->full = true;
        return;
    }
    memcpy(line->at, bytes, length);
    line->at += length;
}

static void add_text(struct line *line, const char *text)
{
    add(line, text, strlen(text));
}

static void add_number(struct line *line, uint64_t number)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    add(line, digits + at, sizeof(digits) - at);
}

/* --- texts --- */

/* Bytes of the well-formed UTF-8 sequence at `at` (RFC 3629) that is not a control, 0: none. */
static size_t utf8_at(const uint8_t *at, size_t left)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] < 0x80 ? 1 : at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    uint32_t value = at[0];

    if (length == 1) {
        return value >= 0x20 && value != 0x7f;
    }
    if (at[0] < 0xc2 || at[0] > 0xf4 || length > left) {
        return 0;
    }
    value &= 0x7fu >> length;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
        value = value << 6 | (at[i] & 0x3fu);
    }
    /* C1 controls and the separators of lines move a terminal's cursor or end a reader's line. */
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000) ||
        value < 0xa0 || value == 0x2028 || value == 0x2029) {
        return 0;
    }
    return length;
}

static void add_escape(struct line *line, uint8_t byte, bool json)
{
    static const char hex[] = "0123456789abcdef";
    const char plain[4] = {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
    const char control[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};

    if (!json) {
        add(line, plain, sizeof(plain));
    } else if (byte < 0x80) {
        add(line, control, sizeof(control));
    } else {
        add_text(line, "\\ufffd"); /* JSON has no bytes, only characters */
    }
}

/* What needs no escape goes in runs. A plain text is one field: quotes and backslashes are escaped
 * too, so that a template may put it between quotes. */
static void add_escaped(struct line *line, struct bytes text, bool json)
{
    size_t from = 0, at = 0;

    while (at < text.len) {
        uint8_t byte = text.ptr[at];
        bool quoted = byte == '"' || byte == '\\';
        size_t length = quoted ? 0 : utf8_at(text.ptr + at, text.len - at);

        if (length > 0) {
            at += length;
            continue;
        }
        add(line, text.ptr + from, at - from);
        if (quoted && json) {
            const char pair[2] = {'\\', (char)byte};

            add(line, pair, sizeof(pair));
        } else {
            add_escape(line, byte, json);
        }
        at++;
        from = at;
    }
    add(line, text.ptr == NULL ? "" : (const char *)text.ptr + from, at - from);
}

static void add_nothing(struct line *line, bool json)
{
    add_text(line, json ? "null" : "-");
}

static void add_string(struct line *line, struct bytes text, bool json)
{
    if (text.len == 0) {
        add_nothing(line, json);
    } else if (json) {
        add_text(line, "\"");
        add_escaped(line, text, true);
        add_text(line, "\"");
    } else {
        add_escaped(line, text, false);
    }
}

static void add_word(struct line *line, const char *word, bool json)
{
    add_string(line, bytes_of(word, strlen(word)), json);
}

/* --- the rest --- */

static void add_time(struct line *line, uint64_t started_ns, struct logline_clock *clock, bool json)
{
    char text[40];
    int64_t ns, second;
    uint32_t us;
    int length;

    if (__builtin_add_overflow(clock->offset_ns, started_ns, &ns) || ns < 0) {
        add_nothing(line, json); /* no worker of ours says that */
        return;
    }
    second = ns / LOGLINE_NS;
    us = (uint32_t)(ns % LOGLINE_NS / 1000);
    if (clock->second != second || clock->stamp[0] == '\0') {
        time_t seconds = (time_t)second;
        struct tm parts;

        if (gmtime_r(&seconds, &parts) == NULL || parts.tm_year > 8099 ||
            strftime(clock->stamp, sizeof(clock->stamp), "%Y-%m-%dT%H:%M:%S", &parts) == 0) {
            add_nothing(line, json);
            clock->stamp[0] = '\0';
            return;
        }
        clock->second = second;
    }
    length = snprintf(text, sizeof(text), json ? "\"%s.%06uZ\"" : "%s.%06uZ", clock->stamp, us);
    add(line, text, (size_t)length);
}

static void add_address(struct line *line, const struct abi_log_address *address, bool json)
{
    char ip[INET6_ADDRSTRLEN] = "";
    char text[INET6_ADDRSTRLEN + 8] = "unix";
    int family = address->family == ABI_FAMILY_IP4 ? AF_INET : AF_INET6;

    if (address->family == ABI_FAMILY_NONE || address->family >= ABI_FAMILY_COUNT) {
        add_nothing(line, json);
        return;
    }
    if (address->family != ABI_FAMILY_UNIX &&
        inet_ntop(family, address->ip, ip, sizeof(ip)) != NULL) {
        snprintf(text, sizeof(text), family == AF_INET ? "%s:%u" : "[%s]:%u", ip,
                 (unsigned)address->port);
    }
    add_word(line, text, json);
}

static void add_optional(struct line *line, uint64_t number, bool there, bool json)
{
    if (there) {
        add_number(line, number);
    } else {
        add_nothing(line, json);
    }
}

static void add_truth(struct line *line, bool truth, bool json)
{
    add_text(line, truth ? (json ? "true" : "yes") : (json ? "false" : "no"));
}

static const char *tls_name(uint16_t version)
{
    return version == 0x0304 ? "1.3" : version == 0x0303 ? "1.2" : "";
}

static const char *scheme_of(const struct abi_log_record *record)
{
    bool tls = (record->flags & ABI_LOG_IS_TLS) != 0;

    if (record->protocol == ABI_LOG_TCP) {
        return tls ? "tls" : "tcp";
    }
    return tls ? "https" : "http";
}

static void add_number_variable(struct line *line, const struct logline_input *input,
                                uint32_t variable, bool json)
{
    static const char *const protocols[ABI_LOG_PROTOCOL_COUNT] = {"TCP", "HTTP", "HTTP/1.0",
                                                                  "HTTP/1.1", "HTTP/2"};
    const struct abi_log_record *record = input->record;

    switch (variable) {
    case ABI_LOG_WORKER:
        add_number(line, input->worker);
        break;
    case ABI_LOG_LISTENER_ADDRESS:
        add_address(line, &record->listener, json);
        break;
    case ABI_LOG_CLIENT_PORT:
        add_optional(line, record->client_port, record->client_port != 0, json);
        break;
    case ABI_LOG_PROTOCOL:
        add_word(line, record->protocol < ABI_LOG_PROTOCOL_COUNT ? protocols[record->protocol] : "",
                 json);
        break;
    case ABI_LOG_SCHEME:
        add_word(line, scheme_of(record), json);
        break;
    case ABI_LOG_STATUS:
        add_optional(line, record->status, record->status != 0, json);
        break;
    case ABI_LOG_FLAG:
        add_word(line, abi_outcome_name(record->outcome), json);
        break;
    case ABI_LOG_UPSTREAM_ADDRESS:
        add_address(line, &record->upstream, json);
        break;
    case ABI_LOG_UPSTREAM_REUSED:
        add_truth(line, (record->flags & ABI_LOG_IS_REUSED) != 0, json);
        break;
    case ABI_LOG_ATTEMPTS:
        add_number(line, record->attempts);
        break;
    case ABI_LOG_BYTES_IN:
        add_number(line, record->bytes_in);
        break;
    case ABI_LOG_BYTES_OUT:
        add_number(line, record->bytes_out);
        break;
    case ABI_LOG_DURATION:
        add_number(line, record->duration_us);
        break;
    case ABI_LOG_CONNECT:
        add_optional(line, record->connect_us, record->connect_us != ABI_LOG_NONE_US, json);
        break;
    case ABI_LOG_WAIT:
        add_optional(line, record->wait_us, record->wait_us != ABI_LOG_NONE_US, json);
        break;
    case ABI_LOG_TLS_HANDSHAKE:
        add_optional(line, record->handshake_us, record->handshake_us != ABI_LOG_NONE_US, json);
        break;
    case ABI_LOG_TLS_VERSION:
        add_word(line, tls_name(record->tls_version), json);
        break;
    default:
        MUST(variable == ABI_LOG_TLS_RESUMED);
        add_truth(line, (record->flags & ABI_LOG_IS_RESUMED) != 0, json);
        break;
    }
}

size_t logline_write(const struct logline_format *format, const struct logline_input *input,
                     struct logline_clock *clock, struct logline_room out)
{
    struct line line = {.at = out.at, .end = out.at + out.size};

    for (uint32_t i = 0; i < format->count; i++) {
        const struct abi_log_op *op = &format->ops[i];
        bool json = op->style == ABI_LOG_JSON;

        if (op->variable == ABI_LOG_LITERAL) {
            add(&line, format->text.ptr + op->literal.at, op->literal.len);
        } else if (op->variable < ABI_LOG_TEXTS) {
            const struct abi_log_part *part = &input->record->parts[op->variable];

            add_string(&line, bytes_part(input->text, part->at, (size_t)part->at + part->len),
                       json);
        } else if (op->variable == ABI_LOG_TIME) {
            add_time(&line, input->record->started_ns, clock, json);
        } else {
            add_number_variable(&line, input, op->variable, json);
        }
    }
    add(&line, "\n", 1);
    return line.full ? 0 : (size_t)(line.at - out.at);
}
