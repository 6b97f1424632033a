import Foundation
import MeshConfig
import MeshModel
import Testing

@Suite struct ProblemTests {
    @Test func everythingWrongIsToldAtOnceWithItsPlace() {
        let text = """
            node:
              nam: node-1
              datacenter: "dc 1"
            admin: { bind_addr: localhost, bind_addr: 127.0.0.1:1 }
            dataplane:
              workers: 257
              drain_timeout: 10
              engine: kqueue
            log: verbose
            services:
              - port: 99999
              - name: web
                port: 80
                Port: 81
                checks: [ { tcp: "a:1", interval: 5ms } ]
            config_entries:
              - { kind: service-defualts, name: web }
              - { kind: service-splitter, name: web, splits: [ { weight: 60 }, { weight: 30, service: b } ] }
            listeners:
              - name: public
                bind_addr: 127.0.0.1:80
                kind: l5
                timeouts: { head: 0s }
              - { name: raw, bind_addr: ":81", kind: l4, routes: [ { service: a, respond: {} } ] }
            srevices: []
            """
        #expect(
            places(text) == [
                "2:3 node.nam", "3:15 node.datacenter", "4:21 admin.bind_addr",
                "4:32 bind_addr", "6:12 dataplane.workers", "7:18 dataplane.drain_timeout",
                "8:11 dataplane.engine", "9:6 log", "11:5 services[0]",
                "11:11 services[0].port", "14:5 services[1].Port",
                "15:39 services[1].checks[0].interval", "17:13 config_entries[0]",
                "18:50 config_entries[1].splits", "20:5 listeners[0]",
                "22:11 listeners[0].kind", "23:23 listeners[0].timeouts.head",
                "24:5 listeners[1]", "24:54 listeners[1].routes",
                "24:56 listeners[1].routes[0]", "25:1 srevices",
            ])
    }

    @Test func messagesSayWhatToWrite() {
        let text = """
            node: { nam: a }
            server: { graceful_shutdown_timeout: 25h }
            mesh: { leaf_ttl: 30m, intentions_default: maybe }
            dataplane: { cpus: "3-1", workers: x }
            """
        #expect(
            problems(text) == [
                "c.yaml:1:9: error: node.nam: unknown key: did you mean name?",
                "c.yaml:2:38: error: server.graceful_shutdown_timeout: 25h is out of range: "
                    + "write a duration of 0s to 24h",
                "c.yaml:3:19: error: mesh.leaf_ttl: 30m is out of range: write a duration of 1h "
                    + "to 8760h",
                "c.yaml:3:44: error: mesh.intentions_default: \"maybe\" is not a choice: write one "
                    + "of allow, deny",
                "c.yaml:4:20: error: dataplane.cpus: \"3-1\" is not a list of cores: write numbers "
                    + "and ranges of 0 to 1023, each core once and 64 at most, for example 0-3,6",
                "c.yaml:4:36: error: dataplane.workers: \"x\" is not a whole number: write a whole "
                    + "number of 0 to 64",
            ])
    }

    @Test(arguments: [
        ("dataplane: { workers: 0 }", true), ("dataplane: { workers: 64 }", true),
        ("dataplane: { workers: 65 }", false), ("dataplane: { workers: -1 }", false),
        ("dataplane: { workers: 1.0 }", false), ("dataplane: { workers: [1] }", false),
        ("dataplane: { cpus: \"0-62,1023\" }", true), ("dataplane: { cpus: \"0-64\" }", false),
        ("dataplane: { cpus: \"0-1024\" }", false),
        ("dataplane: { cpus: \"1,,2\" }", false),
        ("dataplane: { cpus: \"0-1\", workers: 2 }", true),
        ("dataplane: { cpus: \"0-1\", workers: 3 }", false),
        ("dataplane: { tcp_congestion: bbr }", true),
        ("dataplane: { tcp_congestion: \"b b\" }", false),
        ("dataplane: { drain_timeout: 0s }", true), ("dataplane: { drain_timeout: 24h }", true),
        ("dataplane: { drain_timeout: 24h1ns }", false),
        ("dataplane: { drain_timeout: -1s }", false),
        ("mesh: { leaf_ttl: 1h }", true), ("mesh: { leaf_ttl: 59m }", false),
        ("mesh: { leaf_ttl: 0s }", false), ("mesh: { trust_domain: a.b }", true),
        ("mesh: { trust_domain: a/b }", false),
        ("mesh: { sidecar_min_port: 1, sidecar_max_port: 1 }", true),
        ("mesh: { sidecar_min_port: 2, sidecar_max_port: 1 }", false),
        ("mesh: { sidecar_min_port: 0 }", false), ("mesh: { sidecar_max_port: 65536 }", false),
        ("log: { level: WARN }", true), ("log: { level: warning }", false),
        ("log: { subsystems: store }", false), ("node: { address: a.b }", true),
        ("node: { address: 1.2.3 }", false), ("node: { address: \"\" }", false),
        ("node: { meta: [a] }", false), ("node: { meta: { a: [b] } }", false),
        ("node: [a]", false), ("- a", false), ("just text", false),
        ("admin: { bind_addr: \"\" }", true), ("admin: { bind_addr: \"\", socket: \"\" }", false),
        ("store: { driver: etcd }", false),
        ("store: { path: /a/b, key_file: /a/c }", false),
        ("store: { path: /a/b, key_file: /d/c }", true),
        ("store: { path: /a/b, key_file: /a/keys/c }", false),
        ("store: { path: /a/b, key_file: /a/keys/../c }", false),
        ("store: { path: /a/b, key_file: /d/../a/./c }", false),
        ("store: { path: /a/../d/b, key_file: /d/c }", false),
        ("store: { path: /a/b, key_file: /a/../d/c }", true),
        ("store: { path: /a/b, key_file: /ab/c }", true),
        ("store: { path: /b, key_file: /c }", false),
        ("store: { path: /b, key_file: /d/c }", true),
        ("services: { name: a }", false), ("services: [ { name: \"\" } ]", false),
        ("services: [ { name: a, connect: { native: true } } ]", true),
        ("services: [ { name: a, connect: { sidecar_service: [] } } ]", false),
        ("services: [ { name: a, proxy: { destination_service_name: b } } ]", false),
        ("services: [ { name: a, check: { ttl: 1s }, checks: [ { ttl: 1s } ] } ]", false),
        ("config_entries: [ { name: a } ]", false), ("config_entries: [ a ]", false),
        ("config_entries: [ { kind: proxy-defaults, name: other } ]", false),
        ("config_entries: [ { kind: proxy-defaults, name: global } ]", true),
        (
            "config_entries: [ { kind: service-intentions, name: a, sources: [ { name: b, action: allow, namespace: x } ] } ]",
            false
        ),
        (
            "config_entries: [ { kind: service-intentions, name: a, sources: [ { name: b, action: allow } ], jwt: { providers: [ { name: o } ] } } ]",
            true
        ),
        (
            "config_entries: [ { kind: service-intentions, name: a, sources: [ { name: b, action: allow } ], jwt: { providers: [] } } ]",
            false
        ),
        ("config_entries: [ { kind: jwt-provider, name: a } ]", false),
        (
            "config_entries: [ { kind: jwt-provider, name: a, json_web_key_set: { remote: { uri: \"https://a/k\" } } } ]",
            true
        ),
        (
            "config_entries: [ { kind: jwt-provider, name: a, json_web_key_set: { remote: { uri: k } } } ]",
            false
        ),
        (
            "config_entries: [ { kind: service-router, name: a, routes: [ { match: { http: { path_exact: /a, path_prefix: /b } } } ] } ]",
            false
        ),
        (
            "config_entries: [ { kind: service-router, name: a, routes: [ { match: { http: { header: [ { name: x, invert: true } ] } } } ] } ]",
            false
        ),
        (
            "config_entries: [ { kind: ingress-gateway, name: a, listeners: [ { port: 1, services: [ { name: b } ] } ] } ]",
            true
        ),
        ("config_entries: [ { kind: ingress-gateway, name: a } ]", false),
        (
            "config_entries: [ { kind: ingress-gateway, name: a, listeners: [ { port: 1, services: [ { name: b, hosts: [c.test] } ] } ] } ]",
            false
        ),
        (
            "config_entries: [ { kind: ingress-gateway, name: a, tls: { tls_min_version: TLSv1_1 }, listeners: [] } ]",
            false
        ),
        (
            "config_entries: [ { kind: terminating-gateway, name: a, services: [ { name: b, ca_file: /c, sni: d } ] } ]",
            true
        ),
        (
            "config_entries: [ { kind: terminating-gateway, name: a, services: [ { name: b, sni: d } ] } ]",
            false
        ),
        ("listeners: [ { name: a, bind_addr: \":1\", kind: l7, service: web } ]", true),
        ("listeners: [ { name: a, bind_addr: \":1\", kind: l7 } ]", false),
        ("listeners: [ { name: a, bind_addr: \":1\", kind: l4, service: b, tls: {} } ]", false),
        (
            "listeners: [ { name: a, bind_addr: \":1\", kind: l4, service: b, tls: { cert: c } } ]",
            false
        ),
        (
            "listeners: [ { name: a, bind_addr: \":1\", kind: l4, service: b, tls: { certs_dir: d, client_ca: c, client_verify: request } } ]",
            true
        ),
        (
            "listeners: [ { name: a, bind_addr: \":1\", kind: l4, sni: [ { host: \"*.b.c\", service: d } ] } ]",
            true
        ),
        ("listeners: [ { name: a, bind_addr: \":1\", kind: l4, sni: [ { host: b.c } ] } ]", false),
    ])
    func oneCaseInsideOneOutside(_ text: String, isSound: Bool) {
        let found = problems(text)
        #expect(found.isEmpty == isSound, "\(found)")
    }

    @Test func oneMistakeIsToldOnce() {
        // A bad interval must not also read as a missing one, nor a bad kind as a missing service.
        #expect(
            places(
                """
                services:
                  - { name: web, port: 1, check: { tcp: "a:1", interval: soon } }
                  - { name: "a b", port: 1 }
                  - { name: "c d", port: 1 }
                listeners:
                  - { name: a, bind_addr: ":x", kind: l7, service: web }
                  - { name: a, bind_addr: ":x", kind: l7, service: web }
                """) == [
                    "2:58 services[0].check.interval", "3:13 services[1].name",
                    "4:13 services[2].name",
                    "6:27 listeners[0].bind_addr", "7:27 listeners[1].bind_addr",
                ])
    }

    @Test func namesAndAddressesGivenTwice() {
        #expect(
            places(
                """
                admin: { bind_addr: 127.0.0.1:8500 }
                api: { bind_addr: ":8500" }
                services:
                  - { name: web, port: 1 }
                  - { name: web, port: 2 }
                  - { name: web, id: w2, port: 1, connect: { sidecar_service: { id: web } } }
                  - { name: up, port: 1, connect: { sidecar_service: { proxy: { upstreams: [
                      { destination_name: web, local_bind_port: 7000 } ] } } } }
                config_entries:
                  - { kind: service-defaults, name: web }
                  - { kind: service-defaults, name: WEB }
                listeners:
                  - { name: a, bind_addr: "127.0.0.1:7000", kind: l4, service: web }
                  - { name: a, bind_addr: "127.0.0.2:7000", kind: l4, service: web }
                  - { name: b, bind_addr: "0.0.0.0:7000", kind: l4, service: web }
                  - { name: c, bind_addr: "0.0.0.0:0", kind: l4, service: web }
                  - { name: d, bind_addr: "0.0.0.0:0", kind: l4, service: web }
                """) == [
                    "2:19 api.bind_addr", "5:5 services", "6:5 services", "7:5 services",
                    "11:5 config_entries", "14:5 listeners",
                    "15:27 listeners[2].bind_addr",
                ])
    }

    @Test func aCertificateOfTheAPINeedsItsKey() {
        #expect(places("api: { tls: { cert: a.crt } }") == ["1:13 api.tls"])
        #expect(places("api: { tls: { key: a.key } }") == ["1:13 api.tls"])
        #expect(places("api: { tls: { client_ca: a.crt } }") == ["1:13 api.tls"])
        #expect(places("api: { tls: { cert: a.crt, key: a.key, client_ca: b.crt } }") == [])
    }

    @Test func pathsAreLookedForOnlyWhenAsked() {
        let text = """
            services_dir: /nowhere/services
            listeners:
              - { name: a, bind_addr: ":1", kind: l4, service: b,
                  tls: { cert: missing.crt, key: / } }
            """
        #expect(problems(text).isEmpty)
        let found = problems(
            text, loader: ConfigLoader(hostName: "h", folder: "/nowhere", checksFiles: true))
        #expect(
            found == [
                "c.yaml:1:15: error: services_dir: cannot open /nowhere/services: No such file or "
                    + "directory; create the folder or name another",
                "c.yaml:4:20: error: listeners[0].tls.cert: cannot read /nowhere/missing.crt: No "
                    + "such file or directory; name an existing file",
                "c.yaml:4:38: error: listeners[0].tls.key: / is a folder: name a file",
            ])
    }

    @Test func socketPathsFitTheKernel() {
        let longest = "/" + String(repeating: "a", count: 106)
        #expect(problems("admin: { socket: \(longest) }").isEmpty)
        #expect(places("admin: { socket: \(longest)a }") == ["1:18 admin.socket"])
    }

    @Test func certificatesBySDSAreRefusedWithWhatToWrite() {
        let found = problems(
            "config_entries: [ { kind: ingress-gateway, name: edge, tls: { enabled: true, sds: "
                + "{ cluster_name: c } }, listeners: [] } ]")
        #expect(found.contains { $0.contains("tls.sds") && $0.contains("write certs:") })
    }

    @Test func carriedKindsWarn() throws {
        var found = problems("config_entries: [ { kind: http-route, name: a, rules: [ 1 ] } ]")
        #expect(found.count == 1 && found[0].contains("warning") && found[0].contains("not acted"))
        found = problems("config_entries: [ { kind: mesh, name: mesh, tls: { x: 1 } } ]")
        #expect(found.count == 1 && found[0].contains("warning"))
        #expect(found[0].contains("mesh_destinations_only is acted on"))
    }

    @Test func noiseIsBounded() {
        let text = "node:\n" + (0..<2000).map { "  bad\($0): 1\n" }.joined()
        let found = problems(text)
        #expect(found.count == 501)
        #expect(found.last == "error: and 1500 more: correct these first")
    }

    @Test func aKeyThatALinkLeadsBesideTheDatabaseIsSeen() throws {
        let folder = FileManager.default.temporaryDirectory.appending(
            path: "ringmesh-test-\(UUID())")
        defer { try? FileManager.default.removeItem(at: folder) }
        for name in ["state/keys", "keys"] {
            try FileManager.default.createDirectory(
                at: folder.appending(path: name), withIntermediateDirectories: true)
        }
        func link(_ name: String, to target: String) throws {
            try FileManager.default.createSymbolicLink(
                atPath: folder.appending(path: name).path(), withDestinationPath: target)
        }
        try link("secrets", to: "state/keys")
        try link("data", to: "state")
        try link("elsewhere", to: "keys")
        func isRefused(_ path: String, _ key: String) -> Bool {
            let base = folder.path()
            let text = "store: { path: \"\(base)/\(path)\", key_file: \"\(base)/\(key)\" }"
            return problems(text).contains { $0.contains("in the database's folder") }
        }
        #expect(isRefused("state/state.db", "secrets/store.key"))
        #expect(isRefused("data/state.db", "state/store.key"))
        #expect(isRefused("data/new/state.db", "state/new/deeper/store.key"))
        #expect(isRefused("data/state.db", "elsewhere/../state/keys/store.key"))
        #expect(!isRefused("state/state.db", "elsewhere/store.key"))
        #expect(!isRefused("data/new/state.db", "state/keys/store.key"))
        #expect(!isRefused("data/state.db", "secrets/../../keys/store.key"))
    }
}
