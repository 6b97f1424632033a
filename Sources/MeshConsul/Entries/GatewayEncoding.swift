import MeshModel

// Gateways' entries as Consul's answers have them. What Consul has no member for is told as well,
// under a name of its kind: whoever reads an entry and writes it back loses nothing.

extension IngressGateway {
    var members: [JSON.Member] {
        present([
            "TLS": tls.json, "Listeners": .array(listeners.map(\.json)),
            "Defaults": defaults.map { .object($0.ceilings) }, "Meta": labels(meta),
        ])
    }
}

extension IngressGateway.TLS {
    fileprivate var json: JSON {
        .object(
            [.init("Enabled", enabled ? true : false)]
                + present([
                    "TLSMinVersion": text(minVersion?.consulName),
                    "TLSMaxVersion": text(maxVersion?.consulName),
                    "Certs": certs.isEmpty
                        ? nil
                        : .array(
                            certs.map { ["Cert": .string($0.cert), "Key": .string($0.key)] }),
                ]))
    }
}

extension ListenerDefinition.TLSVersion {
    fileprivate var consulName: String {
        switch self {
        case .v12: "TLSv1_2"
        case .v13: "TLSv1_3"
        }
    }
}

extension IngressGateway.Listener {
    fileprivate var json: JSON {
        .object(
            present([
                "Port": .number(Int(port)), "Protocol": .string(serviceProtocol.rawValue),
                "Services": .array(services.map(\.json)), "TLS": tls?.json,
            ]))
    }
}

extension IngressGateway.Service {
    fileprivate var json: JSON {
        .object(
            present([
                "Name": .string(name.description), "Hosts": hosts.isEmpty ? nil : .texts(hosts),
                "RequestHeaders": requestHeaders?.json, "ResponseHeaders": responseHeaders?.json,
            ]) + (limits?.ceilings ?? []))
    }
}

extension UpstreamLimits {
    fileprivate var ceilings: [JSON.Member] {
        present([
            "MaxConnections": number(maxConnections),
            "MaxPendingRequests": number(maxPendingRequests),
            "MaxConcurrentRequests": number(maxConcurrentRequests),
        ])
    }
}

extension TerminatingGateway {
    var members: [JSON.Member] {
        let services = services.map { service -> JSON in
            .object(
                present([
                    "Name": .string(service.name.description), "CAFile": text(service.caFile),
                    "CertFile": text(service.certFile), "KeyFile": text(service.keyFile),
                    "SNI": text(service.sni),
                ]))
        }
        return present(["Services": .array(services), "Meta": labels(meta)])
    }
}
