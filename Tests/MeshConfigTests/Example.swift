import MeshConfig
import MeshModel

/// The configuration that the handbook prints; benchmarks and integration tests use it too.
let designExample = """
    node:      { name: node-1, datacenter: dc1, meta: { site: paris } }
    admin:     { bind_addr: 127.0.0.1:8002, socket: /run/ringmesh/admin.sock }
    api:       { bind_addr: 127.0.0.1:8500 }                 # Consul-compatible
    store:     { driver: sqlite, path: /var/lib/ringmesh/state.db, key_file: /etc/ringmesh/store.key }
    dataplane: { workers: 1, cpus: "1", control_socket: /run/ringmesh/control.sock, tcp_congestion: "" }
    mesh:      { trust_domain: "", intentions_default: deny }  # "" = generated once and kept

    services:                                                # Consul's service shape, snake_case or CamelCase
      - { name: web, address: 127.0.0.1, port: 18000, tags: [v1], meta: { version: "1" },
          checks: [ { http: "http://127.0.0.1:18000/health", interval: 2s, timeout: 1s } ] }
      - name: api
        port: 18001
        connect:
          sidecar_service:
            proxy: { upstreams: [ { destination_name: web, local_bind_port: 9191 } ] }

    config_entries:                                          # Consul's config-entry shape
      - { kind: service-defaults, name: web, protocol: http }
      - { kind: service-intentions, name: web, sources: [ { name: api, action: allow } ] }

    listeners:                                               # plain entry points (no mesh needed)
      - name: public
        bind_addr: 127.0.0.1:18500
        kind: l7                                             # l7 | l4
        service: web                                         # default target, through its discovery chain
        timeouts: { head: 10s, idle: 60s, request: 0s }      # read of a request head; idle keep-alive; whole request (0 = none, the default)
      - name: public-tls
        bind_addr: 127.0.0.1:18501
        kind: l7
        tls: { cert: server.crt, key: server.key, client_ca: "", min_version: "1.3", alpn: [h2, http/1.1] }
        routes:                                              # first match wins
          - { match: { host: "*.example.com", path_prefix: /admin }, respond: { status: 403 } }
          - { match: { host: "*.example.com", path_prefix: /api }, service: web }
          - { match: { host: old.example.com }, redirect: { host: www.example.com, status: 308 } }
      - { name: raw, bind_addr: 127.0.0.1:18502, kind: l4, service: web }

    """

/// A loader that looks at no files, for texts that name some.
let textLoader = ConfigLoader(hostName: "host-1", folder: "/work", checksFiles: false)

/// The configuration of a text that must be sound.
func load(
    _ text: String, _ arguments: [String] = [], environment: [String: String]? = nil
) throws -> Configuration {
    try textLoader.load(
        text: text, source: "/etc/r/c.yaml", arguments: arguments, environment: environment
    ).configuration
}

/// The printed problems of a text, warnings among them; empty when it is sound without any.
func problems(
    _ text: String, _ arguments: [String] = [], environment: [String: String]? = nil,
    loader: ConfigLoader = textLoader
) -> [String] {
    do {
        return try loader.load(
            text: text, source: "c.yaml", arguments: arguments, environment: environment
        ).warnings.map(\.description)
    } catch let failure as ConfigProblems {
        return failure.problems.map(\.description)
    } catch {
        return ["unexpected: \(error)"]
    }
}

/// The places and keys of the problems: `3:5 listeners[0].kind`.
func places(_ text: String, _ arguments: [String] = []) -> [String] {
    do {
        return try textLoader.load(text: text, source: "c.yaml", arguments: arguments).warnings.map(
            place)
    } catch let failure as ConfigProblems {
        return failure.problems.map(place)
    } catch {
        return ["unexpected: \(error)"]
    }
}

private func place(_ problem: Problem) -> String {
    let location = problem.location.map { "\($0.line):\($0.column)" } ?? "-"
    return problem.key.isEmpty ? location : "\(location) \(problem.key)"
}
