/// How much of the traffic an instance takes among its equals, by its health.
package struct ServiceWeights: Hashable, Sendable, Codable {
    package var passing: Int
    package var warning: Int

    package init(passing: Int = 1, warning: Int = 1) {
        self.passing = passing
        self.warning = warning
    }
}

/// What a registered service is.
package enum ServiceKind: String, Sendable, Codable, CaseIterable {
    /// An ordinary service.
    case typical = ""
    case connectProxy = "connect-proxy"
    case meshGateway = "mesh-gateway"
    case ingressGateway = "ingress-gateway"
    case terminatingGateway = "terminating-gateway"
    case apiGateway = "api-gateway"
}

/// How a service joins the mesh: by itself, or through a sidecar that is made for it.
package struct ConnectDefinition: Hashable, Sendable, Codable {
    package var native: Bool
    package var sidecarService: SidecarDefinition?
    /// Set where the node manages the proxy that ``sidecarService`` describes.
    package var managedProxy: ManagedProxy?

    package init(
        native: Bool = false, sidecarService: SidecarDefinition? = nil,
        managedProxy: ManagedProxy? = nil
    ) {
        self.native = native
        self.sidecarService = sidecarService
        self.managedProxy = managedProxy
    }

    package enum CodingKeys: String, CodingKey {
        case native
        case sidecarService = "sidecar_service"
        case managedProxy = "proxy"
    }
}

/// The sidecar that a service asks for. What is nil is taken from the service.
package struct SidecarDefinition: Hashable, Sendable, Codable {
    package var id: ServiceID?
    package var name: ServiceName?
    package var address: String?
    /// The public mTLS port; the lowest free one of 21000 to 21255 when absent.
    package var port: UInt16?
    package var tags: [String]?
    package var meta: [String: String]?
    package var weights: ServiceWeights?
    package var checks: [CheckDefinition]
    package var proxy: ProxyDefinition

    package init(
        id: ServiceID? = nil, name: ServiceName? = nil, address: String? = nil,
        port: UInt16? = nil, tags: [String]? = nil, meta: [String: String]? = nil,
        weights: ServiceWeights? = nil, checks: [CheckDefinition] = [],
        proxy: ProxyDefinition = ProxyDefinition()
    ) {
        self.id = id
        self.name = name
        self.address = address
        self.port = port
        self.tags = tags
        self.meta = meta
        self.weights = weights
        self.checks = checks
        self.proxy = proxy
    }
}

/// A service as its owner registers it: in a file, in a folder of documents or over the API.
package struct ServiceDefinition: Hashable, Sendable, Codable {
    package var name: ServiceName
    package var id: ServiceID
    package var kind: ServiceKind
    /// Where instances are reached; the node's address when empty.
    package var address: String
    package var port: UInt16
    package var socketPath: String?
    /// Further addresses by what they are for; nil: none.
    package var taggedAddresses: [String: TaggedAddress]?
    package var tags: [String]
    package var meta: [String: String]
    package var weights: ServiceWeights
    package var enableTagOverride: Bool
    package var checks: [CheckDefinition]
    /// Set on a `connect-proxy` registered by hand.
    package var proxy: ProxyDefinition?
    package var connect: ConnectDefinition
    /// Why an operator has taken the instance out; nil: he has not.
    package var maintenance: String?
    /// nil: where its node is.
    package var locality: Locality?

    package init(
        name: ServiceName, id: ServiceID? = nil, kind: ServiceKind = .typical,
        address: String = "", port: UInt16 = 0, socketPath: String? = nil,
        taggedAddresses: [String: TaggedAddress]? = nil, tags: [String] = [],
        meta: [String: String] = [:], weights: ServiceWeights = ServiceWeights(),
        enableTagOverride: Bool = false, checks: [CheckDefinition] = [],
        proxy: ProxyDefinition? = nil, connect: ConnectDefinition = ConnectDefinition(),
        maintenance: String? = nil, locality: Locality? = nil
    ) {
        self.maintenance = maintenance
        self.name = name
        self.id = id ?? ServiceID(name)
        self.kind = kind
        self.address = address
        self.port = port
        self.socketPath = socketPath
        self.taggedAddresses = taggedAddresses
        self.tags = tags
        self.meta = meta
        self.weights = weights
        self.enableTagOverride = enableTagOverride
        self.checks = checks
        self.proxy = proxy
        self.connect = connect
        self.locality = locality
    }

    package enum CodingKeys: String, CodingKey {
        case name, id, kind, address, port
        case socketPath = "socket_path"
        case taggedAddresses = "tagged_addresses"
        case tags, meta, weights
        case enableTagOverride = "enable_tag_override"
        case checks, proxy, connect, maintenance, locality
    }
}

extension ServiceDefinition {
    /// The check that stands for ``maintenance``.
    package var maintenanceCheckID: String { "_service_maintenance:\(id)" }

    /// The registration of the sidecar that this one asks for, or nil when it asks for none.
    ///
    /// `port` is used when the definition leaves the port open. Tags, meta, weights and address are
    /// the service's unless given; the sidecar's application port is the service's port.
    package func sidecar(port assigned: UInt16) throws -> ServiceDefinition? {
        guard let wanted = connect.sidecarService else { return nil }
        var proxy = wanted.proxy
        proxy.destinationServiceName = name
        proxy.destinationServiceID = id
        if proxy.localServicePort == nil, proxy.options.localService == nil {
            proxy.localServicePort = port
        }
        if proxy.localServiceSocketPath == nil { proxy.localServiceSocketPath = socketPath }
        var sidecar = ServiceDefinition(
            name: try wanted.name ?? ServiceName(name.text + "-sidecar-proxy"),
            id: wanted.id ?? id.sidecar, kind: .connectProxy, address: wanted.address ?? address,
            port: wanted.port ?? assigned, tags: wanted.tags ?? tags, meta: wanted.meta ?? meta,
            weights: wanted.weights ?? weights, checks: sidecarChecks(wanted, assigned),
            proxy: proxy, locality: locality)
        // Transparent proxies look for these among the proxies of a service.
        let virtual = [TaggedAddress.virtual, TaggedAddress.consulVirtual]
        let shared = taggedAddresses?.filter { virtual.contains($0.key) } ?? [:]
        if !shared.isEmpty { sidecar.taggedAddresses = shared }
        return sidecar
    }

