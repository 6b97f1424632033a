import MeshModel

/// The keys of the entries that make up discovery chains, and of intentions.
extension EntryKeys {
    private static let serviceNameRule = TextRule.name(ServiceName.self, "service name")
    private static let subsetRule = TextRule.name(SubsetName.self, "subset")
    private static let datacenterRule = TextRule.name(DatacenterName.self, "datacenter name")

    static func entry(_ name: String, _ rule: TextRule, _ keys: [KeySpec]) -> ObjectSchema {
        ObjectSchema(
            name,
            head.keys.map { key in
                guard key.name == "name" else { return key }
                var named = key
                named.type = .text(rule)
                return named
            } + keys)
    }

    static let serviceRouter = entry(
        "service-router entry", serviceNameRule,
        [
            .optional(
                "routes", .objects(route),
                example:
                    "[ { match: { http: { path_prefix: /v2 } }, destination: { service: web2 } } ]",
                "Where requests go. First match wins; the rest goes to the service itself.")
        ])

    static let route = ObjectSchema(
        "route",
        [
            .optional(
                "match",
                .object(
                    ObjectSchema(
                        "match section",
                        [
                            .optional(
                                "http", .object(http), example: "{ path_prefix: /v2 }",
                                "The criteria.")
                        ])),
                example: "{ http: { path_prefix: /v2 } }", "Which requests; all when not given."),
            .optional(
                "destination", .object(destination), example: "{ service: web2 }",
                "Where to; the router's own service when not given."),
        ])

    static let http = ObjectSchema(
        "http section",
        [
            .optional("path_exact", .text(.any), example: "/health", "The whole path."),
            .optional(
                "path_prefix", .text(.any), example: "/v2",
                "The start of the path: /pay covers /payroll."),
            .optional(
                "path_regex", .text(.any), example: "/v[0-9]+/.*",
                "An expression (RE2) for the whole path."),
            .key(
                "case_insensitive", .bool, default: "false",
                "Whether the path is compared without regard to case."),
            .optional(
                "header", .objects(MatchKeys.header),
                example: "[ { name: x-canary, exact: \"1\" } ]", "All of these headers.",
                aliases: ["headers"]),
            .optional(
                "query_param", .objects(MatchKeys.query),
                example: "[ { name: debug, present: true } ]", "All of these query parameters.",
                aliases: ["query"]),
            .optional("methods", .texts, example: "[GET]", "Any of these methods."),
        ])

    static let modifiers = ObjectSchema(
        "header changes",
        [
            .optional(
                "add", .textMap, example: "{ x-via: mesh }",
                "Added beside what is there; `%{name}` is a variable (<doc:Traffic>)."),
            .optional(
                "set", .textMap, example: "{ x-real-ip: \"%{client.ip}\" }",
                "Put in place of what is there; likewise."),
            .optional("remove", .texts, example: "[x-secret]", "Taken out."),
        ])

    static let mirror = ObjectSchema(
        "mirror section",
        [
            .required("service", .text(serviceNameRule), example: "shadow", "Who gets the copies."),
            .key(
                "percent", .decimal, default: "100", "How many requests are copied.",
                example: "5"),
        ])

    static let rateLimit = ObjectSchema(
        "rate limit",
        [
            .required(
                "requests_per_second", .decimal, example: "10",
                "Requests of a second, of the whole node; 0.1 is one in ten seconds."),
            .optional(
                "requests_max_burst", .integer(1...RateLimit.greatestBurst), example: "20",
                "Requests that may come at once; as many as come in a second when not given."),
            .key(
                "by", .choice(RateLimit.Sharing.allCases.map(\.rawValue)), default: "all",
                "Whose requests are counted together: all, those of a client's address, of the "
                    + "service that the caller proved to be, of a connection.", example: "client"),
        ])

