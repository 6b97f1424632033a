// The fields of Consul's answers that its filters can name, as far as this catalog knows them.
// What it cannot know (tagged addresses, namespaces) is there and always empty.

extension FilterSchema {
    /// Instances with node and checks: `/v1/health/service`, and subsets of service-resolvers.
    package static let instances = FilterSchema([
        "Node": .record([
            "ID": .text, "Node": .text, "Address": .text, "Datacenter": .text,
            "TaggedAddresses": .textMap, "Meta": .textMap,
        ]),
        "Service": .record(service),
        "Checks": .records(check),
    ])

    /// Instances in one level: `/v1/catalog/service`.
    package static let catalogServices = FilterSchema([
        "ID": .text, "Node": .text, "Address": .text, "Datacenter": .text,
        "TaggedAddresses": .textMap, "NodeMeta": .textMap, "ServiceKind": .text,
        "ServiceID": .text, "ServiceName": .text, "ServiceTags": .texts, "ServiceAddress": .text,
        "ServiceTaggedAddresses": .recordMap(address), "ServiceMeta": .textMap,
        "ServicePort": .integer, "ServiceSocketPath": .text, "ServiceWeights": .record(weights),
        "ServiceEnableTagOverride": .bool, "ServiceProxy": .record(proxy),
        "ServiceConnect": .record(connect),
    ])

    /// Services as the agent has them: `/v1/agent/services`.
    package static let services = FilterSchema(service)

    private static let service: [String: FilterField] = [
        "Kind": .text, "ID": .text, "Service": .text, "Tags": .texts, "Address": .text,
        "TaggedAddresses": .recordMap(address), "Meta": .textMap, "Port": .integer,
        "SocketPath": .text, "Weights": .record(weights), "EnableTagOverride": .bool,
        "Proxy": .record(proxy), "Connect": .record(connect),
    ]

    /// Nodes: `/v1/catalog/nodes`.
    package static let nodes = FilterSchema([
        "ID": .text, "Node": .text, "Address": .text, "Datacenter": .text,
        "TaggedAddresses": .textMap, "Meta": .textMap,
    ])

    /// Checks: `/v1/health/checks`, `/v1/health/node`, `/v1/health/state`.
    package static let checks = FilterSchema(check)

    private static let address: [String: FilterField] = ["Address": .text, "Port": .integer]
    private static let weights: [String: FilterField] = ["Passing": .integer, "Warning": .integer]
    private static let connect: [String: FilterField] = ["Native": .bool]
    private static let gateway: [String: FilterField] = ["Mode": .text]

    private static let check: [String: FilterField] = [
        "CheckID": .text, "Name": .text, "Namespace": .text, "Node": .text, "Notes": .text,
        "Output": .text, "ServiceID": .text, "ServiceName": .text, "ServiceTags": .texts,
        "Status": .text, "Type": .text,
    ]

    private static let proxy: [String: FilterField] = [
        "DestinationServiceName": .text, "DestinationServiceID": .text,
        "LocalServiceAddress": .text, "LocalServicePort": .integer,
        "LocalServiceSocketPath": .text, "Mode": .text, "MeshGateway": .record(gateway),
        "Upstreams": .records([
            "DestinationType": .text, "DestinationNamespace": .text, "DestinationName": .text,
            "Datacenter": .text, "LocalBindAddress": .text, "LocalBindPort": .integer,
            "LocalBindSocketPath": .text, "LocalBindSocketMode": .text,
            "MeshGateway": .record(gateway),
        ]),
    ]
}
