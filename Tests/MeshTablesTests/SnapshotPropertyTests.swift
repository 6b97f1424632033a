import CMeshABI
import CMeshTable
import Foundation
import MeshLanes
import MeshModel
import Testing

@testable import MeshTables

/// Random plans: what the builder takes, the data plane accepts; what it takes over from the build
/// before is what it would have written.
@Suite struct SnapshotPropertyTests {
    private struct RandomPlans {
        var chance: SeededGenerator
        var names: [ServiceName]

        init(seed: UInt64) throws {
            chance = SeededGenerator(seed: seed)
            names = try (0..<12).map { try ServiceName("service-\($0)") }
        }

        mutating func pick<Element>(_ elements: [Element]) -> Element {
            elements[Int.random(in: 0..<elements.count, using: &chance)]
        }

        mutating func flip() -> Bool { Bool.random(using: &chance) }

        mutating func number(_ range: ClosedRange<Int>) -> Int {
            Int.random(in: range, using: &chance)
        }

        mutating func node() throws -> CompiledNode {
            var node = CompiledNode(
                node: "node-1", datacenter: "dc1", trustDomain: "test.mesh",
                intentionsDefault: flip() ? .allow : .deny)
            let client = node.intern(
                TLSPlan(server: false, verify: .require, mesh: true, trust: [1, 2, 3]))
            let server = node.intern(
                TLSPlan(
                    server: true, verify: .require, mesh: true, alpn: ["h2", "http/1.1"],
                    certificates: [7, 9], trust: [1, 2, 3]))
            node.identities = names.prefix(3).map {
                IdentityPlan(service: $0, spiffeID: "spiffe://test.mesh/\($0.folded)", secret: 7)
            }
            node.targets = names.prefix(number(1...names.count)).map {
                target($0, client)
            }
            let ids = node.targets.map(\.id)
            for index in node.targets.indices where flip() {
                node.targets[index].failover = [pick(ids)]
            }
            node.listeners = (0..<number(1...5)).map { listener($0, ids, server) }
            var pairs: Set<String> = []
            for _ in 0..<number(0...30) {
                let intention = intention()
                if pairs.insert("\(intention.source)>\(intention.destination)").inserted {
                    node.intentions.append(intention)
                }
            }
            return node
        }

        private mutating func target(_ service: ServiceName, _ tls: TLSRef) -> TargetPlan {
            let address = [
                AddressPlan.unix(path: "/run/\(service.folded).sock", mode: 0),
                .ip(IPAddress(v6High: 0x2001_0db8, low: 1), port: 80), Plans.loopback(8000),
            ]
            let (balance, balancing) = balance()
            return TargetPlan(
                id: "\(service.folded).default.dc1", service: service,
                endpoints: (0..<number(0...4)).map { number in
                    EndpointPlan(
                        address: pick(address), instance: "\(service.folded)-\(number)",
                        node: "node-\(self.number(1...3))", weight: self.number(1...9),
                        tls: flip() ? tls : nil)
                }, checksIntentions: flip(), sni: flip() ? "web.internal" : "",
                expectedID: "spiffe://test.mesh/\(service.folded)",
                balance: balance, balancing: balancing,
                wireProtocol: pick([.tcp, .http1]), congestion: pick(["", "cubic", "bbr"]))
        }

        private mutating func balance() -> (TargetPlan.Balance, BalancingPlan?) {
            let balance = pick([
                TargetPlan.Balance.roundRobin, .leastRequest, .random, .ringHash, .maglev, .latency,
            ])
            let needsPlan = ![.roundRobin, .leastRequest, .random].contains(balance)
            return (balance, needsPlan || flip() ? balancing() : nil)
        }

