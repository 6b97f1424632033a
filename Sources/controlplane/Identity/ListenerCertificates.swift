import Foundation
import MeshConfig
import MeshIdentity
import MeshModel

/// Certificates of plain listeners, from the files that the configuration names.
struct ListenerCertificates {
    private var cache = CertificateCache()
    private(set) var problems: [Problem] = []

    /// Reads them all, what has not changed from memory. A file that does not do is left out with a
    /// problem; so is a listener without any that does.
    mutating func load(
        _ listeners: [Owned<ListenerDefinition>]
    ) -> [String: ListenerCertificate] {
        cache.begin()
        problems = []
        var found: [String: ListenerCertificate] = [:]
        for listener in listeners {
            guard let tls = listener.value.tls else { continue }
            var certificates: [ListenerCertificate.Named] = []
            for pair in pairs(of: tls, listener) {
                do {
                    certificates.append(try named(pair))
                } catch { note(error, listener) }
            }
            var trust: [UInt8]?
            do {
                trust = try clientTrust(of: tls)
            } catch { note(error, listener) }
            guard !certificates.isEmpty, let trust else { continue }
            found[listener.value.name] = ListenerCertificate(
                certificates: certificates, clientTrust: trust)
        }
        return found
    }

    private func clientTrust(of tls: ListenerDefinition.TLS) throws -> [UInt8] {
        try (tls.clientCA.isEmpty ? [] : CertificateFiles.authorities(tls.clientCA))
            + (tls.clientCRL.isEmpty ? [] : CertificateFiles.revocations(tls.clientCRL))
    }

    /// Everything that is wrong with the files.
    static func problems(_ listeners: [Owned<ListenerDefinition>]) -> [Problem] {
        var reader = ListenerCertificates()
        _ = reader.load(listeners)
        return reader.problems
    }

    private mutating func named(
        _ pair: ListenerDefinition.KeyPair
    ) throws -> ListenerCertificate.Named {
        ListenerCertificate.Named(
            name: "\(pair.cert)|\(pair.key)",
            files: try cache.load(certificate: pair.cert, key: pair.key))
    }

    private mutating func note(_ error: any Error, _ listener: Owned<ListenerDefinition>) {
        problems.append(
            Problem(.error, "listener \(listener.value.name): \(error)", at: listener.location))
    }

    /// Those that are named first, then those of the folder by name.
    private mutating func pairs(
        of tls: ListenerDefinition.TLS, _ listener: Owned<ListenerDefinition>
    ) -> [ListenerDefinition.KeyPair] {
        guard !tls.certsDir.isEmpty else { return tls.certs }
        var files: [String] = []
        do {
            files = try Self.names(in: tls.certsDir)
        } catch { note(error, listener) }
        let present = Set(files)
        var found: [ListenerDefinition.KeyPair] = []
        for file in files.sorted() where file.hasSuffix(".crt") || file.hasSuffix(".pem") {
            let key = file.dropLast(4) + ".key"
            if present.contains(String(key)) {
                found.append(
                    ListenerDefinition.KeyPair(
                        cert: "\(tls.certsDir)/\(file)", key: "\(tls.certsDir)/\(key)"))
            } else {
                note(
                    MeshError(.invalid, "\(tls.certsDir)/\(file) has no \(key) beside it"),
                    listener)
            }
        }
        return tls.certs + found
    }

    private static func names(in folder: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
        } catch {
            throw MeshError(.invalid, "\(folder) cannot be read", cause: error)
        }
    }
}
