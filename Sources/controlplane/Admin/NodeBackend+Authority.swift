import MeshAdminAPI
import MeshIdentity
import MeshModel

/// The mesh's authority.
extension NodeBackend {
    func authority() async throws -> AuthorityReport {
        let authority = await identity.authority
        let leaves = await identity.leavesByRoot
        return AuthorityReport(
            provider: identity.settings.files == nil ? "builtin" : "file",
            trustDomain: authority.trustDomain.text,
            leafTtlSeconds: Int(await identity.leafLifetime),
            roots: authority.roots.map { root in
                AuthorityReport.Root(
                    id: root.id, active: root.id == authority.active.id,
                    notBefore: root.notBefore, notAfter: root.notAfter,
                    rotatedOutAt: root.rotatedOutAt, crossSigned: root.crossSignedDER.count,
                    leaves: leaves[root.id] ?? 0)
            })
    }

    func rotateRoot() async throws -> ChangeReport {
        let root = try await identity.rotate()
        return await pipeline.settle("the mesh's root \(root.id) took over")
    }
}
