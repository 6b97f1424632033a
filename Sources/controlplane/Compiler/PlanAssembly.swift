import MeshIdentity
import MeshModel
import MeshStore
import MeshTables

/// Puts the parts of a plan together: all of it but the endpoints of targets and the intentions.
struct PlanAssembly {
    /// A target without its endpoints.
    struct Target: Equatable, Sendable {
        var shape: TargetShape
        var tls: TLSRef?
    }

    private(set) var node = CompiledNode(node: "", datacenter: "")
    private(set) var targets: [Target] = []
    private(set) var secrets: [SecretPlan] = []
    private(set) var problems: [Problem] = []

    private var places: [String: Int] = [:]
    private var secretIDs: Set<UInt64> = []
    private var reported: Set<Problem> = []
    /// What listens where, by address.
    private var addresses: [String: String] = [:]

    /// Of no state.
    init() {}

    init(_ state: DesiredState) {
        node = CompiledNode(
            node: state.settings.node.name.text, datacenter: state.settings.node.datacenter.text,
            trustDomain: state.mesh.trustDomain.text,
            intentionsDefault: state.settings.intentionsDefault)
        addIdentities(state.mesh)
    }

    private mutating func addIdentities(_ mesh: MeshMaterials) {
        for (service, leaf) in mesh.leaves.sorted(by: { $0.key < $1.key }) {
            let id = SecretPlan.leafID(of: service)
            node.identities.append(
                IdentityPlan(service: service, spiffeID: leaf.id.uri, secret: id))
            secrets.append(
                SecretPlan(
                    id: id, version: leaf.version,
                    notAfterMilliseconds: leaf.notAfter.milliseconds,
                    content: .certificate(
                        chain: leaf.chainDER.flatMap { $0 }, key: leaf.privateKeyDER.exposed,
                        names: [])))
        }
        secrets.append(
            SecretPlan(
                id: SecretPlan.ticketKeysID, version: mesh.ticketsVersion, notAfterMilliseconds: 0,
                content: .ticketKeys(mesh.ticketKeys.flatMap(\.exposed))))
    }

    /// Adds a part; a listener whose address is taken already is left out.
    mutating func add(_ part: NodePart) {
        report(part.problems)
        if targets.isEmpty { places.reserveCapacity(part.targets.count) }
        for listener in part.listeners { add(listener) }
        for target in part.targets { add(target) }
        // A certificate that several listeners show stands among the secrets once.
        for secret in part.secrets where secretIDs.insert(secret.id).inserted {
            secrets.append(secret)
        }
    }

    /// Several parts may meet the same chain.
    private mutating func report(_ new: [Problem]) {
        for problem in new where reported.insert(problem).inserted { problems.append(problem) }
    }

    private mutating func add(_ listener: NodePart.Listener) {
        var plan = listener.plan
        for claimed in plan.behind == nil ? Self.claims(of: plan.address) : [] {
            if let other = addresses[claimed] {
                report([
                    Problem(
                        .error, "\(plan.name): \(plan.address) is taken by \(other)",
                        at: listener.origin?.location)
                ])
                return
            }
        }
        if plan.behind == nil { addresses[plan.address.description] = plan.name }
        plan.tls = listener.tls.map { node.intern($0) }
        node.listeners.append(plan)
    }

    /// The addresses that cannot be listened on beside this one.
    private static func claims(of address: AddressPlan) -> [String] {
        guard case .ip(let ip, let port) = address else { return [address.description] }
        let any = [IPAddress(v4: 0), IPAddress(v6High: 0, low: 0)].map {
            AddressPlan.ip($0, port: port).description
        }
        return [AddressPlan.ip(ip, port: port).description] + any
    }

    /// Parts that reach a service in the same way share the target.
    private mutating func add(_ shape: TargetShape) {
        if let place = places[shape.plan.id] {
            targets[place].shape.settle(as: shape)
            return
        }
        places[shape.plan.id] = targets.count
        var target = Target(shape: shape, tls: shape.tls.map { node.intern($0) })
        if shape.instancesOf == nil, let tls = target.tls, !shape.plan.endpoints.isEmpty {
            var plan = shape.plan
            for place in plan.endpoints.indices { plan.endpoints[place].tls = tls }
            target.shape = TargetShape(
                plan: plan, subset: shape.subset, only: shape.only, tls: shape.tls,
                isSettled: shape.isSettled)
        }
        targets.append(target)
    }
}
