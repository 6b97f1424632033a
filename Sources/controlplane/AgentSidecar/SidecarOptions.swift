import MeshModel
import MeshSidecar

/// Which sidecar the command line asks for.
struct SidecarOptions: Sendable, Equatable {
    var sidecarFor: String?
    var proxyID: String?
    var service: String?
    var serviceAddress: String?
    var listen: String?
    var upstreams: [String] = []
    /// What the id of the proxy ends with.
    var idSuffix: String?

    /// Exactly one of the three ways to say it; the environment counts where no option does.
    func wanted(_ environment: [String: String]) throws -> SidecarRole.Wanted {
        func variable(_ names: String...) -> String? {
            names.lazy.compactMap { environment[$0] }.first { !$0.isEmpty }
        }
        var ways: [SidecarRole.Wanted] = []
        if let proxyID { ways.append(.proxyID(proxyID)) }
        if let sidecarFor { ways.append(.sidecarFor(sidecarFor)) }
        if let service { ways.append(.given(try registration(service))) }
        if ways.isEmpty {
            if let id = variable("CONNECT_PROXY_ID", "CONSUL_PROXY_ID") {
                ways.append(.proxyID(id))
            } else if let service = variable("CONNECT_SIDECAR_FOR") {
                ways.append(.sidecarFor(service))
            }
        }
        guard let way = ways.first else {
            throw MeshError(
                .invalid,
                "nothing says which sidecar this is: give --sidecar-for SERVICE, --proxy-id ID, or "
                    + "--service NAME with --listen and --service-addr")
        }
        guard ways.count == 1 else {
            throw MeshError(
                .invalid, "give only one of --sidecar-for, --proxy-id and --service")
        }
        if case .given = way { return way }
        guard serviceAddress == nil, listen == nil, upstreams.isEmpty else {
            throw MeshError(
                .invalid,
                "--service-addr, --listen and --upstream go with --service: the agent says them of "
                    + "a registered proxy")
        }
        return way
    }

    /// The proxy that the options describe.
    private func registration(_ service: String) throws -> Registration {
        let name = try ServiceName(service)
        guard (listen == nil) == (serviceAddress == nil) else {
            throw MeshError(
                .invalid,
                "--listen and --service-addr belong together: the one is where the mesh comes in, "
                    + "the other where it goes to")
        }
        guard listen != nil || !upstreams.isEmpty else {
            throw MeshError(
                .invalid,
                "there is nothing to do: give --listen and --service-addr, or --upstream, or both")
        }
        let entry = try listen.map { try HostPort($0) }
        let application = try serviceAddress.map { try HostPort($0) }
        let all = try upstreams.map { try Self.upstream($0) }
        var seen: Set<String> = []
        for upstream in all where !seen.insert(upstream.localBind).inserted {
            throw MeshError(.invalid, "two upstreams listen on \(upstream.localBind)")
        }
        let host = entry.map { $0.host.isEmpty ? "0.0.0.0" : $0.host }
        return Registration(
            definition: ServiceDefinition(
                name: try ServiceName("\(name.text)-proxy"),
                id: try ServiceID(
                    "\(name.text)-proxy" + (idSuffix.map { "-\($0)" } ?? "")), kind: .connectProxy,
                address: host ?? "", port: entry?.port ?? 0,
                proxy: ProxyDefinition(
                    destinationServiceName: name,
                    localServiceAddress: application.map {
                        $0.host.isEmpty || $0.host == "localhost" ? "127.0.0.1" : $0.host
                    } ?? "127.0.0.1",
                    localServicePort: application?.port, upstreams: all)),
            service: name)
    }

    /// `name[.service|.query]:[address:]port`.
    static func upstream(_ text: String) throws -> UpstreamDefinition {
        func wrong(_ why: String) -> MeshError {
            MeshError(
                .invalid,
                "--upstream \(text): \(why); write name:port, name:address:port, or name.query:port"
            )
        }
        guard let colon = text.firstIndex(of: ":") else { throw wrong("the port is missing") }
        var name = text[..<colon]
        var type = UpstreamDefinition.DestinationType.service
        if name.hasSuffix(".query") {
            (name, type) = (name.dropLast(".query".count), .preparedQuery)
        } else if name.hasSuffix(".service") {
            name = name.dropLast(".service".count)
        }
        let rest = String(text[text.index(after: colon)...])
        let bind: HostPort
        do {
            bind = try HostPort(rest.contains(":") ? rest : "127.0.0.1:\(rest)")
        } catch {
            throw wrong("\(error)")
        }
        guard bind.port != 0 else { throw wrong("the port is 0") }
        let upstream = UpstreamDefinition(
            destinationName: try ServiceName(String(name)), destinationType: type,
            localBindAddress: bind.host.isEmpty ? "0.0.0.0" : bind.host, localBindPort: bind.port)
        if let problem = upstream.problems().first { throw wrong(problem.message) }
        return upstream
    }
}
