import MeshModel

/// Reads services as `/v1/agent/service/register` and `/v1/catalog/register` take them.
enum ServiceDecoding {
    /// What Consul's agent calls the type in messages.
    private static let type = "ServiceDefinition"

    /// A registration with the agent; throws what Consul says is wrong with it.
    static func service(_ body: APIRequest) throws -> ServiceDefinition {
        do {
            return try service(Fields(body.json(), type))
        } catch let failure as JSONParser.Failure {
            throw APIError(400, "Request decode failed: \(failure)")
        } catch let failure as BodyFailure {
            throw APIError(400, "Request decode failed: \(failure.text)")
        } catch let error as MeshError {
            throw APIError(400, "\(error)")
        }
    }

    private static func service(_ fields: Fields) throws -> ServiceDefinition {
        var parts = try Parts(fields)
        let sidecar = try fields.object("Connect", "ServiceConnect").flatMap { connect in
            parts.native = try connect.bool("Native")
            if connect.has("Proxy") {
                throw APIError(400, ManagedProxy.disallowed)
            }
            let sidecar = try connect.object("SidecarService", type)
            try connect.finish()
            return sidecar
        }
        try fields.finish()
        guard !parts.name.isEmpty else { throw APIError(400, "Missing service name") }
        var definition = try parts.definition()
        definition.connect = ConnectDefinition(
            native: parts.native, sidecarService: try sidecar.map { try self.sidecar($0) })
        definition.checks = identified(
            try parts.checks.map(CheckDefinition.registered), of: definition.id)
        try refuse(definition)
        return try definition.validated()
    }

    /// Checks with their ids, which stay theirs when others come or go.
    private static func identified(
        _ checks: [CheckDefinition], of service: ServiceID
    ) -> [CheckDefinition] {
        checks.enumerated().map { index, check in
            var check = check
            check.id = check.identifier(service: service, index: index, count: checks.count)
            return check
        }
    }

    private static func sidecar(_ fields: Fields) throws -> SidecarDefinition {
        let parts = try Parts(fields)
        if fields.has("Connect") {
            throw APIError(
                400, "Invalid SidecarService: sidecar_service can't have a nested connect")
        }
        try fields.finish()
        let checks = try parts.checks.map(CheckDefinition.registered)
        return SidecarDefinition(
            id: try parts.id.nonEmpty.map { try ServiceID($0) },
            name: try parts.name.isEmpty ? nil : ServiceName(parts.name),
            address: parts.address.isEmpty ? nil : parts.address,
            port: parts.port == 0 ? nil : parts.port, tags: parts.tags, meta: parts.meta,
            weights: parts.weights, checks: checks, proxy: parts.proxy ?? ProxyDefinition())
    }

    /// What Consul checks by itself, in its words.
    private static func refuse(_ definition: ServiceDefinition) throws {
        var problems: [String] = []
        if definition.kind == .connectProxy {
            if definition.proxy?.destinationServiceName == nil {
                problems.append(
                    "Proxy.DestinationServiceName must be non-empty for Connect proxy services")
            }
            if definition.port == 0, definition.socketPath == nil {
                problems.append("Port must be set for a Connect proxy")
            }
            if definition.connect.native {
                problems.append("A Proxy cannot also be Connect Native, only typical services")
            }
            problems += upstreamProblems(definition.proxy?.upstreams ?? [])
        }
        if !problems.isEmpty { throw APIError(400, GoErrors.list(problems)) }
        if let sidecar = definition.connect.sidecarService {
            let problems = upstreamProblems(sidecar.proxy.upstreams)
            if !problems.isEmpty {
                throw APIError(400, "Invalid SidecarService: \(GoErrors.list(problems))")
            }
        }
    }

