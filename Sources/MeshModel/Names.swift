/// A name with a rule. It travels as a plain string, and only sound ones exist.
package protocol ModelName: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// Takes the name as written; throws what is wrong and what to write.
    init(_ text: String) throws
    /// The name as written.
    var text: String { get }
}

extension ModelName {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        try self.init(try container.decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }

    package var description: String { text }
    package static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

/// The bounds of names. Each holds in the longest form that a certificate or an SNI carries.
package enum NameLimits {
    package static let serviceBytes = 128
    package static let serviceIDBytes = 255
    package static let nodeBytes = 128
    package static let datacenterBytes = 63
    package static let subsetBytes = 63
    package static let trustDomainBytes = 255
}

/// The rule that most names share: bounded; letters, digits and a few marks; alphanumeric ends.
enum NameRule {
    static func check(_ text: String, what: String, marks: String, limit: Int) throws {
        guard !text.isEmpty else {
            throw MeshError(.invalid, "a \(what) is missing: write one, for example web")
        }
        guard text.utf8.count <= limit else {
            throw MeshError(
                .invalid,
                "\(what) of \(text.utf8.count) bytes is too long: use at most \(limit)")
        }
        let spelled = marks.map { "'\($0)'" }.joined(separator: ", ")
        for (offset, scalar) in text.unicodeScalars.enumerated()
        where !isAlphanumeric(scalar) && !marks.unicodeScalars.contains(scalar) {
            throw MeshError(
                .invalid,
                "\(what) \(quoted(text)) has \(quoted(String(scalar))) at position \(offset + 1): "
                    + "use letters, digits, \(spelled)")
        }
        guard let first = text.unicodeScalars.first, let last = text.unicodeScalars.last,
            isAlphanumeric(first), isAlphanumeric(last)
        else {
            throw MeshError(
                .invalid, "\(what) \(quoted(text)) must start and end with a letter or a digit")
        }
    }

    static func isAlphanumeric(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "a"..."z", "A"..."Z", "0"..."9": true
        default: false
        }
    }

    /// The text in quotes with control characters escaped, cut where it would flood a message.
    static func quoted(_ text: String) -> String {
        let shown = text.unicodeScalars.prefix(80).map { scalar in
            scalar.value < 0x20 || scalar.value == 0x7f
                ? scalar.escaped(asASCII: true) : String(scalar)
        }
        return "\"\(shown.joined())\(text.unicodeScalars.count > 80 ? "…" : "")\""
    }
}

/// The name of a service. Names that differ only by case are the same name everywhere: in the
/// catalog, in intentions and in certificates, so that case cannot get around a rule.
package struct ServiceName: ModelName {
    package let text: String
    /// The name in lower case: what is compared, hashed and written into identities.
    package let folded: String

    package init(_ text: String) throws {
        try NameRule.check(
            text, what: "service name", marks: "-_.", limit: NameLimits.serviceBytes)
        self.text = text
        self.folded = text.lowercased()
    }

    package static func == (left: Self, right: Self) -> Bool { left.folded == right.folded }
    package static func < (left: Self, right: Self) -> Bool { left.folded < right.folded }
    package func hash(into hasher: inout Hasher) { hasher.combine(folded) }
}

/// The identifier of one registration on its node; the service's name unless given.
package struct ServiceID: ModelName {
    package let text: String

    package init(_ text: String) throws {
        guard !text.isEmpty else {
            throw MeshError(.invalid, "a service id is missing: write one or leave the key out")
        }
        guard text.utf8.count <= NameLimits.serviceIDBytes else {
            throw MeshError(
                .invalid,
                "service id of \(text.utf8.count) bytes is too long: use at most "
                    + "\(NameLimits.serviceIDBytes)")
        }
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) else {
            throw MeshError(
                .invalid,
                "service id \(NameRule.quoted(text)) has a blank, control or non-ASCII character: "
                    + "use printable ASCII")
        }
        self.text = text
    }

    /// The identifier that a service without one gets.
    package init(_ name: ServiceName) { self.text = name.text }

    /// The identifier of the sidecar of this registration.
    package var sidecar: ServiceID { ServiceID(unchecked: text + "-sidecar-proxy") }

    private init(unchecked text: String) { self.text = text }
}

/// The name of a node.
package struct NodeName: ModelName {
    package let text: String

    package init(_ text: String) throws {
        try NameRule.check(text, what: "node name", marks: "-_.", limit: NameLimits.nodeBytes)
        self.text = text
    }
}

/// The name of a datacenter, always in lower case.
package struct DatacenterName: ModelName {
    package let text: String

    package init(_ text: String) throws {
        try NameRule.check(
            text, what: "datacenter", marks: "-_", limit: NameLimits.datacenterBytes)
        self.text = text.lowercased()
    }
}

/// The name of a subset of a service's instances.
package struct SubsetName: ModelName {
    package let text: String

    package init(_ text: String) throws {
        try NameRule.check(text, what: "subset", marks: "-_", limit: NameLimits.subsetBytes)
        self.text = text
    }
}

/// A service by its name, or any service.
package enum NamePattern: Hashable, Sendable {
    case any
    case exact(ServiceName)

    /// Takes `*` or a service's name.
    package init(_ text: String) throws {
        if text == "*" {
            self = .any
            return
        }
        guard !text.contains("*") else {
            throw MeshError(
                .invalid,
                "wildcard character '*' cannot be used with partial values: write * alone or a name"
            )
        }
        self = .exact(try ServiceName(text))
    }

    /// What is compared: `*`, or the name in lower case.
    package var folded: String {
        switch self {
        case .any: "*"
        case .exact(let name): name.folded
        }
    }

    /// Whether the pattern covers this name.
    package func covers(_ name: ServiceName) -> Bool {
        switch self {
        case .any: true
        case .exact(let own): own == name
        }
    }
}

extension NamePattern: CustomStringConvertible, Codable {
    package var description: String {
        switch self {
        case .any: "*"
        case .exact(let name): name.text
        }
    }

    package init(from decoder: any Decoder) throws {
        try self.init(try decoder.singleValueContainer().decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
