import MeshModel
import Testing

@Suite struct NamesTests {
    @Test(arguments: [
        "a", "web", "Web-1", "my.service_2", "9", String(repeating: "a", count: 128),
    ])
    func serviceNameAccepts(_ text: String) throws {
        #expect(try ServiceName(text).text == text)
    }

    @Test(arguments: [
        "", "-web", "web-", ".", "we b", "we/b", "wéb", "we*", "web\n", "web\0",
        String(repeating: "a", count: 129), String(repeating: "a", count: 100_000),
    ])
    func serviceNameRefuses(_ text: String) {
        #expect(throws: MeshError.self) { try ServiceName(text) }
    }

    @Test func serviceNamesCompareWithoutCase() throws {
        let names: Set<ServiceName> = [try ServiceName("Web"), try ServiceName("web")]
        #expect(names.count == 1)
        #expect(try ServiceName("Web").text == "Web")
        #expect(try ServiceName("WEB").folded == "web")
        #expect(try ServiceName("web") != ServiceName("web2"))
    }

    @Test func refusalNamesTheCharacterAndItsPlace() {
        let error = #expect(throws: MeshError.self) { try ServiceName("we b") }
        #expect(error?.message.contains("\" \" at position 3") == true)
        #expect(error?.code == .invalid)
    }

    @Test func serviceIDBounds() throws {
        #expect(try ServiceID("_task:web/1").text == "_task:web/1")
        #expect(try ServiceID(String(repeating: "a", count: 255)).text.count == 255)
        #expect(throws: MeshError.self) { try ServiceID(String(repeating: "a", count: 256)) }
        #expect(throws: MeshError.self) { try ServiceID("") }
        #expect(throws: MeshError.self) { try ServiceID("a b") }
        #expect(throws: MeshError.self) { try ServiceID("a\u{7f}") }
        #expect(try ServiceID("web-1").sidecar.text == "web-1-sidecar-proxy")
    }

    @Test func datacenterAndTrustDomainAreLowerCase() throws {
        #expect(try DatacenterName("DC1").text == "dc1")
        #expect(try TrustDomain("Mesh.Example.COM").text == "mesh.example.com")
        #expect(throws: MeshError.self) { try DatacenterName("dc.1") }
        #expect(throws: MeshError.self) { try DatacenterName(String(repeating: "d", count: 64)) }
        #expect(throws: MeshError.self) { try TrustDomain("a..b") }
        #expect(throws: MeshError.self) { try TrustDomain("a:1") }
    }

    @Test func patterns() throws {
        let web = try ServiceName("web")
        #expect(try NamePattern("*") == .any)
        #expect(try NamePattern("Web").covers(web))
        #expect(try !NamePattern("api").covers(web))
        #expect(NamePattern.any.covers(web))
        #expect(throws: MeshError.self) { try NamePattern("we*") }
        #expect(throws: MeshError.self) { try NamePattern("**") }
        #expect(throws: MeshError.self) { try NamePattern("") }
    }
}

@Suite struct SpiffeIDTests {
    private let domain = "11111111-2222-3333-4444-555555555555.consul"

    @Test func rendersWhatItParses() throws {
        let uri = "spiffe://\(domain)/ns/default/dc/dc1/svc/web"
        let id = try SpiffeID(uri)
        #expect(id.uri == uri)
        #expect(id.service == (try ServiceName("web")))
        #expect(id.trustDomain.uri == "spiffe://\(domain)")
        #expect(try SpiffeID("SPIFFE://\(domain)/ns/default/dc/DC1/svc/Web").uri == uri)
    }

    @Test(arguments: [
        "svc/we%2Fb", "svc/web%20x", "svc/web/", "svc/", "svc/web/extra", "SVC/web", "svc/web?x=1",
        "svc/web#f", "svc/%zz", "svc/w%00b", "svc/*", "svc", "",
    ])
    func refusesOtherEndings(_ end: String) {
        #expect(throws: MeshError.self) {
            try SpiffeID("spiffe://\(domain)/ns/default/dc/dc1/\(end)")
        }
    }

    @Test(arguments: [
        "https://d.consul/ns/default/dc/dc1/svc/web", "spiffe://d.consul", "spiffe://d.consul/",
        "spiffe:///ns/default/dc/dc1/svc/web", "spiffe://d.consul/agent/client/dc/dc1/id/x",
        "spiffe://d.consul/ns//dc/dc1/svc/web", "spiffe://d.consul/ns/default/dc//svc/web",
        "spiffe://d.consul/ns/team/dc/dc1/svc/web", "spiffe://d.consul/ns/*/dc/dc1/svc/web",
        "spiffe://d.consul:8443/ns/default/dc/dc1/svc/web",
        "spiffe://user@d.consul/ns/default/dc/dc1/svc/web", "not a uri", "",
        "spiffe://d.consul/ap/part1/ns/default/dc/dc1/svc/web",
    ])
    func refusesOtherForms(_ uri: String) {
        #expect(throws: MeshError.self) { try SpiffeID(uri) }
    }
}

