/// The name under which one mesh's authorities sign. Always in lower case.
package struct TrustDomain: ModelName {
    package let text: String

    package init(_ text: String) throws {
        try NameRule.check(
            text, what: "trust domain", marks: "-_.", limit: NameLimits.trustDomainBytes)
        guard !text.contains("..") else {
            throw MeshError(
                .invalid, "trust domain \(NameRule.quoted(text)) has an empty label: remove a '.'")
        }
        self.text = text.lowercased()
    }

    /// The identity of the domain's signing authority.
    package var uri: String { "spiffe://\(text)" }
}

/// The identity of a service: `spiffe://<trust-domain>/ns/default/dc/<dc>/svc/<service>`.
///
/// Parsing is strict: nothing that two readers could take for two identities is accepted, so no
/// port, user, query, fragment, percent escape, empty segment or trailing slash.
package struct SpiffeID: Hashable, Sendable {
    package let trustDomain: TrustDomain
    package let datacenter: DatacenterName
    package let service: ServiceName

    package init(trustDomain: TrustDomain, datacenter: DatacenterName, service: ServiceName) {
        self.trustDomain = trustDomain
        self.datacenter = datacenter
        self.service = service
    }

    package init(_ uri: String) throws {
        let scheme = "spiffe://"
        guard uri.utf8.count <= 2048, uri.prefix(scheme.count).lowercased() == scheme else {
            throw Self.malformed(uri, "it must start with spiffe://")
        }
        let parts = uri.dropFirst(scheme.count).split(
            separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 7, parts[1] == "ns", parts[3] == "dc", parts[5] == "svc" else {
            throw Self.malformed(uri, "the path must be /ns/default/dc/<dc>/svc/<service>")
        }
        guard parts[2] == "default" else {
            throw Self.malformed(uri, "the namespace must be default")
        }
        do {
            trustDomain = try TrustDomain(String(parts[0]))
            datacenter = try DatacenterName(String(parts[4]))
            service = try ServiceName(String(parts[6]))
        } catch {
            throw Self.malformed(uri, "\(error)")
        }
    }

    /// The identity as certificates carry it.
    package var uri: String {
        "spiffe://\(trustDomain.text)/ns/default/dc/\(datacenter.text)/svc/\(service.folded)"
    }

    private static func malformed(_ uri: String, _ why: String) -> MeshError {
        MeshError(.invalid, "\(NameRule.quoted(uri)) is not a service identity: \(why)")
    }
}

extension SpiffeID: CustomStringConvertible, Codable {
    package var description: String { uri }

    package init(from decoder: any Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(uri)
    }
}
