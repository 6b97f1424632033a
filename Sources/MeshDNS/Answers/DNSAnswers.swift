/// What the server answers for.
package struct DNSSettings: Hashable, Sendable {
    package var domain: DNSName
    package var datacenter: String
    package var nodeName: String
    /// How long answers about nodes and services may be kept, in seconds.
    package var nodeTTL: UInt32
    package var serviceTTL: UInt32

    package init(
        domain: DNSName, datacenter: String, nodeName: String, nodeTTL: UInt32 = 0,
        serviceTTL: UInt32 = 0
    ) {
        self.domain = domain
        self.datacenter = datacenter
        self.nodeName = nodeName
        self.nodeTTL = nodeTTL
        self.serviceTTL = serviceTTL
    }
}

/// Makes the answer to a question, as Consul's DNS does.
package struct DNSAnswers: Sendable {
    private let settings: DNSSettings
    private let catalog: any DNSCatalog

    package init(_ settings: DNSSettings, catalog: any DNSCatalog) {
        self.settings = settings
        self.catalog = catalog
    }

    /// `serial` is that of the domain now.
    package func answer(_ query: DNSQuery, serial: UInt32) async -> DNSResponse {
        if let edns = query.edns, edns.version != 0 { return DNSResponse(.badVersion) }
        guard query.opcode == 0 else { return DNSResponse(.notImplemented) }
        guard query.questionClass == DNSCode.internet || query.questionClass == DNSCode.anyClass,
            let labels = query.name.labels(within: settings.domain)
        else { return DNSResponse(.refused) }
        var builder = DNSBuilder(query: query, settings: settings, serial: serial)
        let lookup = DNSLookup(labels)
        guard knows(lookup) else { return builder.missing }
        do {
            return try await fill(&builder, lookup)
        } catch {
            return DNSResponse(.serverFailure, isAuthoritative: true)
        }
    }

    private func knows(_ lookup: DNSLookup) -> Bool {
        switch lookup {
        case .domain, .server: true
        case .nothing: false
        case .service(_, _, let datacenter), .connect(_, let datacenter),
            .virtual(_, let datacenter),
            .node(_, let datacenter), .query(_, let datacenter), .address(_, let datacenter):
            datacenter.isEmpty || datacenter == settings.datacenter.lowercased()
        }
    }

    private func fill(_ builder: inout DNSBuilder, _ lookup: DNSLookup) async throws -> DNSResponse
    {
        switch lookup {
        case .domain: return builder.domain
        case .server:
            guard let node = await catalog.node(settings.nodeName) else { return builder.missing }
            return builder.answer(address: node.address)
        case .service(let name, let tag, _):
            return builder.answer(
                instances: await catalog.instances(of: name, tag: tag, isConnect: false))
        case .connect(let name, _):
            return builder.answer(
                instances: await catalog.instances(of: name, tag: "", isConnect: true))
        case .virtual(let name, _):
            guard let address = await catalog.virtualAddress(of: name) else {
                return builder.missing
            }
            return builder.answer(address: address)
        case .node(let name, _):
            guard let node = await catalog.node(name) else { return builder.missing }
            return builder.answer(node: node)
        case .query(let name, _):
            guard let result = try await catalog.query(name) else { return builder.missing }
            return builder.answer(
                instances: result.instances, datacenter: result.datacenter, ttl: result.ttl)
        case .address(let bytes, _): return builder.answer(bytes: bytes)
        case .nothing: return builder.missing
        }
    }
}
