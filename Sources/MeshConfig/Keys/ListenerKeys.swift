import MeshModel

/// The keys of plain listeners.
package enum ListenerKeys {
    private static let short: ClosedRange<MeshDuration> = .milliseconds(100) ... .hours(24)

    package static let schema = ObjectSchema(
        "listener",
        [
            .required(
                "name", .text(.any), example: "public",
                "Unique among listeners; metrics and logs carry it."),
            .required("bind_addr", .address, example: "127.0.0.1:8080", "Where it listens."),
            .required(
                "kind", .choice(["l4", "l7"]), example: "l7",
                "l4 forwards bytes, l7 forwards HTTP requests."),
            .optional(
                "service", .text(.name(ServiceName.self, "service name")), example: "web",
                "Where everything goes that no route takes, through its discovery chain."),
            .optional("timeouts", .object(timeouts), example: "{ idle: 60s }", "How long to wait."),
            .key(
                "max_connection_lifetime", .duration(short, zero: true), default: "0s",
                "How long a connection may last: within the last tenth of it the connection ends. "
                    + "With HTTP what is under way is answered first. 0s sets no limit.",
                example: "1h"),
            .optional(
                "identity", .text(.name(ServiceName.self, "service name")), example: "edge",
                "The service as which the listener dials the mesh; intentions then bind it."),
            .optional(
                "tls", .object(tls), example: "{ cert: server.crt, key: server.key }",
                "Terminates TLS."),
            .optional(
                "proxy_protocol", .object(proxyProtocol),
                example: "{ in: any, from: [10.0.0.0/8] }",
                "Connections begin with a PROXY protocol header that names the client."),
            .optional(
                "forwarded", .object(forwarded), example: "{ trust: [10.0.0.0/8] }",
                "Of l7: which proxies in front are believed about the client, and how it is named "
                    + "to the upstream."),
            .optional(
                "trace", .object(trace), example: "{ start: true, sample: 0.1 }",
                "Of l7: whether traces begin here (W3C Trace Context)."),
            .optional(
                "compression", .object(compression), example: "{ codings: [zstd, br, gzip] }",
                "Of l7: answers are compressed for clients that take it; {} with the defaults."),
            .optional(
                "routes", .objects(route),
                example: "[ { match: { path_prefix: /api }, service: web } ]",
                "Of l7: where requests go. First match wins."),
            .optional(
                "sni", .objects(serverName),
                example: "[ { host: db.example.com, service: db } ]",
                "Of l4: TLS is handed on as it is, by the server name that the client asks for. "
                    + "Other names go to `service`; without one they are refused."),
            .optional(
                "rate_limits", .objects(EntryKeys.rateLimit),
                example: "[ { requests_per_second: 100, by: client } ]",
                "Of l7: how many requests all of its routes together take; others get 429 with "
                    + "Retry-After."),
            .optional(
                "access_log", .object(accessLog), example: "{ path: \"\" }",
                "Where its access log differs from that of the whole node."),
        ])

    private static let logFormat = TextRule(name: "json or a template", mayBeEmpty: false) {
        _ = try AccessLogFormat($0)
    }

    private static let logPath = TextRule(
        name: "absolute name of a file, stdout or stderr", mayBeEmpty: true
    ) { text in
        guard ["stdout", "stderr"].contains(text) || text.hasPrefix("/") else {
            throw MeshError(
                .invalid,
                "\(quoted(text)) is not a log: write the absolute name of a file, stdout, stderr, "
                    + "or \"\" for none")
        }
    }

    /// Of a listener: what is not given is as the whole node has it.
    static let accessLog = ObjectSchema(
        "access_log section",
        [
            .optional(
                "path", .text(logPath), example: "/var/log/ringmesh/public.log",
                "The file, or `stdout` or `stderr` of the data plane. Empty writes no log."),
            .optional(
                "format", .text(logFormat), example: "\"%{time} %{method} %{path} %{status}\"",
                "`json`, or a template of the line."),
            .optional(
                "sample", .decimal, example: "0.1",
                "The share of lines written of what ends well, 0 to 1."),
        ])

    /// Of the whole node.
    static let nodeAccessLog = ObjectSchema(
        "access_log section",
        [
            .key(
                "path", .text(logPath), default: "",
                "The file, or `stdout` or `stderr` of the data plane. Empty writes no log.",
                example: "/var/log/ringmesh/access.log"),
            .key(
                "format", .text(logFormat), default: "json",
                "`json`, or a template of the line: text and variables, as %{path}, of which the "
                    + "page Access log has the list."),
            .key(
                "sample", .decimal, default: "1",
                "The share of lines written of what ends well, 0 to 1. What does not end well is "
                    + "always written."),
        ])

    static let serverName = ObjectSchema(
        "server name",
        [
            .required(
                "host", .text(.any), example: "\"*.example.com\"",
                "The name that clients ask for; `*.` covers all names below. The exact name wins, "
                    + "then the longest."),
            .required(
                "service", .text(.name(ServiceName.self, "service name")), example: "db",
                "Where the connection goes, through the service's discovery chain."),
        ])

    static let keyPair = ObjectSchema(
        "certificate",
        [
            .required(
                "cert", .path(.existingFile), example: "server.crt",
                "The certificate chain in PEM, leaf first."),
            .required(
                "key", .path(.existingFile), example: "server.key", "The private key in PEM."),
        ])

    static let timeouts = ObjectSchema(
        "timeouts section",
        [
            .key(
                "head", .duration(short, zero: false), default: "10s",
                "Reading a request's head."),
            .key(
                "idle", .duration(short, zero: true), default: "60s",
                "A connection without traffic. 0s waits for ever."),
            .key(
                "request", .duration(short, zero: true), default: "0s",
                "A whole request. 0s sets no limit."),
            .key(
                "connect", .duration(short, zero: false), default: "5s",
                "Reaching an instance, TLS included."),
        ])

    static let tls = ObjectSchema(
        "tls section",
        [
            .key(
                "cert", .path(.existingFile), default: "",
                "The certificate chain in PEM, leaf first. It serves clients that ask for no name "
                    + "of another certificate.", example: "server.crt"),
            .key(
                "key", .path(.existingFile), default: "",
                "The private key of `cert` in PEM.", example: "server.key"),
            .optional(
                "certs", .objects(keyPair),
                example: "[ { cert: a.crt, key: a.key }, { cert: b.crt, key: b.key } ]",
                "Further certificates. A client gets the one whose DNS names, `*.` for one label, "
                    + "cover the name that it asks for; of one with an ECDSA and one with an RSA "
                    + "key the one that it can use."),
            .key(
                "certs_dir", .path(.existingFolder), default: "",
                "A folder of further certificates: `name.crt` or `name.pem` beside `name.key`. It "
                    + "is watched for changes.", example: "/etc/ringmesh/certs"),
            .key(
                "client_ca", .path(.existingFile), default: "",
                "The authorities, in PEM, of clients' certificates. Empty asks for none.",
                example: "clients.crt"),
            .optional(
                "client_verify", .choice(["none", "request", "require"]), example: "request",
                "Whether clients show a certificate of `client_ca`: `request` checks the one that "
                    + "is given, `require` refuses clients without. `require` when not given and "
                    + "there is a `client_ca`."),
            .key(
                "client_crl", .path(.existingFile), default: "",
                "Lists of revoked certificates in PEM, 1 MiB at most, one at least of each "
                    + "authority that issues below a trusted one: clients whose issuer has no "
                    + "list, or one that is over, are refused. It is watched for changes.",
                example: "clients.crl"),
            .key(
                "tickets", .bool, default: "true",
                "Clients get session tickets, with which they resume without a full handshake.",
                example: "false"),
            .key(
                "min_version", .choice(["1.2", "1.3"]), default: "1.3",
                "The oldest TLS version taken."),
            .key(
                "max_version", .choice(["1.2", "1.3"]), default: "1.3",
                "The newest TLS version taken."),
            .optional(
                "alpn", .texts, example: "[h2, http/1.1]",
                "Protocols offered, the preferred first; `[h2, http/1.1]` on l7 when not given."),
        ])

    static let proxyProtocol = ObjectSchema(
        "proxy_protocol section",
        [
            .required(
                "in", .choice(["off", "v1", "v2", "any"]), example: "any",
                "The versions taken; with all but off the header is required."),
            .optional(
                "from", .texts, example: "[10.0.0.0/8, \"2001:db8::/32\"]",
                "Networks of the proxies that send it; at least one unless `in` is off."),
            .key(
                "others", .choice(["refuse", "direct"]), default: "refuse",
                "Connections from elsewhere: closed, or served without a header.",
                example: "direct"),
            .key(
                "timeout", .duration(.milliseconds(100) ... .seconds(60), zero: false),
                default: "3s", "Reading of the header."),
        ])

    static let forwarded = ObjectSchema(
        "forwarded section",
        [
            .optional(
                "trust", .texts, example: "[10.0.0.0/8, \"2001:db8::/32\"]",
                "Networks of proxies whose Forwarded and X-Forwarded headers are believed; nobody "
                    + "when not given."),
            .key(
                "hops", .integer(1...ListenerDefinition.Forwarded.mostHops), default: "32",
                "So many proxies are believed at most, the nearest first.", example: "1"),
            .key(
                "headers", .choice(["x-forwarded", "forwarded", "both", "none"]),
                default: "x-forwarded",
                "How the client is named to the upstream: X-Forwarded-For and its like, Forwarded "
                    + "(RFC 7239), both or neither."),
        ])

    static let compression = ObjectSchema(
        "compression section",
        [
            .optional(
                "codings", .texts, example: "[br, gzip]",
                "Those offered, the preferred first: zstd, br, gzip. The client's weights decide "
                    + "before the order does. [zstd, br, gzip] when not given."),
            .optional(
                "types", .texts, example: "[text/*, application/json]",
                "Media types that are worth it. When not given: "
                    + ListenerDefinition.Compression.commonTypes.joined(separator: ", ") + "."),
            .key(
                "min_length", .integer(0...Int(Int32.max)), default: "1024",
                "Bodies known to be shorter go as they came, in bytes."),
            .optional(
                "levels", .object(compressionLevels), example: "{ gzip: 6 }",
                "How hard to try, from 1, the fastest."),
        ])

    static let compressionLevels = ObjectSchema(
        "levels section",
        ListenerDefinition.Compression.Coding.allCases.map { coding in
            .key(
                coding.rawValue, .integer(coding.levels),
                default: "\(ListenerDefinition.Compression.Levels()[coding])",
                "Of \(coding.rawValue).")
        })

    static let trace = ObjectSchema(
        "trace section",
        [
            .key(
                "start", .bool, default: "false",
                "Whether a request without a sound traceparent gets one.", example: "true"),
            .key(
                "sample", .decimal, default: "1",
                "The share of traces started here that is marked as sampled, 0 to 1.",
                example: "0.1"),
            .key(
                "export", .bool, default: "true",
                "Whether spans of sampled requests go to the collector of `tracing`.",
                example: "false"),
        ])

    static let route = ObjectSchema(
        "route",
        [
            .optional(
                "match", .object(match), example: "{ path_prefix: /api }",
                "Which requests; all when not given."),
            .optional(
                "service", .text(.name(ServiceName.self, "service name")), example: "web",
                "Forwards to the service through its discovery chain."),
            .optional(
                "respond", .object(respond), example: "{ status: 403 }",
                "Answers without asking anyone."),
            .optional(
                "redirect", .object(redirect), example: "{ host: www.example.com }",
                "Sends the client elsewhere."),
        ] + EntryKeys.policy)

    static let match = ObjectSchema(
        "match section",
        [
            .optional(
                "host", .text(.any), example: "\"*.example.com\"",
                "The host name without port; `*.` covers all names below."),
            .optional("path_exact", .text(.any), example: "/health", "The whole path."),
            .optional(
                "path_prefix", .text(.any), example: "/api",
                "The start of the path: /pay covers /payroll."),
            .optional(
                "path_regex", .text(.any), example: "/v[0-9]+/.*",
                "An expression (RE2) for the whole path."),
            .key(
                "case_insensitive", .bool, default: "false",
                "Whether the path is compared without regard to case."),
            .optional("methods", .texts, example: "[GET, POST]", "Any of these methods."),
            .optional(
                "headers", .objects(MatchKeys.header),
                example: "[ { name: x-canary, exact: \"1\" } ]", "All of these headers.",
                aliases: ["header"]),
            .optional(
                "query", .objects(MatchKeys.query),
                example: "[ { name: debug, present: true } ]", "All of these query parameters.",
                aliases: ["query_param"]),
        ])

    static let respond = ObjectSchema(
        "respond section",
        [
            .key("status", .integer(200...599), default: "200", "The status."),
            .key(
                "body", .text(.any), default: "", "The body, at most 16384 bytes.",
                example: "closed"),
            .optional(
                "headers", .textMap, example: "{ retry-after: \"60\" }",
                "Headers of the answer."),
        ])

    static let redirect = ObjectSchema(
        "redirect section",
        [
            .optional(
                "scheme", .choice(["http", "https"]), example: "https",
                "The request's when not given."),
            .optional(
                "host", .text(.any), example: "www.example.com",
                "The request's when not given."),
            .optional("path", .text(.any), example: "/new", "The request's when not given."),
            .key("status", .integer(301...308), default: "308", "301, 302, 303, 307 or 308."),
        ])
}

