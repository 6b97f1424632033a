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
}
