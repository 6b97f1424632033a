/// How a proxy stands between its application and the mesh.
package enum ProxyMode: String, Sendable, CaseIterable {
    /// Nothing was said: what is less exact decides, and ``direct`` in the end.
    case inherit = ""
    /// The application calls local addresses of upstreams.
    case direct
    /// The application calls services where they are; its connections are redirected to the proxy.
    case transparent
}

/// What a transparent proxy is told.
package struct TransparentProxy: Hashable, Sendable, Codable {
    /// The port that connections are redirected to, unless another one is given.
    package static let usualPort: UInt16 = 15001

    package var outboundListenerPort: UInt16?
    /// Whether instances may be called at their own addresses, each as itself.
    package var dialedDirectly: Bool

    package init(outboundListenerPort: UInt16? = nil, dialedDirectly: Bool = false) {
        self.outboundListenerPort = outboundListenerPort
        self.dialedDirectly = dialedDirectly
    }

    package var isEmpty: Bool { outboundListenerPort == nil && !dialedDirectly }

    package enum CodingKeys: String, CodingKey {
        case outboundListenerPort = "outbound_listener_port"
        case dialedDirectly = "dialed_directly"
    }
}

/// A further address of a service, under a name that says what it is for.
package struct TaggedAddress: Hashable, Sendable, Codable {
    /// Where the service as a whole is called, whatever instances it has.
    package static let virtual = "virtual"
    /// The same, given by Consul.
    package static let consulVirtual = "consul-virtual"

    package var address: String
    package var port: UInt16

    package init(address: String, port: UInt16 = 0) {
        self.address = address
        self.port = port
    }
}

extension ConfigEntry {
    /// The kind with what holds for all proxies of a mesh.
    package static let meshKind = "mesh"

    /// Whether it says that transparent proxies reach services of the mesh and nothing else; nil:
    /// it says nothing about that.
    package var meshDestinationsOnly: Bool? {
        guard case .other(let entry) = self, entry.kind == Self.meshKind,
            let section = DataValue.object(entry.fields)[key: "transparent_proxy"],
            case .bool(let truth)? = section[key: "mesh_destinations_only"]
        else { return nil }
        return truth
    }
}
