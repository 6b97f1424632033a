import MeshModel
import MeshStore

/// The listeners that take connections, told when they may be others than before.
struct ListeningNews: Sendable {
    let sets: AsyncStream<Set<String>>
    private let sink: AsyncStream<Set<String>>.Continuation

    init() { (sets, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func tell(_ listeners: Set<String>) { sink.yield(listeners) }
}

/// Wakes those who wait for the health of proxies that have begun, or ended, to listen: their check
/// is what the workers run, of which the store knows nothing.
struct ListeningBridge: Sendable {
    let news: ListeningNews
    let store: any StateStore

    /// Runs until the task is cancelled.
    func run() async {
        var before: Set<String> = []
        for await listeners in news.sets {
            let names = Self.names(listeners.symmetricDifference(before), store.snapshot)
            before = listeners
            guard !names.isEmpty else { continue }
            // A failure of the store is told by the write that follows from it; waiters time out.
            try? await store.write { draft in
                for name in names { draft.note(.health, key: name) }
            }
        }
    }

    /// The services with, and of, sidecars whose listeners are among these.
    static func names(_ listeners: Set<String>, _ state: StoreState) -> Set<String> {
        var names: Set<String> = []
        guard !listeners.isEmpty else { return names }
        for record in state.unorderedServices where record.content.wantsSidecar {
            let definition = record.content.definition
            guard let sidecar = definition.connect.sidecarService,
                listeners.contains((sidecar.id ?? definition.id.sidecar).text)
            else { continue }
            let service = definition.name.folded
            names.formUnion([service, sidecar.name?.folded ?? "\(service)-sidecar-proxy"])
        }
        return names
    }
}
