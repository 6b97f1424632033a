package import MeshModel
import MeshStore

/// The catalog, as prepared queries, resolvers and sessions ask it.
package struct CatalogInstances: InstanceSource, SessionFacts {
    private let backend: any ConsulBackend

    package init(backend: any ConsulBackend) { self.backend = backend }

    private var view: CatalogView {
        CatalogView(state: backend.store.snapshot, backend: backend)
    }

    package func instances(of service: String, isConnect: Bool) async -> [FoundInstance] {
        let found = await view.instances(isConnect ? .connect(service) : .named(service))
        return found.map { instance in
            FoundInstance(
                node: instance.place.info, definition: instance.definition,
                checks: instance.checks.map { ($0.id, $0.status) }, json: instance.healthJSON)
        }
    }

    package func node(_ name: String) async -> NodeInfo? {
        await view.place(named: name)?.info
    }

    package func statuses(
        of checks: Set<String>, node: String
    ) async -> [String: CheckStatus]? {
        let view = view
        guard let place = await view.place(named: node) else { return nil }
        var found = Dictionary(
            place.checks.map { ($0.id, $0.status) }, uniquingKeysWith: { first, _ in first })
        // Those of services are many: they are gathered only when one is asked for.
        if !checks.isSubset(of: found.keys) {
            for check in await view.instances(on: place).flatMap(\.instance.checks) {
                found[check.id] = found[check.id] ?? check.status
            }
        }
        return found.filter { checks.contains($0.key) }
    }
}
