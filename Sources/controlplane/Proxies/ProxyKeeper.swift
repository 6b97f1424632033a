import Foundation
import Glibc
import MeshConfig
import MeshConsul
import MeshModel
import MeshProcess
import MeshStore
import MeshTelemetry

/// Runs the commands of managed proxies: those that are registered, each as long as it is, and no
/// others, also over a restart of the control plane.
actor ProxyKeeper {
    private struct Kept {
        var daemon: Daemon
        /// What its token is good for.
        var holder: ProxyTokens.Holder
    }

    private let store: any StateStore
    private let source: DesiredSource
    private let tokens: ProxyTokens
    private let board: ProblemBoard
    private let log: Logger
    private let settings: Configuration.ManagedProxies
    /// Where the proxies find the API; nil: it has no address.
    private let api: String?
    /// Whether the end of the node is that of its proxies, as it is that of its data plane.
    private let ownsLives: Bool
    nonisolated let files: DaemonFiles
    private var kept: [ServiceID: Kept] = [:]

    init(
        _ configuration: Configuration, store: any StateStore, source: DesiredSource,
        tokens: ProxyTokens, board: ProblemBoard, log: Logger
    ) {
        self.store = store
        self.source = source
        self.tokens = tokens
        self.board = board
        self.log = log
        settings = configuration.managedProxies
        ownsLives = configuration.dataplane.managed
        api =
            configuration.api.bindAddr.map { address in
                let any = ["", "0.0.0.0", "::"].contains(address.host)
                let host = any ? "127.0.0.1" : address.host
                let scheme = configuration.api.tls == nil ? "" : "https://"
                return scheme + HostPort(host: host, port: address.port).description
            } ?? configuration.api.socket.map { "unix://\($0)" }
        let state = (configuration.store.path as NSString).deletingLastPathComponent
        files = DaemonFiles(folder: "\(state.isEmpty ? "." : state)/proxy")
    }

    /// Those that run or should, by the id of the proxy.
    var statuses: [ServiceID: Daemon.Status] { kept.mapValues(\.daemon.status) }

    // MARK: - life

    /// Follows the registrations until the task is cancelled; what runs then runs on.
    func run() async {
        await withDiscardingTaskGroup { group in
            var left = files.records()
            var seen = store.index(of: Watch(.services))
            while !Task.isCancelled {
                await follow(&left, &group)
                left = [:]
                // The only thing that waiting throws is that the task was cancelled.
                guard let index = try? await store.wait(after: seen, on: Watch(.services)) else {
                    return
                }
                seen = index
            }
        }
    }

    /// Ends the proxies, unless they are to outlive this process.
    func finish(_ end: NodeService.End) async {
        guard end == .shutdown, ownsLives else { return }
        await withDiscardingTaskGroup { group in
            for proxy in kept.values { group.addTask { await proxy.daemon.stop() } }
        }
    }

    /// `left` are processes of the control plane before this one.
    private func follow(
        _ left: inout [String: DaemonFiles.Record], _ group: inout DiscardingTaskGroup
    ) async {
        let wanted = await self.wanted()
        await end(left, wanted)
        guard !wanted.isEmpty else { return }
        do {
            try files.makeFolders()
        } catch {
            board.set(.proxies, "folders", "\(error)")
            return
        }
        for (id, proxy) in wanted {
            if let known = kept[id] {
                if known.holder != proxy.holder {
                    kept[id]?.holder = proxy.holder
                    tokens.update(proxy.holder)
                }
            } else {
                start(id, proxy, left[id.text], &group)
            }
        }
    }

    /// Ends what is not wanted any more, or wanted as something else: a port is free then.
    private func end(
        _ left: [String: DaemonFiles.Record], _ wanted: [ServiceID: Wanted]
    ) async {
        var over: [Daemon] = []
        for (id, proxy) in kept where wanted[id]?.daemon != proxy.daemon.wanted {
            kept[id] = nil
            tokens.remove(id)
            over.append(proxy.daemon)
        }
        let prints = Dictionary(
            wanted.map { ($0.key.text, $0.value.fingerprint) }
        ) { first, _ in first }
        let strangers = left.filter { prints[$0.key] != $0.value.fingerprint }
        let (files, log) = (files, log)
        await withDiscardingTaskGroup { group in
            for daemon in over { group.addTask { await daemon.stop() } }
            for (id, record) in strangers {
                group.addTask { await Daemon.end(id, record, files: files, log: log) }
            }
        }
    }

    private func start(
        _ id: ServiceID, _ proxy: Wanted, _ record: DaemonFiles.Record?,
        _ group: inout DiscardingTaskGroup
    ) {
        let running = record.flatMap { $0.fingerprint == proxy.fingerprint ? $0 : nil }
        let daemon = Daemon(
            proxy.daemon, files: files, adopting: running, log: log, now: { Date() })
        kept[id] = Kept(daemon: daemon, holder: proxy.holder)
        if let running { tokens.set(running.token, proxy.holder) }
        let (tokens, holder) = (tokens, proxy.holder)
        group.addTask { await daemon.run { Self.credentials(tokens, holder) } }
    }

    /// A token for one start; that of the start before is void.
    private static func credentials(
        _ tokens: ProxyTokens, _ holder: ProxyTokens.Holder
    ) -> Daemon.Credentials {
        let token = UUID().uuidString.lowercased()
        let digest = tokens.digest(of: token)
        tokens.set(digest, holder)
        return Daemon.Credentials(
            environment: [
                "CONNECT_PROXY_TOKEN": token, "CONSUL_PROXY_TOKEN": token,
                "CONSUL_HTTP_TOKEN": token,
            ], token: digest)
    }

    // MARK: - what is wanted

    private struct Wanted {
        var daemon: Daemon.Wanted
        var holder: ProxyTokens.Holder

        var fingerprint: String { daemon.fingerprint }
    }

    private func wanted() async -> [ServiceID: Wanted] {
        let state = store.snapshot
        var found: [ServiceID: Wanted] = [:]
        // Most nodes have none: they make no inventory for it.
        let isAny = state.unorderedServices.contains { record in
            record.wantsSidecar && record.definition.connect.managedProxy?.command.isEmpty == false
        }
        for service in isAny ? await source.inventory(state).services : [] {
            // Nearly all have none: their definitions, which are a way off, are not looked at.
            guard let proxy = service.sidecar else { continue }
            let command = service.definition.connect.managedProxy?.command ?? []
            if command.isEmpty { continue }
            found[proxy.id] = wanted(command, proxy, of: service.definition, state)
        }
        guard geteuid() != 0 || settings.allowRoot || found.isEmpty else {
            board.set(
                .proxies, "root",
                "running as root, will not start managed proxies: run the control plane as another "
                    + "user, or set connect.proxy.allow_managed_root: true")
            return [:]
        }
        board.clear(.proxies, "root")
        return found
    }

    private func wanted(
        _ command: [String], _ proxy: ServiceDefinition, of target: ServiceDefinition,
        _ state: StoreState
    ) -> Wanted {
        var environment = ProcessInfo.processInfo.environment.filter {
            !["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"].contains($0.key)
        }
        var own = ["CONNECT_PROXY_ID": proxy.id.text, "CONSUL_PROXY_ID": proxy.id.text]
        own["CONSUL_HTTP_ADDR"] = api
        environment.merge(own) { _, new in new }
        // Not of the environment that this process happens to have.
        let what = (command + own.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] })
            .joined(separator: "\u{0}")
        let print = state.fingerprint(what).map { String($0, radix: 16) }.joined(separator: ".")
        return Wanted(
            daemon: Daemon.Wanted(
                id: proxy.id.text, command: command, environment: environment,
                fingerprint: print),
            holder: ProxyTokens.Holder(
                proxy: proxy.id, service: target.name,
                upstreams: Set((proxy.proxy?.upstreams ?? []).map(\.destinationName))))
    }
}
