import MeshModel
import MeshStore

/// One operation of a transaction on a node, a service or a check of the catalog.
struct CatalogOperation: Sendable {
    enum Verb: String, Sendable {
        case get
        case set
        case cas
        case delete
        case deleteCAS = "delete-cas"
    }

    enum Subject: Sendable {
        case node(CatalogNode?)
        case service(id: String, ServiceDefinition?)
        case check(id: String, CatalogNode.Check?)
    }

    let verb: Verb
    let node: String
    let subject: Subject
    /// What `cas` and `delete-cas` compare with.
    let index: Index

    var isWrite: Bool { verb != .get }

    // MARK: - reading

    /// The kinds of subjects, as operations name them.
    static let kinds = ["Node", "Service", "Check"]

    init(_ fields: Fields, kind: String) throws {
        let text = try fields.text("Verb")
        guard let verb = Verb(rawValue: text) else {
            throw MeshError(.conflict, "unknown \(kind) verb \(GoText.quoted(text))")
        }
        self.verb = verb
        // What only names the subject needs not be whole.
        let isWhole = verb == .set || verb == .cas
        let subject = try fields.object(kind, kind) ?? Fields([:], kind)
        index = Index(try subject.unsigned("ModifyIndex"))
        switch kind {
        case "Node":
            node = try subject.text("Node")
            self.subject = .node(isWhole ? try Self.node(subject) : nil)
        case "Service":
            node = try fields.text("Node")
            let name = try subject.text("Service")
            self.subject = .service(
                id: try subject.optionalText("ID").nonEmpty ?? name,
                isWhole ? try CatalogDecoding.service(subject) : nil)
        default:
            node = try subject.text("Node")
            let name = try subject.text("Name")
            self.subject = .check(
                id: try subject.optionalText("CheckID").nonEmpty ?? name,
                isWhole ? try CatalogDecoding.check(subject, on: node) : nil)
        }
    }

    private static func node(_ fields: Fields) throws -> CatalogNode {
        CatalogNode(
            name: try NodeName(fields.text("Node")), id: try fields.text("ID"),
            address: try fields.text("Address"),
            taggedAddresses: try fields.textMap("TaggedAddresses") ?? [:],
            meta: try fields.textMap("Meta") ?? [:])
    }

    // MARK: - access

    /// What it takes to run it; reads are left out of the answer instead.
    func needed(in state: StoreState) -> Access? {
        guard isWrite else { return nil }
        let stored = state.catalogNode(node)?.value
        switch subject {
        case .node: return Access(.write, .node, node)
        case .service(let id, let definition):
            let name = definition?.name ?? stored?.service(id)?.definition.name
            return Access(.write, .service, name?.text ?? "")
        case .check(let id, let check):
            let service = check?.service ?? stored?.checks.first { $0.id == id }?.service
            guard let service else { return Access(.write, .node, node) }
            return Access(.write, .service, stored?[service]?.definition.name.text ?? "")
        }
    }

    // MARK: - running

    /// Runs it and gives what it asked for or wrote; throws why not in Consul's words.
    func perform(on draft: inout StoreDraft, _ look: CatalogLook) throws -> JSON? {
        let isOwn = look.isOwn(node)
        if isOwn, isWrite {
            throw MeshError(
                .conflict,
                "node \(node) is this node: its services are registered with "
                    + "/v1/agent/service/register")
        }
        let present = draft.state.catalogNode(node)
        switch verb {
        case .get:
            guard let found = shown(in: draft.state, look) else {
                throw MeshError(.conflict, "\(described) doesn't exist")
            }
            return found
        case .cas, .deleteCAS:
            guard (modifyIndex(in: present) ?? .zero) == index else {
                let what = verb == .cas ? "set" : "delete"
                throw MeshError(.conflict, "failed to \(what) \(described), index is stale")
            }
        case .set, .delete: break
        }
        if verb == .delete || verb == .deleteCAS {
            _ = draft.changeCatalogNode(node) { old, _ in removed(from: old) }
            return nil
        }
        _ = try draft.changeCatalogNode(node) { try written(to: $0, at: $1) }
        return shown(in: draft.state, look)
    }

    private var described: String {
        let place = GoText.quoted(node)
        return switch subject {
        case .node: "node \(place)"
        case .service(let id, _): "service \(GoText.quoted(id)) on node \(place)"
        case .check(let id, _): "check \(GoText.quoted(id)) on node \(place)"
        }
    }

