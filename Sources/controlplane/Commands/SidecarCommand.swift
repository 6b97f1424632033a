import ArgumentParser
import Foundation
import MeshConfig
import MeshModel
import MeshSidecar

/// `controlplane sidecar`: the data plane as the sidecar of a service that a Consul agent knows.
struct SidecarCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sidecar",
        abstract: "Runs a sidecar proxy for a service of a Consul agent.",
        usage: """
            controlplane sidecar --sidecar-for SERVICE [options] [--KEY VALUE ...]
            controlplane sidecar --proxy-id ID [options] [--KEY VALUE ...]
            controlplane sidecar --service NAME [--service-addr HOST:PORT --listen HOST:PORT]
                                 [--upstream NAME[.service|.query]:[ADDRESS:]PORT ...] [options]
            """,
        discussion: """
            Takes the place of `consul connect proxy`. The agent is asked over its HTTP API for \
            the proxy's registration, certificates, roots, intentions, discovery chains and \
            instances; questions block, so that a change is known at once, and nothing is asked \
            because of a connection. While the agent is away, traffic goes on with what is known.

            Register the service with the agent first, for example:

              curl -X PUT http://127.0.0.1:8500/v1/agent/service/register -d '{
                "Name": "web", "Port": 8080, "Connect": { "SidecarService": { "Proxy": {
                  "Upstreams": [{ "DestinationName": "db", "LocalBindPort": 9191 }] } } } }'
              controlplane sidecar --sidecar-for web

            `meshctl status` with RINGMESH_ADDR=unix://STATE/admin.sock says how it is. \
            The token needs service:write on the service, service:read and node:read on those that \
            it calls.

            Options are taken from these variables too: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, \
            CONSUL_HTTP_TOKEN_FILE, CONSUL_HTTP_SSL, CONSUL_HTTP_SSL_VERIFY, CONSUL_HTTP_AUTH, \
            CONSUL_CACERT, CONSUL_CAPATH, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY, \
            CONSUL_TLS_SERVER_NAME, CONNECT_PROXY_ID, CONNECT_PROXY_TOKEN, CONNECT_SIDECAR_FOR, \
            CONSUL_PROXY_ID, CONSUL_PROXY_TOKEN. Every option may begin with one dash. Keys of the \
            node's configuration are flags here as well: --dataplane.workers 2, --log.level debug.
            """)

    @Option(
        "sidecar-for", "The service, by its id or its name, whose registered sidecar this is.",
        "service")
    var sidecarFor: String?

    @Option("proxy-id", "The id of the registered proxy that this is.", "id")
    var proxyID: String?

    @Option(
        "service", "Without a registered proxy: the service whose identity is used.", "name")
    var service: String?

    @Option("service-addr", "With --service: where the application listens.", "host:port")
    var serviceAddress: String?

    @Option("listen", "With --service: where the mesh reaches the application.", "host:port")
    var listen: String?

    @Option(
        name: .oneDashToo("upstream"),
        help: ArgumentHelp(
            "With --service: a service or prepared query, and where it is reached locally; "
                + "repeated for several.", valueName: "name:[address:]port"))
    var upstreams: [String] = []

    @Flag(
        name: .oneDashToo("register"),
        help: "With --service and --listen: tells the agent of the proxy while it runs.")
    var registers = false

    @Option(
        "register-id",
        "With --register: what the proxy's id ends with, for several of one service.", "suffix")
    var idSuffix: String?

    @Flag(
        name: .oneDashToo("l4"),
        help: "Everything is passed on as bytes, whatever protocol services are said to speak.")
    var isL4 = false

    @Option(
        "http-addr",
        "The agent: host:port, http://…, https://… or unix:///path. Default 127.0.0.1:8500.",
        "address")
    var httpAddress: String?

    @Option("token", "The ACL token for the agent.", "token")
    var token: String?

    @Option("token-file", "A file with the token, read for every request.", "file")
    var tokenFile: String?

    @Option("ca-file", "Roots of the agent's certificate, PEM.", "file")
    var rootsFile: String?

    @Option("client-cert", "Certificate for the agent, PEM.", "file")
    var clientCertificate: String?

    @Option("client-key", "Its key, PEM.", "file")
    var clientKey: String?

    @Option("tls-server-name", "The name in the agent's certificate.", "name")
    var tlsServerName: String?

    @Option(
        "state-dir",
        "State, keys and sockets of this sidecar. Default /var/lib/ringmesh/sidecar-NAME, for "
            + "others than root ~/.local/state/ringmesh/sidecar-NAME.", "folder")
    var stateFolder: String?

    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp("Flags of configuration keys.", valueName: "flags"))
    var flags: [String] = []

    func run() async throws {
        do {
            let environment = ProcessInfo.processInfo.environment
            let role = try role(environment)
            let folder = stateFolder ?? StateFolder.standard(role.wanted.name, environment)
            try await Node.run(
                ConfigurationSource(
                    arguments: flags, environment: environment,
                    defaults: StateFolder.defaults(folder)),
                sidecar: role)
        } catch let error as MeshError where error.code == .invalid {
            Failure.write("controlplane: \(error)")
            throw ExitStatus.usage.code
        } catch {
            throw Failure.report(error)
        }
    }

    /// What the options and the environment ask for.
    func role(_ environment: [String: String]) throws -> SidecarRole {
        let agent = try AgentSettings(
            AgentSettings.Flags(
                address: httpAddress, token: token, tokenFile: tokenFile, rootsFile: rootsFile,
                clientCertificate: clientCertificate, clientKey: clientKey,
                tlsServerName: tlsServerName), environment: environment)
        let wanted = try SidecarOptions(
            sidecarFor: sidecarFor, proxyID: proxyID, service: service,
            serviceAddress: serviceAddress, listen: listen, upstreams: upstreams,
            idSuffix: idSuffix
        ).wanted(environment)
        guard !registers || listen != nil else {
            throw MeshError(
                .invalid,
                "--register goes with --service and --listen: a registered proxy is known to the "
                    + "agent, and one that only calls is called by nobody")
        }
        guard registers || idSuffix == nil else {
            throw MeshError(.invalid, "--register-id goes with --register")
        }
        return SidecarRole(wanted: wanted, agent: agent, isL4: isL4, registers: registers)
    }
}

