/// The metadata keys of log records. A key means the same in every room, so that records can be
/// searched by it; rooms add their own next to these, in snake_case.
package enum LogKey {
    /// A client's or peer's address, `host:port`.
    package static let address = "address"
    /// Number of a connection within its worker.
    package static let connection = "conn"
    /// How long something took, in milliseconds.
    package static let durationMS = "duration_ms"
    /// Why something failed, as text for people.
    package static let error = "error"
    /// Number of a snapshot.
    package static let generation = "generation"
    /// State index of the store.
    package static let index = "index"
    /// Name of a listener.
    package static let listener = "listener"
    /// A file or socket.
    package static let path = "path"
    /// A process.
    package static let pid = "pid"
    /// Name of a service.
    package static let service = "service"
    /// Number of a worker.
    package static let worker = "worker"
}
