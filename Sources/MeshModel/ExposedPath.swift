/// A path of an application that is reached past the mesh: without TLS and identity, by whoever
/// reaches the port. For probes and collectors that are outside.
package struct ExposedPath: Hashable, Sendable {
    package var listenerPort: UInt16
    package var path: String
    /// The application's port; its usual one when nil.
    package var localPathPort: UInt16?
    /// `http2` speaks HTTP/2 with the application.
    package var isHTTP2: Bool
    /// Whether it follows from a check, not from a path that somebody wrote.
    package var isFromCheck: Bool

    package init(
        listenerPort: UInt16, path: String, localPathPort: UInt16? = nil, isHTTP2: Bool = false,
        isFromCheck: Bool = false
    ) {
        self.isFromCheck = isFromCheck
        self.listenerPort = listenerPort
        self.path = path
        self.localPathPort = localPathPort
        self.isHTTP2 = isHTTP2
    }

    /// The paths of an `expose` section; what is wrong in it is left out.
    package static func paths(_ expose: DataValue?) -> [ExposedPath] {
        var ignored = FieldChecks()
        return read(expose, &ignored)
    }

    /// Whether an `expose` section wants what HTTP checks of the service ask for.
    package static func wantsChecks(_ expose: DataValue?) -> Bool {
        expose?[key: "checks"] == .bool(true)
    }

    /// What asks a gRPC server for its health.
    package static let healthPath = "/grpc.health.v1.Health/Check"

    /// What a check asks the application for; nil: it makes no request in plain text.
    /// The port is not known here.
    package init?(of check: CheckDefinition) {
        if let target = check.grpcTarget, check.grpcUseTLS != true {
            self.init(
                listenerPort: 0, path: Self.healthPath, localPathPort: target.address.port,
                isHTTP2: true, isFromCheck: true)
            return
        }
        guard let url = check.http, url.lowercased().hasPrefix("http://") else { return nil }
        let rest = url.dropFirst("http://".count)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let path = rest[authority.endIndex...].prefix { $0 != "?" && $0 != "#" }
        let local = (try? HostPort(String(authority)))?.port ?? 80
        self.init(
            listenerPort: 0, path: path.isEmpty ? "/" : String(path), localPathPort: local,
            isFromCheck: true)
    }

    /// The section with further paths.
    package static func adding(_ paths: [ExposedPath], to expose: DataValue?) -> DataValue {
        var members: [String: DataValue] = [:]
        if case .object(let all)? = expose { members = all }
        let key = members.keys.first { FoldedKey($0).text == "paths" } ?? "Paths"
        var items: [DataValue] = []
        if case .array(let all)? = members[key] { items = all }
        items += paths.map { path in
            .object([
                "ListenerPort": .int(Int64(path.listenerPort)), "Path": .string(path.path),
                "LocalPathPort": .int(Int64(path.localPathPort ?? 0)),
                "Protocol": .string(path.isHTTP2 ? "http2" : "http"),
                "ParsedFromCheck": .bool(path.isFromCheck),
            ])
        }
        members[key] = .array(items)
        return .object(members)
    }

    /// Reports what is wrong in an `expose` section.
    package static func check(_ expose: DataValue?, _ checks: inout FieldChecks) {
        if let wanted = expose?[key: "checks"], wanted != .null, wanted != .bool(true),
            wanted != .bool(false)
        {
            checks.fail(["checks"], "write true or false")
        }
        _ = read(expose, &checks)
    }

    private static func read(_ expose: DataValue?, _ checks: inout FieldChecks) -> [ExposedPath] {
        guard let value = expose?[key: "paths"], value != .null else { return [] }
        guard case .array(let items) = value else {
            checks.fail(["paths"], "write a list of paths")
            return []
        }
        var found: [ExposedPath] = []
        for (index, item) in items.enumerated() {
            guard case .object(let members) = item else {
                checks.fail(["paths", .index(index)], "write listener_port and path")
                continue
            }
            var reader = OptionReader(members, checks, ["paths", .index(index)])
            let port = reader.whole("listener_port", 1...65535)
            let local = reader.whole("local_path_port", 0...65535) ?? 0
            let spoken: ServiceProtocol? = reader.choice("protocol")
            let isFromCheck = reader.bool("parsed_from_check") ?? false
            checks = reader.checks
            guard let path = item[key: "path"]?.string, path.hasPrefix("/") else {
                checks.fail(
                    ["paths", .index(index), "path"], "write a path that begins with a slash")
                continue
            }
            guard let port else {
                if item[key: "listener_port"] == nil {
                    checks.fail(
                        ["paths", .index(index)], "a path needs a port: write listener_port: 21500")
                }
                continue
            }
            found.append(
                ExposedPath(
                    listenerPort: UInt16(port), path: path,
                    localPathPort: local == 0 ? nil : UInt16(local), isHTTP2: spoken == .http2,
                    isFromCheck: isFromCheck))
        }
        return found
    }
}
