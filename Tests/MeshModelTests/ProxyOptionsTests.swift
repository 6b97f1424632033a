import MeshModel
import Testing

@Suite struct ProxyOptionsTests {
    private func problems(_ config: [String: DataValue]) -> [String] {
        var checks = FieldChecks()
        _ = ProxyOptions(config, &checks)
        return checks.problems.map { "\($0.path.dotted): \($0.message)" }
    }

    @Test func keysAreReadInAnySpelling() {
        let options = ProxyOptions([
            "bind_address": .string("0.0.0.0"), "BindPort": .double(20_000),
            "local_service_address": .string("127.0.0.1:8080"),
            "localConnectTimeoutMs": .int(250), "HandshakeTimeoutMs": .string("2000"),
            "max_inbound_connections": .int(7), "external": .bool(true),
            "local_request_timeout_ms": .int(900), "envoy_prometheus_bind_addr": .string("x"),
        ])
        #expect(options.bindAddress == "0.0.0.0" && options.bindPort == 20_000)
        #expect(options.localService == HostPort(host: "127.0.0.1", port: 8080))
        #expect(options.localConnectTimeout == .milliseconds(250))
        #expect(options.handshakeTimeout == .seconds(2))
        #expect(options.localRequestTimeout == .milliseconds(900))
        #expect(options.maxInboundConnections == 7 && options.external == true)
    }

    @Test(arguments: [
        ("bind_address", DataValue.string("web.local")), ("bind_port", .int(65_536)),
        ("bind_port", .int(-1)), ("local_service_address", .string("127.0.0.1")),
        ("local_service_address", .string("127.0.0.1:0")), ("handshake_timeout_ms", .int(0)),
        ("handshake_timeout_ms", .int(600_001)), ("local_connect_timeout_ms", .string("fast")),
        ("local_request_timeout_ms", .int(86_400_001)),
        ("max_inbound_connections", .int(1_000_001)), ("external", .string("yes")),
        ("max_connection_lifetime", .string("99ms")), ("max_connection_lifetime", .int(1)),
        ("max_connection_lifetime", .string("24h1s")), ("max_connection_lifetime", .bool(true)),
    ])
    func whatIsWrongIsSaidWithItsKey(key: String, value: DataValue) {
        let found = problems([key: value])
        #expect(found.count == 1 && found.first?.hasPrefix("config.\(key): write") == true)
        #expect(ProxyOptions([key: value]) == ProxyOptions())
    }

    @Test(arguments: [
        ("bind_port", DataValue.int(0)), ("bind_port", .int(65_535)),
        ("handshake_timeout_ms", .int(1)), ("handshake_timeout_ms", .int(600_000)),
        ("local_request_timeout_ms", .int(86_400_000)), ("bind_address", .null),
        ("max_inbound_connections", .int(0)), ("external", .bool(false)),
        ("max_connection_lifetime", .string("0s")), ("max_connection_lifetime", .string("24h")),
        ("max_connection_lifetime", .int(100_000_000)),
    ])
    func boundsAreWithin(key: String, value: DataValue) {
        #expect(problems([key: value]) == [])
    }

    @Test func theFirstThatSaysSomethingWins() throws {
        var defaults = ServiceDefaults(name: try ServiceName("web"), maxInboundConnections: 3)
        defaults.localConnectTimeout = .seconds(2)
        defaults.localRequestTimeout = .zero
        let own = ProxyOptions(["local_connect_timeout_ms": .int(100)])
        let all = ProxyOptions([
            "local_connect_timeout_ms": .int(300), "max_inbound_connections": .int(9),
            "handshake_timeout_ms": .int(400), "local_request_timeout_ms": .int(500),
        ])
        let merged = own.over(ProxyOptions(defaults)).over(all)
        #expect(merged.localConnectTimeout == .milliseconds(100))
        #expect(merged.maxInboundConnections == 3)
        #expect(merged.handshakeTimeout == .milliseconds(400))
        #expect(merged.localRequestTimeout == .milliseconds(500))
    }

    @Test func upstreamsHaveOptionsOfTheirOwn() {
        let options = UpstreamOptions([
            "connect_timeout_ms": .int(1000), "protocol": .string("tcp"),
            "limits": .object(["MaxConnections": .int(3), "max_pending_requests": .null]),
            "passive_health_check": .object([
                "interval": .string("2s"), "max_failures": .int(4),
                "base_ejection_time": .int(30_000_000_000),
            ]),
        ])
        #expect(options.connectTimeout == .seconds(1) && options.serviceProtocol == .tcp)
        #expect(options.limits == UpstreamLimits(maxConnections: 3))
        #expect(
            options.passiveHealthCheck
                == PassiveHealthCheck(
                    interval: .seconds(2), maxFailures: 4, baseEjectionTime: .seconds(30)))
        var checks = FieldChecks()
        _ = UpstreamOptions(
            [
                "limits": .object(["max_connections": .string("many")]),
                "passive_health_check": .int(3), "protocol": .string("smtp"),
            ], &checks)
        #expect(
            checks.problems.map(\.path.dotted).sorted() == [
                "config.limits.max_connections", "config.passive_health_check", "config.protocol",
            ])
    }

    @Test func exposedPaths() {
        let good = DataValue.object([
            "Paths": .array([
                .object(["ListenerPort": .int(21_500), "Path": .string("/health")]),
                .object([
                    "listener_port": .int(21_501), "path": .string("/x"),
                    "local_path_port": .int(8081), "protocol": .string("http2"),
                ]),
            ])
        ])
        #expect(
            ExposedPath.paths(good) == [
                ExposedPath(listenerPort: 21_500, path: "/health"),
                ExposedPath(listenerPort: 21_501, path: "/x", localPathPort: 8081, isHTTP2: true),
            ])
        var checks = FieldChecks()
        ExposedPath.check(
            .object([
                "paths": .array([
                    .int(1), .object(["path": .string("/a")]),
                    .object(["listener_port": .int(70_000), "path": .string("/a")]),
                    .object(["listener_port": .int(80), "path": .string("a")]),
                ])
            ]), &checks)
        #expect(
            checks.problems.map(\.path.dotted) == [
                "paths[0]", "paths[1]", "paths[2].listener_port", "paths[3].path",
            ])
    }
}
