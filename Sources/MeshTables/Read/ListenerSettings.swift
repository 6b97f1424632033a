import CMeshABI

/// What a listener is set to besides its routes, read back from a snapshot.
package struct ListenerSettings: Hashable, Sendable {
    package struct TLS: Hashable, Sendable {
        /// `1.2` or `1.3`.
        package var minVersion: String
        package var maxVersion: String
        /// `none`, `request` or `require`.
        package var clientVerify: String
        package var alpn: [String]
        /// Names with certificates of their own.
        package var serverNames: Int
    }

    package struct ProxyProtocol: Hashable, Sendable {
        /// `v1`, `v2`.
        package var versions: [String]
        package var from: [String]
        /// `refuse` or `direct`.
        package var others: String
        package var timeoutMs: Int
    }

    package struct Forwarded: Hashable, Sendable {
        package var trust: [String]
        package var hops: Int
        /// `x-forwarded`, `forwarded`, `both` or `none`.
        package var headers: String
    }

    package struct Trace: Hashable, Sendable {
        package var start: Bool
        package var sample: Double
        /// Whether spans of sampled requests are sent.
        package var spans = false
    }

    package struct AccessLog: Hashable, Sendable {
        /// A file, `stdout` or `stderr`.
        package var path: String
        package var sample: Double
    }

    package struct Compression: Hashable, Sendable {
        /// The preferred one first, each with its level.
        package var codings: [String]
        package var types: [String]
        package var minLength: Int
    }

    /// nil: plaintext, or TLS that goes on as it is.
    package var tls: TLS?
    /// TLS goes on as it is, by the server name that the client asks for.
    package var passesTLS: Bool
    package var proxyProtocol: ProxyProtocol?
    /// nil for streams.
    package var forwarded: Forwarded?
    package var trace: Trace?
    package var accessLog: AccessLog?
    package var compression: Compression?
    /// Of its connections; nil: as long as they like.
    package var maxLifetimeMs: Int?
}

extension SnapshotReader {
    /// What a listener is set to.
    func settings(of listener: abi_listener) -> ListenerSettings {
        let isL7 = listener.kind == UInt8(ABI_LISTENER_L7.rawValue)
        let hops = listener.hops == ABI_NONE ? nil : self.hops[Int(listener.hops)]
        return ListenerSettings(
            tls: listener.tls == ABI_NONE ? nil : settings(of: tls[Int(listener.tls)]),
            passesTLS: listener.flags & UInt8(ABI_LISTENER_SNI.rawValue) != 0,
            proxyProtocol: hops.flatMap(proxyProtocol),
            forwarded: isL7 ? forwarded(hops) : nil,
            trace: isL7
                ? .init(
                    start: hops?.trace_start == 1,
                    sample: Double(hops?.trace_sample ?? 0) / Double(ABI_TRACE_ALL),
                    spans: hops?.trace_spans == 1)
                : nil,
            accessLog: listener.log == ABI_NONE ? nil : settings(of: logs[Int(listener.log)]),
            compression: listener.compression == ABI_NONE
                ? nil : settings(of: compressions[Int(listener.compression)]),
            maxLifetimeMs: listener.max_lifetime_ms == 0 ? nil : Int(listener.max_lifetime_ms))
    }

    private func settings(of record: abi_compression) -> ListenerSettings.Compression {
        let names = ["gzip", "br", "zstd"]
        let (codings, levels) = withUnsafeBytes(of: record.codings) { codings in
            withUnsafeBytes(of: record.levels) { (Array(codings), Array($0)) }
        }
        let types = mediaTypes[Int(record.types.at)..<Int(record.types.at + record.types.count)]
        return .init(
            codings: codings.prefix(Int(record.coding_count)).map {
                "\(names[Int($0)]) \(levels[Int($0)])"
            },
            types: types.map { text($0) }.map { $0.hasSuffix("/") ? "\($0)*" : $0 },
            minLength: Int(record.min_length))
    }

    private func settings(of tls: abi_tls) -> ListenerSettings.TLS {
        let verify =
            switch abi_tls_verify(rawValue: UInt32(tls.verify)) {
            case ABI_TLS_VERIFY_REQUIRE: "require"
            case ABI_TLS_VERIFY_REQUEST: "request"
            default: "none"
            }
        let names = serverNames[Int(tls.names.at)..<Int(tls.names.at + tls.names.count)]
        return ListenerSettings.TLS(
            minVersion: version(tls.min_version), maxVersion: version(tls.max_version),
            clientVerify: verify, alpn: protocols(tls.alpn),
            serverNames: names.count { $0.name.len > 0 })
    }

    private func version(_ number: UInt16) -> String { number >= 0x0304 ? "1.3" : "1.2" }

    /// The wire form of ALPN: a byte of length before each name.
    private func protocols(_ place: abi_ref) -> [String] {
        let bytes = blob(place)
        var found: [String] = []
        var at = 0
        while at < bytes.count {
            let end = min(at + 1 + Int(bytes[at]), bytes.count)
            found.append(String(decoding: bytes[(at + 1)..<end], as: UTF8.self))
            at = end
        }
        return found
    }

