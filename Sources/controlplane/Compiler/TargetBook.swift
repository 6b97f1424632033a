import MeshModel
import MeshTables

/// The targets of a node with their endpoints, and what these were made of.
///
/// Invariants: `plans[i]` is that of `made[i]`; `places` has every target with instances by its
/// service; `groups` says of every service in `places` that has endpoints what its targets amount
/// to.
struct TargetBook {
    private struct Made {
        var target: PlanAssembly.Target
        /// The instance of each endpoint.
        var instances: [LocalService] = []
        /// Hosts whose addresses were looked for.
        var hosts: [String] = []
        var problems: [Problem] = []
    }

    private(set) var plans: [TargetPlan] = []
    /// What the last ``take(_:using:change:readdressed:)`` has changed.
    private(set) var change = EndpointChange()
    private var made: [Made] = []
    private var places: [ServiceName: [Int]] = [:]
    private var groups: [ServiceName: [InstanceEndpoints]] = [:]

    var problems: [Problem] { made.flatMap(\.problems) }

    /// Brings the targets up to date.
    ///
    /// `shapes` are the targets as they are now, nil: the same as before; `change` names the
    /// services that have other instances or proxies than before, nil: all may; `readdressed` are
    /// hosts with other addresses.
    mutating func take(
        _ shapes: [PlanAssembly.Target]?, using compiler: EndpointCompiler,
        change inventory: InventoryChange?, readdressed: Set<String>
    ) {
        var touched: Set<ServiceName> = []
        if let shapes { arrange(shapes, isAll: inventory == nil, &touched) }
        if let inventory {
            touched.formUnion(inventory.names.filter { places[$0] != nil })
            if !readdressed.isEmpty { touch(readdressed, &touched) }
        } else {
            touched.formUnion(places.keys)
        }
        for service in touched {
            for place in places[service] ?? [] { make(place, service, compiler) }
        }
        regroup(touched)
    }

    /// Takes other shapes. Services that lose a target, or have one that is not the same as before,
    /// are touched; the endpoints of all others stay.
    private mutating func arrange(
        _ shapes: [PlanAssembly.Target], isAll: Bool, _ touched: inout Set<ServiceName>
    ) {
        let (oldMade, oldPlans) = (made, plans)
        let oldPlaces =
            isAll
            ? [:]
            : Dictionary(
                oldMade.indices.map { (oldMade[$0].target.shape.plan.id, $0) }
            ) { first, _ in first }
        if isAll { touched.formUnion(places.keys) }
        (made, plans, places) = ([], [], [:])
        made.reserveCapacity(shapes.count)
        plans.reserveCapacity(shapes.count)
        var kept = [Bool](repeating: false, count: oldMade.count)
        for target in shapes {
            let service = target.shape.instancesOf
            if let service { places[service, default: []].append(made.count) }
            if let old = oldPlaces[target.shape.plan.id], oldMade[old].target == target {
                kept[old] = true
                made.append(oldMade[old])
                plans.append(oldPlans[old])
            } else {
                made.append(Made(target: target))
                plans.append(target.shape.plan)
                if let service { touched.insert(service) }
            }
        }
        if isAll { return }
        for old in oldMade.indices where !kept[old] {
            if let service = oldMade[old].target.shape.instancesOf { touched.insert(service) }
        }
    }

    /// Services with an instance at one of these hosts are touched.
    private func touch(_ hosts: Set<String>, _ touched: inout Set<ServiceName>) {
        for target in made where target.hosts.contains(where: hosts.contains) {
            if let service = target.target.shape.instancesOf { touched.insert(service) }
        }
    }

    private mutating func make(
        _ place: Int, _ service: ServiceName, _ compiler: EndpointCompiler
    ) {
        let result = compiler.endpoints(
            of: service, tls: made[place].target.tls, made[place].target.shape.subset)
        plans[place].endpoints = result.plans
        made[place].instances = result.instances
        made[place].hosts = result.hosts
        made[place].problems = result.problems
    }

    // MARK: - instances

    /// Finds out what the touched services amount to now, and what of it is another than before.
    private mutating func regroup(_ touched: Set<ServiceName>) {
        change = EndpointChange()
        for service in touched {
            let old = groups[service] ?? []
            let new = group(of: places[service] ?? [])
            if old == new { continue }
            groups[service] = new.isEmpty ? nil : new
            if old.isEmpty {
                change.present += new
                continue
            }
            let before = Dictionary(old.map { ($0.id, $0) }) { first, _ in first }
            let now = Set(new.map(\.id))
            change.present += new.filter { before[$0.id] != $0 }
            change.gone += old.map(\.id).filter { !now.contains($0) }
        }
    }

    /// The instances with endpoints in the targets at these places.
    private func group(of places: [Int]) -> [InstanceEndpoints] {
        var group: [InstanceEndpoints] = []
        group.reserveCapacity(places.first.map { made[$0].instances.count } ?? 0)
        var known: [ServiceID: Int] = [:]
        for place in places {
            for (instance, endpoint) in zip(made[place].instances, plans[place].endpoints) {
                let id = instance.definition.id
                // Within one target every instance stands once.
                let at: Int
                if places.count > 1, let seen = known[id] {
                    at = seen
                    group[at].keys.append(endpoint.key)
                } else {
                    at = group.count
                    if places.count > 1 { known[id] = at }
                    group.append(
                        InstanceEndpoints(
                            id: id, weights: instance.definition.weights, keys: [endpoint.key]))
                }
                if !endpoint.takesWarnings { group[at].onlyPassing.insert(endpoint.key) }
            }
        }
        return group
    }
}
