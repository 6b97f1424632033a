// swift-tools-version: 6.2
//
// Third-party packages, each imported by one room only (tools/tidy.py holds the same table):
//
//   package                  room             why
//   swift-argument-parser    controlplane, meshctl   command lines (the two front doors)
//   swift-service-lifecycle  controlplane     start and stop order, signals
//   async-http-client        MeshClient       outbound HTTP, also over unix sockets
//   swift-nio                MeshClient, MeshHTTP, MeshDNS   outbound probes and bytes; servers
//   swift-nio-http2          MeshClient       gRPC health checks; async-http-client has it anyway
//   swift-nio-ssl            MeshClient, MeshHTTP   TLS of outbound connections; of the server
//   swift-certificates       MeshIdentity     mesh CA and leaves
//   swift-crypto             MeshIdentity, MeshTokens   keys, sealing at rest; signatures of tokens
//   swift-asn1               MeshIdentity     PEM and DER around swift-certificates
//   GRDB.swift               MeshStore        SQLite
//   swift-log                MeshTelemetry    log levels, subsystems
//   swift-protobuf           MeshTelemetry    messages of OTLP (tools/gen-proto)
//
// Debian libraries: libssl-dev and nettle-dev (room tls), liburing-dev (room ring), libnghttp2-dev
// (room http2), zlib1g-dev, libbrotli-dev and libzstd-dev (room compress), libyaml-dev
// (MeshConfig), libsqlite3-dev (GRDB, MeshStore).
import PackageDescription

let warnings = [
    "extra", "pedantic", "conversion", "shadow", "vla", "missing-prototypes", "strict-prototypes",
    "implicit-fallthrough",
]

func cSettings(_ extra: [CSetting] = []) -> [CSetting] {
    [
        .define("_GNU_SOURCE"),
        .enableWarning("all"),
        .treatAllWarnings(as: .error),
        .unsafeFlags(["-fvisibility=hidden"]),
        .unsafeFlags(
            ["-O3", "-march=x86-64-v2"], .when(platforms: [.linux], configuration: .release)),
    ] + warnings.map { .enableWarning($0) }
        + [.disableWarning("c23-extensions"), .disableWarning("gnu")] + extra
}

/// A room of the data plane: a C library with its door headers in `include/<room>/`.
func room(_ name: String, target: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: target, dependencies: dependencies, path: "CSources/\(name)",
        exclude: ["README.md"], cSettings: cSettings())
}

let swiftSettings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .treatAllWarnings(as: .error),
]

/// Rooms in which every use of unsafe memory must be marked, and none is: see the decision on house
/// rules for the others.
let memorySafeRooms: Set<String> = [
    "MeshModel", "MeshACL", "MeshAdminAPI", "MeshAuthz", "MeshDiscovery", "MeshRegex", "MeshFilter",
]

func swiftRoom(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .target(
        name: name, dependencies: dependencies, exclude: ["README.md"],
        swiftSettings: swiftSettings
            + (memorySafeRooms.contains(name) ? [.strictMemorySafety()] : []))
}

func swiftTests(_ room: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(
        name: "\(room)Tests", dependencies: [.byName(name: room)] + dependencies,
        swiftSettings: swiftSettings)
}

func system(_ name: String, pkgConfig: String, apt: String) -> Target {
    .systemLibrary(
        name: name, path: "CSources/system/\(name)", pkgConfig: pkgConfig,
        providers: [.apt([apt])])
}