    private func proxyProtocol(_ hops: abi_hops) -> ListenerSettings.ProxyProtocol? {
        guard hops.proxy_in != 0 else { return nil }
        return ListenerSettings.ProxyProtocol(
            versions: proxyVersions(hops.proxy_in), from: networks(hops.proxy_from),
            others: hops.proxy_others == 0 ? "refuse" : "direct",
            timeoutMs: Int(hops.proxy_timeout_ms))
    }

    /// A set of versions of the PROXY protocol.
    func proxyVersions(_ set: UInt8) -> [String] {
        [(ABI_PROXY_V1, "v1"), (ABI_PROXY_V2, "v2")]
            .filter { set & UInt8($0.0.rawValue) != 0 }.map(\.1)
    }

    /// Without a record nobody is believed and X-Forwarded-For is written.
    private func forwarded(_ hops: abi_hops?) -> ListenerSettings.Forwarded {
        guard let hops else { return .init(trust: [], hops: 0, headers: "x-forwarded") }
        let fields = UInt32(hops.fields)
        let headers =
            switch (fields & ABI_HOP_X_FORWARDED.rawValue, fields & ABI_HOP_FORWARDED.rawValue) {
            case (0, 0): "none"
            case (_, 0): "x-forwarded"
            case (0, _): "forwarded"
            default: "both"
            }
        return .init(trust: networks(hops.trust), hops: Int(hops.depth), headers: headers)
    }

    private func networks(_ place: abi_ref) -> [String] {
        networks[Int(place.at)..<Int(place.at + place.count)].map { record in
            "\(NetworkPlan(record))"
        }
    }

    private func settings(of log: abi_log) -> ListenerSettings.AccessLog {
        let path =
            switch abi_log_sink(rawValue: log.sink) {
            case ABI_LOG_STDOUT: "stdout"
            case ABI_LOG_STDERR: "stderr"
            default: text(log.path)
            }
        return .init(path: path, sample: Double(log.sample) / Double(ABI_LOG_SAMPLE_ALL))
    }
}

extension ListenerSettings {
    /// One line for each setting that is not what every listener has.
    package var lines: [(name: String, text: String)] {
        var lines: [(name: String, text: String)] = []
        if let tls {
            let client =
                switch tls.clientVerify {
                case "require": "client certificate required"
                case "request": "client certificate asked for"
                default: "no client certificate"
                }
            let versions =
                tls.minVersion == tls.maxVersion
                ? tls.minVersion : "\(tls.minVersion) to \(tls.maxVersion)"
            lines.append(
                (
                    "tls",
                    ([versions, client]
                        + (tls.alpn.isEmpty ? [] : [tls.alpn.joined(separator: " ")])
                        + (tls.serverNames == 0 ? [] : ["\(tls.serverNames) server names"]))
                        .joined(separator: ", ")
                ))
        }
        if passesTLS { lines.append(("sni", "TLS goes on as it is, by its server name")) }
        if let proxyProtocol {
            let versions = proxyProtocol.versions.joined(separator: ", ")
            lines.append(
                (
                    "proxy_protocol",
                    "\(versions) from \(Self.list(proxyProtocol.from)) within "
                        + "\(proxyProtocol.timeoutMs) ms; others are "
                        + (proxyProtocol.others == "refuse" ? "closed" : "served without")
                ))
        }
        if let forwarded, !forwarded.trust.isEmpty || forwarded.headers != "x-forwarded" {
            let trust =
                forwarded.trust.isEmpty
                ? "nobody is believed"
                : "at most \(forwarded.hops) hops of \(Self.list(forwarded.trust)) are believed"
            lines.append(("forwarded", "\(trust); headers: \(forwarded.headers)"))
        }
        if let trace, trace.start || trace.spans {
            let begun =
                trace.start ? ["begun here, \(trace.sample * 100) % sampled"] : ["of callers only"]
            let told = trace.spans ? ["spans are sent"] : []
            lines.append(("trace", (begun + told).joined(separator: "; ")))
        }
        if let accessLog {
            let share = accessLog.sample < 1 ? ", \(accessLog.sample * 100) % of what is ok" : ""
            lines.append(("access_log", accessLog.path + share))
        }
        if let compression {
            lines.append(
                (
                    "compression",
                    "\(compression.codings.joined(separator: ", ")) from "
                        + "\(compression.minLength) bytes on, for "
                        + compression.types.joined(separator: ", ")
                ))
        }
        if let maxLifetimeMs {
            lines.append(
                (
                    "max_connection_lifetime",
                    "connections end after \(maxLifetimeMs - maxLifetimeMs / 10) to "
                        + "\(maxLifetimeMs) ms"
                ))
        }
        return lines
    }

    private static func list(_ networks: [String]) -> String {
        networks.prefix(8).joined(separator: ", ")
            + (networks.count > 8 ? " and \(networks.count - 8) more" : "")
    }
}
