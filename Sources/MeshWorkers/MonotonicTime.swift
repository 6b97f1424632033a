import Glibc

/// The clock that workers know the time by.
package enum MonotonicTime {
    /// CLOCK_MONOTONIC.
    package static var milliseconds: UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000
    }
}
