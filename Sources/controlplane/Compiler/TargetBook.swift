import MeshLanes
import MeshModel
import MeshTables

/// The targets of a node with their endpoints, and what these were made of.
///
/// Invariants: `plans[i]` is that of `made[i]`; `places` has every target with instances by its
/// service; `groups` says of every service in `places` that has endpoints what its targets amount
/// to.
struct TargetBook: Sendable {
    private struct Made: Sendable {
        var target: PlanAssembly.Target
        /// Hosts whose addresses were looked for.
        var hosts: [String] = []
        var problems: [Problem] = []
    }

    private(set) var plans: [TargetPlan] = []
    /// What the last ``take(_:using:change:readdressed:lanes:)`` has changed.
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
        change inventory: InventoryChange?, readdressed: Set<String>, lanes: Lanes
    ) {
        var touched: Set<ServiceName> = []
        if let shapes { arrange(shapes, isAll: inventory == nil, &touched) }
        if let inventory {
            touched.formUnion(inventory.names.filter { places[$0] != nil })
            if !readdressed.isEmpty { touch(readdressed, &touched) }
        } else if !touched.isEmpty {
            touched.formUnion(places.keys)
        }
        let isFirst = inventory == nil && touched.isEmpty
        apply(worked(isFirst ? Array(places.keys) : Array(touched), compiler, lanes))
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
        places.reserveCapacity(shapes.count)
        var kept = [Bool](repeating: false, count: oldMade.count)
        for target in shapes {
            let service = target.shape.instancesOf
            if let service { places[service, default: []].append(made.count) }
            if !isAll, let old = oldPlaces[target.shape.plan.id], oldMade[old].target == target {
                kept[old] = true
                made.append(oldMade[old])
                plans.append(oldPlans[old])
            } else {
                made.append(Made(target: target))
                plans.append(target.shape.plan)
                if !isAll, let service { touched.insert(service) }
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

    // MARK: - services that are touched

    /// What a service amounts to now.
    private struct Work: Sendable {
        var service: ServiceName
        /// Those of its targets.
        var places: [Int]
        /// Of each of them.
        var results: [EndpointCompiler.Result]
        var group: [InstanceEndpoints]
    }

    /// Finds out what services amount to. It follows from the targets of each alone.
    private func worked(
        _ services: [ServiceName], _ compiler: EndpointCompiler, _ lanes: Lanes
    ) -> [[Work]] {
        lanes.map(services.count, grain: 64) { range in
            range.map { number in
                let service = services[number]
                let places = self.places[service] ?? []
                var results = places.map { place in
                    compiler.endpoints(
                        of: service, tls: made[place].target.tls,
                        made[place].target.shape.subset, only: made[place].target.shape.only,
                        isDirect: made[place].target.shape.isDirect,
                        byDistance: made[place].target.shape.isByDistance)
                }
                let group = Self.group(of: results)
                // Nobody asks for them any more: they are let go of in this lane.
                for number in results.indices { results[number].instances = [] }
                return Work(service: service, places: places, results: results, group: group)
            }
        }
    }

    /// Takes what services amount to now, and finds out what of it is another than before.
    private mutating func apply(_ pieces: [[Work]]) {
        change = EndpointChange()
        let isFirst = groups.isEmpty
        if isFirst {
            groups.reserveCapacity(pieces.reduce(0) { $0 + $1.count })
            change.present.reserveCapacity(pieces.joined().reduce(0) { $0 + $1.group.count })
        }
        for work in pieces.joined() {
            for (place, result) in zip(work.places, work.results) {
                plans[place].endpoints = result.plans
                made[place].hosts = result.hosts
                made[place].problems = result.problems
            }
            if isFirst, work.group.isEmpty { continue }
            let old = isFirst ? [] : groups[work.service] ?? []
            if old == work.group { continue }
            groups[work.service] = work.group.isEmpty ? nil : work.group
            if old.isEmpty {
                change.present += work.group
                continue
            }
            let before = Dictionary(old.map { ($0.id, $0) }) { first, _ in first }
            let now = Set(work.group.map(\.id))
            change.present += work.group.filter { before[$0.id] != $0 }
            change.gone += old.map(\.id).filter { !now.contains($0) }
        }
    }

    /// The instances with endpoints in the targets of one service.
    private static func group(of targets: [EndpointCompiler.Result]) -> [InstanceEndpoints] {
        var group: [InstanceEndpoints] = []
        group.reserveCapacity(targets.first?.instances.count ?? 0)
        var known: [ServiceID: Int] = [:]
        for target in targets {
            for (instance, endpoint) in zip(target.instances, target.plans) {
                let id = instance.id
                let key = endpoint.key
                // Within one target every instance stands once.
                let at: Int
                if targets.count > 1, let seen = known[id] {
                    at = seen
                    group[at].keys.append(key)
                } else {
                    at = group.count
                    if targets.count > 1 { known[id] = at }
                    group.append(
                        InstanceEndpoints(
                            id: id, weights: instance.definition.weights, keys: [key]))
                }
                if !endpoint.takesWarnings { group[at].onlyPassing.insert(key) }
            }
        }
        return group
    }
}