    private func modifyIndex(in node: Stored<CatalogNode>?) -> Index? {
        switch subject {
        case .node: node?.modifyIndex
        case .service(let id, _): node?.value.service(id)?.modifyIndex
        case .check(let id, _): node?.value.checks.first { $0.id == id }?.modifyIndex
        }
    }

    private func removed(from node: CatalogNode?) -> CatalogNode? {
        guard var node else { return nil }
        switch subject {
        case .node: return nil
        case .service(let id, _): node.remove(service: id)
        case .check(let id, _): node.remove(check: id)
        }
        return node
    }

    private func written(to old: CatalogNode?, at index: Index) throws -> CatalogNode {
        if case .node(let new?) = subject {
            var node = new
            node.services = old?.services ?? []
            node.checks = old?.checks ?? []
            return node
        }
        guard var node = old else { throw MeshError(.conflict, "Missing node registration") }
        switch subject {
        case .node: break
        case .service(_, let service): if let service { node.put(service, at: index) }
        case .check(_, let check):
            if let check {
                if let service = check.service, node[service] == nil {
                    throw MeshError(.conflict, "Missing service registration")
                }
                try node.put(check, at: index)
            }
        }
        return node
    }

    /// Its subject as answers have it.
    private func shown(in state: StoreState, _ look: CatalogLook) -> JSON? {
        guard let (place, instances) = look.find(node, in: state) else { return nil }
        switch subject {
        case .node: return ["Node": place.json]
        case .service(let id, _):
            return instances.first { $0.definition.id.text == id }.map {
                ["Service": $0.serviceJSON]
            }
        case .check(let id, _):
            if let check = place.checks.first(where: { $0.id == id }) {
                return ["Check": check.json(node: place.info.name.text, service: nil)]
            }
            for instance in instances {
                guard let check = instance.instance.checks.first(where: { $0.id == id }) else {
                    continue
                }
                return [
                    "Check": check.json(
                        node: place.info.name.text, service: instance.definition)
                ]
            }
            return nil
        }
    }

    /// Whether an answer of it may be shown.
    func mayShow(_ authority: any Authority, in state: StoreState, _ look: CatalogLook) -> Bool {
        guard let (place, instances) = look.find(node, in: state) else { return true }
        func mayRead(_ instance: CatalogInstance?) -> Bool {
            instance.map {
                authority.allows(Access(.read, .service, $0.definition.name.text))
            } ?? true
        }
        switch subject {
        case .node: return authority.allows(Access(.read, .node, node))
        case .service(let id, _):
            return mayRead(instances.first { $0.definition.id.text == id })
        case .check(let id, _):
            if place.checks.contains(where: { $0.id == id }) {
                return authority.allows(Access(.read, .node, node))
            }
            return mayRead(
                instances.first { instance in instance.instance.checks.contains { $0.id == id } })
        }
    }
}

/// The catalog as a transaction sees it: this node as it was when the transaction came, others as
/// they are within it.
struct CatalogLook: Sendable {
    private let backend: any ConsulBackend
    /// What is known of this node; nil where nobody asks.
    private let own: (place: CatalogPlace, instances: [CatalogInstance])?

    init(_ operations: [CatalogOperation], backend: any ConsulBackend) async {
        self.backend = backend
        let name = backend.node.name.text.lowercased()
        guard operations.contains(where: { $0.node.lowercased() == name }) else {
            own = nil
            return
        }
        let view = CatalogView(state: backend.store.snapshot, backend: backend)
        let place = await view.ownPlace()
        own = (place, await view.instances(on: place))
    }

    func isOwn(_ node: String) -> Bool {
        node.lowercased() == backend.node.name.text.lowercased()
    }

    func find(
        _ node: String, in state: StoreState
    ) -> (place: CatalogPlace, instances: [CatalogInstance])? {
        if isOwn(node) { return own }
        guard let stored = state.catalogNode(node) else { return nil }
        let view = CatalogView(state: state, backend: backend)
        return (view.place(stored), view.instances(.all, on: stored))
    }
}

extension CatalogNode {
    fileprivate func service(_ id: String) -> Service? {
        services.first { $0.definition.id.text == id }
    }
}