let cTargets: [Target] = [
    system("COpenSSL", pkgConfig: "openssl", apt: "libssl-dev"),
    system("CNettle", pkgConfig: "hogweed", apt: "nettle-dev"),
    system("CNGHTTP2", pkgConfig: "libnghttp2", apt: "libnghttp2-dev"),
    system("CUring", pkgConfig: "liburing", apt: "liburing-dev"),
    system("CZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
    system("CBrotli", pkgConfig: "libbrotlienc", apt: "libbrotli-dev"),
    system("CZstd", pkgConfig: "libzstd", apt: "libzstd-dev"),
    room("base", target: "CMeshBase"),
    room("abi", target: "CMeshABI"),
    room("shm", target: "CMeshShm"),
    room("wire", target: "CMeshWire", ["CMeshBase"]),
    room("compress", target: "CMeshCompress", ["CMeshBase", "CZlib", "CBrotli", "CZstd"]),
    room("core", target: "CMeshCore", ["CMeshBase"]),
    room("http2", target: "CMeshHTTP2", ["CMeshBase", "CNGHTTP2"]),
    room("tls", target: "CMeshTLS", ["CMeshBase", "CMeshWire", "COpenSSL", "CNettle"]),
    room("ring", target: "CMeshRing", ["CMeshCore", "CMeshBase", "CUring"]),
    room("table", target: "CMeshTable", ["CMeshABI", "CMeshBase"]),
    room(
        "proxy", target: "CMeshProxy",
        [
            "CMeshABI", "CMeshBase", "CMeshWire", "CMeshHTTP2", "CMeshCompress", "CMeshCore",
            "CMeshTLS", "CMeshTable",
        ]),
    room(
        "worker", target: "CMeshWorker",
        [
            "CMeshProxy", "CMeshCore", "CMeshTable", "CMeshABI", "CMeshShm", "CMeshBase",
            "CMeshRing",
        ]),
    .executableTarget(
        name: "dataplane", dependencies: ["CMeshWorker", "CMeshABI"], exclude: ["README.md"],
        cSettings: cSettings(),
        // Without the Swift runtime: SwiftPM links C programs with swiftc, and this mode adds none.
        linkerSettings: [.unsafeFlags(["-enable-experimental-feature", "Embedded"])]),
]

let argumentParser = Target.Dependency.product(
    name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let swiftTargets: [Target] = [
    system("CLibYAML", pkgConfig: "yaml-0.1", apt: "libyaml-dev"),
    swiftRoom("MeshModel"),
    swiftRoom("MeshAdminAPI"),
    swiftRoom("MeshLanes"),
    swiftRoom("MeshConfig", ["MeshModel", "CLibYAML"]),
    swiftRoom(
        "MeshTelemetry",
        [
            logging, .product(name: "SwiftProtobuf", package: "swift-protobuf"), "CMeshBase",
            "CMeshCompress",
        ]),
    swiftRoom("MeshAuthz", ["MeshModel"]),
    swiftRoom("MeshACL", ["MeshModel"]),
    swiftRoom(
        "MeshTokens",
        [
            "MeshModel", .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "CryptoExtras", package: "swift-crypto"),
        ]),
    swiftRoom(
        "MeshDNS",
        [
            "MeshModel", .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
        ]),
    swiftRoom("MeshDiscovery", ["MeshModel", "MeshRegex"]),
    swiftRoom("MeshRegex", ["MeshModel"]),
    swiftRoom("MeshFilter", ["MeshModel", "MeshRegex"]),
    swiftRoom(
        "MeshIdentity",
        [
            "MeshModel",
            .product(name: "X509", package: "swift-certificates"),
            .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "SwiftASN1", package: "swift-asn1"),
        ]),
    swiftRoom(
        "MeshStore",
        [
            "MeshModel", "MeshIdentity", "CMeshABI",
            .product(name: "GRDB", package: "GRDB.swift"),
        ]),
    swiftRoom(
        "MeshTables",
        [
            "MeshModel", "MeshAuthz", "MeshDiscovery", "MeshRegex", "MeshLanes", "CMeshABI",
            "CMeshBase", "CMeshTable", "CMeshWire",
        ]),
    swiftRoom("MeshWorkers", ["MeshModel", "MeshTelemetry", "CMeshABI", "CMeshShm"]),
    swiftRoom(
        "MeshClient",
        [
            "MeshModel",
            .product(name: "AsyncHTTPClient", package: "async-http-client"),
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOHTTP2", package: "swift-nio-http2"),
            .product(name: "NIOHPACK", package: "swift-nio-http2"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ]),
    swiftRoom("MeshHealth", ["MeshModel", "MeshTelemetry", "MeshClient"]),
    swiftRoom(
        "MeshSidecar",
        [
            "MeshModel", "MeshConfig", "MeshDiscovery", "MeshIdentity", "MeshClient", "MeshHealth",
            "MeshTelemetry",
        ]),
    swiftRoom("MeshProcess", ["MeshModel", "MeshTelemetry", "CMeshShm"]),
    swiftRoom(
        "MeshHTTP",
        [
            "MeshModel",
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ]),
    swiftRoom("MeshAdmin", ["MeshModel", "MeshTelemetry", "MeshAdminAPI", "MeshHTTP"]),
    swiftRoom(
        "MeshConsul",
        [
            "MeshModel", "MeshTelemetry", "MeshHTTP", "MeshStore", "MeshFilter", "MeshDiscovery",
            "MeshAuthz", "MeshIdentity", "MeshACL", "MeshDNS",
        ]),
    .executableTarget(
        name: "controlplane",
        dependencies: [
            "MeshModel", "MeshConfig", "MeshTelemetry", "MeshAuthz", "MeshDiscovery",
            "MeshIdentity", "MeshStore", "MeshTables", "MeshWorkers", "MeshClient", "MeshHealth",
            "MeshProcess", "MeshAdmin", "MeshAdminAPI", "MeshHTTP", "MeshRegex", "MeshFilter",
            "MeshLanes", "MeshConsul", "MeshDNS", "MeshSidecar", "MeshTokens", argumentParser,
            .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            .product(name: "UnixSignals", package: "swift-service-lifecycle"),
        ],
        exclude: ["README.md"], swiftSettings: swiftSettings),
    .executableTarget(
        name: "meshctl", dependencies: ["MeshModel", "MeshAdminAPI", "MeshClient", argumentParser],
        exclude: ["README.md"], swiftSettings: swiftSettings),
    swiftTests(
        "MeshTelemetry", [.product(name: "SwiftProtobuf", package: "swift-protobuf")]),
    swiftTests("MeshStore", ["MeshModel", "MeshIdentity"]),
    swiftTests(
        "MeshWorkers", ["MeshModel", "MeshProcess", "MeshTelemetry", "CMeshABI", "CMeshShm"]),
    swiftTests("MeshProcess", ["MeshModel", "MeshTelemetry"]),
    swiftTests(
        "MeshClient",
        [
            "MeshModel",
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "NIOPosix", package: "swift-nio"),
            .product(name: "NIOHTTP1", package: "swift-nio"),
            .product(name: "NIOHPACK", package: "swift-nio-http2"),
            .product(name: "NIOSSL", package: "swift-nio-ssl"),
        ]),
    swiftTests(
        "MeshIdentity",
        [
            "MeshModel",
            .product(name: "X509", package: "swift-certificates"),
            .product(name: "Crypto", package: "swift-crypto"),
            .product(name: "SwiftASN1", package: "swift-asn1"),
        ]),
    swiftTests("MeshHTTP", ["MeshModel", "MeshClient"]),
    swiftTests(
        "MeshAdmin", ["MeshModel", "MeshAdminAPI", "MeshTelemetry", "MeshClient", "MeshHTTP"]),
    swiftTests(
        "MeshConsul",
        [
            "MeshModel", "MeshStore", "MeshHTTP", "MeshClient", "MeshTelemetry", "MeshIdentity",
            "MeshConfig", "MeshDNS",
        ]),
    .testTarget(
        name: "MeshctlTests",
        dependencies: ["meshctl", "MeshAdmin", "MeshAdminAPI", "MeshClient", "MeshModel"],
        swiftSettings: swiftSettings),
    swiftTests("MeshModel"),
    swiftTests(
        "MeshSidecar",
        ["MeshModel", "MeshDiscovery", "MeshIdentity", "MeshClient", "MeshTelemetry"]),
    swiftTests("MeshHealth", ["MeshModel", "MeshTelemetry"]),
    .testTarget(
        name: "ControlplaneTests",
        dependencies: [
            "controlplane", "MeshModel", "MeshConfig", "MeshIdentity", "MeshStore", "MeshTables",
            "MeshHealth", "MeshWorkers", "MeshTelemetry", "MeshAdminAPI", "MeshSidecar",
            "MeshDiscovery", "MeshTokens", "CMeshABI", "CMeshShm",
        ], swiftSettings: swiftSettings),
    swiftTests("MeshConfig", ["MeshModel"]),
    swiftTests("MeshAuthz", ["MeshModel"]),
    swiftTests("MeshACL", ["MeshModel"]),
    swiftTests("MeshTokens", ["MeshModel"]),
    swiftTests("MeshDNS", ["MeshModel"]),
    swiftTests("MeshRegex", ["MeshModel"]),
    swiftTests("MeshFilter", ["MeshModel"]),
    swiftTests("MeshLanes"),
    swiftTests("MeshDiscovery", ["MeshModel", "MeshConfig"]),
    swiftTests(
        "MeshTables",
        [
            "MeshModel", "MeshAuthz", "MeshRegex", "MeshLanes", "CMeshABI", "CMeshBase",
            "CMeshTable",
        ]),
    .testTarget(
        name: "ABITests", dependencies: ["CMeshABI"], exclude: ["LAYOUT.golden"],
        swiftSettings: swiftSettings),
]

