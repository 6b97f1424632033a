import MeshModel

/// The text of one document with the way back to the places its author sees.
///
/// Expansion of variables changes the text before it is parsed; positions found in the changed text
/// are mapped back, so that every message names the file as it is on disk.
package struct SourceText: Sendable {
    /// One replaced stretch, in characters (Unicode scalars).
    struct Replacement: Sendable {
        var newStart: Int
        var newLength: Int
        var oldStart: Int
        var oldLength: Int
    }

    let source: String
    /// What is parsed.
    private(set) var bytes: [UInt8]
    /// Filled at the first substitution; until then positions need no mapping.
    private var lineStarts: [Int] = []
    private var replacements: [[Replacement]] = []

    package init(_ bytes: [UInt8], source: String) {
        self.source = source
        self.bytes = bytes
    }

    package init(_ text: String, source: String) {
        self.init(Array(text.utf8), source: source)
    }

    /// Takes the text after a substitution.
    mutating func replace(with text: [UInt8], _ changes: [Replacement]) {
        if replacements.isEmpty { lineStarts = Self.lineStarts(of: bytes) }
        bytes = text
        replacements.append(changes)
    }

    /// The place of a character of the parsed text. Line and column count from 0 here.
    func location(index: Int, line: Int, column: Int) -> SourceLocation {
        guard replacements.contains(where: { !$0.isEmpty }) else {
            return SourceLocation(source: source, line: line + 1, column: column + 1)
        }
        var position = index
        for changes in replacements.reversed() {
            position = Self.before(position, changes)
        }
        return place(ofScalar: position)
    }

    /// The place of a byte of the parsed text.
    func location(byteOffset: Int) -> SourceLocation {
        let head = bytes.prefix(byteOffset)
        let line = head.count { $0 == 0x0a }
        let lineStart = head.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
        let characters = bytes[lineStart..<head.endIndex].count { $0 & 0xc0 != 0x80 }
        let index = head.count { $0 & 0xc0 != 0x80 }
        return location(index: index, line: line, column: characters)
    }

    /// The position before the substitutions of a position after them; inside a replaced stretch
    /// it is the stretch's start.
    private static func before(_ position: Int, _ changes: [Replacement]) -> Int {
        var low = 0
        var high = changes.count
        while low < high {
            let middle = (low + high) / 2
            if changes[middle].newStart <= position { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return position }
        let change = changes[low - 1]
        let into = position - change.newStart
        if into < change.newLength { return change.oldStart }
        return change.oldStart + change.oldLength + into - change.newLength
    }

    private func place(ofScalar index: Int) -> SourceLocation {
        var low = 0
        var high = lineStarts.count
        while low < high {
            let middle = (low + high) / 2
            if lineStarts[middle] <= index { low = middle + 1 } else { high = middle }
        }
        return SourceLocation(source: source, line: low, column: index - lineStarts[low - 1] + 1)
    }

    /// The character that each line of the original starts with.
    private static func lineStarts(of bytes: [UInt8]) -> [Int] {
        var starts = [0]
        var characters = 0
        for byte in bytes where byte & 0xc0 != 0x80 {
            characters += 1
            if byte == 0x0a { starts.append(characters) }
        }
        return starts
    }
}
