import Glibc
import Testing

@testable import MeshProcess

@Suite struct DaemonFileTests {
    @Test(arguments: ["web-proxy", "a/b", "..", "..%2F", ".x", "a b", "100%", "a.b_C-9"])
    func idsAreNamesOfFilesAndBack(id: String) {
        let name = DaemonFiles.name(id)
        #expect(!name.contains("/") && !name.hasPrefix("."))
        #expect(DaemonFiles.id(ofName: name) == id)
    }

    @Test func onlyNamesThatWeWriteAreIds() {
        #expect(DaemonFiles.id(ofName: "%2f") == nil)
        #expect(DaemonFiles.id(ofName: "%") == nil)
        #expect(DaemonFiles.id(ofName: "%41") == nil)
    }

    @Test func recordsAreReadOrNot() {
        let whole = "77\nstart 5\nboot b\nwhat w\ntoken t\n"
        let record = DaemonFiles.Record(whole)
        #expect(record?.process == ProcessIdentity(pid: 77, start: 5, boot: "b"))
        #expect(record?.fingerprint == "w" && record?.token == "t")
        for length in 0..<(whole.utf8.count - 3) {
            #expect(DaemonFiles.Record(String(whole.prefix(length))) == nil)
        }
        #expect(DaemonFiles.Record("1\nstart 5\nboot b\nwhat w\ntoken t\n") == nil)
    }

    @Test func aProcessIsKnownByItsStart() throws {
        let own = try #require(ProcessIdentity.of(getpid()))
        #expect(own.isAlive)
        #expect(!ProcessIdentity(pid: own.pid, start: own.start + 1, boot: own.boot).isAlive)
        #expect(!ProcessIdentity(pid: own.pid, start: own.start, boot: "x").isAlive)
        #expect(ProcessIdentity.of(0) == nil)
    }
}
