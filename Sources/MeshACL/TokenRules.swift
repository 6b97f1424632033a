package import MeshModel

/// What a token refers to, turned into rules.
package enum TokenRules {
    /// The authorizer of a token. Policies that are gone, or hold elsewhere, count for nothing; one
    /// that cannot be read denies everything that it could have denied, so it throws.
    package static func authorizer(
        of token: ACLToken, datacenter: String, isDefaultAllow: Bool,
        policy: (String) -> ACLPolicy?
    ) throws -> Authorizer {
        var all: [AccessRules] = []
        for id in token.policies {
            if id == ACLPolicy.managementID { return .management }
            guard let policy = policy(id), holds(policy.datacenters, datacenter) else { continue }
            all.append(try AccessRules(parsing: policy.rules))
        }
        for identity in token.serviceIdentities where holds(identity.datacenters, datacenter) {
            all.append(rules(ofService: identity.serviceName))
        }
        for identity in token.nodeIdentities where identity.datacenter == datacenter {
            all.append(rules(ofNode: identity.nodeName))
        }
        return Authorizer(rules: AccessRules(merging: all), isDefaultAllow: isDefaultAllow)
    }

    private static func holds(_ datacenters: [String], _ own: String) -> Bool {
        datacenters.isEmpty || datacenters.contains(own)
    }

    /// What a service and its sidecar need: to register themselves and to find others.
    package static func rules(ofService name: String) -> AccessRules {
        var rules = AccessRules()
        for own in [name, name + "-sidecar-proxy"] {
            rules.add(.write, .service, own, isPrefix: false)
            rules.add(.read, .intention, own, isPrefix: false)
        }
        rules.add(.read, .service, "", isPrefix: true)
        rules.add(.read, .intention, "", isPrefix: true)
        rules.add(.read, .node, "", isPrefix: true)
        return rules
    }

    /// What the agent of a node needs.
    package static func rules(ofNode name: String) -> AccessRules {
        var rules = AccessRules()
        rules.add(.write, .node, name, isPrefix: false)
        rules.add(.read, .service, "", isPrefix: true)
        rules.add(.read, .intention, "", isPrefix: true)
        return rules
    }
}
