import MeshModel
import Testing

@testable import MeshConfig

@Suite struct CompressionTests {
    private func listener(_ compression: String, kind: String = "l7") -> String {
        """
        listeners:
          - { name: a, bind_addr: ":1", kind: \(kind), service: web,
              compression: \(compression) }
        """
    }

    @Test func anEmptySectionHasTheDefaults() throws {
        let read = try load(listener("{}"))
        #expect(read.listeners[0].value.compression == ListenerDefinition.Compression())
        #expect(try load(read.rendered()).rendered() == read.rendered())
    }

    @Test func everythingCanBeSaid() throws {
        let read = try load(
            listener(
                "{ codings: [br, gzip], types: [text/*, Application/JSON], min_length: 0, "
                    + "levels: { gzip: 9, br: 1 } }"))
        let compression = try #require(read.listeners[0].value.compression)
        #expect(compression.codings == [.br, .gzip])
        #expect(compression.types == ["text/*", "Application/JSON"])
        #expect(compression.minLength == 0)
        #expect(compression.levels == .init(gzip: 9, br: 1, zstd: 3))
        #expect(try load(read.rendered()).rendered() == read.rendered())
    }

    @Test(arguments: [
        ("{ codings: [] }", ["3:31 listeners[0].compression.codings"]),
        ("{ codings: [gzip, deflate] }", ["3:38 listeners[0].compression.codings[1]"]),
        ("{ codings: [gzip, gzip] }", ["3:38 listeners[0].compression.codings[1]"]),
        ("{ types: [] }", ["3:29 listeners[0].compression.types"]),
        ("{ types: [text] }", ["3:30 listeners[0].compression.types[0]"]),
        ("{ types: [\"*/*\"] }", ["3:30 listeners[0].compression.types[0]"]),
        ("{ types: [\"text/html; charset=utf-8\"] }", ["3:30 listeners[0].compression.types[0]"]),
        ("{ types: [a/b/c] }", ["3:30 listeners[0].compression.types[0]"]),
        ("{ min_length: -1 }", ["3:34 listeners[0].compression.min_length"]),
        ("{ levels: { gzip: 0 } }", ["3:38 listeners[0].compression.levels.gzip"]),
        ("{ levels: { br: 7 } }", ["3:36 listeners[0].compression.levels.br"]),
        ("{ levels: { zstd: 4 } }", ["3:38 listeners[0].compression.levels.zstd"]),
        ("{ level: 4 }", ["3:22 listeners[0].compression.level"]),
    ])
    func mistakesAreToldWhereTheyAre(_ text: String, _ expected: [String]) {
        #expect(places(listener(text)) == expected)
    }

    @Test func bytesAreNotCompressed() {
        #expect(places(listener("{}", kind: "l4")) == ["3:20 listeners[0].compression"])
    }

    @Test(arguments: [
        ("text/html", true), ("text/*", true), ("image/svg+xml", true),
        ("application/vnd.api+json", true), ("", false), ("/", false), ("text/", false),
        ("/html", false), ("text/h*", false), ("text html", false), ("text/html ", false),
        ("tëxt/html", false), (String(repeating: "a", count: 126) + "/b", false),
    ])
    func mediaTypesAreTokens(_ text: String, _ isPattern: Bool) {
        #expect(MediaTypeText.isPattern(text) == isPattern)
    }
}
