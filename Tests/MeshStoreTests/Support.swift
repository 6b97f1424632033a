import Foundation
import MeshIdentity
import MeshModel
import MeshStore
import Testing

/// A folder that is gone after the test.
final class Folder: Sendable {
    let path: String
    var database: String { path + "/state.db" }

    init() throws {
        var template = Array((NSTemporaryDirectory() + "/mesh-store-XXXXXX").utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// Every byte of the database and the files beside it.
    func contents() throws -> Data {
        try FileManager.default.contentsOfDirectory(atPath: path).sorted().reduce(into: Data()) {
            $0 += try Data(contentsOf: URL(fileURLWithPath: path + "/" + $1))
        }
    }
}

let key = SecretBytes(0..<32)
let now = Date(timeIntervalSince1970: 1_800_000_000)

func open(_ folder: Folder) async throws -> SQLiteStore {
    try await .open(path: folder.database, key: key, busyTimeout: .milliseconds(100))
}

/// The error of a body that must fail.
func failure(_ body: () async throws -> some Any) async -> MeshError? {
    do {
        _ = try await body()
        return nil
    } catch {
        return error as? MeshError
    }
}

func service(_ name: String, id: String? = nil, port: UInt16 = 80) throws -> ServiceDefinition {
    ServiceDefinition(
        name: try ServiceName(name), id: try id.map { try ServiceID($0) }, port: port)
}

func intention(
    _ source: String, _ destination: String, _ action: IntentionAction = .allow
) throws -> Intention {
    Intention(
        source: try NamePattern(source), destination: try NamePattern(destination),
        effect: .action(action))
}

func pair(_ source: String, _ destination: String) throws -> IntentionKey {
    IntentionKey(source: try NamePattern(source), destination: try NamePattern(destination))
}

func identity(_ name: String) throws -> SpiffeID {
    try SpiffeID("spiffe://test.consul/ns/default/dc/dc1/svc/\(name)")
}

func authority() throws -> MeshAuthority {
    var random = SystemRandomNumberGenerator()
    return try .make(trustDomain: TrustDomain("test.consul"), now: now, using: &random)
}

/// The whole state as one value that can be compared.
struct Picture: Equatable {
    var services: [ServiceRecord]
    var entries: [ConfigEntryRecord]
    var intentions: [Intention]
    var pairs: [KeyValueRecord]
    var leaves: [LeafRecord]
    var authority: MeshAuthority?

    init(_ state: StoreState) throws {
        services = state.services
        entries = state.configEntries()
        intentions = state.intentions
        pairs = state.keyValues(prefix: "")
        leaves = state.leaves
        authority = try state.authority()
    }
}

extension SQLiteStore {
    func index(_ topic: StoreTopic, _ scope: Watch.Scope = .all) -> UInt64 {
        index(of: Watch(topic, scope)).value
    }
}
