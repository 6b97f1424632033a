import MeshModel

/// A text with holes as templates of prepared queries have them: `${name.full}`, `${name.prefix}`,
/// `${name.suffix}`, `${agent.segment}` and `${match(N)}`; `$${` is a plain `${`.
package struct QueryText: Sendable, Hashable {
    package enum Part: Sendable, Hashable {
        case text(String)
        case full
        case prefix
        case suffix
        case segment
        case match(Int)
    }

    package let parts: [Part]

    /// Reads a text; throws what is wrong with the place, counted from 1.
    package init(_ text: String) throws {
        var reader = Reader(bytes: Array(text.utf8))
        parts = try reader.read()
    }

    /// The text for a name. A match that the name does not have is empty.
    package func render(_ name: QueryName) -> String {
        parts.map { part in
            switch part {
            case .text(let text): text
            case .full: name.full
            case .prefix: name.prefix
            case .suffix: name.suffix
            case .segment: name.segment
            case .match(let number):
                name.matches.indices.contains(number) ? name.matches[number] : ""
            }
        }.joined()
    }

    private struct Reader {
        let bytes: [UInt8]
        var at = 0
        var plain: [UInt8] = []
        var parts: [Part] = []

        mutating func read() throws -> [Part] {
            while at < bytes.count {
                if take("$${") {
                    plain += Array("${".utf8)
                } else if take("${") {
                    flush()
                    parts.append(try readHole())
                } else {
                    plain.append(bytes[at])
                    at += 1
                }
            }
            flush()
            return parts
        }

        private mutating func flush() {
            if !plain.isEmpty { parts.append(.text(String(decoding: plain, as: UTF8.self))) }
            plain = []
        }

        private mutating func take(_ mark: String) -> Bool {
            guard bytes[at...].starts(with: mark.utf8) else { return false }
            at += mark.utf8.count
            return true
        }

        private mutating func skipBlanks() {
            while at < bytes.count, bytes[at] == 0x20 || bytes[at] == 0x09 { at += 1 }
        }

        private mutating func readHole() throws -> Part {
            skipBlanks()
            let start = at
            while at < bytes.count, Self.isNamed(bytes[at]) { at += 1 }
            let name = String(decoding: bytes[start..<at], as: UTF8.self)
            let part: Part
            switch name {
            case "name.full": part = .full
            case "name.prefix": part = .prefix
            case "name.suffix": part = .suffix
            case "agent.segment": part = .segment
            case "match": part = .match(try readNumber())
            case "": throw problem("something is missing behind ${", start)
            default: throw problem("\(name) is unknown", start)
            }
            skipBlanks()
            guard at < bytes.count else { throw problem("a ${ without its }", at) }
            guard take("}") else { throw problem("a } is expected", at) }
            return part
        }

        private mutating func readNumber() throws -> Int {
            skipBlanks()
            guard take("(") else { throw problem("match needs a number in parentheses", at) }
            skipBlanks()
            let start = at
            while at < bytes.count, (0x30...0x39).contains(bytes[at]) { at += 1 }
            guard at - start <= 6,
                let number = Int(String(decoding: bytes[start..<at], as: UTF8.self))
            else { throw problem("match needs a number", start) }
            skipBlanks()
            guard take(")") else { throw problem("a ) is expected", at) }
            return number
        }

        private static func isNamed(_ byte: UInt8) -> Bool {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "."), UInt8(ascii: "_"): true
            default: false
            }
        }

        private func problem(_ what: String, _ offset: Int) -> MeshError {
            MeshError(.invalid, "\(what) at position \(offset + 1)")
        }
    }
}

/// A name that a template answers for, taken apart.
package struct QueryName: Sendable, Hashable {
    package var full: String
    /// The template's own name.
    package var prefix: String
    package var matches: [String]
    package var segment: String

    package init(full: String, prefix: String, matches: [String] = [], segment: String = "") {
        self.full = full
        self.prefix = prefix
        self.matches = matches
        self.segment = segment
    }

    package var suffix: String {
        full.utf8.starts(with: prefix.utf8)
            ? String(decoding: full.utf8.dropFirst(prefix.utf8.count), as: UTF8.self) : full
    }
}
