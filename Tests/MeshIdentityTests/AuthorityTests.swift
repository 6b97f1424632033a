import Crypto
import Foundation
import MeshIdentity
import MeshModel
import SwiftASN1
import Testing
import X509

@Suite struct AuthorityTests {
    private var random = SeededGenerator()
    private let folder: Folder

    init() throws { folder = try Folder() }

    private mutating func authority(_ name: String = domain) throws -> MeshAuthority {
        try .make(trustDomain: TrustDomain(name), now: now, using: &random)
    }

    /// Lets openssl judge a leaf as a peer in this role would.
    private func verify(
        _ leaf: LeafCertificate, roots: String, purpose: String = "sslserver"
    ) throws -> (status: Int32, text: String) {
        let id = UUID().uuidString
        let rootFile = try folder.write("\(id)-roots.pem", roots)
        let leafFile = try folder.write(
            "\(id)-leaf.pem", PEM.certificates(Array(leaf.chainDER.prefix(1))))
        var arguments = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", rootFile]
        if leaf.chainDER.count > 1 {
            let rest = PEM.certificates(Array(leaf.chainDER.dropFirst()))
            arguments += ["-untrusted", try folder.write("\(id)-rest.pem", rest)]
        }
        return try openssl(arguments + [leafFile])
    }

    @Test(arguments: ["sslserver", "sslclient"])
    mutating func opensslAcceptsALeafInBothRoles(purpose: String) throws {
        let authority = try authority()
        let leaf = try authority.issue(identity("web"), now: now, using: &random)
        let verdict = try verify(leaf, roots: authority.bundle.pem, purpose: purpose)
        #expect(verdict.status == 0, "\(verdict.text)")
    }

    @Test mutating func opensslRefusesALeafOfAnotherRootOfTheSameDomain() throws {
        let leaf = try authority().issue(identity("web"), now: now, using: &random)
        let verdict = try verify(leaf, roots: authority().bundle.pem)
        #expect(verdict.status != 0)
    }

    /// The key of a root signs, against the rules, an identity of a foreign domain.
    @Test mutating func aForeignTrustDomainUnderThisRootIsRefused() throws {
        let authority = try authority()
        let stolen = try P256.Signing.PrivateKey(
            derRepresentation: authority.active.privateKeyDER.exposed)
        let root = try Certificate(derEncoded: authority.active.certificateDER)
        let key = P256.Signing.PrivateKey()
        func leaf(_ uri: String) throws -> LeafCertificate {
            let certificate = try Certificate(
                version: .v3, serialNumber: .init(7), publicKey: .init(key.publicKey),
                notValidBefore: now.addingTimeInterval(-60), notValidAfter: now + 3600,
                issuer: root.subject, subject: DistinguishedName(),
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: Certificate.Extensions {
                    Critical(SubjectAlternativeNames([.uniformResourceIdentifier(uri)]))
                    AuthorityKeyIdentifier(
                        keyIdentifier: try root.extensions.subjectKeyIdentifier?.keyIdentifier)
                    SubjectKeyIdentifier(keyIdentifier: [1, 2, 3])
                },
                issuerPrivateKey: .init(stolen))
            var serializer = DER.Serializer()
            try serializer.serialize(certificate)
            return LeafCertificate(
                id: try identity("web"), rootID: authority.active.id,
                chainDER: [serializer.serializedBytes], privateKeyDER: SecretBytes([]),
                serial: [7], notBefore: now, notAfter: now)
        }
        let own = try verify(leaf(identity("web").uri), roots: authority.bundle.pem)
        #expect(own.status == 0, "\(own.text)")
        for foreign in ["evil.consul", "x\(domain)", "evil.\(domain.dropFirst())"] {
            let verdict = try verify(
                leaf("spiffe://\(foreign)/ns/default/dc/dc1/svc/web"), roots: authority.bundle.pem)
            #expect(verdict.status != 0, "\(foreign)")
            #expect(verdict.text.contains("permitted subtree violation"), "\(verdict.text)")
        }
    }

