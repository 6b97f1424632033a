import MeshModel
import MeshTables

/// The services that transparent proxies may call by intention: Consul's implicit upstreams. They
/// come first where there is not room for all.
struct ImplicitUpstreams {
    private let byPair: [IntentionPair: Intention]
    private let byDefault: Bool

    private struct IntentionPair: Hashable {
        var source: NamePattern
        var destination: NamePattern
    }

    init(_ intentions: [Intention], byDefault: IntentionAction) {
        byPair = Dictionary(
            intentions.map {
                (IntentionPair(source: $0.source, destination: $0.destination), $0)
            }
        ) { first, _ in first }
        self.byDefault = byDefault == .allow
    }

    /// Whether some call may be allowed. One that depends on requests, or on tokens, may be.
    func covers(_ source: ServiceName, _ destination: ServiceName) -> Bool {
        // The most exact one decides.
        for pair in [
            IntentionPair(source: .exact(source), destination: .exact(destination)),
            IntentionPair(source: .any, destination: .exact(destination)),
            IntentionPair(source: .exact(source), destination: .any),
            IntentionPair(source: .any, destination: .any),
        ] {
            guard let intention = byPair[pair] else { continue }
            if case .action(let action) = intention.effect { return action == .allow }
            return true
        }
        return byDefault
    }

    /// What each caller may call; empty where all services have room in any case, since intentions
    /// are many and change often, and where an agent has told of those only that may be called.
    static func byCaller(
        _ state: DesiredState, _ wish: TransparentMesh.Wish?, _ mesh: TransparentMesh?
    ) -> [ServiceName: Set<ServiceName>] {
        guard let wish, let mesh, state.told == nil,
            mesh.greatestNeed > TransparentMesh.room(for: mesh.callers)
        else { return [:] }
        let implicit = Self(state.intentions, byDefault: state.settings.intentionsDefault)
        var found: [ServiceName: Set<ServiceName>] = [:]
        for proxy in state.inventory.proxies where wish.covers(proxy.proxy) {
            guard let caller = proxy.proxy?.destinationServiceName, found[caller] == nil else {
                continue
            }
            found[caller] = Set(
                mesh.services.lazy.map(\.name).filter { implicit.covers(caller, $0) })
        }
        return found
    }
}

extension TransparentMesh {
    /// The listeners for services that each of some transparent proxies may have: two of a proxy's
    /// are for other addresses.
    static func room(for callers: Int) -> Int {
        OriginalPlan.greatestListeners / max(1, callers) - 2
    }
}
