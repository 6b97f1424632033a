/* TLS that is not terminated: the client's hello says which server it wants, and its route which
 * service that is; then the connection is a stream like any other, of which the hello is the first
 * part. Whoever asks for a server that nobody serves is told so in TLS (RFC 6066 3). */
#include "record.h"
#include "table/route.h"
#include "wire/hello.h"

_Static_assert(HELLO_MAX_INPUT <= PROXY_SCRATCH_SIZE, "a hello is looked at in one piece");
_Static_assert(HELLO_MAX_INPUT <= LIMIT_SPILL_HIGH, "and held until it is whole");

static void sniff_end(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    struct listener *listener = listener_of(proxy, conn);

    if (outcome == ABI_OUTCOME_TLS) {
        abi_stat_add(&listener->stats->counters[ABI_LISTENER_HANDSHAKES_FAILED], 1);
    }
    abi_stat_add(&listener->stats->outcomes[outcome], 1);
    record_refused(proxy, conn, 0, outcome);
}

static void sniff_close(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome)
{
    sniff_end(proxy, conn, outcome);
    conn_close(proxy, conn, false);
}

static void sniff_refuse(struct proxy *proxy, struct conn *conn, enum abi_outcome outcome,
                         enum hello_alert alert)
{
    uint8_t record[HELLO_ALERT_SIZE];
    struct bytes part = bytes_of(record, sizeof(record));

    sniff_end(proxy, conn, outcome);
    hello_write_alert(alert, record);
    wheel_cancel(&proxy->wheel, &conn->timer);
    conn_write(proxy, conn, &part, 1);
    conn_finish(proxy, conn);
}

static void sniff_opened(struct proxy *proxy, struct conn *conn)
{
    (void)proxy;
    (void)conn; /* the timer runs since the accept */
}

/* The hello is whole: where it leads. */
static void sniff_decide(struct proxy *proxy, struct conn *conn, const struct hello *hello)
{
    const struct abi_listener *entry = listener_entry(proxy, listener_of(proxy, conn));
    struct abi_ref splits;

    if (entry == NULL) {
        sniff_close(proxy, conn, ABI_OUTCOME_NO_ROUTE);
        return;
    }
    splits = l4_route(&proxy->current->view, entry, bytes_of(hello->name, hello->name_len));
    if (splits.count == 0) {
        sniff_refuse(proxy, conn, ABI_OUTCOME_NO_ROUTE, HELLO_ALERT_UNRECOGNIZED_NAME);
        return;
    }
    conn->ops = &l4_ops;
    l4_begin(proxy, conn, splits);
}

static size_t sniff_data(struct proxy *proxy, struct conn *conn, struct bytes in)
{
    struct hello hello;
    int length = hello_parse(in, &hello);

    if (length == 0) {
        return 0; /* held, and offered again with more */
    }
    if (length < 0 && in.ptr[0] == HELLO_FIRST_BYTE) {
        sniff_refuse(proxy, conn, ABI_OUTCOME_TLS, HELLO_ALERT_DECODE_ERROR);
    } else if (length < 0) {
        sniff_close(proxy, conn, ABI_OUTCOME_TLS); /* an alert would tell it nothing */
    } else {
        proxy->sniffed = bytes_of(hello.name, hello.name_len);
        sniff_decide(proxy, conn, &hello);
        proxy->sniffed = bytes_of(NULL, 0);
    }
    return 0;
}

static void sniff_ended(struct proxy *proxy, struct conn *conn)
{
    sniff_close(proxy, conn, ABI_OUTCOME_CLIENT_GONE);
}

static void sniff_drained(struct proxy *proxy, struct conn *conn)
{
    (void)proxy;
    (void)conn;
}

static void sniff_timeout(struct proxy *proxy, struct conn *conn)
{
    sniff_close(proxy, conn, ABI_OUTCOME_TLS);
}

const struct conn_ops sniff_ops = {
    .opened = sniff_opened,
    .data = sniff_data,
    .ended = sniff_ended,
    .drained = sniff_drained,
    .failed = sniff_close,
    .timeout = sniff_timeout,
};
