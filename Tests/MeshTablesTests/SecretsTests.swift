import CMeshABI
import CMeshBase
import CMeshTable
import MeshModel
import Testing

@testable import MeshTables

@Suite struct SecretsTests {
    private func leaf(_ id: UInt64) -> SecretPlan {
        SecretPlan(
            id: id, version: 3, notAfterMilliseconds: 9,
            content: .certificate(
                chain: Array("chain \(id)".utf8), key: [1, 2, 3], names: ["web", "*.web"]))
    }

    private func tickets(_ count: Int = 160) -> SecretPlan {
        SecretPlan(
            id: SecretPlan.ticketKeysID, version: 1, notAfterMilliseconds: 0,
            content: .ticketKeys(Array(repeating: 7, count: count)))
    }

    @Test func theDataPlaneFindsWhatWasWritten() throws {
        let builder = try SecretsBuilder(
            [leaf(900), tickets(), leaf(SecretPlan.id(of: "leaf/web"))], generation: 5)
        let file = UnsafeMutableRawBufferPointer.allocate(
            byteCount: builder.size, alignment: 16)
        defer { file.deallocate() }
        file.initializeMemory(as: UInt8.self, repeating: 0xff)
        builder.write(into: file)
        var opened = secrets()
        var refusal = view_refusal()
        try #require(secrets_open(&opened, file.baseAddress, file.count, &refusal))
        let found = try #require(secrets_find(&opened, 900)).pointee
        #expect(found.version == 3)
        let chain = secrets_bytes(&opened, found.chain)
        #expect(
            String(
                decoding: UnsafeBufferPointer(start: chain.ptr, count: chain.len), as: UTF8.self)
                == "chain 900")
        let names = secrets_bytes(&opened, found.names)
        #expect(
            Array(UnsafeBufferPointer(start: names.ptr, count: names.len))
                == Array("web\0*.web\0".utf8))
        #expect(secrets_find(&opened, SecretPlan.id(of: "leaf/web")) != nil)
        #expect(try #require(secrets_find(&opened, 1)).pointee.key.count == 160)
        #expect(secrets_find(&opened, 2) == nil)
    }

    @Test func unusableSecretsAreRefused() {
        func problem(_ plans: [SecretPlan], _ generation: UInt64 = 1) -> String {
            do {
                _ = try SecretsBuilder(plans, generation: generation)
                return ""
            } catch { return "\(error)" }
        }
        #expect(problem([]) == "")
        #expect(problem([leaf(0)]).contains("id 0"))
        #expect(problem([leaf(5), leaf(5)]).contains("twice"))
        #expect(problem([tickets(79)]).contains("80 bytes"))
        #expect(problem([tickets(8 * 80)]) == "")
        #expect(problem([tickets(9 * 80)]).contains("more than 8 ticket keys"))
        #expect(problem([tickets(0)]).contains("80 bytes"))
        #expect(problem([leaf(5)], 0).contains("generation"))
        var empty = leaf(5)
        empty.content = .certificate(chain: [], key: [1], names: [])
        #expect(problem([empty]).contains("no chain"))
        empty.content = .certificate(chain: [1], key: [1], names: ["a\0b"])
        #expect(problem([empty]).contains("empty name"))
    }
}
