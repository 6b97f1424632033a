import Crypto
package import Foundation
package import MeshModel

/// The authority of a mesh: one root that signs and, for a while after a rotation, those before it.
///
/// A value: rotation gives a new one, which takes effect once it is stored.
package struct MeshAuthority: Sendable, Equatable {
    /// The root that signs.
    package let active: AuthorityRoot
    /// Roots that sign no more but are still believed, newest first.
    package let retired: [AuthorityRoot]

    package var trustDomain: TrustDomain { active.trustDomain }
    package var roots: [AuthorityRoot] { [active] + retired }

    /// A new authority with its first root.
    package static func make(
        trustDomain: TrustDomain, now: Date, lifetime: TimeInterval = AuthorityRoot.lifetime,
        using generator: inout some RandomNumberGenerator
    ) throws -> MeshAuthority {
        MeshAuthority(
            active: try .make(
                trustDomain: trustDomain, now: now, lifetime: lifetime, using: &generator),
            retired: [])
    }

    private init(active: AuthorityRoot, retired: [AuthorityRoot]) {
        self.active = active
        self.retired = retired
    }

    /// The authority made of stored roots. Throws unless exactly one of them is in office and all
    /// are of one domain.
    package init(roots: [AuthorityRoot]) throws {
        let inOffice = roots.filter { $0.rotatedOutAt == nil }
        guard inOffice.count == 1 else {
            throw MeshError(
                .invalid, "the store holds \(inOffice.count) active roots where one must be")
        }
        active = inOffice[0]
        retired =
            roots
            .compactMap { root in root.rotatedOutAt.map { (root, $0) } }
            .sorted { $0.1 > $1.1 }.map(\.0)
        for root in retired where root.trustDomain != active.trustDomain {
            throw MeshError(
                .invalid,
                "root \(root.id) is of \(root.trustDomain.text), not of \(active.trustDomain.text)")
        }
    }

    /// A certificate for a service.
    package func issue(
        _ id: SpiffeID, names: Set<String> = [], now: Date,
        lifetime: TimeInterval = LeafCertificate.lifetime,
        using generator: inout some RandomNumberGenerator
    ) throws -> LeafCertificate {
        try active.issue(id, names: names, now: now, lifetime: lifetime, using: &generator)
    }

    /// An authority whose first root was made elsewhere.
    package init(root: AuthorityRoot) { self.init(active: root, retired: []) }

    /// The authority after a new root of its own took over: see ``rotated(to:now:using:)``.
    package func rotated(
        now: Date, lifetime: TimeInterval = AuthorityRoot.lifetime,
        using generator: inout some RandomNumberGenerator
    ) throws -> MeshAuthority {
        let next = try AuthorityRoot.make(
            trustDomain: trustDomain, now: now, lifetime: lifetime, using: &generator)
        return try rotated(to: next, now: now, using: &generator)
    }

    /// The authority after another root took over. The old root signs the new one, so that peers
    /// verify across the change whichever of the two they know; what signed the old one goes along,
    /// for peers that have missed two changes.
    package func rotated(
        to root: AuthorityRoot, now: Date, using generator: inout some RandomNumberGenerator
    ) throws -> MeshAuthority {
        guard !roots.contains(where: { $0.id == root.id }) else {
            throw MeshError(.conflict, "root \(root.id) is one of this mesh already")
        }
        guard retired.count < Self.retiredLimit else {
            throw MeshError(
                .conflict,
                "\(retired.count) earlier roots are still believed, as many as can be: rotate "
                    + "again when the oldest is given up, two lifetimes of a leaf after its end")
        }
        var next = root
        next.rotatedOutAt = nil
        next.crossSignedDER =
            [try active.crossSign(next, now: now, using: &generator)]
            + active.crossSignedDER.prefix(Self.crossSignedLimit - 1)
        var old = active
        old.rotatedOutAt = now
        return MeshAuthority(active: next, retired: [old] + retired)
    }

    /// Earlier roots that are believed at a time.
    package static let retiredLimit = 7
    /// Certificates of roots that a leaf carries.
    package static let crossSignedLimit = 3

    /// The authority without retired roots under which no leaf can be left: those that left office
    /// more than two leaf lifetimes ago.
    package func pruned(
        now: Date, leafLifetime: TimeInterval = LeafCertificate.lifetime
    ) -> MeshAuthority {
        let kept = retired.filter { root in
            root.rotatedOutAt.map { now.timeIntervalSince($0) <= 2 * leafLifetime } ?? true
        }
        return MeshAuthority(active: active, retired: kept)
    }

    /// What peers check certificates against.
    package var bundle: TrustBundle {
        TrustBundle(trustDomain: trustDomain, rootsDER: roots.map(\.certificateDER))
    }
}

/// The roots that a mesh believes. Every one of them is good, not just the active one.
package struct TrustBundle: Sendable, Equatable {
    package let trustDomain: TrustDomain
    /// The active root first.
    package let rootsDER: [[UInt8]]

    package init(trustDomain: TrustDomain, rootsDER: [[UInt8]]) {
        self.trustDomain = trustDomain
        self.rootsDER = rootsDER
    }

    package var pem: String { PEM.certificates(rootsDER) }

    /// Names this very set of roots, whatever their order: 32 bytes. Connections and tickets made
    /// under another set are not reused.
    package var fingerprint: [UInt8] {
        var hash = SHA256()
        for root in rootsDER.map({ Array(SHA256.hash(data: $0)) })
            .sorted(by: { $0.lexicographicallyPrecedes($1) })
        {
            hash.update(data: root)
        }
        return Array(hash.finalize())
    }
}
