/// What the counters of the workers mean, for `/metrics`.
enum MetricHelp {
    static let worker = [
        "accepted": "Connections that clients opened.",
        "accept_errors": "Connections that could not be accepted, for want of descriptors mostly.",
        "connections_high": "Most downstream connections open at once.",
        "connections_open": "Downstream connections open now.",
        "events": "Completions that the ring brought.",
        "log_dropped": "Access records dropped because the logger was too far behind.",
        "log_lost": "Access records that could not be written: a full disk, a closed file.",
        "log_records": "Access records handed to the logger.",
        "log_written": "Lines of access logs written.",
        "mirrors": "Copies of requests begun.",
        "mirrors_failed": "Copies of requests that failed, were given up or never begun.",
        "no_buffers": "Receives that found no free buffer and were tried again.",
        "reauthorized_closed": "Connections ended because an intention changed.",
        "requests_active": "Requests under way now.",
        "requests_high": "Most requests under way at once.",
        "shed": "Connections refused because a pool was empty.",
        "spill_blocks": "Blocks that hold what a socket has not taken yet.",
        "spill_blocks_high": "Most blocks held at once for slow sockets.",
        "spliced_bytes": "Bytes that went from socket to socket without passing this process.",
        "spans": "Spans handed to the control plane.",
        "spans_dropped": "Spans dropped because the control plane was too far behind.",
        "stale_events": "Completions for connections that were gone.",
        "starts": "Processes that have served this slot.",
        "tls_open": "TLS sessions open now.",
        "turns": "Turns of the loop.",
        "upstream_idle": "Upstream connections that wait for a request.",
        "upstream_open": "Upstream connections open now.",
        "views_live": "Snapshots in use: more than one while old requests finish.",
    ]

    static let listener = [
        "accepted": "Connections that clients opened.",
        "bytes_in": "Bytes from clients, in clear.",
        "bytes_out": "Bytes to clients, in clear.",
        "denied": "Connections and requests that intentions refused.",
        "handshakes": "TLS handshakes that came to an end.",
        "handshakes_failed": "TLS handshakes that failed.",
        "handshakes_resumed": "TLS handshakes that resumed an earlier session.",
        "open": "Connections of clients open now.",
        "requests": "Requests whose head was read.",
    ]

    static let wayDuration = [
        "route": "From the first byte of a request to the last of its answer.",
        "endpoint": "From the head sent to the head of the answer.",
    ]

    static let target = [
        "bytes_in": "Bytes from upstreams.",
        "bytes_out": "Bytes to upstreams.",
        "connect_failures": "Connections to endpoints that could not be made.",
        "connects": "Connections made to endpoints.",
        "ejections": "Endpoints left out for a while because they failed.",
        "open": "Connections to endpoints open now.",
        "requests": "Requests sent to endpoints.",
        "resets": "Connections that an endpoint broke off.",
        "retries": "Requests sent again to another endpoint.",
    ]
}
