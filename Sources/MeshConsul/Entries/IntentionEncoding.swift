import MeshModel
import MeshTelemetry

extension Intention {
    /// As the API of intentions has it: with times and a digest where the older one has written it.
    var json: JSON {
        var members = present([
            "CreatedAt": written.map { .string(Self.moment($0.created)) },
            "UpdatedAt": written.map { .string(Self.moment($0.updated)) },
            "ID": text(id), "Description": text(description), "SourceNS": "default",
            "SourceName": .string(source.description), "DestinationNS": "default",
            "DestinationName": .string(destination.description), "SourceType": "consul",
        ])
        switch effect {
        case .action(let action): members.append(.init("Action", .string(action.rawValue)))
        case .permissions(let list):
            members.append(.init("Permissions", .array(list.map(\.json))))
        }
        if let token { members.append(.init("JWT", token.json)) }
        if !meta.isEmpty { members.append(.init("Meta", .texts(meta))) }
        members.append(.init("Precedence", .number(precedence)))
        if written != nil {
            members.append(.init("Hash", .string(Base64.encoded(Blake2b.digest(content)))))
        }
        return .object(
            members + [
                .init("CreateIndex", .number(createIndex.value)),
                .init("ModifyIndex", .number(modifyIndex.value)),
            ])
    }

    /// What Consul makes the digest of. Permissions are not in it: the older API has none.
    private var content: [UInt8] {
        let action = if case .action(let action) = effect { action.rawValue } else { "" }
        var bytes = [
            id ?? "", description, "default", source.description, "default",
            destination.description, "consul", action,
        ].flatMap { Array($0.utf8) }
        bytes += (0..<8).map { UInt8(truncatingIfNeeded: UInt64(precedence) >> (8 * $0)) }
        for (key, value) in meta.sorted(by: { $0.key < $1.key }) {
            bytes += Array(key.utf8) + Array(value.utf8)
        }
        return bytes
    }

    /// RFC 3339 to the nanosecond, zeros at the end left out, as Go writes it.
    private static func moment(_ nanoseconds: Int64) -> String {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        let whole = WallTime(secondsSinceEpoch: seconds).description.prefix { $0 != "." }
        var digits = String(String(rest + 1_000_000_000).dropFirst())
        while digits.last == "0" { digits.removeLast() }
        return digits.isEmpty ? "\(whole)Z" : "\(whole).\(digits)Z"
    }
}
