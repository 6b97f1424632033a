import MeshModel

/// Finds the proxy that an agent has registered in front of a service.
package enum SidecarSearch {
    /// Several are in front of it: somebody has to say which.
    package struct Ambiguous: Error, CustomStringConvertible {
        package let description: String
    }

    /// The id of the proxy. `service` is the id of a service, as of Consul's own option; where no
    /// proxy names that, its name.
    package static func find(
        _ service: String, _ agent: any AgentTransport
    ) async throws -> String {
        let answer = try await agent.exchange(AgentRequest("GET", "/v1/agent/services"))
        guard answer.status == 200 else {
            throw MeshError(
                .unavailable,
                "the agent at \(agent.subject) answers \(answer.status): \(answer.text)")
        }
        let found = try candidates(
            service, AgentJSON(answer.body, "the services of the agent"))
        guard let first = found.first else {
            throw MeshError(
                .notFound,
                "no sidecar proxy is registered for \(service) at the agent \(agent.subject): "
                    + "register the service with connect { sidecar_service {} }, or give --proxy-id"
            )
        }
        guard found.count == 1 else {
            throw Ambiguous(
                description: "more than one sidecar proxy is registered for \(service): give "
                    + "--proxy-id and one of \(found.joined(separator: ", "))")
        }
        return first
    }

    static func candidates(_ service: String, _ services: AgentJSON) -> [String] {
        let wanted = service.lowercased()
        func proxies(_ key: String) -> [String] {
            services.members.compactMap { _, item -> String? in
                guard item.text("Kind") == ServiceKind.connectProxy.rawValue,
                    item["Proxy"]?.text(key)?.lowercased() == wanted
                else { return nil }
                return item.text("ID")
            }.sorted()
        }
        let byID = proxies("DestinationServiceID")
        return byID.isEmpty ? proxies("DestinationServiceName") : byID
    }
}
