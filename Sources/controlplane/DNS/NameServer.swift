import MeshConfig
import MeshConsul
import MeshDNS
import MeshModel
import MeshStore
import MeshTelemetry

/// The server of names that the configuration asks for.
struct NameServer {
    let configuration: Configuration
    let store: any StateStore
    let source: any InstanceSource
    let access: any AccessPolicy
    let log: Logger

    /// nil when it is turned off.
    func service() throws -> NodeService? {
        let dns = configuration.dns
        guard let address = dns.bindAddr else { return nil }
        guard let domain = DNSName(dns.domain) else {
            throw MeshError(.invalid, "dns.domain \(dns.domain) is too long for a domain")
        }
        let node = configuration.node
        let settings = DNSSettings(
            domain: domain, datacenter: node.datacenter.text, nodeName: node.name.text,
            nodeTTL: Self.seconds(dns.nodeTTL), serviceTTL: Self.seconds(dns.serviceTTL))
        let names = CatalogNames(
            store: store, source: source, access: access, datacenter: node.datacenter.text,
            onlyPassing: dns.onlyPassing)
        let server = DNSServer(
            host: address.host.isEmpty ? "::" : address.host, port: Int(address.port),
            answers: DNSAnswers(settings, catalog: names),
            serial: { UInt32(clamping: WallTime.now().secondsSinceEpoch) })
        let log = log
        return NodeService(name: "dns") {
            try await server.run { port in
                log.info("answers names of services", metadata: ["port": "\(port)"])
            }
        }
    }

    private static func seconds(_ span: MeshDuration) -> UInt32 {
        UInt32(clamping: span.nanoseconds / 1_000_000_000)
    }
}
