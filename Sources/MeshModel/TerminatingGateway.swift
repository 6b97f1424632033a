/// The services outside the mesh that the gateways of one name stand for.
package struct TerminatingGateway: Hashable, Sendable, Codable {
    /// A service that callers in the mesh reach through the gateway.
    package struct Service: Hashable, Sendable, Codable {
        /// `*`: every service without a proxy of its own.
        package var name: NamePattern
        /// Authorities that the service's certificate is checked against, a file in PEM; empty:
        /// the service is spoken to in plain text.
        package var caFile: String
        /// What the gateway shows the service, files in PEM; empty: nothing.
        package var certFile: String
        package var keyFile: String
        /// The server name to ask for, which the service's certificate must have.
        package var sni: String

        package init(
            name: NamePattern, caFile: String = "", certFile: String = "", keyFile: String = "",
            sni: String = ""
        ) {
            self.name = name
            self.caFile = caFile
            self.certFile = certFile
            self.keyFile = keyFile
            self.sni = sni
        }

        package enum CodingKeys: String, CodingKey {
            case name, sni
            case caFile = "ca_file"
            case certFile = "cert_file"
            case keyFile = "key_file"
        }
    }

    package var name: ServiceName
    package var services: [Service]
    package var meta: [String: String]

    package init(name: ServiceName, services: [Service], meta: [String: String] = [:]) {
        self.name = name
        self.services = services
        self.meta = meta
    }

    /// What is said of a service, by its own name rather than by `*`.
    package func service(_ name: ServiceName) -> Service? {
        services.first { $0.name != .any && $0.name.covers(name) }
            ?? services.first { $0.name == .any }
    }
}

extension TerminatingGateway: Validated {
    package func validate(_ checks: inout FieldChecks) {
        var names: Set<NamePattern> = []
        for (index, service) in services.enumerated() {
            checks.within(["services", .index(index)]) { checks in
                checks.require(
                    names.insert(service.name).inserted, ["name"],
                    "Service \"\(service.name)\" was specified more than once within a namespace")
                let shows = !service.certFile.isEmpty || !service.keyFile.isEmpty
                let isWhole =
                    !service.caFile.isEmpty && !service.certFile.isEmpty && !service.keyFile.isEmpty
                checks.require(
                    !shows || isWhole, [],
                    "Service \"\(service.name)\" must have a CertFile, CAFile, and KeyFile "
                        + "specified for TLS origination")
                checks.require(
                    service.sni.isEmpty || !service.caFile.isEmpty, ["sni"],
                    "a server name is asked for with TLS alone: write ca_file")
            }
        }
    }
}
