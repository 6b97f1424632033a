import CMeshABI

extension SnapshotWriter {
    /// The record of what a listener compresses, or none.
    mutating func index(of plan: CompressionPlan?, isL7: Bool, _ name: String) -> UInt32 {
        guard let plan else { return UInt32.max }
        if !isL7 { refuse("\(name) forwards bytes: it compresses nothing") }
        if plan.types.isEmpty || plan.types.count > Int(LIMIT_MEDIA_TYPES) {
            refuse("\(name) compresses \(plan.types.count) media types: use 1 to 64")
        }
        if plan.offers.isEmpty || Set(plan.offers.map(\.coding)).count != plan.offers.count {
            refuse("\(name) offers no coding, or one twice")
            return UInt32.max
        }
        var record = abi_compression()
        record.types = abi_ref(at: UInt32(out.mediaTypes.count), count: UInt32(plan.types.count))
        for type in plan.types {
            // `text/*` stands as `text/`.
            let folded = type.lowercased()
            let known = folded.hasSuffix("/*") ? String(folded.dropLast()) : folded
            out.mediaTypes.append(place(known, "a media type of \(name)"))
        }
        record.min_length = plan.minLength
        record.coding_count = UInt8(plan.offers.count)
        withUnsafeMutableBytes(of: &record.codings) { codings in
            for (index, offer) in plan.offers.enumerated() {
                codings[index] = offer.coding.rawValue
            }
        }
        withUnsafeMutableBytes(of: &record.levels) { levels in
            for offer in plan.offers { levels[Int(offer.coding.rawValue)] = offer.level }
        }
        out.compressions.append(record)
        return UInt32(out.compressions.count - 1)
    }
}
