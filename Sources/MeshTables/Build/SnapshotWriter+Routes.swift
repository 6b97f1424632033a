import CMeshABI
import CMeshTable
import MeshModel

extension SnapshotWriter {
    mutating func writeListeners() {
        var names: Set<String> = []
        let ordered = node.listeners.map { (key: Self.key(of: $0), plan: $0) }
            .sorted { $0.key < $1.key }
        let before = memory.routes
        memory.routes = [:]
        for (index, entry) in ordered.enumerated() {
            if !names.insert(entry.plan.name).inserted
                || (index > 0 && ordered[index - 1].key == entry.key)
            {
                refuse("the listener \(entry.plan.name) is there twice")
            }
            write(entry.plan, key: entry.key, known: before[entry.key])
        }
        writeOriginals(ordered.map(\.plan))
    }

    /// The socket of an unchanged listener is kept: the key is its name and address.
    static func key(of plan: ListenerPlan) -> UInt64 {
        var hash = StableHash()
        hash.combine(plan.name)
        hash.combine(plan.address)
        return hash.finish()
    }

    private mutating func write(_ plan: ListenerPlan, key: UInt64, known: RoutePart?) {
        let name = "listener \(plan.name)"
        var record = abi_listener()
        record.key = key
        record.name = place(plan.name, "the name of a listener")
        record.address = write(plan.address, name)
        record.flags =
            switch plan.role {
            case .plain: 0
            case .inbound: UInt8(ABI_LISTENER_MESH_INBOUND.rawValue)
            case .outbound: UInt8(ABI_LISTENER_MESH_OUTBOUND.rawValue)
            }
        if let slot = slots.listeners.slot(for: key, generation: stamp.generation) {
            record.stats_slot = UInt16(slot)
        } else {
            refuse("\(name): all \(LIMIT_LISTENERS) statistics slots are taken")
        }
        record.tls = index(of: plan.tls)
        record.identity = index(ofIdentity: plan.identity, name)
        record.policy =
            plan.intentionsOf.flatMap { memory.policies?.index(of: $0.folded) } ?? UInt32.max
        write(plan, key: key, known: known, into: &record)
        if plan.behind != nil { record.flags |= UInt8(ABI_LISTENER_INNER.rawValue) }
        record.head_timeout_ms = plan.timeouts.head
        record.idle_timeout_ms = plan.timeouts.idle
        record.request_timeout_ms = plan.timeouts.request
        record.handshake_timeout_ms = plan.timeouts.handshake
        record.max_lifetime_ms = plan.timeouts.lifetime
        record.max_connections = plan.maxConnections
        record.congestion = congestion(plan.congestion, name)
        record.via = place(plan.via, "the pseudonym of \(name)")
        record.log = plan.log.flatMap { logIndexes[$0] } ?? UInt32.max
        record.hops = index(
            of: plan.hops, isL7: record.kind == UInt8(ABI_LISTENER_L7.rawValue), name)
        record.compression = index(
            of: plan.compression, isL7: record.kind == UInt8(ABI_LISTENER_L7.rawValue), name)
        if plan.hops?.proxy != nil { record.flags |= UInt8(ABI_LISTENER_PROXY_IN.rawValue) }
        checkMesh(plan, name)
        out.listeners.append(record)
    }

    /// What is done with what arrives.
    private mutating func write(
        _ plan: ListenerPlan, key: UInt64, known: RoutePart?, into record: inout abi_listener
    ) {
        let name = "listener \(plan.name)"
        record.route_table = UInt32.max
        switch plan.kind {
        case .l4(let splits):
            record.kind = UInt8(ABI_LISTENER_L4.rawValue)
            record.splits = write(splits, name)
        case .serverName(let routes, let standard):
            record.kind = UInt8(ABI_LISTENER_L4.rawValue)
            record.flags |= UInt8(ABI_LISTENER_SNI.rawValue)
            record.route_table = table(of: routes, key: key, known: known, of: plan.name)
            if let standard { record.splits = write(standard, name) }
            if plan.tls != nil { refuse("\(name) hands TLS on and terminates it") }
            if plan.timeouts.handshake == 0 { refuse("\(name) has no timeout for handshakes") }
        case .gateway(let routes):
            record.kind = UInt8(ABI_LISTENER_L4.rawValue)
            record.flags |= UInt8(ABI_LISTENER_GATEWAY.rawValue)
            record.route_table = table(of: routes, key: key, known: known, of: plan.name)
        case .redirected:
            record.kind = UInt8(ABI_LISTENER_L4.rawValue)
            record.flags |= UInt8(ABI_LISTENER_REDIRECTED.rawValue)
            record.other = UInt32.max
            if plan.role != .plain || plan.tls != nil || plan.behind != nil {
                refuse("\(name) hands connections on and does nothing else")
            }
        case .l7(let routes):
            record.kind = UInt8(ABI_LISTENER_L7.rawValue)
            record.route_table = table(of: routes, key: key, known: known, of: plan.name)
            if plan.timeouts.head == 0 { refuse("\(name) has no timeout for request heads") }
        }
    }

