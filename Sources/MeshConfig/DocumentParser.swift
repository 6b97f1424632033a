import CLibYAML
package import MeshModel

/// Bounds of one document, so that no input can exhaust memory or the stack.
package enum DocumentLimits {
    package static let bytes = 32 << 20
    /// Nodes after aliases are expanded.
    package static let nodes = 2_000_000
    package static let depth = 64
    /// Problems kept of one document; the rest would be noise.
    package static let problems = 500
}

/// Reads YAML, and with it JSON, into a tree with places. One reader for files and API bodies.
package enum DocumentParser {
    /// The tree, or nil when the text is not a document. Repeated keys, non-text keys and foreign
    /// tags are reported and left out; the rest of the tree is still usable for finding more.
    package static func parse(_ text: SourceText) -> (node: DocumentNode?, problems: [Problem]) {
        guard text.bytes.count <= DocumentLimits.bytes else {
            let message =
                "the document has \(text.bytes.count) bytes: at most \(DocumentLimits.bytes) "
                + "are read; split it over several files"
            return (nil, [Problem(.error, message, at: SourceLocation(source: text.source))])
        }
        var builder = DocumentBuilder(text)
        let end = EventReader.read(text) { builder.take($0) }
        guard case .failed(let problem, let isSurrogate) = end else {
            return (builder.root, builder.problems)
        }
        if isSurrogate, let joined = SurrogatePairs.joined(text) { return parse(joined) }
        return (nil, builder.problems + [problem])
    }
}

/// One event of a document with its place.
struct DocumentEvent {
    enum Kind {
        case scalar(String, plain: Bool, tag: String?)
        case sequenceStart(tag: String?)
        case mappingStart(tag: String?)
        case end
        case alias(String)
        case documentStart
    }

    var kind: Kind
    var anchor: String?
    var location: SourceLocation
}

/// The only user of libyaml.
enum EventReader {
    enum End {
        case complete
        case stopped
        case failed(Problem, isSurrogate: Bool)
    }

    /// Hands every event to `take` until it answers false or the text ends.
    static func read(_ text: SourceText, _ take: (DocumentEvent) -> Bool) -> End {
        // libyaml wants the parser at a fixed address; it is freed on every way out.
        let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
        defer { parser.deallocate() }
        guard yaml_parser_initialize(parser) == 1 else {
            fatalError("libyaml cannot start: out of memory")
        }
        defer { yaml_parser_delete(parser) }
        return text.bytes.withUnsafeBufferPointer { buffer in
            // The buffer outlives the parser's use of it: both end inside this closure.
            yaml_parser_set_input_string(parser, buffer.baseAddress ?? emptyInput, buffer.count)
            while true {
                var event = yaml_event_t()
                guard yaml_parser_parse(parser, &event) == 1 else {
                    return failure(parser.pointee, text)
                }
                defer { yaml_event_delete(&event) }
                if event.type == YAML_STREAM_END_EVENT { return .complete }
                guard let converted = convert(event, text) else { continue }
                if !take(converted) { return .stopped }
            }
        }
    }

    /// An address for an empty text: libyaml asserts that it is given one, and never reads it.
    nonisolated(unsafe) private static let emptyInput = UnsafePointer<UInt8>(
        UnsafeMutablePointer<UInt8>.allocate(capacity: 1))

