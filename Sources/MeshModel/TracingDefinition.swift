/// Where spans of sampled requests are sent, and which requests are.
package struct TracingDefinition: Hashable, Sendable {
    /// How bodies are coded on their way to the collector.
    package enum Compression: String, Sendable {
        case none
        case gzip
    }

    /// The URL that spans are posted to; nil: nothing is sent.
    package var endpoint: String?
    /// Fields of every request, their values secret.
    package var headers: [String: String]
    package var timeout: MeshDuration
    package var compression: Compression
    /// The share of requests without a traceparent that is sampled.
    package var sample: Double
    /// What spans of the node's own listeners are said to come from.
    package var serviceName: String

    package static let off = Self()

    package init(
        endpoint: String? = nil, headers: [String: String] = [:],
        timeout: MeshDuration = .seconds(10), compression: Compression = .none,
        sample: Double = 0.01, serviceName: String = "ringmesh"
    ) {
        self.endpoint = endpoint
        self.headers = headers
        self.timeout = timeout
        self.compression = compression
        self.sample = sample
        self.serviceName = serviceName
    }

    /// The URL to post to: one without a path gets the one that OTLP has for traces. nil: "".
    package static func url(_ text: String) throws -> String? {
        if text.isEmpty { return nil }
        func refuse(_ why: String) -> MeshError {
            MeshError(
                .invalid, "the URL of a collector \(why): write for example http://127.0.0.1:4318")
        }
        let scheme = ["http://", "https://"].first { text.lowercased().hasPrefix($0) }
        guard let scheme else { throw refuse("begins with http:// or https://") }
        guard !text.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else {
            throw refuse("has no blanks")
        }
        let rest = text.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        guard !authority.contains("@") else {
            throw refuse("has no password in it; headers are kept secret")
        }
        guard !authority.isEmpty, authority.first != ":" else { throw refuse("names a host") }
        let path = rest.dropFirst(authority.count)
        guard !path.contains("#") else { throw refuse("has no fragment") }
        return path.isEmpty || path == "/" ? "\(scheme)\(authority)/v1/traces" : text
    }

    package func problems() -> [FieldProblem] {
        var checks = FieldChecks()
        checks.require((0...1).contains(sample), ["sample"], "a share is a number from 0 to 1")
        for (name, value) in headers.sorted(by: { $0.key < $1.key }) {
            checks.require(
                HTTPToken.isToken(name)
                    && !value.utf8.contains { ($0 < 0x20 && $0 != 0x09) || $0 == 0x7f },
                ["otlp", "headers"], "\(name.debugDescription) cannot be sent as a header")
        }
        return checks.problems
    }
}
