import MeshModel
import NIOSSL

/// The certificate of a server and whom it trusts.
package struct ServerTLS: Sendable {
    let context: NIOSSLContext

    /// Reads PEM files. With `clientCA` a client must show a certificate that leads to it.
    package init(certificate: String, key: String, clientCA: String?) throws {
        do {
            let chain = try NIOSSLCertificate.fromPEMFile(certificate)
            let privateKey = try NIOSSLPrivateKey(file: key, format: .pem)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: chain.map { .certificate($0) },
                privateKey: .privateKey(privateKey))
            configuration.minimumTLSVersion = .tlsv12
            configuration.applicationProtocols = ["http/1.1"]
            if let clientCA {
                configuration.trustRoots = .file(clientCA)
                // A client has no host name that could be compared.
                configuration.certificateVerification = .noHostnameVerification
            }
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw MeshError(
                .invalid,
                "the certificate \(certificate) with the key \(key) cannot be used", cause: error)
        }
    }

    func handler() -> NIOSSLServerHandler { NIOSSLServerHandler(context: context) }
}