    private static func convert(_ event: yaml_event_t, _ text: SourceText) -> DocumentEvent? {
        let location = text.location(
            index: event.start_mark.index, line: event.start_mark.line,
            column: event.start_mark.column)
        switch event.type {
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            let value = String(
                decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length),
                as: UTF8.self)
            let plain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            return DocumentEvent(
                kind: .scalar(value, plain: plain, tag: string(scalar.tag)),
                anchor: string(scalar.anchor), location: location)
        case YAML_SEQUENCE_START_EVENT:
            return DocumentEvent(
                kind: .sequenceStart(tag: string(event.data.sequence_start.tag)),
                anchor: string(event.data.sequence_start.anchor), location: location)
        case YAML_MAPPING_START_EVENT:
            return DocumentEvent(
                kind: .mappingStart(tag: string(event.data.mapping_start.tag)),
                anchor: string(event.data.mapping_start.anchor), location: location)
        case YAML_SEQUENCE_END_EVENT, YAML_MAPPING_END_EVENT:
            return DocumentEvent(kind: .end, anchor: nil, location: location)
        case YAML_ALIAS_EVENT:
            return DocumentEvent(
                kind: .alias(string(event.data.alias.anchor) ?? ""), anchor: nil,
                location: location)
        case YAML_DOCUMENT_START_EVENT:
            return DocumentEvent(kind: .documentStart, anchor: nil, location: location)
        default:
            return nil
        }
    }

    private static func string(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }

    private static func failure(_ parser: yaml_parser_t, _ text: SourceText) -> End {
        guard parser.error != YAML_MEMORY_ERROR else {
            fatalError("libyaml ran out of memory within the bounds of a document")
        }
        let problem = parser.problem.map { String(cString: $0) } ?? "this is not YAML"
        var message = problem
        if let context = parser.context.map({ String(cString: $0) }) {
            message += " \(context)"
            if parser.context_mark.line != parser.problem_mark.line {
                message += " (from line \(parser.context_mark.line + 1))"
            }
        }
        if problem.contains("cannot start any token") {
            message += ": quote the text, and indent with spaces instead of tabs"
        }
        let location: SourceLocation
        if parser.error == YAML_READER_ERROR {
            message += ": write the file in UTF-8 without control characters"
            location = text.location(byteOffset: min(parser.problem_offset, text.bytes.count))
        } else {
            location = text.location(
                index: parser.problem_mark.index, line: parser.problem_mark.line,
                column: parser.problem_mark.column)
        }
        return .failed(
            Problem(.error, message, at: location),
            isSurrogate: problem.contains("invalid Unicode character escape code"))
    }
}

/// Joins `\ud83d\ude00` of JSON to `\U0001F600`, the only escape of JSON that YAML does not know.
enum SurrogatePairs {
    /// The text with joined pairs, or nil when it has none.
    static func joined(_ text: SourceText) -> SourceText? {
        let input = text.bytes
        var output: [UInt8] = []
        var changes: [SourceText.Replacement] = []
        var at = 0
        var oldCharacters = 0
        var newCharacters = 0
        while at < input.count {
            if let scalar = pair(input[at...]) {
                let hex = String(scalar, radix: 16, uppercase: true)
                output += Array("\\U\(String(repeating: "0", count: 8 - hex.count))\(hex)".utf8)
                changes.append(
                    .init(
                        newStart: newCharacters, newLength: 10, oldStart: oldCharacters,
                        oldLength: 12))
                at += 12
                oldCharacters += 12
                newCharacters += 10
                continue
            }
            // An escaped backslash is not the start of an escape.
            let escaped =
                input[at] == 0x5c && at + 1 < input.count && input[at + 1] == 0x5c
            for byte in input[at..<(at + (escaped ? 2 : 1))] {
                output.append(byte)
                if byte & 0xc0 != 0x80 {
                    oldCharacters += 1
                    newCharacters += 1
                }
            }
            at += escaped ? 2 : 1
        }
        guard !changes.isEmpty else { return nil }
        var result = text
        result.replace(with: output, changes)
        return result
    }

    private static func pair(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        guard bytes.first == 0x5c, let high = unit(bytes), (0xd800..<0xdc00).contains(high),
            let low = unit(bytes.dropFirst(6)), (0xdc00..<0xe000).contains(low)
        else { return nil }
        return 0x10000 + (high - 0xd800) << 10 + (low - 0xdc00)
    }

    private static func unit(_ bytes: ArraySlice<UInt8>) -> UInt32? {
        guard bytes.count >= 6, bytes.prefix(2).elementsEqual([0x5c, 0x75]) else { return nil }
        let digits = bytes.dropFirst(2).prefix(4)
        guard digits.allSatisfy({ Unicode.Scalar($0).properties.isASCIIHexDigit }) else {
            return nil
        }
        return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
    }
}
