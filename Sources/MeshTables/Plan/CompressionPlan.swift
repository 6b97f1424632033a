/// Which answers a listener compresses.
package struct CompressionPlan: Hashable, Sendable, Codable {
    /// A content coding; the numbers are those of the data plane.
    package enum Coding: UInt8, Sendable, Codable {
        case gzip = 0
        case brotli = 1
        case zstd = 2
    }

    /// A coding that is offered.
    package struct Offer: Hashable, Sendable, Codable {
        package var coding: Coding
        package var level: UInt8

        package init(_ coding: Coding, level: UInt8) {
            self.coding = coding
            self.level = level
        }
    }

    /// The preferred one first.
    package var offers: [Offer]
    /// `type/subtype` or `type/*`.
    package var types: [String]
    /// Bytes.
    package var minLength: UInt32

    package init(offers: [Offer], types: [String], minLength: UInt32) {
        self.offers = offers
        self.types = types
        self.minLength = minLength
    }
}