        /// With small tables, as their size does not matter here.
        private mutating func balancing() -> BalancingPlan {
            BalancingPlan(
                minimumRing: pick([nil, 1, 50]), maximumRing: pick([nil, 100]),
                tableSize: pick([101, 251]), choices: UInt8(number(2...5)),
                slowStart: pick([0, 30_000]),
                hashes: pick([
                    [], [.init(.header("x-user"), terminal: true), .init(.address)],
                    [.init(.cookie("cart", attributes: "; Path=/"))], [.init(.query("id"))],
                ]), healthyShare: pick([nil, 70]))
        }

        private mutating func splits(_ ids: [String]) -> [SplitPlan] {
            (0..<number(1...4)).map { SplitPlan(weight: $0 + number(1...9999), target: pick(ids)) }
        }

        private mutating func listener(
            _ index: Int, _ ids: [String], _ tls: TLSRef
        ) -> ListenerPlan {
            let isL7 = flip()
            var plan = ListenerPlan(
                name: "listener-\(index)", address: Plans.loopback(UInt16(9000 + index)),
                kind: isL7
                    ? .l7((0..<number(0...8)).map { route($0, ids) }) : .l4(splits(ids)),
                via: pick(["", "ringmesh"]))
            switch number(0...2) {
            case 0:
                plan.role = .inbound
                plan.tls = tls
                plan.intentionsOf = pick(names)
            case 1:
                plan.role = .outbound
                plan.identity = names[0]
            default: break
            }
            return plan
        }

        private mutating func match() -> HTTPMatch {
            let texts = [
                TextMatch.present, .exact("a"), .prefix("b"), .suffix("c"), .contains("d"),
                .regex("[a-z]+"),
            ]
            return HTTPMatch(
                path: pick([
                    nil, .exact("/a"), .prefix("/b"), .regex("/c/[0-9]+"), .regex("/d|/e.*"),
                ]), caseInsensitive: flip(),
                headers: flip()
                    ? [HeaderMatch(name: "X-Test", match: pick(texts), invert: flip())] : [],
                query: flip() ? [QueryMatch(name: "q", match: pick(texts))] : [],
                methods: flip() ? ["GET", "post"] : [])
        }

        private mutating func route(_ index: Int, _ ids: [String]) -> RoutePlan {
            var plan = RoutePlan(
                host: pick([nil, "a.example.com", "*.example.com", "*.com", "b.org"]),
                match: match(), action: .forward(splits(ids)), rule: "route \(index)",
                origin: "test:\(index)")
            switch number(0...3) {
            case 0: plan.action = .respond(status: 403, body: "no\n", contentType: "text/plain")
            case 1: plan.action = .redirect(status: 308, scheme: "https", host: "", path: "/x")
            default:
                plan.retries = UInt32(number(0...Int(RoutePlan.greatestRetries)))
                plan.retryOn = [.connect]
            }
            if flip() {
                plan.headerOps = [
                    HeaderOpPlan(name: "X-A", kind: .set("1"), onResponse: flip()),
                    HeaderOpPlan(name: "X-B", kind: .remove, onResponse: flip()),
                ]
            }
            if flip(), case .forward(var legs) = plan.action {
                let own = HeaderOpPlan(name: "X-C", kind: .add("\(index)"), onResponse: flip())
                legs[0].headerOps = [own] + plan.headerOps
                plan.action = .forward(legs)
            }
            return plan
        }

        private mutating func intention() -> Intention {
            let source: NamePattern = number(0...4) == 0 ? .any : .exact(pick(names))
            let destination: NamePattern = number(0...4) == 0 ? .any : .exact(pick(names))
            if destination != .any, number(0...3) == 0 {
                return Intention(
                    source: source, destination: destination,
                    effect: .permissions([
                        Permission(action: .deny, http: match()),
                        Permission(action: .allow, http: match()),
                    ]))
            }
            return Intention(
                source: source, destination: destination,
                effect: .action(flip() ? .allow : .deny))
        }

