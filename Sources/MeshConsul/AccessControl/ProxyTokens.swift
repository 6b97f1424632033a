package import MeshModel
package import MeshStore
import Synchronization

/// The tokens of proxies that the node manages: each is good for the identity of one service and
/// for reading what its proxy needs, whatever else access control says.
package final class ProxyTokens: Sendable {
    /// What a proxy may see.
    package struct Holder: Sendable, Equatable {
        package var proxy: ServiceID
        package var service: ServiceName
        /// The services that it calls.
        package var upstreams: Set<ServiceName>

        package init(proxy: ServiceID, service: ServiceName, upstreams: Set<ServiceName>) {
            self.proxy = proxy
            self.service = service
            self.upstreams = upstreams
        }
    }

    private let store: any StateStore
    private let holders = Mutex<[String: Holder]>([:])

    package init(store: any StateStore) { self.store = store }

    /// What a secret is known by; nobody finds the secret from it.
    package func digest(of secret: String) -> String {
        let bytes = store.snapshot.fingerprint("proxy token \(secret)")
        return bytes.map { byte in
            let digits = String(byte, radix: 16)
            return byte < 16 ? "0" + digits : digits
        }.joined()
    }

    /// Makes a token good, and those of the same proxy before it void.
    package func set(_ digest: String, _ holder: Holder) {
        holders.withLock { holders in
            holders = holders.filter { $0.value.proxy != holder.proxy }
            holders[digest] = holder
        }
    }

    /// The proxy calls other services now.
    package func update(_ holder: Holder) {
        holders.withLock { holders in
            for (digest, known) in holders where known.proxy == holder.proxy {
                holders[digest] = holder
            }
        }
    }

    /// Voids the tokens of a proxy.
    package func remove(_ proxy: ServiceID) {
        holders.withLock { holders in holders = holders.filter { $0.value.proxy != proxy } }
    }

    func holder(of secret: String) -> Holder? {
        if secret.isEmpty || holders.withLock({ $0.isEmpty }) { return nil }
        let digest = digest(of: secret)
        return holders.withLock { $0[digest] }
    }
}

/// Access control that knows the tokens of managed proxies.
package struct ProxyTokenAccess: AccessPolicy {
    private let base: any AccessPolicy
    private let tokens: ProxyTokens
    /// Whether everybody may read everything anyway.
    private let isOpen: Bool

    package init(_ base: any AccessPolicy, tokens: ProxyTokens, isOpen: Bool) {
        self.base = base
        self.tokens = tokens
        self.isOpen = isOpen
    }

    package var isDefaultAllow: Bool { base.isDefaultAllow }

    package func authority(of token: String) async throws -> any Authority {
        guard let holder = tokens.holder(of: token) else {
            return try await base.authority(of: token)
        }
        return ProxyAuthority(holder: holder, isOpen: isOpen)
    }
}

/// Writes nothing. Identities and decisions: of its own service only.
private struct ProxyAuthority: Authority {
    let holder: ProxyTokens.Holder
    let isOpen: Bool

    func allows(_ access: Access) -> Bool {
        let name = access.name.lowercased()
        switch (access.resource, access.kind) {
        case (.service, .identity): return name == holder.service.folded
        case (.service, .read):
            return isOpen || name == holder.service.folded
                || name == holder.proxy.text.lowercased()
                || holder.upstreams.contains { $0.folded == name }
        case (.node, .read): return true
        case (_, .read), (_, .list): return isOpen
        case (_, .write), (_, .identity): return false
        }
    }
}
