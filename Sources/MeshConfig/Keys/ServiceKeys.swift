import MeshModel

/// The keys of service documents, in Consul's shape.
package enum ServiceKeys {
    package static let schema = ObjectSchema(
        "service",
        [
            .required(
                "name", .text(.name(ServiceName.self, "service name")), example: "web",
                "The service's name; instances with the same name are equals. Names that differ "
                    + "only by case are the same."),
            .optional(
                "id", .text(.name(ServiceID.self, "service id")), example: "web-1",
                "Unique on the node; the name when not given.", aliases: ["service_id"]),
            .key(
                "kind", .choice(ServiceKind.allCases.map(\.rawValue)), default: "",
                "What is registered: an ordinary service when not given.",
                example: "connect-proxy"),
            .key(
                "address", .text(.any), default: "",
                "Where the service is reached; the node's address when not given.",
                example: "127.0.0.1"),
            .key(
                "port", .integer(0...65535), default: "0", "The service's port.",
                example: "8080"),
            .key(
                "socket_path", .path(.socket), default: "",
                "A unix socket in place of address and port.", example: "/run/web.sock"),
            .optional("tags", .texts, example: "[v1]", "Labels of the instance."),
            .optional(
                "meta", .textMap, example: "{ version: \"1\" }",
                "Labels by name, at most 64."),
            .optional(
                "weights", .object(weights), example: "{ passing: 10, warning: 1 }",
                "The instance's share among its equals."),
            .optional(
                "locality", .object(locality), example: "{ region: eu-west, zone: eu-west-1b }",
                "Where the instance runs; the node's when not given."),
            .key(
                "enable_tag_override", .bool, default: "false",
                "Carried for Consul's clients."),
            .optional(
                "check", .object(CheckKeys.schema),
                example: "{ tcp: \"127.0.0.1:8080\", interval: 10s }", "One health check."),
            .optional(
                "checks", .objects(CheckKeys.schema),
                example: "[ { tcp: \"127.0.0.1:8080\", interval: 10s } ]", "Health checks."),
            .optional(
                "proxy", .object(ProxyKeys.handmade),
                example: "{ destination_service_name: web }",
                "Of a connect-proxy: what it stands for."),
            .optional(
                "proxy_destination", .text(.name(ServiceName.self, "service name")),
                example: "web",
                "The same in the words of Consul 1.2: what a connect-proxy stands for."),
            .optional(
                "connect", .object(connect), example: "{ sidecar_service: {} }",
                "How the service joins the mesh."),
            .optional(
                "token", .text(.any), example: "\"\"",
                "Read for compatibility and not used: files need no token."),
            .optional(
                "tagged_addresses", .objectMap(taggedAddress),
                example: "{ virtual: { address: 240.0.0.1 } }",
                "Further addresses by name. At `virtual` transparent proxies reach the service, on "
                    + "every port; others are carried for Consul's clients."),
        ])

    static let taggedAddress = ObjectSchema(
        "tagged address",
        [
            .required("address", .text(.any), example: "240.0.0.1", "The address."),
            .key(
                "port", .integer(0...65535), default: "0", "Carried for Consul's clients.",
                example: "80"),
        ])

    static let locality = ObjectSchema(
        "locality section",
        [
            .key("region", .text(.any), default: "", "The region.", example: "eu-west"),
            .key(
                "zone", .text(.any), default: "", "The zone within the region.",
                example: "eu-west-1a"),
        ])

    static let weights = ObjectSchema(
        "weights section",
        [
            .key(
                "passing", .integer(1...65535), default: "1",
                "The share while all checks pass."),
            .key(
                "warning", .integer(0...65535), default: "1",
                "The share while a check warns."),
        ])

    static let connect = ObjectSchema(
        "connect section",
        [
            .key(
                "native", .bool, default: "false",
                "Whether the service speaks mesh mTLS by itself."),
            .optional(
                "sidecar_service", .object(sidecar), example: "{}",
                "Makes a sidecar for the service; `{}` takes all defaults."),
            .optional(
                "proxy", .object(ProxyKeys.managed), example: "{}",
                "A proxy that the node starts, configures and stops. In files only: over the API "
                    + "it is refused."),
        ])

    static let sidecar = ObjectSchema(
        "sidecar_service section",
        [
            .optional(
                "name", .text(.name(ServiceName.self, "service name")),
                example: "web-sidecar-proxy",
                "The sidecar's name; `<name>-sidecar-proxy` when not given."),
            .optional(
                "id", .text(.name(ServiceID.self, "service id")),
                example: "web-1-sidecar-proxy",
                "The sidecar's id; `<id>-sidecar-proxy` when not given."),
            .optional(
                "address", .text(.any), example: "10.0.0.11",
                "Where other sidecars reach it; the service's address when not given."),
            .optional(
                "port", .integer(1...65535), example: "21000",
                "The public mTLS port; the lowest free sidecar port when not given."),
            .optional("tags", .texts, example: "[v1]", "The service's when not given."),
            .optional(
                "meta", .textMap, example: "{ version: \"1\" }",
                "The service's when not given."),
            .optional(
                "weights", .object(weights), example: "{ passing: 1 }",
                "The service's when not given."),
            .optional(
                "check", .object(CheckKeys.schema), example: "{ ttl: 30s }",
                "One health check of the sidecar."),
            .optional(
                "checks", .objects(CheckKeys.schema), example: "[ { ttl: 30s } ]",
                "Health checks of the sidecar."),
            .optional(
                "proxy", .object(ProxyKeys.schema),
                example: "{ upstreams: [ { destination_name: db, local_bind_port: 9191 } ] }",
                "The sidecar's upstreams and options."),
        ])
}

