import CMeshABI
import MeshModel
import Testing

@testable import MeshTables

@Suite struct CompressionTests {
    private func node(_ plan: CompressionPlan) throws -> CompiledNode {
        var node = try Plans.small()
        node.listeners[0].compression = plan
        return node
    }

    @Test func aListenerWithoutItCompressesNothing() throws {
        let reader = try Plans.reader(Plans.small())
        #expect(reader.listeners[0].compression == UInt32.max)
        #expect(reader.compressions.isEmpty)
    }

    @Test func theDataPlaneAcceptsWhatIsWritten() throws {
        let reader = try Plans.reader(
            node(
                CompressionPlan(
                    offers: [.init(.zstd, level: 3), .init(.gzip, level: 9)],
                    types: ["Text/*", "application/JSON"], minLength: 300)))
        #expect(reader.listeners[0].compression == 0)
        let record = reader.compressions[0]
        #expect(record.min_length == 300)
        #expect(record.coding_count == 2)
        #expect(record.codings.0 == UInt8(ABI_CODING_ZSTD.rawValue))
        #expect(record.codings.1 == UInt8(ABI_CODING_GZIP.rawValue))
        #expect(record.levels == (9, 0, 3))
        #expect(reader.mediaTypes.map(reader.text) == ["text/", "application/json"])
    }

    /// The bounds that the configuration knows are those of the data plane.
    @Test(arguments: ListenerDefinition.Compression.Coding.allCases)
    func levelsHaveTheSameBounds(_ coding: ListenerDefinition.Compression.Coding) throws {
        let limit =
            switch coding {
            case .gzip: LIMIT_LEVEL_GZIP
            case .br: LIMIT_LEVEL_BROTLI
            case .zstd: LIMIT_LEVEL_ZSTD
            }
        #expect(coding.levels == 1...Int(limit))
        #expect(ListenerDefinition.Compression.mostTypes == Int(LIMIT_MEDIA_TYPES))
    }

    @Test func whatCannotBeIsRefused() throws {
        let gzip = CompressionPlan.Offer(.gzip, level: 5)
        #expect(
            try !Plans.problems(node(CompressionPlan(offers: [], types: ["a/b"], minLength: 0)))
                .isEmpty)
        #expect(
            try !Plans.problems(
                node(CompressionPlan(offers: [gzip, gzip], types: ["a/b"], minLength: 0))
            ).isEmpty)
        #expect(
            try !Plans.problems(node(CompressionPlan(offers: [gzip], types: [], minLength: 0)))
                .isEmpty)
        var raw = try node(CompressionPlan(offers: [gzip], types: ["a/b"], minLength: 0))
        raw.listeners[0].kind = .l4(SplitPlan.all(to: "web.default.dc1"))
        #expect(
            try Plans.problems(raw).contains(
                "listener public forwards bytes: it compresses nothing"))
    }
}
