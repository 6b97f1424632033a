package import MeshModel

/// A part of the traffic that goes to one target.
package struct SplitPlan: Hashable, Sendable, Codable {
    /// Ten-thousandths. Weights of one list are relative: the builder scales them to the whole and
    /// leaves out those of 0.
    package var weight: Int
    /// The ``TargetPlan/id`` of the destination.
    package var target: String
    /// In place of the route's, which are among them; empty: those hold.
    package var headerOps: [HeaderOpPlan]

    package init(weight: Int, target: String, headerOps: [HeaderOpPlan] = []) {
        self.weight = weight
        self.target = target
        self.headerOps = headerOps
    }

    /// All of the traffic.
    package static func all(to target: String) -> [SplitPlan] {
        [SplitPlan(weight: 10_000, target: target)]
    }
}

/// A change of a header on its way.
package struct HeaderOpPlan: Hashable, Sendable, Codable {
    package enum Kind: Hashable, Sendable, Codable {
        case add(String)
        case set(String)
        case remove
    }

    package var name: String
    package var kind: Kind
    package var onResponse: Bool

    package init(name: String, kind: Kind, onResponse: Bool) {
        self.name = name
        self.kind = kind
        self.onResponse = onResponse
    }

    /// What a worker may keep with a request of one route's rules for answers: REQUEST_OPS_MAX.
    static let greatestAnswerSize = 8192

    /// Bytes of the rule there.
    var packedSize: Int {
        switch kind {
        case .add(let value), .set(let value):
            5 + name.utf8.count
                + ((try? HeaderTemplate(value, onResponse: onResponse))?.marked.utf8.count ?? 0)
        case .remove: 5 + name.utf8.count
        }
    }
}

/// When a failed try is repeated on another endpoint.
package struct RetryConditions: OptionSet, Hashable, Sendable, Codable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Nothing was sent yet.
    package static let connect = RetryConditions(rawValue: 1)
    /// An idempotent request was sent and no byte of an answer came.
    package static let reset = RetryConditions(rawValue: 2)
    /// Answers with a status of 500 and above.
    package static let serverErrors = RetryConditions(rawValue: 4)
    /// 502, 503 and 504.
    package static let gatewayErrors = RetryConditions(rawValue: 8)
    /// 409.
    package static let conflict = RetryConditions(rawValue: 16)
    /// 429.
    package static let limited = RetryConditions(rawValue: 32)
    /// No answer within the time of one try.
    package static let timeout = RetryConditions(rawValue: 64)
    /// Not only idempotent requests.
    package static let anyMethod = RetryConditions(rawValue: 128)
    /// Calls of gRPC with such a grpc-status, whatever the method.
    package static let cancelled = RetryConditions(rawValue: 256)
    package static let deadlineExceeded = RetryConditions(rawValue: 512)
    package static let failedInside = RetryConditions(rawValue: 1024)
    package static let exhausted = RetryConditions(rawValue: 2048)
    package static let unavailable = RetryConditions(rawValue: 4096)

    /// Those that are about the status of an answer.
    package static let answers: RetryConditions = [
        .serverErrors, .gatewayErrors, .conflict, .limited, .cancelled, .deadlineExceeded,
        .failedInside, .exhausted, .unavailable,
    ]

    /// The conditions by their names in Consul; those that have none here are left out.
    package init(_ names: [String]) {
        self = []
        for name in names {
            switch name {
            case "connect-failure": insert(.connect)
            case "reset", "refused-stream": insert(.reset)
            case "5xx": formUnion([.serverErrors, .reset, .connect, .timeout])
            case "gateway-error": formUnion([.gatewayErrors, .reset, .connect, .timeout])
            case "retriable-4xx": insert(.conflict)
            case "envoy-ratelimited": insert(.limited)
            case "cancelled": insert(.cancelled)
            case "deadline-exceeded": insert(.deadlineExceeded)
            case "internal": insert(.failedInside)
            case "resource-exhausted": insert(.exhausted)
            case "unavailable": insert(.unavailable)
            default: break
            }
        }
    }
}

/// What is done with the requests that match.
package struct RoutePlan: Hashable, Sendable, Codable {
    package enum Action: Hashable, Sendable, Codable {
        case forward([SplitPlan])
        case respond(status: Int, body: String, contentType: String)
        /// Empty texts keep what the request has.
        case redirect(status: Int, scheme: String, host: String, path: String)
    }

    /// A name, `*.example.com` for all names below, or nil for any host.
    package var host: String?
    package var match: HTTPMatch
    package var action: Action
    package var headerOps: [HeaderOpPlan]
    /// Replaces a matched prefix or exact path.
    package var prefixRewrite: String?
    /// 0 = the listener's.
    package var requestTimeout: UInt32
    package var retries: UInt32
    package var retryOn: RetryConditions
    /// nil: nothing further is asked for.
    package var traffic: TrafficPlan?
    /// What a person calls it: "listener public, route 2".
    package var rule: String
    /// Where it was written: "ringmesh.yaml:31:9", "config entry service-router/web".
    package var origin: String

    package init(
        host: String? = nil, match: HTTPMatch = HTTPMatch(), action: Action,
        headerOps: [HeaderOpPlan] = [], prefixRewrite: String? = nil, requestTimeout: UInt32 = 0,
        retries: UInt32 = 0, retryOn: RetryConditions = [], traffic: TrafficPlan? = nil,
        rule: String, origin: String
    ) {
        self.host = host
        self.match = match
        self.action = action
        self.headerOps = headerOps
        self.prefixRewrite = prefixRewrite
        self.requestTimeout = requestTimeout
        self.retries = retries
        self.retryOn = retryOn
        self.traffic = traffic
        self.rule = rule
        self.origin = origin
    }
}
