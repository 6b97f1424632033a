import Foundation
import MeshModel

/// The public keys of an issuer.
package struct KeySet: Sendable {
    struct Key: Sendable {
        /// Empty: the key has no name.
        var id: String
        /// The only algorithm that it may be used with; nil: any for its kind.
        var algorithm: String?
        var key: PublicKey
    }

    let keys: [Key]
    /// What of the set cannot be used, and why.
    package let problems: [String]
    /// The bytes that it was read from: two sets with the same bytes are the same.
    package let source: [UInt8]

    /// How many keys can be used.
    package var count: Int { keys.count }

    /// Of no issuer yet.
    package static let none = KeySet(keys: [], problems: [], source: [])

    private init(keys: [Key], problems: [String], source: [UInt8]) {
        self.keys = keys
        self.problems = problems
        self.source = source
    }

    /// Reads a key set; throws when the bytes are none, or have not one key that can be used.
    package init(_ source: [UInt8]) throws {
        guard let document = try? JSONDecoder().decode(DataValue.self, from: Data(source)),
            case .array(let members)? = document[member: "keys"]
        else { throw MeshError(.invalid, "not a key set: there is no list of keys") }
        var keys: [Key] = []
        var problems: [String] = []
        for (index, member) in members.prefix(256).enumerated() {
            // Keys for encryption stand in the same sets.
            if let use = member[member: "use"]?.string, use != "sig" { continue }
            let id = member[member: "kid"]?.string ?? ""
            do {
                keys.append(
                    Key(
                        id: id, algorithm: member[member: "alg"]?.string,
                        key: try PublicKey(member)))
            } catch {
                problems.append("key \(id.isEmpty ? "\(index + 1)" : id): \(error)")
            }
        }
        guard !keys.isEmpty else {
            let why = problems.first.map { ": \($0)" } ?? ""
            throw MeshError(.invalid, "a key set without a key for signatures\(why)")
        }
        self.init(keys: keys, problems: problems, source: source)
    }
}
