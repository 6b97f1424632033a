import CMeshABI
import CMeshTable
import MeshModel

extension SnapshotWriter {
    /// Where redirected connections go, when all listeners have their places. `plans` are those of
    /// the records, in their order.
    mutating func writeOriginals(_ plans: [ListenerPlan]) {
        guard plans.contains(where: { $0.isRedirected || $0.behind != nil }) else { return }
        let places = Dictionary(plans.enumerated().map { ($0.element.name, $0.offset) }) {
            first, _ in first
        }
        for (place, plan) in plans.enumerated() {
            if let outer = plan.behind, places[outer].map({ plans[$0].isRedirected }) != true {
                refuse("listener \(plan.name) is behind \(outer), which redirects nothing")
            }
            guard case .redirected(let originals, let other) = plan.kind else { continue }
            if let other {
                out.listeners[place].other = inner(other, of: plan, plans, places)
            }
            for original in originals {
                var record = abi_original()
                record.ip = original.address.mapped
                record.listener = UInt32(place)
                record.port = UInt32(original.port)
                record.inner = inner(original.listener, of: plan, plans, places)
                out.originals.append(record)
            }
        }
        out.originals.sort { Self.compare($0, $1) < 0 }
        for place in out.originals.indices.dropFirst()
        where Self.compare(out.originals[place - 1], out.originals[place]) == 0 {
            let listener = plans[Int(out.originals[place].listener)].name
            refuse("listener \(listener) has an address of redirected connections twice")
        }
    }

    private mutating func inner(
        _ name: String, of outer: ListenerPlan, _ plans: [ListenerPlan], _ places: [String: Int]
    ) -> UInt32 {
        guard let place = places[name], plans[place].behind != nil else {
            refuse("listener \(outer.name) hands connections to \(name), which is behind nothing")
            return UInt32.max
        }
        return UInt32(place)
    }

    /// The order of the section, as the data plane compares.
    private static func compare(_ left: abi_original, _ right: abi_original) -> Int32 {
        var (left, right) = (left, right)
        return original_compare(&left, &right)
    }
}

extension ListenerPlan {
    /// Whether its connections belong to listeners behind it.
    package var isRedirected: Bool {
        if case .redirected = kind { return true }
        return false
    }
}

extension IPAddress {
    /// The bytes of a record: IPv4 as ::ffff:a.b.c.d.
    var mapped:
        (
            UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8,
            UInt8, UInt8, UInt8, UInt8
        )
    {
        var record = abi_original()
        withUnsafeMutableBytes(of: &record.ip) { bytes in
            let low = isV6 ? self.low : 0xffff_0000_0000 | high >> 32
            bytes.storeBytes(of: isV6 ? high.bigEndian : 0, as: UInt64.self)
            bytes.storeBytes(of: low.bigEndian, toByteOffset: 8, as: UInt64.self)
        }
        return record.ip
    }
}
