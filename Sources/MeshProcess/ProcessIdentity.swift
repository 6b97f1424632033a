import Glibc

/// A process beyond its number, which another one may get: when it was started, and since which
/// start of the machine that is counted.
package struct ProcessIdentity: Sendable, Equatable {
    package let pid: Int32
    /// In clock ticks since the machine was started.
    package let start: UInt64
    package let boot: String

    package init(pid: Int32, start: UInt64, boot: String) {
        self.pid = pid
        self.start = start
        self.boot = boot
    }

    /// The process that has this number now; nil: none that runs.
    package static func of(_ pid: Int32) -> ProcessIdentity? {
        guard pid > 1, let line = text(of: "/proc/\(pid)/stat"),
            let boot = text(of: "/proc/sys/kernel/random/boot_id"),
            // The name stands in parentheses and may hold anything, also these.
            let end = line.lastIndex(of: ")")
        else { return nil }
        let fields = line[end...].dropFirst().split(whereSeparator: \.isWhitespace)
        // The state is field 3, the start field 22.
        guard fields.count > 19, let state = fields.first, state != "Z", state != "X",
            let start = UInt64(fields[19])
        else { return nil }
        return ProcessIdentity(
            pid: pid, start: start, boot: String(boot.prefix { !$0.isWhitespace }))
    }

    /// Whether it still runs.
    package var isAlive: Bool { ProcessIdentity.of(pid) == self }

    private static func text(of path: String) -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let length = read(file, &bytes, bytes.count)
        return length > 0 ? String(decoding: bytes[..<length], as: UTF8.self) : nil
    }
}
