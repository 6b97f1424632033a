package import MeshModel

/// Where the requests and connections of listeners are written down, and how. Listeners with equal
/// plans share one log.
package struct AccessLogPlan: Hashable, Sendable, Codable {
    /// A file by its absolute name, `stdout` or `stderr`.
    package var path: String
    package var format: AccessLogFormat
    /// How many of those that end well are written, of 1.
    package var sample: Double

    /// nil when there is no path.
    package init?(path: String, format: AccessLogFormat, sample: Double = 1) {
        if path.isEmpty { return nil }
        self.path = path
        self.format = format
        self.sample = sample
    }
}
