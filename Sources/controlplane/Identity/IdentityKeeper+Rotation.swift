import Foundation
import MeshHealth
import MeshIdentity
import MeshModel
import MeshStore
import MeshTelemetry

/// Changes of the mesh's root.
extension IdentityKeeper {
    /// Another root signs from now on: that of the files if they hold a new one, else one that is
    /// made here. It is believed as soon as it is stored; leaves follow within half a minute, each
    /// with the root as signed by the one before, so that peers which know either believe them.
    func rotate() async throws -> AuthorityRoot {
        let next: MeshAuthority
        if let given = try settings.root(of: authority.trustDomain) {
            guard !authority.roots.contains(where: { $0.id == given.id }) else {
                throw MeshError(
                    .conflict,
                    "mesh.ca_cert holds a root that is one of this mesh already: put the next one "
                        + "into the files first")
            }
            next = try authority.rotated(to: given, now: Date(), using: &generator)
        } else {
            next = try authority.rotated(
                now: Date(), lifetime: settings.rootTTL, using: &generator)
        }
        return try await takeOver(next)
    }

    /// `also` is written with it.
    func takeOver(
        _ next: MeshAuthority,
        also: @escaping @Sendable (inout StoreDraft) throws -> Void = { _ in }
    ) async throws -> AuthorityRoot {
        let before = authority
        try await store.write { draft in
            guard try draft.state.authority()?.active.id == before.active.id else {
                throw MeshError(.conflict, "the root is being changed by somebody else: try again")
            }
            try draft.putAuthority(next)
            try also(&draft)
        }
        authority = next
        let now = Date()
        for service in held.keys {
            held[service]?.schedule.rootChanged(now: now, using: &generator)
        }
        log.info(
            "another root took over",
            metadata: ["root": "\(next.active.id)", "before": "\(before.active.id)"])
        signal.wake()
        return next.active
    }

    /// Gives up roots under which no leaf can be left; says whether there was one.
    func pruneRoots(now: Date) async -> Bool {
        let kept = authority.pruned(now: now, leafLifetime: leafLifetime)
        guard kept != authority else { return false }
        do {
            try await store.write { try $0.putAuthority(kept) }
        } catch {
            board.set(.identity, "roots", "an old root is not given up: \(error)")
            return false
        }
        board.clear(.identity, "roots")
        authority = kept
        log.info("gave up roots that left office long ago")
        return true
    }

    /// How many of the leaves in use each root has signed, by its id.
    var leavesByRoot: [String: Int] {
        held.values.reduce(into: [:]) { $0[$1.leaf.rootID, default: 0] += 1 }
    }
}
