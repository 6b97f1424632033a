import MeshModel

// The catalog's objects as Consul's answers have them.

extension CatalogPlace {
    var json: JSON {
        [
            "ID": .string(id), "Node": .string(info.name.text), "Address": .string(info.address),
            "Datacenter": .string(info.datacenter.text),
            "TaggedAddresses": .textsOrNull(taggedAddresses),
            "Meta": .textsOrNull(info.meta), "CreateIndex": .number(createIndex.value),
            "ModifyIndex": .number(modifyIndex.value),
        ]
    }

    /// The checks of the node itself.
    var checksJSON: [JSON] { checks.map { $0.json(node: info.name.text, service: nil) } }
}

extension CatalogCheck {
    /// What a check that tells nothing of how it is made has in its place, where members are not
    /// left out.
    static let emptyDefinition: JSON = [
        "Interval": "0s", "Timeout": "0s", "DeregisterCriticalServiceAfter": "0s", "HTTP": "",
        "Header": .null, "Method": "", "Body": "", "TLSSkipVerify": false, "TCP": "",
    ]

    func json(node: String, service: ServiceDefinition?, definition: JSON = [:]) -> JSON {
        .members([
            "Node": .string(node), "CheckID": .string(id), "Name": .string(name),
            "Status": .string(shownStatus), "Notes": .string(notes), "Output": .string(output),
            "ServiceID": .string(service?.id.text ?? ""),
            "ServiceName": .string(service?.name.text ?? ""),
            "ServiceTags": .texts(service?.tags ?? []), "Type": .string(type),
            // Newer than the version that answers are like: only where there is one.
            "ExposedPort": exposedPort == 0 ? nil : .number(exposedPort),
            "Definition": definition,
            "CreateIndex": .number(createIndex.value), "ModifyIndex": .number(modifyIndex.value),
        ])
    }

    /// Maintenance is a critical check to those who look at single ones.
    private var shownStatus: String {
        (status == .maintenance ? CheckStatus.critical : status).rawValue
    }
}

extension CatalogInstance {
    /// As `/v1/catalog/service` has it, in one level.
    var flatJSON: JSON {
        let service = definition
        return .members([
            "ID": .string(place.id), "Node": .string(place.info.name.text),
            "Address": .string(place.info.address),
            "Datacenter": .string(place.info.datacenter.text),
            "TaggedAddresses": .textsOrNull(place.taggedAddresses),
            "NodeMeta": .textsOrNull(place.info.meta),
            "ServiceKind": .string(service.kind.rawValue), "ServiceID": .string(service.id.text),
            "ServiceName": .string(service.name.text), "ServiceTags": .texts(service.tags),
            "ServiceAddress": .string(service.address),
            "ServiceTaggedAddresses": taggedAddresses, "ServiceWeights": service.weights.json,
            "ServiceMeta": .texts(service.meta), "ServicePort": .number(service.port),
            "ServiceSocketPath": service.socketPath.map { .string($0) },
            "ServiceEnableTagOverride": .bool(service.enableTagOverride),
            "ServiceProxy": ProxyEncoding.catalog(service.proxy),
            "ServiceConnect": service.connect.native ? ["Native": true] : [:],
            "CreateIndex": .number(instance.createIndex.value),
            "ModifyIndex": .number(instance.modifyIndex.value),
        ])
    }

    /// As `/v1/health/service` and `/v1/catalog/node` have it.
    var serviceJSON: JSON {
        let service = definition
        return .members([
            "Kind": service.kind == .typical ? nil : .string(service.kind.rawValue),
            "ID": .string(service.id.text), "Service": .string(service.name.text),
            "Tags": .texts(service.tags), "Address": .string(service.address),
            "TaggedAddresses": taggedAddresses, "Meta": .textsOrNull(service.meta),
            "Port": .number(service.port),
            "SocketPath": service.socketPath.map { .string($0) },
            "Weights": service.weights.json,
            "EnableTagOverride": .bool(service.enableTagOverride),
            "Proxy": ProxyEncoding.catalog(service.proxy),
            "Connect": service.connect.native ? ["Native": true] : [:],
            "CreateIndex": .number(instance.createIndex.value),
            "ModifyIndex": .number(instance.modifyIndex.value),
        ])
    }

    /// The same with node and checks.
    var healthJSON: JSON {
        let own = instance.checks.map { $0.json(node: place.info.name.text, service: definition) }
        return [
            "Node": place.json, "Service": serviceJSON,
            "Checks": .array(place.checksJSON + own),
        ]
    }

    private var taggedAddresses: JSON? {
        definition.taggedAddressesJSON(isLocal: place.isLocal, virtual: virtualAddress)
    }
}

