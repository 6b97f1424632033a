/// A place in a document. Lines and columns count from 1; columns count characters.
package struct SourceLocation: Hashable, Sendable, Codable {
    /// A file's path, or what else the text came from: `flag --log.level`, `request body`.
    package var source: String
    package var line: Int
    package var column: Int

    package init(source: String, line: Int = 0, column: Int = 0) {
        self.source = source
        self.line = line
        self.column = column
    }
}

extension SourceLocation: CustomStringConvertible {
    /// `file:line:column`, or the source alone when it has no lines.
    package var description: String {
        line == 0 ? source : "\(source):\(line):\(column)"
    }
}

/// Something wrong, or worth saying, about what a person wrote. The message says what to write.
package struct Problem: Hashable, Sendable, Codable {
    package enum Severity: String, Sendable, Codable {
        case error
        case warning
    }

    package var severity: Severity
    package var message: String
    package var location: SourceLocation?
    /// The key concerned in dotted form, `listeners[0].bind_addr`; empty for a whole document.
    package var key: String

    package init(
        _ severity: Severity, _ message: String, at location: SourceLocation? = nil,
        key: String = ""
    ) {
        self.severity = severity
        self.message = message
        self.location = location
        self.key = key
    }
}

extension Problem: CustomStringConvertible {
    /// `file:line:column: error: key: message`, the form that editors jump to.
    package var description: String {
        let place = location.map { "\($0): " } ?? ""
        let subject = key.isEmpty ? "" : "\(key): "
        return "\(place)\(severity.rawValue): \(subject)\(message)"
    }
}