/// The keys of criteria on headers and query parameters.
package enum MatchKeys {
    package static let header = ObjectSchema(
        "header criterion",
        [
            .required("name", .text(.any), example: "x-canary", "The header, in any case."),
            .key("present", .bool, default: "false", "The header is there.", example: "true"),
            .optional("exact", .text(.any), example: "\"1\"", "Its whole value."),
            .optional("prefix", .text(.any), example: "v1", "The start of its value."),
            .optional("suffix", .text(.any), example: "beta", "The end of its value."),
            .optional("contains", .text(.any), example: "test", "A part of its value."),
            .optional(
                "regex", .text(.any), example: "v[0-9]+",
                "An expression (RE2) for its whole value."),
            .key(
                "ignore_case", .bool, default: "false",
                "Whether the value is compared without regard to case."),
            .key(
                "invert", .bool, default: "false",
                "Whether the criterion holds when the comparison fails."),
        ])

    package static let query = ObjectSchema(
        "query criterion",
        [
            .required("name", .text(.any), example: "debug", "The parameter."),
            .key("present", .bool, default: "false", "The parameter is there.", example: "true"),
            .optional("exact", .text(.any), example: "\"1\"", "Its whole value."),
            .optional(
                "regex", .text(.any), example: "\"[0-9]+\"",
                "An expression (RE2) for its whole value."),
        ])
}
