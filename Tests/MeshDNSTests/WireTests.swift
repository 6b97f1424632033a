import Testing

@testable import MeshDNS

@Suite struct WireTests {
    private func failure(_ bytes: [UInt8]) -> DNSParseFailure? {
        do {
            _ = try DNSQuery.parse(bytes)
            return nil
        } catch { return error }
    }

    @Test func aQuestionIsRead() throws {
        let query = try DNSQuery.parse(message("Web.service.consul", type: 33, edns: 4096))
        #expect(query.id == 0x1234 && query.opcode == 0 && query.wantsRecursion)
        #expect(query.name.description == "Web.service.consul.")
        #expect(query.type == 33 && query.questionClass == 1)
        #expect(query.edns == .init(payloadBytes: 4096, version: 0))
    }

    @Test func namesHaveTheirRules() throws {
        #expect(DNSName("") == .root && DNSName(".") == .root)
        #expect(DNSName("a.B.") == DNSName("A.b"))
        #expect(DNSName("a..b") == nil && DNSName(".a") == nil)
        #expect(DNSName(String(repeating: "a", count: 63)) != nil)
        #expect(DNSName(String(repeating: "a", count: 64)) == nil)
        func long(_ last: Int) -> String {
            String(repeating: String(repeating: "a", count: 62) + ".", count: 3)
                + String(repeating: "b", count: last)
        }
        // 3 * 63 and the root's byte leave 64 for the last label and its length.
        #expect(DNSName(long(63))?.labels.count == 4)
        let full = try #require(DNSName("x." + long(62)))
        #expect(full.labels.reduce(1) { $0 + 1 + $1.count } == 255)
        #expect(DNSName("xx." + long(62)) == nil)
        #expect(DNSName("a b\u{7}")?.description == "a\\032b\\007.")
        let domain = try #require(DNSName("consul"))
        #expect(DNSName("Web.CONSUL")?.labels(within: domain)?.count == 1)
        #expect(DNSName("web.consulx")?.labels(within: domain) == nil)
        #expect(domain.labels(within: domain)?.isEmpty == true)
    }

    @Test func whatIsNoQuestionIsIgnoredOrRefused() {
        #expect(failure([]) == .ignored)
        #expect(failure(Array(message("a").prefix(11))) == .ignored)
        #expect(failure(message("a", flags: 0x8100)) == .ignored)
        var two = message("a")
        two[5] = 2
        #expect(failure(two) == .malformed(id: 0x1234, opcode: 0))
        var none = message("a")
        none[5] = 0
        #expect(failure(none) == .malformed(id: 0x1234, opcode: 0))
        var many = message("a", edns: 512)
        many[11] = 17
        #expect(failure(many) == .malformed(id: 0x1234, opcode: 0))
        #expect(failure(message("a") + [0]) == nil, "what stands behind is not looked at")
    }