    @Test mutating func aLeafCarriesOneIdentityAndTheRightUses() throws {
        let authority = try authority()
        let leaf = try authority.issue(identity("Web"), now: now, using: &random)
        let text = try openssl(
            ["x509", "-inform", "DER", "-noout", "-text"], input: leaf.chainDER[0]
        ).text
        #expect(leaf.chainDER.count == 1)
        #expect(text.contains("URI:spiffe://\(domain)/ns/default/dc/dc1/svc/web\n"))
        #expect(text.contains("X509v3 Subject Alternative Name: critical"))
        #expect(
            text.contains(
                "X509v3 Key Usage: critical\n                Digital Signature, "
                    + "Key Encipherment, Data Encipherment, Key Agreement"))
        #expect(text.contains("TLS Web Client Authentication, TLS Web Server Authentication"))
        #expect(text.contains("CA:FALSE"))
        #expect(text.contains("ASN1 OID: prime256v1"))
        #expect(text.contains("Subject: \n"))
        #expect(text.contains(leaf.serialText))
        #expect(leaf.serial.count == 16 && leaf.serial[0] < 0x80 && leaf.serial[0] > 0)
    }

    @Test mutating func validityBeginsInThePastAndLasts72Hours() throws {
        let leaf = try authority().issue(identity("web"), now: now, using: &random)
        let certificate = try Certificate(derEncoded: leaf.chainDER[0])
        #expect(certificate.notValidBefore == leaf.notBefore)
        #expect(certificate.notValidAfter == leaf.notAfter)
        #expect(abs(leaf.notBefore.timeIntervalSince(now) + 60) < 1)
        #expect(leaf.notAfter == leaf.notBefore.addingTimeInterval(72 * 3600))
    }

    @Test mutating func aLeafDoesNotOutliveItsRootAndAnExpiredRootSignsNothing() throws {
        let root = try AuthorityRoot.make(
            trustDomain: TrustDomain(domain), now: now, lifetime: 3600, using: &random)
        let leaf = try root.issue(identity("web"), now: now, using: &random)
        #expect(leaf.notAfter == root.notAfter)
        let last = root.notAfter.addingTimeInterval(-1)
        #expect(throws: Never.self) { try root.issue(identity("web"), now: last, using: &random) }
        let refusal = error {
            _ = try root.issue(identity("web"), now: root.notAfter, using: &random)
        }
        #expect(refusal?.code == .unavailable)
        #expect(refusal?.message.contains("rotate") == true)
    }

    @Test mutating func identitiesOfOtherDomainsAreNotIssued() throws {
        let authority = try authority()
        let refusal = error {
            _ = try authority.issue(
                identity("web", domain: "evil.consul"), now: now, using: &random)
        }
        #expect(refusal?.code == .invalid)
    }

    @Test mutating func theRootLooksLikeConsuls() throws {
        let root = try authority().active
        let text = try openssl(
            ["x509", "-inform", "DER", "-noout", "-text", "-fingerprint", "-sha1"],
            input: root.certificateDER
        ).text
        let name = /Subject: CN = pri-[0-9a-z]{8}\.consul\.ca\.11111111\.consul\n/
        #expect(text.firstMatch(of: name) != nil, "\(text)")
        #expect(text.contains("URI:spiffe://\(domain)\n"))
        #expect(text.contains("Certificate Sign, CRL Sign"))
        #expect(text.contains("X509v3 Name Constraints: critical"))
        #expect(text.contains("sha1 Fingerprint=\(root.id.uppercased())"))
        #expect(root.id.count == 59 && root.signingKeyID.count == 95)
        #expect(root.serial > 0 && root.serial <= UInt64(Int64.max))
        #expect(abs(root.notAfter.timeIntervalSince(now) - AuthorityRoot.lifetime) < 1)
        #expect(root.trustDomain.text == domain)
    }

    @Test mutating func keysAreReadByOpensslAndBelongToTheirCertificates() throws {
        let authority = try authority()
        let leaf = try authority.issue(identity("web"), now: now, using: &random)
        let pairs = [
            (leaf.chainDER[0], leaf.privateKeyDER),
            (authority.active.certificateDER, authority.active.privateKeyDER),
        ]
        for (certificate, key) in pairs {
            let own = try openssl(
                ["pkey", "-inform", "DER", "-check", "-pubout"], input: key.exposed)
            #expect(own.status == 0, "\(own.text)")
            let wanted = try openssl(
                ["x509", "-inform", "DER", "-noout", "-pubkey"], input: certificate)
            #expect(own.text.contains(wanted.text))
        }
        let pem = try openssl(["ec", "-check", "-noout"], input: Array(leaf.privateKeyPEM.utf8))
        #expect(pem.status == 0)
        #expect(leaf.privateKeyPEM.hasPrefix("-----BEGIN EC PRIVATE KEY-----\n"))
        #expect(leaf.privateKeyPEM.hasSuffix("-----END EC PRIVATE KEY-----\n"))
    }

    @Test mutating func afterARotationPeersVerifyWithEitherRoot() throws {
        let first = try authority()
        let before = try first.issue(identity("web"), now: now, using: &random)
        let second = try first.rotated(now: now, using: &random)
        let after = try second.issue(identity("web"), now: now, using: &random)
        #expect(after.chainDER.count == 2)
        #expect(after.rootID == second.active.id && before.rootID == first.active.id)
        let newRootOnly = PEM.certificates([second.active.certificateDER])
        for (leaf, roots, good) in [
            (after, first.bundle.pem, true), (after, newRootOnly, true),
            (after, second.bundle.pem, true), (before, second.bundle.pem, true),
            (before, newRootOnly, false),
        ] {
            let verdict = try verify(leaf, roots: roots)
            #expect((verdict.status == 0) == good, "\(verdict.text)")
        }
    }

    /// A peer that has missed two changes believes the newest leaf still; one that has missed more
    /// than a leaf carries does not.
    @Test mutating func peersMayMissSeveralRotations() throws {
        var authority = try authority()
        let first = PEM.certificates([authority.active.certificateDER])
        for rotation in 1...4 {
            authority = try authority.rotated(now: now, using: &random)
            let leaf = try authority.issue(identity("web"), now: now, using: &random)
            #expect(leaf.chainDER.count == 1 + min(rotation, MeshAuthority.crossSignedLimit))
            let verdict = try verify(leaf, roots: first)
            #expect(
                (verdict.status == 0) == (rotation <= MeshAuthority.crossSignedLimit),
                "\(rotation): \(verdict.text)")
        }
    }

    @Test mutating func rotationsAreBounded() throws {
        var authority = try authority()
        for _ in 0..<MeshAuthority.retiredLimit {
            authority = try authority.rotated(now: now, using: &random)
        }
        let full = authority
        let refusal = error { _ = try full.rotated(now: now, using: &random) }
        #expect(refusal?.code == .conflict)
        let later = now.addingTimeInterval(2 * LeafCertificate.lifetime + 1)
        let pruned = full.pruned(now: later)
        #expect(pruned.retired.isEmpty)
        #expect(throws: Never.self) { try pruned.rotated(now: later, using: &random) }
    }

    @Test mutating func aRootTakesOverOnce() throws {
        let first = try authority()
        let refusal = error { _ = try first.rotated(to: first.active, now: now, using: &random) }
        #expect(refusal?.code == .conflict)
    }

    /// Leaves of one service are told apart although their times are the same.
    @Test mutating func versionsOfLeavesDiffer() throws {
        let authority = try authority()
        let leaves = try (0..<50).map { _ in
            try authority.issue(identity("web"), now: now, using: &random)
        }
        #expect(Set(leaves.map(\.version)).count == 50)
        let later = try authority.issue(
            identity("web"), now: now.addingTimeInterval(1), using: &random)
        #expect(leaves.allSatisfy { $0.version < later.version })
    }

    @Test mutating func retiredRootsStayAsLongAsLeavesMayCarryThem() throws {
        let first = try authority()
        let second = try first.rotated(now: now, using: &random)
        #expect(second.retired.map(\.id) == [first.active.id])
        let limit = now.addingTimeInterval(2 * LeafCertificate.lifetime)
        #expect(second.pruned(now: limit).retired.count == 1)
        #expect(second.pruned(now: limit.addingTimeInterval(1)).retired.isEmpty)
        let third = try second.rotated(now: now.addingTimeInterval(10), using: &random)
        #expect(third.retired.map(\.id) == [second.active.id, first.active.id])
        #expect(try MeshAuthority(roots: third.roots.shuffled()) == third)
    }

    @Test mutating func aStoredRootIsReadBackAndMixedUpPartsAreRefused() throws {
        let one = try authority().active
        let two = try authority().active
        let again = try AuthorityRoot(
            certificateDER: one.certificateDER, privateKeyDER: one.privateKeyDER,
            crossSignedDER: one.crossSignedDER)
        #expect(again == one && again.serial == one.serial)
        let mixed = error {
            _ = try AuthorityRoot(
                certificateDER: one.certificateDER, privateKeyDER: two.privateKeyDER)
        }
        #expect(mixed?.message.contains("not its own") == true)
        let cut = Array(one.certificateDER.dropLast())
        #expect(throws: MeshError.self) {
            try AuthorityRoot(certificateDER: cut, privateKeyDER: one.privateKeyDER)
        }
        #expect(throws: MeshError.self) { try MeshAuthority(roots: []) }
        #expect(throws: MeshError.self) { try MeshAuthority(roots: [one, two]) }
    }

    @Test mutating func aBundleIsNamedByItsRootsNotByTheirOrder() throws {
        let first = try authority()
        let second = try first.rotated(now: now, using: &random)
        let reversed = TrustBundle(
            trustDomain: second.trustDomain, rootsDER: second.bundle.rootsDER.reversed())
        #expect(second.bundle.fingerprint == reversed.fingerprint)
        #expect(second.bundle.fingerprint != first.bundle.fingerprint)
        #expect(second.bundle.fingerprint.count == 32)
    }

    @Test mutating func generatedDomainsAreUUIDsUnderConsul() throws {
        let form =
            /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.consul/
        let domains = try (0..<50).map { _ in try TrustDomain.generated(using: &random).text }
        #expect(domains.allSatisfy { $0.wholeMatch(of: form) != nil })
        #expect(Set(domains).count == 50)
    }

    @Test func keysAreNotSeenByPrinting() throws {
        let secret = SecretBytes([0xDE, 0xAD, 0xBE, 0xEF])
        var dumped = ""
        dump(secret, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), dumped] {
            #expect(!text.contains("222") && !text.lowercased().contains("dead"))
        }
    }
}
