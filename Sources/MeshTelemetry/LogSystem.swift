import Synchronization

/// The log of one process: makes loggers and changes at run time what they write.
///
/// A logger's label is its subsystem. Subsystems are names in the code (`store`, `mesh.ca`), never
/// made from input: each one is remembered for the life of the process.
package final class LogSystem: Sendable {
    private struct State {
        var filter: LogFilter
        var gates: [String: LogGate] = [:]
    }

    private let state: Mutex<State>
    private let sink: LogSink

    package init(filter: LogFilter = LogFilter(), sink: LogSink = .standardError) {
        self.state = Mutex(State(filter: filter))
        self.sink = sink
    }

    /// What is written now.
    package var filter: LogFilter { state.withLock { $0.filter } }

    /// Changes what is written, for loggers that exist as well as for later ones.
    package func setFilter(_ filter: LogFilter) {
        state.withLock { state in
            state.filter = filter
            for (subsystem, gate) in state.gates {
                gate.set(filter.threshold(of: subsystem))
            }
        }
    }

    /// A logger for a subsystem.
    package func logger(_ subsystem: String) -> Logger {
        Logger(label: subsystem) { [self] label in makeHandler(label) }
    }

    /// Makes this the log behind every `Logger(label:)` of the process, libraries included.
    /// May be called once; a second call stops the program.
    package func bootstrap() {
        LoggingSystem.bootstrap { [self] label in makeHandler(label) }
    }

    func makeHandler(_ subsystem: String) -> LineLogHandler {
        let gate = state.withLock { state in
            if let gate = state.gates[subsystem] { return gate }
            let gate = LogGate(state.filter.threshold(of: subsystem))
            state.gates[subsystem] = gate
            return gate
        }
        return LineLogHandler(subsystem: subsystem, gate: gate, sink: sink)
    }
}

/// The threshold of one subsystem, read at every log statement and therefore without a lock.
final class LogGate: Sendable {
    private let position: Atomic<Int>

    init(_ level: Logger.Level) {
        position = Atomic(Self.position(of: level))
    }

    var level: Logger.Level {
        // Only positions of existing levels are ever stored.
        Logger.Level.allCases[position.load(ordering: .relaxed)]
    }

    func set(_ level: Logger.Level) {
        position.store(Self.position(of: level), ordering: .relaxed)
    }

    private static func position(of level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 0
    }
}

/// Writes the records of one logger as JSON lines.
struct LineLogHandler: LogHandler {
    let subsystem: String
    let gate: LogGate
    let sink: LogSink
    var metadata: Logger.Metadata = [:]
    var metadataProvider: Logger.MetadataProvider?
    /// Set by a caller on its own copy of a logger; then the filter has no say.
    private var ownLevel: Logger.Level?

    init(subsystem: String, gate: LogGate, sink: LogSink) {
        self.subsystem = subsystem
        self.gate = gate
        self.sink = sink
    }

    var logLevel: Logger.Level {
        get { ownLevel ?? gate.level }
        set { ownLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata
        if let provider = metadataProvider { fields.merge(provider.get()) { $1 } }
        if let own = event.metadata { fields.merge(own) { $1 } }
        if let error = event.error, fields[LogKey.error] == nil {
            fields[LogKey.error] = "\(error)"
        }
        let line = LogLine(
            time: .now(), level: LogLevel(severity: event.level), subsystem: subsystem,
            message: event.message.description, metadata: fields)
        sink.write(line.encoded())
    }
}
