import Foundation
import MeshIdentity
import MeshModel
import MeshStore
import Synchronization

/// Settings of the authority that come over the API.
extension IdentityKeeper {
    static let record = NodeRecord<AuthoritySettings>(name: "mesh/authority-settings")

    /// How long certificates are good that are made from now on.
    var leafLifetime: TimeInterval {
        told?.leafTTL.map { TimeInterval($0.nanoseconds) / 1e9 } ?? settings.leafTTL
    }

    /// Takes other settings in place of those that were set before; with a key that is not the
    /// active root's, its root takes over. Both or nothing.
    func configure(_ wanted: AuthoritySettings, key: AuthorityKey?) async throws {
        let next = try key.flatMap { try successor($0) }
        let before = told
        let kept = Mutex(wanted)
        let save: @Sendable (inout StoreDraft) throws -> Void = { draft in
            var wanted = wanted
            wanted.createIndex = before?.createIndex ?? draft.index
            wanted.modifyIndex = draft.index
            try Self.record.save(wanted, &draft)
            kept.withLock { $0 = wanted }
        }
        if let next {
            _ = try await takeOver(next, also: save)
        } else {
            try await store.write(save)
        }
        told = kept.withLock { $0 }
        budget = Self.budget(told, settings)
    }

    static func budget(_ told: AuthoritySettings?, _ settings: Settings) -> SigningBudget {
        SigningBudget(perSecond: told?.signingsPerSecond ?? Double(settings.signingsPerSecond))
    }

    /// The authority after the root of this key took over; nil: it signs already.
    private func successor(_ key: AuthorityKey) throws -> MeshAuthority? {
        let domain = authority.trustDomain
        let root =
            try key.rootPEM.isEmpty
            ? AuthorityFiles.madeRoot(
                keyPEM: key.privateKeyPEM, trustDomain: domain, now: Date(),
                lifetime: settings.rootTTL, using: &generator)
            : AuthorityFiles.root(
                certificatePEM: key.rootPEM, keyPEM: key.privateKeyPEM, trustDomain: domain)
        let isSame =
            key.rootPEM.isEmpty
            ? root.signingKeyID == authority.active.signingKeyID : root.id == authority.active.id
        guard !isSame else { return nil }
        guard settings.files == nil else {
            throw MeshError(
                .conflict,
                "mesh.ca_cert and mesh.ca_key of this node name the root: put the next one there")
        }
        return try authority.rotated(to: root, now: Date(), using: &generator)
    }
}
