@_exported public import Logging

/// A configured threshold (`log.level`): the four names a user may write.
package enum LogLevel: String, Sendable, CaseIterable {
    case debug
    case info
    case warn
    case error

    /// The least severe swift-log level that passes this threshold.
    package var threshold: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warn: .warning
        case .error: .error
        }
    }

    /// The name under which a record of this severity is written.
    package init(severity: Logger.Level) {
        switch severity {
        case .trace, .debug: self = .debug
        case .info, .notice: self = .info
        case .warning: self = .warn
        case .error, .critical: self = .error
        }
    }
}