    private static func upstreamProblems(_ upstreams: [UpstreamDefinition]) -> [String] {
        var problems: [String] = []
        var seen: Set<String> = []
        for upstream in upstreams {
            if upstream.localBindPort == 0, upstream.localBindSocketPath == nil {
                problems.append("upstream local bind port cannot be zero")
            } else if !seen.insert(upstream.localBind).inserted {
                problems.append(
                    "upstreams cannot contain duplicates by local bind address and port; "
                        + "\"\(upstream.localBind)\" is specified twice")
            }
        }
        return problems
    }

    /// The members that a service, a sidecar and a service of the catalog share.
    struct Parts {
        var name: String
        var id: String?
        var kind: String
        var tags: [String]?
        var meta: [String: String]?
        var address: String
        var port: UInt16
        var socketPath: String?
        var taggedAddresses: [String: TaggedAddress]?
        var weights: ServiceWeights?
        var enableTagOverride: Bool
        var proxy: ProxyDefinition?
        var checks: [Fields]
        var native = false

        init(_ fields: Fields, nameKey: String = "Name") throws {
            name = try fields.text(nameKey)
            id = try fields.optionalText("ID")
            kind = try fields.text("Kind")
            tags = try fields.texts("Tags")
            meta = try fields.textMap("Meta")
            address = try fields.text("Address")
            port = try fields.port("Port") ?? 0
            socketPath = try fields.optionalText("SocketPath").nonEmpty
            weights = try fields.object("Weights", "Weights").map { weights in
                let value = ServiceWeights(
                    passing: try weights.int("Passing") ?? 1,
                    warning: try weights.int("Warning") ?? 1)
                try weights.finish()
                return value
            }
            enableTagOverride = try fields.bool("EnableTagOverride")
            proxy = try fields.object("Proxy", "ConnectProxyConfig").map {
                try ProxyDecoding.proxy($0)
            }
            // The shape of Consul 1.2: the service that a proxy stands for, on the top level.
            let destination = try fields.text("ProxyDestination")
            if !destination.isEmpty {
                var wanted = proxy ?? ProxyDefinition()
                if wanted.destinationServiceName == nil {
                    wanted.destinationServiceName = try ServiceName(destination)
                }
                proxy = wanted
            }
            checks =
                try [fields.object("Check", "CheckType")].compactMap { $0 }
                + fields.objects("Checks", "CheckType")
            taggedAddresses = try Self.taggedAddresses(fields)
            // Taken and without effect: there are no tokens of services and zones here.
            _ = try (fields.text("Token"), fields.text("Namespace"))
            _ = try fields.data("Locality")
        }

        private static func taggedAddresses(
            _ fields: Fields
        ) throws -> [String: TaggedAddress]? {
            guard let all = fields.value("TaggedAddresses") else { return nil }
            guard case .object(let members) = all else {
                throw fields.mismatch(
                    "TaggedAddresses", all, "map[string]structs.ServiceAddress")
            }
            var found: [String: TaggedAddress] = [:]
            for member in members {
                let place = try Fields(member.value, "ServiceAddress")
                found[member.name] = TaggedAddress(
                    address: try place.text("Address"), port: try place.port("Port") ?? 0)
                try place.finish()
            }
            return found.isEmpty ? nil : found
        }

        /// The service without connect and checks.
        func definition() throws -> ServiceDefinition {
            guard let kind = ServiceKind(rawValue: kind) else {
                throw APIError(400, "unsupported service kind: \"\(kind)\"")
            }
            guard address != "0.0.0.0", address != "::", address != "[::]" else {
                throw APIError(400, "Invalid service address")
            }
            return ServiceDefinition(
                name: try ServiceName(name), id: try id.nonEmpty.map { try ServiceID($0) },
                kind: kind, address: address, port: port, socketPath: socketPath,
                taggedAddresses: taggedAddresses, tags: tags ?? [], meta: meta ?? [:],
                weights: weights ?? ServiceWeights(),
                enableTagOverride: enableTagOverride, proxy: kind == .typical ? nil : proxy)
        }
    }
}

