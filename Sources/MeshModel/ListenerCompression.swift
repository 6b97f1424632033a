extension ListenerDefinition {
    /// Which answers are compressed for clients that take it.
    package struct Compression: Hashable, Sendable, Codable {
        /// Content codings by their registered names.
        package enum Coding: String, Sendable, Codable, CaseIterable {
            case gzip, br, zstd

            /// From the fastest to the smallest; the data plane has the same bounds.
            package var levels: ClosedRange<Int> {
                switch self {
                case .gzip: 1...9
                case .br: 1...6
                case .zstd: 1...3
                }
            }
        }

        /// A level for each coding.
        package struct Levels: Hashable, Sendable, Codable {
            package var gzip: Int
            package var br: Int
            package var zstd: Int

            package init(gzip: Int = 5, br: Int = 4, zstd: Int = 3) {
                self.gzip = gzip
                self.br = br
                self.zstd = zstd
            }

            package subscript(coding: Coding) -> Int {
                switch coding {
                case .gzip: gzip
                case .br: br
                case .zstd: zstd
                }
            }
        }

        /// Media types of one listener at most; the data plane has the same limit.
        package static let mostTypes = 64

        /// What is text, by whatever name.
        package static let commonTypes = [
            "text/*", "application/atom+xml", "application/javascript", "application/json",
            "application/ld+json", "application/manifest+json", "application/rss+xml",
            "application/wasm", "application/xhtml+xml", "application/xml", "image/svg+xml",
        ]

        /// Those offered, the preferred one first: it is taken where a client likes several alike.
        package var codings: [Coding]
        /// `type/subtype`, or `type/*`.
        package var types: [String]
        /// Bytes; bodies known to be shorter go as they came.
        package var minLength: Int
        package var levels: Levels

        package init(
            codings: [Coding] = [.zstd, .br, .gzip], types: [String] = Self.commonTypes,
            minLength: Int = 1024, levels: Levels = Levels()
        ) {
            self.codings = codings
            self.types = types
            self.minLength = minLength
            self.levels = levels
        }

        package enum CodingKeys: String, CodingKey {
            case codings, types
            case minLength = "min_length"
            case levels
        }
    }
}

extension ListenerDefinition.Compression: Validated {
    package func validate(_ checks: inout FieldChecks) {
        checks.require(
            !codings.isEmpty, ["codings"], "name at least one coding: write codings: [gzip]")
        for (index, coding) in codings.enumerated() {
            checks.require(
                !codings[..<index].contains(coding), ["codings", .index(index)],
                "\(coding.rawValue) is listed twice")
        }
        checks.require(
            !types.isEmpty, ["types"], "name at least one media type: write types: [text/html]")
        checks.require(
            types.count <= Self.mostTypes, ["types"], "use at most \(Self.mostTypes) media types")
        for (index, type) in types.enumerated() {
            checks.require(
                MediaTypeText.isPattern(type), ["types", .index(index)],
                "\(NameRule.quoted(type)) is not a media type: write for example text/html or "
                    + "text/*")
        }
        checks.require(
            (0...Int(Int32.max)).contains(minLength), ["min_length"],
            "\(minLength) is out of range: write 0 to \(Int32.max) bytes")
        for coding in Coding.allCases {
            let level = levels[coding]
            checks.require(
                coding.levels.contains(level), ["levels", .key(coding.rawValue)],
                "\(level) is out of range: write \(coding.levels.lowerBound) to "
                    + "\(coding.levels.upperBound)")
        }
    }
}

/// Media types (RFC 9110 8.3.1) without parameters.
package enum MediaTypeText {
    /// Whether a text is `type/subtype` or `type/*`.
    package static func isPattern(_ text: String) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard parts.count == 2, text.utf8.count <= 127, isToken(parts[0]) else { return false }
        return parts[1].elementsEqual("*".utf8) || isToken(parts[1])
    }

    private static func isToken(_ bytes: Substring.UTF8View.SubSequence) -> Bool {
        !bytes.isEmpty
            && bytes.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$&-^_.+".utf8.contains(byte)  // RFC 6838 4.2
                }
            }
    }
}