let package = Package(
    name: "ringmesh",
    // For the standard library's locks; the product itself runs on Linux only.
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "dataplane", targets: ["dataplane"]),
        .executable(name: "controlplane", targets: ["controlplane"]),
        .executable(name: "meshctl", targets: ["meshctl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-asn1", exact: "1.7.4"),
        .package(url: "https://github.com/apple/swift-certificates", exact: "1.21.1"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-http2", exact: "1.46.0"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/apple/swift-protobuf", exact: "1.39.0"),
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: cTargets + swiftTargets,
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu17
)

// The C side alone, without resolving any Swift package: MESH_C_ONLY=1 swift build.
if Context.environment["MESH_C_ONLY"] != nil {
    package.dependencies = []
    package.targets = cTargets
    package.products.removeAll { $0.name != "dataplane" }
}

// The benchmark of snapshots, with nothing but the rooms it measures: see tools/bench-snapshot.
if Context.environment["MESH_BENCH_SNAPSHOT"] != nil {
    let rooms = ["MeshModel", "MeshAuthz", "MeshDiscovery", "MeshRegex", "MeshTables"]
    package.dependencies = []
    package.targets = cTargets + swiftTargets.filter { rooms.contains($0.name) }
    package.targets.append(
        .executableTarget(
            name: "snapshot-bench", dependencies: ["MeshModel", "MeshTables"],
            path: "Tests/Benchmarks/snapshot", swiftSettings: swiftSettings,
            linkerSettings: [.linkedLibrary("m")]))
    package.products = []
}
