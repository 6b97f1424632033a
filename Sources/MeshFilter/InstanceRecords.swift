package import MeshModel

/// A check as filters see it.
package struct FilteredCheck: Sendable {
    package var id: String
    package var name: String
    package var notes: String
    package var output: String
    package var status: CheckStatus
    package var kind: CheckDefinition.Kind?

    package init(
        id: String, name: String = "", notes: String = "", output: String = "",
        status: CheckStatus, kind: CheckDefinition.Kind? = nil
    ) {
        self.id = id
        self.name = name
        self.notes = notes
        self.output = output
        self.status = status
        self.kind = kind
    }
}

/// An instance of a service on its node, for ``FilterSchema/instances``.
package struct FilteredInstance: FilterRecord {
    let definition: ServiceDefinition
    let node: NodeInfo
    let checks: [FilteredCheck]

    package init(_ definition: ServiceDefinition, on node: NodeInfo, checks: [FilteredCheck] = []) {
        self.definition = definition
        self.node = node
        self.checks = checks
    }

    package func value(_ field: String) -> FilterValue {
        switch field {
        case "Node": .record(FilteredNode(node))
        case "Service": .record(FilteredService(definition))
        case "Checks":
            .records(checks.map { FilteredCheckRecord($0, of: definition, on: node) })
        default: fatalError("instances have no field \(field)")
        }
    }
}

/// An instance of a service and its node in one level, for ``FilterSchema/catalogServices``.
package struct FilteredCatalogService: FilterRecord {
    private let service: FilteredService
    private let node: FilteredNode

    package init(_ definition: ServiceDefinition, on node: NodeInfo) {
        service = FilteredService(definition)
        self.node = FilteredNode(node)
    }

    package func value(_ field: String) -> FilterValue {
        switch field {
        case "ServiceName": service.value("Service")
        case "NodeMeta": node.value("Meta")
        case let own where own.hasPrefix("Service"): service.value(String(own.dropFirst(7)))
        default: node.value(field)
        }
    }
}

/// A node, for ``FilterSchema/nodes``.
package struct FilteredNode: FilterRecord {
    private let node: NodeInfo

    package init(_ node: NodeInfo) { self.node = node }

    package func value(_ field: String) -> FilterValue {
        switch field {
        case "ID": .text("")
        case "Node": .text(node.name.text)
        case "Address": .text(node.address)
        case "Datacenter": .text(node.datacenter.text)
        case "TaggedAddresses": .textMap([:])
        case "Meta": .textMap(node.meta)
        default: fatalError("nodes have no field \(field)")
        }
    }
}

/// A check of an instance, for ``FilterSchema/checks``.
package struct FilteredCheckRecord: FilterRecord {
    private let check: FilteredCheck
    private let definition: ServiceDefinition
    private let node: NodeInfo

    package init(_ check: FilteredCheck, of definition: ServiceDefinition, on node: NodeInfo) {
        self.check = check
        self.definition = definition
        self.node = node
    }

    package func value(_ field: String) -> FilterValue {
        switch field {
        case "CheckID": .text(check.id)
        case "Name": .text(check.name)
        case "Namespace": .text("")
        case "Node": .text(node.name.text)
        case "Notes": .text(check.notes)
        case "Output": .text(check.output)
        case "ServiceID": .text(definition.id.text)
        case "ServiceName": .text(definition.name.text)
        case "ServiceTags": .texts(definition.tags)
        case "Status": .text(check.status.rawValue)
        case "Type": .text(check.kind?.rawValue ?? "")
        default: fatalError("checks have no field \(field)")
        }
    }
}

// MARK: - parts of an instance

/// What was registered of a service, for ``FilterSchema/services``.
package struct FilteredService: FilterRecord {
    private let definition: ServiceDefinition

    package init(_ definition: ServiceDefinition) { self.definition = definition }

    package func value(_ field: String) -> FilterValue {
        switch field {
        case "Kind": .text(definition.kind.rawValue)
        case "ID": .text(definition.id.text)
        case "Service": .text(definition.name.text)
        case "Tags": .texts(definition.tags)
        case "Address": .text(definition.address)
        case "TaggedAddresses": .recordMap([:])
        case "Meta": .textMap(definition.meta)
        case "Port": .integer(Int(definition.port))
        case "SocketPath": .text(definition.socketPath ?? "")
        case "Weights": .record(FilteredWeights(weights: definition.weights))
        case "EnableTagOverride": .bool(definition.enableTagOverride)
        case "Proxy": .record(FilteredProxy(proxy: definition.proxy))
        case "Connect": .record(FilteredConnect(native: definition.connect.native))
        default: fatalError("services have no field \(field)")
        }
    }
}

private struct FilteredWeights: FilterRecord {
    let weights: ServiceWeights

    func value(_ field: String) -> FilterValue {
        .integer(field == "Passing" ? weights.passing : weights.warning)
    }
}

private struct FilteredConnect: FilterRecord {
    let native: Bool

    func value(_ field: String) -> FilterValue { .bool(native) }
}

private struct FilteredGateway: FilterRecord {
    let mode: String?

    func value(_ field: String) -> FilterValue { .text(mode ?? "") }
}

/// What a proxy stands for; of a service that is none, everything is empty.
private struct FilteredProxy: FilterRecord {
    let proxy: ProxyDefinition?

    func value(_ field: String) -> FilterValue {
        switch field {
        case "DestinationServiceName": .text(proxy?.destinationServiceName?.text ?? "")
        case "DestinationServiceID": .text(proxy?.destinationServiceID?.text ?? "")
        case "LocalServiceAddress": .text(proxy?.localServiceAddress ?? "")
        case "LocalServicePort": .integer(Int(proxy?.localServicePort ?? 0))
        case "LocalServiceSocketPath": .text(proxy?.localServiceSocketPath ?? "")
        case "Mode": .text(proxy?.mode ?? "")
        case "MeshGateway": .record(FilteredGateway(mode: proxy?.meshGatewayMode))
        case "Upstreams": .records((proxy?.upstreams ?? []).map { FilteredUpstream(upstream: $0) })
        default: fatalError("proxies have no field \(field)")
        }
    }
}

private struct FilteredUpstream: FilterRecord {
    let upstream: UpstreamDefinition

    func value(_ field: String) -> FilterValue {
        switch field {
        case "DestinationType": .text(upstream.destinationType.rawValue)
        case "DestinationNamespace": .text("")
        case "DestinationName": .text(upstream.destinationName.text)
        case "Datacenter": .text(upstream.datacenter?.text ?? "")
        case "LocalBindAddress": .text(upstream.localBindAddress)
        case "LocalBindPort": .integer(Int(upstream.localBindPort))
        case "LocalBindSocketPath": .text(upstream.localBindSocketPath ?? "")
        case "LocalBindSocketMode": .text(upstream.localBindSocketMode ?? "")
        case "MeshGateway": .record(FilteredGateway(mode: upstream.meshGatewayMode))
        default: fatalError("upstreams have no field \(field)")
        }
    }
}
