/// What bounds the traffic to a target, and when an endpoint that fails is left out.
///
/// Bounds hold for the node; 0 is none. Times are milliseconds.
package struct GuardPlan: Hashable, Sendable, Codable {
    package var maxConnections: UInt32 = 0
    /// Requests that wait for a connection.
    package var maxPending: UInt32 = 0
    package var maxRequests: UInt32 = 0
    /// Second tries under way.
    package var maxRetries: UInt32 = 0
    /// In a row, after which an endpoint is left out.
    package var failures: UInt32 = 0
    /// The same: no connection, no answer, 502, 503, 504.
    package var gatewayFailures: UInt32 = 0
    /// The first time.
    package var ejection: UInt32 = 0
    package var ejectionMax: UInt32 = 0
    /// So long without being left out, and one time is forgiven.
    package var interval: UInt32 = 0
    /// Per cent of the endpoints.
    package var ejectedMost: UInt8 = 0
    /// Per cent.
    package var ejectedChance: UInt8 = 0

    package init() {}

    package var watches: Bool { failures > 0 || gatewayFailures > 0 }
}
