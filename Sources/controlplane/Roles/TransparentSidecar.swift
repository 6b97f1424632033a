import MeshDiscovery
import MeshModel
import MeshTables

/// Transparent proxies: the application calls services where they are, the kernel redirects its
/// connections, and the address that each was made to says which service is meant.
extension PartCompiler {
    /// The port that connections of a transparent proxy are redirected to; nil: it is not one.
    private mutating func outboundPort(
        of proxy: ProxyDefinition, _ service: ServiceName
    ) -> UInt16? {
        func said(_ mode: String?) -> String? { mode.flatMap { $0.isEmpty ? nil : $0 } }
        let own = defaults(of: service)
        let usual = chains.proxyDefaults
        guard
            said(proxy.mode) ?? said(own?.mode) ?? said(usual?.mode)
                == ProxyMode.transparent.rawValue
        else { return nil }
        return proxy.transparentProxy?.outboundListenerPort ?? own?.outboundListenerPort
            ?? usual?.outboundListenerPort ?? TransparentProxy.usualPort
    }

    mutating func addTransparent(
        _ source: SidecarSource, _ proxy: ProxyDefinition, _ service: ServiceName, _ leaf: UInt64
    ) {
        guard let port = outboundPort(of: proxy, service) else { return }
        let sidecar = source.definition
        // An agent has not told yet what is reached: nothing is.
        guard let mesh = source.mesh else { return }
        let room = TransparentMesh.room(for: mesh.callers)
        guard room >= 6 else {
            refuse(
                "\(sidecar.id): \(mesh.callers) transparent proxies on one node are too many, "
                    + "\(OriginalPlan.greatestListeners / 8) are the limit", source.origin)
            return
        }
        var table = OriginalTable(
            name: "\(sidecar.id):outbound", port: port, lifetime: lifetime(of: source, service))
        var left = room
        var (omitted, isFull) = (0, false)
        // Who may not be called gets the room that is left: a clear refusal is all that it is for.
        for mayCall in [true, false] {
            for known in mesh.services
            where source.mayCall?.contains(known.name) ?? true == mayCall {
                let listeners = 1 + known.instances.count { isDirect($0, of: known) }
                let isIn = listeners <= left
                if isIn { left -= listeners } else { isFull = true }
                if !isIn, mayCall { omitted += 1 }
                add(known, isIn: isIn, to: &table, source, proxy, service, leaf)
            }
        }
        if omitted > 0 {
            refuse(
                "\(sidecar.id): \(omitted) services are not reached, a transparent proxy of this "
                    + "node reaches \(room): write upstreams with a local_bind_port for them",
                source.origin)
        }
        if isFull {
            addInner(
                table.beyond, table, service,
                .l4(
                    SplitPlan.all(
                        to: nowhere(
                            service, Reach(caller: .plain, http: false, connectTimeout: nil)))),
                source.origin)
        }
        finish(&table, isClosed: mesh.isClosed, source)
    }

    private mutating func isDirect(
        _ instance: TransparentMesh.Instance, of known: TransparentMesh.Service
    ) -> Bool {
        instance.isDirect || chains.proxyDefaults?.dialedDirectly == true
            || defaults(of: known.name)?.dialedDirectly == true
    }

    /// A service, and each of its instances that is called as itself. One that is not in stands
    /// for nothing: its connections are closed, not handed on in plain text.
    private mutating func add(
        _ known: TransparentMesh.Service, isIn: Bool, to table: inout OriginalTable,
        _ source: SidecarSource, _ proxy: ProxyDefinition, _ service: ServiceName, _ leaf: UInt64
    ) {
        let name = "\(table.name):\(known.name.folded)"
        let whole = isIn ? name : table.beyond
        for address in known.virtual { claim(address, 0, for: whole, in: &table, source.origin) }
        guard isIn else {
            for place in known.instances {
                claim(place.address, place.port, for: whole, in: &table, source.origin)
            }
            return
        }
        let upstream =
            proxy.upstreams.first {
                $0.destinationName == known.name && $0.destinationType == .service
                    && ($0.datacenter ?? settings.node.datacenter) == settings.node.datacenter
            } ?? UpstreamDefinition(destinationName: known.name)
        let reach =
            toldReach(known.name, service, leaf)
            ?? self.reach(upstream, of: source, service, leaf, spoken: known.name)
        let rule = "transparent proxy of \(service), service \(known.name)"
        let origin = source.origin.map { "\($0)" } ?? ""
        addInner(
            name, table, service,
            reach.http
                ? .l7(routes(to: known.name, reach, rule: rule, origin: origin))
                : .l4(splits(to: known.name, reach)), source.origin)
        for place in known.instances {
            guard isDirect(place, of: known) else {
                claim(place.address, place.port, for: name, in: &table, source.origin)
                continue
            }
            let one = "\(name):\(place.id)"
            let splits = SplitPlan.all(
                to: single(
                    place.id, of: known.name, toldReach(reach, place, of: known.name)))
            addInner(
                one, table, service,
                reach.http
                    ? .l7([
                        RoutePlan(
                            action: .forward(splits), retries: Self.retries,
                            retryOn: Self.retryOn, rule: "\(rule), instance \(place.id)",
                            origin: origin)
                    ]) : .l4(splits), source.origin)
            claim(place.address, place.port, for: one, in: &table, source.origin)
        }
    }

