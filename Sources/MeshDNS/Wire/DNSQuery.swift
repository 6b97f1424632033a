/// A question as it came, RFC 1035 §4.1 and RFC 6891.
package struct DNSQuery: Hashable, Sendable {
    /// What a client says of itself in an OPT record.
    package struct Extension: Hashable, Sendable {
        /// The largest answer over UDP that it takes.
        package var payloadBytes: UInt16
        package var version: UInt8
    }

    package var id: UInt16
    package var opcode: UInt8
    package var wantsRecursion: Bool
    package var name: DNSName
    package var type: UInt16
    package var questionClass: UInt16
    package var edns: Extension?

    package init(
        id: UInt16, opcode: UInt8 = 0, wantsRecursion: Bool = false, name: DNSName, type: UInt16,
        questionClass: UInt16 = DNSCode.internet, edns: Extension? = nil
    ) {
        self.id = id
        self.opcode = opcode
        self.wantsRecursion = wantsRecursion
        self.name = name
        self.type = type
        self.questionClass = questionClass
        self.edns = edns
    }
}

/// Numbers of the protocol.
package enum DNSCode {
    package static let a: UInt16 = 1
    package static let ns: UInt16 = 2
    package static let cname: UInt16 = 5
    package static let soa: UInt16 = 6
    package static let txt: UInt16 = 16
    package static let aaaa: UInt16 = 28
    package static let srv: UInt16 = 33
    package static let opt: UInt16 = 41
    package static let any: UInt16 = 255

    package static let internet: UInt16 = 1
    package static let anyClass: UInt16 = 255
}

/// What became of a question.
package enum DNSStatus: UInt16, Sendable, Hashable {
    case noError = 0
    case formatError = 1
    case serverFailure = 2
    case noSuchName = 3
    case notImplemented = 4
    case refused = 5
    case badVersion = 16
}

/// A message that is no question.
package enum DNSParseFailure: Error, Hashable, Sendable {
    /// Nothing is answered: the message is too short for a head, or an answer itself.
    case ignored
    /// The client is told with its own id.
    case malformed(id: UInt16, opcode: UInt8)
}

extension DNSQuery {
    private static let headBytes = 12
    /// Records behind the question that are read in search of OPT. More are no question.
    private static let greatestRecords = 16

    /// Reads a message. One question is taken, and at most one OPT record behind it.
    package static func parse(_ bytes: [UInt8]) throws(DNSParseFailure) -> DNSQuery {
        var reader = DNSReader(bytes)
        guard bytes.count >= headBytes, let id = reader.takeShort(),
            let flags = reader.takeShort(), flags & 0x8000 == 0
        else { throw .ignored }
        let opcode = UInt8(flags >> 11 & 15)
        let failure = DNSParseFailure.malformed(id: id, opcode: opcode)
        guard let questions = reader.takeShort(), let answers = reader.takeShort(),
            let authorities = reader.takeShort(), let additional = reader.takeShort(),
            questions == 1, let name = reader.takeName(), let type = reader.takeShort(),
            let questionClass = reader.takeShort()
        else { throw failure }
        var query = DNSQuery(
            id: id, opcode: opcode, wantsRecursion: flags & 0x0100 != 0, name: name, type: type,
            questionClass: questionClass)
        let count = Int(answers) + Int(authorities) + Int(additional)
        guard count <= greatestRecords else { throw failure }
        for _ in 0..<count {
            guard let record = reader.takeRecord() else { throw failure }
            guard record.type == DNSCode.opt else { continue }
            guard query.edns == nil, record.name == .root else { throw failure }
            query.edns = Extension(
                payloadBytes: record.recordClass, version: UInt8(record.ttl >> 16 & 0xff))
        }
        return query
    }
}

/// Takes values off a message; nil where it ends too early or is malformed.
struct DNSReader {
    struct Record {
        var name: DNSName
        var type: UInt16
        var recordClass: UInt16
        var ttl: UInt32
        var data: Range<Int>
    }

    private let bytes: [UInt8]
    private(set) var at = 0

    init(_ bytes: [UInt8], at: Int = 0) {
        self.bytes = bytes
        self.at = at
    }

    mutating func takeShort() -> UInt16? {
        guard at + 2 <= bytes.count else { return nil }
        defer { at += 2 }
        return UInt16(bytes[at]) << 8 | UInt16(bytes[at + 1])
    }

    mutating func takeLong() -> UInt32? {
        guard let high = takeShort(), let low = takeShort() else { return nil }
        return UInt32(high) << 16 | UInt32(low)
    }

    mutating func takeRecord() -> Record? {
        guard let name = takeName(), let type = takeShort(), let recordClass = takeShort(),
            let ttl = takeLong(), let length = takeShort(), at + Int(length) <= bytes.count
        else { return nil }
        let data = at..<at + Int(length)
        at = data.upperBound
        return Record(name: name, type: type, recordClass: recordClass, ttl: ttl, data: data)
    }

    /// A name, whose tail may stand earlier in the message. Every pointer must lead to before the
    /// place that the last one led to, so there are no circles, and the length of the name bounds
    /// the work.
    mutating func takeName() -> DNSName? {
        var labels: [[UInt8]] = []
        var length = 1
        var place = at
        var floor = at
        var end: Int?
        while place < bytes.count {
            let head = bytes[place]
            switch head >> 6 {
            case 0 where head == 0:
                at = end ?? place + 1
                return DNSName(unchecked: labels)
            case 0:
                let next = place + 1 + Int(head)
                length += 1 + Int(head)
                guard next <= bytes.count, length <= DNSName.greatestBytes else { return nil }
                labels.append(Array(bytes[place + 1..<next]))
                place = next
            case 3:
                guard place + 1 < bytes.count else { return nil }
                let target = Int(head & 0x3f) << 8 | Int(bytes[place + 1])
                guard target < floor else { return nil }
                end = end ?? place + 2
                floor = target
                place = target
            default: return nil
            }
        }
        return nil
    }
}
