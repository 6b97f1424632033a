import Foundation
import Glibc
import MeshModel
import MeshTelemetry

/// Tells a service manager that waits for it how the node is, as sd_notify(3) has it: ready,
/// stopping, a line for people, and at intervals that it is alive.
struct ServiceManager: Sendable {
    /// The node is ready when every worker runs its first snapshot. A data plane that does not come
    /// must not keep the API from starting: after this long it counts as ready all the same.
    static let patience = Duration.seconds(15)

    private let name: String
    /// Without a sign of life for this long the manager starts the node again; nil: never.
    private let watchdog: Duration?
    private let log: Logger

    /// nil when nobody waits.
    init?(_ environment: [String: String] = ProcessInfo.processInfo.environment, log: Logger) {
        guard let name = environment["NOTIFY_SOCKET"], !name.isEmpty else { return nil }
        self.name = name
        self.log = log
        let isOwn = environment["WATCHDOG_PID"].map { $0 == "\(getpid())" } ?? true
        watchdog = environment["WATCHDOG_USEC"].flatMap { Int64($0) }.flatMap { microseconds in
            isOwn && microseconds > 0 ? .microseconds(microseconds) : nil
        }
    }

    /// How long to wait between signs of life.
    var period: Duration { min((watchdog ?? .seconds(15)) / 3, .seconds(5)) }

    /// Runs until the task is cancelled. Each sign of life has an answer of the pipeline behind it.
    func run(_ notReadyReason: @Sendable () async -> String?) async {
        let begun = ContinuousClock.now
        var isReady = false
        var said: String?
        while !Task.isCancelled {
            let reason = await notReadyReason()
            var lines = watchdog == nil ? [] : ["WATCHDOG=1"]
            let status = reason ?? "every worker has the current configuration"
            if status != said { lines.append("STATUS=\(status)") }
            said = status
            if !isReady, reason == nil || begun + Self.patience < ContinuousClock.now {
                isReady = true
                lines.append("READY=1")
            }
            tell(lines)
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: isReady ? period : .milliseconds(50))
        }
    }

    func stopping() { tell(["STOPPING=1", "STATUS=ending"]) }

    private func tell(_ lines: [String]) {
        guard !lines.isEmpty else { return }
        do { try send(lines.joined(separator: "\n")) } catch {
            log.warning(
                "the service manager cannot be told", metadata: [LogKey.error: "\(error)"])
        }
    }

    /// Sends one datagram to a path, or to an abstract name behind `@`. Never blocks.
    private func send(_ text: String) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(name.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < room, bytes.first == 0x2f || bytes.first == 0x40 else {
            throw MeshError(.invalid, "NOTIFY_SOCKET is neither a path nor @name: \(name)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        if bytes.first == 0x40 { address.sun_path.0 = 0 }
        let length = MemoryLayout<sockaddr_un>.offset(of: \.sun_path).map { $0 + bytes.count }
        let kind = Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let fd = socket(AF_UNIX, kind, 0)
        guard fd >= 0, let length else { throw POSIXError(.init(rawValue: errno) ?? .EINVAL) }
        defer { close(fd) }
        let content = Array(text.utf8)
        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(
                    fd, content, content.count, Int32(MSG_NOSIGNAL), $0,
                    socklen_t(length))
            }
        }
        guard sent >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EINVAL) }
    }
}
