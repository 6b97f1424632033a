package import MeshModel

/// An object of the configuration with the place that owns it.
package struct Owned<Value: Sendable & Hashable>: Sendable, Hashable {
    package var value: Value
    package var location: SourceLocation

    package init(_ value: Value, at location: SourceLocation) {
        self.value = value
        self.location = location
    }

    /// What an API write to the object is judged by.
    package var origin: Origin { .file(location) }
}

/// Everything the user said, resolved once; it never changes.
package struct Configuration: Sendable, Hashable {
    package struct Admin: Sendable, Hashable {
        /// nil when the port is turned off.
        package var bindAddr: HostPort?
        /// nil when the socket is turned off.
        package var socket: String?
        package var tokenFile: String?
    }

    package struct API: Sendable, Hashable {
        package struct TLS: Sendable, Hashable {
            package var cert: String
            package var key: String
            /// nil asks clients for no certificate.
            package var clientCA: String?
        }

        /// nil when the port is turned off.
        package var bindAddr: HostPort?
        /// nil when the socket is turned off.
        package var socket: String?
        /// Of the port; nil: plain HTTP.
        package var tls: TLS?
    }

    package struct ACL: Sendable, Hashable {
        package enum Default: String, Sendable, Hashable, CaseIterable {
            case allow
            case deny
        }

        package var enabled: Bool
        package var defaultPolicy: Default
        package var managementTokenFile: String?
        package var agentTokenFile: String?
        package var defaultTokenFile: String?
        package var bootstrapReset: UInt64?
    }

    package struct DNS: Sendable, Hashable {
        /// nil when it is turned off.
        package var bindAddr: HostPort?
        package var domain: String
        package var nodeTTL: MeshDuration
        package var serviceTTL: MeshDuration
        package var onlyPassing: Bool
    }

    package struct Store: Sendable, Hashable {
        package enum Driver: String, Sendable { case sqlite }

        package var driver: Driver
        package var path: String
        package var keyFile: String
    }

    package struct Dataplane: Sendable, Hashable {
        package enum Engine: String, Sendable, CaseIterable {
            /// io_uring where the kernel allows it, else epoll.
            case auto
            case ioUring = "io_uring"
            case epoll
        }

        /// nil takes one per core.
        package var workers: Int?
        /// The cores to pin to as written; empty takes all.
        package var cpus: String
        package var controlSocket: String
        /// Empty keeps the system's.
        package var tcpCongestion: String
        package var managed: Bool
        /// nil takes the program beside this one.
        package var path: String?
        package var engine: Engine
        package var drainTimeout: MeshDuration
        package var logFile: String?

        /// The cores of `cpus`, nil for all.
        package var cores: [Int]? { cpus.isEmpty ? nil : CPUList.parse(cpus) }
    }

    package struct Mesh: Sendable, Hashable {
        /// nil makes one at the first start.
        package var trustDomain: TrustDomain?
        package var intentionsDefault: IntentionAction
        package var leafTTL: MeshDuration
        /// Of roots that are made here.
        package var rootTTL: MeshDuration
        /// Files with a root that was made elsewhere, and its key; both or none.
        package var authorityCertificate: String?
        /// Lists of revoked certificates of the mesh.
        package var revocations: String?
        package var authorityKey: String?
        /// For clients of the API; 0: no bound.
        package var signingsPerSecond: Int
        package var sidecarPorts: ClosedRange<UInt16>
        /// Of paths of checks that sidecars expose.
        package var exposePorts: ClosedRange<UInt16>
    }

    /// Proxies that the node manages.
    package struct ManagedProxies: Sendable, Hashable {
        package var allowRoot: Bool
        package var defaults: ManagedProxyDefaults
        package var ports: ClosedRange<UInt16>
    }

    package struct TLS: Sendable, Hashable {
        /// How long a key makes session tickets.
        package var ticketRotation: MeshDuration
    }

    package struct Server: Sendable, Hashable {
        package var gracefulShutdownTimeout: MeshDuration
    }

    package struct Log: Sendable, Hashable {
        package enum Level: String, Sendable, CaseIterable {
            case debug, info, warn, error
        }

        package var level: Level
        package var subsystems: [String]
    }

    /// The file that was read; nil when there was none.
    package var path: String?
    package var node: NodeInfo
    package var admin: Admin
    package var api: API
    package var acl: ACL
    package var dns: DNS
    package var store: Store
    package var dataplane: Dataplane
    package var mesh: Mesh
    package var managedProxies: ManagedProxies
    package var tls: TLS
    package var server: Server
    package var log: Log
    /// Every member is set.
    package var accessLog: AccessLogDefinition
    package var tracing: TracingDefinition
    package var services: [Owned<ServiceDefinition>]
    package var servicesDir: String?
    package var configEntries: [Owned<ConfigEntry>]
    package var configEntriesDir: String?
    package var listeners: [Owned<ListenerDefinition>]
}
