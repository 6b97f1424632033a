package import Foundation

/// A service by name, with how many of its instances are well.
package struct ServiceReport: Codable, Sendable, Equatable {
    package var name: String
    package var `protocol`: String
    package var instances: Int
    package var passing: Int
    package var warning: Int
    package var critical: Int
    package var tags: [String]
    /// Whether at least one instance has a sidecar.
    package var sidecar: Bool

    package init(
        name: String, protocol: String, instances: Int, passing: Int, warning: Int, critical: Int,
        tags: [String], sidecar: Bool
    ) {
        self.name = name
        self.protocol = `protocol`
        self.instances = instances
        self.passing = passing
        self.warning = warning
        self.critical = critical
        self.tags = tags
        self.sidecar = sidecar
    }
}

/// One instance and its checks.
package struct InstanceReport: Codable, Sendable, Equatable {
    package struct Check: Codable, Sendable, Equatable {
        package var id: String
        package var name: String
        package var kind: String
        package var status: String
        package var output: String

        package init(id: String, name: String, kind: String, status: String, output: String) {
            self.id = id
            self.name = name
            self.kind = kind
            self.status = status
            self.output = output
        }
    }

    package var id: String
    package var service: String
    package var node: String
    package var address: String
    package var status: String
    /// Address of its sidecar's public side, when it has one.
    package var sidecar: String?
    package var tags: [String]
    package var meta: [String: String]
    package var checks: [Check]
    /// Where it was written: `api`, or a file with line and column.
    package var origin: String

    package init(
        id: String, service: String, node: String, address: String, status: String,
        sidecar: String?, tags: [String], meta: [String: String], checks: [Check], origin: String
    ) {
        self.id = id
        self.service = service
        self.node = node
        self.address = address
        self.status = status
        self.sidecar = sidecar
        self.tags = tags
        self.meta = meta
        self.checks = checks
        self.origin = origin
    }
}

/// One health check as it stands.
package struct CheckStateReport: Codable, Sendable, Equatable {
    package var id: String
    package var name: String
    /// `tcp`, `http`, `grpc` or `ttl`.
    package var kind: String
    /// The instance that it is about.
    package var instance: String
    package var service: String
    package var status: String
    package var output: String
    /// Whether the status comes from a result; else it is where the check begins.
    package var proven: Bool

    package init(
        id: String, name: String, kind: String, instance: String, service: String,
        status: String, output: String, proven: Bool
    ) {
        self.id = id
        self.name = name
        self.kind = kind
        self.instance = instance
        self.service = service
        self.status = status
        self.output = output
        self.proven = proven
    }
}

/// Who may call whom.
package struct IntentionReport: Codable, Sendable, Equatable {
    package var source: String
    package var destination: String
    /// `allow`, `deny` or `permissions`.
    package var action: String
    package var permissions: Int
    package var precedence: Int
    package var description: String
    package var origin: String

    package init(
        source: String, destination: String, action: String, permissions: Int, precedence: Int,
        description: String, origin: String
    ) {
        self.source = source
        self.destination = destination
        self.action = action
        self.permissions = permissions
        self.precedence = precedence
        self.description = description
        self.origin = origin
    }
}

/// The verdict about one pair of services.
package struct IntentionCheckReport: Codable, Sendable, Equatable {
    package var source: String
    package var destination: String
    package var allowed: Bool
    /// Whether it depends on the request: then `allowed` tells about a plain connection.
    package var dependsOnRequest: Bool
    package var reason: String
    package var origin: String?

    package init(
        source: String, destination: String, allowed: Bool, dependsOnRequest: Bool, reason: String,
        origin: String?
    ) {
        self.source = source
        self.destination = destination
        self.allowed = allowed
        self.dependsOnRequest = dependsOnRequest
        self.reason = reason
        self.origin = origin
    }
}

/// Why a request from one service to another fares as it does.
package struct IntentionQuestion: Codable, Sendable, Equatable {
    package var source: String
    package var destination: String
    package var method: String
    /// A path, perhaps with a query.
    package var path: String
    package var headers: [ExplainRequest.Header]
    /// A bearer token.
    package var token: String?

    package init(
        source: String, destination: String, method: String = "GET", path: String = "/",
        headers: [ExplainRequest.Header] = [], token: String? = nil
    ) {
        self.source = source
        self.destination = destination
        self.method = method
        self.path = path
        self.headers = headers
        self.token = token
    }
}

/// A leaf certificate in use. Never holds a key.
package struct CertificateReport: Codable, Sendable, Equatable {
    package var service: String
    package var uri: String
    package var serial: String
    package var notBefore: Date
    package var notAfter: Date
    package var renewAt: Date

    package init(
        service: String, uri: String, serial: String, notBefore: Date, notAfter: Date,
        renewAt: Date
    ) {
        self.service = service
        self.uri = uri
        self.serial = serial
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.renewAt = renewAt
    }
}

/// A root of the mesh CA.
package struct RootReport: Codable, Sendable, Equatable {
    package var id: String
    package var name: String
    package var active: Bool
    package var notBefore: Date
    package var notAfter: Date
    package var pem: String

    package init(
        id: String, name: String, active: Bool, notBefore: Date, notAfter: Date, pem: String
    ) {
        self.id = id
        self.name = name
        self.active = active
        self.notBefore = notBefore
        self.notAfter = notAfter
        self.pem = pem
    }
}
