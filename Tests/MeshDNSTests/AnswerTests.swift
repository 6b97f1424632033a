import Testing

@testable import MeshDNS

private struct Catalog: DNSCatalog {
    struct Broken: Error {}
    var found: [DNSInstance] = []
    var result: DNSQueryResult?

    func instances(of service: String, tag: String, isConnect: Bool) async -> [DNSInstance] {
        switch (service.lowercased(), tag, isConnect) {
        case ("web", "", false): found
        case ("web", "v1", false), ("web", "", true): Array(found.prefix(1))
        default: []
        }
    }

    func virtualAddress(of service: String) async -> String? {
        service.lowercased() == "web" ? "240.0.0.7" : nil
    }

    func node(_ name: String) async -> DNSNode? {
        switch name.lowercased() {
        case "lab":
            DNSNode(
                name: "lab", address: "10.0.0.1", meta: ["site": "paris", "rfc1035-note": "plain"])
        case "six.lab": DNSNode(name: "six.lab", address: "fd00::1:2")
        case "far": DNSNode(name: "far", address: "far.example.com")
        default: nil
        }
    }

    func query(_ name: String) async throws -> DNSQueryResult? {
        if name == "broken" { throw Broken() }
        return name == "near.db" ? result : nil
    }
}

@Suite struct AnswerTests {
    private static let both = [
        DNSInstance(node: "lab", nodeAddress: "10.0.0.1", address: "", port: 80, weight: 3),
        DNSInstance(
            node: "lab", nodeAddress: "10.0.0.1", address: "192.0.2.7", port: 81, weight: 70_000),
    ]

