import CMeshABI
import MeshModel
import Testing

@testable import MeshTables

/// Networks of trusted peers: read, tidied, written, read back.
@Suite struct NetworkTests {
    @Test(arguments: [
        ("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3/8", "10.0.0.0/8"), ("0.0.0.0/0", "0.0.0.0/0"),
        ("192.0.2.1", "192.0.2.1"), ("192.0.2.1/32", "192.0.2.1"),
        ("192.0.2.255/31", "192.0.2.254/31"), ("2001:db8::/32", "2001:db8::/32"),
        ("2001:DB8:0:0::1", "2001:db8::1"), ("::/0", "::/0"), ("::1/128", "::1"),
        ("2001:db8::ffff:ffff:ffff:ffff/64", "2001:db8::/64"),
        ("2001:db8:ffff:ffff:ffff::/65", "2001:db8:ffff:ffff:8000::/65"),
        ("2001:db8::ffff/127", "2001:db8::fffe/127"),
    ])
    func networksAreReadInTheirNormalForm(text: String, normal: String) throws {
        #expect("\(try NetworkPlan(text))" == normal)
    }

    @Test(arguments: [
        "", "10.0.0.0/33", "10.0.0.0/-1", "::/-1", "10.0.0.0/08", "10.0.0.0/", "10.0.0/8", "::/129",
        "10.0.0.0/8/8", "example.com", "10.0.0.0 /8", "::1%lo", "/8",
    ])
    func otherTextsAreRefused(text: String) {
        #expect(throws: MeshError.self) { try NetworkPlan(text) }
    }

    /// By its bits, the slow way.
    private func covers(_ outer: NetworkPlan, _ inner: NetworkPlan) -> Bool {
        func bit(_ network: NetworkPlan, _ at: Int) -> UInt64 {
            at < 64 ? network.high >> UInt64(63 - at) & 1 : network.low >> UInt64(127 - at) & 1
        }
        return outer.bits <= inner.bits
            && (0..<outer.bits).allSatisfy { bit(outer, $0) == bit(inner, $0) }
    }

    private func random(_ chance: inout SeededGenerator) throws -> NetworkPlan {
        let v4 = Bool.random(using: &chance)
        let width = v4 ? 32 : 128
        let bits = Int.random(in: 0...width, using: &chance)
        // Few different bytes, so that networks meet.
        func byte() -> UInt8 { [0, 1, 127, 128, 255].randomElement(using: &chance) ?? 0 }
        if v4 {
            return try NetworkPlan("\(byte()).\(byte()).\(byte()).\(byte())/\(bits)")
        }
        let words = (0..<8).map { _ in String(UInt16(byte()) << 8 | UInt16(byte()), radix: 16) }
        return try NetworkPlan("\(words.joined(separator: ":"))/\(bits)")
    }

    @Test func coveringAgreesWithTheBits() throws {
        var chance = SeededGenerator(seed: 1)
        for _ in 0..<20_000 {
            let (a, b) = (try random(&chance), try random(&chance))
            #expect(a.covers(b) == covers(a, b), "\(a) and \(b)")
        }
    }

    /// What is left covers the same, is sorted, and nothing in it overlaps: the data plane searches
    /// it in halves.
    @Test func tidiedListsCoverTheSameWithoutOverlap() throws {
        var chance = SeededGenerator(seed: 2)
        for _ in 0..<500 {
            let all = try (0..<Int.random(in: 0...40, using: &chance)).map { _ in
                try random(&chance)
            }
            let tidy = NetworkPlan.tidied(all)
            for network in all { #expect(tidy.contains { covers($0, network) }) }
            for network in tidy { #expect(all.contains(network)) }
            for (at, network) in tidy.enumerated() {
                for other in tidy[(at + 1)...] {
                    #expect((network.high, network.low) < (other.high, other.low))
                    #expect(!covers(network, other) && !covers(other, network))
                }
            }
        }
    }

    @Test func recordsAreReadBack() throws {
        var node = try Plans.small()
        let texts = ["2001:db8::/32", "10.0.0.0/8", "10.9.0.0/16", "192.0.2.1"]
        node.listeners[0].hops = HopsPlan(
            proxy: .init(v1: true, v2: false, from: try texts.map(NetworkPlan.init), timeout: 500),
            trust: [try NetworkPlan("127.0.0.0/8")], depth: 3, fields: [.forwarded],
            sampledPerMillion: 250_000)
        let dump = SnapshotDump(try Plans.reader(node))
        let settings = try #require(dump.listeners.first).settings
        #expect(settings.proxyProtocol?.from == ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])
        #expect(settings.proxyProtocol?.versions == ["v1"])
        #expect(settings.proxyProtocol?.others == "refuse")
        #expect(settings.forwarded?.trust == ["127.0.0.0/8"])
        #expect(settings.forwarded?.hops == 3)
        #expect(settings.forwarded?.headers == "forwarded")
        #expect(settings.trace == .init(start: true, sample: 0.25))
        #expect(
            settings.lines.map { "\($0.name): \($0.text)" } == [
                "proxy_protocol: v1 from 10.0.0.0/8, 192.0.2.1, 2001:db8::/32 within 500 ms; others "
                    + "are closed",
                "forwarded: at most 3 hops of 127.0.0.0/8 are believed; headers: forwarded",
                "trace: begun here, 25.0 % sampled",
            ])
    }

    /// A plain listener says nothing of itself: every listener is so.
    @Test func defaultsHaveNoLines() throws {
        let dump = SnapshotDump(try Plans.reader(try Plans.small()))
        let settings = try #require(dump.listeners.first).settings
        #expect(settings.lines.isEmpty)
        #expect(settings.forwarded == .init(trust: [], hops: 0, headers: "x-forwarded"))
        #expect(settings.trace?.start == false)
        #expect(settings.tls == nil && settings.accessLog == nil && !settings.passesTLS)
    }

    @Test func settingsOfTLS() throws {
        var node = try Plans.small()
        var plan = TLSPlan(server: true, verify: .request, certificates: [7], trust: [1])
        plan.alpn = ["http/1.1"]
        node.listeners[0].tls = node.intern(plan)
        let settings = try #require(SnapshotDump(try Plans.reader(node)).listeners.first).settings
        #expect(settings.tls?.clientVerify == "request")
        #expect(settings.tls?.alpn == ["http/1.1"])
        #expect(settings.tls?.maxVersion == "1.3")
        #expect(settings.lines.map(\.name) == ["tls"])
        #expect(settings.lines[0].text.contains("client certificate asked for, http/1.1"))
    }
}
