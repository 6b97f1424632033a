import CMeshABI
import CMeshBase
import CMeshTable
import MeshModel

/// Which endpoint is chosen, by the choice that the workers make.
extension Explainer {
    /// How one of the endpoints of `target` is chosen. `first` is the target that the request was
    /// for: what is hashed is its business, also when the request fails over.
    func choice(of target: abi_target, for first: abi_target, _ input: RequestInput?) -> String {
        guard target.balancer != ABI_NONE else { return Self.plain(target) }
        let balancer = reader.balancers[Int(target.balancer)]
        var affinity = CMeshTable.affinity()
        if first.balancer != ABI_NONE { affinity = hashing(of: first, input) }
        var parts = [words(target, balancer, affinity)]
        if balancer.slow_start_ms > 0 {
            parts.append("weights grow over \(balancer.slow_start_ms) ms")
        }
        if balancer.tiers.count > 1 { parts.append(tiers(target, balancer)) }
        if let made = affinity.made {
            parts.append(
                "the answer sets the cookie \(reader.text(made.pointee.name))"
                    + reader.text(made.pointee.attributes))
        }
        return parts.joined(separator: "; ")
    }

    private static func plain(_ target: abi_target) -> String {
        switch abi_balance(rawValue: UInt32(target.balance)) {
        case ABI_BALANCE_LEAST_REQUEST: "the one of two by chance with fewer requests under way"
        case ABI_BALANCE_RANDOM: "by chance"
        default: "in turn"
        }
    }

    private func words(
        _ target: abi_target, _ balancer: abi_balancer, _ affinity: CMeshTable.affinity
    ) -> String {
        switch abi_balance(rawValue: UInt32(target.balance)) {
        case ABI_BALANCE_LEAST_REQUEST: "the least loaded of \(balancer.choices) by chance"
        case ABI_BALANCE_LATENCY:
            "of \(balancer.choices) by chance the one with the least latency times requests"
        case ABI_BALANCE_RING: hashed("ring_hash", target, affinity)
        case ABI_BALANCE_MAGLEV: hashed("maglev", target, affinity)
        default: Self.plain(target)
        }
    }

    private func hashing(
        of target: abi_target, _ input: RequestInput?
    ) -> CMeshTable.affinity {
        var out = CMeshTable.affinity()
        var balancer = reader.balancers[Int(target.balancer)]
        var asked = affinity_input()
        guard let input else {
            affinity_of(reader.view, &balancer, &asked, &out)
            return out
        }
        var request = input.input
        withUnsafePointer(to: &request) {
            asked.request = $0
            affinity_of(reader.view, &balancer, &asked, &out)
        }
        return out
    }

    private func hashed(_ policy: String, _ target: abi_target, _ affinity: CMeshTable.affinity)
        -> String
    {
        guard affinity.found, let by = affinity.by?.pointee else {
            return "by chance: nothing of the request is there that \(policy) hashes"
        }
        if affinity.made != nil {
            return "\(policy) by a cookie that is made anew for each client without it"
        }
        var why = balance_why()
        let chosen = pick(target, hash: affinity.hash, &why)
        guard chosen != ABI_NONE else { return "\(policy) finds none" }
        let endpoint = reader.endpoints[Int(chosen)]
        var text = "\(policy) by \(describe(by)) leads to \(reader.describe(endpoint))"
        switch why.reason {
        case BALANCE_NEXT:
            text +=
                ", \(why.steps) further than place \(why.place): what stands before takes "
                + "nothing of it now"
        case BALANCE_RANK: text += " by rank: \(why.steps) places in a row take nothing of it now"
        default: text += " at place \(why.place)"
        }
        return text
    }

    private func describe(_ hash: abi_hash) -> String {
        let name = reader.text(hash.name)
        return switch abi_hash_of(rawValue: UInt32(hash.of)) {
        case ABI_HASH_HEADER: "the header \(name)"
        case ABI_HASH_COOKIE: "the cookie \(name)"
        case ABI_HASH_QUERY: "the parameter \(name)"
        default: "the client's address"
        }
    }

    private func tiers(_ target: abi_target, _ balancer: abi_balancer) -> String {
        var shares = balance_shares()
        withOverlay(of: target) { overlay in
            var target = target
            balance_divide(reader.view, &target, overlay, &shares)
        }
        let names = ["the same zone", "the same region", "elsewhere"]
        var before: UInt32 = 0
        let upto = [shares.upto.0, shares.upto.1, shares.upto.2]
        let parts = zip(names, upto).prefix(Int(balancer.tiers.count)).map { name, upto in
            let percent = (Double(upto - before) * 1000 / 65536).rounded() / 10
            before = upto
            return "\(percent) % \(name)"
        }
        return "by locality: " + parts.joined(separator: ", ")
    }

    private func pick(_ target: abi_target, hash: UInt64, _ why: inout balance_why) -> UInt32 {
        withOverlay(of: target) { overlay in
            var target = target
            var cursor: UInt32 = 0
            return withUnsafeMutablePointer(to: &why) { why in
                withUnsafeMutablePointer(to: &cursor) { cursor in
                    var more = balance_more()
                    more.now_ms = now
                    more.hash = hash
                    more.hashed = true
                    more.why = why
                    return withUnsafePointer(to: &more) { more in
                        var input = balance_input()
                        input.overlay = overlay
                        input.cursor = cursor
                        input.more = more
                        return balance_pick(reader.view, &target, &input)
                    }
                }
            }
        }
    }

    /// An overlay that says of the target's endpoints what that of the workers does.
    private func withOverlay<Result>(
        of target: abi_target, _ body: (UnsafePointer<abi_overlay>) -> Result
    ) -> Result {
        let range = target.endpoints.at..<target.endpoints.at + target.endpoints.count
        let slots = range.map { reader.endpoints[Int($0)].overlay_slot }
        let words = Int(slots.max() ?? 0) + 1
        let head = MemoryLayout<abi_overlay>.size
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: head + words * MemoryLayout<UInt64>.size,
            alignment: MemoryLayout<abi_overlay>.alignment)
        defer { memory.deallocate() }
        memory.initializeMemory(
            as: UInt8.self, repeating: 0, count: head + words * MemoryLayout<UInt64>.size)
        let copy = memory.assumingMemoryBound(to: abi_overlay.self)
        for slot in slots { abi_overlay_set(copy, slot, overlay(slot)) }
        return body(UnsafePointer(copy))
    }
}
