import Foundation
import MeshConfig
import MeshModel
import Testing

@Suite struct ConfigurationTests {
    @Test func theHandbooksExampleParsesAsPrinted() throws {
        let loaded = try textLoader.load(text: designExample, source: "/etc/r/c.yaml")
        let config = loaded.configuration
        #expect(loaded.warnings.isEmpty)
        #expect(config.node.name.text == "node-1")
        #expect(config.node.meta == ["site": "paris"])
        #expect(config.admin.bindAddr == (try HostPort("127.0.0.1:8002")))
        #expect(config.api.bindAddr?.port == 8500)
        #expect(config.api.socket == nil)
        #expect(config.api.tls == nil)
        #expect(config.store.keyFile == "/etc/ringmesh/store.key")
        #expect(config.dataplane.workers == 1)
        #expect(config.dataplane.cores == [1])
        #expect(config.mesh.trustDomain == nil)
        #expect(config.mesh.intentionsDefault == .deny)

        let web = config.services[0].value
        #expect(web.port == 18000)
        #expect(web.meta == ["version": "1"])
        #expect(web.checks[0].interval == .seconds(2))
        #expect(web.checks[0].kind == .http)
        #expect(config.services[0].location.description == "/etc/r/c.yaml:9:5")
        let api = config.services[1].value
        let upstream = try #require(api.connect.sidecarService?.proxy.upstreams.first)
        #expect(upstream.destinationName == web.name)
        #expect(upstream.localBind == "127.0.0.1:9191")

        guard case .serviceDefaults(let defaults) = config.configEntries[0].value,
            case .serviceIntentions(let intentions) = config.configEntries[1].value
        else { throw MeshError(.invalid, "the entries have other kinds") }
        #expect(defaults.serviceProtocol == .http)
        #expect(intentions.intentions(origin: config.configEntries[1].origin)[0].precedence == 9)

        let listeners = config.listeners.map(\.value)
        #expect(listeners.map(\.name) == ["public", "public-tls", "raw"])
        #expect(listeners[0].timeouts == ListenerDefinition.Timeouts())
        #expect(listeners[1].tls?.certs.map(\.cert) == ["/etc/r/server.crt"])
        #expect(listeners[1].tls?.alpn == ["h2", "http/1.1"])
        #expect(listeners[1].routes[0].action == .respond(.init(status: 403)))
        #expect(listeners[1].routes[1].http.path == .prefix("/api"))
        #expect(listeners[1].routes[2].action == .redirect(.init(host: "www.example.com")))
        #expect(listeners[2].kind == .l4)
    }

    @Test(arguments: ["", "\n", "# nothing\n", "---\n", "{}", "~", "\u{feff}"])
    func anEmptyFileIsAllDefaults(_ text: String) throws {
        let config = try load(text)
        #expect(config.node.name.text == "host-1")
        #expect(config.node.datacenter.text == "dc1")
        #expect(config.admin.bindAddr?.description == "127.0.0.1:8002")
        #expect(config.dataplane.workers == nil)
        #expect(config.dataplane.managed)
        #expect(config.dataplane.engine == .auto)
        #expect(config.mesh.leafTTL == .hours(72))
        #expect(config.mesh.sidecarPorts == 21000...21255)
        #expect(config.server.gracefulShutdownTimeout == .seconds(60))
        #expect(config.log.level == .info)
        #expect(config.services.isEmpty && config.listeners.isEmpty)
    }

    @Test func keysOfBothSpellingsAreOne() throws {
        let config = try load(
            """
            Services:
              - { Name: web, Port: 1, Check: { TCP: "a:1", Interval: 1000000000 },
                  Connect: { SidecarService: { Proxy: { Upstreams: [
                    { DestinationName: db, LocalBindPort: 9191,
                      Config: { connect_timeout_ms: 3000 } } ] } } } }
            ConfigEntries:
              - { Kind: service-resolver, Name: web, ConnectTimeout: 3s, DefaultSubset: a,
                  Subsets: { a: { OnlyPassing: true } } }
            """)
        let web = config.services[0].value
        #expect(web.checks[0].interval == .seconds(1))
        let upstream = web.connect.sidecarService?.proxy.upstreams[0]
        #expect(upstream?.options.connectTimeout == .seconds(3))
        guard case .serviceResolver(let resolver) = config.configEntries[0].value else {
            throw MeshError(.invalid, "another kind")
        }
        #expect(resolver.subsets["a"]?.onlyPassing == true)
        #expect(resolver.connectTimeout == .seconds(3))
    }

