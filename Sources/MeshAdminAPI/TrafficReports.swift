/// What the workers run now, read back from the published snapshot.
package struct RoutesReport: Codable, Sendable, Equatable {
    package var generation: UInt64
    package var listeners: [ListenerReport]
    package var targets: [TargetReport]

    package init(generation: UInt64, listeners: [ListenerReport], targets: [TargetReport]) {
        self.generation = generation
        self.listeners = listeners
        self.targets = targets
    }
}

package struct ListenerReport: Codable, Sendable, Equatable {
    package struct Route: Codable, Sendable, Equatable {
        /// `*` for a route of every host.
        package var host: String
        package var match: String
        package var action: String
        package var rule: String
        package var origin: String

        package init(host: String, match: String, action: String, rule: String, origin: String) {
            self.host = host
            self.match = match
            self.action = action
            self.rule = rule
            self.origin = origin
        }
    }

    package var name: String
    package var address: String
    package var kind: String
    /// `none`, `tls` or `mtls`.
    package var tls: String
    /// `plain`, `mesh-inbound` or `mesh-outbound`.
    package var role: String
    package var identity: String?
    package var routes: [Route]
    package var settings: ListenerSettingsReport?

    package init(
        name: String, address: String, kind: String, tls: String, role: String, identity: String?,
        routes: [Route], settings: ListenerSettingsReport? = nil
    ) {
        self.name = name
        self.address = address
        self.kind = kind
        self.tls = tls
        self.role = role
        self.identity = identity
        self.routes = routes
        self.settings = settings
    }
}

package struct TargetReport: Codable, Sendable, Equatable {
    package struct Endpoint: Codable, Sendable, Equatable {
        package var instance: String
        package var node: String
        package var address: String
        package var tls: Bool
        package var healthy: Bool
        package var weight: Int

        package init(
            instance: String, node: String, address: String, tls: Bool, healthy: Bool, weight: Int
        ) {
            self.instance = instance
            self.node = node
            self.address = address
            self.tls = tls
            self.healthy = healthy
            self.weight = weight
        }
    }

    package var name: String
    package var service: String
    package var endpoints: [Endpoint]
    package var failover: [String]
    /// The PROXY header that connections begin with: `v1` or `v2`.
    package var proxyProtocol: String?

    package init(
        name: String, service: String, endpoints: [Endpoint], failover: [String],
        proxyProtocol: String? = nil
    ) {
        self.name = name
        self.service = service
        self.endpoints = endpoints
        self.failover = failover
        self.proxyProtocol = proxyProtocol
    }
}

/// Counters since the data plane started, added up over its workers.
package struct StatsReport: Codable, Sendable, Equatable {
    /// A latency distribution in microseconds.
    package struct Latency: Codable, Sendable, Equatable {
        package var count: UInt64
        package var sumUs: UInt64
        package var p50Us: UInt64
        package var p90Us: UInt64
        package var p99Us: UInt64
        /// Observations by bucket, those behind the last that has any left out; bucket 0 is below
        /// 1 µs, then come two for each power of two. nil: an answer of an earlier version.
        package var buckets: [UInt64]?

        package init(
            count: UInt64, sumUs: UInt64, p50Us: UInt64, p90Us: UInt64, p99Us: UInt64,
            buckets: [UInt64]? = nil
        ) {
            self.count = count
            self.sumUs = sumUs
            self.p50Us = p50Us
            self.p90Us = p90Us
            self.p99Us = p99Us
            self.buckets = buckets
        }
    }

    package struct Listener: Codable, Sendable, Equatable {
        package var name: String
        package var counters: [String: UInt64]
        /// Ends of requests and connections by outcome; those that never happened are left out.
        package var outcomes: [String: UInt64]
        package var latency: Latency

        package init(
            name: String, counters: [String: UInt64], outcomes: [String: UInt64], latency: Latency
        ) {
            self.name = name
            self.counters = counters
            self.outcomes = outcomes
            self.latency = latency
        }
    }

    package struct Target: Codable, Sendable, Equatable {
        package var name: String
        package var counters: [String: UInt64]
        package var latency: Latency

        package init(name: String, counters: [String: UInt64], latency: Latency) {
            self.name = name
            self.counters = counters
            self.latency = latency
        }
    }

    /// A route of a listener, or an endpoint of a service.
    package struct Way: Codable, Sendable, Equatable {
        /// `route` or `endpoint`.
        package var kind: String
        /// The route's listener, the endpoint's service.
        package var owner: String
        /// The route in words, the endpoint's instance.
        package var name: String
        /// Where the route was written, the endpoint's address.
        package var place: String
        package var counters: [String: UInt64]
        package var latency: Latency

        package init(
            kind: String, owner: String, name: String, place: String, counters: [String: UInt64],
            latency: Latency
        ) {
            self.kind = kind
            self.owner = owner
            self.name = name
            self.place = place
            self.counters = counters
            self.latency = latency
        }
    }

    package struct Worker: Codable, Sendable, Equatable {
        package var id: Int
        package var counters: [String: UInt64]

        package init(id: Int, counters: [String: UInt64]) {
            self.id = id
            self.counters = counters
        }
    }

    package var listeners: [Listener]
    package var targets: [Target]
    package var workers: [Worker]
    /// Routes and endpoints that were used, the busiest first, at most 2000 of each. nil: an answer
    /// of an earlier version.
    package var ways: [Way]?

    package init(
        listeners: [Listener], targets: [Target], workers: [Worker], ways: [Way]? = nil
    ) {
        self.listeners = listeners
        self.targets = targets
        self.workers = workers
        self.ways = ways
    }
}

/// A request to be explained.
package struct ExplainRequest: Codable, Sendable, Equatable {
    package struct Header: Codable, Sendable, Equatable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package var method: String
    /// `http://host[:port]/path?query`; the port picks the listener unless `listener` names one.
    package var url: String
    package var headers: [Header]
    /// The caller: a service name or a SPIFFE id; nil = without identity.
    package var from: String?
    package var token: String?
    package var listener: String?

    package init(
        method: String, url: String, headers: [Header] = [], from: String? = nil,
        token: String? = nil, listener: String? = nil
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.from = from
        self.token = token
        self.listener = listener
    }
}

/// Every decision about a request, in the order of the phases, with the rule that made it.
package struct ExplainReport: Codable, Sendable, Equatable {
    package struct Phase: Codable, Sendable, Equatable {
        package var phase: String
        /// What was decided: `allow`, `deny`, `matched`, `none`, …
        package var verdict: String
        package var detail: String
        package var rule: String?
        package var origin: String?

        package init(
            phase: String, verdict: String, detail: String, rule: String? = nil,
            origin: String? = nil
        ) {
            self.phase = phase
            self.verdict = verdict
            self.detail = detail
            self.rule = rule
            self.origin = origin
        }
    }

    package var generation: UInt64
    package var phases: [Phase]
    /// What the caller would see: `forwarded`, or the status of an answer of our own.
    package var outcome: String

    package init(generation: UInt64, phases: [Phase], outcome: String) {
        self.generation = generation
        self.phases = phases
        self.outcome = outcome
    }
}
