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

    package func checks(
        _ ids: Set<String>, node: String
    ) async -> [String: SessionCheck]? {
        let view = view
        guard let place = await view.place(named: node) else { return nil }
        var all = place.checks
        // Those of services are many: they are gathered only when one is asked for.
        if !ids.isSubset(of: all.map(\.id)) {
            all += await view.instances(on: place).flatMap(\.instance.checks)
        }
        return Dictionary(
            all.filter { ids.contains($0.id) }.map {
                ($0.id, SessionCheck($0.status, isProven: $0.isProven))
            }, uniquingKeysWith: { first, _ in first })
    }
}
