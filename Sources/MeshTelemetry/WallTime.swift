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

    /// What the clock shows, in nanoseconds since 1970.
    package static func nanoseconds() -> Int64 {
        var clock = timespec()
        clock_gettime(CLOCK_REALTIME, &clock)
        return Int64(clock.tv_sec) * 1_000_000_000 + Int64(clock.tv_nsec)
    }

    /// From CLOCK_MONOTONIC, which workers count by, to Unix time: nanoseconds.
    package static func sinceMonotonic() -> Int64 {
        func read(_ clock: clockid_t) -> Int64 {
            var time = timespec()
            clock_gettime(clock, &time)
            return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        }
        return read(CLOCK_REALTIME) - read(CLOCK_MONOTONIC)
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

extension WallTime {
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// Seconds since 1970 of the date that HTTP is to be written with, `Sun, 06 Nov 1994 08:49:37
    /// GMT` (RFC 9110 5.6.7); nil for any other text.
    package static func seconds(ofHTTPDate text: String) -> Int64? {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0].count == 4, parts[0].last == ",", parts[5] == "GMT",
            let day = digits(parts[1], 2), let month = months.firstIndex(of: String(parts[2])),
            let year = digits(parts[3], 4)
        else { return nil }
        let clock = parts[4].split(separator: ":", omittingEmptySubsequences: false)
        guard clock.count == 3, let hour = digits(clock[0], 2), let minute = digits(clock[1], 2),
            let second = digits(clock[2], 2), (1...31).contains(day), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        var date = tm()
        date.tm_year = Int32(year - 1900)
        date.tm_mon = Int32(month)
        date.tm_mday = Int32(day)
        date.tm_hour = Int32(hour)
        date.tm_min = Int32(minute)
        date.tm_sec = Int32(second)
        return Int64(timegm(&date))
    }

    private static func digits(_ text: Substring, _ width: Int) -> Int? {
        text.utf8.count == width && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
            ? Int(text) : nil
    }
}
