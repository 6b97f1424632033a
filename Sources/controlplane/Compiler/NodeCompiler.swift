import MeshDiscovery
import MeshIdentity
import MeshLanes
import MeshModel
import MeshStore
import MeshTables

/// Turns the desired states of a node into plans of snapshots. Pure: a plan follows from its state
/// alone, whatever states came before.
///
/// Keep one for the life of a node: it keeps what it compiled, in parts, each with what it was made
/// of, and makes anew only what is made of something else now:
///
/// | what is kept | is made of |
/// |---|---|
/// | a chain (``ChainBook``) | the entries of the services that it asked for |
/// | a listener's or a sidecar's part (``PartCompiler``) | its source, the frame, such entries |
/// | a target's endpoints (``TargetBook``) | its shape, instances and their proxies, addresses |
///
/// Parts that are kept share their storage with the plans before, so that whoever compares or
/// builds plans sees what did not change by looking at a pointer. One object that cannot be had is
/// left out and reported; the others go on.
struct NodeCompiler {
    static let retries = PartCompiler.retries

    private struct Kept<Source: Equatable> {
        var source: Source
        var part: NodePart
    }

    /// The state that was compiled last, but for inventory and intentions.
    private struct Inputs: Equatable {
        var frame: PartCompiler.Frame
        var entries: [ConfigEntryRecord]
        var plain: [PlainSource]
        var gateways: [GatewaySource]
        var mesh: MeshMaterials
        var addresses: [String: String]
        var queries: [PreparedQuery]
        var transparent: TransparentMesh?
        /// See ``SidecarSource/mayCall``; by the caller.
        var mayCall: [ServiceName: Set<ServiceName>]
    }

    private var number: UInt64?
    private var inputs: Inputs?
    private var parts: PartCompiler?
    private var plain: [String: Kept<PlainSource>] = [:]
    private var sidecars: [ServiceID: Kept<SidecarSource>] = [:]
    private var gateways: [ServiceID: Kept<GatewaySource>] = [:]
    private var assembly = PlanAssembly()
    private var targets = TargetBook()
    /// Which proxies were asked for as transparent ones when that was looked at.
    private var wish: TransparentMesh.Wish?
    private let lanes: Lanes

    init(lanes: Lanes = .machine) { self.lanes = lanes }

    /// The plan of one state.
    static func compile(_ state: DesiredState, lanes: Lanes = .machine) -> NodePlan {
        var compiler = NodeCompiler(lanes: lanes)
        return compiler.compile(state)
    }

    /// The plan of a state. What it says about endpoints is relative to the plan before.
    mutating func compile(_ state: DesiredState) -> NodePlan {
        let isNext = number.map { state.number == $0 + 1 } ?? false
        number = state.number
        var change = isNext ? state.change : nil
        let transparent = transparentMesh(state, change)
        let new = Inputs(
            frame: PartCompiler.Frame(state), entries: state.entries,
            plain: Self.plainSources(state), gateways: Self.gatewaySources(state), mesh: state.mesh,
            addresses: state.addresses, queries: state.queries,
            transparent: transparent,
            mayCall: ImplicitUpstreams.byCaller(state, wish, transparent))
        let old = inputs
        inputs = new
        if old?.frame != new.frame {
            parts = PartCompiler(new.frame)
            (plain, sidecars, gateways) = ([:], [:], [:])
            change = nil
        }
        // Without a change of sidecars, the other inputs decide whether there is another frame.
        let isSameFrame = change != nil && old == new
        if !isSameFrame { assemble(state, new) }
        targets.take(
            isSameFrame ? nil : assembly.targets,
            using: EndpointCompiler(
                node: state.settings.node, inventory: state.inventory,
                addresses: state.addresses),
            change: change, readdressed: Self.differing(old?.addresses ?? [:], new.addresses),
            lanes: lanes)
        return plan(state)
    }

    private func plan(_ state: DesiredState) -> NodePlan {
        var compiled = assembly.node
        compiled.targets = targets.plans
        compiled.intentions = state.intentions
        compiled.tokenProviders = state.tokenProviders
        return NodePlan(
            compiled: compiled, secrets: assembly.secrets, endpoints: targets.change,
            problems: state.inventory.problems + assembly.problems + targets.problems)
    }

    private static func differing(_ old: [String: String], _ new: [String: String]) -> Set<String> {
        if old == new { return [] }
        return Set(old.keys).union(new.keys).filter { old[$0] != new[$0] }
    }

    // MARK: - parts

