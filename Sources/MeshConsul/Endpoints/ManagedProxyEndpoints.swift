import MeshModel
import MeshStore

/// `/v1/agent/connect/proxy/:id`: what a managed proxy is to do, as Consul 1.2 to 1.5 say it.
package struct ManagedProxyEndpoints: EndpointGroup {
    let backend: any ConsulBackend
    let access: any AccessPolicy
    let queries: Queries

    package init(backend: any ConsulBackend, access: any AccessPolicy, queries: Queries) {
        self.backend = backend
        self.access = access
        self.queries = queries
    }

    package var endpoints: [Endpoint] {
        [Endpoint("/v1/agent/connect/proxy/", ["GET": proxy])]
    }

    @concurrent private func proxy(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let id = request.tail
        guard !id.isEmpty else { throw APIError(400, "Missing proxy service ID") }
        let known = try await found(id)
        try authority.require(Access(.identity, .service, known.target.name.text))
        let names = [known.proxy.name.folded, known.target.name.folded]
        return try await queries.hashed(
            request, watching: Watch([.services], .keys(Set(names)))
        ) { _ in
            let (target, proxy) = try await found(id)
            try authority.require(Access(.identity, .service, target.name.text))
            let bare = Self.json(target, proxy, hash: "")
            let hash = ContentHash.of(bare)
            return (hash, .json(Self.json(target, proxy, hash: hash)))
        }
    }

    /// The service that has a managed proxy with this id, and that proxy.
    private func found(
        _ id: String
    ) async throws -> (target: ServiceDefinition, proxy: ServiceDefinition) {
        let instance = await backend.localInstances(.id(id)).first { $0.definition.id.text == id }
        guard let instance, let parent = instance.parent,
            let target = backend.store.snapshot.service(parent)?.definition,
            target.connect.managedProxy != nil
        else { throw APIError(404, "unknown proxy service ID: \(id)") }
        return (target, instance.definition)
    }

    private static func json(
        _ target: ServiceDefinition, _ proxy: ServiceDefinition, hash: String
    ) -> JSON {
        let options = proxy.proxy ?? ProxyDefinition()
        var config = options.config.filter { FoldedKey($0.key).text != "external" }
        config["bind_port"] = .int(Int64(options.options.bindPort ?? proxy.port))
        if options.options.bindAddress == nil {
            config["bind_address"] = .string(proxy.address.isEmpty ? "127.0.0.1" : proxy.address)
        }
        if options.options.localService == nil, let port = options.localServicePort {
            config["local_service_address"] = .string(
                HostPort(host: options.localServiceAddress, port: port).description)
        }
        let upstreams = options.upstreams.map { upstream in
            var members = upstream.config
            members["destination_name"] = .string(upstream.destinationName.text)
            members["destination_type"] = .string(upstream.destinationType.rawValue)
            members["local_bind_address"] = .string(upstream.localBindAddress)
            members["local_bind_port"] = .int(Int64(upstream.localBindPort))
            if let datacenter = upstream.datacenter {
                members["destination_datacenter"] = .string(datacenter.text)
            }
            return DataValue.object(members)
        }
        if !upstreams.isEmpty { config["upstreams"] = .array(upstreams) }
        return [
            "ProxyServiceID": .string(proxy.id.text), "TargetServiceID": .string(target.id.text),
            "TargetServiceName": .string(target.name.text), "ContentHash": .string(hash),
            "ExecMode": "daemon",
            "Command": .array(
                (target.connect.managedProxy?.command ?? []).map { .string($0) }),
            "Config": JSON(.object(config)),
        ]
    }
}
