import CMeshABI
import MeshModel

extension SnapshotWriter {
    /// The record of what a listener believes, or none when it is what all believe.
    mutating func index(of plan: HopsPlan?, isL7: Bool, _ name: String) -> UInt32 {
        guard let plan else { return UInt32.max }
        var record = abi_hops()
        if let proxy = plan.proxy {
            if proxy.from.isEmpty { refuse("\(name) takes PROXY headers from nobody") }
            if proxy.timeout == 0 { refuse("\(name) has no timeout for PROXY headers") }
            if !proxy.v1, !proxy.v2 { refuse("\(name) takes PROXY headers of no version") }
            record.proxy_in =
                UInt8(proxy.v1 ? ABI_PROXY_V1.rawValue : 0)
                | UInt8(proxy.v2 ? ABI_PROXY_V2.rawValue : 0)
            record.proxy_from = write(proxy.from, name)
            record.proxy_others = proxy.servesOthers ? 1 : 0
            record.proxy_timeout_ms = proxy.timeout
        }
        if isL7 {
            record.trust = write(plan.trust, name)
            if record.trust.count > 0 {
                if !(1...Int(LIMIT_HOPS)).contains(plan.depth) {
                    refuse("\(name) believes \(plan.depth) hops: use 1 to \(LIMIT_HOPS)")
                }
                record.depth = UInt8(clamping: plan.depth)
            }
            record.fields = plan.fields.rawValue
            if let share = plan.sampledPerMillion {
                record.trace_start = 1
                record.trace_sample = min(share, UInt32(ABI_TRACE_ALL))
            }
            record.trace_spans = plan.recordsSpans ? 1 : 0
        } else if !plan.trust.isEmpty || plan.sampledPerMillion != nil || plan.recordsSpans {
            refuse("\(name) forwards bytes: it has neither trusted hops nor traces")
        }
        out.hops.append(record)
        return UInt32(out.hops.count - 1)
    }

    private mutating func write(_ networks: [NetworkPlan], _ name: String) -> abi_ref {
        let tidied = NetworkPlan.tidied(networks)
        if tidied.count > Int(LIMIT_NETWORKS) {
            refuse("\(name) trusts \(tidied.count) networks; \(LIMIT_NETWORKS) are the limit")
        }
        guard !tidied.isEmpty else { return abi_ref() }
        let at = UInt32(out.networks.count)
        for network in tidied {
            var record = abi_network()
            withUnsafeMutableBytes(of: &record.ip) { bytes in
                bytes.storeBytes(of: network.high.bigEndian, as: UInt64.self)
                bytes.storeBytes(of: network.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            record.bits = UInt32(network.bits)
            out.networks.append(record)
        }
        return abi_ref(at: at, count: UInt32(tidied.count))
    }
}
