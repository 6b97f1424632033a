import CMeshABI
import MeshModel

extension SnapshotWriter {
    mutating func writeTLS() {
        for (index, plan) in node.tls.enumerated() { write(plan, index) }
    }

    private mutating func write(_ plan: TLSPlan, _ index: Int) {
        var record = abi_tls()
        record.server = plan.server ? 1 : 0
        record.verify =
            switch plan.verify {
            case .none: UInt8(ABI_TLS_VERIFY_NONE.rawValue)
            case .request: UInt8(ABI_TLS_VERIFY_REQUEST.rawValue)
            case .require: UInt8(ABI_TLS_VERIFY_REQUIRE.rawValue)
            }
        record.mesh = plan.mesh ? 1 : 0
        record.alpn_required = plan.alpnRequired ? 1 : 0
        record.min_version = plan.minVersion == .v12 ? 0x0303 : 0x0304
        record.max_version = plan.maxVersion == .v12 ? 0x0303 : 0x0304
        if !plan.certificates.isEmpty {
            record.certificates = abi_ref(
                at: UInt32(out.secretList.count), count: UInt32(plan.certificates.count))
            out.secretList.append(contentsOf: plan.certificates)
        }
        record.names = write(plan.names)
        let trust = trustBlob(plan.trust)
        record.trust = trust.place
        record.key = key(of: plan, trust: trust.hash)
        var alpn: [UInt8] = []
        for name in plan.alpn {
            guard (1...255).contains(name.utf8.count) else {
                refuse("TLS settings \(index): an ALPN name has 1 to 255 bytes")
                continue
            }
            alpn.append(UInt8(name.utf8.count))
            alpn.append(contentsOf: name.utf8)
        }
        record.alpn = blob(alpn)
        record.session_lifetime_s = plan.sessionLifetime
        for (broken, why) in [
            (plan.server && plan.certificates.isEmpty, "a server needs a certificate"),
            (plan.certificates.contains(0), "a certificate without a secret"),
            (plan.verify != .none && plan.trust.isEmpty, "nothing to verify by: add authorities"),
            (plan.mesh && plan.verify != .require, "mesh TLS must require a certificate"),
            (plan.alpnRequired && plan.alpn.isEmpty, "ALPN is required and none is named"),
            (plan.minVersion == .v13 && plan.maxVersion == .v12, "no version is left"),
            (plan.certificates.count > Int(ABI_KEY_COUNT.rawValue), "too many own certificates"),
            (!plan.server && !plan.names.isEmpty, "a client has no server names"),
        ] where broken {
            refuse("TLS settings \(index): \(why)")
        }
        out.tls.append(record)
    }

    /// The table of a server's names. Secrets are listed once, by rising id, as they are stored.
    private mutating func write(_ names: [ServerNamePlan]) -> abi_ref {
        if names.isEmpty { return abi_ref() }
        let ids = Set(names.flatMap { [$0.ec, $0.rsa].compactMap { $0 } }).sorted()
        let first = UInt32(out.secretList.count)
        let places = Dictionary(
            uniqueKeysWithValues: ids.enumerated().map { ($1, first + UInt32($0)) })
        out.secretList.append(contentsOf: ids)
        let at = UInt32(out.serverNames.count)
        let slots = HashSlots.place(names.map(\.name))
        for slot in slots {
            var record = abi_server_name()
            if let slot {
                let plan = names[slot]
                if !ServerNamePlan.isName(plan.name) || (plan.ec == nil && plan.rsa == nil) {
                    refuse("\"\(plan.name)\" is not a server name with a certificate")
                }
                record.name = place(plan.name, "a server name")
                record.certificates.0 = plan.ec.flatMap { places[$0] } ?? UInt32.max
                record.certificates.1 = plan.rsa.flatMap { places[$0] } ?? UInt32.max
            }
            out.serverNames.append(record)
        }
        return abi_ref(at: at, count: UInt32(slots.count))
    }

    /// Authorities are the same for nearly all settings: they stand once.
    private mutating func trustBlob(_ bytes: [UInt8]) -> WrittenTrust {
        if let known = trusts.first(where: { $0.bytes == bytes }) { return known }
        var hash = StableHash()
        hash.combine(bytes)
        let written = WrittenTrust(bytes: bytes, place: blob(bytes), hash: hash.finish())
        trusts.append(written)
        return written
    }

    private mutating func blob(_ bytes: [UInt8]) -> abi_ref {
        if bytes.isEmpty { return abi_ref() }
        let ref = abi_ref(at: UInt32(out.blob.count), count: UInt32(bytes.count))
        out.blob.append(contentsOf: bytes)
        return ref
    }

    private func key(of plan: TLSPlan, trust: UInt64) -> UInt64 {
        var hash = StableHash()
        hash.combine(plan.server ? 1 : 0)
        hash.combine(plan.mesh ? 1 : 0)
        hash.combine(plan.alpnRequired ? 1 : 0)
        hash.combine(plan.minVersion == .v12 ? 2 : 3)
        hash.combine(plan.maxVersion == .v12 ? 2 : 3)
        hash.combine(plan.owner)
        switch plan.verify {
        case .none: hash.combine(0)
        case .request: hash.combine(1)
        case .require: hash.combine(2)
        }
        for name in plan.alpn { hash.combine(name) }
        hash.combine(UInt64(plan.certificates.count))
        for secret in plan.certificates { hash.combine(secret) }
        hash.combine(trust)
        hash.combine(UInt64(plan.sessionLifetime))
        hash.combine(plan.secretsVersion)
        return hash.finish()
    }
}

/// Authorities that were written to BLOB.
struct WrittenTrust {
    let bytes: [UInt8]
    let place: abi_ref
    let hash: UInt64
}
