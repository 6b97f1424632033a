import MeshModel

/// A tree to print, members in their order.
indirect enum YAMLValue {
    /// Printed as it is: numbers, true, false, durations.
    case literal(String)
    /// Quoted where YAML could take it for something else.
    case text(String)
    case list([YAMLValue])
    case map([(String, YAMLValue)])

    /// Whether it stands on one line.
    var isLeaf: Bool {
        switch self {
        case .literal, .text: true
        case .list(let items): items.isEmpty
        case .map(let members): members.isEmpty
        }
    }

    /// A text, or nothing when it is nil.
    static func optional(_ text: String?) -> YAMLValue? { text.map { .text($0) } }

    /// Texts by name, sorted; nothing when there are none.
    static func texts(_ map: [String: String]) -> YAMLValue? {
        map.isEmpty ? nil : .map(map.sorted { $0.key < $1.key }.map { ($0.key, .text($0.value)) })
    }

    /// A list of texts; nothing when it is empty.
    static func texts(_ list: [String]) -> YAMLValue? {
        list.isEmpty ? nil : .list(list.map { .text($0) })
    }

    static func bool(_ value: Bool) -> YAMLValue { .literal(value ? "true" : "false") }
    static func number(_ value: some BinaryInteger) -> YAMLValue { .literal("\(value)") }
    static func duration(_ value: MeshDuration) -> YAMLValue { .literal("\(value)") }

    /// A mapping of what is there; nothing when nothing is.
    static func section(_ members: [(String, YAMLValue?)]) -> YAMLValue? {
        let present = members.compactMap { key, value in value.map { (key, $0) } }
        return present.isEmpty ? nil : .map(present)
    }

    init(_ data: DataValue) {
        switch data {
        case .null: self = .literal("null")
        case .bool(let value): self = .bool(value)
        case .int(let value): self = .number(value)
        case .double(let value): self = .literal("\(value)")
        case .string(let value): self = .text(value)
        case .array(let items): self = .list(items.map { YAMLValue($0) })
        case .object(let members):
            self = .map(
                members.sorted { $0.key < $1.key }.map { ($0.key, YAMLValue($0.value)) })
        }
    }
}

/// Prints a tree as block YAML.
enum YAMLWriter {
    static func write(_ value: YAMLValue) -> String {
        var lines: [String] = []
        block(value, indent: 0, lead: "", &lines)
        return lines.map { $0 + "\n" }.joined()
    }

    /// Writes a value below `lead`, which stands at the start of its first line.
    private static func block(
        _ value: YAMLValue, indent: Int, lead: String, _ lines: inout [String]
    ) {
        let pad = String(repeating: " ", count: indent)
        switch value {
        case _ where value.isLeaf: lines.append(lead + flow(value))
        case .literal, .text: break
        case .list(let items):
            if !lead.isEmpty { lines.append(trimmed(lead)) }
            for item in items {
                nested(item, indent: indent, lead: pad + "- ", &lines)
            }
        case .map(let members):
            if !lead.isEmpty { lines.append(trimmed(lead)) }
            for (key, item) in members {
                let head = pad + scalar(key) + ": "
                block(item, indent: indent + 2, lead: head, &lines)
            }
        }
    }

    /// A list's item: a mapping starts on the line of the dash.
    private static func nested(
        _ value: YAMLValue, indent: Int, lead: String, _ lines: inout [String]
    ) {
        guard case .map(let members) = value, !members.isEmpty else {
            block(value, indent: indent + 2, lead: lead, &lines)
            return
        }
        var inner: [String] = []
        block(value, indent: indent + 2, lead: "", &inner)
        inner[0] = lead + inner[0].dropFirst(indent + 2)
        lines += inner
    }

    private static func trimmed(_ lead: String) -> String {
        lead.hasSuffix(" ") ? String(lead.dropLast()) : lead
    }

    private static func flow(_ value: YAMLValue) -> String {
        switch value {
        case .literal(let text): text
        case .text(let text): scalar(text)
        case .list: "[]"
        case .map: "{}"
        }
    }

    /// The text bare where every reader takes it for a text, else in double quotes.
    static func scalar(_ text: String) -> String {
        let bare = text.unicodeScalars.allSatisfy {
            $0.isASCII
                && ($0.properties.isAlphabetic || ("0"..."9").contains($0)
                    || "-_./*@+".unicodeScalars.contains($0))
        }
        let starts = text.unicodeScalars.first.map { $0.properties.isAlphabetic || $0 == "/" }
        let words: Set<String> = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        if bare, starts == true, !words.contains(text.lowercased()) { return text }
        var quoted = "\""
        for unit in text.unicodeScalars {
            switch unit {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            default:
                if unit.value < 0x20 || (0x7f..<0xa0).contains(unit.value)
                    || unit.value == 0x2028 || unit.value == 0x2029 || unit.value == 0xfeff
                {
                    let hex = String(unit.value, radix: 16)
                    quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
                } else {
                    quoted.unicodeScalars.append(unit)
                }
            }
        }
        return quoted + "\""
    }
}
