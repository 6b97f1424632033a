import MeshModel

/// The public ports of sidecars that name none: the lowest free one, and the same for a sidecar for
/// as long as it is known. Pure; kept with the store, so that a restart moves nobody.
struct SidecarPorts: Sendable, Equatable {
    private(set) var ports: [ServiceID: UInt16] = [:]
    /// Which sidecars expose what checks ask for, besides those that say so themselves.
    var exposing = ExposeDefaults()

    init() {}

    /// Ports as they were stored.
    init(_ plain: [String: UInt16]) {
        for (id, port) in plain { if let id = try? ServiceID(id) { ports[id] = port } }
    }

    /// Ports as they are stored.
    var plain: [String: UInt16] {
        Dictionary(uniqueKeysWithValues: ports.map { ($0.key.text, $0.value) })
    }

    /// Those who want a port, and where it is taken from.
    struct Wanted {
        var ids: [ServiceID]
        var range: ClosedRange<UInt16>
    }

    /// Gives ports to `wanted`, forgets those of services that are gone. Returns who got none.
    ///
    /// `taken` are ports that something else on the node claims; `isFree` says of others whether
    /// they can be had.
    mutating func assign(
        _ wanted: [ServiceID], range: ClosedRange<UInt16>, taken: Set<UInt16>,
        isFree: (UInt16) -> Bool = { _ in true }
    ) -> [ServiceID] {
        assign([Wanted(ids: wanted, range: range)], taken: taken, isFree: isFree)
    }

    /// The same for several ranges.
    mutating func assign(
        _ wanted: [Wanted], taken: Set<UInt16>, isFree: (UInt16) -> Bool = { _ in true }
    ) -> [ServiceID] {
        var kept: [ServiceID: UInt16] = [:]
        for group in wanted {
            for id in group.ids {
                guard let port = ports[id], group.range.contains(port), !taken.contains(port)
                else { continue }
                kept[id] = port
            }
        }
        ports = kept
        var used = taken.union(ports.values)
        var without: [ServiceID] = []
        for group in wanted {
            var next = group.range.lowerBound
            for id in Set(group.ids).sorted() where ports[id] == nil {
                while next < group.range.upperBound, used.contains(next) || !isFree(next) {
                    used.insert(next)
                    next += 1
                }
                if used.contains(next) || !isFree(next) {
                    without.append(id)
                } else {
                    ports[id] = next
                    used.insert(next)
                }
            }
        }
        return without
    }
}
