import Foundation
import MeshAdminAPI
import MeshConfig
import MeshModel
import MeshProcess
import MeshStore

/// The proxies of the node, and what managed ones write.
extension NodeBackend {
    func proxies() async throws -> [ProxyReport] {
        let inventory = await source.inventory(store.snapshot)
        let statuses = await proxies.statuses
        var found: [ProxyReport] = []
        for service in inventory.services {
            let own = service.definition.kind == .connectProxy ? service.definition : nil
            guard let proxy = service.sidecar ?? own else { continue }
            let managed = service.definition.connect.managedProxy
            let status = statuses[proxy.id]
            let kind = Self.kind(managed, proxy, isHandmade: own != nil)
            found.append(
                ProxyReport(
                    id: proxy.id.text, service: proxy.proxy?.destinationServiceName?.text ?? "",
                    kind: kind, address: place(of: proxy),
                    upstreams: (proxy.proxy?.upstreams ?? []).map { "\($0.destinationName)" },
                    state: await state(of: proxy, kind, status),
                    process: managed?.command.isEmpty == false ? Self.process(status) : nil,
                    origin: "\(service.origin)"))
        }
        return found.sorted { $0.id < $1.id }
    }

    private static func kind(
        _ managed: ManagedProxy?, _ proxy: ServiceDefinition, isHandmade: Bool
    ) -> String {
        if let managed { return managed.command.isEmpty ? "managed" : "command" }
        return proxy.proxy?.options.external ?? isHandmade ? "external" : "sidecar"
    }

    private func state(
        of proxy: ServiceDefinition, _ kind: String, _ status: Daemon.Status?
    ) async -> String {
        switch kind {
        case "external": return "external"
        case "command": return status?.pid == nil ? "stopped" : "running"
        default:
            guard let silence = await pipeline.silence(of: proxy.id.text) else { return "serving" }
            return silence
        }
    }

    private static func process(_ status: Daemon.Status?) -> ProxyReport.Process {
        ProxyReport.Process(
            pid: status?.pid.map(Int.init), starts: status?.starts ?? 0, since: status?.since,
            adopted: status?.isAdopted ?? false, end: status?.end)
    }

    func place(of proxy: ServiceDefinition) -> String {
        if let path = proxy.socketPath { return "unix:\(path)" }
        let host = proxy.address.isEmpty ? configuration.node.address : proxy.address
        return HostPort(host: host, port: proxy.port).description
    }

    /// What stands behind `from` in a log, at most this much; nil for `from`: the end of it.
    func proxyLog(
        id: String, errors: Bool, from: UInt64?, bytes: Int
    ) async throws -> ProxyLogReport {
        guard let report = try await proxies().first(where: { $0.id == id }) else {
            throw MeshError(
                .notFound, "there is no proxy \(id): meshctl proxy list shows those that are")
        }
        guard report.kind == "command" else {
            throw MeshError(
                .invalid,
                "proxy \(id) is no process of its own: what concerns it is in the log of the node")
        }
        let path = proxies.files.log(id, errors ? .stderr : .stdout)
        return try Self.piece(of: path, from, bytes)
    }

    /// A log that is not there yet is empty; one that is shorter than `from` was begun anew.
    static func piece(of path: String, _ from: UInt64?, _ bytes: Int) throws -> ProxyLogReport {
        guard FileManager.default.fileExists(atPath: path) else {
            return ProxyLogReport(text: "", next: 0)
        }
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer { try? file.close() }
            let size = try file.seekToEnd()
            let most = UInt64(clamping: bytes)
            var start = from ?? (size > most ? size - most : 0)
            if start > size { start = 0 }
            try file.seek(toOffset: start)
            let data = try file.read(upToCount: bytes) ?? Data()
            return ProxyLogReport(
                text: String(decoding: data, as: UTF8.self), next: start + UInt64(data.count))
        } catch {
            throw MeshError(.system, "\(path) cannot be read", cause: error)
        }
    }
}
