/// `/v1/status`: who leads. The node leads itself.
package struct StatusEndpoints: EndpointGroup {
    let backend: any ConsulBackend

    package init(backend: any ConsulBackend) { self.backend = backend }

    package var endpoints: [Endpoint] {
        let backend = backend
        return [
            Endpoint("/v1/status/leader", ["GET": { _ in .json(.string(backend.serverAddress)) }]),
            Endpoint(
                "/v1/status/peers", ["GET": { _ in .json([.string(backend.serverAddress)]) }]),
        ]
    }
}
