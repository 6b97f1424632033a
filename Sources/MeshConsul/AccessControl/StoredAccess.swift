package import Foundation
import MeshACL
package import MeshModel
package import MeshStore
import Synchronization

/// Access control by the tokens and policies of the store.
package final class StoredAccess: AccessPolicy {
    private struct Kept {
        var index: Index
        var authorizer: Authorizer
    }

    /// More are forgotten, all at once.
    private static let greatestKept = 4096

    package let isDefaultAllow: Bool
    private let store: any StateStore
    private let datacenter: String
    /// Whose requests are without a token.
    private let defaultSecret: String
    private let now: @Sendable () -> Date
    private let kept = Mutex<[String: Kept]>([:])

    package init(
        store: any StateStore, datacenter: String, isDefaultAllow: Bool,
        defaultSecret: String? = nil, now: @escaping @Sendable () -> Date
    ) {
        self.store = store
        self.datacenter = datacenter
        self.isDefaultAllow = isDefaultAllow
        self.defaultSecret = defaultSecret ?? ACLToken.anonymousSecret
        self.now = now
    }

    package func authority(of token: String) async throws -> any Authority {
        let state = store.snapshot
        return TokenAuthority(
            authorizer: try authorizer(of: try holder(of: token, state).value, state))
    }

    /// The token that a request is made with.
    func holder(of secret: String, _ state: StoreState) throws(APIError) -> Stored<ACLToken> {
        let secret = secret.isEmpty ? defaultSecret : secret
        guard let token = state.token(secret: secret), !token.value.isExpired(now: now()) else {
            throw APIError.unknownToken
        }
        return token
    }

    /// Rules are read once for each state of tokens and policies.
    private func authorizer(of token: ACLToken, _ state: StoreState) throws -> Authorizer {
        let index = max(store.index(of: Watch(.tokens)), store.index(of: Watch(.policies)))
        let accessor = token.accessorID
        if let found = kept.withLock({ $0[accessor] }), found.index == index {
            return found.authorizer
        }
        let made: Authorizer
        do {
            made = try TokenRules.authorizer(
                of: token, datacenter: datacenter, isDefaultAllow: isDefaultAllow,
                policy: { state.policy($0)?.value })
        } catch {
            // What it would deny is not known, so it allows nothing.
            throw APIError(403, "Permission denied: a policy of the token cannot be read: \(error)")
        }
        // Made of a state that is older than the index: good for this request only.
        guard state.index >= index else { return made }
        kept.withLock { kept in
            if kept.count >= Self.greatestKept { kept.removeAll() }
            kept[accessor] = Kept(index: index, authorizer: made)
        }
        return made
    }

    /// Makes what is always there: the policy of management, the anonymous token, and tokens whose
    /// secrets the configuration names. Says nothing of secrets.
    package static func prepare(
        _ store: any StateStore, node: NodeInfo, management: String?, agent: String?, now: Date
    ) async throws {
        try await store.write { draft in
            try draft.putPolicy(ACLPolicy.management)
            if draft.state.token(accessor: ACLToken.anonymousID) == nil {
                try draft.putToken(
                    ACLToken(
                        accessorID: ACLToken.anonymousID, description: "Anonymous Token",
                        created: now), secret: ACLToken.anonymousSecret)
            }
            if let management, draft.state.token(secret: management) == nil {
                try draft.putToken(
                    ACLToken(
                        accessorID: UUID().uuidString.lowercased(),
                        description: "Initial Management Token",
                        policies: [ACLPolicy.managementID], created: now), secret: management)
                if draft.state.bootstrapIndex == nil { draft.noteBootstrap() }
            }
            if let agent, draft.state.token(secret: agent) == nil {
                let identity = ACLToken.NodeIdentity(
                    nodeName: node.name.text, datacenter: node.datacenter.text)
                try draft.putToken(
                    ACLToken(
                        accessorID: UUID().uuidString.lowercased(), description: "Agent Token",
                        nodeIdentities: [identity], created: now), secret: agent)
            }
        }
    }
}

/// What one token allows, asked in the words of endpoints.
private struct TokenAuthority: Authority {
    let authorizer: Authorizer

    func allows(_ access: Access) -> Bool {
        let subject: AccessSubject =
            switch access.resource {
            case .agent: .agent
            case .node: .node
            case .service: .service
            case .intention: .intention
            case .key, .keyPrefix: .key
            case .session: .session
            case .query: .query
            case .event: .event
            case .operator: .operator
            case .acl: .acl
            }
        let kind: AccessRequest.Kind =
            switch access.kind {
            case .read: .read
            case .list: .list
            case .identity: .write
            case .write: access.resource == .keyPrefix ? .writeAll : .write
            }
        return authorizer.allows(AccessRequest(kind, subject, access.name))
    }
}
