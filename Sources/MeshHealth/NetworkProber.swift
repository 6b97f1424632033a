package import MeshClient
package import MeshModel

/// Makes the attempt of a check.
package protocol CheckProber: Sendable {
    func probe(_ check: CheckDefinition) async -> CheckResult
}

/// Makes attempts over the network.
package struct NetworkProber: CheckProber {
    private let http: OutboundHTTP

    package init(http: OutboundHTTP) { self.http = http }

    package func probe(_ check: CheckDefinition) async -> CheckResult {
        if let address = check.tcp { return await tcp(address, check) }
        if let url = check.http { return await request(url, check) }
        if let target = check.grpcTarget { return await health(target, check) }
        return CheckResult(.critical, "this check cannot be made by the node")
    }

    private func tcp(_ address: String, _ check: CheckDefinition) async -> CheckResult {
        do {
            let place = try HostPort(address)
            try await Probe.tcp(
                host: place.host, port: place.port, timeout: check.effectiveTimeout.duration)
            return CheckResult(.passing, "TCP connect \(address): success")
        } catch {
            return CheckResult(.critical, "TCP connect \(address): \(error)")
        }
    }

    private func health(
        _ target: (address: HostPort, service: String), _ check: CheckDefinition
    ) async -> CheckResult {
        let name = check.grpc ?? ""
        do {
            try await Probe.health(
                HealthQuestion(
                    host: target.address.host, port: target.address.port, service: target.service,
                    encryption: check.grpcUseTLS == true
                        ? .init(verifies: !check.tlsSkipVerify, serverName: check.tlsServerName)
                        : nil, timeout: check.effectiveTimeout.duration))
            return CheckResult(.passing, "gRPC check \(name): success")
        } catch {
            return CheckResult(.critical, "gRPC check \(name): \(error)")
        }
    }

    private func request(_ url: String, _ check: CheckDefinition) async -> CheckResult {
        let method = check.method ?? "GET"
        var request = OutboundRequest(
            method, url: url,
            headers: check.header.sorted { $0.key < $1.key }.flatMap { name, values in
                values.map { (name, $0) }
            },
            body: check.body.map { Array($0.utf8) }, timeout: check.effectiveTimeout.duration,
            bodyLimit: CheckResult.outputLimit, excess: .cut,
            trust: check.tlsSkipVerify ? .none : .system, tlsServerName: check.tlsServerName)
        request.subject = url
        do {
            let answer = try await http.send(request)
            let status: CheckStatus =
                switch answer.status {
                case 200...299: .passing
                case 429: .warning
                default: .critical
                }
            return CheckResult(status, "HTTP \(method) \(url): \(answer.status) \(answer.text)")
        } catch {
            return CheckResult(.critical, "HTTP \(method) \(url): \(error)")
        }
    }
}
