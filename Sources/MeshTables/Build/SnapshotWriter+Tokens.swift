import CMeshABI
import MeshModel

/// What permissions ask of tokens.
extension SnapshotWriter {
    /// The number by which a permission asks for all of these: 0 for none. Permissions that ask for
    /// the same share it.
    mutating func number(of requirements: [TokenRequirement]) -> UInt32 {
        if let known = tokenNumbers[requirements] { return known }
        // A record refers to later ones only.
        let first = out.tokens.count
        for (index, requirement) in requirements.enumerated() {
            var record = abi_token()
            var checks: [abi_token_check] = []
            // A requirement of nobody's token is one that nobody meets.
            let nobody = [TokenRequirement.Provider(name: "")]
            for provider in requirement.providers.isEmpty ? nobody : requirement.providers {
                checks.append(check(provider))
            }
            record.checks = abi_ref(
                at: UInt32(out.tokenChecks.count), count: UInt32(checks.count))
            out.tokenChecks += checks
            if index + 1 < requirements.count { record.also = UInt32(first + index + 2) }
            out.tokens.append(record)
        }
        guard out.tokens.count <= LIMIT_TOKENS, out.tokenChecks.count <= LIMIT_TOKENS,
            out.tokenPlaces.count <= LIMIT_TOKENS
        else {
            refuse("intentions ask for more than \(LIMIT_TOKENS) tokens: ask for fewer")
            return 0
        }
        let number = requirements.isEmpty ? 0 : UInt32(first + 1)
        tokenNumbers[requirements] = number
        return number
    }

    private mutating func check(_ wanted: TokenRequirement.Provider) -> abi_token_check {
        let plan = node.tokenProviders[wanted.name]
        let what = "jwt-provider \(wanted.name)"
        // Without its provider a token is asked for that nobody has.
        let places = plan?.provider.places ?? [TokenProvider.Place(.header, "authorization")]
        var record = abi_token_check()
        record.key = node.tokenProviders.key(of: wanted)
        record.forward = place(plan?.provider.payloadHeader ?? "", what)
        record.pad_payload = plan?.provider.padsPayload == true ? 1 : 0
        record.places = abi_ref(at: UInt32(out.tokenPlaces.count), count: UInt32(places.count))
        for one in places {
            var written = abi_token_place()
            written.name = place(one.name, what)
            written.prefix = place(one.prefix, what)
            switch one.kind {
            case .header:
                written.where = UInt8(ABI_TOKEN_HEADER.rawValue)
                written.drop = one.forwards ? 0 : 1
            case .query: written.where = UInt8(ABI_TOKEN_QUERY.rawValue)
            case .cookie: written.where = UInt8(ABI_TOKEN_COOKIE.rawValue)
            }
            out.tokenPlaces.append(written)
        }
        return record
    }
}
