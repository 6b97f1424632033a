import MeshModel

extension CheckDefinition {
    /// Ways to check that Consul has and this node does not make.
    private static let foreign = [
        "Args", "ScriptArgs", "Script", "DockerContainerID", "Shell", "AliasNode", "AliasService",
        "UDP", "H2PING", "H2PingUseTLS", "OSService",
    ]

    /// A check of a registration. Everything of it is read; what it amounts to is checked by
    /// ``refusal``.
    init(_ fields: Fields) throws {
        self.init(
            id: try fields.optionalText("CheckID").nonEmpty ?? fields.optionalText("ID").nonEmpty,
            name: try fields.optionalText("Name").nonEmpty,
            notes: try fields.optionalText("Notes").nonEmpty,
            tcp: try fields.optionalText("TCP").nonEmpty,
            http: try fields.optionalText("HTTP").nonEmpty,
            grpc: try fields.optionalText("GRPC").nonEmpty,
            grpcUseTLS: try fields.bool("GRPCUseTLS") ? true : nil,
            method: try fields.optionalText("Method").nonEmpty,
            header: try fields.textsMap("Header"), body: try fields.optionalText("Body").nonEmpty,
            tlsServerName: try fields.optionalText("TLSServerName").nonEmpty,
            tlsSkipVerify: try fields.bool("TLSSkipVerify"), ttl: try fields.duration("TTL"),
            interval: try fields.duration("Interval"), timeout: try fields.duration("Timeout"),
            status: nil, successBeforePassing: try fields.int("SuccessBeforePassing") ?? 0,
            failuresBeforeCritical: try fields.int("FailuresBeforeCritical") ?? 0,
            deregisterCriticalServiceAfter: try fields.duration("DeregisterCriticalServiceAfter"))
        // Bounds of output and of warnings are the node's own.
        _ = try (fields.int("OutputMaxSize"), fields.int("FailuresBeforeWarning"))
        _ = try (fields.text("Namespace"), fields.text("Token"), fields.text("ServiceID"))
    }

    /// Reads a check with its status; throws in Consul's words when it cannot be made.
    static func registered(_ fields: Fields) throws -> CheckDefinition {
        var check = try CheckDefinition(fields)
        let foreign = Self.foreign.first {
            fields.value($0).map { $0 != "" && $0 != false } ?? false
        }
        let status = try fields.text("Status")
        try fields.finish()
        if let foreign {
            throw APIError(400, "Invalid check: \(foreign) checks are not made by this node")
        }
        if let refusal = check.refusal { throw APIError(400, "Invalid check: \(refusal)") }
        if !status.isEmpty {
            guard let known = CheckStatus(rawValue: status), known != .maintenance else {
                throw APIError(400, "Status for checks must 'passing', 'warning', 'critical'")
            }
            check.status = known
        }
        return check
    }

    /// Why Consul would not take it; nil: it would.
    private var refusal: String? {
        let made = [tcp, http, grpc].compactMap { $0 }
        if !made.isEmpty {
            guard let interval, interval > .zero else {
                return "Interval must be > 0 for Script, HTTP, or TCP checks"
            }
            guard ttl == nil || ttl == .zero, made.count == 1 else {
                return "a check has one of TTL, HTTP, TCP and GRPC"
            }
            guard grpc == nil || grpcTarget != nil else {
                return "GRPC must be host:port or host:port/service"
            }
            return nil
        }
        guard let ttl, ttl > .zero else { return "TTL must be > 0 for TTL checks" }
        return interval == nil || interval == .zero
            ? nil : "Interval and TTL cannot both be specified"
    }
}

extension String? {
    /// nil also for a text that is empty, as Go has no other way to say so.
    var nonEmpty: String? { self?.isEmpty == true ? nil : self }
}