    private mutating func claim(
        _ address: IPAddress, _ port: UInt16, for listener: String, in table: inout OriginalTable,
        _ origin: Origin?
    ) {
        guard let other = table.claim(address, port, for: listener) else { return }
        let place = port == 0 ? "\(address)" : "\(AddressPlan.ip(address, port: port))"
        refuse("\(listener): \(place) stands for \(other) already", origin)
    }

    /// A listener that gets connections from the one of the table.
    private mutating func addInner(
        _ name: String, _ table: OriginalTable, _ service: ServiceName, _ kind: ListenerPlan.Kind,
        _ origin: Origin?
    ) {
        var http = false
        if case .l7 = kind { http = true }
        add(
            ListenerPlan(
                name: name, address: table.address, behind: table.name, kind: kind,
                role: .outbound, identity: service,
                timeouts: timeouts(http: http, lifetime: table.lifetime),
                congestion: settings.congestion, via: http ? settings.via(name) : "",
                log: settings.log(), hops: http ? settings.tracesOnly : nil), origin)
    }

    /// The listeners that connections are redirected to, of IPv6 where some address is, and the
    /// one for addresses that nobody knows: these are called as they were asked for.
    private mutating func finish(
        _ table: inout OriginalTable, isClosed: Bool, _ source: SidecarSource
    ) {
        let elsewhere = "\(table.name):elsewhere"
        var isClosed = isClosed
        let most = OriginalPlan.greatestCount / max(1, source.mesh?.callers ?? 1)
        if table.plans.count > most {
            refuse(
                "\(source.definition.id): the services of the mesh have \(table.plans.count) "
                    + "addresses, a transparent proxy of this node knows \(most); all others are "
                    + "closed", source.origin)
            isClosed = true
        }
        if !isClosed {
            add(
                ListenerPlan(
                    name: elsewhere, address: table.address, behind: table.name,
                    kind: .l4(SplitPlan.all(to: original(source))),
                    timeouts: timeouts(http: false, lifetime: table.lifetime),
                    congestion: settings.congestion, log: settings.log()), source.origin)
        }
        let plans = Array(table.plans.prefix(most))
        for isV6 in [false, true] where !isV6 || plans.contains(where: \.address.isV6) {
            let mine = plans.filter { $0.address.isV6 == isV6 }
            add(
                ListenerPlan(
                    name: isV6 ? "\(table.name)6" : table.name,
                    address: isV6 ? table.address6 : table.address,
                    kind: .redirected(mine, other: isClosed ? nil : elsewhere),
                    log: settings.log()), source.origin)
        }
    }

    /// The target that is wherever the client wanted to go.
    private mutating func original(_ source: SidecarSource) -> String {
        let id = "original-destination@\(source.definition.id)"
        guard let service = try? ServiceName("original-destination") else {
            fatalError("a name of letters is one")
        }
        part.add(
            TargetShape(
                plan: TargetPlan(
                    id: id, service: service,
                    endpoints: [
                        EndpointPlan(
                            address: .original, instance: "original destination",
                            node: settings.node.name.text)
                    ], congestion: settings.congestion), isSettled: true))
        return id
    }
}

/// The addresses behind one listener for redirected connections.
private struct OriginalTable {
    let name: String
    let port: UInt16
    /// How long connections may last.
    let lifetime: MeshDuration?
    private(set) var plans: [OriginalPlan] = []
    private var owners: [AddressPlan: String] = [:]

    init(name: String, port: UInt16, lifetime: MeshDuration?) {
        self.name = name
        self.port = port
        self.lifetime = lifetime
    }

    /// For services for which there is no room.
    var beyond: String { "\(name):beyond" }
    /// Where rules of the kernel redirect connections of the same machine to.
    var address: AddressPlan { .ip(IPAddress(v4: 0x7f00_0001), port: port) }
    var address6: AddressPlan { .ip(IPAddress(v6High: 0, low: 1), port: port) }

    /// Lets an address stand for a listener; another one for which it stands already comes back.
    mutating func claim(_ ip: IPAddress, _ port: UInt16, for listener: String) -> String? {
        let place = AddressPlan.ip(ip, port: port)
        if let owner = owners[place] { return owner == listener ? nil : owner }
        owners[place] = listener
        plans.append(OriginalPlan(address: ip, port: port, listener: listener))
        return nil
    }
}
