import MeshModel
import Testing

@testable import MeshTables

/// A reproducible source of chance.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

/// Sample plans.
enum Plans {
    static func name(_ text: String) throws -> ServiceName { try ServiceName(text) }

    static func loopback(_ port: UInt16) -> AddressPlan {
        .ip(IPAddress(v4: 0x7f00_0001), port: port)
    }

    static func target(
        _ service: String, ports: [UInt16], node: String = "node-1"
    ) throws -> TargetPlan {
        TargetPlan(
            id: "\(service).default.dc1", service: try name(service),
            endpoints: ports.map {
                EndpointPlan(
                    address: loopback($0), instance: "\(service)-\($0)", node: node)
            }, wireProtocol: .http1)
    }

    /// One L7 listener with one route to one service.
    static func small() throws -> CompiledNode {
        CompiledNode(
            node: "node-1", datacenter: "dc1",
            listeners: [
                ListenerPlan(
                    name: "public", address: loopback(8080),
                    kind: .l7([
                        RoutePlan(
                            action: .forward(SplitPlan.all(to: "web.default.dc1")),
                            rule: "listener public", origin: "ringmesh.yaml:3:5")
                    ]))
            ], targets: [try target("web", ports: [18000, 18001])])
    }

    static func stamp(_ generation: UInt64 = 1) -> SnapshotBuilder.Stamp {
        SnapshotBuilder.Stamp(
            generation: generation, secretsGeneration: 1, writtenAtMilliseconds: 1_700_000_000_000)
    }

    /// Builds and opens.
    static func reader(_ node: CompiledNode) throws -> SnapshotReader {
        var builder = SnapshotBuilder()
        var slots = SlotTables()
        return try SnapshotReader(builder.build(node, stamp: stamp(), slots: &slots))
    }

    /// The messages of a refused build.
    static func problems(_ node: CompiledNode) throws -> [String] {
        var builder = SnapshotBuilder()
        var slots = SlotTables()
        do {
            _ = try builder.build(node, stamp: stamp(), slots: &slots)
        } catch let error as PlanError {
            return error.problems.map(\.message)
        }
        return []
    }

    static func intention(
        _ source: String, _ destination: String, _ action: IntentionAction
    ) throws -> Intention {
        Intention(
            source: try NamePattern(source), destination: try NamePattern(destination),
            effect: .action(action))
    }

    /// Services with endpoints on other nodes, an intention each, reachable by host.
    static func large(services: Int, endpoints: Int) throws -> CompiledNode {
        var node = CompiledNode(node: "node-1", datacenter: "dc1", trustDomain: "test.mesh")
        let names = try (0..<services).map { try name("service-\($0)") }
        let tls = node.intern(
            TLSPlan(
                server: false, verify: .require, mesh: true, certificates: [7],
                trust: Array(repeating: 1, count: 600)))
        node.targets = names.enumerated().map { index, service in
            TargetPlan(
                id: "\(service.folded).default.dc1", service: service,
                endpoints: (0..<endpoints).map { number in
                    EndpointPlan(
                        address: .ip(
                            IPAddress(v4: 0x0a00_0000 + UInt32(index * endpoints + number)),
                            port: 21000), instance: "\(service.folded)-\(number)",
                        node: "node-\((index * 7 + number) % 500)", tls: tls)
                }, sni: "\(service.folded).default.dc1.internal.test.mesh",
                expectedID: "spiffe://test.mesh/ns/default/dc/dc1/svc/\(service.folded)",
                wireProtocol: .http1)
        }
        node.listeners = [
            ListenerPlan(
                name: "mesh", address: loopback(9000),
                kind: .l7(
                    names.map { service in
                        RoutePlan(
                            host: "\(service.folded).mesh",
                            action: .forward(SplitPlan.all(to: "\(service.folded).default.dc1")),
                            rule: "service \(service.folded)", origin: "derived")
                    }), role: .outbound, identity: names[0])
        ]
        node.identities = [
            IdentityPlan(
                service: names[0], spiffeID: "spiffe://test.mesh/ns/default/dc/dc1/svc/service-0",
                secret: 7)
        ]
        for index in node.targets.indices { node.targets[index].checksIntentions = true }
        node.intentions = names.indices.map { index in
            Intention(
                source: .exact(names[(index * 31 + 1) % services]),
                destination: .exact(names[index]),
                effect: .action(index % 3 == 0 ? .deny : .allow))
        }
        return node
    }
}
