import CMeshABI
package import MeshModel

/// Where a service of the mesh is called as a whole: an address that no host has, given by the
/// store, known to resolvers and transparent proxies.
package struct VirtualAddress: Hashable, Sendable {
    /// The most services that have one at a time.
    package static let most = Int(LIMIT_VIRTUAL_IPS)
    /// 240.0.0.1 to 255.255.255.253, which are Consul's, too: the class that no network uses.
    static let range: ClosedRange<UInt32> = 0xF000_0001...0xFFFF_FFFD

    /// The address as a number, the first byte on top.
    package let bits: UInt32

    init?(bits: UInt32) {
        guard Self.range.contains(bits) else { return nil }
        self.bits = bits
    }

    init?(_ text: String) {
        guard let bits = IPText.quad(text[...]) else { return nil }
        self.init(bits: bits)
    }

    /// The next one; behind the last comes the first.
    var next: VirtualAddress {
        VirtualAddress(bits: bits &+ 1) ?? Self.first
    }

    private static let first: VirtualAddress = {
        guard let first = VirtualAddress(bits: range.lowerBound) else {
            fatalError("a range contains its bound")
        }
        return first
    }()

    /// Stands before the first: where counting begins.
    static let last: VirtualAddress = {
        guard let last = VirtualAddress(bits: range.upperBound) else {
            fatalError("a range contains its bound")
        }
        return last
    }()
}

extension VirtualAddress: CustomStringConvertible {
    /// As people write it: `240.0.0.1`.
    package var description: String {
        [24, 16, 8, 0].map { String(bits >> UInt32($0) & 0xff) }.joined(separator: ".")
    }
}

/// What makes services parts of the mesh, counted, so that a change costs what it changes: their
/// proxies and native instances, entries that lead somewhere under their names, and those of
/// terminating gateways that stand for them. Names are in lower case.
struct MeshMembers: Sendable {
    private var reasons: [String: Int] = [:]
    /// Who claims an address of the range by writing it into its definition.
    private var writers: [VirtualAddress: [String: Int]] = [:]

    var names: some Collection<String> { reasons.keys }

    func contains(_ name: String) -> Bool { reasons[name] != nil }
    func isWritten(_ address: VirtualAddress) -> Bool { writers[address] != nil }

    /// Whether somebody else claims an address.
    func isWritten(_ address: VirtualAddress, byOtherThan name: String) -> Bool {
        writers[address].map { writers in writers.contains { $0.key != name } } ?? false
    }

    mutating func add(_ definition: ServiceDefinition) { note(definition, by: 1) }
    mutating func remove(_ definition: ServiceDefinition) { note(definition, by: -1) }

    private mutating func note(_ definition: ServiceDefinition, by step: Int) {
        if let name = definition.memberName { Self.count(name, step, in: &reasons) }
        for address in definition.writtenAddresses {
            Self.count(
                definition.memberName ?? definition.name.folded, step,
                in: &writers[address, default: [:]])
            if writers[address]?.isEmpty == true { writers[address] = nil }
        }
    }

    mutating func add(_ entry: ConfigEntry) {
        for name in entry.memberNames { Self.count(name, 1, in: &reasons) }
    }

    mutating func remove(_ entry: ConfigEntry) {
        for name in entry.memberNames { Self.count(name, -1, in: &reasons) }
    }

    private static func count(_ name: String, _ step: Int, in counts: inout [String: Int]) {
        let count = counts[name, default: 0] + step
        counts[name] = count == 0 ? nil : count
    }
}

extension ServiceDefinition {
    /// The service that the definition makes a part of the mesh.
    var memberName: String? {
        if kind == .connectProxy { return proxy?.destinationServiceName?.folded }
        return connect.native || connect.sidecarService != nil ? name.folded : nil
    }

    /// The addresses of the range that it claims.
    var writtenAddresses: [VirtualAddress] {
        guard let taggedAddresses else { return [] }
        return [TaggedAddress.virtual, TaggedAddress.consulVirtual].compactMap {
            taggedAddresses[$0].flatMap { VirtualAddress($0.address) }
        }
    }

    /// Whether the instance is shown with the virtual address of its service.
    package var showsVirtualAddress: Bool { kind == .connectProxy || connect.native }
}

extension ConfigEntry {
    /// The services that the entry makes parts of the mesh.
    var memberNames: [String] {
        switch self {
        case .serviceRouter(let router): [router.name.folded]
        case .serviceSplitter(let splitter): [splitter.name.folded]
        case .serviceResolver(let resolver): [resolver.name.folded]
        case .terminatingGateway(let gateway):
            gateway.services.compactMap { service in
                if case .exact(let name) = service.name { return name.folded }
                return nil
            }
        case .serviceDefaults, .proxyDefaults, .serviceIntentions, .ingressGateway, .other: []
        }
    }
}
