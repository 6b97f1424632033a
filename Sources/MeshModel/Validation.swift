/// One step from a document's root to a value inside it.
package enum FieldStep: Hashable, Sendable, ExpressibleByStringLiteral {
    case key(String)
    case index(Int)

    package init(stringLiteral value: String) { self = .key(value) }
}

/// A broken rule inside a value, with the way to the field in the spelling of documents.
package struct FieldProblem: Hashable, Sendable {
    package var path: [FieldStep]
    package var message: String

    package init(_ path: [FieldStep], _ message: String) {
        self.path = path
        self.message = message
    }
}

extension Sequence where Element == FieldStep {
    /// The dotted form of a path: `checks[0].interval`.
    package var dotted: String {
        reduce(into: "") { text, step in
            switch step {
            case .key(let key): text += text.isEmpty ? key : ".\(key)"
            case .index(let index): text += "[\(index)]"
            }
        }
    }
}

/// Collects broken rules; `within` prefixes what is reported inside it.
package struct FieldChecks {
    package private(set) var problems: [FieldProblem] = []
    private var prefix: [FieldStep] = []

    package init() {}

    /// Reports that the field at `path` breaks a rule.
    package mutating func fail(_ path: [FieldStep], _ message: String) {
        problems.append(FieldProblem(prefix + path, message))
    }

    /// Reports `message` unless the rule holds.
    package mutating func require(
        _ holds: Bool, _ path: [FieldStep], _ message: @autoclosure () -> String
    ) {
        if !holds { fail(path, message()) }
    }

    /// Checks a member under its path.
    package mutating func within(_ path: [FieldStep], _ body: (inout FieldChecks) -> Void) {
        let outer = prefix
        prefix += path
        body(&self)
        prefix = outer
    }

    /// Checks a member that validates itself under its path.
    package mutating func within<T: Validated>(_ path: [FieldStep], _ value: T?) {
        guard let value else { return }
        within(path) { value.validate(&$0) }
    }

    /// Checks every element under `key[index]`.
    package mutating func each<T: Validated>(_ key: String, _ values: [T]) {
        for (index, value) in values.enumerated() {
            within([.key(key), .index(index)]) { value.validate(&$0) }
        }
    }
}

/// A value whose rules span several fields. Documents, API bodies and code share them.
package protocol Validated {
    /// Reports every rule that the value breaks.
    func validate(_ checks: inout FieldChecks)
}

extension Validated {
    /// Every rule that the value breaks; empty when it is sound.
    package func problems() -> [FieldProblem] {
        var checks = FieldChecks()
        validate(&checks)
        return checks.problems
    }

    /// The value itself when it is sound, else an error naming everything that is not.
    package func validated() throws -> Self {
        let broken = problems()
        guard !broken.isEmpty else { return self }
        let text = broken.map { problem in
            problem.path.isEmpty ? problem.message : "\(problem.path.dotted): \(problem.message)"
        }
        throw MeshError(.invalid, text.joined(separator: "; "))
    }
}
