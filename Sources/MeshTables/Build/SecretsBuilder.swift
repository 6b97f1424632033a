import CMeshABI
import MeshModel

/// A private key and what belongs to it, or the ticket keys of the node.
package struct SecretPlan: Hashable, Sendable, Codable {
    package enum Content: Hashable, Sendable, Codable {
        /// DER certificates with the leaf first, the DER private key, and the DNS names it is for.
        case certificate(chain: [UInt8], key: [UInt8], names: [String])
        /// Ticket keys of 80 bytes, the encrypting one first.
        case ticketKeys([UInt8])
    }

    /// Stable: a renewed certificate keeps its id with a higher version. Not 0, and
    /// ABI_SECRET_ID_TICKETS only for the ticket keys.
    package var id: UInt64
    package var version: UInt64
    /// Unix time; 0 = never.
    package var notAfterMilliseconds: UInt64
    package var content: Content

    package init(id: UInt64, version: UInt64, notAfterMilliseconds: UInt64, content: Content) {
        self.id = id
        self.version = version
        self.notAfterMilliseconds = notAfterMilliseconds
        self.content = content
    }

    /// The id of the node's ticket keys.
    package static let ticketKeysID = UInt64(ABI_SECRET_ID_TICKETS)

    /// The id of a certificate by what it is for; never that of the ticket keys.
    package static func id(of name: String) -> UInt64 { StableHash.of(name) | 1 << 63 }
}

/// Writes the secrets region. Key bytes go from the plans straight into the mapped file: no other
/// copy is made.
package struct SecretsBuilder: Sendable {
    /// Bytes of the whole file.
    package let size: Int
    package let generation: UInt64
    private let plans: [SecretPlan]

    private static let ticketKeySize = 80

    /// Lays the region out; throws ``PlanError`` with all that is wrong.
    package init(_ plans: [SecretPlan], generation: UInt64) throws {
        let sorted = plans.sorted { $0.id < $1.id }
        var problems: [Problem] = []
        for (index, plan) in sorted.enumerated() {
            if let why = Self.problem(of: plan) { problems.append(Problem(.error, why)) }
            if index > 0, sorted[index - 1].id == plan.id {
                problems.append(Problem(.error, "the secret \(plan.id) is there twice"))
            }
        }
        if generation == 0 {
            problems.append(Problem(.error, "a generation of 0 cannot be published"))
        }
        size = sorted.reduce(
            MemoryLayout<abi_secrets>.size + sorted.count * MemoryLayout<abi_secret>.size
        ) { sum, plan in sum + Self.parts(of: plan).reduce(0) { $0 + $1.count } }
        if sorted.count > LIMIT_SECRETS || size > Int(LIMIT_SECRETS_SIZE) {
            problems.append(
                Problem(
                    .error,
                    "\(sorted.count) secrets of \(size) bytes on one node; \(LIMIT_SECRETS) and "
                        + "\(LIMIT_SECRETS_SIZE) are the limits"))
        }
        if !problems.isEmpty { throw PlanError(problems) }
        self.plans = sorted
        self.generation = generation
    }

    private static func problem(of plan: SecretPlan) -> String? {
        if plan.id == 0 { return "a secret has the id 0" }
        switch plan.content {
        case .certificate(let chain, let key, let names):
            if chain.isEmpty || key.isEmpty { return "secret \(plan.id) has no chain or no key" }
            if names.contains(where: { $0.isEmpty || $0.utf8.contains(0) }) {
                return "secret \(plan.id) has an empty name"
            }
        case .ticketKeys(let keys):
            if keys.isEmpty || keys.count % ticketKeySize != 0 {
                return "ticket keys have \(ticketKeySize) bytes each"
            }
            if keys.count / ticketKeySize > LIMIT_TICKET_KEYS {
                return "there are more than \(LIMIT_TICKET_KEYS) ticket keys"
            }
        }
        return nil
    }

    /// Chain, key and names as they are written.
    private static func parts(of plan: SecretPlan) -> [[UInt8]] {
        switch plan.content {
        case .certificate(let chain, let key, let names):
            [chain, key, names.flatMap { Array($0.utf8) + [0] }]
        case .ticketKeys(let keys): [[], keys, []]
        }
    }

    /// Writes the file into `out`, which has exactly ``size`` bytes.
    package func write(into out: UnsafeMutableRawBufferPointer) {
        precondition(out.count == size, "secrets of \(size) bytes into \(out.count)")
        var head = abi_secrets()
        head.magic = ABI_SECRETS_MAGIC
        head.version = ABI_VERSION
        head.header_size = UInt32(MemoryLayout<abi_secrets>.size)
        head.size = UInt64(size)
        head.generation = generation
        head.count = UInt32(plans.count)
        var recordAt = MemoryLayout<abi_secrets>.size
        var at = recordAt + plans.count * MemoryLayout<abi_secret>.size
        for plan in plans {
            var record = abi_secret()
            record.id = plan.id
            record.version = plan.version
            record.not_after_ms = plan.notAfterMilliseconds
            let places = Self.parts(of: plan).map { bytes in
                if bytes.isEmpty { return abi_ref() }
                UnsafeMutableRawBufferPointer(rebasing: out[at..<at + bytes.count])
                    .copyBytes(from: bytes)
                defer { at += bytes.count }
                return abi_ref(at: UInt32(at), count: UInt32(bytes.count))
            }
            record.kind =
                switch plan.content {
                case .certificate: ABI_SECRET_CERTIFICATE.rawValue
                case .ticketKeys: ABI_SECRET_TICKET_KEYS.rawValue
                }
            record.chain = places[0]
            record.key = places[1]
            record.names = places[2]
            withUnsafeBytes(of: record) {
                UnsafeMutableRawBufferPointer(rebasing: out[recordAt..<recordAt + $0.count])
                    .copyMemory(from: $0)
                recordAt += $0.count
            }
        }
        let start = MemoryLayout<abi_secrets>.size
        head.checksum = abi_checksum(
            UnsafeRawBufferPointer(rebasing: out[start...]).baseAddress, out.count - start)
        withUnsafeBytes(of: head) { out.copyMemory(from: $0) }
    }
}
