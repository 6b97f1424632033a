import AsyncHTTPClient
import Foundation
import MeshModel

/// Where a server of ours listens: `http://host:port`, `https://host:port` or `unix:///path`.
package enum ServerAddress: Sendable, Equatable {
    /// Scheme, host and port, without a slash at the end.
    case url(String)
    /// The path of a socket.
    case unix(String)

    /// Takes the address as a user writes it.
    package init(_ text: String) throws {
        if text.hasPrefix("unix://") {
            let path = String(text.dropFirst("unix://".count))
            guard path.hasPrefix("/"), path.count > 1 else {
                throw MeshError(
                    .invalid, "\(text): a socket's path is absolute: write unix:///path/to.sock")
            }
            guard path.utf8.count <= 107 else {
                throw MeshError(.invalid, "\(text): a socket's path has at most 107 bytes")
            }
            self = .unix(path)
            return
        }
        guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
            scheme == "http" || scheme == "https", let host = parts.host, !host.isEmpty,
            parts.user == nil, parts.password == nil, parts.query == nil, parts.fragment == nil,
            parts.path.isEmpty || parts.path == "/"
        else {
            throw MeshError(
                .invalid,
                "\(text) is not an address: write http://host:port, https://host:port "
                    + "or unix:///path")
        }
        self = .url("\(scheme)://\(host)" + (parts.port.map { ":\($0)" } ?? ""))
    }

    /// The URL of a path, which begins with a slash and is encoded already.
    package func url(path: String) throws -> String {
        guard path.hasPrefix("/") else {
            throw MeshError(.invalid, "\(path) is not a path: it begins with a slash")
        }
        switch self {
        case .url(let base):
            return base + path
        case .unix(let socket):
            guard let url = URL(httpURLWithSocketPath: socket, uri: path) else {
                throw MeshError(.invalid, "\(path) cannot be requested from \(socket)")
            }
            return url.absoluteString
        }
    }
}

extension ServerAddress: CustomStringConvertible {
    package var description: String {
        switch self {
        case .url(let base): base
        case .unix(let path): "unix://\(path)"
        }
    }
}

/// Builds paths from names that may hold any character.
package enum URLPath {
    /// `/a/b%2Fc?key=value`: segments and query values are encoded.
    package static func make(_ segments: String..., query: [(String, String)] = []) -> String {
        let path = segments.map { "/" + encoded($0) }.joined()
        guard !query.isEmpty else { return path }
        return path + "?" + query.map { "\(encoded($0.0))=\(encoded($0.1))" }.joined(separator: "&")
    }

    /// Everything but the unreserved characters of RFC 3986 as percent escapes.
    package static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var out: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: out.append(byte)
            default: out += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: out, as: UTF8.self)
    }
}
