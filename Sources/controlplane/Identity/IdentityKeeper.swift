import Foundation
import MeshConfig
import MeshHealth
import MeshIdentity
import MeshModel
import MeshStore
import MeshTelemetry

/// The identities of this node: the mesh's authority, the certificates of local services, the
/// ticket keys. Makes what is missing, renews what grows old, keeps it all in the store.
///
/// A store that cannot be written is reported and worked around: what was made serves from memory.
actor IdentityKeeper {
    struct Held {
        var leaf: LeafCertificate
        var schedule: LeafSchedule
        var failures = 0
        /// When somebody asked for it last who is not this node's data plane; nil: nobody has.
        var asked: ContinuousClock.Instant?
        /// Whether this node's data plane has it.
        var isLocal = false
    }

    let store: any StateStore
    let settings: Settings
    private let datacenter: DatacenterName
    let board: ProblemBoard
    let log: Logger
    let signal = WakeSignal()
    var generator = SystemRandomNumberGenerator()
    var held: [ServiceName: Held] = [:]
    var authority: MeshAuthority
    var budget: SigningBudget
    /// What was set over the API.
    var told: AuthoritySettings?
    private var tickets: TicketKeyRing
    /// Host names that certificates of gateways are for.
    private var serverNames: [ServiceName: Set<String>] = [:]

    /// What the configuration says about the authority.
    struct Settings: Sendable {
        let leafTTL: TimeInterval
        let rootTTL: TimeInterval
        /// A root that was made elsewhere, and its key.
        let files: (certificate: String, key: String)?
        let signingsPerSecond: Int

        init(_ mesh: Configuration.Mesh) {
            leafTTL = TimeInterval(mesh.leafTTL.nanoseconds) / 1e9
            rootTTL = TimeInterval(mesh.rootTTL.nanoseconds) / 1e9
            signingsPerSecond = mesh.signingsPerSecond
            if let certificate = mesh.authorityCertificate, let key = mesh.authorityKey {
                files = (certificate, key)
            } else {
                files = nil
            }
        }

        /// The root in the files.
        func root(of domain: TrustDomain) throws -> AuthorityRoot? {
            try files.map {
                try AuthorityFiles.load(
                    certificate: $0.certificate, key: $0.key, trustDomain: domain)
            }
        }
    }

    /// Loads the authority and ticket keys, or makes them at the first start.
    static func open(
        store: any StateStore, configuration: Configuration, board: ProblemBoard, log: Logger
    ) async throws -> IdentityKeeper {
        var generator = SystemRandomNumberGenerator()
        let now = Date()
        let stored = store.snapshot
        let settings = Settings(configuration.mesh)
        var authority = try stored.authority()
        let domain =
            try configuration.mesh.trustDomain ?? stored.trustDomain
            ?? .generated(using: &generator)
        let given = try settings.root(of: authority?.trustDomain ?? domain)
        if let before = authority {
            if let given, !before.roots.contains(where: { $0.id == given.id }) {
                let next = try before.rotated(to: given, now: now, using: &generator)
                try await store.write { try $0.putAuthority(next) }
                log.info("the root of mesh.ca_cert took over", metadata: ["root": "\(given.id)"])
                authority = next
            }
        } else {
            let made =
                try given.map { MeshAuthority(root: $0) }
                ?? .make(
                    trustDomain: domain, now: now, lifetime: settings.rootTTL, using: &generator)
            try await store.write { draft in
                draft.putTrustDomain(domain)
                try draft.putAuthority(made)
            }
            log.info("made the mesh's authority", metadata: ["trust_domain": "\(domain)"])
            authority = made
        }
        guard let authority else { fatalError("an authority was loaded or made") }
        if let wanted = configuration.mesh.trustDomain, wanted != authority.trustDomain {
            throw MeshError(
                .invalid,
                "mesh.trust_domain is \(wanted), but the store's authority is of "
                    + "\(authority.trustDomain): remove the key, or start with another store")
        }
        let period = TimeInterval(configuration.tls.ticketRotation.nanoseconds) / 1e9
        let tickets =
            try TicketStorage.load(stored, period: period)
            ?? TicketKeyRing(now: now, period: period, using: &generator)
        return IdentityKeeper(
            store: store, configuration: configuration, settings, authority, tickets,
            told: try record.load(stored), board: board, log: log)
    }

    private init(
        store: any StateStore, configuration: Configuration, _ settings: Settings,
        _ authority: MeshAuthority, _ tickets: TicketKeyRing, told: AuthoritySettings?,
        board: ProblemBoard, log: Logger
    ) {
        self.store = store
        self.settings = settings
        self.datacenter = configuration.node.datacenter
        self.told = told
        self.budget = Self.budget(told, settings)
        self.authority = authority
        self.tickets = tickets
        self.board = board
        self.log = log
    }

    /// What the mesh gives to a node with these services. `names` are host names that
    /// certificates have to be for besides their identity.
    func materials(
        for services: Set<ServiceName>, names: [ServiceName: Set<String>] = [:]
    ) async -> MeshMaterials {
        serverNames = names
        for service in services.sorted() {
            if let leaf = held[service]?.leaf, serves(leaf, service) { continue }
            await obtain(service)
        }
        for service in held.keys { held[service]?.isLocal = services.contains(service) }
        forgetUnasked()
        signal.wake()
        return MeshMaterials(
            trustDomain: authority.trustDomain,
            trust: authority.bundle.rootsDER.flatMap { $0 },
            leaves: held.filter { $0.value.isLocal }.mapValues(\.leaf),
            ticketKeys: tickets.inUse.map(\.packed),
            ticketsVersion: tickets.keys[0].createdAt.milliseconds,
            ticketLifetime: UInt32(tickets.ticketLifetime))
    }

    /// The certificates in use with the times of their renewal.
    var leaves: [(leaf: LeafCertificate, renewal: Date)] {
        held.values.map { ($0.leaf, $0.schedule.renewal) }.sorted { $0.0.id.uri < $1.0.id.uri }
    }

    func spiffeID(_ service: ServiceName) -> SpiffeID {
        SpiffeID(trustDomain: authority.trustDomain, datacenter: datacenter, service: service)
    }

    /// Takes the stored certificate of a service if it still serves, else makes one.
    private func obtain(_ service: ServiceName) async {
        do {
            if !(try takeStored(service)) { try await issue(service) }
        } catch {
            report(service, error)
        }
    }

    /// Whether a certificate is for all the host names that it has to be for.
    private func serves(_ leaf: LeafCertificate, _ service: ServiceName) -> Bool {
        guard let names = serverNames[service], !names.isEmpty else { return true }
        return names.isSubset(of: leaf.serverNames)
    }

    /// Takes the stored certificate of a service; false when there is none that serves.
    func takeStored(_ service: ServiceName) throws -> Bool {
        guard let stored = try store.snapshot.leaf(spiffeID(service)) else { return false }
        var schedule = LeafSchedule(stored, using: &generator)
        let isCurrent = authority.roots.contains { $0.id == stored.rootID }
        guard isCurrent, schedule.state(now: Date()) != .expired, serves(stored, service) else {
            return false
        }
        // Made before a rotation that this process has not seen: its renewal is due.
        if stored.rootID != authority.active.id {
            schedule.rootChanged(now: Date(), using: &generator)
        }
        held[service] = Held(leaf: stored, schedule: schedule)
        return true
    }

    func issue(_ service: ServiceName) async throws {
        let leaf = try authority.issue(
            spiffeID(service), names: serverNames[service] ?? [], now: Date(),
            lifetime: leafLifetime, using: &generator)
        held[service] = Held(
            leaf: leaf, schedule: LeafSchedule(leaf, using: &generator),
            asked: held[service]?.asked, isLocal: held[service]?.isLocal ?? false)
        log.info("issued a certificate", metadata: [LogKey.service: "\(service)"])
        do {
            try await store.write { try $0.putLeaf(leaf) }
            board.clear(.identity, "leaf \(service.folded)")
        } catch {
            report(service, error)
        }
    }

    func report(_ service: ServiceName, _ error: any Error) {
        log.error(
            "certificate trouble",
            metadata: [LogKey.service: "\(service)", LogKey.error: "\(error)"])
        board.set(.identity, "leaf \(service.folded)", "certificate of \(service): \(error)")
    }

    // MARK: - renewal

    /// Renews what is due until the task is cancelled; `changed` is told after each renewal.
    func run(changed: @escaping @Sendable () async -> Void) async {
        while !Task.isCancelled {
            if await renew() { await changed() }
            let next = held.values.map(\.schedule.renewal).reduce(tickets.nextChange, min)
            let pause = Duration.seconds(max(1, next.timeIntervalSinceNow))
            await signal.wait(until: ContinuousClock.now + min(pause, .seconds(3600)))
        }
    }

    private func renew() async -> Bool {
        let now = Date()
        var changed = false
        for (service, entry) in held
        where entry.schedule.state(now: now) != .fresh(until: entry.schedule.renewal) {
            do {
                try await issue(service)
                changed = changed || entry.isLocal
            } catch {
                held[service]?.failures += 1
                let failures = held[service]?.failures ?? 1
                held[service]?.schedule.renewalFailed(now: now, failures: failures)
                report(service, error)
            }
        }
        if await pruneRoots(now: now) { changed = true }
        if tickets.rotate(now: now, using: &generator) {
            changed = true
            await keepTickets()
        }
        return changed
    }

    /// Writes the ticket keys down, so that a restart does not void the sessions of clients.
    func keepTickets() async {
        let ring = tickets
        do {
            try await store.write { try TicketStorage.save(ring, &$0) }
            board.clear(.identity, "tickets")
        } catch {
            log.error("ticket keys are not stored", metadata: [LogKey.error: "\(error)"])
            board.set(.identity, "tickets", "ticket keys are not stored: \(error)")
        }
    }
}

/// Ticket keys in the store: one sealed secret, times and keys of 88 bytes each, newest first.
enum TicketStorage {
    private static let name = "ticket-keys"
    private static let entryBytes = 8 + TicketKey.bytes

    static func load(_ state: StoreState, period: TimeInterval) throws -> TicketKeyRing? {
        guard let stored = try state.secret(name)?.exposed, !stored.isEmpty,
            stored.count % entryBytes == 0
        else { return nil }
        let keys = try stride(from: 0, to: stored.count, by: entryBytes).map { at in
            let time = stored[at..<at + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            return try TicketKey(
                packed: SecretBytes(stored[at + 8..<at + entryBytes]),
                createdAt: Date(timeIntervalSince1970: TimeInterval(time) / 1000))
        }
        return TicketKeyRing(keys: keys, period: period)
    }

    static func save(_ ring: TicketKeyRing, _ draft: inout StoreDraft) throws {
        let bytes = ring.keys.flatMap { key in
            withUnsafeBytes(of: key.createdAt.milliseconds.bigEndian) { Array($0) }
                + key.packed.exposed
        }
        try draft.putSecret(name, SecretBytes(bytes))
    }
}
