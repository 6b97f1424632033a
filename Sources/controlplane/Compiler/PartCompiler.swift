import MeshDiscovery
import MeshIdentity
import MeshLanes
import MeshModel
import MeshStore
import MeshTables

/// Compiles one part of a plan at a time. Pure: a part follows from its source, from the frame, and
/// from the entries that it asks for; there is nothing else within reach here.
///
/// What cannot be had is left out and reported; the rest of the part goes on.
struct PartCompiler: Sendable {
    /// What holds for all parts.
    struct Frame: Equatable, Sendable {
        var settings: DesiredState.Settings
        var trustDomain: TrustDomain
        /// The roots that peers are checked against, DER, one behind the other.
        var trust: [UInt8]
        /// Seconds that a session may be resumed for.
        var ticketLifetime: UInt32
        var told: ToldMesh?
        /// The terminating gateway by which the mesh reaches a service, where there is one.
        var gateways: [ServiceName: ServiceName]

        init(_ state: DesiredState) {
            settings = state.settings
            trustDomain = state.mesh.trustDomain
            trust = state.mesh.trust
            ticketLifetime = state.mesh.ticketLifetime
            told = state.told
            gateways = GatewayLinks.gateways(state.entries.lazy.map(\.entry), state.inventory)
        }
    }

    let frame: Frame
    var chains: ChainBook
    var part = NodePart()

    init(_ frame: Frame) {
        self.frame = frame
        chains = ChainBook(in: frame.settings.node.datacenter)
    }

    var settings: DesiredState.Settings { frame.settings }

    mutating func compile(_ source: PlainSource) -> NodePart {
        part = NodePart()
        addPlain(source)
        return part
    }

    mutating func compile(_ source: SidecarSource) -> NodePart {
        part = NodePart()
        addSidecar(source)
        return part
    }

    mutating func compile(_ source: GatewaySource) -> NodePart {
        part = NodePart()
        addGateway(source)
        return part
    }

    /// Parts of sources, by what names these.
    struct Parts: Sendable {
        var plain: [String: NodePart] = [:]
        var sidecars: [ServiceID: NodePart] = [:]
    }

    /// The parts of many sources. Each is made in one lane; what several of them ask for, as a
    /// chain, comes out the same in each.
    mutating func compile(
        _ plain: [PlainSource], _ sidecars: [SidecarSource], _ lanes: Lanes
    ) -> Parts {
        let compiler = self
        let made = lanes.map(plain.count + sidecars.count, grain: 1) { range in
            var own = compiler
            own.chains = compiler.chains.branch
            var parts = Parts()
            for number in range {
                if number < plain.count {
                    parts.plain[plain[number].definition.name] = own.compile(plain[number])
                } else {
                    let source = sidecars[number - plain.count]
                    parts.sidecars[source.definition.id] = own.compile(source)
                }
            }
            return (parts, own.chains)
        }
        var all = Parts()
        chains.reserve(for: made.map(\.1))
        for (parts, branch) in made {
            all.plain.merge(parts.plain) { _, new in new }
            all.sidecars.merge(parts.sidecars) { _, new in new }
            chains.join(branch)
        }
        return all
    }

    // MARK: - what every role uses

    mutating func refuse(_ message: String, _ origin: Origin?) {
        part.problems.append(Problem(.error, message, at: origin?.location))
    }

    mutating func add(_ plan: ListenerPlan, tls: TLSPlan? = nil, _ origin: Origin?) {
        part.listeners.append(NodePart.Listener(plan: plan, tls: tls, origin: origin))
    }

    /// The listening address of a text that names one, or nil with a problem.
    mutating func listen(
        on host: String, port: UInt16, _ name: String, _ origin: Origin?
    ) -> AddressPlan? {
        let text = host == "localhost" ? "127.0.0.1" : host.isEmpty ? "::" : host
        if let address = try? AddressPlan(ip: text, port: port) { return address }
        refuse("\(name): \(host) is not an address to listen on", origin)
        return nil
    }

    /// Mesh TLS of one side, with the certificate of `service` that was made at `leafVersion`.
    func meshTLS(
        server: Bool, as service: ServiceName, leafVersion: UInt64, alpn: [String]
    ) -> TLSPlan {
        TLSPlan(
            server: server, verify: .require, mesh: true, alpn: alpn,
            certificates: [SecretPlan.leafID(of: service)], trust: frame.trust,
            sessionLifetime: sessionLifetime, secretsVersion: server ? 0 : leafVersion)
    }

    /// A session outlives neither its ticket key nor the certificate it was made with, which is
    /// renewed with a tenth of its life left at least.
    private var sessionLifetime: UInt32 {
        let leaf = UInt32(clamping: settings.leafTTL.nanoseconds / 10_000_000_000)
        return min(frame.ticketLifetime, leaf)
    }

    /// Whether requests to a service are understood by the data plane.
    mutating func speaksHTTP(_ service: ServiceName) -> Bool {
        chains.serviceProtocol(of: service, &part.asked) != .tcp
    }

    /// What the endpoints of a service are spoken to in; `spoken`: in place of what it says itself.
    mutating func wireProtocol(
        of service: ServiceName, http: Bool, spoken: ServiceProtocol? = nil
    ) -> TargetPlan.WireProtocol {
        guard http else { return .tcp }
        switch spoken ?? chains.serviceProtocol(of: service, &part.asked) {
        case .http2, .grpc: return .http2
        case .http, .tcp: return .http1
        }
    }

    mutating func defaults(of service: ServiceName) -> ServiceDefaults? {
        chains.defaults(of: service, &part.asked)
    }

    mutating func resolver(of service: ServiceName) -> ServiceResolver? {
        chains.resolver(of: service, &part.asked)
    }

    func milliseconds(_ duration: MeshDuration) -> UInt32 {
        UInt32(clamping: duration.millisecondsRoundedUp)
    }
}
