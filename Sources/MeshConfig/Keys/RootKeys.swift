import MeshModel

/// The keys of the configuration file.
package enum RootKeys {
    package static let schema = ObjectSchema(
        "configuration",
        [
            .optional(
                "node", .object(node), example: "{ name: node-1 }",
                "Who this node is in the mesh."),
            .optional(
                "admin", .object(admin), example: "{ bind_addr: 127.0.0.1:8002 }",
                "The admin interface: health, metrics and what meshctl talks to."),
            .optional(
                "api", .object(api), example: "{ bind_addr: 127.0.0.1:8500 }",
                "The Consul-compatible API."),
            .optional(
                "acl", .object(StateKeys.acl), example: "{ enabled: true }",
                "Who may do what over the Consul-compatible API."),
            .optional(
                "dns", .object(StateKeys.dns), example: "{ bind_addr: 127.0.0.1:8600 }",
                "The catalog for resolvers."),
            .optional(
                "store", .object(store), example: "{ driver: sqlite }", "Where state is kept."),
            .optional(
                "dataplane", .object(dataplane), example: "{ workers: 2 }",
                "The processes that move the bytes."),
            .optional(
                "mesh", .object(mesh), example: "{ intentions_default: deny }",
                "Identities and who may talk to whom."),
            .optional(
                "connect", .object(ManagedProxyKeys.connect),
                example: "{ proxy_defaults: { command: [my-proxy] } }",
                "Proxies that the node manages."),
            .optional(
                "ports", .object(ManagedProxyKeys.ports), example: "{ proxy_min_port: 20000 }",
                "Ports that are given to proxies, as Consul's agent has them."),
            .optional(
                "tls", .object(tls), example: "{ ticket_rotation: 12h }",
                "TLS of all listeners of the node."),
            .optional(
                "server", .object(server), example: "{ graceful_shutdown_timeout: 1m }",
                "The life of the control plane itself."),
            .optional("log", .object(log), example: "{ level: info }", "What is logged."),
            .optional(
                "access_log", .object(ListenerKeys.nodeAccessLog), example: "{ path: stdout }",
                "One line per request and per l4 connection."),
            .optional(
                "tracing", .object(tracing),
                example: "{ otlp: { endpoint: \"http://127.0.0.1:4318\" } }",
                "Spans of sampled requests, for a collector of OpenTelemetry."),
            .optional(
                "services", .objects(ServiceKeys.schema),
                example: "[ { name: web, port: 8080 } ]",
                "Services of this node, in Consul's shape."),
            .key(
                "services_dir", .path(.existingFolder), default: "",
                "A folder of service documents (.yaml, .yml, .json), watched for changes.",
                example: "/etc/ringmesh/services"),
            .optional(
                "config_entries", .entries,
                example: "[ { kind: service-defaults, name: web, protocol: http } ]",
                "Central policy, in Consul's shape."),
            .key(
                "config_entries_dir", .path(.existingFolder), default: "",
                "A folder of config-entry documents (.yaml, .yml, .json), watched for changes.",
                example: "/etc/ringmesh/entries"),
            .optional(
                "listeners", .objects(ListenerKeys.schema),
                example: "[ { name: public, bind_addr: 127.0.0.1:8080, kind: l7, service: web } ]",
                "Plain entry points: no mesh is needed to use them."),
        ])

    static let node = ObjectSchema(
        "node section",
        [
            .key(
                "name", .text(.name(NodeName.self, "node name")), default: "",
                "The node's name, unique in its datacenter. Empty takes the machine's name.",
                example: "node-1"),
            .key(
                "datacenter", .text(.name(DatacenterName.self, "datacenter name")), default: "dc1",
                "The datacenter the node is in; it stands in every identity it issues."),
            .key(
                "address", .text(hostRule), default: "127.0.0.1",
                "The address other nodes reach this one at; services without an address of their "
                    + "own have it.", example: "10.0.0.11"),
            .optional(
                "meta", .textMap, example: "{ site: paris }", "Labels of the node."),
            .optional(
                "locality", .object(ServiceKeys.locality),
                example: "{ region: eu-west, zone: eu-west-1a }",
                "Where the node runs: `prioritize_by_locality` of resolvers prefers what is near."),
        ])

    static let admin = ObjectSchema(
        "admin section",
        [
            .key(
                "bind_addr", .address, default: "127.0.0.1:8002",
                "Where the admin interface listens. Writes over TCP need `token_file`. Empty "
                    + "turns the port off."),
            .key(
                "socket", .path(.socket), default: "/run/ringmesh/admin.sock",
                "The unix socket of the admin interface, open to its owner only. Empty turns it "
                    + "off."),
            .key(
                "token_file", .path(.existingFile), default: "",
                "A file with the bearer token that allows writes over TCP, and that other machines "
                    + "then need for reading too (except /health and /ready). Empty allows no "
                    + "writes over TCP.",
                example: "/etc/ringmesh/admin.token"),
        ])

    static let api = ObjectSchema(
        "api section",
        [
            .key(
                "bind_addr", .address, default: "127.0.0.1:8500",
                "Where the Consul-compatible API listens: everybody who reaches it may read and "
                    + "change what it serves, private keys of certificates too. Empty turns the "
                    + "port off."),
            .key(
                "socket", .path(.socket), default: "",
                "A unix socket of the same API, open to its owner only. Empty turns it off.",
                example: "/run/ringmesh/consul.sock"),
            .optional(
                "tls", .object(apiTLS), example: "{ cert: api.crt, key: api.key }",
                "TLS of `bind_addr`. Without it the API is plain HTTP."),
        ])

    static let apiTLS = ObjectSchema(
        "api.tls section",
        [
            .key(
                "cert", .path(.existingFile), default: "",
                "The certificate chain in PEM, leaf first. It goes with `key`.",
                example: "api.crt"),
            .key(
                "key", .path(.existingFile), default: "", "The private key of `cert` in PEM.",
                example: "api.key"),
            .key(
                "client_ca", .path(.existingFile), default: "",
                "Certificates in PEM to one of which a client's must lead. Empty asks for none.",
                example: "clients.crt"),
        ])

    static let store = ObjectSchema(
        "store section",
        [
            .key(
                "driver", .choice(["sqlite"]), default: "sqlite",
                "What keeps the state."),
            .key(
                "path", .path(.any), default: "/var/lib/ringmesh/state.db",
                "The database file. Its folder is made when absent."),
            .key(
                "key_file", .path(.any), default: "/etc/ringmesh/store.key",
                "The key that private keys in the store are encrypted with. Made at the first "
                    + "start, mode 0600; keep it out of the database's folder."),
        ])

    static let dataplane = ObjectSchema(
        "dataplane section",
        [
            .key(
                "workers", .integer(0...CPUList.most), default: "0",
                "Worker processes, each with one core. 0 takes one per core of `cpus`."),
            .key(
                "cpus", .text(cpusRule), default: "",
                "The cores that workers are pinned to. Empty takes all that this process may use.",
                example: "0-3,6"),
            .key(
                "control_socket", .path(.socket), default: "/run/ringmesh/control.sock",
                "The unix socket between control plane and data plane."),
            .key(
                "tcp_congestion", .text(congestionRule), default: "",
                "The congestion control of all connections. Empty keeps the system's.",
                example: "bbr"),
            .key(
                "managed", .bool, default: "true",
                "Whether the control plane starts and stops the data plane. false when a service "
                    + "manager does."),
            .key(
                "path", .path(.executable), default: "",
                "The data plane's program. Empty takes `dataplane` beside this program.",
                example: "/usr/lib/ringmesh/dataplane"),
            .key(
                "engine", .choice(["auto", "io_uring", "epoll"]), default: "auto",
                "How workers wait for the network. auto takes io_uring where the kernel allows "
                    + "it, else epoll, and logs why; io_uring where it is not allowed fails."),
            .key(
                "drain_timeout", .duration(.zero ... .hours(24), zero: true), default: "30s",
                "How long stopping workers let connections finish."),
            .key(
                "log_file", .path(.any), default: "",
                "Where the data plane logs. Empty takes the control plane's standard error.",
                example: "/var/log/ringmesh/dataplane.log"),
        ])

    static let mesh = ObjectSchema(
        "mesh section",
        [
            .key(
                "trust_domain", .text(.name(TrustDomain.self, "trust domain")), default: "",
                "The domain of all identities. Empty makes one at the first start and keeps it.",
                example: "mesh.example.com"),
            .key(
                "intentions_default", .choice(["allow", "deny"]), default: "deny",
                "What happens to connections that no intention covers."),
            .key(
                "leaf_ttl", .duration(.hours(1) ... .hours(8760), zero: false), default: "72h",
                "How long a service's certificate is valid. It is renewed between 60 % and 90 % of "
                    + "that."),
            .key(
                "root_ttl", .duration(.hours(24) ... .hours(876_000), zero: false),
                default: "87600h",
                "How long a root that this installation makes is valid."),
            .key(
                "ca_cert", .path(.any), default: "",
                "A root that was made elsewhere, PEM: it signs instead of one of our own. Another "
                    + "root in the file takes over at the next start, or at `meshctl ca rotate`.",
                example: "/etc/ringmesh/ca.crt"),
            .key(
                "ca_key", .path(.any), default: "",
                "The P-256 key of `ca_cert`, PEM, without a passphrase.",
                example: "/etc/ringmesh/ca.key"),
            .key(
                "crl", .path(.any), default: "",
                "Lists of revoked certificates in PEM, one of each root of `ca_cert` that is still "
                    + "believed: sidecars refuse the peers in them, in both directions. Looked at "
                    + "every second.",
                example: "/etc/ringmesh/mesh.crl"),
            .key(
                "csr_max_per_second", .integer(0...100_000), default: "50",
                "How many certificates are signed in a second for clients of the Consul-compatible "
                    + "API. Who would wait longer than 500 ms is refused. 0: no bound."),
            .key(
                "sidecar_min_port", .integer(1...65535), default: "21000",
                "The first port given to sidecars that name none."),
            .key(
                "sidecar_max_port", .integer(1...65535), default: "21255",
                "The last port given to sidecars that name none."),
        ])

    static let tls = ObjectSchema(
        "tls section",
        [
            .key(
                "ticket_rotation", .duration(.seconds(2) ... .hours(720), zero: false),
                default: "12h",
                "How long a key makes session tickets before the next takes over. Tickets are good "
                    + "for an hour, or four times this when that is less: in every worker, also "
                    + "after a rotation or a restart.")
        ])

    static let server = ObjectSchema(
        "server section",
        [
            .key(
                "graceful_shutdown_timeout", .duration(.zero ... .hours(24), zero: true),
                default: "1m",
                "How long the control plane takes at most to stop after SIGTERM.")
        ])

    static let log = ObjectSchema(
        "log section",
        [
            .key(
                "level", .choice(["debug", "info", "warn", "error"]), default: "info",
                "The least serious messages that are logged."),
            .optional(
                "subsystems", .texts, example: "[store, workers]",
                "Subsystems whose messages are logged from debug on, whatever `level` says."),
        ])

    static let tracing = ObjectSchema(
        "tracing section",
        [
            .optional(
                "otlp", .object(otlp), example: "{ endpoint: \"http://127.0.0.1:4318\" }",
                "Where spans are sent."),
            .key(
                "sample", .decimal, default: "0.01",
                "The share of requests without a sound traceparent that is sampled, 0 to 1; for "
                    + "others the caller has decided. A listener with `trace.start` has its own.",
                example: "0.1"),
            .key(
                "service_name", .text(.any), default: "ringmesh",
                "The `service.name` of spans of the node's own listeners; those of sidecars have "
                    + "that of their service."),
        ])

    static let otlp = ObjectSchema(
        "otlp section",
        [
            .key(
                "endpoint", .text(endpointRule), default: "",
                "The collector's URL. Without a path /v1/traces is asked. Empty sends nothing, "
                    + "and no spans are made.",
                example: "http://127.0.0.1:4318"),
            .optional(
                "headers", .textMap, example: "{ authorization: \"Bearer ${OTLP_TOKEN}\" }",
                "Fields of every request to it. Values are secret: they are never shown."),
            .key(
                "timeout", .duration(.milliseconds(100) ... .seconds(300), zero: false),
                default: "10s", "How long one request to it may take."),
            .key(
                "compression", .choice(["none", "gzip"]), default: "none",
                "How bodies of requests to it are coded.", example: "gzip"),
        ])

    private static let endpointRule = TextRule(name: "URL of a collector", mayBeEmpty: true) {
        _ = try TracingDefinition.url($0)
    }

    /// Keys that only flags have: they say what to read.
    package static let flagsOnly = ObjectSchema(
        "config section",
        [
            .key(
                "path", .path(.any), default: "", "The configuration file.",
                example: "/etc/ringmesh/config.yaml"),
            .key(
                "expand_env", .bool, default: "false",
                "Whether `$VAR`, `${VAR}` and `${VAR:default}` in the file are replaced from the "
                    + "environment; `$$` is a dollar sign."),
        ])

    static let hostRule = TextRule(name: "IP address or host name", mayBeEmpty: false) { text in
        guard IPText.isHost(text[...]) else {
            throw MeshError(
                .invalid,
                "\(quoted(text)) is neither an address nor a host name: write for example 10.0.0.11"
            )
        }
    }

    private static let cpusRule = TextRule(name: "list of cores", mayBeEmpty: true) { text in
        guard CPUList.parse(text) != nil else {
            throw MeshError(
                .invalid,
                "\(quoted(text)) is not a list of cores: write numbers and ranges of 0 to "
                    + "\(CPUList.limit - 1), each core once and \(CPUList.most) at most, for "
                    + "example 0-3,6")
        }
    }

    private static let congestionRule = TextRule(
        name: "name of a congestion control", mayBeEmpty: true
    ) { text in
        let isName = text.utf8.allSatisfy {
            (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f || $0 == 0x2d
        }
        guard isName, text.utf8.count <= 15 else {
            throw MeshError(
                .invalid, "\(quoted(text)) is not a congestion control: write for example bbr")
        }
    }
}

/// Lists of cores as the kernel writes them: `0-3,6`.
package enum CPUList {
    /// One more than the highest core that can be named.
    package static let limit = 1024
    /// As many as a data plane has workers at most: one core each.
    package static let most = 64

    /// The cores in order, or nil when the text is not such a list or names a core twice.
    package static func parse(_ text: String) -> [Int]? {
        var cores: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = part.split(separator: "-", omittingEmptySubsequences: false)
                .map { Scalars.integer(String($0)) }
            guard (1...2).contains(ends.count), let first = ends[0],
                let last = ends[ends.count - 1], first <= last, (0..<limit).contains(first),
                (0..<limit).contains(last)
            else { return nil }
            let part = Set(first...last)
            guard cores.isDisjoint(with: part) else { return nil }
            cores.formUnion(part)
        }
        return cores.count <= most ? cores.sorted() : nil
    }
}
