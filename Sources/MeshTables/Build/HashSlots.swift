import CMeshABI
import CMeshTable

/// Open-addressing tables of names, as the data plane looks them up.
enum HashSlots {
    /// The place of each name in a table that is at most half full and in which no lookup is long;
    /// nil: a free slot. Without names there is no table.
    static func place(_ names: [String]) -> [Int?] {
        if names.isEmpty { return [] }
        let hashes = names.map(StableHash.ofHost)
        var size = 2
        while size < names.count * 2 { size *= 2 }
        while true {
            if let slots = place(hashes, size) { return slots }
            size *= 2
        }
    }

    /// nil when a lookup would be too long in a table of this size.
    private static func place(_ hashes: [UInt64], _ size: Int) -> [Int?]? {
        var slots = [Int?](repeating: nil, count: size)
        for (index, hash) in hashes.enumerated() {
            var slot = Int(truncatingIfNeeded: hash) & (size - 1)
            var probes = 1
            while slots[slot] != nil {
                slot = (slot + 1) & (size - 1)
                probes += 1
            }
            if probes > LIMIT_HOST_PROBES, size < 1 << 24 { return nil }
            slots[slot] = index
        }
        return slots
    }
}

extension StableHash {
    /// `hash_bytes` of a host name, by which the data plane looks it up.
    static func ofHost(_ name: String) -> UInt64 {
        var name = name
        return name.withUTF8 { hash_bytes(bytes_of($0.baseAddress, $0.count)) }
    }
}
