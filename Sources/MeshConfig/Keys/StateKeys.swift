import MeshModel

/// The keys of access control and of DNS.
enum StateKeys {
    static let acl = ObjectSchema(
        "acl section",
        [
            .key(
                "enabled", .bool, default: "false",
                "Whether the Consul-compatible API asks for tokens. Without it everybody who "
                    + "reaches the API may do everything."),
            .key(
                "default_policy", .choice(["allow", "deny"]), default: "deny",
                "What a token may do where none of its rules says so. Tokens and policies "
                    + "themselves are never open."),
            .key(
                "management_token_file", .path(.existingFile), default: "",
                "A file with a token, 16 to 255 characters: whoever shows it may do everything. "
                    + "Empty makes none; `/v1/acl/bootstrap` then gives the first one.",
                example: "/etc/ringmesh/management.token"),
            .key(
                "agent_token_file", .path(.existingFile), default: "",
                "A file with a token that may write this node and read all services and nodes.",
                example: "/etc/ringmesh/agent.token"),
            .key(
                "default_token_file", .path(.existingFile), default: "",
                "A file with the token that requests without one have. Empty: they have the "
                    + "anonymous token.",
                example: "/etc/ringmesh/default.token"),
            .key(
                "bootstrap_reset", .integer(0...Int.max), default: "0",
                "The reset index that a refused bootstrap names: it is then allowed once more. "
                    + "0 allows none."),
        ])

    static let dns = ObjectSchema(
        "dns section",
        [
            .key(
                "bind_addr", .address, default: "",
                "Where names of services are answered, over UDP and TCP. Empty turns it off.",
                example: "127.0.0.1:8600"),
            .key(
                "domain", .text(domain), default: "consul",
                "The domain that is answered for; questions about others are refused."),
            .key(
                "node_ttl", .duration(.zero ... .hours(24), zero: true), default: "0s",
                "How long answers about nodes may be kept. In whole seconds."),
            .key(
                "service_ttl", .duration(.zero ... .hours(24), zero: true), default: "0s",
                "How long answers about services may be kept. In whole seconds."),
            .key(
                "only_passing", .bool, default: "false",
                "Whether a warning keeps an instance out of answers, as critical does."),
        ])

    private static let domain = TextRule(name: "domain", mayBeEmpty: false) { text in
        guard IPText.isHost(text[...]), !IPText.isAddress(text[...]) else {
            throw MeshError(
                .invalid, "\(text.debugDescription) is no domain: write one, for example consul")
        }
    }
}

extension ConfigurationReader {
    func acl(_ fields: Fields) -> Configuration.ACL {
        func file(_ key: String) -> String? {
            let path = fields.path(key)
            return path.isEmpty ? nil : path
        }
        let reset = fields.integer("bootstrap_reset") ?? 0
        return Configuration.ACL(
            enabled: fields.bool("enabled"),
            defaultPolicy: fields.choice("default_policy", Configuration.ACL.Default.self) ?? .deny,
            managementTokenFile: file("management_token_file"),
            agentTokenFile: file("agent_token_file"),
            defaultTokenFile: file("default_token_file"),
            bootstrapReset: reset > 0 ? UInt64(reset) : nil)
    }

    func dns(_ fields: Fields) -> Configuration.DNS {
        Configuration.DNS(
            bindAddr: fields.address("bind_addr"), domain: fields.text("domain") ?? "consul",
            nodeTTL: fields.duration("node_ttl") ?? .zero,
            serviceTTL: fields.duration("service_ttl") ?? .zero,
            onlyPassing: fields.bool("only_passing"))
    }
}

extension Configuration {
    var aclValue: YAMLValue {
        .map([
            ("enabled", .bool(acl.enabled)),
            ("default_policy", .text(acl.defaultPolicy.rawValue)),
            ("management_token_file", .text(acl.managementTokenFile ?? "")),
            ("agent_token_file", .text(acl.agentTokenFile ?? "")),
            ("default_token_file", .text(acl.defaultTokenFile ?? "")),
            ("bootstrap_reset", .number(acl.bootstrapReset ?? 0)),
        ])
    }

    var dnsValue: YAMLValue {
        .map([
            ("bind_addr", .text(dns.bindAddr?.description ?? "")), ("domain", .text(dns.domain)),
            ("node_ttl", .duration(dns.nodeTTL)), ("service_ttl", .duration(dns.serviceTTL)),
            ("only_passing", .bool(dns.onlyPassing)),
        ])
    }
}
