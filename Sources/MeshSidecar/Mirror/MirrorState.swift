import MeshDiscovery
package import MeshIdentity
package import MeshModel

/// What an agent has answered so far, and what it is to be asked for because of that. Pure.
///
/// What was answered once stays until there is a better answer: an agent that is away, or that
/// refuses, takes nothing from what is known.
package struct MirrorState: Sendable {
    /// The proxy that is mirrored.
    package enum Proxy: Sendable, Equatable {
        /// As the agent has it registered, by its id.
        case registered(String)
        /// As the command line says: the agent need not know it.
        case given(Registration)
    }

    private var proxy: Proxy?
    /// Everything is bytes, whatever entries say.
    private let isL4: Bool
    /// The ports at which the agent makes checks that are exposed.
    private let exposePorts: ClosedRange<UInt16>

    package private(set) var registration: Registration?
    package private(set) var roots: MeshRoots?
    package private(set) var leaf: LeafCertificate?
    private(set) var intentions: Intentions.Read?
    private(set) var probe: IntentionAction?
    private(set) var announced: IntentionAction?
    private var chains: [Subject.ChainKey: Chains.Read] = [:]
    private var instances: [Subject.InstancesKey: AgentJSON] = [:]
    private var queries: [Subject.QueryKey: QueryResult] = [:]
    private var checks = ExposedChecks.Read()
    /// Where the services that are asked about are called.
    private(set) var places: [Subject.InstancesKey: [CalledPlace]] = [:]
    private(set) var outgoing: Surroundings?
    private(set) var names: [ServiceName]?
    private(set) var isClosed: Bool?
    /// Why there is no good answer about a subject at the moment.
    package private(set) var failures: [Subject: String] = [:]

    package init(
        isL4: Bool = false, exposePorts: ClosedRange<UInt16> = ExposedChecks.usualPorts
    ) {
        self.isL4 = isL4
        self.exposePorts = exposePorts
    }

    /// Which proxy is mirrored; before, nothing is asked for.
    package mutating func start(_ proxy: Proxy) {
        self.proxy = proxy
        if case .given(let registration) = proxy { self.registration = registration }
    }

    // MARK: - what is asked for

    package var wanted: Set<Subject> {
        guard let proxy else { return [] }
        var wanted: Set<Subject> = [.roots]
        if case .registered(let id) = proxy { wanted.insert(.registration(id)) }
        guard let registration else { return wanted }
        let service = registration.service
        wanted.formUnion([
            .leaf(service), .intentions(service), .chain(Subject.ChainKey(service)),
        ])
        if leaf != nil { wanted.insert(.policy(service)) }
        if let instance = registration.exposesChecksOf { wanted.insert(.checks(instance)) }
        for upstream in registration.upstreams { wanted.formUnion(subjects(of: upstream)) }
        return wanted.union(wantedAround)
    }

    /// What has to be known to call an upstream.
    func subjects(of upstream: UpstreamDefinition) -> Set<Subject> {
        guard upstream.destinationType == .service else { return [.query(query(upstream))] }
        let key = chain(upstream)
        let targets = chains[key]?.chain.targets.values.map { Self.instances($0) } ?? []
        return Set(targets.map { .instances($0) }).union([.chain(key)])
    }

    private func chain(_ upstream: UpstreamDefinition) -> Subject.ChainKey {
        let own = upstream.config.first { FoldedKey($0.key).text == "protocol" }?.value.string
        return Subject.ChainKey(
            upstream.destinationName,
            datacenter: upstream.datacenter == home ? nil : upstream.datacenter,
            overrideProtocol: isL4 ? "tcp" : own?.lowercased(),
            connectTimeout: upstream.options.connectTimeout)
    }

    private func query(_ upstream: UpstreamDefinition) -> Subject.QueryKey {
        Subject.QueryKey(
            name: upstream.destinationName.text,
            datacenter: upstream.datacenter == home ? nil : upstream.datacenter)
    }

    private static func instances(_ target: DiscoveryChain.Target) -> Subject.InstancesKey {
        Subject.InstancesKey(
            service: target.service, datacenter: target.datacenter, filter: target.subset.filter)
    }

    /// The datacenter of the proxy, once its certificate has told it.
    package var home: DatacenterName? { leaf?.id.datacenter }

    // MARK: - answers

    /// Takes an answer; throws why nothing can be made of it, and then nothing has changed.
    package mutating func take(_ subject: Subject, _ answer: AgentAnswer) throws {
        announced = answer.defaultPolicy ?? announced
        if case .policy = subject {
            takeProbe(answer)
        } else {
            try take(document: subject, answer)
        }
        failures[subject] = nil
    }

    private mutating func take(document subject: Subject, _ answer: AgentAnswer) throws {
        if case .chain(let key) = subject, answer.status == 404, let home {
            // There is nothing that compiles chains: a Consul before 1.6.
            chains[key] = Chains.Read(
                chain: Chains.plain(
                    key.service, in: key.datacenter ?? home,
                    timeout: key.connectTimeout ?? .seconds(5)), problems: [])
            return
        }
        if subject == .mesh, answer.saysNoEntry {
            isClosed = false
            return
        }
        guard answer.status == 200 else {
            let words = answer.text
            throw MeshError(
                .unavailable,
                "the agent answers \(answer.status)" + (words.isEmpty ? "" : ": \(words)"))
        }
        let json = try AgentJSON(answer.body, subject.text)
        switch subject {
        case .registration: registration = try Registration(json)
        case .roots: roots = try MeshRoots(json)
        case .leaf(let service):
            let new = try LeafCertificate(json)
            guard new.id.service == service else {
                throw MeshError(.invalid, "the certificate is one of \(new.id.service)")
            }
            leaf = new
        case .intentions(let service): intentions = try Intentions.read(json, service: service)
        case .chain(let key): chains[key] = try Chains.read(json, service: key.service)
        case .instances(let key):
            guard case .array = json.value else { throw json.lacking("list of instances") }
            instances[key] = json
            places[key] = registration?.isTransparent == true ? Instances.places(json) : nil
        case .query(let key):
            guard let home else { throw MeshError(.unavailable, "the datacenter is not known yet") }
            queries[key] = try QueryResult(json, home: home)
        case .checks(let id):
            checks = try ExposedChecks.read(
                json, of: id, within: exposePorts, before: checks,
                written: registration?.writtenPaths ?? [])
        case .outgoing(let service):
            outgoing = Surroundings(rules: try Surroundings.rules(json, of: service))
        case .services: names = try Surroundings.names(json)
        case .mesh: isClosed = Surroundings.isClosed(json)
        case .policy: break
        }
    }

    /// What the agent says about a caller that no intention names.
    private mutating func takeProbe(_ answer: AgentAnswer) {
        guard answer.status == 200, let json = try? AgentJSON(answer.body, "authorize") else {
            probe = nil
            return
        }
        probe = json.bool("Authorized") ? .allow : .deny
    }

    /// There was no answer, or none that can be used.
    package mutating func failed(_ subject: Subject, _ why: String) { failures[subject] = why }

    /// Drops what nothing asks for any more.
    package mutating func prune() {
        let wanted = wanted
        chains = chains.filter { wanted.contains(.chain($0.key)) }
        instances = instances.filter { wanted.contains(.instances($0.key)) }
        places = places.filter { wanted.contains(.instances($0.key)) }
        if registration?.isTransparent != true { (outgoing, names, isClosed) = (nil, nil, nil) }
        queries = queries.filter { wanted.contains(.query($0.key)) }
        failures = failures.filter { wanted.contains($0.key) }
        if registration?.exposesChecksOf == nil { checks = ExposedChecks.Read() }
    }

    /// Whether the agent has not said yet where all the checks are made that are exposed.
    package var awaitsChecks: Bool { checks.isWaiting }

    // MARK: - what is known

    /// Without a rule that covers a caller. A rule for all callers with permissions hides from the
    /// probe what holds where none of them matches; deny where nobody has said anything.
    package var intentionsDefault: IntentionAction {
        let hidden = (intentions?.intentions ?? []).contains { intention in
            if case .permissions = intention.effect { return intention.source == .any }
            return false
        }
        return (hidden ? nil : probe) ?? announced ?? .deny
    }

    /// Whether everything has been answered, or refused where the rest can do without it.
    private var isComplete: Bool {
        guard let registration, roots != nil, leaf != nil else { return false }
        let service = registration.service
        return wanted.allSatisfy { subject in
            switch subject {
            case .registration, .roots, .leaf: true
            case .intentions: intentions != nil || failures[subject] != nil
            case .policy: probe != nil || announced != nil || failures[subject] != nil
            case .chain(let key):
                chains[key] != nil || failures[subject] != nil
                    || (key.service == service && registration.protocolName != nil
                        && !isUpstream(key))
            case .instances(let key): instances[key] != nil || failures[subject] != nil
            case .query(let key): queries[key] != nil || failures[subject] != nil
            // They come and go while everything else is served.
            case .checks: true
            case .outgoing: outgoing != nil || failures[subject] != nil
            case .services: names != nil || failures[subject] != nil
            case .mesh: isClosed != nil || failures[subject] != nil
            }
        }
    }

    private func isUpstream(_ key: Subject.ChainKey) -> Bool {
        registration?.upstreams.contains { $0.destinationType == .service && chain($0) == key }
            ?? false
    }

    /// Everything together; nil until enough is known to serve.
    package var view: MeshView? {
        guard isComplete, var registration, let roots, let leaf else { return nil }
        registration.expose(checks.paths.sorted { $0.key < $1.key }.map(\.value))
        let own = chains[Subject.ChainKey(registration.service)]?.chain.serviceProtocol
        return MeshView(
            registration: registration, roots: roots, leaf: leaf,
            serviceProtocol: isL4 ? .tcp : registration.protocolName ?? own ?? .tcp,
            intentions: intentions?.intentions ?? [],
            // Without the rules nobody comes in.
            intentionsDefault: intentions == nil ? .deny : intentionsDefault,
            ways: registration.upstreams.map { way($0, leaf.id.datacenter) }, reached: reached)
    }

    func way(_ upstream: UpstreamDefinition, _ home: DatacenterName) -> MeshView.Way? {
        if upstream.destinationType == .preparedQuery { return queryWay(upstream) }
        guard let chain = chains[self.chain(upstream)]?.chain else { return nil }
        var endpoints: [String: [MeshEndpoint]] = [:]
        for (id, target) in chain.targets {
            guard let list = instances[Self.instances(target)] else { continue }
            endpoints[id] = Instances.read(
                list, onlyPassing: target.subset.onlyPassing,
                isRemote: target.datacenter != home)
        }
        return MeshView.Way(
            chain: chain, endpoints: endpoints, speaksHTTP: chain.serviceProtocol.isHTTPLike)
    }

    /// A query is a chain with one target, whose instances the query has chosen.
    private func queryWay(_ upstream: UpstreamDefinition) -> MeshView.Way? {
        guard let result = queries[query(upstream)] else { return nil }
        let chain = Chains.plain(
            result.service, in: result.datacenter,
            timeout: upstream.options.connectTimeout ?? .seconds(5),
            id: "\(upstream.destinationName.folded).query")
        let endpoints = Dictionary(
            chain.targets.keys.map { ($0, result.endpoints) }
        ) { first, _ in first }
        return MeshView.Way(chain: chain, endpoints: endpoints, speaksHTTP: false)
    }

    /// What is wrong at the moment, for people.
    package var problems: [String] {
        var all = failures.map { "\($0.key.text): \($0.value)" }
        all += registration?.problems ?? []
        all += intentions?.problems ?? []
        all += checks.problems
        all += problemsAround
        all += chains.values.flatMap(\.problems)
        return Array(Set(all)).sorted()
    }
}