extension NameSpecification {
    /// A long name, which may begin with one dash as those of Consul's programs.
    fileprivate static func oneDashToo(_ long: String) -> NameSpecification {
        [.customLong(long), .customLong(long, withSingleDash: true)]
    }
}

extension Option where Value == String? {
    /// A text that may be given; `value` is its name in the help.
    fileprivate init(_ long: String, _ help: String, _ value: String) {
        self.init(name: .oneDashToo(long), help: ArgumentHelp(help, valueName: value))
    }
}

/// Where a sidecar keeps what it needs, unless told.
enum StateFolder {
    static func standard(_ name: String, _ environment: [String: String]) -> String {
        let safe = String(name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" })
        if geteuid() == 0 { return "/var/lib/ringmesh/sidecar-\(safe)" }
        let home = environment["HOME"] ?? "/tmp"
        let base = environment["XDG_STATE_HOME"] ?? "\(home)/.local/state"
        return "\(base)/ringmesh/sidecar-\(safe)"
    }

    /// Configuration that keeps several sidecars of one machine apart.
    static func defaults(_ folder: String) -> [String: String] {
        [
            "store.path": "\(folder)/state/state.db",
            "store.key_file": "\(folder)/keys/store.key",
            "admin.bind_addr": "",
            "admin.socket": "\(folder)/admin.sock",
            "api.bind_addr": "",
            "dataplane.control_socket": "\(folder)/control.sock",
        ]
    }
}
