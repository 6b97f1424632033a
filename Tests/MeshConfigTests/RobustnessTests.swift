import MeshConfig
import MeshModel
import Testing

/// A small generator with a fixed seed, so that a failure repeats.
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

@Suite struct RobustnessTests {
    /// Either a configuration or problems that all say something at a place within the text.
    private func check(_ text: String, _ what: String, environment: [String: String]? = nil) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        do {
            let loaded = try textLoader.load(
                text: text, source: "c", environment: environment)
            #expect(loaded.configuration.rendered().hasPrefix("node:"), "\(what)")
        } catch let failure as ConfigProblems {
            #expect(failure.problems.contains { $0.severity == .error }, "\(what)")
            for problem in failure.problems {
                #expect(!problem.message.isEmpty, "\(what)")
                guard let place = problem.location else { continue }
                #expect(place.line >= 0 && place.line <= lines.count + 1, "\(what): \(problem)")
            }
        } catch {
            Issue.record("\(what): \(error)")
        }
    }

    @Test func theExampleCutAtEveryByte() {
        let bytes = Array(designExample.utf8)
        for length in 0...bytes.count {
            check(String(decoding: bytes[..<length], as: UTF8.self), "cut at \(length)")
        }
    }

    @Test func theExampleWithItsBytesChanged() {
        var random = SplitMix(state: 20_417)
        let original = Array(designExample.utf8)
        let alphabet = Array(":-{}[]\"'#&*!|>%@,\n\t ?$~0aZ\\".utf8) + [0x00, 0xc3, 0xff]
        for round in 0..<1500 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let at = Int.random(in: 0..<bytes.count, using: &random)
                let new = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes[at] = new
                case 1: bytes.insert(new, at: at)
                case 2: bytes.remove(at: at)
                default:
                    let end = min(bytes.count, at + Int.random(in: 1...40, using: &random))
                    let part = Array(bytes[at..<end])
                    bytes.insert(
                        contentsOf: part, at: Int.random(in: 0..<bytes.count, using: &random))
                }
            }
            check(
                String(decoding: bytes, as: UTF8.self), "round \(round) of seed 20417",
                environment: round.isMultiple(of: 2) ? ["a": "b: c"] : nil)
        }
    }

    @Test func everyKeyWithEveryKindOfValue() {
        let values = [
            "~", "[]", "{}", "[[]]", "{ a: { b: c } }", "-1", "x", "\"\"", "1e999", "[~]",
            "{ ~: ~ }",
            "true", "99999999999999999999", "[{}]", "- -",
        ]
        let paths = ConfigReference.flags.map { $0.flag.split(separator: ".").map(String.init) }
        for path in paths where path[0] != "config" {
            for value in values {
                let text =
                    path.count == 1
                    ? "\(path[0]): \(value)" : "\(path[0]): { \(path[1]): \(value) }"
                check(text, text)
            }
        }
        for list in ["services", "listeners", "config_entries"] {
            for value in values { check("\(list): [\(value)]", "\(list) \(value)") }
        }
    }
}
