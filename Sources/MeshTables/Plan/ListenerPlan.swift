package import MeshModel

/// An entry point of the data plane: its socket, who may use it and where everything goes.
package struct ListenerPlan: Hashable, Sendable, Codable {
    /// What is done with what arrives.
    package enum Kind: Hashable, Sendable, Codable {
        /// Streams of bytes, divided over targets.
        case l4([SplitPlan])
        /// TLS that is not terminated, by the server name that the client asks for: routes that
        /// forward and name a host and nothing else. Other names go to the targets, nil: nowhere.
        case serverName([RoutePlan], [SplitPlan]?)
        /// Streams by the server name that mesh TLS was made with, each name standing for another
        /// service: routes as above. Other names lead nowhere. The intentions of each target
        /// decide about its callers, about each request where it speaks HTTP. With
        /// ``Role/inbound``.
        case gateway([RoutePlan])
        /// Connections that the kernel has redirected here, by the address that they were made to:
        /// each belongs to another listener, which is ``ListenerPlan/behind`` this one. `other`
        /// gets those to all other addresses, nil: they are closed.
        case redirected([OriginalPlan], other: String?)
        /// HTTP requests. The first route that matches wins; none: 404.
        case l7([RoutePlan])
    }

    /// How the listener takes part in the mesh.
    package enum Role: Hashable, Sendable, Codable {
        /// A plain entry point.
        case plain
        /// Callers prove an identity by mesh TLS, and the intentions of the listener's service
        /// decide about them.
        case inbound
        /// Calls are made with the listener's identity; the intentions of each target decide.
        case outbound
    }

    /// Unique among the node's listeners; what people see.
    package var name: String
    package var address: AddressPlan
    /// The listener whose redirected connections it gets; nil: it has a socket of its own.
    package var behind: String?
    package var kind: Kind
    package var role: Role
    package var tls: TLSRef?
    /// The service as which it calls, by its ``IdentityPlan``.
    package var identity: ServiceName?
    /// The service whose intentions decide about callers; nil: callers are not checked.
    package var intentionsOf: ServiceName?
    package var timeouts: Timeouts
    /// Per worker; 0 = no bound.
    package var maxConnections: UInt32
    /// TCP congestion control of accepted connections; empty = the system's.
    package var congestion: String
    /// Pseudonym for `Via`; empty = none is added.
    package var via: String
    /// nil: nothing is written down.
    package var log: AccessLogPlan?
    /// What is believed of the proxies in front; nil: nothing.
    package var hops: HopsPlan?
    /// Of l7: which answers are compressed; nil: none.
    package var compression: CompressionPlan?

    /// Milliseconds; 0 = none where the data plane knows none.
    package struct Timeouts: Hashable, Sendable, Codable {
        package var head: UInt32
        package var idle: UInt32
        package var request: UInt32
        package var handshake: UInt32
        /// Of a connection.
        package var lifetime: UInt32

        package init(
            head: UInt32 = 10_000, idle: UInt32 = 60_000, request: UInt32 = 0,
            handshake: UInt32 = 10_000, lifetime: UInt32 = 0
        ) {
            self.head = head
            self.idle = idle
            self.request = request
            self.handshake = handshake
            self.lifetime = lifetime
        }
    }

    package init(
        name: String, address: AddressPlan, behind: String? = nil, kind: Kind,
        role: Role = .plain, tls: TLSRef? = nil,
        identity: ServiceName? = nil, intentionsOf: ServiceName? = nil,
        timeouts: Timeouts = Timeouts(), maxConnections: UInt32 = 0, congestion: String = "",
        via: String = "", log: AccessLogPlan? = nil, hops: HopsPlan? = nil,
        compression: CompressionPlan? = nil
    ) {
        self.name = name
        self.address = address
        self.behind = behind
        self.kind = kind
        self.role = role
        self.tls = tls
        self.identity = identity
        self.intentionsOf = intentionsOf
        self.timeouts = timeouts
        self.maxConnections = maxConnections
        self.congestion = congestion
        self.via = via
        self.log = log
        self.hops = hops
        self.compression = compression
    }
}

/// An address that redirected connections were made to, and the listener that stands for it.
package struct OriginalPlan: Hashable, Sendable, Codable {
    /// How many a node may have.
    package static let greatestCount = 65_536
    /// How many listeners of a node may be behind others.
    package static let greatestListeners = 512

    package var address: IPAddress
    /// 0: every port that has no plan of its own.
    package var port: UInt16
    /// The ``ListenerPlan/name`` of the listener.
    package var listener: String

    package init(address: IPAddress, port: UInt16, listener: String) {
        self.address = address
        self.port = port
        self.listener = listener
    }
}
