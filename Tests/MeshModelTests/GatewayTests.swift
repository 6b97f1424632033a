import MeshModel
import Testing

@Suite struct GatewayTests {
    private typealias Services = [(name: String, hosts: [String])]

    private func ingress(_ services: Services, tls: Bool = false) throws -> IngressGateway {
        try ingress(8080, .http, services, tls: tls)
    }

    private func ingress(
        _ port: UInt16, _ spoken: ServiceProtocol, _ services: Services, tls: Bool = false
    ) throws -> IngressGateway {
        IngressGateway(
            name: try ServiceName("edge"), tls: .init(enabled: tls),
            listeners: [
                .init(
                    port: port, serviceProtocol: spoken,
                    services: try services.map {
                        .init(name: try NamePattern($0.name), hosts: $0.hosts)
                    })
            ])
    }

    private func paths(_ value: some Validated) -> [String] {
        value.problems().map { $0.path.dotted }
    }

    @Test func whatConsulTakesIsSound() throws {
        #expect(try paths(ingress([("web", ["a.test", "*.b.test"]), ("api", [])])) == [])
        #expect(try paths(ingress([("*", [])])) == [])
        #expect(try paths(ingress(5432, .tcp, [("db", [])])) == [])
        #expect(try paths(ingress([("web", ["*"])])) == [])
    }

    @Test func everyRuleNamesItsPlace() throws {
        let first = "listeners[0].services"
        #expect(try paths(ingress([])) == [first])
        #expect(try paths(ingress(0, .http, [("web", [])])) == ["listeners[0].port"])
        #expect(try paths(ingress(1, .tcp, [("a", []), ("b", [])])) == [first])
        #expect(try paths(ingress(1, .tcp, [("a", ["a.test"])])) == ["\(first)[0].hosts"])
        #expect(try paths(ingress(1, .tcp, [("*", [])])) == ["\(first)[0].name"])
        #expect(try paths(ingress([("*", ["a.test"])])) == ["\(first)[0].hosts"])
        #expect(try paths(ingress([("a", []), ("A", [])])) == ["\(first)[1].name"])
        #expect(
            try paths(ingress([("a", ["x.test"]), ("b", ["X.test"])]))
                == ["\(first)[1].hosts[0]"])
        for host in ["", "a..b", "a.*.test", "*a.test", "-a.test", "a b"] {
            #expect(
                try paths(ingress([("a", [host])])) == ["\(first)[0].hosts[0]"], "host \(host)")
        }
        #expect(try paths(ingress([("a", ["*"])], tls: true)) == ["\(first)[0].hosts[0]"])
    }

    @Test func aPortIsDeclaredOnce() throws {
        var gateway = try ingress([("web", [])])
        gateway.listeners += gateway.listeners
        #expect(
            gateway.problems().map(\.message) == ["port 8080 declared on two listeners"])
    }

    @Test func aListenerMayHaveTLSOfItsOwn() throws {
        var gateway = try ingress([("web", [])], tls: true)
        #expect(gateway.tls(of: gateway.listeners[0]) != nil)
        gateway.listeners[0].tls = .init(enabled: false)
        #expect(gateway.tls(of: gateway.listeners[0]) == nil)
        gateway.listeners[0].tls = .init(enabled: true, minVersion: .v13, maxVersion: .v12)
        #expect(paths(gateway) == ["listeners[0].tls.tls_max_version"])
        gateway.listeners[0].tls = .init(certs: [.init(cert: "/a", key: "/b")])
        #expect(paths(gateway) == ["listeners[0].tls.certs"])
    }

    @Test func theExactNameDecidesWhatIsSaidOfAService() throws {
        let gateway = TerminatingGateway(
            name: try ServiceName("exit"),
            services: [
                .init(name: .any, caFile: "/all"),
                .init(name: try NamePattern("db"), caFile: "/db"),
            ])
        #expect(gateway.service(try ServiceName("DB"))?.caFile == "/db")
        #expect(gateway.service(try ServiceName("other"))?.caFile == "/all")
    }

    @Test func filesOfATerminatingGatewayGoTogether() throws {
        func paths(_ change: (inout TerminatingGateway.Service) -> Void) throws -> [String] {
            var service = TerminatingGateway.Service(name: try NamePattern("db"))
            change(&service)
            return self.paths(
                TerminatingGateway(name: try ServiceName("exit"), services: [service]))
        }
        #expect(try paths { $0.caFile = "/ca" } == [])
        #expect(try paths { $0.certFile = "/cert" } == ["services[0]"])
        #expect(
            try paths {
                $0.certFile = "/cert"
                $0.keyFile = "/key"
            } == ["services[0]"])
        #expect(try paths { $0.sni = "db.test" } == ["services[0].sni"])
    }
}
