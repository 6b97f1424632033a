import CMeshABI
import CMeshBase
import CMeshTable
import MeshModel

/// What becomes of a request that is sent on: its head, its time, and the endpoints it may reach.
extension Explainer {
    /// The certificate that a client is shown which asks for this name.
    mutating func explainCertificate(_ listener: abi_listener, _ host: String) {
        guard listener.tls != ABI_NONE else { return }
        var settings = reader.tls[Int(listener.tls)]
        guard settings.names.count > 0 else { return }
        var name = host
        let found = name.withUTF8 {
            certificate_find(reader.view, &settings, bytes_of($0.baseAddress, $0.count))
        }
        guard let found else {
            note(.certificate, .none, "no certificate is for \"\(host)\": the first one is shown")
            return
        }
        note(.certificate, .matched, "that of \(reader.text(found.pointee.name))")
    }

    /// What the route changes in heads.
    mutating func explainHeads(_ route: abi_route, _ path: String) {
        let (rule, origin) = (reader.text(route.rule), reader.text(route.origin))
        if route.rewrites != 0 {
            let isExact = route.path_kind == UInt8(ABI_PATH_EXACT.rawValue)
            let matched = isExact ? path.utf8.count : Int(route.path.len)
            let to = reader.text(route.prefix_rewrite)
            var rest = String(decoding: path.utf8.dropFirst(matched), as: UTF8.self)
            if to.hasSuffix("/"), rest.hasPrefix("/") { rest.removeFirst() }
            note(
                .rewrite, .matched, "the path becomes \(to)\(rest)", rule: rule, origin: origin)
        }
        explainChanges(route.header_ops, rule: rule, origin: origin)
    }

    /// Each change of a list, the same words for a route's and for a leg's.
    mutating func explainChanges(
        _ ops: abi_ref, on leg: String = "", rule: String, origin: String = ""
    ) {
        for index in ops.at..<ops.at + ops.count {
            let op = reader.headerOps[Int(index)]
            let name = reader.text(op.name)
            let value = HeaderTemplate.written(reader.text(op.value))
            let change =
                switch abi_header_op_kind(rawValue: UInt32(op.kind)) {
                case ABI_HEADER_ADD: "adds \(name): \(value)"
                case ABI_HEADER_SET: "sets \(name): \(value)"
                default: "removes \(name)"
                }
            note(
                .headers, .matched, "\(leg)\(op.response == 0 ? "request" : "answer"): \(change)",
                rule: rule, origin: origin)
        }
    }

    /// How long the request may take.
    mutating func explainTimes(_ route: abi_route, _ listener: abi_listener) {
        let isOwn = route.request_timeout_ms != 0
        let whole = isOwn ? route.request_timeout_ms : listener.request_timeout_ms
        var parts = [whole == 0 ? "none for the whole request" : "\(whole) ms, or 504"]
        if listener.idle_timeout_ms > 0 {
            parts.append("\(listener.idle_timeout_ms) ms in which nothing moves")
        }
        let idle =
            route.traffic == ABI_NONE ? 0 : reader.traffic[Int(route.traffic)].idle_timeout_ms
        if idle > 0 { parts.append("\(idle) ms in which nothing of the request moves") }
        let text = parts.joined(separator: "; ")
        if isOwn || idle > 0 {
            note(
                .timeout, .matched, text, rule: reader.text(route.rule),
                origin: reader.text(route.origin))
        } else {
            let name = reader.text(listener.name)
            note(.timeout, .matched, text, rule: "listener \(name)", about: .listener(name))
        }
    }

    /// Why an endpoint gets no new work; nil: it does.
    func refusal(of endpoint: abi_endpoint) -> String? {
        let word = overlay(endpoint.overlay_slot)
        if word & UInt64(ABI_OVERLAY_DOWN.rawValue) != 0 { return "fails its checks" }
        return word & UInt64(ABI_OVERLAY_DRAIN.rawValue) != 0 ? "is leaving" : nil
    }

    private static let mostEndpoints = 16

    /// Each endpoint of a target with its state, and how one of them is chosen.
    mutating func explainEndpoints(_ target: abi_target) {
        let range = target.endpoints.at..<target.endpoints.at + target.endpoints.count
        for index in range.prefix(Self.mostEndpoints) {
            let endpoint = reader.endpoints[Int(index)]
            let name = reader.describe(endpoint)
            if let why = refusal(of: endpoint) {
                note(
                    .endpoint, .passed, "\(name) \(why)",
                    about: .instance(reader.text(endpoint.instance)))
                continue
            }
            let told = overlay(endpoint.overlay_slot) >> UInt64(ABI_OVERLAY_WEIGHT_SHIFT) & 0xffff
            let weight = told == 0 ? endpoint.weight : min(UInt32(told), target.max_weight)
            note(
                .endpoint, .matched, "\(name) takes new work, weight \(weight)",
                about: .instance(reader.text(endpoint.instance)))
        }
        if range.count > Self.mostEndpoints {
            note(.endpoint, .none, "and \(range.count - Self.mostEndpoints) more")
        }
    }

    /// What is spoken with the endpoints of a target, as whom, and with whom.
    mutating func explainUpstream(_ target: abi_target, _ listener: abi_listener) {
        var parts: [String] = []
        switch abi_protocol(rawValue: UInt32(target.protocol)) {
        case ABI_PROTOCOL_HTTP2: parts.append("HTTP/2, requests share connections")
        case ABI_PROTOCOL_TCP: parts.append("bytes")
        default: parts.append("HTTP/1.1, connections are kept")
        }
        let range = target.endpoints.at..<target.endpoints.at + target.endpoints.count
        if range.contains(where: { reader.endpoints[Int($0)].tls != ABI_NONE }) {
            let own =
                listener.identity == ABI_NONE
                ? nil : reader.text(reader.identities[Int(listener.identity)].spiffe_id)
            parts.append("TLS" + (own.map { " as \($0)" } ?? ""))
            let expected = reader.text(target.expected_id)
            if !expected.isEmpty { parts.append("the peer must be \(expected)") }
            let name = reader.text(target.sni)
            if !name.isEmpty { parts.append("server name \(name)") }
        }
        parts.append("\(target.connect_timeout_ms) ms to connect")
        note(
            .upstream, .matched, "\(reader.text(target.name)): " + parts.joined(separator: "; "),
            about: .language(reader.text(target.service)))
    }
}
