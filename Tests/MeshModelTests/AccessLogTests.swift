import MeshModel
import Testing

@Suite struct AccessLogTests {
    private func problem(_ text: String) -> String? {
        do {
            _ = try AccessLogFormat(text)
            return nil
        } catch { return "\(error)" }
    }

    @Test func aTemplateIsTextAndVariables() throws {
        #expect(
            try AccessLogFormat("a %{method} b%{path:json}%%c").pieces == [
                .literal("a "), .value(.variable(.method), json: false), .literal(" b"),
                .value(.variable(.path), json: true), .literal("%c"),
            ])
        #expect(
            try AccessLogFormat("%{request.header.X-Id}%{response.header.x-id:json}").pieces == [
                .value(.requestHeader("x-id"), json: false),
                .value(.responseHeader("x-id"), json: true),
            ])
    }

    @Test func everyVariableCanBeNamed() throws {
        for variable in AccessLogVariable.allCases {
            #expect(
                try AccessLogFormat("%{\(variable.rawValue)}").pieces == [
                    .value(.variable(variable), json: false)
                ])
        }
    }

    @Test func jsonHasEveryVariableOnce() throws {
        let pieces = try AccessLogFormat("json").pieces
        let values = pieces.compactMap { piece -> AccessLogFormat.Value? in
            if case .value(let value, true) = piece { value } else { nil }
        }
        #expect(values == AccessLogVariable.allCases.map { .variable($0) })
        let filled = pieces.map { piece in
            if case .literal(let text) = piece { text } else { "0" }
        }
        #expect(filled.joined().hasPrefix(#"{"time":0,"node":0,"#))
        #expect(filled.joined().contains(#","client_ip":0,"#))
        #expect(filled.joined().hasSuffix(#","referer":0}"#))
    }

    @Test func fieldsAreNamedOnceInTheirOrder() throws {
        let format = try AccessLogFormat(
            "%{response.header.b}%{request.header.a}%{path}%{request.header.A}%{request.header.b}")
        #expect(
            format.headers == [.responseHeader("b"), .requestHeader("a"), .requestHeader("b")])
    }

    @Test func whatIsWrongIsSaid() {
        let cases = [
            ("", "names no variable"), ("plain", "names no variable"),
            ("%%{method}", "no variable"),
            ("%{method", "has no end"), ("%", "stands alone"), ("50% of %{path}", "stands alone"),
            ("%{nothing}", "no such variable"), ("%{}", "no such variable"),
            ("%{Method}", "no such variable"), ("%{path:raw}", "is :json"),
            ("%{path:}", "is :json"), ("%{request.header.}", "not the name of a field"),
            ("%{request.header.a b}", "not the name of a field"),
            ("%{path}\n", "one line without control characters"),
            ("%{path}\u{1b}[2J", "one line without control characters"),
            ("%{path}\u{7f}", "one line without control characters"),
        ]
        for (text, expected) in cases {
            #expect(problem(text)?.contains(expected) == true, "\(text): \(problem(text) ?? "-")")
        }
    }

    @Test func boundsHoldOneInsideAndOneOutside() throws {
        let size = AccessLogFormat.textLimit
        #expect(problem("%{path}" + String(repeating: "x", count: size - 7)) == nil)
        #expect(problem("%{path}" + String(repeating: "x", count: size - 6)) != nil)
        let parts = AccessLogFormat.pieceLimit
        #expect(problem(String(repeating: "%{status}", count: parts)) == nil)
        #expect(problem(String(repeating: "%{status}", count: parts + 1)) != nil)
        let fields = (0...AccessLogFormat.headerCount).map { "%{request.header.x\($0)}" }
        #expect(problem(fields.dropLast().joined()) == nil)
        #expect(problem(fields.joined()) != nil)
        // A path is at most 6 * 1024 + 2 bytes of JSON, a line 65536 with its end.
        #expect(problem(String(repeating: "%{path:json}", count: 10)) == nil)
        #expect(problem(String(repeating: "%{path:json}", count: 11)) != nil)
    }

    /// Cut anywhere, a template is read or refused with words.
    @Test func aTemplateCutAnywhereIsReadOrRefused() {
        let text = #"%{client.ip} "%{request.header.X-Id:json}" %% é%{time}"#
        for end in text.unicodeScalars.indices {
            let cut = String(text.unicodeScalars[..<end])
            if let problem = problem(cut) { #expect(!problem.isEmpty) }
        }
        #expect(problem(text) == nil)
    }

    @Test func aListenerReplacesWhatItSays() {
        let node = AccessLogDefinition(path: "/a.log", format: "json", sample: 0.5)
        #expect(AccessLogDefinition().over(node) == node)
        #expect(
            AccessLogDefinition(path: "", sample: 1).over(node)
                == AccessLogDefinition(path: "", format: "json", sample: 1))
    }

    @Test func logsThatCannotBeAreRefused() {
        func problems(_ log: AccessLogDefinition) -> [String] {
            var checks = FieldChecks()
            log.validate(&checks)
            return checks.problems.map(\.path.dotted)
        }
        #expect(problems(.off) == [])
        #expect(problems(AccessLogDefinition(path: "/var/log/a.log")) == [])
        for path in ["a.log", "./a", "/var/log/", "STDOUT", "/a\nb"] {
            #expect(problems(AccessLogDefinition(path: path)) == ["path"], "\(path)")
        }
        let long = "/" + String(repeating: "x", count: AccessLogDefinition.pathLimit)
        #expect(problems(AccessLogDefinition(path: long)) == ["path"])
        #expect(problems(AccessLogDefinition(path: String(long.dropLast()))) == [])
        for sample in [-0.1, 1.01, .nan] {
            #expect(problems(AccessLogDefinition(sample: sample)) == ["sample"], "\(sample)")
        }
        #expect(problems(AccessLogDefinition(format: "%{x}")) == ["format"])
    }
}
