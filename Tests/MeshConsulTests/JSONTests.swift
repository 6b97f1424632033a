import Testing

@testable import MeshConsul

@Suite struct JSONTests {
    private static let document = """
        {"a":[1,-2,3.5,1e2,true,false,null,"x\\u00e9\\ud83d\\ude00\\n\\"\\\\"],"b":{"c":{}},"d":[]}
        """

    @Test func aDocumentComesBackAsItWas() throws {
        let value = try JSONParser.parse(Array(Self.document.utf8))
        #expect(value["a"] == [1, -2, .double(3.5), .double(100), true, false, .null, "xé😀\n\"\\"])
        // As text: 1e2 is written 100.
        for pretty in [true, false] {
            #expect(try JSONParser.parse(value.bytes(pretty: pretty)).text == value.text)
        }
    }

    @Test func aDocumentThatIsCutAnywhereIsRefused() {
        let bytes = Array(Self.document.utf8)
        for end in bytes.indices {
            #expect(throws: JSONParser.Failure.self, "\(end)") {
                try JSONParser.parse(Array(bytes[..<end]))
            }
        }
    }

    @Test(arguments: [
        ("{", "unexpected EOF"), ("nul", "unexpected EOF"),
        ("{\"a\" 1}", "invalid character '1' after object key"),
        ("{\"a\":1 \"b\"}", "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{a}", "invalid character 'a' looking for beginning of object key string"),
        ("}", "invalid character '}' looking for beginning of value"),
        ("nulL", "invalid character 'L' in literal null (expecting 'l')"),
        ("{} x", "invalid character 'x' after top-level value"),
        ("01", "invalid character '1' after top-level value"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1e+x", "invalid character 'x' in exponent of numeric literal"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("\"\\q\"", "invalid character 'q' in string escape code"),
        ("\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
        ("\"a\nb\"", "invalid character '\\n' in string literal"),
    ])
    func mistakesAreToldInGosWords(_ text: String, _ words: String) {
        #expect(throws: JSONParser.Failure(description: words)) {
            try JSONParser.parse(Array(text.utf8))
        }
    }

    @Test func depthHasALimit() throws {
        let limit = JSONParser.depthLimit
        func nested(_ depth: Int) -> [UInt8] {
            Array(
                (String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        _ = try JSONParser.parse(nested(limit))
        _ = try JSONParser.parse(nested(limit + 1))
        #expect(throws: JSONParser.Failure(description: "exceeded max depth")) {
            try JSONParser.parse(nested(limit + 2))
        }
        #expect(throws: JSONParser.Failure.self) { try JSONParser.parse(nested(1_000_000)) }
    }

    @Test func numbersKeepTheirKind() throws {
        let text = "[9223372036854775807,18446744073709551615,-9223372036854775808,1.0,5e-7]"
        let value = try JSONParser.parse(Array(text.utf8))
        #expect(
            value == [.int(.max), .unsigned(.max), .int(.min), .double(1), .double(5e-7)])
        #expect(
            value.text
                == "[9223372036854775807,18446744073709551615,-9223372036854775808,1,5e-07]")
        #expect(throws: JSONParser.Failure.self) { try JSONParser.parse(Array("1e999".utf8)) }
    }

    @Test func pagesCannotBeBrokenOutOf() {
        #expect(JSON.string("</script>&\u{2028}").text == #""\u003c/script\u003e\u0026\u2028""#)
    }

    /// Random damage to a document: it is read, or refused with words; nothing else happens.
    @Test func damagedDocumentsAreReadOrRefused() {
        var generator = SeededGenerator(seed: 8500)
        let bytes = Array(Self.document.utf8)
        var refused = 0
        for _ in 0..<20_000 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let place = Int.random(in: 0..<damaged.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: damaged[place] = UInt8.random(in: 0...255, using: &generator)
                case 1: damaged.remove(at: place)
                default:
                    damaged.insert(UInt8.random(in: 0...255, using: &generator), at: place)
                }
            }
            do {
                let value = try JSONParser.parse(damaged)
                let again = try? JSONParser.parse(value.bytes(pretty: false))
                #expect(again?.text == value.text)
            } catch {
                #expect(!"\(error)".isEmpty)
                refused += 1
            }
        }
        #expect((1_000..<20_000).contains(refused))
    }
}
