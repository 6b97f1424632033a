import Foundation
import MeshAdminAPI
import MeshTelemetry

/// One value of every report, with every field set.
enum Sample {
    static let then = Date(timeIntervalSince1970: 1_800_000_000)

    static let metrics = [
        MetricFamily(
            name: "ringmesh_generation", help: "Newest live generation.", kind: .gauge,
            samples: [MetricSample(.count(7))])
    ]

    static let status = StatusReport(
        node: "node-1", datacenter: "dc1", version: "0.1.0", trustDomain: "a1b2.ringmesh",
        startedAt: then, ready: true, readyReason: "why not", generation: 7, builtGeneration: 8,
        dataplane: DataPlaneReport(
            connected: true, pid: 100, engine: "io_uring", kernelTls: false, version: "0.1.0",
            managed: true),
        workers: [
            WorkerReport(
                id: 0, pid: 101, state: "serving", generation: 7, connections: 3,
                upstreamConnections: 2, requestsActive: 1, accepted: 9, starts: 1,
                heartbeatAgeMs: 4)
        ],
        store: StoreReport(healthy: false, index: 12, error: "the disk is full"),
        problems: [ProblemReport(since: then, subsystem: "store", message: "the disk is full")])

    static let services = [
        ServiceReport(
            name: "web", protocol: "http", instances: 3, passing: 1, warning: 1, critical: 1,
            tags: ["v1"], sidecar: true)
    ]

    static let instances = [
        InstanceReport(
            id: "web-1", service: "web", node: "node-1", address: "127.0.0.1:8080",
            status: "passing", sidecar: "127.0.0.1:21000", tags: ["v1"], meta: ["version": "1"],
            checks: [
                .init(id: "c1", name: "http", kind: "http", status: "passing", output: "200 OK")
            ],
            origin: "mesh.yaml:3:5"),
        InstanceReport(
            id: "api", service: "api", node: "node-1", address: "127.0.0.1:8081",
            status: "critical", sidecar: nil, tags: [], meta: [:],
            checks: [
                .init(
                    id: "c2", name: "tcp", kind: "tcp", status: "critical",
                    output: "connection refused")
            ], origin: "api"),
    ]

    static let proxies = [
        ProxyReport(
            id: "web-proxy", service: "web", kind: "command", address: "127.0.0.1:20000",
            upstreams: ["db"], state: "running",
            process: ProxyReport.Process(
                pid: 77, starts: 2, since: nil, adopted: false, end: "ended with status 3"),
            origin: "node.yaml:3:5")
    ]

    static let checks = [
        CheckStateReport(
            id: "service:web", name: "alive", kind: "ttl", instance: "web-1", service: "web",
            status: "warning", output: "queue is long", proven: true),
        CheckStateReport(
            id: "service:api", name: "service:api", kind: "tcp", instance: "api", service: "api",
            status: "critical", output: "", proven: false),
    ]

    static let checkUpdate = CheckUpdate(status: "critical", output: "the disk is full")

    static let intentions = [
        IntentionReport(
            source: "api", destination: "web", action: "permissions", permissions: 2,
            precedence: 9, description: "orders", origin: "api")
    ]

    static let check = IntentionCheckReport(
        source: "api", destination: "web", allowed: true, dependsOnRequest: false,
        reason: "api => web: allow", origin: "mesh.yaml:9:5")

    static let routes = RoutesReport(
        generation: 7,
        listeners: [
            ListenerReport(
                name: "public", address: "127.0.0.1:8000", kind: "l7", tls: "mtls",
                role: "plain", identity: "spiffe://a1b2.ringmesh/ns/default/dc/dc1/svc/edge",
                routes: [
                    .init(
                        host: "*", match: "path /", action: "forward web", rule: "routes[0]",
                        origin: "mesh.yaml:20:5")
                ], settings: settings)
        ],
        targets: [
            TargetReport(
                name: "web.default.dc1", service: "web",
                endpoints: [
                    .init(
                        instance: "web-1", node: "node-1", address: "127.0.0.1:21000", tls: true,
                        healthy: true, weight: 1)
                ], failover: ["web.dc2"], proxyProtocol: "v2")
        ])

