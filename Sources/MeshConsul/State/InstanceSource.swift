import MeshDiscovery
package import MeshModel

/// An instance as prepared queries and resolvers look at it.
package struct FoundInstance: Sendable, QueryCandidate {
    package var node: NodeInfo
    package var definition: ServiceDefinition
    /// Those of its node, then its own.
    package var checks: [(id: String, status: CheckStatus)]
    /// As `/v1/health` shows it.
    package var json: JSON

    package init(
        node: NodeInfo, definition: ServiceDefinition,
        checks: [(id: String, status: CheckStatus)], json: JSON
    ) {
        self.node = node
        self.definition = definition
        self.checks = checks
        self.json = json
    }

    package var queryNode: String { node.name.text }
    package var queryNodeMeta: [String: String] { node.meta }
    package var queryServiceMeta: [String: String] { definition.meta }
    package var queryTags: [String] { definition.tags }
    package var queryChecks: [(id: String, status: CheckStatus)] { checks }
}

extension FoundInstance {
    func isReadable(by authority: any Authority) -> Bool {
        authority.allows(Access(.read, .node, node.name.text))
            && authority.allows(Access(.read, .service, definition.name.text))
    }
}

/// Where instances are looked for.
package protocol InstanceSource: Sendable {
    /// Those of a service, or those that take part in the mesh for it. Names in any case.
    func instances(of service: String, isConnect: Bool) async -> [FoundInstance]
    func node(_ name: String) async -> NodeInfo?
}
