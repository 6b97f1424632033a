import MeshModel
import Testing

@testable import MeshConfig

@Suite struct ReferenceTests {
    /// Every table with its path.
    private func tables() -> [(String, ObjectSchema)] {
        func below(_ path: String, _ schema: ObjectSchema) -> [(String, ObjectSchema)] {
            [(path, schema)]
                + schema.keys.flatMap { spec in
                    spec.type.schema.map { below("\(path).\(spec.name)", $0) } ?? []
                }
        }
        return below("root", RootKeys.schema) + below("config", RootKeys.flagsOnly)
            + EntryKeys.schemas.flatMap { below($0.key.rawValue, $0.value) }
            + below("intention", IntentionReader.schema)
    }

    @Test func everyDefaultAndExampleIsSound() {
        for (path, schema) in tables() {
            for spec in schema.keys {
                let place = "\(path).\(spec.name)"
                if let fallback = spec.fallback {
                    #expect(spec.type.problem(with: fallback) == nil, "default of \(place)")
                }
                let parsed = DocumentParser.parse(
                    SourceText("\(spec.name): \(spec.example)", source: place))
                #expect(parsed.problems.isEmpty, "example of \(place): \(parsed.problems)")
                guard let node = parsed.node else { continue }
                let sink = ProblemSink()
                let alone = ObjectSchema(
                    schema.name, schema.keys.filter { $0.name == spec.name })
                SchemaChecker(sink: sink).check(node, alone, [])
                #expect(sink.problems.isEmpty, "example of \(place): \(sink.problems)")
            }
        }
    }

    @Test func everyKeyHasItsTextAndOneSpelling() {
        for (path, schema) in tables() {
            for spec in schema.keys {
                #expect(spec.help.hasSuffix("."), "\(path).\(spec.name)")
                #expect(!spec.example.isEmpty, "\(path).\(spec.name)")
                #expect(
                    spec.name.allSatisfy { $0.isLowercase || $0.isNumber || $0 == "_" },
                    "\(path).\(spec.name)")
            }
        }
    }

    @Test func theHandbooksPageListsEveryKey() {
        let page = ConfigReference.markdown()
        for (path, schema) in tables() where !path.hasPrefix("intention") {
            for spec in schema.keys {
                #expect(page.contains("| `\(spec.name)`"), "\(path).\(spec.name)")
            }
        }
        #expect(page.contains("| `bind_addr` | address host:port | `127.0.0.1:8002` |"))
        #expect(page.contains("| `bind_addr` | address host:port | `127.0.0.1:8500` |"))
        for line in page.split(separator: "\n") where line.hasPrefix("|") {
            let bars = line.replacing("\\|", with: "").filter { $0 == "|" }.count
            #expect(bars == 6, "\(line)")
        }
    }

    @Test func everyFlagIsRead() throws {
        for flag in ConfigReference.flags where !flag.flag.hasPrefix("config.") {
            let value = flag.spec.fallback ?? ""
            #expect(throws: Never.self, "\(flag.flag)") {
                try load("", ["--\(flag.flag)=\(value)"])
            }
        }
        #expect(ConfigReference.flagHelp().contains("--admin.bind-addr"))
        for line in ConfigReference.flagHelp().split(separator: "\n") {
            #expect(line.count <= 80, "\(line)")
            #expect(line.hasPrefix("  "), "\(line)")
        }
    }

    @Test func suggestionsAreNear() {
        let words = ["name", "datacenter", "address", "meta"]
        #expect(Suggestion.nearest(to: "nmae", among: words) == "name")
        #expect(Suggestion.nearest(to: "datacentre", among: words) == "datacenter")
        #expect(Suggestion.nearest(to: "adress", among: words) == "address")
        #expect(Suggestion.nearest(to: "zzz", among: words) == nil)
        #expect(Suggestion.nearest(to: "", among: words) == nil)
    }
}