    /// Pointers lead back only, so a name ends whatever they say.
    @Test func pointersAreBounded() {
        func parse(_ name: [UInt8], _ head: [UInt8] = []) -> DNSName? {
            var reader = DNSReader(head + name, at: head.count)
            return reader.takeName()
        }
        #expect(parse([0xC0, 0x00]) == nil, "to itself")
        #expect(parse([0xC0, 0x05, 0, 0, 0, 0]) == nil, "forward")
        #expect(parse([1, 0x61, 0xC0, 0x00]) == nil, "to its own beginning")
        #expect(parse([0xC0, 0x00], [1, 0x61, 0]) == DNSName("a"))
        #expect(parse([1, 0x62, 0xC0, 0x00], [1, 0x61, 0]) == DNSName("b.a"))
        #expect(parse([0xC0, 0x00], [1, 0x61, 0xC0, 0x00]) == nil, "a circle before it")
        #expect(parse([0x40, 0x61]) == nil && parse([0x80]) == nil && parse([0xC0]) == nil)
        #expect(parse([5, 0x61, 0x62]) == nil)
        var chain: [UInt8] = [0]
        for place in 0..<3000 {
            let target = place == 0 ? 0 : chain.count - 2
            chain += [0xC0 | UInt8(target >> 8), UInt8(target & 0xff)]
        }
        #expect(
            parse([0xC0 | UInt8((chain.count - 2) >> 8), UInt8((chain.count - 2) & 0xff)], chain)
                == .root)
        let label: [UInt8] = [63] + Array(repeating: 0x61, count: 63)
        #expect(parse(label + label + label + [61] + label.suffix(61) + [0]) != nil)
        #expect(parse(label + label + label + [62] + label.suffix(62) + [0]) == nil)
    }

    /// Every beginning of a message is refused, and whatever is changed in it ends no process.
    @Test func truncationsAndMutations() {
        let whole = message("_web._tcp.service.dc1.consul", type: 33, edns: 1232)
        #expect(failure(whole) == nil)
        for length in whole.indices {
            #expect(failure(Array(whole[..<length])) != nil, "\(length)")
        }
        var chance = SeededGenerator(seed: 3)
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...4, using: &chance) {
                let at = Int.random(in: bytes.indices, using: &chance)
                switch Int.random(in: 0..<4, using: &chance) {
                case 0: bytes.remove(at: at)
                case 1: bytes.insert(UInt8.random(in: 0...255, using: &chance), at: at)
                case 2: bytes[at] = 0xC0
                default: bytes[at] = UInt8.random(in: 0...255, using: &chance)
                }
            }
            if failure(bytes) == nil { accepted += 1 }
        }
        #expect(accepted > 0 && accepted < 20_000)
    }

    private func response(_ count: Int, _ additional: Int = 0) throws -> DNSResponse {
        let name = try #require(DNSName("web.service.consul"))
        let target = try #require(DNSName("lab.node.dc1.consul"))
        return DNSResponse(
            .noError, isAuthoritative: true,
            answers: (0..<count).map { number in
                DNSRecord(
                    name, ttl: 7,
                    .srv(priority: 1, weight: 2, port: UInt16(number), target: target))
            },
            additional: (0..<additional).map { number in
                DNSRecord(target, ttl: 0, .a([10, 0, UInt8(number >> 8), UInt8(number & 0xff)]))
            })
    }

    @Test func anAnswerIsWellFormed() throws {
        let query = try DNSQuery.parse(message("Web.Service.consul", type: 33, edns: 4096))
        let bytes = query.encode(try response(2, 2), limit: 1232)
        let read = try #require(ReadAnswer(bytes))
        #expect(read.id == 0x1234 && read.status == 0)
        #expect(read.flags == 0x8500, "an answer, with authority, recursion was wanted")
        #expect(read.counts == [1, 2, 0, 3])
        #expect(read.question.description == "Web.Service.consul.", "as it was asked")
        #expect(read.records[0].name == read.question && read.records[0].ttl == 7)
        #expect(read.name(at: read.records[1].data.lowerBound + 6) == read.records[2].name)
        #expect(read.records[4].type == DNSCode.opt && read.records[4].recordClass == 1232)
    }

    @Test func everyKindOfRecordIsWritten() throws {
        let query = try DNSQuery.parse(message("x.consul", type: 255))
        let (x, y) = (try #require(DNSName("x.consul")), try #require(DNSName("y.consul")))
        let long = Array(repeating: UInt8(0x61), count: 300)
        let contents: [DNSRecord.Content] = [
            .a([1, 2, 3, 4]), .aaaa(Array(0..<16)), .cname(y), .ns(y), .txt([]), .txt(long),
            .soa(DNSAuthority(server: y, mailbox: x, serial: 9)),
        ]
        let response = DNSResponse(
            .noError, answers: contents.map { DNSRecord(x, ttl: 1, $0) })
        let read = try #require(ReadAnswer(query.encode(response, limit: 65_535)))
        #expect(read.records.map(\.type) == [1, 28, 5, 2, 16, 16, 6])
        #expect(read.records.map(\.data.count)[4...5] == [1, 302])
        #expect(read.name(at: read.records[2].data.lowerBound) == y)
        #expect(read.records[6].data.count == 2 + 2 + 20, "names in it are pointed to")
    }

    /// Whatever is asked for fits, and is cut at the end only.
    @Test func answersFit() throws {
        for edns in [nil, 512, 700, 1232, 4096] as [UInt16?] {
            let query = try DNSQuery.parse(message("web.service.consul", type: 33, edns: edns))
            let limit = query.datagramBytes
            #expect(limit == min(max(Int(edns ?? 512), 512), 1232))
            for count in [0, 1, 5, 9, 10, 11, 12, 20, 25, 40, 200] {
                let whole = try response(count, count)
                let read = try #require(ReadAnswer(query.encode(whole, limit: limit)))
                #expect(read.bytes.count <= limit)
                #expect(read.isTruncated == (Int(read.counts[1]) < count), "\(count)")
                if read.isTruncated { #expect(read.counts[3] == (edns == nil ? 0 : 1)) }
                let stream = try #require(ReadAnswer(query.encode(whole, limit: 65_535)))
                #expect(!stream.isTruncated && Int(stream.counts[1]) == count)
            }
        }
    }

    @Test func statusesBeyondFourBitsNeedTheirOption() throws {
        let query = try DNSQuery.parse(message("a.consul", edns: 512))
        let read = try #require(ReadAnswer(query.encode(DNSResponse(.badVersion), limit: 512)))
        #expect(read.status == 0 && read.records[0].ttl == 1 << 24)
        let refusal = DNSQuery.malformed(id: 7, opcode: 2)
        #expect(refusal == [0, 7, 0x90, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    }
}
