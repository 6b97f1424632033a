/// One log record and its form on the wire: a JSON object on a line.
///
/// `{"ts":"2026-01-31T12:00:00.250Z","level":"info","subsystem":"store","msg":"…","index":"7"}`
/// Metadata keys follow in alphabetical order; a key that collides with one of the four gets `_`
/// in front. Every control character is escaped, so a record is always exactly one line.
package struct LogLine: Sendable {
    package var time: WallTime
    package var level: LogLevel
    package var subsystem: String
    package var message: String
    package var metadata: Logger.Metadata

    package init(
        time: WallTime, level: LogLevel, subsystem: String, message: String,
        metadata: Logger.Metadata = [:]
    ) {
        self.time = time
        self.level = level
        self.subsystem = subsystem
        self.message = message
        self.metadata = metadata
    }

    private static let reserved: Set<String> = ["ts", "level", "subsystem", "msg"]

    /// The record as bytes, with the newline.
    package func encoded() -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(160 + message.utf8.count)
        out.append(contentsOf: #"{"ts":""#.utf8)
        out.append(contentsOf: time.description.utf8)
        out.append(contentsOf: #"","level":""#.utf8)
        out.append(contentsOf: level.rawValue.utf8)
        out.append(contentsOf: #"","subsystem":"#.utf8)
        JSONText.append(subsystem, to: &out)
        out.append(contentsOf: #","msg":"#.utf8)
        JSONText.append(Redaction.clean(message), to: &out)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            out.append(UInt8(ascii: ","))
            JSONText.append(Self.reserved.contains(key) ? "_" + key : key, to: &out)
            out.append(UInt8(ascii: ":"))
            Self.append(value, under: key, to: &out)
        }
        out.append(contentsOf: "}\n".utf8)
        return out
    }

    private static func append(
        _ value: Logger.MetadataValue, under key: String, to out: inout [UInt8]
    ) {
        if Redaction.hides(key: key) {
            JSONText.append(Redaction.mark, to: &out)
            return
        }
        switch value {
        case .string(let text):
            JSONText.append(Redaction.clean(text), to: &out)
        case .stringConvertible(let value):
            JSONText.append(Redaction.clean(value.description), to: &out)
        case .array(let values):
            out.append(UInt8(ascii: "["))
            for (position, element) in values.enumerated() {
                if position > 0 { out.append(UInt8(ascii: ",")) }
                append(element, under: key, to: &out)
            }
            out.append(UInt8(ascii: "]"))
        case .dictionary(let members):
            out.append(UInt8(ascii: "{"))
            let sorted = members.sorted { $0.key < $1.key }
            for (position, member) in sorted.enumerated() {
                if position > 0 { out.append(UInt8(ascii: ",")) }
                JSONText.append(member.key, to: &out)
                out.append(UInt8(ascii: ":"))
                append(member.value, under: member.key, to: &out)
            }
            out.append(UInt8(ascii: "}"))
        }
    }
}

/// JSON string literals.
enum JSONText {
    private static let hex = Array("0123456789abcdef".utf8)

    /// Appends the text with its quotes. C0, DEL and C1 control characters and the two Unicode
    /// line separators are escaped: a terminal that shows the log cannot be steered by it.
    static func append(_ text: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x22: out.append(contentsOf: #"\""#.utf8)
            case 0x5C: out.append(contentsOf: #"\\"#.utf8)
            case 0x0A: out.append(contentsOf: #"\n"#.utf8)
            case 0x0D: out.append(contentsOf: #"\r"#.utf8)
            case 0x09: out.append(contentsOf: #"\t"#.utf8)
            case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029: appendEscape(scalar.value, to: &out)
            default: out.append(contentsOf: UTF8.encode(scalar).map(Array.init) ?? [])
            }
        }
        out.append(UInt8(ascii: "\""))
    }

    /// Every escaped scalar lies in the first plane: four digits do.
    private static func appendEscape(_ value: UInt32, to out: inout [UInt8]) {
        out.append(contentsOf: #"\u"#.utf8)
        for shift in [12, 8, 4, 0] as [UInt32] {
            out.append(hex[Int((value >> shift) & 0xF)])
        }
    }
}
