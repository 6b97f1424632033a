import CMeshABI
import MeshRegex

/// What was written for a target in the build before: taken over when its plan has not changed.
final class TargetPart: Sendable {
    let key: UInt64
    let plan: TargetPlan
    /// Without the references to other records.
    let record: abi_target
    let endpoints: [abi_endpoint]

    init(key: UInt64, plan: TargetPlan, record: abi_target, endpoints: [abi_endpoint]) {
        self.key = key
        self.plan = plan
        self.record = record
        self.endpoints = endpoints
    }
}

/// What was written for the routes of a listener in the build before. Its records refer to others
/// by their places then; they are moved when they are taken over.
final class RoutePart: Sendable {
    /// Where the part begins in each section.
    struct Places: Equatable {
        var routes = 0
        var matches = 0
        var headerOps = 0
        var routeList = 0
        var hosts = 0
        var splits = 0
    }

    let plans: [RoutePlan]
    let places: Places
    let table: abi_route_table
    let routes: [abi_route]
    let matches: [abi_match]
    let headerOps: [abi_header_op]
    let routeList: [UInt32]
    let hosts: [abi_host]
    let splits: [abi_split]
    /// Keys of the targets of `splits`.
    let targets: [UInt64]

    /// What `out` has from `places` on.
    init(
        plans: [RoutePlan], places: Places, table: abi_route_table, out: SnapshotImage.Sections,
        targetKeys: [UInt64]
    ) {
        self.plans = plans
        self.places = places
        self.table = table
        routes = Array(out.routes[places.routes...])
        matches = Array(out.matches[places.matches...])
        headerOps = Array(out.headerOps[places.headerOps...])
        routeList = Array(out.routeList[places.routeList...])
        hosts = Array(out.hosts[places.hosts...])
        splits = Array(out.splits[places.splits...])
        targets = splits.map { targetKeys[Int($0.target)] }
    }

    /// Expressions are numbered anew in every build, so parts that have some are written anew.
    var hasAutomata: Bool {
        routes.contains { $0.path_dfa != UInt32.max } || matches.contains { $0.dfa != UInt32.max }
    }
}

/// The part of a snapshot that intentions are compiled to. Policies are written before everything
/// else that shares their sections, so that the part is taken over as it is while the intentions
/// stay the same.
struct PolicyPart: Sendable {
    var table: PolicyTable
    var defaultAction: UInt8
    /// The services it was written for.
    var needed: [String]
    /// Records by destination; `*` is shared by all services without intentions of their own.
    var indexes: [String: UInt32] = [:]

    var policies: [abi_policy] = []
    var intentions: [abi_intention] = []
    var permissions: [abi_permission] = []
    var matches: [abi_match] = []
    var dfas: [abi_dfa] = []
    var blob: [UInt8] = []
    var automata: [CompiledRegex: UInt32] = [:]
    var expressions: Set<RegexCache.Key> = []

    /// The record that decides about calls to a service.
    func index(of folded: String) -> UInt32 { indexes[folded] ?? indexes["*"] ?? UInt32.max }
}