        private mutating func changeBalancing(_ node: inout CompiledNode) {
            let place = number(0...node.targets.count - 1)
            switch number(0...2) {
            case 0:
                (node.targets[place].balance, node.targets[place].balancing) = balance()
            case 1:
                if node.targets[place].balancing != nil {
                    node.targets[place].balancing = balancing()
                }
            default:
                for index in node.targets[place].endpoints.indices where flip() {
                    node.targets[place].endpoints[index].weight = number(1...9)
                }
            }
        }

        private mutating func changeEndpoints(_ node: inout CompiledNode) {
            let place = number(0...node.targets.count - 1)
            if flip() { _ = node.targets[place].endpoints.popLast() }
            for _ in 0..<number(0...2) {
                let id = "\(node.targets[place].service.folded)-\(number(10...19))"
                node.targets[place].endpoints.append(
                    EndpointPlan(
                        address: Plans.loopback(UInt16(number(1...9))), instance: id,
                        node: "node-1",
                        weight: number(1...9)))
            }
        }

        /// Mostly one that has a neighbour of the same destination.
        private mutating func changeIntention(_ node: inout CompiledNode) {
            let new = intention()
            let place = node.intentions.firstIndex {
                $0.source == new.source && $0.destination == new.destination
            }
            if let place {
                node.intentions[place] = new
            } else if let twin = node.intentions.firstIndex(where: {
                $0.destination == new.destination
            }) {
                node.intentions.insert(new, at: twin)
            } else {
                node.intentions.append(new)
            }
        }

        private func isNamed(_ target: String, _ node: CompiledNode) -> Bool {
            let lists = node.listeners.flatMap { listener -> [[SplitPlan]] in
                switch listener.kind {
                case .l4(let splits): [splits]
                case .redirected: []
                case .serverName(let routes, let splits):
                    routes.compactMap(\.splits) + [splits ?? []]
                case .gateway(let routes), .l7(let routes): routes.compactMap(\.splits)
                }
            }
            return lists.joined().contains { $0.target == target }
                || node.targets.contains { $0.failover.contains(target) }
        }

        /// A small change of a plan.
        mutating func change(_ node: inout CompiledNode) throws {
            switch number(0...13) {
            case 0: node.targets.shuffle(using: &chance)
            case 1: if !node.targets.isEmpty { node.targets[0].connectTimeout += 1 }
            case 2: node.intentions.shuffle(using: &chance)
            case 3: _ = node.intentions.popLast()
            case 4: node.listeners.shuffle(using: &chance)
            case 5...6: changeEndpoints(&node)
            case 7:
                let before = node
                node.targets.removeAll { $0.failover.isEmpty && !isNamed($0.id, before) }
            case 8...10: changeIntention(&node)
            case 11...12: changeBalancing(&node)
            default: node = try self.node()
            }
        }
    }

    @Test(arguments: 0..<60)
    func randomPlansAreAccepted(seed: UInt64) throws {
        try compareBuilds(seed: seed, .machine)
    }

    /// Targets and routes that are written aside, however few they are, say the same.
    @Test(arguments: [1, 2, 4], UInt64(100)..<120)
    func randomPlansAreTheSameInEveryNumberOfLanes(lanes: Int, seed: UInt64) throws {
        try compareBuilds(seed: seed, Lanes(lanes, greatestGrain: 1))
    }