/// Reads the part of a registration that is about a proxy.
enum ProxyDecoding {
    static func proxy(_ fields: Fields) throws -> ProxyDefinition {
        let proxy = ProxyDefinition(
            destinationServiceName: try fields.optionalText("DestinationServiceName").nonEmpty
                .map { try ServiceName($0) },
            destinationServiceID: try fields.optionalText("DestinationServiceID").nonEmpty
                .map { try ServiceID($0) },
            localServiceAddress: try fields.optionalText("LocalServiceAddress").nonEmpty
                ?? "127.0.0.1",
            localServicePort: try fields.port("LocalServicePort").flatMap { $0 == 0 ? nil : $0 },
            localServiceSocketPath: try fields.optionalText("LocalServiceSocketPath").nonEmpty,
            mode: try fields.optionalText("Mode").nonEmpty,
            transparentProxy: try transparent(fields), config: try fields.data("Config"),
            upstreams: try fields.objects("Upstreams", "Upstream").map(upstream),
            meshGatewayMode: try gateway(fields),
            expose: fields.value("Expose").map { DataValue($0) }.flatMap {
                $0 == .object([:]) ? nil : $0
            })
        _ = try fields.data("AccessLogs")
        try fields.finish()
        return proxy
    }

    private static func transparent(_ fields: Fields) throws -> TransparentProxy? {
        guard let section = try fields.object("TransparentProxy", "TransparentProxyConfig") else {
            return nil
        }
        let port = try section.port("OutboundListenerPort") ?? 0
        let transparent = TransparentProxy(
            outboundListenerPort: port == 0 ? nil : port,
            dialedDirectly: try section.bool("DialedDirectly"))
        try section.finish()
        return transparent.isEmpty ? nil : transparent
    }

    private static func gateway(_ fields: Fields) throws -> String? {
        guard let gateway = try fields.object("MeshGateway", "MeshGatewayConfig") else {
            return nil
        }
        let mode = try gateway.optionalText("Mode").nonEmpty
        try gateway.finish()
        return mode
    }

    private static func upstream(_ fields: Fields) throws -> UpstreamDefinition {
        let name = try fields.text("DestinationName")
        guard !name.isEmpty else {
            throw APIError(400, GoErrors.list(["upstream destination name cannot be empty"]))
        }
        let type = try fields.optionalText("DestinationType").nonEmpty ?? "service"
        guard let type = UpstreamDefinition.DestinationType(rawValue: type) else {
            throw APIError(400, GoErrors.list(["unknown upstream destination type: \"\(type)\""]))
        }
        let upstream = UpstreamDefinition(
            destinationName: try ServiceName(name), destinationType: type,
            datacenter: try fields.optionalText("Datacenter").nonEmpty
                .map { try DatacenterName($0) },
            localBindAddress: try fields.optionalText("LocalBindAddress").nonEmpty ?? "127.0.0.1",
            localBindPort: try fields.port("LocalBindPort") ?? 0,
            localBindSocketPath: try fields.optionalText("LocalBindSocketPath").nonEmpty,
            localBindSocketMode: try fields.optionalText("LocalBindSocketMode").nonEmpty,
            meshGatewayMode: try gateway(fields), config: try fields.data("Config"))
        for (key, what) in [
            ("DestinationNamespace", "Namespaces"), ("DestinationPartition", "Partitions"),
        ] {
            let name = try fields.text(key)
            guard name.isEmpty || name.lowercased() == "default" else {
                throw APIError(
                    400, "Invalid \(key)(\(name)): \(what) is a Consul Enterprise feature")
            }
        }
        _ = try (fields.text("DestinationPeer"), fields.text("IngressHosts"))
        try fields.finish()
        return upstream
    }
}

/// Errors as Go's lists of errors print them.
enum GoErrors {
    static func list(_ problems: [String]) -> String {
        let head = problems.count == 1 ? "1 error occurred:" : "\(problems.count) errors occurred:"
        return head + "\n" + problems.map { "\t* \($0)\n" }.joined() + "\n"
    }
}
