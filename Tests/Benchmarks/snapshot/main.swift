// What a change of configuration costs on its way to the workers: building a snapshot of many
// services, writing it out, and opening it as a worker does.
//
//     tools/bench-snapshot [services] [endpoints] [rounds]
import MeshModel
import MeshTables

func node(services: Int, endpoints: Int) throws -> CompiledNode {
    var node = CompiledNode(node: "node-1", datacenter: "dc1", trustDomain: "bench.mesh")
    let names = try (0..<services).map { try ServiceName("service-\($0)") }
    let tls = node.intern(
        TLSPlan(
            server: false, verify: .require, mesh: true, certificates: [7],
            trust: Array(repeating: 1, count: 600)))
    node.targets = names.enumerated().map { index, service in
        TargetPlan(
            id: "\(service.text).default.dc1", service: service,
            endpoints: (0..<endpoints).map { number in
                EndpointPlan(
                    address: .ip(
                        IPAddress(v4: 0x0a00_0000 + UInt32(index * endpoints + number)),
                        port: 21000), instance: "\(service.text)-\(number)",
                    node: "node-\((index * 7 + number) % 500)", tls: tls)
            }, checksIntentions: true, sni: "\(service.text).default.dc1.internal.bench.mesh",
            expectedID: "spiffe://bench.mesh/ns/default/dc/dc1/svc/\(service.text)",
            wireProtocol: .http1)
    }
    node.listeners = [
        ListenerPlan(
            name: "mesh", address: .ip(IPAddress(v4: 0x7f00_0001), port: 9000),
            kind: .l7(
                names.map { service in
                    RoutePlan(
                        host: "\(service.text).mesh",
                        action: .forward(SplitPlan.all(to: "\(service.text).default.dc1")),
                        rule: "service \(service.text)", origin: "derived")
                }), role: .outbound, identity: names[0])
    ]
    node.identities = [
        IdentityPlan(
            service: names[0], spiffeID: "spiffe://bench.mesh/ns/default/dc/dc1/svc/service-0",
            secret: 7)
    ]
    node.intentions = names.indices.map { index in
        Intention(
            source: .exact(names[(index * 31 + 1) % services]), destination: .exact(names[index]),
            effect: .action(index % 3 == 0 ? .deny : .allow))
    }
    return node
}

func milliseconds(_ work: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    let spent = try clock.measure(work)
    return Double(spent.components.attoseconds) / 1e15 + Double(spent.components.seconds) * 1e3
}

func show(_ what: String, _ samples: [Double]) {
    let sorted = samples.sorted()
    func text(_ value: Double) -> String { "\((value * 100).rounded() / 100)" }
    print("\(what): median \(text(sorted[sorted.count / 2])) ms, best \(text(sorted[0])) ms")
}

let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let services = arguments.first ?? 10_000
let endpoints = arguments.dropFirst().first ?? 5
let rounds = arguments.dropFirst(2).first ?? 21

var plan = try node(services: services, endpoints: endpoints)
var builder = SnapshotBuilder()
var slots = SlotTables()
var generation: UInt64 = 0
var image: SnapshotImage?
var builds: [Double] = []
var writes: [Double] = []
var opens: [Double] = []

for round in 0..<rounds {
    // One service changes in every round, as a registration does.
    plan.targets[round % services].endpoints[0].weight = 1 + round
    generation += 1
    let stamp = SnapshotBuilder.Stamp(
        generation: generation, secretsGeneration: 1, writtenAtMilliseconds: 0)
    builds.append(
        try milliseconds { image = try builder.build(plan, stamp: stamp, slots: &slots) })
    guard let image else { continue }
    let file = UnsafeMutableRawBufferPointer.allocate(byteCount: image.size, alignment: 4096)
    file.initializeMemory(as: UInt8.self, repeating: 0)
    writes.append(milliseconds { image.write(into: file) })
    opens.append(try milliseconds { try SnapshotReader.check(UnsafeRawBufferPointer(file)) })
    file.deallocate()
}
print("\(services) services x \(endpoints) endpoints, \(services) intentions, \(rounds) rounds")
print("snapshot: \((image?.size ?? 0) / 1024) KiB")
show("first build", Array(builds.prefix(1)))
show("build after a change of one service", Array(builds.dropFirst()))
show("write and checksum", writes)
show("view_open", opens)