/// The keys of health checks.
package enum CheckKeys {
    package static let schema = ObjectSchema(
        "check",
        [
            .optional(
                "id", .text(.any), example: "web-alive",
                "Unique on the node; `service:<service id>` when not given, numbered from 1 when "
                    + "there are several.", aliases: ["check_id"]),
            .optional("name", .text(.any), example: "web is alive", "For people."),
            .optional("notes", .text(.any), example: "asks /health", "For people."),
            .optional(
                "tcp", .text(.any), example: "127.0.0.1:8080",
                "Passes when the address takes a connection."),
            .optional(
                "http", .text(.any), example: "http://127.0.0.1:8080/health",
                "Passes when the URL answers 2xx; 429 warns."),
            .optional(
                "grpc", .text(.any), example: "127.0.0.1:9090/shop.Orders",
                "Passes when the gRPC server says by grpc.health.v1 that it serves: "
                    + "`host:port`, or `host:port/service`."),
            .key(
                "grpc_use_tls", .bool, default: "false",
                "Whether the server of a grpc check is asked by TLS."),
            .key("method", .text(method), default: "GET", "The method of an http check."),
            .optional(
                "header", .listMap, example: "{ X-Check: [ringmesh] }",
                "Headers of an http check."),
            .optional("body", .text(.any), example: "ping", "The body of an http check."),
            .optional(
                "tls_server_name", .text(.any), example: "web.example.com",
                "The name that the certificate of an https or grpc check must have."),
            .key(
                "tls_skip_verify", .bool, default: "false",
                "Whether an https or grpc check takes any certificate."),
            .optional(
                "ttl", .consulDuration, example: "30s",
                "The service reports by itself, at least this often."),
            .optional(
                "interval", .consulDuration, example: "10s",
                "How often a tcp, http or grpc check is made; at least 100ms."),
            .key("timeout", .consulDuration, default: "10s", "How long one attempt may take."),
            .key(
                "status", .choice(["passing", "warning", "critical"]), default: "critical",
                "The status before the first result."),
            .key(
                "success_before_passing", .integer(0...1000), default: "0",
                "Further passes in a row before the status turns to passing."),
            .key(
                "failures_before_critical", .integer(0...1000), default: "0",
                "Further failures in a row before the status turns to critical."),
            .optional(
                "deregister_critical_service_after", .consulDuration, example: "1h",
                "Removes a service that has been critical for this long."),
        ])

    private static let method = TextRule(name: "HTTP method", mayBeEmpty: true) { text in
        guard HTTPToken.isToken(text) else {
            throw MeshError(.invalid, "\(quoted(text)) is not a method: write for example GET")
        }
    }
}

