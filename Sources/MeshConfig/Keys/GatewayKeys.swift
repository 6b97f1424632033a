import MeshModel

/// The keys of gateways' entries.
enum GatewayKeys {
    /// The spelling of versions in Consul's entries.
    static let versions: [String: ListenerDefinition.TLSVersion] = [
        "TLSv1_2": .v12, "TLSv1_3": .v13,
    ]

    static let nameOrAll = TextRule(name: "service name or *", mayBeEmpty: false) {
        _ = try NamePattern($0)
    }

    private static let file = TextRule(name: "absolute name of a file", mayBeEmpty: true) { text in
        guard text.hasPrefix("/") else {
            throw MeshError(
                .invalid,
                "\(quoted(text)) is not an absolute name of a file: entries are read on the "
                    + "gateway's host, where no folder stands for theirs")
        }
    }

    private static let version = ValueType.choice(["", "TLS_AUTO", "TLSv1_2", "TLSv1_3"])

    static let tls = ObjectSchema(
        "tls section",
        [
            .key("enabled", .bool, default: "false", "Whether callers are served by TLS."),
            .optional(
                "tls_min_version", version, example: "TLSv1_3",
                "The lowest version; TLSv1_2 when not given."),
            .optional(
                "tls_max_version", version, example: "TLSv1_3",
                "The highest version; TLSv1_3 when not given."),
            .optional(
                "cipher_suites", .texts, example: "[]",
                "Read for compatibility and not used: the data plane has a list of its own."),
            .optional(
                "sds", .data, example: "{}",
                "Refused unless empty: nobody is asked for certificates while callers wait. Write "
                    + "`certs`, whose files are watched, or leave both out."),
            .optional(
                "certs", .objects(keyPair),
                example: "[ { cert: /etc/ringmesh/shop.crt, key: /etc/ringmesh/shop.key } ]",
                "Certificates of other authorities, on the gateway's host. Without them the mesh's "
                    + "authority signs one for the hosts of the gateway."),
        ])

    private static let keyPair = ObjectSchema(
        "certificate",
        [
            .required(
                "cert", .text(file), example: "/etc/ringmesh/shop.crt",
                "The certificate chain in PEM, leaf first."),
            .required(
                "key", .text(file), example: "/etc/ringmesh/shop.key",
                "The private key of `cert` in PEM."),
        ])

    /// Consul has no ceiling of retries here.
    private static let limits = EntryKeys.limits.keys.filter { $0.name != "max_retries" }

    static let defaults = ObjectSchema("defaults section", limits)

    static let listener = ObjectSchema(
        "listener",
        [
            .required("port", .integer(1...65535), example: "8443", "Where it listens."),
            .optional(
                "protocol", .choice(["", "tcp", "http", "http2", "grpc"]), example: "http",
                "What callers speak; tcp when not given."),
            .required(
                "services", .objects(service), example: "[ { name: shop } ]",
                "The services behind it; one alone for tcp."),
            .optional(
                "tls", .object(tls), example: "{ enabled: true }",
                "In place of the gateway's."),
        ])

    private static let service = ObjectSchema(
        "service",
        [
            .required(
                "name", .text(nameOrAll), example: "shop",
                "The service, or * for all that speak HTTP, each at the hosts of its name."),
            .optional(
                "hosts", .texts, example: "[shop.example.com]",
                "Host names, `*.` for one label, `*` for all. When not given: NAME.ingress.consul "
                    + "and NAME.ingress.DATACENTER.consul."),
            .optional(
                "request_headers", .object(EntryKeys.modifiers), example: "{ set: { x-edge: a } }",
                "Changes to the request's headers."),
            .optional(
                "response_headers", .object(EntryKeys.modifiers), example: "{ remove: [server] }",
                "Changes to the answer's headers."),
            .optional(
                "namespace", .text(EntryKeys.defaultOnly), example: "default",
                "Only `default` is accepted."),
        ] + limits)

    static let linked = ObjectSchema(
        "service",
        [
            .required(
                "name", .text(nameOrAll), example: "billing",
                "The service, or * for all that have no proxy of their own."),
            .key(
                "ca_file", .text(file), default: "",
                "Authorities in PEM that the service's certificate is checked against, on the "
                    + "gateway's host. Empty: the service is spoken to in plain text.",
                example: "/etc/ringmesh/billing-ca.pem"),
            .key(
                "cert_file", .text(file), default: "",
                "What the gateway shows the service, in PEM; with `ca_file` and `key_file`.",
                example: "/etc/ringmesh/billing.crt"),
            .key(
                "key_file", .text(file), default: "",
                "The private key of `cert_file` in PEM.", example: "/etc/ringmesh/billing.key"),
            .key(
                "sni", .text(.any), default: "",
                "The server name to ask for, which the certificate must have.",
                example: "billing.example.com"),
            .optional(
                "namespace", .text(EntryKeys.defaultOnly), example: "default",
                "Only `default` is accepted."),
        ])
}

extension EntryKeys {
    static let ingressGateway = entry(
        "ingress-gateway entry", TextRule.name(ServiceName.self, "service name"),
        [
            .optional(
                "tls", .object(GatewayKeys.tls), example: "{ enabled: true }",
                "How callers of all listeners are served."),
            .required(
                "listeners", .objects(GatewayKeys.listener),
                example: "[ { port: 8080, protocol: http, services: [ { name: shop } ] } ]",
                "The ports of the gateways of this name."),
            .optional(
                "defaults", .object(GatewayKeys.defaults), example: "{ max_connections: 100 }",
                "Ceilings for services that set none."),
        ])

    static let terminatingGateway = entry(
        "terminating-gateway entry", TextRule.name(ServiceName.self, "service name"),
        [
            .required(
                "services", .objects(GatewayKeys.linked), example: "[ { name: billing } ]",
                "The services that the gateways of this name stand for.")
        ])
}
