import MeshDiscovery
import MeshModel
import MeshStore

/// The config entries of a node, and the discovery chains that follow from them, each compiled
/// once.
///
/// Invariant: every answer is made of the entries of the services that it adds to `asked`, and of
/// the defaults of all proxies, and of nothing else. So when entries change, who has asked for
/// none of the services that ``take(_:)`` names would get the same answers.
struct ChainBook: Sendable {
    /// Whose answers may be others than before.
    enum Change: Equatable {
        case services(Set<ServiceName>)
        case all
    }

    /// Shared, never changed: branches hand many of them on.
    private final class Chain: Sendable {
        /// nil: it cannot be had.
        let traffic: ChainTraffic?
        let problems: [Problem]
        let asked: Set<ServiceName>

        init(traffic: ChainTraffic?, problems: [Problem], asked: Set<ServiceName>) {
            self.traffic = traffic
            self.problems = problems
            self.asked = asked
        }
    }

    private struct Question: Hashable {
        var service: ServiceName
        /// Where the chain is evaluated; nil: here.
        var datacenter: DatacenterName?
    }

    private let datacenter: DatacenterName
    private var records: [ConfigEntryRecord] = []
    private var byKey: [ConfigEntry.Key: ConfigEntryRecord] = [:]
    private var entries = ChainEntries([])
    private var chains: [Question: Chain] = [:]
    /// In a branch: the chains of the book that it is a branch of.
    private var known: [Question: Chain] = [:]

    init(in datacenter: DatacenterName) { self.datacenter = datacenter }

    /// Takes the entries as they are now.
    mutating func take(_ new: [ConfigEntryRecord]) -> Change {
        if new == records { return .services([]) }
        let before = byKey
        records = new
        byKey = Dictionary(new.map { ($0.entry.key, $0) }) { first, _ in first }
        entries = ChainEntries(new.map(\.entry))
        var changed: Set<ServiceName> = []
        for key in Set(before.keys).union(byKey.keys) where before[key] != byKey[key] {
            for record in [before[key], byKey[key]].compactMap({ $0 }) {
                switch Self.concerned(by: record.entry) {
                case .all:
                    chains = [:]
                    return .all
                case .services(let names): changed.formUnion(names)
                }
            }
        }
        chains = chains.filter { $0.value.asked.isDisjoint(with: changed) }
        return .services(changed)
    }

    private static func concerned(by entry: ConfigEntry) -> Change {
        switch entry {
        case .serviceRouter(let router): .services([router.name])
        case .serviceSplitter(let splitter): .services([splitter.name])
        case .serviceResolver(let resolver): .services([resolver.name])
        case .serviceDefaults(let defaults): .services([defaults.name])
        case .proxyDefaults: .all
        // What gateways' entries mean is part of their sources and of the frame.
        case .serviceIntentions, .ingressGateway, .terminatingGateway, .other: .services([])
        }
    }

    // MARK: - branches

    /// A book of the same entries, for use at the same time as this one and other branches. What it
    /// compiles is its own until it is joined.
    var branch: ChainBook {
        var branch = self
        (branch.known, branch.chains) = (chains, [:])
        return branch
    }

    /// Makes room for the chains that branches have compiled.
    mutating func reserve(for branches: [ChainBook]) {
        chains.reserveCapacity(branches.reduce(chains.count) { $0 + $1.chains.count })
    }

    /// Takes the chains that a branch has compiled: several may have the same one.
    mutating func join(_ branch: ChainBook) {
        chains.merge(branch.chains) { own, _ in own }
    }

    // MARK: - questions

    /// The chain of a service as it is in a datacenter, or here; nil, with a problem, when it
    /// cannot be had.
    mutating func traffic(
        to service: ServiceName, in place: DatacenterName? = nil,
        _ asked: inout Set<ServiceName>, _ problems: inout [Problem]
    ) -> ChainTraffic? {
        let question = Question(
            service: service, datacenter: place == datacenter ? nil : place)
        let found = chains[question] ?? known[question]
        let chain = found ?? compile(question)
        if found == nil { chains[question] = chain }
        asked.formUnion(chain.asked)
        problems += chain.problems
        return chain.traffic
    }

    private func compile(_ question: Question) -> Chain {
        var asked: Set<ServiceName> = []
        do {
            let traffic = try ChainTraffic.compile(
                question.service, in: question.datacenter ?? datacenter, home: datacenter,
                entries: entries, asked: &asked)
            return Chain(traffic: traffic, problems: traffic.problems, asked: asked)
        } catch {
            let problem = Problem(.error, "the chain of \(question.service): \(error)")
            return Chain(traffic: nil, problems: [problem], asked: asked)
        }
    }

    func serviceProtocol(
        of service: ServiceName, _ asked: inout Set<ServiceName>
    ) -> ServiceProtocol {
        asked.insert(service)
        return entries.serviceProtocol(of: service)
    }

    /// What was written about a service itself.
    func defaults(
        of service: ServiceName, _ asked: inout Set<ServiceName>
    ) -> ServiceDefaults? {
        asked.insert(service)
        return entries.defaults(service)
    }

    /// What was written about all proxies. Nobody is said to have asked: where it changes, all
    /// answers may be others.
    var proxyDefaults: ProxyDefaults? { entries.proxyDefaults }

    /// What was written about how a service's name resolves.
    func resolver(
        of service: ServiceName, _ asked: inout Set<ServiceName>
    ) -> ServiceResolver? {
        asked.insert(service)
        return entries.resolver(service)
    }

    /// Where the resolver of a service was written, if a file owns it.
    func location(
        ofResolver service: ServiceName, _ asked: inout Set<ServiceName>
    ) -> SourceLocation? {
        asked.insert(service)
        let key = ConfigEntry.Key(
            kind: ConfigEntry.Kind.serviceResolver.rawValue, name: service.text)
        return byKey[key]?.origin.location
    }

    /// Where an entry about a service was written, or a line of it; lines are known of files only.
    func place(
        of key: ConfigEntry.Key, about service: ServiceName, line: SourceLocation?,
        _ asked: inout Set<ServiceName>
    ) -> String {
        asked.insert(service)
        if let location = byKey[key]?.origin.location { return "\(line ?? location)" }
        return "config entry \(key.kind)/\(key.name)"
    }
}