    /// What is kept of a plan over a restart is all of it, also that equal settings stand once.
    @Test(arguments: UInt64(200)..<240)
    func randomPlansComeBackFromTheirRecords(seed: UInt64) throws {
        var plans = try RandomPlans(seed: seed)
        var node = try plans.node()
        for _ in 0..<5 {
            let record = try JSONEncoder().encode(node)
            var read = try JSONDecoder().decode(CompiledNode.self, from: record)
            #expect(read == node)
            let count = node.tls.count
            for plan in node.tls { #expect(read.intern(plan) == node.intern(plan)) }
            #expect(read.tls.count == count && node.tls.count == count)
            try plans.change(&node)
        }
    }

    private func compareBuilds(seed: UInt64, _ lanes: Lanes) throws {
        var plans = try RandomPlans(seed: seed)
        var builder = SnapshotBuilder(lanes: lanes)
        var slots = SlotTables()
        var node = try plans.node()
        for generation in 1...30 {
            let stamp = Plans.stamp(UInt64(generation))
            let image = try builder.build(node, stamp: stamp, slots: &slots)
            let reader = try SnapshotReader(image)
            // Builders without memory, with the same slots, make what says the same.
            for others in Set([1, lanes.count]) {
                var fresh = SnapshotBuilder(lanes: Lanes(others, greatestGrain: 1))
                var sameSlots = slots
                let other = try SnapshotReader(
                    fresh.build(node, stamp: stamp, slots: &sameSlots))
                Self.compare(reader, other)
            }
            try plans.change(&node)
        }
    }

    private static func compare(_ reader: SnapshotReader, _ other: SnapshotReader) {
        #expect(SnapshotDump(reader) == SnapshotDump(other))
        #expect(slots(reader) == slots(other))
        #expect(policies(reader) == policies(other))
        #expect(targets(reader) == targets(other))
        #expect(balancers(reader) == balancers(other))
        #expect(reader.intentions.count == other.intentions.count)
        #expect(reader.permissions.count == other.permissions.count)
    }

    private static func slots(_ reader: SnapshotReader) -> [UInt64: UInt32] {
        Dictionary(
            reader.endpoints.map { ($0.key, $0.overlay_slot) }
                + reader.targets.map { ($0.key, $0.stats_slot) }
                + reader.listeners.map { ($0.key, UInt32($0.stats_slot)) }
        ) { first, _ in first }
    }

    /// Every target with all that its record and those of its endpoints say, in their order.
    private static func targets(_ reader: SnapshotReader) -> [String] {
        reader.targets.map { target in
            let texts = [target.name, target.service, target.sni, target.expected_id]
                .map { reader.text($0) }
            let numbers = [
                UInt32(target.balance), UInt32(target.protocol), UInt32(target.proxy_out),
                target.connect_timeout_ms, target.max_weight,
                target.guard == ABI_NONE ? 0 : reader.guards[Int(target.guard)].max_requests,
            ]
            let policy =
                target.policy == ABI_NONE
                ? "none" : reader.text(reader.policies[Int(target.policy)].destination)
            let range = Int(target.endpoints.at)..<Int(target.endpoints.at + target.endpoints.count)
            let endpoints = range.map { reader.endpoints[$0] }.map {
                "\($0.key) \($0.address.port) \($0.address.family) \($0.tls) \($0.weight) "
                    + "\($0.overlay_slot) \(reader.text($0.instance)) \(reader.text($0.node))"
            }
            return "\(target.key) \(texts) \(numbers) \(policy) \(endpoints) "
                + reader.text(target.congestion)
        }
    }

    /// Of every target what its balancer says, with tables and texts.
    private static func balancers(_ reader: SnapshotReader) -> [String] {
        reader.targets.map { target in
            guard target.balancer != ABI_NONE else { return "none" }
            let balancer = reader.balancers[Int(target.balancer)]
            let tiers = (balancer.tiers.at..<balancer.tiers.at + balancer.tiers.count).map {
                let tier = reader.tiers[Int($0)]
                let table = (tier.table.at..<tier.table.at + tier.table.count).map {
                    reader.tableSlots[Int($0)]
                }
                return "\(tier.endpoints.at) \(tier.endpoints.count) \(tier.max_weight) "
                    + "\(tier.kind) \(table)"
            }
            let hashes = (balancer.hashes.at..<balancer.hashes.at + balancer.hashes.count).map {
                let hash = reader.hashes[Int($0)]
                return "\(hash.of) \(hash.terminal) \(reader.text(hash.name)) "
                    + reader.text(hash.attributes)
            }
            return "\(tiers) \(hashes) \(balancer.slow_start_ms) \(balancer.decay_ms) "
                + "\(balancer.choices) \(balancer.spill)"
        }
    }

    private static func policies(_ reader: SnapshotReader) -> [String: [String]] {
        Dictionary(
            uniqueKeysWithValues: reader.policies.map { policy in
                let range = policy.intentions.at..<policy.intentions.at + policy.intentions.count
                let intentions = range.map { reader.intentions[Int($0)] }.map {
                    "\(reader.text($0.source))>\(reader.text($0.destination)) \($0.action)"
                }
                let fallback =
                    policy.fallback == ABI_NONE
                    ? "none" : "\(reader.intentions[Int(policy.fallback)].action)"
                return (
                    reader.text(policy.destination), intentions + [fallback, "\(policy.key)"]
                )
            })
    }

    /// The first match of the merged lists is the first match of all routes, whatever host it
    /// names.
    @Test func hostTablesKeepTheOrderOfRoutes() throws {
        var chance = SeededGenerator(seed: 11)
        let patterns: [String?] = [
            nil, "a.com", "*.com", "b.a.com", "*.a.com", "x.org", "*.x.org", "*.b.a.com",
        ]
        let hosts = ["a.com", "b.a.com", "c.b.a.com", "q.com", "x.org", "y.x.org", "none", ""]
        let methods = ["GET", "PUT"]
        for _ in 0..<200 {
            let routes = (0..<Int.random(in: 0...10, using: &chance)).map { index in
                RoutePlan(
                    host: patterns.randomElement(using: &chance) ?? nil,
                    match: HTTPMatch(
                        methods: Bool.random(using: &chance)
                            ? [] : [methods.randomElement(using: &chance) ?? "GET"]),
                    action: .respond(status: 200 + index, body: "", contentType: ""),
                    rule: "\(index)", origin: "")
            }
            var node = try Plans.small()
            node.listeners[0].kind = .l7(routes)
            let reader = try Plans.reader(node)
            for host in hosts {
                for method in methods {
                    let expected = routes.first { route in
                        (route.match.methods.isEmpty || route.match.methods == [method])
                            && Self.covers(route.host, host)
                    }
                    let request = ExplainedRequest(
                        method: method, url: "/",
                        headers: host.isEmpty ? [] : [.init(name: "host", value: host)])
                    let input = try RequestInput(request)
                    var record = input.input
                    let found = withExtendedLifetime(input) { route_find(reader.view, 0, &record) }
                    let rule = found == ABI_NONE ? nil : reader.text(reader.routes[Int(found)].rule)
                    #expect(rule == expected?.rule, "\(host) \(method) of \(routes.map(\.host))")
                }
            }
        }
    }

    private static func covers(_ pattern: String?, _ host: String) -> Bool {
        guard let pattern else { return true }
        guard pattern.hasPrefix("*") else { return pattern == host }
        return host.hasSuffix(pattern.dropFirst()) && host.count > pattern.count - 1
    }

    @Test func splitsAreScaledToTheWhole() throws {
        let cases: [([Int], [UInt32])] = [
            ([1], [10_000]), ([50, 50], [5000, 5000]), ([1, 1, 1], [3334, 3333, 3333]),
            ([6667, 1667, 1667], [6666, 1667, 1667]), ([0, 3, 0], [10_000]),
            ([10_000_00, 1], [9999, 1]), ([9999, 1], [9999, 1]),
            ([1_000_000, 1, 1], [9998, 1, 1]),
        ]
        for (weights, expected) in cases {
            var node = try Plans.small()
            node.listeners[0].kind = .l4(
                weights.map { SplitPlan(weight: $0, target: "web.default.dc1") })
            let reader = try Plans.reader(node)
            #expect(reader.splits.map(\.weight) == expected, "\(weights)")
        }
    }
}

extension RoutePlan {
    /// Where its requests go, if they do.
    fileprivate var splits: [SplitPlan]? {
        if case .forward(let splits) = action { return splits }
        return nil
    }
}
