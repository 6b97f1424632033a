import MeshModel

/// `/v1/agent/self` and `/v1/agent/members`: who answers.
package struct AgentSelfEndpoints: EndpointGroup {
    let backend: any ConsulBackend
    let access: any AccessPolicy

    package init(backend: any ConsulBackend, access: any AccessPolicy) {
        self.backend = backend
        self.access = access
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/agent/self", ["GET": own]),
            Endpoint("/v1/agent/members", ["GET": members]),
            Endpoint("/v1/agent/metrics", ["GET": metrics]),
        ]
    }

    @concurrent private func own(_ request: APIRequest) async throws -> APIResponse {
        let node = backend.node
        try await access.authority(of: request.token)
            .require(Access(.read, .agent, node.name.text))
        return .json([
            "Config": [
                "Datacenter": .string(node.datacenter.text), "NodeName": .string(node.name.text),
                "NodeID": .string(backend.nodeID), "Revision": "", "Server": true,
                "Version": .string(ConsulVersion.text),
            ],
            "DebugConfig": [:],
            "Coord": Self.coordinate,
            "Member": member,
            "Stats": [
                "build": [
                    "prerelease": "", "revision": "", "version": .string(ConsulVersion.text),
                ],
                "consul": [
                    "acl": access.isDefaultAllow ? "disabled" : "enabled", "bootstrap": "false",
                    "known_datacenters": "1", "leader": "true",
                    "leader_addr": .string(backend.serverAddress), "server": "true",
                ],
            ],
            "Meta": .texts(node.meta.merging(["consul-network-segment": ""]) { own, _ in own }),
            // Data planes are not fed over xDS.
            "xDS": ["SupportedProxies": ["envoy": []]],
        ])
    }

    @concurrent private func members(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let isShown = authority.allows(Access(.read, .node, backend.node.name.text))
        return .json(isShown ? [member] : [])
    }

    /// Where a node is in the network that Vivaldi makes of round trips, before any was measured.
    private static let coordinate: JSON = [
        "Vec": [0, 0, 0, 0, 0, 0, 0, 0], "Error": .double(1.5), "Adjustment": 0,
        "Height": .double(0.00001),
    ]

    private var member: JSON {
        let node = backend.node
        return [
            "Name": .string(node.name.text), "Addr": .string(node.address),
            "Port": .number(ConsulVersion.serfPort),
            "Tags": [
                "acls": access.isDefaultAllow ? "0" : "1",
                "build": .string("\(ConsulVersion.text):"), "dc": .string(node.datacenter.text),
                "id": .string(backend.nodeID), "port": .string("\(ConsulVersion.serverPort)"),
                "role": "consul", "segment": "", "vsn": "2", "vsn_max": "3", "vsn_min": "2",
                "wan_join_port": .string("\(ConsulVersion.wanPort)"),
            ],
            // Alive.
            "Status": 1, "ProtocolMin": 1, "ProtocolMax": 5, "ProtocolCur": 2, "DelegateMin": 2,
            "DelegateMax": 5, "DelegateCur": 4,
        ]
    }
}