    /// What becomes of requests on their way to a destination; listeners' routes have it too.
    static let policy: [KeySpec] = [
        .optional(
            "prefix_rewrite", .text(.any), example: "/",
            "Put in place of the matched prefix."),
        .optional(
            "request_timeout", .consulDuration, example: "30s",
            "A whole request with its retries; no limit when not given."),
        .optional(
            "idle_timeout", .consulDuration, example: "60s",
            "How long nothing of a request, its answer or its tunnel may move; no limit when not "
                + "given, or below 1ms."),
        .key(
            "num_retries", .integer(0...100), default: "0",
            "Further attempts, 10 at most; those after a request was sent are never more than "
                + "a fifth of the answers."),
        .key(
            "retry_on_connect_failure", .bool, default: "false",
            "Whether an instance that cannot be reached is a reason."),
        .optional(
            "retry_on", .texts, example: "[5xx, reset]",
            "Further reasons: 5xx, gateway-error, reset, connect-failure, retriable-4xx (409), "
                + "envoy-ratelimited (429), refused-stream, and of gRPC by the status of a call: "
                + "cancelled, deadline-exceeded, internal, resource-exhausted, unavailable."),
        .optional(
            "retry_on_status_codes", .integers, example: "[503]",
            "Statuses of answers, 200 to 599 and at most 8, that are a reason."),
        .optional(
            "try_timeout", .consulDuration, example: "2s",
            "The wait for the answer to one try, then another is made; as long as the whole "
                + "request when not given."),
        .optional(
            "retry_backoff", .consulDuration, example: "25ms",
            "The pause before the second try, doubled for each further one, up to half of it "
                + "left out by chance; 25ms when not given, 0s makes none."),
        .optional(
            "retry_backoff_max", .consulDuration, example: "250ms",
            "The longest pause; ten times the first when not given. An answer whose Retry-After is "
                + "longer goes to the client."),
        .key(
            "retry_non_idempotent", .bool, default: "false",
            "Whether POST and the like are repeated too after they were sent."),
        .optional(
            "retry_body_bytes", .integer(0...ServiceRouter.Destination.greatestRetryBody),
            example: "65536",
            "Bytes of a request's body that are kept for another try, 16384 when not given; "
                + "requests with longer ones are sent once. 0 keeps none."),
        .optional(
            "rate_limits", .objects(rateLimit),
            example: "[ { requests_per_second: 10, requests_max_burst: 20, by: client } ]",
            "How many requests are taken; others get 429 with Retry-After. All must admit a "
                + "request."),
        .optional(
            "max_request_bytes", .integer(1...Int(Int32.max) * 1024), example: "1048576",
            "Bytes of a request's body; longer ones get 413."),
        .optional(
            "max_header_bytes", .integer(1...1_048_576), example: "4096",
            "Bytes of a request's head; longer ones get 431."),
        .optional(
            "mirror", .object(mirror), example: "{ service: shadow, percent: 5 }",
            "Another service that gets copies of requests; its answers are not read."),
        .optional(
            "request_headers", .object(modifiers), example: "{ set: { x-leg: a } }",
            "Changes to the request's headers."),
        .optional(
            "response_headers", .object(modifiers), example: "{ remove: [server] }",
            "Changes to the answer's headers."),
    ]

