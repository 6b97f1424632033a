import MeshConfig
import MeshModel
import Testing

@Suite struct DocumentTests {
    private func first(_ text: String) -> String {
        DocumentParser.parse(SourceText(text, source: "d")).problems.first?.description ?? "none"
    }

    @Test func repeatedKeysAreRefused() {
        #expect(
            first("a: 1\nb: 2\na: 3\n").hasPrefix(
                "d:3:1: error: a: the key was already given in line 1"))
        #expect(first("x: { \"a\": 1, a: 2 }").hasPrefix("d:1:14: error: a:"))
    }

    @Test func syntaxErrorsHaveAPlace() {
        #expect(first("a: [1, 2\nb: 3").hasPrefix("d:2:2: error: did not find expected ',' or ']'"))
        #expect(first("a: b: c").hasPrefix("d:1:5: error: mapping values are not allowed"))
        #expect(first("a:\n\t- b").contains("indent with spaces"))
        #expect(first("a: *nope").hasPrefix("d:1:4: error: *nope names nothing"))
        #expect(first("a: &x [ *x ]").hasPrefix("d:1:9: error: *x stands inside"))
        #expect(first("--- 1\n--- 2").hasPrefix("d:2:1: error: a second document"))
        #expect(first("? [a]\n: b").hasPrefix("d:1:3: error: a key must be plain text"))
        #expect(first("a: !thing b").hasPrefix("d:1:4: error: the tag !thing"))
        #expect(first("<<: a").hasPrefix("d:1:1: error: << takes a mapping"))
    }

    @Test func bytesThatAreNotTextHaveAPlace() {
        let parsed = DocumentParser.parse(
            SourceText(Array("a: é\nb: ".utf8) + [0xff], source: "d"))
        #expect(parsed.node == nil)
        #expect(
            parsed.problems.first?.description.hasPrefix("d:2:4: error: invalid leading UTF-8")
                == true)
        #expect(first("a: \u{1}").hasPrefix("d:1:4: error: control characters"))
    }

    @Test func columnsCountCharacters() {
        #expect(first("é: \"ü\"\n\"日本\": 1\nü: { 日: 1, 日: 2 }").hasPrefix("d:3:12: error: 日:"))
    }

    @Test func depthIsBounded() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(first(nested(64)) == "none")
        #expect(first(nested(65)).contains("nested deeper than 64"))
        #expect(first(nested(200_000)).contains("nested deeper than 64"))
        let long = "a: &a \(nested(60))\nb: "
        #expect(first(long + "[[[*a]]]") == "none")
        #expect(first(long + "[[[[*a]]]]").contains("nests deeper than 64"))
    }

    @Test func aliasBombsAreBounded() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
        for level in 1...12 {
            let names = Array(repeating: "*a\(level - 1)", count: 9).joined(separator: ", ")
            text += "a\(level): &a\(level) [\(names)]\n"
        }
        #expect(first(text).contains("more than 2000000 values"))
    }

    @Test func sizeIsBounded() {
        let bytes = [UInt8](repeating: 0x20, count: DocumentLimits.bytes + 1)
        let parsed = DocumentParser.parse(SourceText(bytes, source: "d"))
        #expect(parsed.problems.first?.message.contains("split it") == true)
        #expect(
            DocumentParser.parse(SourceText(Array(bytes.dropLast()), source: "d")).problems.isEmpty)
    }

    @Test func jsonIsReadAlike() throws {
        let json = #"""
            {"a":"\u00e9\/\ud83d\ude00\\ud83d",	"b":[1,-2.5e3,true,null,"true"],"c":{}}
            """#
        let parsed = DocumentParser.parse(SourceText(json, source: "body"))
        #expect(parsed.problems.isEmpty)
        #expect(
            parsed.node?.data
                == .object([
                    "a": .string("é/😀\\ud83d"),
                    "b": .array([
                        .int(1), .double(-2500), .bool(true), .null, .string("true"),
                    ]), "c": .object([:]),
                ]))
    }

    @Test func placesHoldAfterJoinedEscapes() {
        #expect(
            first(#"{"a": "\ud83d\ude00\ud83d\ude00", "b": 1, "b": 2}"#).hasPrefix(
                "d:1:43: error: b:"))
        #expect(first(#"{"a": "\ud83d"}"#).contains("invalid Unicode character escape code"))
    }

    @Test func foldersAreReadInOrderAndFaultsNameTheirFile() throws {
        let folder = try TemporaryFolder()
        try folder.write("10-web.yaml", "service: { name: web, port: 80 }")
        try folder.write(
            "20-more.json", #"{"services": [{"Name": "a", "Port": 1}, {"Name": "b"}]}"#)
        try folder.write("30-bare.yml", "- { name: c }\n- { name: d, prot: 1 }\n")
        try folder.write("40-bad.yaml", "service: { name: e\n")
        try folder.write(".hidden.yaml", "nonsense")
        try folder.write("readme.txt", "nonsense")
        try folder.write("50-empty.yaml", "# nothing yet\n")
        let documents = DocumentLoader.loadServices(directory: folder.path)
        #expect(documents.values.map(\.value.name.text) == ["web", "a", "b", "c"])
        #expect(documents.values[1].location.source == "\(folder.path)/20-more.json")
        #expect(documents.values[1].location.column == 15)
        let found = documents.problems.map(\.description)
        #expect(found.count == 2 && !documents.isSound)
        #expect(found[0].hasPrefix("\(folder.path)/30-bare.yml:2:14: error: [1].prot: unknown key"))
        #expect(found[1].hasPrefix("\(folder.path)/40-bad.yaml:2:1: error: did not find"))
        let missing = DocumentLoader.loadServices(directory: folder.path + "/none")
        #expect(missing.values.isEmpty && missing.problems.count == 1)
    }

    @Test func folderOfEntries() throws {
        let folder = try TemporaryFolder()
        try folder.write("a.yaml", "kind: service-defaults\nname: web\nprotocol: http\n")
        try folder.write(
            "b.json",
            #"{"config_entries": [{"Kind": "service-router", "Name": "web", "Routes": null}]}"#)
        let documents = DocumentLoader.loadConfigEntries(directory: folder.path)
        #expect(documents.problems.isEmpty)
        #expect(documents.values.map(\.value.kind) == ["service-defaults", "service-router"])
    }

    @Test func whatIsDefinedTwiceIsToldWithTheOtherPlace() throws {
        let folder = try TemporaryFolder()
        try folder.write("a.yaml", "[ { name: web }, { name: db }, { name: web } ]")
        try folder.write("b.yaml", "{ name: other, id: db }")
        let documents = DocumentLoader.loadServices(directory: folder.path)
        #expect(documents.values.map(\.value.name.text) == ["web", "db"])
        #expect(
            documents.problems.map(\.description) == [
                "\(folder.path)/a.yaml:1:32: error: service id \"web\" is defined in "
                    + "\(folder.path)/a.yaml:1:3 already: keep one of them",
                "\(folder.path)/b.yaml:1:1: error: service id \"db\" is defined in "
                    + "\(folder.path)/a.yaml:1:18 already: keep one of them",
            ])
        let entries = Array("[{kind: mesh, name: a}, {kind: mesh, name: A}]".utf8)
        #expect(DocumentLoader.configEntries(entries, source: "b").values.count == 1)
    }

    @Test func bodiesOfTheAPIShareTheErrors() throws {
        let body = Array(
            #"{"ID": "web-1", "Name": "web", "Port": 8080, "Check": {"TTL": "30s"}}"#.utf8)
        let service = try DocumentLoader.services(body, source: "request body").single()
        #expect(service.id.text == "web-1")
        let bad = DocumentLoader.services(
            Array(#"{"Name": "x", "Prot": 1}"#.utf8), source: "request body")
        let error = #expect(throws: ConfigProblems.self) { try bad.single() }
        #expect(
            error?.description
                == "request body:1:15: error: Prot: unknown key: did you mean port?")
        #expect(throws: ConfigProblems.self) {
            try DocumentLoader.services([], source: "request body").single()
        }
        #expect(throws: ConfigProblems.self) {
            try DocumentLoader.services(Array("[{name: a},{name: b}]".utf8), source: "b").single()
        }
    }

    @Test func intentionsOfTheAPI() throws {
        let body = #"{"SourceName": "web", "DestinationName": "db", "Action": "allow"}"#
        let intention = try DocumentLoader.intention(Array(body.utf8), source: "b").single()
        #expect(intention.precedence == 9)
        #expect(intention.effect == .action(.allow))
        let wrong = DocumentLoader.intention(
            Array("{source: web, destination: '*', permissions: [{action: deny, http: {}}]}".utf8),
            source: "b")
        #expect(
            wrong.problems.map { "\($0.location?.column ?? 0) \($0.key)" }
                == ["46 permissions", "47 permissions[0]"])
        #expect(
            DocumentLoader.intention(Array("{source: web, destination: db}".utf8), source: "b")
                .problems.count == 1)
    }
}
