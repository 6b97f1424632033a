import MeshIdentity
import MeshModel
import MeshStore

/// `/v1/connect/ca/configuration`: how long certificates are good, and whose key signs.
extension AuthorityEndpoints {
    /// The provider that signs with a key of its own; there is no other.
    private static let provider = "consul"
    private static let shortestTTL = MeshDuration.hours(1)
    private static let longestTTL = MeshDuration.hours(8760)

    @concurrent func configuration(_ request: APIRequest) async throws -> APIResponse {
        try await access.authority(of: request.token).require(Access(.read, .operator))
        let settings = await backend.authoritySettings()
        let document =
            try settings.document.isEmpty
            ? [
                "IntermediateCertTTL": "8760h", "LeafCertTTL": .string("\(backend.leafTTL)"),
                "RotationPeriod": "2160h",
            ] : JSONParser.parse(Array(settings.document.utf8))
        return .json([
            "Provider": .string(Self.provider), "Config": document, "State": .null,
            "ForceWithoutCrossSigning": false,
            "CreateIndex": .number(settings.createIndex.value),
            "ModifyIndex": .number(settings.modifyIndex.value),
        ])
    }

    @concurrent func configure(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        try await access.authority(of: request.token).require(Access(.write, .operator))
        let prefix = "Bad request: Request decode failed: "
        let body = try request.fields("CAConfiguration", orFail: prefix)
        let (provider, config) = try APIRequest.read(orFail: prefix) {
            // Every root here can sign another, so that it is never forced.
            _ = try (body.bool("ForceWithoutCrossSigning"), body.value("State"))
            let parts = try (
                body.text("Provider"), body.object("Config", "map[string]interface {}")
            )
            try body.finish(besides: "ClusterID", "CreateIndex", "ModifyIndex")
            return parts
        }
        guard provider == Self.provider else {
            throw APIError(
                500, "could not initialize provider: unknown CA provider \(GoText.quoted(provider))"
            )
        }
        let fields = try config ?? Fields([:], "Config")
        let (settings, key) = try Self.settings(fields)
        do {
            try await backend.configureAuthority(settings, key: key)
        } catch let error as MeshError {
            throw APIError(500, "error configuring provider: \(error.message)")
        }
        return .done
    }

    private static func settings(
        _ fields: Fields
    ) throws -> (settings: AuthoritySettings, key: AuthorityKey?) {
        func refuse(_ text: String) -> APIError {
            APIError(500, "error configuring provider: \(text)")
        }
        do {
            let ttl = try fields.duration("LeafCertTTL")
            if let ttl, ttl < shortestTTL {
                throw refuse("leaf cert TTL must be greater or equal than \(shortestTTL.goText)")
            }
            if let ttl, ttl > longestTTL {
                throw refuse("leaf cert TTL must be less than \(longestTTL.goText)")
            }
            let type = try fields.optionalText("PrivateKeyType").nonEmpty ?? "ec"
            guard type == "ec" || type == "rsa" else {
                throw refuse("private key type must be either 'ec' or 'rsa'")
            }
            guard type == "ec", [nil, 0, 256].contains(try fields.int("PrivateKeyBits")) else {
                throw refuse("roots have EC keys of 256 bits here")
            }
            let rate = try fields.number("CSRMaxPerSecond")
            if let rate, !(rate >= 0 && rate.isFinite) {
                throw refuse("CSRMaxPerSecond must be 0 or more")
            }
            let (key, root) = try (fields.text("PrivateKey"), fields.text("RootCert"))
            guard root.isEmpty || !key.isEmpty else {
                throw refuse("RootCert needs its PrivateKey")
            }
            return (
                AuthoritySettings(
                    document: String(
                        decoding: fields.json(without: "PrivateKey").bytes(pretty: false),
                        as: UTF8.self), leafTTL: ttl, signingsPerSecond: rate),
                key.isEmpty ? nil : AuthorityKey(privateKeyPEM: key, rootPEM: root)
            )
        } catch let failure as BodyFailure {
            throw refuse("error decoding config: \(failure.text)")
        }
    }
}