    /// A proxy that somebody else runs is dialled to see whether it listens; of one that is a
    /// listener of the node's data plane, that is known.
    private func sidecarChecks(
        _ wanted: SidecarDefinition, _ assigned: UInt16
    ) -> [CheckDefinition] {
        let options = wanted.proxy.options
        guard wanted.checks.isEmpty, options.external == true, options.disableTCPCheck != true
        else { return wanted.checks }
        let host = options.bindAddress ?? wanted.address ?? address
        let any = ["", "0.0.0.0", "::"].contains(host)
        let place = HostPort(
            host: any ? "127.0.0.1" : host,
            port: options.bindPort ?? wanted.port ?? assigned)
        let kind = connect.managedProxy == nil ? "Sidecar" : "Proxy"
        return [
            CheckDefinition(
                name: "Connect \(kind) Listening",
                tcp: options.tcpCheckAddress?.description ?? place.description,
                interval: .seconds(10))
        ]
    }
}

extension ServiceDefinition: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if !address.isEmpty {
            checks.require(
                IPText.isHost(address[...]) && address != "0.0.0.0" && address != "::",
                ["address"],
                "\(NameRule.quoted(address)) is not an address that others can dial: write the "
                    + "instance's IP address or host name, or leave it out for the node's")
        }
        if let socketPath {
            checks.require(socketPath.hasPrefix("/"), ["socket_path"], "write an absolute path")
            checks.require(
                port == 0, ["port"], "leave it out when socket_path is given: one of them")
        }
        for (name, place) in taggedAddresses ?? [:] {
            let isVirtual =
                name == TaggedAddress.virtual || name == TaggedAddress.consulVirtual
            checks.require(
                IPText.isAddress(place.address[...])
                    || (!isVirtual && IPText.isHost(place.address[...])),
                ["tagged_addresses", .key(name), "address"],
                "\(NameRule.quoted(place.address)) is not an IP address: write 240.0.0.1")
        }
        validateWeights(&checks)
        checks.each("checks", self.checks)
        var identifiers: Set<String> = []
        for (index, check) in self.checks.enumerated() {
            guard let own = check.id, !identifiers.insert(own).inserted else { continue }
            checks.fail(
                ["checks", .index(index), "id"], "\(NameRule.quoted(own)) is used twice")
        }
        validateLabels(&checks)
        validateProxy(&checks)
        validateConnect(&checks)
        checks.within(["locality"], locality)
    }

    private func validateWeights(_ checks: inout FieldChecks) {
        checks.require(
            (1...65535).contains(weights.passing), ["weights", "passing"],
            "write a number of 1 to 65535")
        checks.require(
            (0...65535).contains(weights.warning), ["weights", "warning"],
            "write a number of 0 to 65535")
    }

    private func validateLabels(_ checks: inout FieldChecks) {
        checks.require(meta.count <= 64, ["meta"], "use at most 64 keys, not \(meta.count)")
        for (key, value) in meta {
            checks.require(
                !key.isEmpty && key.utf8.count <= 128, ["meta", .key(key)],
                "a key has 1 to 128 bytes")
            checks.require(
                value.utf8.count <= 512, ["meta", .key(key)], "a value has at most 512 bytes")
        }
        for (index, tag) in tags.enumerated() {
            checks.require(
                !tag.isEmpty && tag.utf8.count <= 1024, ["tags", .index(index)],
                "a tag has 1 to 1024 bytes")
        }
    }

    private func validateProxy(_ checks: inout FieldChecks) {
        guard kind == .connectProxy else {
            if proxy != nil, kind == .typical {
                checks.fail(["proxy"], "only kind: connect-proxy has a proxy section")
            }
            return
        }
        checks.require(
            port != 0 || socketPath != nil, [], "Port must be set for a Connect proxy: write port")
        checks.require(
            proxy?.destinationServiceName != nil, [],
            "Proxy.DestinationServiceName must be non-empty for Connect proxy services: write "
                + "proxy: { destination_service_name: web }")
        checks.within(["proxy"], proxy)
    }

    private func validateConnect(_ checks: inout FieldChecks) {
        checks.require(
            kind == .typical || (!connect.native && connect.sidecarService == nil), ["connect"],
            "a \(kind.rawValue) cannot have a connect section")
        checks.require(
            !(connect.native && connect.sidecarService != nil), ["connect"],
            "write either native: true or sidecar_service, not both")
        guard let sidecar = connect.sidecarService else { return }
        checks.within(["connect", "sidecar_service"]) { inner in
            inner.within(["proxy"], sidecar.proxy)
            inner.each("checks", sidecar.checks)
            inner.require(
                sidecar.proxy.localServicePort != nil || port != 0 || socketPath != nil
                    || sidecar.proxy.options.localService != nil, [],
                "the application's port is unknown: write port beside connect")
            inner.require(
                sidecar.id != id, ["id"], "the sidecar needs an id of its own: leave it out")
            inner.require(
                sidecar.name != nil || name.text.utf8.count + 14 <= NameLimits.serviceBytes,
                ["name"], "the service's name leaves no room for -sidecar-proxy: write a name")
        }
    }
}
