import CMeshABI
import MeshLanes
import MeshModel

/// The routes of a listener, written aside while others are written: what it refers to stands where
/// the part alone has it.
struct RouteDraft: Sendable {
    /// Fewer routes than this, over all listeners, are written with everything else.
    static let fewestRoutes = 512

    let part: RoutePart
    let text: TextTable

    /// The routes of one listener, which are not those of the build before.
    typealias Wanted = (key: UInt64, listener: String, routes: [RoutePlan])

    /// What is worth a draft.
    static func wanted(
        _ listeners: [ListenerPlan], but known: [UInt64: RoutePart], _ lanes: Lanes
    ) -> [Wanted] {
        if lanes.count == 1 { return [] }
        var wanted: [Wanted] = []
        var count = 0
        for listener in listeners {
            guard let routes = listener.kind.routes, routes.count <= LIMIT_TABLE_ROUTES else {
                continue
            }
            let key = SnapshotWriter.key(of: listener)
            if known[key]?.plans == routes { continue }
            wanted.append((key, listener.name, routes))
            count += routes.count
        }
        return count < lanes.grain(fewestRoutes) ? [] : wanted
    }

    /// nil where there is something to say about routes, or they need automata, which are numbered
    /// over the whole snapshot.
    init?(_ wanted: Wanted, targetKeys: [UInt64], _ stamp: SnapshotBuilder.Stamp) {
        let routes = wanted.routes
        if routes.contains(where: \.needsAutomata) { return nil }
        var memory = SnapshotBuilder.Memory()
        memory.text = TextTable(expecting: routes.count * 4)
        var writer = SnapshotWriter(
            node: CompiledNode(node: "", datacenter: ""), stamp: stamp, slots: SlotTables(),
            memory: memory)
        writer.targetKeys = targetKeys
        let slotKeys = routes.map {
            SlotTables.key(ofRoute: $0.rule, $0.origin, of: wanted.listener)
        }
        let table = writer.write(routes, nil)  // slots are given when the draft is moved
        part = RoutePart(
            plans: routes, slotKeys: slotKeys, places: RoutePart.Places(), table: table,
            out: writer.out, targetKeys: targetKeys)
        text = writer.memory.text
        guard writer.problems.isEmpty, !part.hasAutomata else { return nil }
    }
}

extension ListenerPlan.Kind {
    /// nil: it has no table of routes.
    fileprivate var routes: [RoutePlan]? {
        switch self {
        case .l4, .redirected: nil
        case .serverName(let routes, _), .gateway(let routes), .l7(let routes): routes
        }
    }
}

extension RoutePlan {
    /// Whether some text in it may have to become an automaton.
    fileprivate var needsAutomata: Bool {
        if match.caseInsensitive { return true }
        if case .regex? = match.path { return true }
        return match.headers.contains { $0.match.isRegex }
            || match.query.contains { $0.match.isRegex }
    }
}

extension TextMatch {
    fileprivate var isRegex: Bool {
        if case .regex = self { return true }
        return false
    }
}

extension abi_text {
    /// The same text after its table has become a part of another one; an empty text has no place.
    mutating func move(by base: UInt32) {
        if len > 0 { at += base }
    }
}

extension abi_match {
    mutating func moveTexts(by base: UInt32) {
        name.move(by: base)
        value.move(by: base)
    }
}

extension abi_header_op {
    mutating func moveTexts(by base: UInt32) {
        name.move(by: base)
        value.move(by: base)
    }
}

extension abi_route {
    mutating func moveTexts(by base: UInt32) {
        path.move(by: base)
        body.move(by: base)
        content_type.move(by: base)
        redirect_scheme.move(by: base)
        redirect_host.move(by: base)
        redirect_path.move(by: base)
        prefix_rewrite.move(by: base)
        rule.move(by: base)
        origin.move(by: base)
    }
}