    static let destination = ObjectSchema(
        "destination section",
        [
            .optional(
                "service", .text(serviceNameRule), example: "web2",
                "The router's own service when not given."),
            .optional("service_subset", .text(subsetRule), example: "v2", "A subset of it."),
            .optional(
                "namespace", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional(
                "partition", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
        ] + policy)

    static let serviceSplitter = entry(
        "service-splitter entry", serviceNameRule,
        [
            .required(
                "splits", .objects(split),
                example: "[ { weight: 90 }, { weight: 10, service_subset: v2 } ]",
                "Where requests go; the weights add up to 100.")
        ])

    static let split = ObjectSchema(
        "split",
        [
            .key("weight", .decimal, default: "0", "Per cent, in steps of 0.01.", example: "90"),
            .optional(
                "service", .text(serviceNameRule), example: "web2",
                "The splitter's own service when not given."),
            .optional("service_subset", .text(subsetRule), example: "v2", "A subset of it."),
            .optional(
                "namespace", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional(
                "partition", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional(
                "request_headers", .object(modifiers), example: "{ set: { x-leg: a } }",
                "Changes to the request's headers."),
            .optional(
                "response_headers", .object(modifiers), example: "{ remove: [server] }",
                "Changes to the answer's headers."),
        ])

    static let serviceResolver = entry(
        "service-resolver entry", serviceNameRule,
        [
            .optional(
                "default_subset", .text(subsetRule), example: "v1",
                "The subset that the bare name means."),
            .optional(
                "subsets", .objectMap(subset),
                example: "{ v1: { filter: 'Service.Meta.version == v1' } }",
                "Instances by what is said of them."),
            .optional(
                "redirect", .object(redirect), example: "{ service: web2 }",
                "Makes the name mean another."),
            .optional(
                "failover", .objectMap(failover), example: "{ '*': { datacenters: [dc2] } }",
                "Where to go, by subset, when no instance is healthy."),
            .optional(
                "connect_timeout", .consulDuration, example: "5s",
                "Reaching an instance; 5s when not given."),
            .optional(
                "request_timeout", .consulDuration, example: "30s",
                "A whole request; no limit when not given."),
            .optional(
                "load_balancer", .object(BalancerKeys.schema),
                example: "{ policy: least_request }", "How one instance is chosen."),
            .optional(
                "limits", .object(EntryKeys.limits), example: "{ max_connections: 100 }",
                "Ceilings towards the service, for callers whose own service-defaults set none."),
            .optional(
                "passive_health_check", .object(EntryKeys.passive),
                example: "{ max_failures: 5 }",
                "When a failing instance is left out, for callers whose own service-defaults say "
                    + "nothing about it."),
            .optional(
                "prioritize_by_locality", .object(BalancerKeys.localityPriority),
                example: "{ mode: failover }", "Whether near instances are preferred."),
        ])

    static let subset = ObjectSchema(
        "subset",
        [
            .key(
                "filter", .text(.any), default: "",
                "Which instances, in Consul's filter language, at most 4096 bytes; empty: all.",
                example: "Service.Meta.version == v1"),
            .key(
                "only_passing", .bool, default: "false",
                "Whether an instance gets no traffic while one of its checks warns."),
        ])

    static let redirect = ObjectSchema(
        "target",
        [
            .optional("service", .text(serviceNameRule), example: "web2", "The service."),
            .optional("service_subset", .text(subsetRule), example: "v2", "A subset of it."),
            .optional(
                "namespace", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional(
                "partition", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional("datacenter", .text(datacenterRule), example: "dc2", "Where to look."),
            .optional("peer", .text(.any), example: "cluster-02", "Carried for Consul's clients."),
        ])

    static let failover = ObjectSchema(
        "failover",
        [
            .optional("service", .text(serviceNameRule), example: "web2", "Another service."),
            .optional("service_subset", .text(subsetRule), example: "v2", "A subset of it."),
            .optional(
                "namespace", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional("datacenters", .texts, example: "[dc2]", "Other datacenters, in order."),
            .optional(
                "targets", .objects(redirect), example: "[ { datacenter: dc2 } ]",
                "Targets, in order; in place of the other keys."),
            .optional(
                "policy", .object(failoverPolicy), example: "{ mode: sequential }",
                "The order in which targets are tried."),
        ])

    static let serviceIntentions = entry(
        "service-intentions entry",
        TextRule(name: "service name or *", mayBeEmpty: false) {
            _ = try NamePattern($0)
        },
        [
            .required(
                "sources", .objects(intentionSource),
                example: "[ { name: web, action: allow } ]",
                "Who may talk to the service. The more exact one decides, whatever the order."),
            .optional(
                "jwt", .object(tokens), example: "{ providers: [ { name: okta } ] }",
                "The token that every source must have besides, to be allowed."),
        ])

    static let intentionSource = ObjectSchema(
        "source",
        [
            .required(
                "name",
                .text(
                    TextRule(name: "service name or *", mayBeEmpty: false) {
                        _ = try NamePattern($0)
                    }), example: "web", "The caller, or * for all."),
            .optional(
                "action", .choice(["allow", "deny"]), example: "allow",
                "What happens; in place of permissions."),
            .optional(
                "permissions", .objects(permission),
                example: "[ { action: allow, http: { path_prefix: / } } ]",
                "Rules about requests. First match wins; without one `mesh.intentions_default` "
                    + "decides."),
            .key(
                "description", .text(.any), default: "", "For people, at most 512 bytes.",
                example: "the shop asks for prices"),
            .optional("type", .choice(["consul"]), example: "consul", "Only `consul`."),
            .optional("precedence", .data, example: "9", "Ignored: it follows from the names."),
            .optional(
                "namespace", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional(
                "partition", .text(defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional("legacy_id", .text(.any), example: "6f2b", "The id in the older API."),
            .optional("legacy_meta", .data, example: "{}", "Ignored."),
            .optional("legacy_create_time", .data, example: "null", "Ignored."),
            .optional("legacy_update_time", .data, example: "null", "Ignored."),
        ])

    package static let permission = ObjectSchema(
        "permission",
        [
            .required("action", .choice(["allow", "deny"]), example: "allow", "What happens."),
            .optional(
                "http", .object(permissionHTTP), example: "{ path_prefix: / }",
                "Which requests; at least one criterion, unless `jwt` is given."),
            .optional(
                "jwt", .object(tokens), example: "{ providers: [ { name: okta } ] }",
                "The token that such requests must have."),
        ])

    static let permissionHTTP = ObjectSchema(
        "http section",
        http.keys.filter { $0.name != "query_param" && $0.name != "case_insensitive" })

    static let tokens = ObjectSchema(
        "jwt section",
        [
            .required(
                "providers",
                .objects(
                    ObjectSchema(
                        "provider",
                        [
                            .required(
                                "name", .text(.any), example: "okta",
                                "The provider: a `jwt-provider` entry."),
                            .optional(
                                "verify_claims",
                                .objects(
                                    ObjectSchema(
                                        "claim",
                                        [
                                            .optional(
                                                "path", .texts, example: "[role]",
                                                "Where it stands."),
                                            .key(
                                                "value", .text(.any), default: "",
                                                "What it must be, or have in a list.",
                                                example: "admin"),
                                        ])), example: "[ { path: [role], value: admin } ]",
                                "Claims that must hold."),
                        ])), example: "[ { name: okta } ]", "Any of these providers.")
        ])
}