    static let settings = {
        var settings = ListenerSettingsReport(
            lines: [
                .init(name: "tls", text: "1.2 to 1.3, client certificate required, http/1.1"),
                .init(name: "access_log", text: "stdout"),
            ])
        settings.tls = .init(
            minVersion: "1.2", maxVersion: "1.3", clientVerify: "require", alpn: ["http/1.1"],
            serverNames: 2)
        settings.proxyProtocol = .init(
            versions: ["v1", "v2"], from: ["10.0.0.0/8"], others: "refuse", timeoutMs: 3000)
        settings.forwarded = .init(trust: ["10.0.0.0/8"], hops: 2, headers: "both")
        settings.trace = .init(start: true, sample: 0.1)
        settings.accessLog = .init(path: "stdout", sample: 1)
        return settings
    }()

    static let stats = StatsReport(
        listeners: [
            .init(
                name: "public", counters: ["accepted": 5, "responses_2xx": 4],
                outcomes: ["completed": 4],
                latency: .init(count: 4, sumUs: 400, p50Us: 90, p90Us: 100, p99Us: 120))
        ],
        targets: [
            .init(
                name: "web.default.dc1", counters: ["connects": 2],
                latency: .init(count: 4, sumUs: 300, p50Us: 70, p90Us: 80, p99Us: 90))
        ],
        workers: [.init(id: 0, counters: ["accepted": 5])])

    static let certificates = [
        CertificateReport(
            service: "web", uri: "spiffe://a1b2.ringmesh/ns/default/dc/dc1/svc/web",
            serial: "0a0b", notBefore: then, notAfter: then + 259_200, renewAt: then + 180_000)
    ]

    static let roots = [
        RootReport(
            id: "0c0d", name: "Ringmesh CA", active: true, notBefore: then,
            notAfter: then + 315_360_000, pem: "-----BEGIN CERTIFICATE-----\n")
    ]

    static let authority = AuthorityReport(
        provider: "builtin", trustDomain: "a1b2.consul", leafTtlSeconds: 259_200,
        roots: [
            .init(
                id: "0c0d", active: true, notBefore: then, notAfter: then + 315_360_000,
                rotatedOutAt: nil, crossSigned: 1, leaves: 2),
            .init(
                id: "0a0b", active: false, notBefore: then - 86_400,
                notAfter: then + 315_273_600, rotatedOutAt: then, crossSigned: 0, leaves: 1),
        ])

    static let explanation = ExplainReport(
        generation: 7,
        phases: [
            .init(
                phase: "listener", verdict: "matched", detail: "", rule: "public",
                origin: "mesh.yaml:18:3")
        ],
        outcome: "forwarded")

    static let explainRequest = ExplainRequest(
        method: "GET", url: "http://web/", headers: [.init(name: "Accept", value: "*/*")],
        from: "api", token: "t", listener: "public")

    static let intentionRequest = IntentionRequest(
        source: "api", destination: "web", action: "allow", description: "orders", replace: true)

    static let refusedChange = ChangeReport(
        outcome: .refused, generation: 8, laggards: [1],
        refusals: [.init(worker: 0, reason: "record 3 points outside")])

    /// Consul's document of a service about which nothing is written.
    static func chain(of service: String, in datacenter: String) -> String {
        let id = "\(service).default.\(datacenter)"
        return """
            {
                "Chain": {
                    "ServiceName": "\(service)",
                    "Namespace": "default",
                    "Datacenter": "\(datacenter)",
                    "Protocol": "http",
                    "StartNode": "resolver:\(id)",
                    "Nodes": {
                        "resolver:\(id)": {
                            "Type": "resolver",
                            "Name": "\(id)",
                            "Resolver": {
                                "ConnectTimeout": "5s",
                                "Default": true,
                                "Target": "\(id)"
                            }
                        }
                    },
                    "Targets": {
                        "\(id)": {
                            "ID": "\(id)",
                            "Service": "\(service)"
                        }
                    }
                }
            }

            """
    }
}
