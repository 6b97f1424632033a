import Foundation
import MeshConfig
import MeshIdentity
import MeshModel
import MeshStore
import MeshTelemetry

@testable import controlplane

/// A reproducible source of chance.
struct SeededChance: RandomNumberGenerator {
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

func testLogger() -> Logger { LogSystem(sink: LogSink { _ in }).logger("test") }

func testTokens(_ store: any StateStore, _ board: ProblemBoard) throws -> TokenKeeper {
    try TokenKeeper(store: store, board: board, registry: MetricsRegistry(), log: testLogger())
}

/// A node to which things happen, at random: a real store, real identities, a real source.
struct ChangingWorld {
    private static let count = 6
    private var chance: SeededChance
    private let store: SQLiteStore
    private let source: DesiredSource
    private var configuration: Configuration
    private var folders = FolderContents()
    /// Leaves that were made anew, and the addresses of names: these have no other way in here.
    private var leaves: [ServiceName: LeafCertificate] = [:]
    private var addresses: [String: String] = ["localhost": "127.0.0.1"]
    /// What has happened.
    private(set) var log: [String] = []
    /// States that told what has changed of the inventory.
    private(set) var partial = 0

    init(seed: UInt64) async throws {
        chance = SeededChance(seed: seed)
        store = try await SQLiteStore.inMemory()
        configuration = try ConfigLoader().load(
            text: "mesh: { trust_domain: test.consul }", source: "test.yaml"
        ).configuration
        let board = ProblemBoard()
        let identity = try await IdentityKeeper.open(
            store: store, configuration: configuration, board: board, log: testLogger())
        source = try DesiredSource(
            store: store, identity: identity, configuration: configuration, folders: folders,
            names: HostNames(), tokens: try testTokens(store, board), board: board,
            log: testLogger())
        try await source.take(configuration, folders: folders)
    }

    /// The state as the source gathers it.
    mutating func state() async throws -> DesiredState {
        var state = await source.gather()
        for (service, leaf) in leaves where state.mesh.leaves[service] != nil {
            state.mesh.leaves[service] = leaf
        }
        state.addresses = addresses
        if state.change != nil { partial += 1 }
        return state
    }

    // MARK: - chance

    private mutating func number(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &chance)
    }

    private mutating func flip() -> Bool { Bool.random(using: &chance) }

