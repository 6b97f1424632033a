import CMeshABI
import MeshModel

extension SnapshotWriter {
    /// Takes the targets of the build before over, written anew at these places of the plan. False
    /// when slots are no longer theirs.
    mutating func takeOverTargets(_ changed: [Int]) -> Bool {
        for place in changed {
            let (record, endpoints) = written(place)
            memory.targets.replace(place, node.targets[place], record, endpoints: endpoints)
        }
        return keepSlots(memory.targets.records[...], memory.targets.endpoints[...])
    }

    /// Writes every target; what has not changed is taken over from `before`.
    mutating func writeTargets(_ section: TargetSection, before: TargetSection) {
        var section = section
        let isSame = before.shapes == section.shapes
        let endpoints = node.targets.reduce(0) { $0 + $1.endpoints.count }
        section.reserve(endpoints: endpoints)
        if slots.overlay.count == 0 { slots.overlay.reserve(endpoints) }
        for (number, place) in section.order.enumerated() {
            let failover = failover(of: node.targets[place])
            if isSame, let known = before.number(ofKey: section.keys[number]),
                before.plans[before.order[known]] == node.targets[place],
                keepSlots(before.records[known...known], before.endpoints(of: known))
            {
                section.append(
                    before.records[known], endpoints: before.endpoints(of: known),
                    failover: failover)
                continue
            }
            let (record, endpoints) = written(place)
            section.append(record, endpoints: endpoints, failover: failover)
        }
        memory.targets = section
    }

    /// Moves drafts of all targets, which are taken, to their places.
    mutating func moveTargets(_ section: TargetSection, _ drafts: inout [TargetDraft]) {
        var section = section
        section.reserve(endpoints: drafts.reduce(0) { $0 + $1.endpoints.count })
        slots.overlay.reserve(drafts.reduce(0) { $0 + $1.newEndpoints })
        drafts.reverse()
        while var draft = drafts.popLast() {
            draft.moveTexts(by: memory.text.append(draft.text))
            for entry in draft.guarded {
                let plan = node.targets[entry.place]
                draft.records[entry.record].guard = index(of: plan.guarded, "target \(plan.id)")
            }
            var endpoint = 0
            for at in draft.records.indices {
                let place = section.order[section.records.count + at]
                giveSlot(to: &draft.records[at], place)
                for _ in 0..<draft.records[at].endpoints.count {
                    giveSlot(to: &draft.endpoints[endpoint], ofTarget: place)
                    endpoint += 1
                }
            }
            section.append(draft)
        }
        memory.targets = section
    }

    /// The slot that a record has already, or another one.
    private mutating func giveSlot(to record: inout abi_target, _ place: Int) {
        if slots.targets.keep(
            record.stats_slot, for: record.key, generation: stamp.generation)
        {
            return
        }
        if let slot = slots.targets.slot(for: record.key, generation: stamp.generation) {
            record.stats_slot = slot
        } else {
            refuse(
                "target \(node.targets[place].id): all \(LIMIT_TARGETS) statistics slots are taken")
        }
    }

    private mutating func giveSlot(to record: inout abi_endpoint, ofTarget place: Int) {
        if slots.overlay.keep(
            record.overlay_slot, for: record.key, generation: stamp.generation)
        {
            return
        }
        if let slot = slots.overlay.slot(for: record.key, generation: stamp.generation) {
            record.overlay_slot = slot
        } else {
            refuse(
                "target \(node.targets[place].id): all \(LIMIT_ENDPOINTS) overlay slots are taken")
        }
    }

    /// The target at a place of the plan, with all slots.
    private mutating func written(_ place: Int) -> (abi_target, [abi_endpoint]) {
        let plan = node.targets[place]
        var record = record(of: plan, key: StableHash.of(plan.id))
        var endpoints: [abi_endpoint] = []
        endpoints.reserveCapacity(plan.endpoints.count)
        giveSlot(to: &record, place)
        write(plan, to: &endpoints, maxWeight: &record.max_weight)
        for at in endpoints.indices { giveSlot(to: &endpoints[at], ofTarget: place) }
        return (record, endpoints)
    }

    /// Notes that this generation uses the slots of records; false when they are no longer theirs.
    private mutating func keepSlots(
        _ records: ArraySlice<abi_target>, _ endpoints: ArraySlice<abi_endpoint>
    ) -> Bool {
        for endpoint in endpoints
        where !slots.overlay.keep(
            endpoint.overlay_slot, for: endpoint.key, generation: stamp.generation)
        {
            return false
        }
        for record in records
        where !slots.targets.keep(
            record.stats_slot, for: record.key, generation: stamp.generation)
        {
            return false
        }
        return true
    }

    /// The policies of targets, where policies stand now.
    mutating func setPolicies() {
        let policies = memory.policies
        memory.targets.setPolicies { service in policies?.index(of: service) ?? UInt32.max }
    }

    /// The records of the targets that a target fails over to.
    mutating func failover(of plan: TargetPlan) -> [UInt32] {
        plan.failover.map { index(ofTarget: $0, "the failover of \(plan.id)") }
    }

