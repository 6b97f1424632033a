package import MeshModel

/// A provider of tokens with the keys that it has now.
package struct TokenProviderPlan: Hashable, Sendable, Codable {
    package var provider: TokenProvider
    /// The bytes of its key set; none: it is not known yet.
    package var keySet: [UInt8]

    package init(provider: TokenProvider, keySet: [UInt8]) {
        self.provider = provider
        self.keySet = keySet
    }

    /// Changes with anything that a verdict depends on.
    fileprivate func combine(into hash: inout StableHash) {
        hash.combine(provider.name)
        hash.combine(provider.issuer)
        for audience in provider.audiences { hash.combine(audience) }
        hash.combine(UInt64(provider.audiences.count))
        hash.combine(UInt64(provider.clockSkewSeconds))
        hash.combine(keySet)
    }
}

extension [String: TokenProviderPlan] {
    /// By what workers ask about tokens of this provider with these claims. Another key set,
    /// issuer, audience or claim is another question: no verdict of before answers it.
    package func key(of wanted: TokenRequirement.Provider) -> UInt64 {
        var hash = StableHash()
        hash.combine(wanted.name)
        self[wanted.name]?.combine(into: &hash)
        for claim in wanted.verifyClaims {
            for step in claim.path { hash.combine(step) }
            hash.combine(UInt64(claim.path.count))
            hash.combine(claim.value)
        }
        return hash.finish()
    }
}
