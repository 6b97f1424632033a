import MeshModel

/// What Consul checks of gateways' entries, in its words.
enum GatewayRules {
    static func ingress(_ entry: JSON) throws(APIError) {
        let hasTLS = entry.folded("TLS")?.folded("Enabled") == true
        var ports: Set<Int> = []
        for listener in entry.list("Listeners") {
            let port = Int(listener.folded("Port")?.double ?? 0)
            guard ports.insert(port).inserted else {
                throw EntryRules.refused("port \(port) declared on two listeners")
            }
            let spoken = listener.folded("Protocol")?.string.nonEmpty ?? "tcp"
            guard ServiceProtocol(rawValue: spoken) != nil else {
                throw EntryRules.refused(
                    "protocol must be 'tcp', 'http', 'http2', or 'grpc'. '\(spoken)' is an "
                        + "unsupported protocol")
            }
            try services(
                of: listener, Place(port: port, spoken: spoken),
                hasTLS: hasTLS || listener.folded("TLS")?.folded("Enabled") == true)
        }
    }

    private struct Place {
        let port: Int
        let spoken: String

        var isTCP: Bool { spoken == "tcp" }
        var text: String { "(listener on port \(port))" }
    }

    private static func services(
        of listener: JSON, _ place: Place, hasTLS: Bool
    ) throws(APIError) {
        let services = listener.list("Services")
        guard !services.isEmpty else {
            throw EntryRules.refused("No service declared for listener with port \(place.port)")
        }
        guard !place.isTCP || services.count == 1 else {
            throw EntryRules.refused(
                "Multiple services per listener are only supported for L7 protocols, 'http', "
                    + "'grpc' and 'http2' \(place.text)")
        }
        var names: Set<String> = []
        var hosts: Set<String> = []
        for service in services {
            let name = service.folded("Name")?.string ?? ""
            let own = service.list("Hosts").compactMap(\.string)
            guard !place.isTCP || name != "*" else {
                throw EntryRules.refused(
                    "Wildcard service name is only valid for protocol = 'http', 'http2' and "
                        + "'grpc' \(place.text)")
            }
            guard !place.isTCP || own.isEmpty else {
                throw EntryRules.refused(
                    "Associating hosts to a service is not supported for the tcp protocol "
                        + place.text)
            }
            guard !name.isEmpty else {
                throw EntryRules.refused("Service name cannot be blank \(place.text)")
            }
            guard name != "*" || own.isEmpty else {
                throw EntryRules.refused(
                    "Associating hosts to a wildcard service is not supported \(place.text)")
            }
            guard names.insert(name.lowercased()).inserted else {
                throw EntryRules.refused(
                    "Service \(name) cannot be added multiple times \(place.text)")
            }
            for host in own {
                guard hosts.insert(host.lowercased()).inserted else {
                    throw EntryRules.refused(
                        "Hosts must be unique within a specific listener \(place.text)")
                }
                guard !hasTLS || host != "*" else {
                    throw EntryRules.refused(
                        "Host '*' is not allowed when TLS is enabled, all hosts must be valid DNS "
                            + "records to add as a DNSSAN")
                }
            }
        }
    }

    static func terminating(_ entry: JSON) throws(APIError) {
        var names: Set<String> = []
        for service in entry.list("Services") {
            let name = service.folded("Name")?.string ?? ""
            guard !name.isEmpty else { throw EntryRules.refused("Service name cannot be blank.") }
            guard names.insert(name.lowercased()).inserted else {
                throw EntryRules.refused(
                    "Service \"\(name)\" was specified more than once within a namespace")
            }
            let files = ["CertFile", "KeyFile"].filter { service.hasText($0) }
            guard files.isEmpty || (files.count == 2 && service.hasText("CAFile")) else {
                throw EntryRules.refused(
                    "Service \"\(name)\" must have a CertFile, CAFile, and KeyFile specified for "
                        + "TLS origination")
            }
        }
    }
}
