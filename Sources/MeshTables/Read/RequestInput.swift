import CMeshBase
import CMeshTable
import CMeshWire
import MeshModel

/// A request in the form that the lookups of the data plane read, normalized by its own functions.
final class RequestInput {
    let host: String
    let path: String
    let port: UInt16
    /// The host as the client wrote it, with its port.
    let authority: String
    /// The host of the URL, which is where the client connects to.
    let dialled: String
    let query: String
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    private let fields: UnsafeMutableBufferPointer<route_field>
    private(set) var input: route_input

    /// Throws ``MeshError`` for what the data plane answers with 400.
    init(_ request: ExplainedRequest) throws {
        guard HTTPToken.isToken(request.method) else {
            throw MeshError(
                .invalid, "\"\(request.method)\" is not a method: the answer is 400")
        }
        let url = try Self.split(request.url)
        let named = request.headers.first { $0.name.lowercased() == "host" }?.value
        let authority = named ?? url.authority
        let (host, port) = try Self.normalHost(authority)
        let path = try Self.normalPath(url.path)
        self.host = host
        self.path = path
        self.port = url.port ?? port
        self.authority = authority
        dialled = named == nil ? host : try Self.normalHost(url.authority).0
        self.query = url.query
        let texts = [host, path, url.query] + request.headers.flatMap { [$0.name, $0.value] }
        buffer = .allocate(capacity: max(1, texts.reduce(0) { $0 + $1.utf8.count }))
        var slices: [bytes] = []
        var at = 0
        for text in texts {
            let start = UnsafeMutableBufferPointer(rebasing: buffer[at...])
            _ = start.update(fromContentsOf: text.utf8)
            slices.append(bytes_of(start.baseAddress, text.utf8.count))
            at += text.utf8.count
        }
        // The list ends with a field whose name has no bytes at all.
        fields = .allocate(capacity: request.headers.count + 1)
        for index in request.headers.indices {
            fields.initializeElement(
                at: index,
                to: route_field(name: slices[3 + index * 2], value: slices[4 + index * 2]))
        }
        fields.initializeElement(at: request.headers.count, to: route_field())
        let number = SnapshotWriter.methodNumbers[request.method] ?? 0
        input = route_input()
        input.host = slices[0]
        input.path = slices[1]
        input.query = slices[2]
        input.method = 1 << number
        input.context = UnsafeRawPointer(fields.baseAddress)
        input.next_field = { context, index, field in
            guard let all = context?.assumingMemoryBound(to: route_field.self), let field,
                all[Int(index)].name.ptr != nil
            else { return false }
            field.pointee = all[Int(index)]
            return true
        }
    }

    /// Lets this box say what tokens are worth; it must outlive the input.
    func judge(by box: ExplainedTokens) {
        input.judge_context = Unmanaged.passUnretained(box).toOpaque()
        input.judge = { context, check, token in
            guard let context else { return ROUTE_TOKEN_FAILS }
            let box = Unmanaged<ExplainedTokens>.fromOpaque(context).takeUnretainedValue()
            let bytes = UnsafeBufferPointer(start: token.ptr, count: token.len)
            return box.holds(Int(check), Array(bytes)) ? ROUTE_TOKEN_HOLDS : ROUTE_TOKEN_FAILS
        }
    }

    deinit {
        buffer.deallocate()
        fields.deallocate()
    }

    private struct Parts {
        var authority = ""
        var port: UInt16?
        var path = "/"
        var query = ""
    }

    /// Takes a URL apart; a fragment is never sent and is dropped.
    private static func split(_ url: String) throws -> Parts {
        var parts = Parts()
        var rest = url.prefix { $0 != "#" }
        if let scheme = rest.range(of: "://") {
            let name = rest[..<scheme.lowerBound].lowercased()
            guard name == "http" || name == "https" else {
                throw MeshError(.invalid, "\"\(url)\" is neither an http:// nor an https:// URL")
            }
            rest = rest[scheme.upperBound...]
            let authority = rest.prefix { $0 != "/" && $0 != "?" }
            parts.authority = String(authority)
            parts.port = try normalHost(parts.authority).port
            if parts.port == 0 { parts.port = name == "https" ? 443 : 80 }
            rest = rest[authority.endIndex...]
        }
        if let mark = rest.firstIndex(of: "?") {
            parts.query = String(rest[rest.index(after: mark)...])
            rest = rest[..<mark]
        }
        if !rest.isEmpty { parts.path = String(rest) }
        return parts
    }

    private static func normalHost(_ authority: String) throws -> (host: String, port: UInt16) {
        if authority.isEmpty { return ("", 0) }
        var out = [UInt8](repeating: 0, count: Int(URI_MAX_HOST))
        var port: UInt16 = 0
        var authority = authority
        let length = authority.withUTF8 {
            uri_normal_host(bytes_of($0.baseAddress, $0.count), &out, &port)
        }
        guard length > 0 else {
            throw MeshError(.invalid, "\"\(authority)\" is not a host: the answer is 400")
        }
        return (String(decoding: out[..<Int(length)], as: UTF8.self), port)
    }

    private static func normalPath(_ path: String) throws -> String {
        var out = [UInt8](repeating: 0, count: path.utf8.count)
        var changed = false
        var text = path
        let length = text.withUTF8 {
            uri_normal_path(bytes_of($0.baseAddress, $0.count), &out, &changed)
        }
        guard length > 0 else {
            throw MeshError(
                .invalid, "the path \"\(path)\" cannot be read in one way: the answer is 400")
        }
        return changed ? String(decoding: out[..<Int(length)], as: UTF8.self) : path
    }
}

extension StringProtocol {
    /// Where a text first stands in this one.
    fileprivate func range(of text: String) -> Range<Index>? {
        var at = startIndex
        while at < endIndex {
            if self[at...].hasPrefix(text) { return at..<index(at, offsetBy: text.count) }
            at = index(after: at)
        }
        return nil
    }
}

/// Who is asked about tokens while a request is explained.
final class ExplainedTokens {
    private let checks: [abi_token_check]
    private let ask: Explainer.TokenTest?

    init(_ checks: [abi_token_check], _ ask: Explainer.TokenTest?) {
        self.checks = checks
        self.ask = ask
    }

    fileprivate func holds(_ check: Int, _ token: [UInt8]) -> Bool {
        ask?(checks[check].key, token) ?? false
    }
}
