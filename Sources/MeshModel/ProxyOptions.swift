/// What the options of a proxy come to: its own `config`; for what that leaves open, the defaults
/// of its service; for what those leave open, the defaults of all proxies.
///
/// Keys that mean nothing here are options of other proxies: they are carried and not looked at.
package struct ProxyOptions: Hashable, Sendable {
    /// Where the proxy listens, in place of the address that is registered for it.
    package var bindAddress: String?
    package var bindPort: UInt16?
    /// The application, where the proxy's registration names no port and no socket.
    package var localService: HostPort?
    package var localConnectTimeout: MeshDuration?
    package var localRequestTimeout: MeshDuration?
    package var handshakeTimeout: MeshDuration?
    /// To the application, in the whole node; 0: unlimited.
    package var maxInboundConnections: Int?
    /// Of connections that the proxy takes and makes; zero: they last as long as they like.
    package var maxConnectionLifetime: MeshDuration?
    /// Whether its operator runs the proxy: then the data plane does not listen for it.
    package var external: Bool?
    /// Of a proxy that is dialled to see whether it listens: where, or not at all.
    package var tcpCheckAddress: HostPort?
    package var disableTCPCheck: Bool?

    package init() {}

    /// These, and for what they leave open others.
    package func over(_ defaults: ProxyOptions) -> ProxyOptions {
        var all = self
        all.bindAddress = bindAddress ?? defaults.bindAddress
        all.bindPort = bindPort ?? defaults.bindPort
        all.localService = localService ?? defaults.localService
        all.localConnectTimeout = localConnectTimeout ?? defaults.localConnectTimeout
        all.localRequestTimeout = localRequestTimeout ?? defaults.localRequestTimeout
        all.handshakeTimeout = handshakeTimeout ?? defaults.handshakeTimeout
        all.maxInboundConnections = maxInboundConnections ?? defaults.maxInboundConnections
        all.maxConnectionLifetime = maxConnectionLifetime ?? defaults.maxConnectionLifetime
        all.external = external ?? defaults.external
        return all
    }

    /// What the defaults of a service say about its proxies.
    package init(_ defaults: ServiceDefaults) {
        localConnectTimeout = defaults.localConnectTimeout.flatMap { $0 > .zero ? $0 : nil }
        localRequestTimeout = defaults.localRequestTimeout.flatMap { $0 > .zero ? $0 : nil }
        maxInboundConnections = defaults.maxInboundConnections
        maxConnectionLifetime = defaults.maxConnectionLifetime
    }

    /// Reads a `config`; what is wrong in it is left out.
    package init(_ config: [String: DataValue]) {
        var ignored = FieldChecks()
        self.init(config, &ignored)
    }

    /// Reads a `config` and reports what is wrong in it under `config`.
    package init(_ config: [String: DataValue], _ checks: inout FieldChecks) {
        var reader = OptionReader(config, checks)
        bindAddress = reader.address("bind_address")
        bindPort = reader.whole("bind_port", 0...65535).flatMap { $0 == 0 ? nil : UInt16($0) }
        localService = reader.hostPort("local_service_address")
        localConnectTimeout = reader.milliseconds("local_connect_timeout_ms")
        localRequestTimeout = reader.milliseconds("local_request_timeout_ms", upTo: .hours(24))
        handshakeTimeout = reader.milliseconds("handshake_timeout_ms")
        maxInboundConnections = reader.whole("max_inbound_connections", 0...1_000_000)
        maxConnectionLifetime = reader.lifetime("max_connection_lifetime")
        external = reader.bool("external")
        tcpCheckAddress = reader.hostPort("tcp_check_address")
        disableTCPCheck = reader.bool("disable_tcp_check")
        checks = reader.checks
    }
}