extension LocalInstance {
    /// As `/v1/agent/services` has it.
    func agentJSON(datacenter: DatacenterName, hash: String? = nil) -> JSON {
        .members([
            "Kind": definition.kind == .typical ? nil : .string(definition.kind.rawValue),
            "ID": .string(definition.id.text), "Service": .string(definition.name.text),
            "Tags": .texts(definition.tags), "Meta": .texts(definition.meta),
            "Port": .number(definition.port), "Address": .string(definition.address),
            "SocketPath": definition.socketPath.map { .string($0) },
            "TaggedAddresses": definition.taggedAddressesJSON(),
            "Weights": definition.weights.json,
            "EnableTagOverride": .bool(definition.enableTagOverride),
            "ContentHash": hash.map { .string($0) },
            "Proxy": definition.kind == .typical ? nil : ProxyEncoding.agent(definition.proxy),
            "Connect": definition.connect.native ? ["Native": true] : nil,
            "Datacenter": .string(datacenter.text),
        ])
    }
}

extension ServiceDefinition {
    /// An address of its own is the one to reach it at, from near and far; `virtual` the one of its
    /// service, in front of what was written as such.
    fileprivate func taggedAddressesJSON(isLocal: Bool = true, virtual: String? = nil) -> JSON? {
        var all = isLocal ? taggedAddresses ?? [:] : [:]
        if let virtual {
            all[TaggedAddress.consulVirtual] = TaggedAddress(address: virtual, port: port)
        }
        if isLocal, !address.isEmpty, IPText.isAddress(address[...]) {
            let family = address.contains(":") ? "ipv6" : "ipv4"
            for net in ["lan", "wan"] where all["\(net)_\(family)"] == nil {
                all["\(net)_\(family)"] = TaggedAddress(address: address, port: port)
            }
        }
        guard !all.isEmpty else { return nil }
        return .object(
            all.sorted { $0.key < $1.key }.map { name, place in
                .init(name, ["Address": .string(place.address), "Port": .number(place.port)])
            })
    }
}

extension ServiceWeights {
    fileprivate var json: JSON {
        ["Passing": .number(passing), "Warning": .number(warning)]
    }
}

/// What a proxy stands for. The agent says a little less of upstreams than the catalog.
enum ProxyEncoding {
    static func agent(_ proxy: ProxyDefinition?) -> JSON { json(proxy, inCatalog: false) }
    static func catalog(_ proxy: ProxyDefinition?) -> JSON { json(proxy, inCatalog: true) }

    private static func json(_ proxy: ProxyDefinition?, inCatalog: Bool) -> JSON {
        guard let proxy else { return ["MeshGateway": [:], "Expose": [:]] }
        // A proxy that was registered by hand says only what was said of it.
        let isBehind = proxy.localServicePort != nil
        return .members([
            "DestinationServiceName": proxy.destinationServiceName.map { .string($0.text) },
            "DestinationServiceID": proxy.destinationServiceID.map { .string($0.text) },
            "LocalServiceAddress": isBehind ? .string(proxy.localServiceAddress) : nil,
            "LocalServicePort": proxy.localServicePort.map { .number($0) },
            "LocalServiceSocketPath": proxy.localServiceSocketPath.map { .string($0) },
            "Mode": proxy.mode.map { .string($0) },
            "TransparentProxy": proxy.transparentProxy.map(transparent),
            "Config": proxy.config.isEmpty ? nil : JSON(.object(proxy.config)),
            "Upstreams": proxy.upstreams.isEmpty
                ? nil : .array(proxy.upstreams.map { json($0, inCatalog: inCatalog) }),
            "MeshGateway": gateway(proxy.meshGatewayMode),
            "Expose": proxy.expose.map { JSON($0) } ?? [:],
        ])
    }

    private static func json(_ upstream: UpstreamDefinition, inCatalog: Bool) -> JSON {
        let datacenter = upstream.datacenter?.text ?? ""
        return .members([
            "DestinationType": .string(upstream.destinationType.rawValue),
            "DestinationName": .string(upstream.destinationName.text),
            "Datacenter": datacenter.isEmpty && !inCatalog ? nil : .string(datacenter),
            "LocalBindAddress": upstream.localBindAddress == "127.0.0.1"
                ? nil : .string(upstream.localBindAddress),
            "LocalBindPort": upstream.localBindPort == 0 ? nil : .number(upstream.localBindPort),
            "LocalBindSocketPath": upstream.localBindSocketPath.map { .string($0) },
            "LocalBindSocketMode": upstream.localBindSocketMode.map { .string($0) },
            "Config": upstream.config.isEmpty ? nil : JSON(.object(upstream.config)),
            "MeshGateway": gateway(upstream.meshGatewayMode),
        ])
    }

    private static func transparent(_ wanted: TransparentProxy) -> JSON {
        .members([
            "OutboundListenerPort": wanted.outboundListenerPort.map { .number($0) },
            "DialedDirectly": wanted.dialedDirectly ? true : nil,
        ])
    }

    private static func gateway(_ mode: String?) -> JSON {
        mode.map { ["Mode": .string($0)] } ?? [:]
    }
}

extension JSON {
    /// Consul's catalog says null where there are none.
    static func textsOrNull(_ texts: [String: String]) -> JSON {
        texts.isEmpty ? .null : .texts(texts)
    }
}