    /// The route table of a listener, taken over when its routes are those of the build before.
    private mutating func table(
        of routes: [RoutePlan], key: UInt64, known: RoutePart?, of listener: String
    ) -> UInt32 {
        let name = "listener \(listener)"
        let index = UInt32(out.routeTables.count)
        let places = RoutePart.Places(out)
        if let known, known.plans == routes, takeOver(known) {
            memory.routes[key] = known
            return index
        }
        if let draft = drafts.removeValue(forKey: key) {
            let part = RoutePart(draft.part, textBase: memory.text.append(draft.text))
            if takeOver(part) {
                memory.routes[key] = part
                return index
            }
        }
        if routes.count > LIMIT_TABLE_ROUTES {
            refuse("\(name) has \(routes.count) routes; \(LIMIT_TABLE_ROUTES) are the limit")
        }
        let slotKeys = routes.map { SlotTables.key(ofRoute: $0.rule, $0.origin, of: listener) }
        let table = write(routes, slotKeys)
        if problems.isEmpty {
            let part = RoutePart(
                plans: routes, slotKeys: slotKeys, places: places, table: table, out: out,
                targetKeys: targetKeys)
            if !part.hasAutomata { memory.routes[key] = part }
        }
        return index
    }

    private mutating func checkMesh(_ plan: ListenerPlan, _ name: String) {
        let tls = plan.tls.flatMap { $0.index < node.tls.count ? node.tls[$0.index] : nil }
        if let tls {
            if !tls.server { refuse("\(name) has the TLS settings of a client") }
            if plan.timeouts.handshake == 0 { refuse("\(name) has no timeout for handshakes") }
        }
        switch plan.role {
        case .plain: break
        case .inbound:
            if tls?.mesh != true { refuse("\(name) is a mesh listener without mesh TLS") }
            if case .gateway = plan.kind { break }
            if plan.intentionsOf == nil { refuse("\(name) is a mesh listener without intentions") }
        case .outbound:
            if plan.identity == nil { refuse("\(name) calls the mesh without an identity") }
        }
        if !plan.via.isEmpty, !HTTPToken.isToken(plan.via) {
            refuse("\(name): the pseudonym \"\(plan.via)\" has characters that Via may not have")
        }
    }

    // MARK: - tables

    /// One route table: the list for any host, then a slot per host with everything that covers it,
    /// in the order in which the routes were given, so that the first match wins whatever host it
    /// names.
    /// Without `slotKeys` nothing counts the routes yet.
    mutating func write(_ routes: [RoutePlan], _ slotKeys: [UInt64]?) -> abi_route_table {
        var indexes: [UInt32] = []
        indexes.reserveCapacity(routes.count)
        // By place: a route is large, and is not copied to be looked at.
        for place in routes.indices {
            indexes.append(write(routes[place]))
            out.routes[out.routes.count - 1].stats_slot =
                slotKeys.map { slot(ofRoute: $0[place]) } ?? UInt16(ABI_ROUTE_UNCOUNTED)
        }
        var patterns = HostPatterns()
        for place in routes.indices {
            if let problem = patterns.add(routes[place].host, order: place) {
                refuse("\(routes[place].rule) (\(routes[place].origin)): \(problem)")
            }
        }
        var table = abi_route_table()
        table.routes = writeList(patterns.anyHost, indexes)
        var hosts: [(name: String, routes: abi_ref)] = []
        hosts.reserveCapacity(patterns.hosts.count)
        for host in patterns.hosts {
            hosts.append((host, writeList(patterns.covering(host), indexes)))
        }
        table.hosts = writeHosts(hosts)
        out.routeTables.append(table)
        return table
    }

