package import MeshModel

/// What is asked of a token: that of one provider, with certain claims.
package struct TokenCheck: Sendable {
    package enum Reason: String, Sendable, CaseIterable {
        case good
        case malformed = "it is no signed token"
        case unknownKey = "its key is not in the provider's set"
        case badSignature = "its signature is not good"
        case wrongIssuer = "its issuer is another"
        case wrongAudience = "it is for others"
        case expired = "it has expired"
        case early = "it is not valid yet"
        case otherClaims = "its claims are others"
    }

    package struct Verdict: Sendable, Equatable {
        package var reason: Reason
        /// How long it stays true, in milliseconds.
        package var life: UInt32

        package var isGood: Bool { reason == .good }
    }

    /// The longest that a verdict is kept; a refusal may be remembered for less.
    package static let longest: Int64 = 300_000
    private static let refusal: Int64 = 60_000

    private let provider: TokenProvider
    private let keys: KeySet
    private let claims: [TokenRequirement.Claim]

    package init(provider: TokenProvider, keys: KeySet, claims: [TokenRequirement.Claim]) {
        self.provider = provider
        self.keys = keys
        self.claims = claims
    }

    /// `now`: milliseconds of Unix time.
    package func verdict(on token: [UInt8], now: Int64) -> Verdict {
        guard let token = SignedToken(token) else { return refuse(.malformed) }
        if let reason = signatureFault(token) {
            // A set that was just rotated may come in a moment.
            return refuse(reason, for: reason == .unknownKey ? 1000 : Self.refusal)
        }
        if !provider.issuer.isEmpty, token.claims[member: "iss"]?.string != provider.issuer {
            return refuse(.wrongIssuer)
        }
        guard isForUs(token.claims[member: "aud"]) else { return refuse(.wrongAudience) }
        guard claims.allSatisfy({ holds($0, token.claims) }) else { return refuse(.otherClaims) }
        let skew = provider.clockSkewSeconds * 1000
        if let start = Self.milliseconds(token.claims[member: "nbf"]), now < start - skew {
            return refuse(.early, for: min(start - skew - now, Self.refusal))
        }
        guard let end = Self.milliseconds(token.claims[member: "exp"]) else {
            // One that is there and is no time says nothing that could be relied on.
            guard token.claims[member: "exp"] == nil else { return refuse(.malformed) }
            return Verdict(reason: .good, life: UInt32(Self.longest))
        }
        let left = end + skew - now
        guard left > 0 else { return refuse(.expired) }
        return Verdict(reason: .good, life: UInt32(min(left, Self.longest)))
    }

    private func refuse(_ reason: Reason, for life: Int64 = refusal) -> Verdict {
        Verdict(reason: reason, life: UInt32(max(1, life)))
    }

    private func signatureFault(_ token: SignedToken) -> Reason? {
        let named = keys.keys.filter { key in
            guard key.algorithm == nil || key.algorithm == token.algorithm else { return false }
            return token.keyID == nil || key.id.isEmpty || key.id == token.keyID
        }
        guard !named.isEmpty else { return .unknownKey }
        let isSigned = named.contains {
            $0.key.hasSigned(token.signed, token.signature, by: token.algorithm)
        }
        return isSigned ? nil : .badSignature
    }

    private func isForUs(_ audience: DataValue?) -> Bool {
        guard !provider.audiences.isEmpty else { return true }
        switch audience {
        case .string(let one)?: return provider.audiences.contains(one)
        case .array(let all)?:
            return all.contains { $0.string.map(provider.audiences.contains) ?? false }
        default: return false
        }
    }

    /// A text that is equal, or a list that has it.
    private func holds(_ claim: TokenRequirement.Claim, _ claims: DataValue) -> Bool {
        var value: DataValue? = claims
        for step in claim.path { value = value?[member: step] }
        switch value {
        case .string(let text)?: return text == claim.value
        case .array(let list)?: return list.contains(.string(claim.value))
        default: return false
        }
    }

    /// Seconds as tokens have them, which may be a fraction; absurd ones are cut.
    private static func milliseconds(_ value: DataValue?) -> Int64? {
        let most: Double = 253_402_300_799
        switch value {
        case .int(let seconds)?: return Int64(min(max(Double(seconds), 0), most)) * 1000
        case .double(let seconds)? where seconds.isFinite:
            return Int64(min(max(seconds, 0), most) * 1000)
        default: return nil
        }
    }
}
