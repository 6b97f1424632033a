import MeshModel

/// From the text of a scalar to its value. Every reader of a value goes through here.
enum Scalars {
    static func bool(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true", "yes", "on": true
        case "false", "no", "off": false
        default: nil
        }
    }

    static func integer(_ text: String) -> Int? {
        guard !text.isEmpty, text.utf8.allSatisfy({ $0 == 0x2d || (0x30...0x39).contains($0) })
        else { return nil }
        return Int(text)
    }

    static func decimal(_ text: String) -> Double? {
        guard !text.isEmpty, text.utf8.allSatisfy({ "0123456789+-.eE".utf8.contains($0) }),
            let number = Double(text), number.isFinite
        else { return nil }
        return number
    }

    /// A duration of Consul's documents: text with a unit, or a bare count of nanoseconds.
    static func consulDuration(_ text: String) throws -> MeshDuration {
        if let count = Int64(text) { return MeshDuration(nanoseconds: count) }
        return try MeshDuration(text)
    }
}

extension ValueType {
    /// What is wrong with the scalar's text, or nil. Collections have no scalars and answer nil.
    func problem(with text: String) -> String? {
        switch self {
        case .text(let rule):
            if text.isEmpty, rule.mayBeEmpty { return nil }
            return Self.message { try rule.check(text) }
        case .bool:
            return Scalars.bool(text) == nil
                ? "\(quoted(text)) is neither true nor false: write true or false" : nil
        case .integer(let range):
            guard let value = Scalars.integer(text) else {
                return "\(quoted(text)) is not a whole number: write a \(words)"
            }
            return range.contains(value) ? nil : "\(value) is out of range: write a \(words)"
        case .decimal:
            return Scalars.decimal(text) == nil
                ? "\(quoted(text)) is not a number: write for example 12.5" : nil
        case .duration(let range, let zero): return duration(text, range, zero)
        case .consulDuration:
            return Self.message { _ = try Scalars.consulDuration(text) }
        case .address:
            return text.isEmpty ? nil : Self.message { _ = try HostPort(text) }
        case .path(let rule): return Self.pathProblem(text, rule)
        case .choice(let choices):
            let isKnown = choices.contains { $0.lowercased() == text.lowercased() }
            return isKnown
                ? nil : "\(quoted(text)) is not a choice: write one of \(words)"
        case .texts, .integers, .textMap, .listMap, .data, .dataMap, .object, .objects, .objectMap,
            .entries:
            return nil
        }
    }

    private func duration(
        _ text: String, _ range: ClosedRange<MeshDuration>, _ zero: Bool
    ) -> String? {
        do {
            let value = try MeshDuration(text)
            let isSound = range.contains(value) || (zero && value == .zero)
            return isSound ? nil : "\(text) is out of range: write a \(words)"
        } catch { return "\(error)" }
    }

    private static func pathProblem(_ text: String, _ rule: PathRule) -> String? {
        if text.utf8.contains(0) { return "the path has a NUL character" }
        guard case .socket = rule, text.utf8.count > 107 else { return nil }
        return "the path has \(text.utf8.count) bytes: a unix socket's path has at most 107"
    }

    private static func message(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch { return "\(error)" }
    }
}

/// The text in quotes, control characters escaped, cut where it would flood a message.
func quoted(_ text: String) -> String {
    let shown = text.unicodeScalars.prefix(80).map { scalar in
        scalar.value < 0x20 || scalar.value == 0x7f
            ? scalar.escaped(asASCII: true) : String(scalar)
    }
    return "\"\(shown.joined())\(text.unicodeScalars.count > 80 ? "…" : "")\""
}
