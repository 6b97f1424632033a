import MeshModel
import Testing

@Suite struct HeaderTemplateTests {
    private func pieces(
        _ text: String, onResponse: Bool = true
    ) throws -> [HeaderTemplate.Piece] {
        try HeaderTemplate(text, onResponse: onResponse).pieces
    }

    @Test func signsOfPerCent() throws {
        #expect(try pieces("100% of 5%") == [.literal("100% of 5%")])
        #expect(try pieces("%%{client.ip}") == [.literal("%{client.ip}")])
        #expect(try pieces("%") == [.literal("%")])
        #expect(try pieces("") == [])
        #expect(
            try pieces("a%{client.ip}%{path}z")
                == [.literal("a"), .variable(.clientIP), .variable(.path), .literal("z")])
        #expect(try HeaderTemplate("%{host}", onResponse: false).varies)
        #expect(try !HeaderTemplate("host", onResponse: false).varies)
    }

    @Test func whatIsNoVariable() {
        for text in ["%{", "%{client.ip", "%{}", "%{client}", "%{CLIENT.IP}", "%{status}"] {
            #expect(throws: MeshError.self) { try HeaderTemplate(text, onResponse: true) }
        }
    }

    @Test func whatIsKnownWithTheAnswer() throws {
        #expect(throws: MeshError.self) {
            try HeaderTemplate("%{upstream.address}", onResponse: false)
        }
        #expect(
            try pieces("%{upstream.address}") == [.variable(.upstreamAddress)])
        var checks = FieldChecks()
        let rules = HeaderModifiers(set: ["x-a": "%{upstream.address}"])
        rules.validate(onResponse: false, &checks)
        #expect(checks.problems.map(\.message).first?.contains("response_headers") == true)
        checks = FieldChecks()
        rules.validate(onResponse: true, &checks)
        #expect(checks.problems.isEmpty)
    }
}