/// What the options of one upstream come to, as with ``ProxyOptions``.
package struct UpstreamOptions: Hashable, Sendable {
    package var connectTimeout: MeshDuration?
    package var limits: UpstreamLimits?
    package var passiveHealthCheck: PassiveHealthCheck?
    /// `tcp` passes on bytes whatever the service speaks.
    package var serviceProtocol: ServiceProtocol?

    package init() {}

    /// Reads the `config` of an upstream; what is wrong in it is left out.
    package init(_ config: [String: DataValue]) {
        var ignored = FieldChecks()
        self.init(config, &ignored)
    }

    /// Reads the `config` of an upstream and reports what is wrong in it under `config`.
    package init(_ config: [String: DataValue], _ checks: inout FieldChecks) {
        var reader = OptionReader(config, checks)
        connectTimeout = reader.milliseconds("connect_timeout_ms")
        serviceProtocol = reader.choice("protocol")
        limits = reader.object("limits").map { members in
            var inner = OptionReader(members, reader.checks, ["config", "limits"])
            defer { reader.checks = inner.checks }
            return UpstreamLimits(
                maxConnections: inner.whole("max_connections", 0...1_000_000),
                maxPendingRequests: inner.whole("max_pending_requests", 0...1_000_000),
                maxConcurrentRequests: inner.whole("max_concurrent_requests", 0...1_000_000),
                maxRetries: inner.whole("max_retries", 0...1_000_000))
        }
        passiveHealthCheck = reader.object("passive_health_check").map { members in
            var inner = OptionReader(members, reader.checks, ["config", "passive_health_check"])
            defer { reader.checks = inner.checks }
            return PassiveHealthCheck(
                interval: inner.duration("interval"),
                maxFailures: inner.whole("max_failures", 0...1_000_000),
                maxGatewayFailures: inner.whole("max_gateway_failures", 0...1_000_000),
                enforcingConsecutive5xx: inner.whole("enforcing_consecutive_5xx", 0...100),
                maxEjectionPercent: inner.whole("max_ejection_percent", 0...100),
                baseEjectionTime: inner.duration("base_ejection_time"),
                maxEjectionTime: inner.duration("max_ejection_time"))
        }
        checks = reader.checks
    }
}

/// Reads members of plain data whose keys may be spelt in any of the usual ways.
struct OptionReader {
    private let members: [String: (key: String, value: DataValue)]
    private let path: [FieldStep]
    var checks: FieldChecks

    init(
        _ members: [String: DataValue], _ checks: FieldChecks, _ path: [FieldStep] = ["config"]
    ) {
        self.members = Dictionary(
            members.sorted { $0.key < $1.key }.map { (FoldedKey($0.key).text, ($0.key, $0.value)) }
        ) { first, _ in first }
        self.checks = checks
        self.path = path
    }

    /// The member; nil when there is none or it is null.
    private func member(_ key: String) -> (key: String, value: DataValue)? {
        members[FoldedKey(key).text].flatMap { $0.value == .null ? nil : $0 }
    }

    /// What `read` makes of a member; nil and reported when it makes nothing of it.
    private mutating func read<Value>(
        _ key: String, _ what: String, _ read: (DataValue) -> Value?
    ) -> Value? {
        guard let (spelt, value) = member(key) else { return nil }
        if let found = read(value) { return found }
        checks.fail(path + [.key(spelt)], what)
        return nil
    }

    mutating func whole(_ key: String, _ range: ClosedRange<Int64>) -> Int? {
        read(key, "write a number of \(range.lowerBound) to \(range.upperBound)") { value in
            value.int.flatMap { range.contains($0) ? Int($0) : nil }
        }
    }

    mutating func milliseconds(
        _ key: String, upTo most: MeshDuration = .seconds(600)
    ) -> MeshDuration? {
        let limit = most.nanoseconds / 1_000_000
        return read(key, "write milliseconds of 1 to \(limit)") { value in
            value.int.flatMap { (1...limit).contains($0) ? .milliseconds($0) : nil }
        }
    }

    mutating func duration(_ key: String) -> MeshDuration? {
        read(key, "write a time of 1ms to 24h, for example 10s") { value in
            Self.time(value).flatMap { $0 >= .milliseconds(1) && $0 <= .hours(24) ? $0 : nil }
        }
    }

    mutating func lifetime(_ key: String) -> MeshDuration? {
        read(key, ConnectionLifetime.advice) { value in
            Self.time(value).flatMap { ConnectionLifetime.isSound($0) ? $0 : nil }
        }
    }

    /// A time as Consul writes it: text, or nanoseconds.
    private static func time(_ value: DataValue) -> MeshDuration? {
        value.string.flatMap { try? MeshDuration($0) }
            ?? value.int.map { MeshDuration(nanoseconds: $0) }
    }

    mutating func bool(_ key: String) -> Bool? {
        read(key, "write true or false") { value in
            if case .bool(let truth) = value { return truth }
            return nil
        }
    }

    mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: String
    ) -> Choice? where Choice.RawValue == String {
        let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        return read(key, "write one of \(names)") { value in
            value.string.flatMap { Choice(rawValue: $0.lowercased()) }
        }
    }

    mutating func address(_ key: String) -> String? {
        read(key, "write an IP address to listen on, for example 0.0.0.0") { value in
            value.string.flatMap { IPText.isAddress($0[...]) ? $0 : nil }
        }
    }

    mutating func hostPort(_ key: String) -> HostPort? {
        read(key, "write an IP address with its port, for example 127.0.0.1:8080") { value in
            guard let address = value.string.flatMap({ try? HostPort($0) }),
                address.port != 0,
                IPText.isAddress(address.host[...]) || address.host == "localhost"
            else { return nil }
            return address
        }
    }

    mutating func object(_ key: String) -> [String: DataValue]? {
        read(key, "write a section of keys and values") { value in
            if case .object(let members) = value { return members }
            return nil
        }
    }
}
