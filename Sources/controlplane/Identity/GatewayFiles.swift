import MeshConfig
import MeshIdentity
import MeshModel

/// What the files hold that gateways' entries name.
struct GatewayFiles: Equatable, Sendable {
    private(set) var pairs: [ListenerDefinition.KeyPair: CertificateFiles] = [:]
    /// Authorities, DER, one behind the other, by file.
    private(set) var authorities: [String: [UInt8]] = [:]
    /// Why a file cannot be had, by its name.
    private(set) var failures: [String: String] = [:]

    /// Reads what these entries name; what has not changed comes out of the cache.
    static func read(
        _ entries: [ConfigEntry], _ cache: inout CertificateCache
    ) -> GatewayFiles {
        var files = GatewayFiles()
        cache.begin()
        for entry in entries {
            for pair in pairs(of: entry) where files.pairs[pair] == nil {
                do {
                    files.pairs[pair] = try cache.load(certificate: pair.cert, key: pair.key)
                } catch { files.failures[pair.cert] = "\(error)" }
            }
            for file in authorities(of: entry) where files.authorities[file] == nil {
                do {
                    files.authorities[file] = try CertificateFiles.authorities(file)
                } catch { files.failures[file] = "\(error)" }
            }
        }
        return files
    }

    /// Those of one entry.
    func of(_ entry: ConfigEntry) -> GatewayFiles {
        var own = GatewayFiles()
        for pair in Self.pairs(of: entry) {
            own.pairs[pair] = pairs[pair]
            own.failures[pair.cert] = failures[pair.cert]
        }
        for file in Self.authorities(of: entry) {
            own.authorities[file] = authorities[file]
            own.failures[file] = failures[file]
        }
        return own
    }

    private static func pairs(of entry: ConfigEntry) -> [ListenerDefinition.KeyPair] {
        switch entry {
        case .ingressGateway(let gateway):
            gateway.tls.certs + gateway.listeners.flatMap { $0.tls?.certs ?? [] }
        case .terminatingGateway(let gateway):
            gateway.services.filter { !$0.certFile.isEmpty }.map {
                ListenerDefinition.KeyPair(cert: $0.certFile, key: $0.keyFile)
            }
        default: []
        }
    }

    private static func authorities(of entry: ConfigEntry) -> [String] {
        guard case .terminatingGateway(let gateway) = entry else { return [] }
        return gateway.services.map(\.caFile).filter { !$0.isEmpty }
    }
}
