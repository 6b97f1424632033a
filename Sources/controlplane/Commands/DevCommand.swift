import ArgumentParser
import Foundation
import MeshConfig
import MeshModel

/// `controlplane dev`: everything on loopback with temporary state.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev",
        abstract: "Runs a node on loopback with temporary state, to try things out.",
        usage: "controlplane dev [--config.path FILE] [--KEY VALUE ...]",
        discussion: """
            State, keys and sockets are in a temporary folder that is removed at the end. Says \
            what to try once every worker serves. Ctrl-C ends it.
            """)

    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp("Flags of configuration keys.", valueName: "flags"))
    var flags: [String] = []

    func run() async throws {
        do {
            let folder = try TemporaryFolder()
            defer { folder.remove() }
            let defaults = [
                "store.path": "\(folder.path)/state/state.db",
                "store.key_file": "\(folder.path)/keys/store.key",
                "admin.socket": "\(folder.path)/admin.sock",
                "dataplane.control_socket": "\(folder.path)/control.sock",
                "dataplane.log_file": "\(folder.path)/dataplane.log",
                "dataplane.drain_timeout": "2s",
                "log.level": "warn",
            ]
            try await Node.run(ConfigurationSource(arguments: flags, defaults: defaults)) {
                print(DevHints.text($0), terminator: "")
                fflush(nil)
            }
        } catch {
            throw Failure.report(error)
        }
    }
}

/// A folder of its own under the system's for temporary files.
struct TemporaryFolder {
    let path: String

    init() throws {
        var template = Array("\(NSTemporaryDirectory())ringmesh-dev-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw MeshError(.system, "no temporary folder can be made: set TMPDIR to another place")
        }
        path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    func remove() {
        // What cannot be removed is in the folder for temporary files all the same.
        try? FileManager.default.removeItem(atPath: path)
    }
}

/// What a person may try on a fresh node.
enum DevHints {
    static func text(_ configuration: Configuration) -> String {
        let socket = configuration.admin.socket.map { "unix://\($0)" } ?? ""
        var lines = ["", "ringmesh is ready: node \(configuration.node.name)", ""]
        for listener in configuration.listeners.map(\.value) {
            let host = listener.bindAddr.host.isEmpty ? "127.0.0.1" : listener.bindAddr.host
            let address = HostPort(host: host, port: listener.bindAddr.port)
            let scheme = listener.tls == nil ? "http" : "https"
            lines.append(
                listener.kind == .l7
                    ? "  curl \(scheme)://\(address)/        # listener \(listener.name)"
                    : "  nc \(host) \(address.port)        # listener \(listener.name)")
        }
        for service in configuration.services.map(\.value) {
            for upstream in service.connect.sidecarService?.proxy.upstreams ?? [] {
                lines.append(
                    "  curl http://\(upstream.localBind)/        # \(upstream.destinationName), "
                        + "called as \(service.name)")
            }
        }
        lines.append("  export RINGMESH_ADDR=\(socket)")
        lines.append("  meshctl status")
        if configuration.services.isEmpty {
            lines += [
                "  echo 'service: { name: web, port: 8080, connect: { sidecar_service: {} } }' "
                    + "> web.yaml",
                "  meshctl service register web.yaml", "  meshctl intention create --allow api web",
            ]
        } else {
            lines += ["  meshctl services", "  meshctl intention list", "  meshctl stats"]
        }
        if let address = configuration.admin.bindAddr {
            lines.append("  curl http://\(address)/metrics")
        }
        return (lines + ["", "Ctrl-C ends it.", ""]).joined(separator: "\n")
    }
}
