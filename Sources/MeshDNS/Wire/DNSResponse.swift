/// One record of an answer.
package struct DNSRecord: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        /// Four bytes.
        case a([UInt8])
        /// Sixteen bytes.
        case aaaa([UInt8])
        case srv(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName)
        case cname(DNSName)
        case ns(DNSName)
        case soa(DNSAuthority)
        case txt([UInt8])
    }

    package var name: DNSName
    package var ttl: UInt32
    package var content: Content

    package init(_ name: DNSName, ttl: UInt32, _ content: Content) {
        self.name = name
        self.ttl = ttl
        self.content = content
    }

    package var type: UInt16 {
        switch content {
        case .a: DNSCode.a
        case .aaaa: DNSCode.aaaa
        case .srv: DNSCode.srv
        case .cname: DNSCode.cname
        case .ns: DNSCode.ns
        case .soa: DNSCode.soa
        case .txt: DNSCode.txt
        }
    }
}

/// Who answers for a domain, and how long it may be kept that a name is not there.
package struct DNSAuthority: Hashable, Sendable {
    package var server: DNSName
    package var mailbox: DNSName
    package var serial: UInt32
    package var refresh: UInt32
    package var retry: UInt32
    package var expire: UInt32
    package var minimum: UInt32

    package init(
        server: DNSName, mailbox: DNSName, serial: UInt32, refresh: UInt32 = 3600,
        retry: UInt32 = 600, expire: UInt32 = 86_400, minimum: UInt32 = 0
    ) {
        self.server = server
        self.mailbox = mailbox
        self.serial = serial
        self.refresh = refresh
        self.retry = retry
        self.expire = expire
        self.minimum = minimum
    }
}

/// An answer before it is written.
package struct DNSResponse: Hashable, Sendable {
    package var status: DNSStatus
    /// Whether this server answers for the name itself.
    package var isAuthoritative: Bool
    package var answers: [DNSRecord]
    package var authorities: [DNSRecord]
    package var additional: [DNSRecord]

    package init(
        _ status: DNSStatus, isAuthoritative: Bool = false, answers: [DNSRecord] = [],
        authorities: [DNSRecord] = [], additional: [DNSRecord] = []
    ) {
        self.status = status
        self.isAuthoritative = isAuthoritative
        self.answers = answers
        self.authorities = authorities
        self.additional = additional
    }
}

/// Sizes of answers.
package enum DNSLimits {
    /// What every client takes over UDP.
    package static let plainBytes = 512
    /// What is sent over UDP at most, whatever the client takes: more would be cut on the way.
    package static let largestBytes = 1232
    package static let streamBytes = 65_535
}

extension DNSQuery {
    /// The most bytes of an answer over UDP.
    package var datagramBytes: Int {
        guard let edns else { return DNSLimits.plainBytes }
        return min(max(Int(edns.payloadBytes), DNSLimits.plainBytes), DNSLimits.largestBytes)
    }

    /// The answer's bytes, at most so many. What does not fit is left out: first what is only
    /// additional, then answers, and then the client is told to come again over TCP.
    package func encode(_ response: DNSResponse, limit: Int) -> [UInt8] {
        var additional = response.additional
        var answers = response.answers
        let whole = bytes(response, answers, additional, isTruncated: false)
        if whole.count <= limit { return whole }
        additional = []
        let plain = bytes(response, answers, additional, isTruncated: false)
        if plain.count <= limit { return fill(response, limit) }
        var (low, high) = (0, answers.count)
        while low < high {
            let middle = (low + high + 1) / 2
            let part = Array(response.answers.prefix(middle))
            if bytes(response, part, [], isTruncated: true).count <= limit {
                low = middle
            } else {
                high = middle - 1
            }
        }
        answers = Array(response.answers.prefix(low))
        let cut = bytes(response, answers, [], isTruncated: true)
        if cut.count <= limit { return cut }
        var bare = response
        bare.authorities = []
        return bytes(bare, [], [], isTruncated: true)
    }

