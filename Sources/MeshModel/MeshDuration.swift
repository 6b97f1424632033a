/// A span of time as configuration writes it: `10s`, `500ms`, `1h30m`, `1.5s`, `-1s`, `0`.
///
/// Units are h, m, s, ms, us (or µs) and ns. It travels as such a string.
package struct MeshDuration: Hashable, Comparable, Sendable {
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    package static let zero = MeshDuration(nanoseconds: 0)
    package static func milliseconds(_ count: Int64) -> MeshDuration {
        MeshDuration(nanoseconds: count * 1_000_000)
    }
    package static func seconds(_ count: Int64) -> MeshDuration {
        MeshDuration(nanoseconds: count * 1_000_000_000)
    }
    package static func hours(_ count: Int64) -> MeshDuration { seconds(count * 3600) }

    package static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The span as the standard library's type.
    package var duration: Duration { .nanoseconds(nanoseconds) }

    /// Whole milliseconds, rounded up so that a short timeout does not become none.
    package var millisecondsRoundedUp: Int64 {
        let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return rest > 0 ? whole + 1 : whole
    }
}

extension MeshDuration {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1_000), ("µs", 1_000), ("μs", 1_000), ("ms", 1_000_000),
        ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]

    /// Reads a span; throws what is wrong and an example of what to write.
    package init(_ text: String) throws {
        guard let value = Self.parse(text) else {
            throw MeshError(
                .invalid,
                "\(NameRule.quoted(text)) is not a duration: write a number with a unit of "
                    + "h, m, s, ms, us or ns, for example 10s, 500ms or 1h30m")
        }
        self.init(nanoseconds: value)
    }

    private static func parse(_ text: String) -> Int64? {
        var rest = text[...]
        var negative = false
        if let sign = rest.first, sign == "-" || sign == "+" {
            negative = sign == "-"
            rest = rest.dropFirst()
        }
        if rest == "0" { return 0 }
        guard !rest.isEmpty else { return nil }
        var total: Int64 = 0
        while !rest.isEmpty {
            guard let term = parseTerm(&rest) else { return nil }
            let (sum, overflow) = total.addingReportingOverflow(term)
            if overflow { return nil }
            total = sum
        }
        return negative ? -total : total
    }

    /// One number with its unit. Digits past the nanosecond are cut off, as Go does.
    private static func parseTerm(_ rest: inout Substring) -> Int64? {
        let whole = takeDigits(&rest)
        var fraction = ""
        if rest.first == "." {
            rest = rest.dropFirst()
            fraction = takeDigits(&rest)
        }
        guard !(whole.isEmpty && fraction.isEmpty) else { return nil }
        let name = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
        guard let unit = units.first(where: { $0.name == name }) else { return nil }
        rest = rest[name.endIndex...]
        guard let count = Int64(whole.isEmpty ? "0" : whole) else { return nil }
        let (scaled, overflow) = count.multipliedReportingOverflow(by: unit.nanoseconds)
        if overflow { return nil }
        var part: Int64 = 0
        var scale = unit.nanoseconds
        for digit in fraction.utf8 where scale > 1 {
            // Units are products of 60 and 1000, so each step keeps whole nanoseconds or ends.
            guard scale % 10 == 0 else { break }
            scale /= 10
            part += Int64(digit - 0x30) * scale
        }
        let (sum, carried) = scaled.addingReportingOverflow(part)
        return carried ? nil : sum
    }

    private static func takeDigits(_ rest: inout Substring) -> String {
        let digits = rest.prefix { $0 >= "0" && $0 <= "9" }
        rest = rest[digits.endIndex...]
        return String(digits)
    }
}

extension MeshDuration: CustomStringConvertible, Codable {
    /// The shortest exact form: `1h30m`, `10s`, `1.5s`, `500ms`, `0s`.
    package var description: String {
        guard nanoseconds != 0 else { return "0s" }
        let magnitude = nanoseconds.magnitude
        let sign = nanoseconds < 0 ? "-" : ""
        guard magnitude >= 1_000_000_000 else {
            for (name, size) in [("ms", UInt64(1_000_000)), ("us", 1_000)]
            where magnitude >= size {
                return sign + Self.decimal(magnitude, size) + name
            }
            return "\(sign)\(magnitude)ns"
        }
        let minute: UInt64 = 60_000_000_000
        let hours = magnitude / (60 * minute)
        let minutes = magnitude / minute % 60
        let rest = magnitude % minute
        var text = sign
        if hours > 0 { text += "\(hours)h" }
        if minutes > 0 { text += "\(minutes)m" }
        if rest > 0 { text += Self.decimal(rest, 1_000_000_000) + "s" }
        return text
    }

    /// `value / unit` without trailing zeros.
    private static func decimal(_ value: UInt64, _ unit: UInt64) -> String {
        let (whole, rest) = value.quotientAndRemainder(dividingBy: unit)
        guard rest > 0 else { return "\(whole)" }
        let digits = String(unit + rest).dropFirst()
        let kept = digits.reversed().drop { $0 == "0" }.reversed()
        return "\(whole)." + String(kept)
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        try self.init(try container.decode(String.self))
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
