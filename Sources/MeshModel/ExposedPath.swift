/// A path of an application that is reached past the mesh: without TLS and identity, by whoever
/// reaches the port. For probes and collectors that are outside.
package struct ExposedPath: Hashable, Sendable {
    package var listenerPort: UInt16
    package var path: String
    /// The application's port; its usual one when nil.
    package var localPathPort: UInt16?
    /// `http2` speaks HTTP/2 with the application.
    package var isHTTP2: Bool

    package init(
        listenerPort: UInt16, path: String, localPathPort: UInt16? = nil, isHTTP2: Bool = false
    ) {
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

    /// Reports what is wrong in an `expose` section.
    package static func check(_ expose: DataValue?, _ checks: inout FieldChecks) {
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
                    localPathPort: local == 0 ? nil : UInt16(local), isHTTP2: spoken == .http2))
        }
        return found
    }
}
