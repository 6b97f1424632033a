/// Copies of requests for another service, whose answers nobody reads. Ours, not Consul's.
package struct RequestMirror: Hashable, Sendable, Codable {
    package var service: ServiceName
    /// How many requests are copied, in per cent.
    package var percent: Double

    package init(service: ServiceName, percent: Double = 100) {
        self.service = service
        self.percent = percent
    }
}

extension RequestMirror: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            percent >= 0.01 && percent <= 100, ["percent"], "write a per cent of 0.01 to 100")
    }
}