    private mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[number(0...elements.count - 1)]
    }

    private mutating func name() throws -> ServiceName {
        try ServiceName("s\(number(0...Self.count - 1))")
    }

    // MARK: - changes

    /// One to three things happen before anybody looks.
    mutating func change() async throws {
        for _ in 0..<(flip() ? 1 : number(1...3)) {
            switch number(0...19) {
            case 0...6: try await changeInstance()
            case 7...9: try await changeIntention()
            case 10...12: try await changeEntry()
            case 13: try await changeSidecar()
            case 14: try rotateLeaf()
            case 15: changeAddress()
            case 16...17: try await changeListeners()
            default: try await changeFolder()
            }
        }
    }

    private mutating func instance() throws -> ServiceDefinition {
        var made = try service(
            name().text, id: "i\(number(0...9))", port: UInt16(number(0...5)),
            address: pick(["127.0.0.1", "", "::1", "db.test", "web.test", "localhost"]))
        made.weights = ServiceWeights(passing: number(1...3), warning: number(1...2))
        made.socketPath = number(0...9) == 0 ? "/run/\(made.id).sock" : nil
        return made
    }

    private func isStored(_ id: ServiceID) -> Bool { store.snapshot.service(id) != nil }

    private mutating func changeInstance() async throws {
        let made = try instance()
        let isGone = number(0...3) == 0 && isStored(made.id)
        log.append("\(isGone ? "remove" : "put") \(made.id) of \(made.name)")
        try await store.write { draft in
            if isGone { try draft.removeService(made.id) } else { try draft.putService(made) }
        }
    }

    private mutating func changeSidecar() async throws {
        var upstreams: [String: UInt16] = [:]
        for index in 0..<number(0...2) {
            upstreams[try name().text] = UInt16(9000 + number(0...3) + 10 * index)
        }
        let owner = try name()
        var made = try service(
            owner.text, id: "side-\(number(0...2))", port: UInt16(number(100...103)),
            sidecar: true, upstreams: upstreams)
        made.connect.sidecarService?.proxy.localServiceAddress = pick(["127.0.0.1", "db.test"])
        let isGone = number(0...2) == 0 && isStored(made.id)
        log.append("\(isGone ? "remove" : "put") sidecar of \(made.id), \(made.name)")
        let definition = made
        try await store.write { draft in
            if isGone {
                try draft.removeService(definition.id)
            } else {
                try draft.putService(definition)
            }
        }
    }

    private mutating func changeIntention() async throws {
        let source = number(0...3) == 0 ? NamePattern.any : .exact(try name())
        let destination = number(0...3) == 0 ? NamePattern.any : .exact(try name())
        let key = IntentionKey(source: source, destination: destination)
        let match = HTTPMatch(path: pick([.prefix("/a"), .exact("/b"), .regex("/c+")]))
        let effect: Intention.Effect =
            destination != .any && number(0...2) == 0
            ? .permissions([Permission(action: .allow, http: match)])
            : .action(flip() ? .allow : .deny)
        let isGone = number(0...3) == 0 && store.snapshot.intention(key) != nil
        log.append("\(isGone ? "remove" : "put") \(source) => \(destination)")
        try await store.write { draft in
            if isGone {
                _ = try draft.removeIntention(key)
            } else {
                try draft.putIntention(
                    Intention(source: source, destination: destination, effect: effect),
                    replace: true)
            }
        }
    }

    private mutating func entry() throws -> ConfigEntry {
        let (own, other) = (try name(), try name())
        switch number(0...6) {
        case 0:
            return .serviceDefaults(
                ServiceDefaults(
                    name: own, serviceProtocol: pick([.http, .tcp, nil]),
                    proxyProtocol: pick([.v1, .v2, nil])))
        case 1:
            let match = HTTPMatch(path: .prefix(pick(["/a", "/b"])))
            return .serviceRouter(
                ServiceRouter(
                    name: own,
                    routes: [.init(match: match, destination: .init(service: other))]))
        case 2:
            return .serviceSplitter(
                ServiceSplitter(
                    name: own, splits: [.init(weight: 70), .init(weight: 30, service: other)]))
        case 3:
            return .serviceResolver(
                ServiceResolver(name: own, failover: ["*": .init(service: other)]))
        case 4:
            return .serviceResolver(
                ServiceResolver(
                    name: own,
                    loadBalancer: LoadBalancer(
                        policy: pick([.random, .leastRequest, .latency, .maglev]))))
        case 5:
            return .proxyDefaults(
                ProxyDefaults(config: ["protocol": .string(pick(["http", "tcp"]))]))
        default:
            return .serviceResolver(
                ServiceResolver(name: own, redirect: .init(service: other)))
        }
    }

    private mutating func changeEntry() async throws {
        let entry = try entry()
        let stored = store.snapshot.configEntry(entry.key)
        if stored?.origin.acceptsWrites == false { return }
        let isGone = number(0...2) == 0 && stored != nil
        log.append("\(isGone ? "remove" : "put") \(entry.key)")
        try await store.write { draft in
            if isGone {
                _ = try draft.removeEntry(entry.key)
            } else {
                _ = try draft.putEntry(entry)
            }
        }
    }

    private mutating func rotateLeaf() throws {
        let service = try name()
        let domain = try TrustDomain("test.consul")
        let made = try World.authority.issue(
            SpiffeID(
                trustDomain: domain, datacenter: configuration.node.datacenter, service: service),
            now: Date().addingTimeInterval(Double(number(1...1000))), using: &chance)
        leaves[service] = made
        log.append("rotate \(service)")
    }

    private mutating func changeAddress() {
        let name = pick(["db.test", "web.test"])
        addresses[name] = pick(["10.0.0.1", "10.0.0.2", nil])
        log.append("\(name) is \(addresses[name] ?? "unknown")")
    }

    private mutating func changeListeners() async throws {
        let kinds = pick([[0], [0, 1], [1, 2], [0, 1, 2, 3], []])
        let routes = try (0..<number(0...4)).map { index in
            ListenerDefinition.Route(
                host: pick(["a.test", "*.b.test", nil]),
                action: .service(try name()))
        }
        configuration.listeners = try kinds.map { index in
            let made: ListenerDefinition =
                switch index {
                case 0: try listener("plain", port: 80, service: "s0", routes: routes)
                case 1: try listener("edge", port: 81, service: name().text, identity: "edge")
                case 2: try listener("raw", port: 82, kind: .l4, service: name().text)
                // An address that another one may have.
                default: try listener("late", port: 81, service: "s1", routes: routes)
                }
            return Owned(made, at: SourceLocation(source: "test.yaml", line: index, column: 1))
        }
        if number(0...3) == 0 { configuration.mesh.intentionsDefault = pick([.allow, .deny]) }
        if number(0...5) == 0 { configuration.dataplane.tcpCongestion = pick(["", "cubic"]) }
        log.append("listeners \(kinds) with \(routes.count) routes")
        try await source.take(configuration, folders: folders)
    }

    private mutating func changeFolder() async throws {
        folders = FolderContents()
        for index in 0..<number(0...3) {
            var made = try instance()
            made.id = try ServiceID("file-\(index)")
            folders.services.append(
                Owned(made, at: SourceLocation(source: "a.yaml", line: index, column: 1)))
        }
        if flip() {
            folders.entries = [
                Owned(try entry(), at: SourceLocation(source: "b.yaml", line: 1, column: 1))
            ]
        }
        log.append("folder with \(folders.services.count) services")
        try await source.takeFolders(folders)
    }
}