    @Test func scalarsAreReadByTheirKey() throws {
        let config = try load(
            """
            node: { name: no, meta: { country: no, version: 1.10, empty: , quoted: "null" } }
            dataplane: { managed: no, cpus: 1 }
            """)
        #expect(config.node.name.text == "no")
        #expect(
            config.node.meta
                == ["country": "no", "version": "1.10", "empty": "", "quoted": "null"])
        #expect(!config.dataplane.managed)
        #expect(config.dataplane.cpus == "1")
    }

    @Test func nullIsAsIfTheKeyWereAbsent() throws {
        let config = try load("admin: ~\nlog: { level: null, subsystems: }\nservices:\n")
        #expect(config.log.level == .info)
        #expect(config.admin.socket == "/run/ringmesh/admin.sock")
    }

    @Test func anchorsAndMergesWork() throws {
        let config = try load(
            """
            services:
              - &base { name: web, port: 80, tags: [a] }
              - { <<: *base, name: api, id: api-1 }
            """)
        #expect(config.services[1].value.port == 80)
        #expect(config.services[1].value.name.text == "api")
        #expect(config.services[1].value.tags == ["a"])
    }

    @Test func theEffectiveConfigurationReadsBackTheSame() throws {
        let text = try everything()
        let first = try load(text)
        let printed = first.rendered()
        let second = try load(printed)
        #expect(second.rendered() == printed)
        #expect(second.node == first.node)
        #expect(second.admin == first.admin)
        #expect(second.store == first.store)
        #expect(second.dataplane == first.dataplane)
        #expect(second.mesh == first.mesh)
        #expect(second.log == first.log)
        #expect(second.services.map(\.value) == first.services.map(\.value))
        #expect(placeless(second.configEntries) == placeless(first.configEntries))
        #expect(placeless(second.listeners) == placeless(first.listeners))
    }

    /// Entries without the places of their routes.
    private func placeless(_ entries: [Owned<ConfigEntry>]) -> [ConfigEntry] {
        entries.map(\.value).map { entry in
            guard case .serviceRouter(var router) = entry else { return entry }
            for index in router.routes.indices { router.routes[index].location = nil }
            return .serviceRouter(router)
        }
    }

    private func placeless(_ listeners: [Owned<ListenerDefinition>]) -> [ListenerDefinition] {
        listeners.map(\.value).map { listener in
            var listener = listener
            for index in listener.routes.indices { listener.routes[index].location = nil }
            return listener
        }
    }

    @Test func routesKnowWhereTheyStand() throws {
        let config = try load(
            """
            listeners:
              - name: public
                bind_addr: 127.0.0.1:1
                kind: l7
                routes:
                  - { respond: { status: 204 } }
                  - match: { path_prefix: /a }
                    respond: { status: 403 }
            config_entries:
              - kind: service-router
                name: web
                routes:
                  - match: { http: { path_prefix: /b } }
            """)
        let places = config.listeners[0].value.routes.map(\.location)
        #expect(places.map { $0?.line } == [6, 7])
        #expect(places.map { $0?.column } == [9, 9])
        guard case .serviceRouter(let router) = config.configEntries[0].value else {
            Issue.record("the entry is no router")
            return
        }
        #expect(router.routes.map { $0.location?.line } == [13])
        let stored = try JSONDecoder().decode(
            ServiceRouter.self, from: JSONEncoder().encode(router))
        #expect(stored.routes.map(\.location) == [nil])
    }

    @Test func secretsAreNotPrinted() throws {
        let config = try load(
            """
            services:
              - name: web
                port: 80
                check: { http: "http://u:hunter2@h:1/x", interval: 1s,
                         header: { Authorization: [Bearer hunter2], X-Plain: [seen] } }
                connect: { sidecar_service: { proxy: { config: {
                  nested: [ { api_token: hunter2 } ], note: seen } } } }
            config_entries:
              - { kind: inline-certificate, name: okta, ClientSecret: hunter2 }
            listeners:
              - { name: a, bind_addr: ":1", kind: l7,
                  routes: [ { respond: { headers: { Authorization: hunter2 } } } ] }
            """)
        let printed = config.rendered()
        #expect(!printed.contains("hunter2"))
        #expect(printed.ranges(of: "***").count == 5)
        #expect(printed.ranges(of: "seen").count == 2)
        #expect(printed.contains("http://***@h:1/x"))
    }

    private static let others = """
          - { kind: proxy-defaults, name: global, config: { protocol: http, n: 1.5, s: "1" },
              failover_policy: { mode: sequential, regions: [eu] } }
          - { kind: mesh, name: mesh, HTTP: { A: [1, true, null, "true"] } }
          - kind: ingress-gateway
            name: full
            tls: { enabled: true, tls_min_version: TLSv1_3, tls_max_version: TLSv1_3 }
            listeners:
              - port: 8443
                protocol: http2
                services: [ { name: "*" }, { name: api, hosts: [a.test, "*.b.test"],
                  request_headers: { add: { a: b } }, response_headers: { remove: [c] },
                  max_connections: 1, max_pending_requests: 2,
                  max_concurrent_requests: 3 } ]
                tls: { enabled: true, certs: [ { cert: /a.pem, key: /b.pem } ] }
              - { port: 5432, services: [ { name: db } ] }
            defaults: { max_connections: 9 }
          - kind: terminating-gateway
            name: full
            services: [ { name: "*" }, { name: x, ca_file: /c.pem, cert_file: /d.pem,
              key_file: /e.pem, sni: x.test } ]

        """

    /// The example with an entry of every kind and values that need quoting.
    private func everything() throws -> String {
        designExample.replacing(
            "config_entries:   ",
            with: """
                services_dir: services
                log: { level: debug, subsystems: [store, "a: b"] }
                config_entries:
                  - kind: service-defaults
                    name: full
                    protocol: grpc
                    mesh_gateway: { mode: local }
                    external_sni: db.example.com
                    transparent_proxy: { dialed_directly: true }
                    max_inbound_connections: 5
                    max_connection_lifetime: 1h
                    local_connect_timeout_ms: 7
                    upstream_config:
                      defaults: { connect_timeout_ms: 5, limits: { max_connections: 3 } }
                      overrides:
                        - { name: db, passive_health_check: { interval: 1s, max_failures: 2 } }
                    meta: { "a: b": "*x", multi: "l1\\nl2\\t\\u0085" }
                  - kind: service-router
                    name: full
                    routes:
                      - match: {http: {path_regex: "/v[0-9]+", case_insensitive: true, methods:
                          [get], header: [ {name: x, suffix: "1", invert: true}, {name: y, contains:
                          z, ignore_case: true} ], query_param: [ {name: q, exact: "#1"} ]}}
                        destination: { service: api, service_subset: v1, request_timeout: 1500ms,
                          num_retries: 3, retry_on: [5xx], retry_on_status_codes: [503], try_timeout:
                          2s, retry_backoff: 10ms, retry_backoff_max: 1s, idle_timeout: 1m,
                          retry_non_idempotent: true, retry_body_bytes: 7, max_request_bytes: 9,
                          max_header_bytes: 8, rate_limits: [ { requests_per_second: 9,
                          requests_max_burst: 2 } ], mirror: { service: shadow, percent: 2.5 },
                          request_headers: { add: { a: b }, set: { c: d }, remove: [e] } }
                  - { kind: service-splitter, name: full, splits: [ { weight: 0.5 },
                      { weight: 99.5, service: api } ] }
                  - kind: service-resolver
                    name: full
                    default_subset: v1
                    subsets: { v1: { filter: "Service.Meta.version == \\"1\\"" }, v2: {} }
                    failover: { "*": { datacenters: [dc2] }, v2: { targets: [ { service: x } ] } }
                    request_timeout: 30s
                    limits: { max_connections: 1, max_pending_requests: 2,
                      max_concurrent_requests: 3, max_retries: 4 }
                    passive_health_check: { interval: 1s, max_failures: 2,
                      max_gateway_failures: 3, enforcing_consecutive_5xx: 50,
                      max_ejection_percent: 20, base_ejection_time: 2s, max_ejection_time: 9s }
                    load_balancer: { policy: ring_hash, ring_hash_config: { minimum_ring_size: 8 },
                      hash_policies: [ { field: cookie, field_value: c,
                        cookie_config: { ttl: 1h, path: / }, terminal: true },
                        { source_ip: true } ] }
                  - kind: service-intentions
                    name: full
                    sources:
                      - { name: "*", description: "nobody: really", permissions: [ { action: deny,
                          http: { path_exact: /x, header: [ { name: h, present: true } ] } } ] }
                """ + "\n#"
        ).replacing(
            "  - { kind: service-splitter", with: Self.others + "  - { kind: service-splitter")
    }
}
