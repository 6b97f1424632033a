import MeshModel

/// The entries of gateways in the shape of documents.
extension Rendering {
    static func ingress(_ value: IngressGateway) -> [(String, YAMLValue?)] {
        [
            ("tls", tls(value.tls)), ("listeners", list(value.listeners, listener)),
            ("defaults", value.defaults.flatMap { .section(ceilings($0)) }),
            ("meta", .texts(value.meta)),
        ]
    }

    private static func listener(_ value: IngressGateway.Listener) -> YAMLValue {
        .section([
            ("port", .number(Int(value.port))), ("protocol", .text(value.serviceProtocol.rawValue)),
            ("services", list(value.services, service)), ("tls", value.tls.flatMap(tls)),
        ]) ?? .map([])
    }

    private static func service(_ value: IngressGateway.Service) -> YAMLValue {
        .section(
            [
                ("name", .text(value.name.description)), ("hosts", .texts(value.hosts)),
                ("request_headers", value.requestHeaders.map(modifiers)),
                ("response_headers", value.responseHeaders.map(modifiers)),
            ] + (value.limits.map(ceilings) ?? [])) ?? .map([])
    }

    private static func ceilings(_ value: UpstreamLimits) -> [(String, YAMLValue?)] {
        [
            ("max_connections", value.maxConnections.map { .number($0) }),
            ("max_pending_requests", value.maxPendingRequests.map { .number($0) }),
            ("max_concurrent_requests", value.maxConcurrentRequests.map { .number($0) }),
        ]
    }

    private static func tls(_ value: IngressGateway.TLS) -> YAMLValue? {
        guard value != IngressGateway.TLS() else { return nil }
        func name(_ version: ListenerDefinition.TLSVersion?) -> YAMLValue? {
            version.flatMap { wanted in
                GatewayKeys.versions.first { $0.value == wanted }.map { .text($0.key) }
            }
        }
        return .section([
            ("enabled", .bool(value.enabled)), ("tls_min_version", name(value.minVersion)),
            ("tls_max_version", name(value.maxVersion)),
            (
                "certs",
                list(value.certs) { .map([("cert", .text($0.cert)), ("key", .text($0.key))]) }
            ),
        ])
    }

    static func linked(_ value: TerminatingGateway.Service) -> YAMLValue {
        func filled(_ text: String) -> YAMLValue? { text.isEmpty ? nil : .text(text) }
        return .section([
            ("name", .text(value.name.description)), ("ca_file", filled(value.caFile)),
            ("cert_file", filled(value.certFile)), ("key_file", filled(value.keyFile)),
            ("sni", filled(value.sni)),
        ]) ?? .map([])
    }
}
