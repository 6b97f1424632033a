import MeshConfig
import MeshIdentity
import MeshModel

/// Certificates of plain listeners, from the files that the configuration names.
enum ListenerCertificates {
    /// Reads them all; a listener whose files do not do is left out with a problem.
    static func load(
        _ listeners: [Owned<ListenerDefinition>]
    ) -> (certificates: [String: ListenerCertificate], problems: [Problem]) {
        var certificates: [String: ListenerCertificate] = [:]
        var problems: [Problem] = []
        for listener in listeners {
            guard let tls = listener.value.tls else { continue }
            do {
                certificates[listener.value.name] = ListenerCertificate(
                    identity: try CertificateFiles.load(certificate: tls.cert, key: tls.key),
                    clientAuthorities: tls.clientCA.isEmpty
                        ? [] : try CertificateFiles.authorities(tls.clientCA))
            } catch {
                problems.append(
                    Problem(
                        .error, "listener \(listener.value.name): \(error)", at: listener.location))
            }
        }
        return (certificates, problems)
    }
}
