import Foundation
import MeshConfig
import MeshConsul
import MeshIdentity
import MeshModel
import MeshStore

/// Who may do what over the Consul-compatible API, as the configuration has it.
enum ConsulAccess: Sendable {
    case open
    case stored(StoredAccess)

    /// Whether nobody is asked for a token.
    var isOpen: Bool {
        if case .open = self { return true }
        return false
    }

    var policy: any AccessPolicy {
        switch self {
        case .open: OpenAccess()
        case .stored(let access): access
        }
    }

    /// Makes what access control needs to be there.
    static func open(
        _ configuration: Configuration, _ store: any StateStore
    ) async throws -> ConsulAccess {
        let acl = configuration.acl
        guard acl.enabled else { return .open }
        try await StoredAccess.prepare(
            store, node: configuration.node,
            management: try secret(acl.managementTokenFile, "acl.management_token_file"),
            agent: try secret(acl.agentTokenFile, "acl.agent_token_file"), now: Date())
        return .stored(
            StoredAccess(
                store: store, datacenter: configuration.node.datacenter.text,
                isDefaultAllow: acl.defaultPolicy == .allow,
                defaultSecret: try secret(acl.defaultTokenFile, "acl.default_token_file"),
                now: { Date() }))
    }

    private static func secret(_ path: String?, _ key: String) throws -> String? {
        guard let path else { return nil }
        let text = try String(contentsOfFile: path, encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let isPrintable = text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
        guard (16...255).contains(text.utf8.count), isPrintable else {
            throw MeshError(
                .invalid,
                "\(key): \(path) holds no token of 16 to 255 printable characters: write one "
                    + "there, for example what uuidgen prints")
        }
        return text
    }
}

/// Groups of endpoints about state: pairs, sessions, transactions, prepared queries, tokens.
struct StateGroups {
    let configuration: Configuration
    let backend: any ConsulBackend
    let access: ConsulAccess
    let sessions: SessionKeeper
    let instances: CatalogInstances

    var groups: [any EndpointGroup] {
        let node = backend.node.name.text
        let queries = Queries(
            store: backend.store, datacenter: backend.node.datacenter.text)
        let policy = access.policy
        return [
            KeyValueEndpoints(queries: queries, access: policy),
            SessionEndpoints(
                queries: queries, access: policy, keeper: sessions,
                facts: instances, node: node),
            TransactionEndpoints(queries: queries, access: policy, backend: backend),
            PreparedQueryEndpoints(
                queries: queries, access: policy, source: instances, node: node),
            EventEndpoints(queries: queries, access: policy),
            CoordinateEndpoints(queries: queries, access: policy, node: backend.node),
            tokens(queries),
        ]
    }

    private func tokens(_ queries: Queries) -> any EndpointGroup {
        switch access {
        case .open: NoACLEndpoints()
        case .stored(let access):
            ACLEndpoints(
                queries: queries, access: access,
                resetIndex: configuration.acl.bootstrapReset, now: { Date() })
        }
    }
}
