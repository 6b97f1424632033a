package import MeshModel

/// A request to a Consul agent.
package struct AgentRequest: Sendable, Equatable {
    package var method = "GET"
    /// Encoded, without query.
    package var path: String
    package var query: [(String, String)] = []
    package var body: [UInt8]?
    /// How long the agent may keep the request; nil: it answers at once.
    package var wait: Duration?
    /// What the answer may take besides.
    package var timeout: Duration = .seconds(10)

    package init(
        _ method: String = "GET", _ path: String, query: [(String, String)] = [],
        body: [UInt8]? = nil, wait: Duration? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.body = body
        self.wait = wait
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.method == right.method && left.path == right.path && left.body == right.body
            && left.wait == right.wait
            && left.query.map { "\($0.0)=\($0.1)" } == right.query.map { "\($0.0)=\($0.1)" }
    }
}

/// What an agent answered.
package struct AgentAnswer: Sendable {
    package var status: Int
    /// Names in lower case.
    package var headers: [String: String]
    package var body: [UInt8]

    package init(status: Int, headers: [String: String] = [:], body: [UInt8] = []) {
        self.status = status
        self.headers = Dictionary(headers.map { ($0.key.lowercased(), $0.value) }) { $1 }
        self.body = body
    }

    /// `X-Consul-Index`; nil when there is none or it is no number.
    package var index: UInt64? { headers["x-consul-index"].flatMap { UInt64($0) } }
    /// `X-Consul-ContentHash`.
    package var hash: String? { headers["x-consul-contenthash"] }
    /// What holds where no intention covers a call, if the agent says it in passing (1.9 and
    /// later).
    package var defaultPolicy: IntentionAction? {
        headers["x-consul-default-acl-policy"].flatMap { IntentionAction(rawValue: $0) }
    }

    /// Whether there is no such config entry, or none of this kind: Consuls before 1.10 know fewer.
    package var saysNoEntry: Bool {
        status == 404 || (status != 200 && text.contains("invalid config entry kind"))
    }

    /// The agent's own words, bounded: for people.
    package var text: String {
        let text = String(decoding: body.prefix(300), as: UTF8.self)
        return text.split(whereSeparator: \.isNewline).joined(separator: " ")
    }
}

/// The way to an agent.
package protocol AgentTransport: Sendable {
    /// The address, for people.
    var subject: String { get }

    /// One request, one attempt. Throws when there is no answer; any status is one.
    func exchange(_ request: AgentRequest) async throws -> AgentAnswer
}
