package import MeshModel

/// What a transparent proxy may call, as intentions with its service as the source say: Consul's
/// own proxies learn their upstreams so.
///
/// It says which addresses are worth knowing, not who is let in: the other side decides that.
package struct Surroundings: Sendable, Equatable {
    /// One rule about calls of the service, in the order in which they are consulted.
    struct Rule: Sendable, Equatable {
        var destination: NamePattern
        var isDenied: Bool
    }

    var rules: [Rule] = []

    /// Reads `/v1/connect/intentions/match?by=source&name=<service>`.
    static func rules(_ json: AgentJSON, of service: ServiceName) throws -> [Rule] {
        guard case .object = json.value else { throw json.lacking(service.text) }
        let list = json.members.first { $0.key.lowercased() == service.folded }?.value
        let intentions = (list?.items ?? []).compactMap { item -> Intention? in
            guard item["SourcePeer"] == nil, let source = item.text("SourceName"),
                let destination = item.text("DestinationName"),
                let from = try? NamePattern(source), let to = try? NamePattern(destination)
            else { return nil }
            // What requests have to have is asked where they arrive.
            let isDenied = item.items("Permissions").isEmpty && item.text("Action") != "allow"
            return Intention(
                source: from, destination: to, effect: .action(isDenied ? .deny : .allow))
        }
        return Intention.ordered(intentions).map {
            Rule(destination: $0.destination, isDenied: $0.effect == .action(.deny))
        }
    }

    /// Reads `/v1/catalog/services`. Proxies that Consul has named are none to call.
    static func names(_ json: AgentJSON) throws -> [ServiceName] {
        guard case .object = json.value else { throw json.lacking("services") }
        let all = Set(json.members.map(\.key))
        return all.sorted().compactMap { name in
            let end = "-sidecar-proxy"
            let isProxy = name.hasSuffix(end) && all.contains(String(name.dropLast(end.count)))
            return isProxy || name == "consul" ? nil : try? ServiceName(name)
        }
    }

    /// Reads `/v1/config/mesh/mesh`: whether transparent proxies call nothing outside the mesh.
    static func isClosed(_ json: AgentJSON) -> Bool {
        json["TransparentProxy"]?.bool("MeshDestinationsOnly") ?? false
    }

    /// Whether a call may be let through; `fallback` holds where no intention covers it.
    func allows(_ name: ServiceName, fallback: IntentionAction) -> Bool {
        guard let rule = rules.first(where: { $0.destination.covers(name) }) else {
            return fallback == .allow
        }
        return !rule.isDenied
    }

    /// The destinations that intentions name.
    var named: [ServiceName] {
        rules.compactMap { rule in
            if case .exact(let name) = rule.destination { return name }
            return nil
        }
    }
}

/// Where applications call a service, by one instance of it.
package struct CalledPlace: Sendable, Hashable {
    /// The instance of the application.
    package var instance: String
    /// Where the service is called as a whole.
    package var virtual: [String]
    /// Where the application itself listens; nil: that is not told.
    package var address: HostPort?
    /// Whether its proxy wants to be called at this address alone.
    package var isDirect: Bool
    /// The proxy in front of it; nil: it takes no calls.
    package var endpoint: MeshEndpoint?

    package init(
        instance: String, virtual: [String] = [], address: HostPort? = nil, isDirect: Bool = false,
        endpoint: MeshEndpoint? = nil
    ) {
        self.instance = instance
        self.virtual = virtual
        self.address = address
        self.isDirect = isDirect
        self.endpoint = endpoint
    }
}

extension Instances {
    /// The places of `/v1/health/connect/<service>`, whatever the health of the instances: an
    /// address stands for its service also while nobody is well.
    package static func places(_ list: AgentJSON) -> [CalledPlace] {
        list.items.compactMap { entry in
            guard let service = entry["Service"], let id = service.text("ID") else { return nil }
            let proxy = service["Proxy"]
            let names = [TaggedAddress.virtual, TaggedAddress.consulVirtual]
            var place = CalledPlace(
                instance: proxy?.text("DestinationServiceID") ?? id,
                virtual: names.compactMap { service["TaggedAddresses"]?[$0]?.text("Address") },
                isDirect: proxy?["TransparentProxy"]?.bool("DialedDirectly") ?? false)
            let host = service.text("Address") ?? entry["Node"]?.text("Address")
            let isNative = service["Connect"]?.bool("Native") ?? false
            let port = (try? isNative ? service.port("Port") : proxy?.port("LocalServicePort")) ?? 0
            if let host, port != 0 { place.address = HostPort(host: host, port: port) }
            place.endpoint =
                read(
                    AgentJSON(.array([entry.value]), list.subject), onlyPassing: false,
                    isRemote: false
                ).first
            return place
        }.sorted { ($0.instance, $0.endpoint?.node ?? "") < ($1.instance, $1.endpoint?.node ?? "") }
    }
}
