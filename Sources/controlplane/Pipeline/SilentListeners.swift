import MeshTables
import MeshTelemetry
import MeshWorkers

/// Listeners whose address cannot be had, because another program has it or the system refuses it.
///
/// They are left out of what is published, so that everything else goes on, and are tried again:
/// the address may be free by then. One with another address is another listener. The pauses
/// between tries in vain grow; they begin anew with each listener that is left out or opens.
struct SilentListeners: Sendable {
    private struct Key: Hashable {
        var name: String
        var address: AddressPlan

        init(_ listener: ListenerPlan) {
            name = listener.name
            address = listener.address
        }
    }

    /// Why, of those that are left out and those that are tried again.
    private var reasons: [Key: String] = [:]
    private var leftOut: Set<Key> = []
    private var wanted: Set<Key> = []
    /// Reasons that nobody has been told of yet.
    private var news: [String] = []
    private var backOff: BackOff
    /// When they are tried again; nil: that has not been said since the last try.
    private(set) var due: ContinuousClock.Instant?
    /// Somebody may have made room: they are to be tried before the next publication.
    var mayHaveRoom = false

    /// `first` and `most`: of the pauses between tries.
    init(first: Duration, most: Duration) { backOff = BackOff(first: first, most: most) }

    var isEmpty: Bool { reasons.isEmpty }

    /// One line for each, in the order of their names.
    var problems: [String] {
        reasons.sorted { $0.key.name < $1.key.name }.map {
            "\($0.value); the listener is left out and tried again"
        }
    }

    /// Why the listener with this name takes no connections.
    subscript(name: String) -> String? { reasons.first { $0.key.name == name }?.value }

    /// Of what is wanted, those that are published.
    mutating func spare(_ listeners: [ListenerPlan]) -> [ListenerPlan] {
        wanted = Set(listeners.map(Key.init))
        return listeners.filter { !leftOut.contains(Key($0)) }
    }

    /// Takes in how a publication ended. Whether it was refused only for listeners that are left
    /// out from now on: it may go live without them.
    mutating func leaveOut(
        _ outcome: PublishOutcome, of node: PublishedNode, _ log: Logger
    ) -> Bool {
        guard case .refused(let refusals) = outcome, let reader = try? node.reader() else {
            return false
        }
        var isMore = false
        for refusal in refusals {
            guard let name = refusal.listener.flatMap(reader.nameOfListener),
                let listener = node.plan.compiled.listeners.first(where: { $0.name == name })
            else { return false }
            let key = Key(listener)
            if reasons.updateValue(refusal.reason, forKey: key) == nil {
                log.error(
                    "a listener is left out", metadata: [LogKey.error: "\(refusal.reason)"])
                news.append(refusal.reason)
                beginAnew()
            }
            if leftOut.insert(key).inserted { isMore = true }
        }
        return isMore
    }

    /// The next publication has all of them.
    mutating func tryAgain() {
        leftOut = []
        due = nil
    }

    /// As ``tryAgain()``, and the pauses begin anew.
    mutating func tryAtOnce() {
        mayHaveRoom = false
        tryAgain()
        backOff.succeeded()
    }

    func isDue(_ now: ContinuousClock.Instant) -> Bool { due.map { $0 <= now } ?? false }

    private mutating func beginAnew() {
        backOff.succeeded()
        due = nil
    }

    /// What was spared runs: forgets listeners that are in it, and those that are wanted no more.
    /// Those that are left are due again; other changes meanwhile do not put that off.
    mutating func settle(_ log: Logger, now: ContinuousClock.Instant = .now) {
        leftOut.formIntersection(wanted)
        for key in reasons.keys where !leftOut.contains(key) {
            reasons[key] = nil
            if wanted.contains(key) {
                log.info("a listener is open now", metadata: ["listener": "\(key.name)"])
            }
            beginAnew()
        }
        if isEmpty {
            due = nil
        } else if due == nil {
            due = now + backOff.failed()
        }
    }

    /// The reasons that nobody has been told of; told now.
    mutating func tell() -> [String] {
        defer { news = [] }
        return news
    }
}