@Suite struct AddressTests {
    @Test(arguments: [
        ("127.0.0.1:8002", "127.0.0.1", 8002), (":8000", "", 8000), ("[::1]:80", "::1", 80),
        ("web.local:65535", "web.local", 65535), ("0.0.0.0:0", "0.0.0.0", 0),
        ("[2001:db8::192.0.2.1]:1", "2001:db8::192.0.2.1", 1), ("my_host:1", "my_host", 1),
    ])
    func accepts(_ text: String, host: String, port: Int) throws {
        let address = try HostPort(text)
        #expect(address.host == host)
        #expect(Int(address.port) == port)
        #expect(address.description == text)
    }

    @Test(arguments: [
        "", "8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1",
        "::1:80", "[::1]", "[::1:80", "[1.2.3.4]:80", "256.0.0.1:80", "1.2.3:80", "010.0.0.1:80",
        "a..b:80", "-a:80", "a b:80", "[1::2::3]:80", "[1:2:3:4:5:6:7]:80",
        "[1:2:3:4:5:6:7:8:9]:80", "[::12345]:80", "[:]:80", "127.0.0.1:٣",
    ])
    func refuses(_ text: String) {
        #expect(throws: MeshError.self) { try HostPort(text) }
    }

    @Test(arguments: ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::ffff:1.2.3.4"])
    func addressesOfVersion6(_ text: String) {
        #expect(IPText.isV6(text[...]))
    }

    @Test(arguments: [
        "", ":", ":::", "1:::2", ":1", "1:", "::1.2.3", "1.2.3.4::", "g::", "::1%eth0",
    ])
    func notAddressesOfVersion6(_ text: String) {
        #expect(!IPText.isV6(text[...]))
    }

    @Test func loopback() throws {
        #expect(try HostPort("127.9.9.9:1").isLoopback)
        #expect(try HostPort("localhost:1").isLoopback)
        #expect(try HostPort("[::1]:1").isLoopback)
        #expect(try !HostPort(":1").isLoopback)
        #expect(try !HostPort("127.example.com:1").isLoopback)
    }
}

@Suite struct DurationTests {
    @Test(arguments: [
        ("0", 0), ("0s", 0), ("10s", 10_000_000_000), ("500ms", 500_000_000),
        ("1h30m", 5_400_000_000_000), ("1.5s", 1_500_000_000), ("-1s", -1_000_000_000),
        ("+1s", 1_000_000_000), ("1us", 1_000), ("1µs", 1_000), ("1ns", 1), (".5s", 500_000_000),
        ("1.h", 3_600_000_000_000), ("72h0m0s", 259_200_000_000_000), ("1m0.5s", 60_500_000_000),
        ("2562047h47m16.854775807s", 9_223_372_036_854_775_807),
    ])
    func accepts(_ text: String, nanoseconds: Int) throws {
        #expect(try MeshDuration(text).nanoseconds == Int64(nanoseconds))
    }

    @Test(arguments: [
        "", "10", "s", "10 s", "1d", "1h-1m", "--1s", ".s", "1..5s", "1e3s", "10S", "٣s",
        "2562047h47m16.854775808s", "99999999999999999999h", "1s ", " 1s", "-",
    ])
    func refuses(_ text: String) {
        #expect(throws: MeshError.self) { try MeshDuration(text) }
    }

    @Test(arguments: [
        "0s", "10s", "500ms", "1h30m", "1.5s", "-1.5s", "72h", "1us", "1ns", "1.234567891s",
        "1m0.5s", "1.5ms", "2562047h47m16.854775807s",
    ])
    func printsTheShortestForm(_ text: String) throws {
        #expect(try MeshDuration(text).description == text)
    }

    @Test func roundsUpToMilliseconds() {
        #expect(MeshDuration(nanoseconds: 1).millisecondsRoundedUp == 1)
        #expect(MeshDuration.milliseconds(5).millisecondsRoundedUp == 5)
        #expect(MeshDuration.zero.millisecondsRoundedUp == 0)
        #expect(MeshDuration.seconds(2).duration == .seconds(2))
    }
}