    /// Writes what the build before wrote for the same routes, moved to where it stands now; false,
    /// and nothing written, when a target is gone.
    private mutating func takeOver(_ part: RoutePart) -> Bool {
        let places = RoutePart.Places(out)
        let from = part.places
        var splits = part.splits
        for at in splits.indices {
            guard let target = index(ofTargetKey: part.targets[at]) else { return false }
            splits[at].target = target
            splits[at].header_ops = splits[at].header_ops
                .moved(from: from.headerOps, to: places.headerOps)
        }
        out.splits.append(contentsOf: splits)
        let base = part.textBase
        for var match in part.matches {
            match.moveTexts(by: base)
            out.matches.append(match)
        }
        for var change in part.headerOps {
            change.moveTexts(by: base)
            out.headerOps.append(change)
        }
        for place in part.routes.indices {
            var route = part.routes[place]
            let (plan, key) = (part.plans[place], part.slotKeys[place])
            route.moveTexts(by: base)
            route.traffic = index(of: plan.traffic, plan.rule)
            if route.stats_slot == UInt16(ABI_ROUTE_UNCOUNTED)
                || !slots.routes.keep(
                    UInt32(route.stats_slot), for: key, generation: stamp.generation)
            {
                route.stats_slot = slot(ofRoute: key)
            }
            route.matches = route.matches.moved(from: from.matches, to: places.matches)
            route.header_ops = route.header_ops.moved(from: from.headerOps, to: places.headerOps)
            route.splits = route.splits.moved(from: from.splits, to: places.splits)
            out.routes.append(route)
        }
        for route in part.routeList {
            out.routeList.append(UInt32(Int(route) - from.routes + places.routes))
        }
        for var host in part.hosts {
            host.name.move(by: base)
            host.routes = host.routes.moved(from: from.routeList, to: places.routeList)
            out.hosts.append(host)
        }
        var table = part.table
        table.routes = table.routes.moved(from: from.routeList, to: places.routeList)
        table.hosts = table.hosts.moved(from: from.hosts, to: places.hosts)
        out.routeTables.append(table)
        return true
    }

    /// Where a route is counted; none when all slots are taken.
    private mutating func slot(ofRoute key: UInt64) -> UInt16 {
        slots.routes.slot(for: key, generation: stamp.generation).map { UInt16($0) }
            ?? UInt16(ABI_ROUTE_UNCOUNTED)
    }

    private mutating func writeList(_ orders: [Int], _ indexes: [UInt32]) -> abi_ref {
        if orders.isEmpty { return abi_ref() }
        let at = UInt32(out.routeList.count)
        for order in orders { out.routeList.append(indexes[order]) }
        return abi_ref(at: at, count: UInt32(orders.count))
    }

    private mutating func writeHosts(_ hosts: [(name: String, routes: abi_ref)]) -> abi_ref {
        let slots = HashSlots.place(hosts.map(\.name))
        if slots.isEmpty { return abi_ref() }
        let at = UInt32(out.hosts.count)
        for slot in slots {
            var record = abi_host()
            if let slot {
                record.name = place(hosts[slot].name, "a host of a route")
                record.routes = hosts[slot].routes
            }
            out.hosts.append(record)
        }
        return abi_ref(at: at, count: UInt32(slots.count))
    }

    // MARK: - routes

    private mutating func write(_ plan: RoutePlan) -> UInt32 {
        // Only for who has something to say about it, and without a copy of the plan.
        let (rule, origin) = (plan.rule, plan.origin)
        func name() -> String { "\(rule) (\(origin))" }
        var record = abi_route()
        let path = path(of: plan.match, name())
        record.path_kind = path.kind
        record.path = path.text
        record.path_dfa = path.automaton
        record.methods = methods(plan.match.methods, name())
        record.matches = matches(of: plan.match, name())
        write(plan.action, name(), &record)
        if let rewrite = plan.prefixRewrite {
            let text = UInt8(ABI_PATH_EXACT.rawValue)...UInt8(ABI_PATH_PREFIX.rawValue)
            if !text.contains(record.path_kind) {
                refuse(
                    "\(name()): a prefix_rewrite needs path_exact or path_prefix that minds case")
            } else if !rewrite.hasPrefix("/") {
                refuse("\(name()): the prefix_rewrite \"\(rewrite)\" does not begin with '/'")
            }
            record.prefix_rewrite = place(rewrite, "the rewrite of \(name())")
            record.rewrites = 1
        }
        record.header_ops = write(plan.headerOps, name())
        record.request_timeout_ms = plan.requestTimeout
        if plan.retries > LIMIT_RETRIES {
            refuse("\(name()) has \(plan.retries) retries; \(LIMIT_RETRIES) are the limit")
        }
        record.retries = plan.retries
        record.retry_on = plan.retryOn.rawValue
        record.traffic = index(of: plan.traffic, name())
        record.rule = place(plan.rule, "the name of a route")
        record.origin = place(plan.origin, "the origin of a route")
        out.routes.append(record)
        return UInt32(out.routes.count - 1)
    }