/// The keys of proxies and their upstreams.
package enum ProxyKeys {
    /// Of a sidecar_service: the destination is the service around it.
    package static let schema = ObjectSchema("proxy section", shared)

    /// Of a connect-proxy registered by hand.
    package static let handmade = ObjectSchema(
        "proxy section",
        [
            .optional(
                "destination_service_name", .text(.name(ServiceName.self, "service name")),
                example: "web", "The service the proxy stands for."),
            .optional(
                "destination_service_id", .text(.name(ServiceID.self, "service id")),
                example: "web-1", "The instance the proxy stands for."),
        ] + shared)

    /// Of a proxy that the node manages.
    package static let managed = ObjectSchema(
        "proxy section",
        [
            .key(
                "exec_mode", .choice(["", "daemon"]), default: "",
                "How the command is run: as a daemon, the only way there is.", example: "daemon"),
            .optional(
                "command", .texts, example: "[/usr/local/bin/my-proxy, --quiet]",
                "The program and its arguments; `connect.proxy_defaults` when not given; without "
                    + "any the node's data plane is the proxy."),
            .optional(
                "config", .dataMap, example: "{ bind_port: 20001 }",
                "Options of the proxy as of a sidecar, and `tcp_check_address`, "
                    + "`disable_tcp_check`; a command reads all of them over the API."),
            .optional(
                "upstreams", .objects(upstream),
                example: "[ { destination_name: db, local_bind_port: 9191 } ]",
                "Services that the application reaches on local addresses."),
        ])

    private static let shared: [KeySpec] = [
        .key(
            "local_service_address", .text(.any), default: "127.0.0.1",
            "Where the application listens."),
        .optional(
            "local_service_port", .integer(1...65535), example: "8080",
            "The application's port; the service's when not given."),
        .optional(
            "local_service_socket_path", .path(.socket), example: "/run/web.sock",
            "The application's unix socket, in place of address and port."),
        .key(
            "mode", .text(.any), default: "",
            "`direct`: the application calls the local addresses of upstreams. `transparent`: it "
                + "calls services where they are, and its connections are redirected to the proxy. "
                + "What stands in service-defaults and proxy-defaults when not given, else "
                + "`direct`.", example: "transparent"),
        .optional(
            "transparent_proxy", .object(transparent),
            example: "{ outbound_listener_port: 15001 }", "What a transparent proxy is told."),
        .optional(
            "upstreams", .objects(upstream),
            example: "[ { destination_name: db, local_bind_port: 9191 } ]",
            "Services that the application reaches on local addresses."),
        .optional(
            "config", .dataMap, example: "{ handshake_timeout_ms: 10000 }",
            "Options of the proxy: `bind_address`, `bind_port`, `local_service_address`, "
                + "`local_connect_timeout_ms`, `local_request_timeout_ms`, `handshake_timeout_ms`, "
                + "`max_inbound_connections`, `max_connection_lifetime`, `external`. Others are "
                + "carried as they are."),
        .optional(
            "mesh_gateway", .object(gateway), example: "{ mode: none }",
            "How other datacenters are reached."),
        .optional(
            "expose", .data, example: "{ paths: [ { listener_port: 21500, path: /health } ] }",
            "Paths of the application that are reached without TLS and identity; with "
                + "`checks: true` those of its HTTP checks too."),
    ]

    package static let upstream = ObjectSchema(
        "upstream",
        [
            .required(
                "destination_name", .text(.name(ServiceName.self, "service name")),
                example: "db", "The service to reach."),
            .key(
                "destination_type", .choice(["service", "prepared_query"]), default: "service",
                "What the name is a name of. The instances that a prepared query gives are "
                    + "followed as they change."),
            .optional(
                "destination_namespace", .text(EntryKeys.defaultOnly), example: "default",
                "Only `default` is accepted."),
            .optional(
                "datacenter", .text(.name(DatacenterName.self, "datacenter name")),
                example: "dc2", "Where to look; the node's datacenter when not given."),
            .key(
                "local_bind_address", .text(.any), default: "127.0.0.1",
                "The local address the application connects to."),
            .key(
                "local_bind_port", .integer(0...65535), default: "0",
                "The local port the application connects to.", example: "9191"),
            .optional(
                "local_bind_socket_path", .path(.socket), example: "/run/db.sock",
                "A unix socket in place of address and port."),
            .optional(
                "local_bind_socket_mode", .text(.any), example: "\"0600\"",
                "The socket's permissions in octal."),
            .optional(
                "config", .dataMap, example: "{ connect_timeout_ms: 1000 }",
                "Options of the upstream: `connect_timeout_ms`, `limits`, `passive_health_check`, "
                    + "`protocol`. Others are carried as they are."),
            .optional(
                "mesh_gateway", .object(gateway), example: "{ mode: none }",
                "How other datacenters are reached."),
        ])

    static let transparent = ObjectSchema(
        "transparent_proxy section",
        [
            .optional(
                "outbound_listener_port", .integer(0...65535), example: "15001",
                "The port that connections are redirected to; 15001 when not given."),
            .key(
                "dialed_directly", .bool, default: "false",
                "Whether transparent proxies reach each instance at its own address, as itself; "
                    + "the address stands for the whole service when not."),
        ])

    static let gateway = ObjectSchema(
        "mesh_gateway section",
        [
            .key(
                "mode", .choice(["", "none", "local", "remote"]), default: "",
                "Carried for Consul's clients.", example: "none")
        ])
}
