import MeshModel

/// Rules between keys that stand far from each other.
struct CrossChecks {
    let root: Fields
    let sink: ProblemSink

    func check(_ configuration: Configuration) {
        checkSections(configuration)
        unique(
            configuration.services.flatMap { owned in
                [(owned.value.id.text, owned.location)]
                    + (owned.value.connect.sidecarService.map { sidecar in
                        [((sidecar.id ?? owned.value.id.sidecar).text, owned.location)]
                    } ?? [])
            }, "services", "service id",
            "give one of them another id, for example id: web-2")
        unique(
            configuration.configEntries.map {
                ("\($0.value.kind)/\($0.value.key.name)", $0.location)
            },
            "config_entries", "config entry", "merge the two entries")
        unique(
            configuration.listeners.map { ($0.value.name, $0.location) }, "listeners",
            "listener name", "rename one of them")
        checkAddresses(configuration)
    }

    private func checkSections(_ configuration: Configuration) {
        let mesh = root.section("mesh")
        if let low = mesh.port("sidecar_min_port"), let high = mesh.port("sidecar_max_port"),
            low > high
        {
            let place = mesh.written("sidecar_min_port") ?? mesh.written("sidecar_max_port")
            sink.error(
                "\(low) is above sidecar_max_port \(high): write a lower number",
                at: place?.location ?? mesh.node.location, ["mesh", "sidecar_min_port"])
        }
        let ports = root.section("ports")
        for kind in ["proxy", "sidecar"] {
            let (low, high) = ("\(kind)_min_port", "\(kind)_max_port")
            if let first = ports.port(low), let last = ports.port(high), first > last {
                sink.error(
                    "\(first) is above \(high) \(last): write a lower number",
                    at: (ports.written(low) ?? ports.written(high) ?? ports.node).location,
                    ["ports", .key(low)])
            }
        }
        checkAuthority(configuration, mesh)
        if configuration.admin.bindAddr == nil, configuration.admin.socket == nil {
            sink.error(
                "the admin interface is turned off: write bind_addr or socket",
                at: root.section("admin").node.location, ["admin"])
        }
        if Paths.isWithin(
            Paths.folder(of: Files.real(configuration.store.path)),
            Files.real(configuration.store.keyFile))
        {
            let store = root.section("store")
            let place = store.written("key_file") ?? store.written("path")
            sink.error(
                "the key lies in the database's folder, so that a copy of it gives both away: "
                    + "write a path outside, for example /etc/ringmesh/store.key",
                at: place?.location ?? store.node.location, ["store", "key_file"])
        }
        if let cores = configuration.dataplane.cores, let workers = configuration.dataplane.workers,
            workers > cores.count
        {
            let place = root.section("dataplane").written("workers")
            sink.error(
                "\(workers) workers cannot have a core each of \"\(configuration.dataplane.cpus)\":"
                    + " write at most \(cores.count)",
                at: place?.location ?? root.node.location, ["dataplane", "workers"])
        }
    }

    private func checkAuthority(_ configuration: Configuration, _ mesh: Fields) {
        if (configuration.mesh.authorityCertificate == nil)
            != (configuration.mesh.authorityKey == nil)
        {
            let (given, missing) =
                configuration.mesh.authorityKey == nil
                ? ("ca_cert", "ca_key") : ("ca_key", "ca_cert")
            sink.error(
                "a root needs both its files: write \(missing), too",
                at: mesh.written(given)?.location ?? mesh.node.location, ["mesh", .key(given)])
        }
        if configuration.mesh.revocations != nil, configuration.mesh.authorityCertificate == nil {
            sink.error(
                "lists of revoked certificates are signed by whoever signs the certificates: write "
                    + "ca_cert and ca_key, too",
                at: mesh.written("crl")?.location ?? mesh.node.location, ["mesh", "crl"])
        }
    }

    /// Reports names that are given twice. Objects that are faulty by themselves are left out.
    private func unique(
        _ names: [(String, SourceLocation)], _ key: String, _ what: String, _ advice: String
    ) {
        let faulty = Set(
            (root.written(key)?.items ?? []).filter(sink.isFaulty).map(\.location))
        var seen: [String: SourceLocation] = [:]
        for (name, location) in names where !faulty.contains(location) {
            if let first = seen[name] {
                sink.error(
                    "\(what) \(quoted(name)) is taken by line \(first.line): \(advice)",
                    at: location, [.key(key)])
            } else {
                seen[name] = location
            }
        }
    }

    /// Reports addresses that two parts would listen on.
    private func checkAddresses(_ configuration: Configuration) {
        var taken: [UInt16: [(HostPort, String)]] = [:]
        func take(_ address: HostPort, _ what: String, _ place: SourceLocation, _ key: [FieldStep])
        {
            guard address.port != 0 else { return }
            let others = taken[address.port, default: []]
            if let (_, other) = others.first(where: { overlap($0.0, address) }) {
                sink.error(
                    "\(address) is taken by \(other): write another port", at: place, key)
            }
            taken[address.port] = others + [(address, what)]
        }
        if let address = configuration.admin.bindAddr {
            take(
                address, "admin.bind_addr",
                root.section("admin").written("bind_addr")?.location ?? root.node.location,
                ["admin", "bind_addr"])
        }
        if let address = configuration.api.bindAddr {
            take(
                address, "api.bind_addr",
                root.section("api").written("bind_addr")?.location ?? root.node.location,
                ["api", "bind_addr"])
        }
        if let address = configuration.dns.bindAddr {
            take(
                address, "dns.bind_addr",
                root.section("dns").written("bind_addr")?.location ?? root.node.location,
                ["dns", "bind_addr"])
        }
        for (index, fields) in root.objects("listeners").enumerated() {
            guard let node = fields.written("bind_addr"), !sink.isFaulty(node),
                let address = fields.address("bind_addr")
            else { continue }
            take(
                address, "listeners[\(index)]", node.location,
                ["listeners", .index(index), "bind_addr"])
        }
        for owned in configuration.services {
            let name = owned.value.name
            for upstream in owned.value.connect.sidecarService?.proxy.upstreams ?? []
            where upstream.localBindSocketPath == nil {
                take(
                    HostPort(host: upstream.localBindAddress, port: upstream.localBindPort),
                    "the upstream \(upstream.destinationName) of service \(name)",
                    owned.location, ["services"])
            }
        }
    }

    /// Whether two sockets with the same port cannot both listen.
    private func overlap(_ left: HostPort, _ right: HostPort) -> Bool {
        let any: Set<String> = ["", "0.0.0.0", "::"]
        return left.host == right.host || any.contains(left.host) || any.contains(right.host)
    }
}
