import Glibc

/// A moment by the machine's clock, to the millisecond, written in UTC.
package struct WallTime: Sendable, Equatable, CustomStringConvertible {
    package var secondsSinceEpoch: Int64
    package var milliseconds: Int

    package init(secondsSinceEpoch: Int64, milliseconds: Int = 0) {
        self.secondsSinceEpoch = secondsSinceEpoch
        self.milliseconds = milliseconds
    }

    /// What the clock shows. For logs and reports only; decisions take time as a parameter.
    package static func now() -> WallTime {
        var clock = timespec()
        clock_gettime(CLOCK_REALTIME, &clock)
        return WallTime(
            secondsSinceEpoch: Int64(clock.tv_sec), milliseconds: Int(clock.tv_nsec / 1_000_000))
    }

    /// RFC 3339 with milliseconds.
    package var description: String {
        var seconds = time_t(secondsSinceEpoch)
        var parts = tm()
        guard gmtime_r(&seconds, &parts) != nil else { return "\(secondsSinceEpoch)" }
        let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)]
        let time = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)]
        return zip([4, 2, 2], date).map(Self.padded).joined(separator: "-") + "T"
            + time.map { Self.padded(2, $0) }.joined(separator: ":") + "."
            + Self.padded(3, milliseconds) + "Z"
    }

    private static func padded(_ width: Int, _ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
