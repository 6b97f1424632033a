import Foundation
import MeshIdentity
import MeshModel
import MeshSidecar
import MeshTelemetry
import Synchronization
import Testing

/// What real agents have answered: `Tests/Vectors/consul/samples`.
enum Recorded {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Vectors/consul")

    static func document(_ path: String) throws -> DataValue {
        try JSONReader.read(Array(Data(contentsOf: folder.appending(path: path))))
    }

    /// The answer of one exchange.
    static func answer(_ file: String, _ name: String) throws -> AgentAnswer {
        let all = AgentJSON(try document("samples/\(file).json"), file).items
        let one = try #require(all.first { $0.text("name") == name }, "\(file) has no \(name)")
        let response = try #require(one["response"])
        return AgentAnswer(
            status: Int(try #require(response.int("status"))), headers: response.texts("headers"),
            body: try response["json"]?.bytes() ?? Array((response.text("text") ?? "").utf8))
    }

    static func json(_ file: String, _ name: String) throws -> AgentJSON {
        try AgentJSON(answer(file, name).body, name)
    }

    /// Every JSON body of every exchange.
    static func bodies() throws -> [[UInt8]] {
        try FileManager.default.contentsOfDirectory(atPath: folder.appending(path: "samples").path)
            .filter { $0.hasSuffix(".json") }.sorted()
            .flatMap { AgentJSON(try document("samples/\($0)"), $0).items }
            .compactMap { try $0["response"]?["json"]?.bytes() }
    }
}

/// An authority, for leaves with keys: those of the recordings were taken out.
struct Authority {
    private(set) var authority: MeshAuthority
    private var generator = SystemRandomNumberGenerator()
    static let domain = "f041c853-1fa4-14ac-5387-e907857bb068.consul"

    init() throws {
        authority = try .make(
            trustDomain: try TrustDomain(Self.domain), now: Date(), lifetime: 86_400 * 365,
            using: &generator)
    }

    mutating func leaf(
        _ service: String, datacenter: String = "dc1", lifetime: TimeInterval = 3600
    ) throws -> LeafCertificate {
        try authority.issue(
            SpiffeID(
                trustDomain: try TrustDomain(Self.domain),
                datacenter: try DatacenterName(datacenter), service: try ServiceName(service)),
            now: Date(), lifetime: lifetime, using: &generator)
    }

    mutating func leafDocument(_ service: String) throws -> DataValue {
        let leaf = try leaf(service)
        return .object([
            "CertPEM": .string(leaf.chainPEM), "PrivateKeyPEM": .string(leaf.privateKeyPEM),
            "Service": .string(service), "ServiceURI": .string(leaf.id.uri),
        ])
    }

    var rootsDocument: DataValue {
        .object([
            "TrustDomain": .string(Self.domain), "ActiveRootID": .string(authority.active.id),
            "Roots": .array(
                authority.roots.map { root in
                    .object([
                        "ID": .string(root.id), "Name": .string("root"),
                        "RootCert": .string(PEM.certificates([root.certificateDER])),
                    ])
                }),
        ])
    }
}

func answer(
    _ value: DataValue, index: UInt64? = 1, hash: String? = nil, policy: String? = nil,
    status: Int = 200
) -> AgentAnswer {
    var headers: [String: String] = [:]
    if let index { headers["X-Consul-Index"] = "\(index)" }
    if let hash { headers["X-Consul-ContentHash"] = hash }
    if let policy { headers["X-Consul-Default-ACL-Policy"] = policy }
    return AgentAnswer(
        status: status, headers: headers, body: (try? AgentJSON(value, "").bytes()) ?? [])
}

let silent = LogSystem(filter: LogFilter(level: .error, subsystems: [])).logger("test")
