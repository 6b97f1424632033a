/// A request to be explained, as a client would send it.
package struct ExplainedRequest: Hashable, Sendable, Codable {
    package var method: String
    /// `http://host[:port]/path?query`, or a path with a query.
    package var url: String
    package var headers: [Header]
    /// The caller: a service's name or a SPIFFE id; nil = without identity.
    package var from: String?
    /// The listener by name; nil: the one on the URL's port.
    package var listener: String?

    package struct Header: Hashable, Sendable, Codable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package init(
        method: String, url: String, headers: [Header] = [], from: String? = nil,
        listener: String? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.from = from
        self.listener = listener
    }
}

/// Every decision about a request in the order of the phases, each with the rule that made it.
package struct Explanation: Hashable, Sendable, Codable {
    package struct Phase: Hashable, Sendable, Codable {
        package enum Name: String, Hashable, Sendable, Codable {
            case listener, setting, identity, intention, certificate, normalize, route, authorize
            case limits, rewrite, headers, timeout, retry, split, endpoint, choose, upstream
            case mirror
        }

        /// What was decided.
        package enum Verdict: String, Hashable, Sendable, Codable {
            /// Taken, or good.
            case matched
            /// Looked at and not taken.
            case passed
            case allow
            case deny
            /// Nothing there to decide.
            case none
            /// The request cannot go on here.
            case refused
        }

        /// Where the rule stands when the tables do not say it: in what was written about this.
        package enum Subject: Hashable, Sendable, Codable {
            case listener(String)
            /// Ceilings of calls of a service, by another service or, nil, by whoever calls.
            case calls(of: String, by: String?)
            /// The choice among the instances of a service.
            case choice(String)
            /// What the instances of a service are spoken to in.
            case language(String)
            case instance(String)
        }

        package var phase: Name
        package var verdict: Verdict
        package var detail: String
        /// What a person calls the rule.
        package var rule: String?
        /// Where the rule was written.
        package var origin: String?
        package var subject: Subject?
    }

    package var generation: UInt64
    package var phases: [Phase]
    /// What the caller would see: "forwarded to web.default.dc1", or the status of an answer.
    package var outcome: String
}