    private mutating func write(
        _ action: RoutePlan.Action, _ name: @autoclosure () -> String, _ record: inout abi_route
    ) {
        switch action {
        case .forward(let splits):
            record.action = UInt8(ABI_ACTION_FORWARD.rawValue)
            record.splits = write(splits, name())
        case .respond(let status, let body, let contentType):
            record.action = UInt8(ABI_ACTION_RESPOND.rawValue)
            if !(200...599).contains(status) {
                refuse("\(name()) answers \(status): use 200 to 599")
            }
            record.status = UInt16(clamping: status)
            record.body = place(body, "the body of \(name())")
            record.content_type = line(contentType, "the content type of \(name())")
        case .redirect(let status, let scheme, let host, let path):
            record.action = UInt8(ABI_ACTION_REDIRECT.rawValue)
            if !(301...308).contains(status) { refuse("\(name()) redirects by \(status)") }
            record.status = UInt16(clamping: status)
            if !scheme.isEmpty, !HTTPToken.isToken(scheme) {
                refuse("\(name()) redirects to the scheme \"\(scheme)\"")
            }
            if !path.isEmpty, !Self.isPath(path) {
                refuse("\(name()) redirects to \"\(path)\": a path begins with '/', without blanks")
            }
            record.redirect_scheme = place(scheme, "the scheme of \(name())")
            record.redirect_host = line(host, "the host of \(name())")
            record.redirect_path = place(path, "the path of \(name())")
        }
    }

    mutating func write(_ ops: [HeaderOpPlan], _ name: @autoclosure () -> String) -> abi_ref {
        if ops.isEmpty { return abi_ref() }
        let at = UInt32(out.headerOps.count)
        for op in ops {
            var record = abi_header_op()
            if !HTTPToken.isToken(op.name) { refuse("\(name()): \"\(op.name)\" is no header name") }
            record.name = place(op.name, "a header name of \(name())")
            record.response = op.onResponse ? 1 : 0
            switch op.kind {
            case .add(let value):
                record.kind = UInt8(ABI_HEADER_ADD.rawValue)
                writeValue(value, "the header \(op.name) of \(name())", &record)
            case .set(let value):
                record.kind = UInt8(ABI_HEADER_SET.rawValue)
                writeValue(value, "the header \(op.name) of \(name())", &record)
            case .remove:
                record.kind = UInt8(ABI_HEADER_REMOVE.rawValue)
            }
            out.headerOps.append(record)
        }
        let kept = ops.filter(\.onResponse).reduce(0) { $0 + $1.packedSize }
        if kept > HeaderOpPlan.greatestAnswerSize {
            refuse(
                "\(name()): its header rules for answers have \(kept) bytes; "
                    + "\(HeaderOpPlan.greatestAnswerSize) are the limit")
        }
        return abi_ref(at: at, count: UInt32(ops.count))
    }

    /// Text that is sent in a head.
    mutating func line(_ value: String, _ what: @autoclosure () -> String) -> abi_text {
        if Self.hasControls(value) {
            refuse("\(what()) has control characters")
            return abi_text()
        }
        return place(value, what())
    }

    private static func hasControls(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            for byte in bytes where (byte < 0x20 && byte != 0x09) || byte == 0x7f { return true }
            return false
        }
    }

    static func isPath(_ text: String) -> Bool {
        text.hasPrefix("/") && !text.utf8.contains { $0 <= 0x20 || $0 == 0x7f }
    }
}

extension abi_ref {
    /// The same records after their section's part has moved; an empty reference stays empty.
    fileprivate func moved(from old: Int, to new: Int) -> abi_ref {
        count == 0 ? self : abi_ref(at: UInt32(Int(at) - old + new), count: count)
    }
}

extension RoutePart.Places {
    fileprivate init(_ out: SnapshotImage.Sections) {
        self.init(
            routes: out.routes.count, matches: out.matches.count, headerOps: out.headerOps.count,
            routeList: out.routeList.count, hosts: out.hosts.count, splits: out.splits.count)
    }
}
