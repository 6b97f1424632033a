import CMeshABI
import MeshRegex

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
    /// By route: what its statistics slot is known by.
    let slotKeys: [UInt64]
    let matches: [abi_match]
    let headerOps: [abi_header_op]
    let routeList: [UInt32]
    let hosts: [abi_host]
    let splits: [abi_split]
    /// Keys of the targets of `splits`.
    let targets: [UInt64]
    /// Where the texts that records refer to begin in the table of texts.
    let textBase: UInt32

    /// What `out` has from `places` on.
    init(
        plans: [RoutePlan], slotKeys: [UInt64], places: Places, table: abi_route_table,
        out: SnapshotImage.Sections, targetKeys: [UInt64]
    ) {
        self.slotKeys = slotKeys
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
        textBase = 0
    }

    /// The same part, its texts moved.
    init(_ other: RoutePart, textBase: UInt32) {
        plans = other.plans
        slotKeys = other.slotKeys
        places = other.places
        table = other.table
        routes = other.routes
        matches = other.matches
        headerOps = other.headerOps
        routeList = other.routeList
        hosts = other.hosts
        splits = other.splits
        targets = other.targets
        self.textBase = textBase
    }

    /// Expressions are numbered anew in every build, so parts that have some are written anew.
    var hasAutomata: Bool {
        routes.contains { $0.path_dfa != UInt32.max } || matches.contains { $0.dfa != UInt32.max }
    }
}