    /// All answers, and as many of the additional records as there is room for.
    private func fill(_ response: DNSResponse, _ limit: Int) -> [UInt8] {
        var (low, high) = (0, response.additional.count)
        while low < high {
            let middle = (low + high + 1) / 2
            let part = Array(response.additional.prefix(middle))
            if bytes(response, response.answers, part, isTruncated: false).count <= limit {
                low = middle
            } else {
                high = middle - 1
            }
        }
        return bytes(
            response, response.answers, Array(response.additional.prefix(low)), isTruncated: false)
    }

    private func bytes(
        _ response: DNSResponse, _ answers: [DNSRecord], _ additional: [DNSRecord],
        isTruncated: Bool
    ) -> [UInt8] {
        var writer = DNSWriter()
        writer.put(id)
        var flags: UInt16 = 0x8000 | UInt16(opcode) << 11 | response.status.rawValue & 15
        if response.isAuthoritative { flags |= 0x0400 }
        if isTruncated { flags |= 0x0200 }
        if wantsRecursion { flags |= 0x0100 }
        writer.put(flags)
        writer.put(UInt16(1))
        writer.put(UInt16(answers.count))
        writer.put(UInt16(response.authorities.count))
        writer.put(UInt16(additional.count + (edns == nil ? 0 : 1)))
        writer.put(name)
        writer.put(type)
        writer.put(questionClass)
        for record in answers + response.authorities + additional { writer.put(record) }
        if edns != nil {
            writer.put(DNSName.root)
            writer.put(DNSCode.opt)
            writer.put(UInt16(DNSLimits.largestBytes))
            writer.put(UInt32(response.status.rawValue >> 4) << 24)
            writer.put(UInt16(0))
        }
        return writer.bytes
    }

    /// The answer to what could not be read: a head that says so.
    package static func malformed(id: UInt16, opcode: UInt8) -> [UInt8] {
        var writer = DNSWriter()
        writer.put(id)
        writer.put(0x8000 | UInt16(opcode) << 11 | DNSStatus.formatError.rawValue)
        for _ in 0..<4 { writer.put(UInt16(0)) }
        return writer.bytes
    }
}

/// Writes a message; names that stand in it already are pointed to.
struct DNSWriter {
    private(set) var bytes: [UInt8] = []
    private var places: [DNSName: UInt16] = [:]

    mutating func put(_ value: UInt16) { bytes += [UInt8(value >> 8), UInt8(value & 0xff)] }

    mutating func put(_ value: UInt32) {
        put(UInt16(value >> 16))
        put(UInt16(value & 0xffff))
    }

    mutating func put(_ name: DNSName) {
        for skipped in name.labels.indices {
            let rest = DNSName(unchecked: Array(name.labels[skipped...]))
            if let place = places[rest] {
                put(0xC000 | place)
                return
            }
            if bytes.count < 0x4000 { places[rest] = UInt16(bytes.count) }
            bytes.append(UInt8(name.labels[skipped].count))
            bytes += name.labels[skipped]
        }
        bytes.append(0)
    }

    mutating func put(_ record: DNSRecord) {
        put(record.name)
        put(record.type)
        put(DNSCode.internet)
        put(record.ttl)
        let place = bytes.count
        put(UInt16(0))
        switch record.content {
        case .a(let address), .aaaa(let address): bytes += address
        case .srv(let priority, let weight, let port, let target):
            put(priority)
            put(weight)
            put(port)
            // RFC 2782: the target is not compressed.
            for label in target.labels { bytes += [UInt8(label.count)] + label }
            bytes.append(0)
        case .cname(let name), .ns(let name): put(name)
        case .soa(let authority):
            put(authority.server)
            put(authority.mailbox)
            for value in [
                authority.serial, authority.refresh, authority.retry, authority.expire,
                authority.minimum,
            ] { put(value) }
        case .txt(let text):
            for start in stride(from: 0, to: max(text.count, 1), by: 255) {
                let part = text[start..<min(start + 255, text.count)]
                bytes.append(UInt8(part.count))
                bytes += part
            }
        }
        let length = bytes.count - place - 2
        bytes[place] = UInt8(length >> 8)
        bytes[place + 1] = UInt8(length & 0xff)
    }
}
