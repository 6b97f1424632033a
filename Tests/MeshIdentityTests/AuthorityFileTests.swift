import Foundation
import MeshModel
import Testing

@testable import MeshIdentity

/// Roots that other programs have made, taken over with their keys.
@Suite struct AuthorityFileTests {
    private let folder: Folder
    private var random = SeededGenerator(seed: 7)

    init() throws { folder = try Folder() }

    private func path(_ name: String) -> String { folder.path + "/" + name }

    /// Makes `name`.crt and `name`.key with openssl.
    private func make(_ name: String, _ more: [String] = [], curve: String = "prime256v1") throws {
        let made = try openssl(
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:\(curve)", "-nodes",
                "-keyout", path("\(name).key"), "-out", path("\(name).crt"), "-days", "30",
                "-subj", "/CN=\(name)",
            ] + more)
        #expect(made.status == 0, "\(made.text)")
    }

    private static let ca = [
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    ]

    private func load(_ name: String, key: String? = nil) throws -> AuthorityRoot {
        try AuthorityFiles.load(
            certificate: path("\(name).crt"), key: path("\(key ?? name).key"),
            trustDomain: TrustDomain(domain))
    }

    /// openssl identifies keys by SHA-1 where this room takes SHA-256: leaves follow their root.
    @Test mutating func leavesOfAGivenRootAreBelieved() throws {
        try make("given", Self.ca)
        let authority = MeshAuthority(root: try load("given"))
        #expect(authority.trustDomain.text == domain)
        let id = SpiffeID(
            trustDomain: try TrustDomain(domain), datacenter: try DatacenterName("dc1"),
            service: try ServiceName("web"))
        let leaf = try authority.issue(id, now: now, using: &random)
        let next = try authority.rotated(now: now, using: &random)
        let after = try next.issue(id, now: now, using: &random)
        for leaf in [leaf, after] {
            let chain = try folder.write("chain.pem", leaf.chainPEM)
            let verdict = try openssl(
                ["verify", "-CAfile", path("given.crt"), "-untrusted", chain, chain])
            #expect(verdict.status == 0, "\(verdict.text)")
        }
        let serial = try openssl(["x509", "-in", path("given.crt"), "-noout", "-serial"]).text
        let digits = serial.split(separator: "=")[1].prefix { $0.isHexDigit }
        #expect(authority.active.serial == UInt64(digits.suffix(16), radix: 16))
    }

    @Test mutating func aRootOfOursMakesRoomForAGivenOne() throws {
        try make("given", Self.ca)
        let ours = try MeshAuthority.make(
            trustDomain: TrustDomain(domain), now: now, using: &random)
        let next = try ours.rotated(to: load("given"), now: now, using: &random)
        let id = SpiffeID(
            trustDomain: try TrustDomain(domain), datacenter: try DatacenterName("dc1"),
            service: try ServiceName("web"))
        let leaf = try next.issue(id, now: now, using: &random)
        let chain = try folder.write("chain.pem", leaf.chainPEM)
        for root in [ours.active, next.active] {
            let file = try folder.write("root.pem", PEM.certificates([root.certificateDER]))
            let verdict = try openssl(["verify", "-CAfile", file, "-untrusted", chain, chain])
            #expect(verdict.status == 0, "\(verdict.text)")
        }
    }

    @Test func whatIsNoRootIsRefusedWithTheReason() throws {
        try make("given", Self.ca)
        try make("other", Self.ca)
        try make("plain", ["-addext", "basicConstraints=critical,CA:FALSE"])
        try make(
            "silent",
            [
                "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
                "keyUsage=critical,digitalSignature",
            ])
        try make("wide", Self.ca, curve: "secp384r1")
        try make("foreign", Self.ca + ["-addext", "subjectAltName=URI:spiffe://other.test"])
        try make("named", Self.ca + ["-addext", "subjectAltName=DNS:ca.test"])
        _ = try folder.write("empty.crt", "")
        let both = try String(contentsOfFile: path("given.crt"), encoding: .utf8)
        _ = try folder.write("two.crt", both + both)
        for (name, key, part) in [
            ("given", "other", "a key that is not its own"), ("plain", nil, "CA:TRUE"),
            ("silent", nil, "may not sign certificates"), ("wide", nil, "P-256"),
            ("foreign", nil, "is of other.test"), ("named", nil, "names that are no trust domain"),
            ("empty", "given", "0 certificates"), ("two", "given", "2 certificates"),
            ("missing", "given", "cannot be read"), ("given", "missing", "cannot be read"),
        ] as [(String, String?, String)] {
            do {
                _ = try load(name, key: key)
                Issue.record("\(name) is taken")
            } catch let error as MeshError {
                #expect("\(error)".contains(part), "\(name): \(error)")
            }
        }
    }

    @Test mutating func anIntermediateIsNoRoot() throws {
        try make("given", Self.ca)
        try make("below", Self.ca)
        let root = try load("given")
        let signed = try root.crossSign(try load("below"), now: now, using: &random)
        _ = try folder.write("cross.crt", PEM.certificates([signed]))
        #expect {
            _ = try load("cross", key: "below")
        } throws: { "\($0)".contains("not signed by itself") }
    }

    @Test func textsAreTakenAsFilesAre() throws {
        try make("given", Self.ca)
        let certificate = try String(contentsOfFile: path("given.crt"), encoding: .utf8)
        let key = try String(contentsOfFile: path("given.key"), encoding: .utf8)
        let root = try AuthorityFiles.root(
            certificatePEM: certificate, keyPEM: key, trustDomain: TrustDomain(domain))
        #expect(try root == load("given"))
        #expect {
            _ = try AuthorityFiles.root(
                certificatePEM: "nothing", keyPEM: key, trustDomain: TrustDomain(domain))
        } throws: { "\($0)".contains("RootCert") }
    }
}
