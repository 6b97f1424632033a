import Foundation
import MeshConsul
import MeshHTTP
import Testing

/// An exchange with Consul 1.9.8 as it was recorded.
struct Exchange {
    var name: String
    var method: String
    var target: String
    var headers: ServerHeaders
    var body: String
    var status: Int
    var answer: JSON?
    var text: String?
    var answerHeaders: [String: String]

    static func load(_ file: String) throws -> [Exchange] {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Vectors/consul/samples")
        let bytes = try Data(contentsOf: folder.appending(path: "\(file).json"))
        guard case .array(let all) = try JSONParser.parse(Array(bytes)) else { return [] }
        return try all.map { try Exchange($0) }
    }

    private init(_ json: JSON) throws {
        let request = try #require(json["request"])
        let response = try #require(json["response"])
        name = try #require(json["name"]?.plain)
        method = try #require(request["method"]?.plain)
        target = try #require(request["path"]?.plain)
        headers = ServerHeaders()
        if case .object(let members)? = request["headers"] {
            for member in members { headers[member.name] = member.value.plain }
        }
        switch request["body"] {
        case nil, .null: body = ""
        case .string(let text): body = text
        case .some(let other): body = other.text
        }
        guard case .int(let code)? = response["status"] else { throw POSIXError(.EINVAL) }
        status = Int(code)
        answer = response["json"]
        text = response["text"]?.plain
        answerHeaders = [:]
        if case .object(let members)? = response["headers"] {
            for member in members { answerHeaders[member.name.lowercased()] = member.value.plain }
        }
    }
}

extension JSON {
    var plain: String? {
        if case .string(let text) = self { return text }
        return nil
    }
}

/// Sends recorded requests to our API and compares. What Consul made up (ids, indexes, times,
/// hashes) is learned where it first stands, and used in its place from then on.
struct Replay {
    private var learned: [String: String] = [:]
    /// Members whose values each server makes up.
    static let made: Set<String> = [
        "ID", "CreateIndex", "ModifyIndex", "Session", "AccessorID", "SecretID", "Hash",
        "CreateTime",
    ]
    private static let comparedHeaders = [
        "content-type", "allow", "content-security-policy", "x-content-type-options", "x-cache",
        "x-consul-knownleader", "x-consul-lastcontact", "x-consul-effective-consistency",
        "x-consul-default-acl-policy",
    ]

    private func ours(_ text: String) -> String {
        learned.reduce(text) { text, pair in
            pair.key.count == 36 ? text.replacing(pair.key, with: pair.value) : text
        }
    }

    /// `cas=75` and `index=80` with our indexes.
    private func target(_ exchange: Exchange) -> String {
        let parts = ours(exchange.target).split(separator: "?", maxSplits: 1)
        guard parts.count == 2 else { return ours(exchange.target) }
        let items = parts[1].split(separator: "&").map { item -> String in
            let pair = item.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2, ["cas", "index"].contains(pair[0]), let own = learned[pair[1]]
            else { return String(item) }
            return "\(pair[0])=\(own)"
        }
        return "\(parts[0])?" + items.joined(separator: "&")
    }

    mutating func play(_ exchange: Exchange, on api: ConsulAPI) async throws {
        let answer = TestAnswer(
            response: await api.respond(
                to: ServerRequest(
                    method: exchange.method, target: target(exchange), headers: exchange.headers,
                    body: Array(ours(exchange.body).utf8))))
        let name = Comment(rawValue: "\(exchange.name): \(answer.text)")
        #expect(answer.status == exchange.status, name)
        for header in Self.comparedHeaders {
            #expect(
                answer.response.headers[header] == exchange.answerHeaders[header],
                "\(exchange.name): \(header)")
        }
        let wantsIndex = exchange.answerHeaders["x-consul-index"] != nil
        #expect((answer.index != nil) == wantsIndex, "\(exchange.name): index")
        if let index = answer.index, let theirs = exchange.answerHeaders["x-consul-index"] {
            #expect(index >= 1)
            learned[theirs] = "\(index)"
        }
        if let text = exchange.text { #expect(answer.text == ours(text), name) }
        if let expected = exchange.answer {
            compare(try answer.json, expected, exchange.name)
        }
    }

    private mutating func compare(_ ours: JSON, _ theirs: JSON, _ path: String) {
        switch (ours, theirs) {
        case (.array(let ours), .array(let theirs)):
            #expect(ours.count == theirs.count, "\(path)")
            for (place, pair) in zip(ours, theirs).enumerated() {
                compare(pair.0, pair.1, "\(path)[\(place)]")
            }
        case (.object(let ours), .object(let theirs)):
            #expect(ours.map(\.name) == theirs.map(\.name), "\(path)")
            for (mine, other) in zip(ours, theirs) {
                compare(mine.value, other.value, member: mine.name, "\(path).\(mine.name)")
            }
        default:
            #expect(ours == theirs, "\(path)")
        }
    }

    private mutating func compare(
        _ ours: JSON, _ theirs: JSON, member: String, _ path: String
    ) {
        guard Self.made.contains(member) else { return compare(ours, theirs, path) }
        switch (ours, theirs) {
        case (.string(let mine), .string(let other)):
            #expect(mine.isEmpty == other.isEmpty && mine.count >= min(other.count, 20), "\(path)")
            if let known = learned[other] { #expect(known == mine, "\(path)") }
            if other.count == 36 { learned[other] = mine }
        case (.int(let mine), .int(let other)):
            #expect(mine > 0, "\(path)")
            learned["\(other)"] = "\(mine)"
        default: #expect(Bool(false), "\(path): \(ours) and \(theirs) are of two kinds")
        }
    }
}
