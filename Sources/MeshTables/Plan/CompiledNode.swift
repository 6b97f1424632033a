package import MeshModel

/// Everything that the data plane of one node routes by, before it is written as bytes.
///
/// Made by the compilers of the roles, turned into a snapshot by ``SnapshotBuilder``. A plan names
/// other plans (a split its target, a listener its identity); the builder resolves the names and
/// refuses what is missing.
package struct CompiledNode: Hashable, Sendable, Codable {
    /// The mesh's trust domain; empty without a mesh.
    package var trustDomain: String
    package var datacenter: String
    package var node: String
    package var listeners: [ListenerPlan]
    package var targets: [TargetPlan]
    package var identities: [IdentityPlan]
    /// TLS settings, referred to by ``TLSRef``.
    package private(set) var tls: [TLSPlan]
    /// Who may call whom. Policies are compiled for the services that listeners and targets name.
    package var intentions: [Intention]
    /// Those who issue the tokens that intentions ask for, by name.
    package var tokenProviders: [String: TokenProviderPlan] = [:]
    /// What holds where no intention covers a call.
    package var intentionsDefault: IntentionAction

    private var tlsIndexes: [TLSPlan: Int]

    package init(
        node: String, datacenter: String, trustDomain: String = "",
        listeners: [ListenerPlan] = [], targets: [TargetPlan] = [],
        identities: [IdentityPlan] = [], intentions: [Intention] = [],
        intentionsDefault: IntentionAction = .deny
    ) {
        self.trustDomain = trustDomain
        self.datacenter = datacenter
        self.node = node
        self.listeners = listeners
        self.targets = targets
        self.identities = identities
        self.tls = []
        self.intentions = intentions
        self.intentionsDefault = intentionsDefault
        self.tlsIndexes = [:]
    }

    /// Where equal settings stand follows from the settings.
    private enum CodingKeys: String, CodingKey {
        case trustDomain, datacenter, node, listeners, targets, identities, tls, intentions
        case intentionsDefault, tokenProviders
    }

    package init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        trustDomain = try values.decode(String.self, forKey: .trustDomain)
        datacenter = try values.decode(String.self, forKey: .datacenter)
        node = try values.decode(String.self, forKey: .node)
        listeners = try values.decode([ListenerPlan].self, forKey: .listeners)
        targets = try values.decode([TargetPlan].self, forKey: .targets)
        identities = try values.decode([IdentityPlan].self, forKey: .identities)
        tls = try values.decode([TLSPlan].self, forKey: .tls)
        intentions = try values.decode([Intention].self, forKey: .intentions)
        intentionsDefault = try values.decode(IntentionAction.self, forKey: .intentionsDefault)
        tokenProviders =
            try values.decodeIfPresent([String: TokenProviderPlan].self, forKey: .tokenProviders)
            ?? [:]  // of a version that knew none
        tlsIndexes = Dictionary(tls.enumerated().map { ($0.element, $0.offset) }) { first, _ in
            first
        }
    }

    /// Issuers change their keys also while a plan is held: takes the sets of providers that are
    /// described as they were, unless they are not known yet.
    package mutating func renewKeySets(from newer: CompiledNode) {
        for (name, plan) in newer.tokenProviders
        where tokenProviders[name]?.provider == plan.provider && !plan.keySet.isEmpty {
            tokenProviders[name] = plan
        }
    }

    /// The reference to these settings; equal settings are kept once.
    package mutating func intern(_ plan: TLSPlan) -> TLSRef {
        if let index = tlsIndexes[plan] { return TLSRef(index: index) }
        tls.append(plan)
        tlsIndexes[plan] = tls.count - 1
        return TLSRef(index: tls.count - 1)
    }
}

/// TLS settings of a ``CompiledNode``, as ``CompiledNode/intern(_:)`` returned them.
package struct TLSRef: Hashable, Sendable, Codable {
    package let index: Int
}
