/// Central policy in Consul's shape: protocols, routes, splits, resolution, intentions.
package enum ConfigEntry: Hashable, Sendable {
    case serviceDefaults(ServiceDefaults)
    case proxyDefaults(ProxyDefaults)
    case serviceRouter(ServiceRouter)
    case serviceSplitter(ServiceSplitter)
    case serviceResolver(ServiceResolver)
    case serviceIntentions(ServiceIntentions)
    case ingressGateway(IngressGateway)
    case terminatingGateway(TerminatingGateway)
    /// A kind that this version carries without acting on it.
    case other(OtherEntry)

    /// What identifies an entry.
    package struct Key: Hashable, Sendable, Codable, Comparable {
        package var kind: String
        /// The name in lower case: entries are found without regard to case.
        package var name: String

        package init(kind: String, name: String) {
            self.kind = kind
            self.name = name.lowercased()
        }

        package static func < (left: Self, right: Self) -> Bool {
            left.kind == right.kind ? left.name < right.name : left.kind < right.kind
        }
    }

    package var kind: String {
        switch self {
        case .serviceDefaults: Kind.serviceDefaults.rawValue
        case .proxyDefaults: Kind.proxyDefaults.rawValue
        case .serviceRouter: Kind.serviceRouter.rawValue
        case .serviceSplitter: Kind.serviceSplitter.rawValue
        case .serviceResolver: Kind.serviceResolver.rawValue
        case .serviceIntentions: Kind.serviceIntentions.rawValue
        case .ingressGateway: Kind.ingressGateway.rawValue
        case .terminatingGateway: Kind.terminatingGateway.rawValue
        case .other(let entry): entry.kind
        }
    }

    /// The name as written.
    package var name: String {
        switch self {
        case .serviceDefaults(let entry): entry.name.text
        case .proxyDefaults: ProxyDefaults.name
        case .serviceRouter(let entry): entry.name.text
        case .serviceSplitter(let entry): entry.name.text
        case .serviceResolver(let entry): entry.name.text
        case .serviceIntentions(let entry): entry.name.description
        case .ingressGateway(let entry): entry.name.text
        case .terminatingGateway(let entry): entry.name.text
        case .other(let entry): entry.name
        }
    }

    package var key: Key { Key(kind: kind, name: name) }

    /// The kinds that this version acts on.
    package enum Kind: String, Sendable, CaseIterable {
        case serviceDefaults = "service-defaults"
        case proxyDefaults = "proxy-defaults"
        case serviceRouter = "service-router"
        case serviceSplitter = "service-splitter"
        case serviceResolver = "service-resolver"
        case serviceIntentions = "service-intentions"
        case ingressGateway = "ingress-gateway"
        case terminatingGateway = "terminating-gateway"
    }

    /// The kinds of Consul that this version only carries.
    package static let carriedKinds: Set<String> = [
        "mesh", "exported-services", "sameness-group", "api-gateway", "bound-api-gateway",
        "http-route", "tcp-route", "inline-certificate", "file-system-certificate", "jwt-provider",
        "control-plane-request-limit",
    ]
}

/// An entry of a kind that is carried as data.
package struct OtherEntry: Hashable, Sendable, Codable {
    package var kind: String
    package var name: String
    /// Everything else, keys as written.
    package var fields: [String: DataValue]

    package init(kind: String, name: String, fields: [String: DataValue]) {
        self.kind = kind
        self.name = name
        self.fields = fields
    }
}

extension ConfigEntry: Codable {
    private enum CodingKeys: String, CodingKey { case kind, entry }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        switch Kind(rawValue: try container.decode(String.self, forKey: .kind)) {
        case .serviceDefaults:
            self = .serviceDefaults(try container.decode(ServiceDefaults.self, forKey: .entry))
        case .proxyDefaults:
            self = .proxyDefaults(try container.decode(ProxyDefaults.self, forKey: .entry))
        case .serviceRouter:
            self = .serviceRouter(try container.decode(ServiceRouter.self, forKey: .entry))
        case .serviceSplitter:
            self = .serviceSplitter(try container.decode(ServiceSplitter.self, forKey: .entry))
        case .serviceResolver:
            self = .serviceResolver(try container.decode(ServiceResolver.self, forKey: .entry))
        case .serviceIntentions:
            self = .serviceIntentions(
                try container.decode(ServiceIntentions.self, forKey: .entry))
        case .ingressGateway:
            self = .ingressGateway(try container.decode(IngressGateway.self, forKey: .entry))
        case .terminatingGateway:
            self = .terminatingGateway(
                try container.decode(TerminatingGateway.self, forKey: .entry))
        case nil:
            self = .other(try container.decode(OtherEntry.self, forKey: .entry))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(kind, forKey: .kind)
        switch self {
        case .serviceDefaults(let entry): try container.encode(entry, forKey: .entry)
        case .proxyDefaults(let entry): try container.encode(entry, forKey: .entry)
        case .serviceRouter(let entry): try container.encode(entry, forKey: .entry)
        case .serviceSplitter(let entry): try container.encode(entry, forKey: .entry)
        case .serviceResolver(let entry): try container.encode(entry, forKey: .entry)
        case .serviceIntentions(let entry): try container.encode(entry, forKey: .entry)
        case .ingressGateway(let entry): try container.encode(entry, forKey: .entry)
        case .terminatingGateway(let entry): try container.encode(entry, forKey: .entry)
        case .other(let entry): try container.encode(entry, forKey: .entry)
        }
    }
}

extension ConfigEntry: Validated {
    package func validate(_ checks: inout FieldChecks) {
        switch self {
        case .serviceDefaults(let entry): entry.validate(&checks)
        case .proxyDefaults(let entry): entry.validate(&checks)
        case .serviceRouter(let entry): entry.validate(&checks)
        case .serviceSplitter(let entry): entry.validate(&checks)
        case .serviceResolver(let entry): entry.validate(&checks)
        case .serviceIntentions(let entry): entry.validate(&checks)
        case .ingressGateway(let entry): entry.validate(&checks)
        case .terminatingGateway(let entry): entry.validate(&checks)
        case .other: break
        }
    }
}
