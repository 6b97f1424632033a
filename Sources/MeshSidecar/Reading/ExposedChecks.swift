package import MeshModel

/// Reads which ports an agent makes the checks of a service at, when the proxy's registration says
/// `Expose.Checks`.
///
/// An agent moves such checks to ports of the proxy by itself, and tells proxies so by a way of
/// Envoy's alone. Its public API shows what a check gave last, and that begins with what was asked
/// for: `HTTP GET http://10.0.0.5:21500/health: 200 OK …`, or `Get "http://…": dial tcp …` while
/// nobody listens. Newer agents name the port besides (`ExposedPort`).
package enum ExposedChecks {
    /// What an agent gives checks unless it is told otherwise (`ports.expose_min_port`).
    package static let usualPorts: ClosedRange<UInt16> = 21_500...21_755

    package struct Read: Sendable, Equatable {
        /// By the id of the check.
        package var paths: [String: ExposedPath] = [:]
        package var problems: [String] = []
        /// Whether some check has not told yet where it is made.
        package var isWaiting = false

        package init() {}
    }

    /// Reads `/v1/agent/checks`. A check that does not say this time what it asks for is made where
    /// it was `before`. `written` are the paths of the registration: where one has the path of a
    /// check, it says at which port the application answers.
    package static func read(
        _ json: AgentJSON, of service: ServiceID, within ports: ClosedRange<UInt16> = usualPorts,
        before: Read = Read(), written: [ExposedPath] = []
    ) throws -> Read {
        guard case .object = json.value else { throw json.lacking("checks") }
        var read = Read()
        for (id, check) in json.members where check.text("ServiceID") == service.text {
            let type = check.text("Type") ?? ""
            guard type == "http" || type == "grpc" else { continue }
            let place = Place(check.text("Output") ?? "", isGRPC: type == "grpc")
            if place?.isTLS == true {
                read.problems.append(
                    "the check \(id) is not exposed: it is made by TLS, an exposed path is plain")
                continue
            }
            let told = (try? check.port("ExposedPort")).flatMap { $0 == 0 ? nil : $0 }
            if let path = path(place, told, ports, isGRPC: type == "grpc") ?? before.paths[id] {
                read.paths[id] = path
            } else {
                read.isWaiting = true
                read.problems.append(missing(id, place, told, ports))
            }
        }
        let own = Dictionary(written.map { ($0.path, $0.localPathPort) }) { first, _ in first }
        for (id, path) in read.paths {
            read.paths[id]?.localPathPort = own[path.path] ?? nil
        }
        return read
    }

    private static func path(
        _ place: Place?, _ told: UInt16?, _ ports: ClosedRange<UInt16>, isGRPC: Bool
    ) -> ExposedPath? {
        if isGRPC {
            guard let port = told ?? place?.port(in: ports) else { return nil }
            return ExposedPath(
                listenerPort: port, path: ExposedPath.healthPath, isHTTP2: true, isFromCheck: true)
        }
        // What was seen before the agent moved the check names the application's own port.
        guard let place, told.map({ $0 == place.port }) ?? (place.port(in: ports) != nil) else {
            return nil
        }
        return ExposedPath(listenerPort: place.port, path: place.path, isFromCheck: true)
    }

    private static func missing(
        _ id: String, _ place: Place?, _ told: UInt16?, _ ports: ClosedRange<UInt16>
    ) -> String {
        if let place, told == nil {
            return "the check \(id) is not exposed: the agent makes it at port \(place.port), none "
                + "of \(ports.lowerBound) to \(ports.upperBound)"
        }
        return "the check \(id) is not exposed yet: the agent says what it asks for with its first "
            + "result"
    }

    /// What the result of a check says about where it was made.
    struct Place: Equatable {
        var port: UInt16
        var path: String
        var isTLS: Bool

        func port(in ports: ClosedRange<UInt16>) -> UInt16? {
            ports.contains(port) ? port : nil
        }

        init?(_ output: String, isGRPC: Bool) {
            if isGRPC {
                self.init(grpc: output)
            } else {
                self.init(http: output)
            }
        }

        private init?(http output: String) {
            // The method comes before the URL, and whatever the application said after it.
            guard let start = output.firstRange(of: "http") else { return nil }
            let words = output[..<start.lowerBound].split(whereSeparator: { " \"".contains($0) })
            guard words.count == 1 || (words.count == 2 && words[0] == "HTTP") else { return nil }
            isTLS = output[start.upperBound...].hasPrefix("s://")
            guard isTLS || output[start.upperBound...].hasPrefix("://") else { return nil }
            let rest = output[start.upperBound...].dropFirst(isTLS ? 4 : 3)
            let url = rest.prefix { !$0.isWhitespace && $0 != "\"" }
            let authority = url.prefix { $0 != "/" && $0 != "?" }
            guard let port = Self.port(of: authority, usual: isTLS ? 443 : 80) else { return nil }
            self.port = port
            let tail = url[authority.endIndex...].prefix { $0 != "?" && $0 != "#" }
            // Without quotes the URL ends with a colon of the sentence.
            let isQuoted = output[..<start.lowerBound].last == "\""
            let path = !isQuoted && tail.last == ":" && !url.contains("?") ? tail.dropLast() : tail
            self.path = path.isEmpty ? "/" : String(path)
        }

        private init?(grpc output: String) {
            guard
                let start = output.firstRange(of: "gRPC check ")
                    ?? output.firstRange(of: "dial tcp ")
            else { return nil }
            let target = output[start.upperBound...].prefix { !$0.isWhitespace && $0 != "/" }
            guard let port = Self.port(of: target, usual: nil) else { return nil }
            self.port = port
            path = ExposedPath.healthPath
            isTLS = false
        }

        private static func port(of authority: Substring, usual: UInt16?) -> UInt16? {
            var text = authority
            if text.last == ":" { text = text.dropLast() }
            guard let colon = text.lastIndex(of: ":"), text.last != "]" else { return usual }
            return UInt16(text[text.index(after: colon)...])
        }
    }
}
