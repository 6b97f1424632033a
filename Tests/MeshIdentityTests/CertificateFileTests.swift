import Foundation
import MeshIdentity
import MeshModel
import Testing

/// Certificate files that are none. Good ones are read by the tests of listeners.
@Suite struct CertificateFileTests {
    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "taken"
        } catch {
            return "\(error)"
        }
    }

    /// A device never ends: no more than the limit is read of anything.
    @Test func endlessFilesAreNotReadToTheirEnd() {
        let said = refusal { _ = try CertificateFiles.authorities("/dev/zero") }
        #expect(said.contains("/dev/zero is longer than 1048576 bytes"))
    }

    @Test func theLimitIsExact() throws {
        let folder = try Folder()
        let limit = 1 << 20
        let full = try folder.write("full.pem", String(repeating: "#", count: limit))
        #expect(
            refusal { _ = try CertificateFiles.authorities(full) }.contains("no certificate"))
        let more = try folder.write("more.pem", String(repeating: "#", count: limit + 1))
        #expect(
            refusal { _ = try CertificateFiles.authorities(more) }.contains("is longer than"))
    }

    @Test func whatIsNoFileIsSaid() throws {
        let folder = try Folder()
        let nothing = "\(folder.path)/nothing.pem"
        #expect(
            refusal { _ = try CertificateFiles.authorities(nothing) }
                .contains("nothing.pem cannot be read"))
        #expect(
            refusal { _ = try CertificateFiles.authorities(folder.path) }.contains("cannot be read")
        )
    }

    /// A revocation list is a sequence of two sequences and a bit string; only blocks of that name
    /// count.
    @Test func whatIsNoRevocationListIsSaid() throws {
        let folder = try Folder()
        func said(_ type: String, _ der: [UInt8]) throws -> String {
            let text =
                "-----BEGIN \(type)-----\n\(Data(der).base64EncodedString())\n-----END \(type)-----\n"
            let path = try folder.write("lists.pem", text)
            return refusal { _ = try CertificateFiles.revocations(path) }
        }
        let list: [UInt8] = [0x30, 0x07, 0x30, 0x00, 0x30, 0x00, 0x03, 0x01, 0x00]
        #expect(try said("X509 CRL", list) == "taken")
        #expect(try said("CERTIFICATE", list).contains("holds no revocation list"))
        for cut in 1..<list.count {
            #expect(
                try said("X509 CRL", Array(list.prefix(cut)))
                    .contains("revocation list 1 of \(folder.path)/lists.pem cannot be read"))
        }
        #expect(
            try said("X509 CRL", [0x30, 0x04, 0x30, 0x00, 0x30, 0x00]).contains("cannot be read"))
        #expect(try said("X509 CRL", list + [0]).contains("cannot be read"))
    }
}
