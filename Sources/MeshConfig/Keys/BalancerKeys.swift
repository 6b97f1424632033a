import MeshModel

/// The keys that say which instance of a service is chosen.
enum BalancerKeys {
    static let schema = ObjectSchema(
        "load_balancer section",
        [
            .key(
                "policy", .choice(LoadBalancer.Policy.allCases.map(\.rawValue)), default: "",
                "How one of the healthy instances is chosen; round robin when not given. "
                    + "`peak_ewma` is not in Consul.",
                example: "maglev"),
            .optional(
                "ring_hash_config",
                .object(
                    ObjectSchema(
                        "ring_hash_config section",
                        [
                            .optional(
                                "minimum_ring_size", .integer(1...8_388_608), example: "1024",
                                "Points on the ring at least; when not given 1024, or 64 for each "
                                    + "instance where that is more."),
                            .optional(
                                "maximum_ring_size", .integer(1...8_388_608), example: "8388608",
                                "Points on the ring at most; never more than 1048000."),
                        ])), example: "{ minimum_ring_size: 1024 }", "Of the policy ring_hash."),
            .optional(
                "maglev_config",
                .object(
                    ObjectSchema(
                        "maglev_config section",
                        [
                            .key(
                                "table_size", .integer(LoadBalancer.tableSizes), default: "65537",
                                "Slots of the table, a prime number; a greater one is taken where "
                                    + "instances have less than four slots each.")
                        ])), example: "{ table_size: 65537 }",
                "Of the policy maglev. Not in Consul."),
            .optional(
                "peak_ewma_config",
                .object(
                    ObjectSchema(
                        "peak_ewma_config section",
                        [
                            .key(
                                "decay", .consulDuration, default: "10s",
                                "After so long half of what is known of a latency is forgotten; "
                                    + "100ms to 1h.")
                        ])), example: "{ decay: 10s }",
                "Of the policy peak_ewma. Not in Consul."),
            .key(
                "slow_start", .consulDuration, default: "0s",
                "How long an instance that is new or healthy again takes to get its whole share, "
                    + "from a tenth on; at most 24h. Not in Consul.", example: "30s"),
            .optional(
                "least_request_config",
                .object(
                    ObjectSchema(
                        "least_request_config section",
                        [
                            .optional(
                                "choice_count", .integer(2...100), example: "2",
                                "Instances compared for each request.")
                        ])), example: "{ choice_count: 2 }", "Of the policy least_request."),
            .optional(
                "hash_policies", .objects(hashPolicy),
                example: "[ { field: header, field_value: x-user } ]",
                "Of ring_hash and maglev: what of a request is hashed."),
        ])

    static let hashPolicy = ObjectSchema(
        "hash policy",
        [
            .optional(
                "field", .choice(["header", "cookie", "query_parameter"]), example: "header",
                "Where the value stands."),
            .optional("field_value", .text(.any), example: "x-user", "Its name."),
            .optional(
                "cookie_config",
                .object(
                    ObjectSchema(
                        "cookie_config section",
                        [
                            .key(
                                "session", .bool, default: "false",
                                "Whether a cookie that is missing is made for the session."),
                            .key(
                                "ttl", .consulDuration, default: "0s",
                                "The life of a cookie that is made; 0s makes none."),
                            .key(
                                "path", .text(.any), default: "",
                                "The path of a cookie that is made; empty: /.",
                                example: "/shop"),
                            .key(
                                "same_site",
                                .choice(LoadBalancer.SameSite.allCases.map(\.rawValue)),
                                default: "lax",
                                "When browsers send a cookie that is made; `none` makes it Secure. "
                                    + "Not in Consul."),
                        ])), example: "{ ttl: 1h }", "Of the field cookie."),
            .key("source_ip", .bool, default: "false", "Hashes the client's address."),
            .key(
                "terminal", .bool, default: "false",
                "Whether later policies are left out once this one gave a hash."),
        ])

    static let localityPriority = ObjectSchema(
        "prioritize_by_locality section",
        [
            .key(
                "mode", .choice(LocalityPriority.Mode.allCases.map(\.rawValue)), default: "none",
                "`failover`: instances of the node's own zone, then of its region, then all "
                    + "others.",
                example: "failover"),
            .optional(
                "healthy_share", .integer(1...100), example: "70",
                "Per cent of the near ones' weight that must be healthy for them to take all; "
                    + "below, the rest goes to the next; 70 when not given. Not in Consul."),
        ])
}