    private func ask(
        _ name: String, _ type: UInt16 = DNSCode.a, _ found: [DNSInstance] = both,
        result: DNSQueryResult? = nil, change: (inout DNSQuery) -> Void = { _ in }
    ) async throws -> DNSResponse {
        let settings = DNSSettings(
            domain: try #require(DNSName("consul")), datacenter: "dc1", nodeName: "lab",
            nodeTTL: 5, serviceTTL: 10)
        var query = DNSQuery(id: 1, name: try #require(DNSName(name)), type: type)
        change(&query)
        return await DNSAnswers(settings, catalog: Catalog(found: found, result: result))
            .answer(query, serial: 42)
    }

    private func addresses(_ response: DNSResponse) -> [[UInt8]] {
        response.answers.compactMap {
            switch $0.content {
            case .a(let bytes), .aaaa(let bytes): bytes
            default: nil
            }
        }
    }

    @Test(arguments: [
        "web.service.consul", "WEB.Service.DC1.Consul", "_web._tcp.service.consul",
        "web.service.dc1.consul",
    ])
    func aServicesAddresses(name: String) async throws {
        let response = try await ask(name)
        #expect(response.status == .noError && response.isAuthoritative)
        #expect(addresses(response) == [[10, 0, 0, 1], [192, 0, 2, 7]])
        #expect(response.answers.allSatisfy { $0.ttl == 10 && $0.name == DNSName(name) })
    }

    @Test(arguments: ["v1.web.service.consul", "_web._v1.service.consul", "web.connect.consul"])
    func someOfThem(name: String) async throws {
        #expect(addresses(try await ask(name)) == [[10, 0, 0, 1]])
    }

    @Test func servicesWithPorts() async throws {
        let response = try await ask("web.service.consul", DNSCode.srv)
        let (node, own) = (
            try #require(DNSName("lab.node.dc1.consul")),
            try #require(DNSName("c0000207.addr.dc1.consul"))
        )
        #expect(
            response.answers.map(\.content) == [
                .srv(priority: 1, weight: 3, port: 80, target: node),
                .srv(priority: 1, weight: 65_535, port: 81, target: own),
            ])
        #expect(
            response.additional == [
                DNSRecord(node, ttl: 10, .a([10, 0, 0, 1])),
                DNSRecord(own, ttl: 10, .a([192, 0, 2, 7])),
            ])
        #expect(addresses(try await ask(own.description)) == [[192, 0, 2, 7]])
        let both = try await ask("web.service.consul", DNSCode.any)
        #expect(both.answers.count == 4 && both.additional.count == 2)
    }

    @Test(arguments: [
        "gone.service.consul", "v2.web.service.consul", "web.consul", "a.web.connect.consul",
        "service.consul", "gone.node.consul", "gone.query.consul", "web.service.dc2.consul",
        "web.service.dc1.x.consul", "gone.virtual.consul", "virtual.consul", "a.web.virtual.consul",
        "web.virtual.dc2.consul", "web.virtual.other.ns.consul", "web.virtual.other.ap.consul",
        "web.virtual.far.peer.consul", "web.virtual.dc2.dc.consul", "web.virtual.dc1.dc1.dc.consul",
        "web.virtual.dc1.dc.dc1.dc.consul", "web.service.other.ns.consul", "1234.addr.consul",
        "0000000g.addr.consul", "x.consul",
    ])
    func thereIsNoSuchName(name: String) async throws {
        let response = try await ask(name)
        #expect(response.status == .noSuchName && response.isAuthoritative)
        #expect(response.answers.isEmpty)
        #expect(response.authorities.map(\.type) == [DNSCode.soa])
    }

    @Test(arguments: [
        "web.virtual.consul", "Web.Virtual.DC1.consul", "web.virtual.default.ns.consul",
        "web.virtual.dc1.dc.consul", "web.virtual.default.ns.dc1.dc.consul",
        "web.virtual.default.ap.Default.NS.dc1.dc.consul",
    ])
    func whereAServiceIsCalledAsAWhole(name: String) async throws {
        let response = try await ask(name)
        #expect(
            response.answers == [
                DNSRecord(try #require(DNSName(name)), ttl: 5, .a([240, 0, 0, 7]))
            ])
        let other = try await ask(name, DNSCode.aaaa)
        #expect(other.status == .noError && other.answers.isEmpty)
    }

    @Test func placesStandBehindEveryKind() async throws {
        for name in [
            "web.service.default.ns.consul", "v1.web.service.default.ns.dc1.dc.consul",
            "web.connect.dc1.dc.consul",
        ] { #expect(!addresses(try await ask(name)).isEmpty, "\(name)") }
        // A node's name may be any, also that of a kind.
        #expect(
            DNSLookup(["node", "node"].map { Array($0.utf8) })
                == .node(name: "node", datacenter: ""))
    }

    @Test func aNameWithoutThatTypeIsStillThere() async throws {
        for (name, type) in [
            ("web.service.consul", DNSCode.aaaa), ("lab.node.consul", DNSCode.aaaa),
            ("lab.node.consul", DNSCode.srv), ("six.lab.node.consul", DNSCode.a),
            ("0a000001.addr.consul", DNSCode.aaaa), ("consul", DNSCode.a),
        ] {
            let response = try await ask(name, type)
            #expect(response.status == .noError && response.answers.isEmpty, "\(name)")
            #expect(response.authorities.map(\.type) == [DNSCode.soa])
        }
    }

    @Test func nodes() async throws {
        #expect(addresses(try await ask("lab.node.dc1.consul")) == [[10, 0, 0, 1]])
        #expect(
            addresses(try await ask("Six.Lab.node.consul", DNSCode.aaaa))
                == [[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2]])
        let texts = try await ask("lab.node.consul", DNSCode.txt).answers.map(\.content)
        #expect(texts == [.txt(Array("plain".utf8)), .txt(Array("site=paris".utf8))])
        #expect(try await ask("lab.node.consul", DNSCode.any).answers.count == 3)
        let far = try #require(DNSName("far.example.com"))
        #expect(try await ask("far.node.consul").answers.map(\.content) == [.cname(far)])
        #expect(addresses(try await ask("ns.consul")) == [[10, 0, 0, 1]])
    }

    @Test func queriesHaveTheirOwnTime() async throws {
        let result = DNSQueryResult(instances: Self.both, datacenter: "dc2", ttl: 99)
        let response = try await ask("near.db.query.consul", DNSCode.srv, result: result)
        #expect(response.answers.allSatisfy { $0.ttl == 99 })
        #expect(response.additional.first?.name == DNSName("lab.node.dc2.consul"))
        let none = DNSQueryResult(instances: [], datacenter: "dc1")
        #expect(try await ask("near.db.query.consul", result: none).status == .noSuchName)
        #expect(try await ask("broken.query.consul").status == .serverFailure)
    }

    @Test func theDomainItself() async throws {
        let soa = try await ask("consul", DNSCode.soa)
        let server = try #require(DNSName("ns.consul"))
        let mailbox = try #require(DNSName("hostmaster.consul"))
        #expect(
            soa.answers.map(\.content) == [
                .soa(DNSAuthority(server: server, mailbox: mailbox, serial: 42))
            ])
        let names = try await ask("consul", DNSCode.ns).answers.map(\.content)
        #expect(names == [.ns(try #require(DNSName("lab.node.dc1.consul")))])
    }

    @Test func whatIsNotAnsweredIsRefused() async throws {
        #expect(try await ask("example.com").status == .refused)
        #expect(try await ask("web.service.consul") { $0.questionClass = 3 }.status == .refused)
        #expect(try await ask("web.service.consul") { $0.opcode = 4 }.status == .notImplemented)
        #expect(
            try await ask("web.service.consul") {
                $0.edns = .init(payloadBytes: 512, version: 1)
            }.status == .badVersion)
    }

    @Test func oneAddressStandsOnce() async throws {
        let twins = (0..<3).map {
            DNSInstance(
                node: "lab", nodeAddress: "10.0.0.1", address: "", port: UInt16(80 + $0), weight: 1)
        }
        #expect(addresses(try await ask("web.service.consul", DNSCode.a, twins)).count == 1)
        let services = try await ask("web.service.consul", DNSCode.srv, twins)
        #expect(services.answers.count == 3 && services.additional.count == 1)
        let named = DNSInstance(
            node: "lab", nodeAddress: "10.0.0.1", address: "db.example.com", port: 5, weight: 1)
        let response = try await ask("web.service.consul", DNSCode.a, [named, named] + twins)
        let target = try #require(DNSName("db.example.com"))
        #expect(response.answers.map(\.content) == [.cname(target)])
        let service = try await ask("web.service.consul", DNSCode.srv, [named])
        #expect(
            service.answers.map(\.content) == [
                .srv(priority: 1, weight: 1, port: 5, target: target)
            ])
        #expect(service.additional.isEmpty)
    }

    @Test(arguments: [
        ("0.0.0.0", 4), ("255.255.255.255", 4), ("::", 16), ("::1", 16), ("1::", 16),
        ("1:2:3:4:5:6:7:8", 16), ("::ffff:10.0.0.1", 16), ("fe80::1%eth0", 0), ("10.0.0", 0),
        ("host", 0), ("", 0), ("1::2::3", 0),
    ])
    func addressesAsBytes(_ text: String, _ count: Int) {
        #expect(IPBytes.parse(text)?.count ?? 0 == count)
    }
}