    /// Without a slot in the statistics.
    mutating func record(of plan: TargetPlan, key: UInt64) -> abi_target {
        let id = plan.id
        var record = abi_target()
        record.key = key
        record.name = place(id, "the name of a target")
        record.service = place(plan.service.folded, "a service's name")
        if plan.failover.count > LIMIT_FAILOVERS {
            refuse(
                "target \(plan.id) has \(plan.failover.count) failover targets; "
                    + "\(LIMIT_FAILOVERS) are the limit")
        }
        record.stats_slot = ABI_NONE
        record.sni = line(plan.sni, "the server name of target \(id)")
        record.expected_id = line(plan.expectedID, "the identity of target \(id)")
        record.balance =
            switch plan.balance {
            case .roundRobin: UInt8(ABI_BALANCE_ROUND_ROBIN.rawValue)
            case .leastRequest: UInt8(ABI_BALANCE_LEAST_REQUEST.rawValue)
            case .random: UInt8(ABI_BALANCE_RANDOM.rawValue)
            case .ringHash: UInt8(ABI_BALANCE_RING.rawValue)
            case .maglev: UInt8(ABI_BALANCE_MAGLEV.rawValue)
            case .latency: UInt8(ABI_BALANCE_LATENCY.rawValue)
            }
        if plan.balancing == nil, record.balance >= UInt8(ABI_BALANCE_RING.rawValue) {
            refuse("target \(id): nothing is said about how it is balanced")
        }
        record.protocol =
            switch plan.wireProtocol {
            case .tcp: UInt8(ABI_PROTOCOL_TCP.rawValue)
            case .http1: UInt8(ABI_PROTOCOL_HTTP1.rawValue)
            case .http2: UInt8(ABI_PROTOCOL_HTTP2.rawValue)
            }
        record.proxy_out =
            switch plan.proxyHeader {
            case .v1: UInt8(ABI_PROXY_V1.rawValue)
            case .v2: UInt8(ABI_PROXY_V2.rawValue)
            case nil: 0
            }
        if plan.connectTimeout == 0 { refuse("target \(plan.id) has no connect timeout") }
        record.connect_timeout_ms = plan.connectTimeout
        record.congestion = congestion(plan.congestion, "target \(id)")
        record.guard = index(of: plan.guarded, "target \(id)")
        record.balancer = UInt32.max  // set in the copy that is written: writeBalancers()
        return record
    }

    /// Adds the endpoints of a target, without slots in the overlay.
    mutating func write(
        _ target: TargetPlan, to records: inout [abi_endpoint], maxWeight: inout UInt32
    ) {
        // What messages are made of, so that they hold no copy of the plan.
        let id = target.id
        let isMesh = !target.expectedID.isEmpty
        for endpoint in target.endpoints {
            guard (1...65535).contains(endpoint.weight) else {
                refuse(
                    "instance \(endpoint.instance) of target \(id) has the weight "
                        + "\(endpoint.weight): use 1 to 65535")
                continue
            }
            var record = abi_endpoint()
            record.key = endpoint.key
            record.address = write(endpoint.address, "an endpoint of \(id)")
            record.address.mode = 0
            record.tls = index(of: endpoint.tls)
            if let tls = endpoint.tls, tls.index < node.tls.count {
                check(node.tls[tls.index], ofEndpointOf: id, isMesh: isMesh)
            }
            record.weight = UInt32(endpoint.weight)
            maxWeight = max(maxWeight, record.weight)
            record.instance = place(endpoint.instance, "an instance of \(id)")
            record.node = place(endpoint.node, "the node of an instance of \(id)")
            record.overlay_slot = ABI_NONE
            records.append(record)
        }
    }

    mutating func congestion(_ name: String, _ what: @autoclosure () -> String) -> abi_text {
        if !name.isEmpty, !HTTPToken.isToken(name) || name.utf8.count > 15 {
            refuse("\(what()): \"\(name)\" is not the name of a congestion control")
        }
        return place(name, what())
    }

    private mutating func check(_ tls: TLSPlan, ofEndpointOf target: String, isMesh: Bool) {
        if tls.server { refuse("an endpoint of \(target) has the TLS settings of a server") }
        if tls.mesh, !isMesh {
            refuse("target \(target) is dialled by mesh TLS without an expected identity")
        }
    }

    mutating func write(_ address: AddressPlan, _ what: @autoclosure () -> String) -> abi_address {
        var record = abi_address()
        switch address {
        case .ip(let ip, let port):
            record.family = UInt8((ip.isV6 ? ABI_FAMILY_IP6 : ABI_FAMILY_IP4).rawValue)
            record.port = port
            withUnsafeMutableBytes(of: &record.ip) { bytes in
                bytes.storeBytes(of: ip.high.bigEndian, as: UInt64.self)
                bytes.storeBytes(of: ip.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            if port == 0 { refuse("\(what()) has no port") }
        case .unix(let path, let mode):
            record.family = UInt8(ABI_FAMILY_UNIX.rawValue)
            record.mode = mode
            record.path = place(path, what())
            if !path.hasPrefix("/") || path.utf8.count > 107
                || path.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f })
            {
                refuse(
                    "\(what()) has the socket \"\(path)\": use an absolute path of at most 107 "
                        + "bytes without blanks")
            }
            if mode > 0o777 { refuse("\(what()) has a mode beyond 0777") }
        case .original:
            record.family = UInt8(ABI_FAMILY_ORIGINAL.rawValue)
        }
        return record
    }
}