    private mutating func assemble(_ state: DesiredState, _ inputs: Inputs) {
        guard var compiler = parts else { fatalError("a frame comes with a compiler of parts") }
        parts = nil  // the only copy is at work
        switch compiler.chains.take(inputs.entries) {
        case .all: (plain, sidecars, gateways) = ([:], [:], [:])
        case .services(let names) where names.isEmpty: break
        case .services(let names):
            plain = plain.filter { $0.value.part.asked.isDisjoint(with: names) }
            sidecars = sidecars.filter { $0.value.part.asked.isDisjoint(with: names) }
            gateways = gateways.filter { $0.value.part.asked.isDisjoint(with: names) }
        }
        let before = (plain: plain, sidecars: sidecars)
        (plain, sidecars) = ([:], [:])
        assembly = PlanAssembly(state)
        let (wanted, wantedSidecars) = (
            inputs.plain,
            Self.sidecarSources(state, wish, inputs.transparent, inputs.mayCall)
        )
        let made = compiler.compile(
            wanted.filter { before.plain[$0.definition.name]?.source != $0 },
            wantedSidecars.filter { before.sidecars[$0.definition.id]?.source != $0 }, lanes)
        for source in wanted {
            let name = source.definition.name
            let part = made.plain[name] ?? before.plain[name]?.part
            guard let part else { fatalError("a part was kept or made of every source") }
            plain[name] = Kept(source: source, part: part)
            assembly.add(part)
        }
        for source in wantedSidecars {
            let id = source.definition.id
            let part = made.sidecars[id] ?? before.sidecars[id]?.part
            guard let part else { fatalError("a part was kept or made of every source") }
            sidecars[id] = Kept(source: source, part: part)
            assembly.add(part)
        }
        let known = gateways
        gateways = [:]
        for source in inputs.gateways {
            let id = source.definition.id
            let old = known[id].flatMap { $0.source == source ? $0.part : nil }
            let part = old ?? compiler.compile(source)
            gateways[id] = Kept(source: source, part: part)
            assembly.add(part)
        }
        parts = compiler
    }

    private static func gatewaySources(_ state: DesiredState) -> [GatewaySource] {
        guard !state.inventory.gateways.isEmpty else { return [] }
        let entries = Dictionary(
            state.entries.lazy.map { ($0.entry.key, $0.entry) }.filter {
                $0.0.kind == ConfigEntry.Kind.ingressGateway.rawValue
                    || $0.0.kind == ConfigEntry.Kind.terminatingGateway.rawValue
            }
        ) { first, _ in first }
        let links = GatewayLinks.gateways(entries.values, state.inventory)
        return state.inventory.gateways.map { gateway in
            let key = ConfigEntry.Key(kind: gateway.kind.rawValue, name: gateway.name.text)
            var source = GatewaySource(
                definition: gateway, origin: state.inventory.origin(of: gateway.id),
                leafVersion: state.mesh.leaves[gateway.name]?.version, entry: entries[key])
            source.files = source.entry.map { state.gatewayFiles.of($0) } ?? GatewayFiles()
            switch source.entry {
            case .terminatingGateway(let entry):
                source.all = links.filter { $0.value == entry.name }.keys.sorted()
                source.certified = Set(source.all.filter { state.mesh.leaves[$0] != nil })
            case .ingressGateway(let entry)
            where entry.listeners.contains { $0.services.contains { $0.name == .any } }:
                source.all = GatewayLinks.inside(state.inventory)
            default: break
            }
            return source
        }
    }

    private static func plainSources(_ state: DesiredState) -> [PlainSource] {
        state.listeners.map { definition, origin in
            PlainSource(
                definition: definition, origin: origin,
                certificate: state.certificates[definition.name],
                hasLeaf: definition.identity.map { state.mesh.leaves[$0] != nil } ?? false)
        }
    }

    /// The queries that upstreams of a proxy name. One that cannot be rendered is none.
    private static func queries(
        of sidecar: ServiceDefinition, _ all: [PreparedQuery]
    ) -> [ServiceName: PreparedQuery] {
        var found: [ServiceName: PreparedQuery] = [:]
        for upstream in sidecar.proxy?.upstreams ?? []
        where upstream.destinationType == .preparedQuery {
            let name = upstream.destinationName
            found[name] = try? QueryLookup.resolve(name.text, among: all)
        }
        return found
    }

    /// What transparent proxies reach; nil: there are none. Who they are is looked at only where it
    /// may be another than before.
    private mutating func transparentMesh(
        _ state: DesiredState, _ change: InventoryChange?
    ) -> TransparentMesh? {
        if change == nil || wish == nil || inputs?.entries != state.entries {
            wish = TransparentMesh.Wish(state.entries.lazy.map(\.entry), state.inventory.proxies)
        }
        guard let wish, wish.callers > 0 else { return nil }
        if let told = state.told { return told.reached.map { TransparentMesh($0) } }
        return TransparentMesh(state, wish)
    }

    private static func sidecarSources(
        _ state: DesiredState, _ wish: TransparentMesh.Wish?, _ mesh: TransparentMesh?,
        _ mayCall: [ServiceName: Set<ServiceName>]
    ) -> [SidecarSource] {
        state.inventory.proxies.map { sidecar in
            let isCovered = wish?.covers(sidecar.proxy) == true
            let leaf = sidecar.proxy?.destinationServiceName.flatMap { state.mesh.leaves[$0] }
            return SidecarSource(
                definition: sidecar, origin: state.inventory.origin(of: sidecar.id),
                isHandmade: state.inventory[sidecar.id] != nil, leafVersion: leaf?.version,
                applicationAddress: sidecar.proxy.flatMap {
                    state.addresses[$0.localServiceAddress]
                }, queries: queries(of: sidecar, state.queries),
                mesh: isCovered ? mesh : nil,
                mayCall: isCovered
                    ? sidecar.proxy?.destinationServiceName.flatMap { mayCall[$0] } : nil)
        }
    }
}
