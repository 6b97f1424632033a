@testable import MeshDNS

/// An answer read back.
struct ReadAnswer {
    var id: UInt16 = 0
    var flags: UInt16 = 0
    var counts: [UInt16] = []
    var question = DNSName.root
    var records: [DNSReader.Record] = []
    var bytes: [UInt8]

    var status: UInt16 { flags & 15 }
    var isTruncated: Bool { flags & 0x0200 != 0 }

    /// nil when it is not well-formed to its last byte.
    init?(_ bytes: [UInt8]) {
        self.bytes = bytes
        var reader = DNSReader(bytes)
        guard let id = reader.takeShort(), let flags = reader.takeShort() else { return nil }
        self.id = id
        self.flags = flags
        for _ in 0..<4 {
            guard let count = reader.takeShort() else { return nil }
            counts.append(count)
        }
        if counts[0] == 1 {
            guard let name = reader.takeName(), reader.takeShort() != nil, reader.takeShort() != nil
            else { return nil }
            question = name
        }
        for _ in 0..<counts[1...].reduce(0, { $0 + Int($1) }) {
            guard let record = reader.takeRecord() else { return nil }
            records.append(record)
        }
        guard reader.at == bytes.count else { return nil }
    }

    func name(at offset: Int) -> DNSName? {
        var reader = DNSReader(bytes, at: offset)
        return reader.takeName()
    }
}

/// A question as a client sends it.
func message(
    _ name: String, type: UInt16 = DNSCode.a, edns: UInt16? = nil, flags: UInt16 = 0x0100
) -> [UInt8] {
    var writer = DNSWriter()
    writer.put(UInt16(0x1234))
    writer.put(flags)
    for count in [1, 0, 0, edns == nil ? 0 : 1] as [UInt16] { writer.put(count) }
    writer.put(DNSName(name) ?? .root)
    writer.put(type)
    writer.put(DNSCode.internet)
    if let edns {
        writer.put(DNSName.root)
        writer.put(DNSCode.opt)
        writer.put(edns)
        writer.put(UInt32(0))
        writer.put(UInt16(0))
    }
    return writer.bytes
}
