import Foundation
package import MeshModel

/// Answers of an agent as trees. What an answer has besides what is asked for does not matter, nor
/// does what it lacks, unless nothing can be made of it without: then it is an error that names the
/// answer. Newer and older Consuls are read alike.
package struct AgentJSON: Sendable, Equatable {
    package let value: DataValue
    /// What is read, for messages: `discovery-chain/web`.
    package let subject: String

    package init(_ value: DataValue, _ subject: String) {
        self.value = value
        self.subject = subject
    }

    /// Reads a body.
    package init(_ body: [UInt8], _ subject: String) throws {
        do {
            self.init(try JSONReader.read(body), subject)
        } catch {
            throw MeshError(.invalid, "\(subject): the agent's answer is no JSON", cause: error)
        }
    }

    /// A member; `null` and what is not there are the same.
    package subscript(_ key: String) -> AgentJSON? {
        guard let found = value[key: key], found != .null else { return nil }
        return AgentJSON(found, "\(subject).\(key)")
    }

    /// The text of a member that is one and not empty.
    package func text(_ key: String) -> String? {
        self[key]?.value.string.flatMap { $0.isEmpty ? nil : $0 }
    }

    package func int(_ key: String) -> Int64? { self[key]?.value.int }

    package func bool(_ key: String) -> Bool {
        if case .bool(true)? = self[key]?.value { return true }
        return false
    }

    /// The elements of a list; none where there is no list.
    package var items: [AgentJSON] {
        guard case .array(let values) = value else { return [] }
        return values.enumerated().map { AgentJSON($1, "\(subject)[\($0)]") }
    }

    package func items(_ key: String) -> [AgentJSON] { self[key]?.items ?? [] }

    /// The members of an object, by key.
    package var members: [(key: String, value: AgentJSON)] {
        guard case .object(let values) = value else { return [] }
        return values.sorted { $0.key < $1.key }
            .map { ($0.key, AgentJSON($0.value, "\(subject).\($0.key)")) }
    }

    package func texts(_ key: String) -> [String: String] {
        Dictionary(
            (self[key]?.members ?? []).compactMap { name, item in
                item.value.string.map { (name, $0) }
            }
        ) { first, _ in first }
    }

    /// A text without which nothing can be made of the answer.
    package func need(_ key: String) throws -> String {
        guard let text = text(key) else { throw lacking(key) }
        return text
    }

    package func lacking(_ key: String) -> MeshError {
        MeshError(.invalid, "\(subject): the agent's answer has no \(key)")
    }

    /// A port; nil where there is none.
    package func port(_ key: String) throws -> UInt16? {
        guard let number = int(key) else { return nil }
        guard let port = UInt16(exactly: number) else {
            throw MeshError(.invalid, "\(subject).\(key): \(number) is no port")
        }
        return port
    }

    /// The document again.
    package func bytes() throws -> [UInt8] { Array(try JSONEncoder().encode(value)) }
}
