import Glibc
import MeshModel

/// Paths as text.
enum Paths {
    /// The folder a file is in; "" for one named without a folder.
    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// Whether a file is in a folder or anywhere below it; both are real paths. Everything is below
    /// the root: there only what lies beside counts.
    static func isWithin(_ folder: String, _ path: String) -> Bool {
        folder == "/" ? self.folder(of: path) == folder : path.hasPrefix("\(folder)/")
    }

    /// A path made absolute: from the folder of the file it stands in, else from `current`.
    static func resolve(_ path: String, at location: SourceLocation, current: String) -> String {
        if path.hasPrefix("/") { return path }
        let base = location.line > 0 ? folder(of: location.source) : ""
        return join(base.isEmpty ? "." : base, path, current: current)
    }

    /// `name` seen from `base`, which itself is seen from `current`. `.` components are dropped.
    static func join(_ base: String, _ name: String, current: String) -> String {
        let absolute = base.hasPrefix("/") ? base : "\(current)/\(base)"
        let parts = "\(absolute)/\(name)".split(separator: "/").filter { $0 != "." }
        return (absolute.hasPrefix("/") ? "/" : "") + parts.joined(separator: "/")
    }
}

/// The few questions asked of the file system.
package enum Files {
    /// The working folder of the process.
    static var currentFolder: String {
        guard let buffer = getcwd(nil, 0) else { return "." }
        defer { free(buffer) }
        return String(cString: buffer)
    }

    /// An absolute path without links and `..`, as far as it exists; what is still to be made is
    /// taken as it is written.
    static func real(_ path: String) -> String {
        var known = path.hasPrefix("/") ? path : "\(currentFolder)/\(path)"
        var rest: [Substring] = []
        while true {
            if let buffer = realpath(known, nil) {
                defer { free(buffer) }
                return append(rest, to: String(cString: buffer))
            }
            guard let slash = known.lastIndex(of: "/") else { return append(rest, to: "/") }
            rest.insert(known[known.index(after: slash)...], at: 0)
            known = String(known[..<slash])
        }
    }

    private static func append(_ rest: [Substring], to folder: String) -> String {
        var parts = folder.split(separator: "/")
        for part in rest where !part.isEmpty && part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// The machine's name.
    static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        return String(
            decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The content of a file of at most `limit` bytes, or of a pipe to its end.
    static func read(_ path: String, limit: Int) throws -> [UInt8] {
        try read(path, O_RDONLY | O_CLOEXEC, limit) { type in
            guard type != S_IFDIR else {
                throw MeshError(.system, "\(path) is a folder: name a file")
            }
        }
    }

    /// The content of a file of at most `limit` bytes. What is no plain file, as a pipe whose other
    /// end is silent, keeps nobody waiting: it is refused.
    package static func readPlain(_ path: String, limit: Int) throws -> [UInt8] {
        try read(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, limit) { type in
            guard type == S_IFREG else {
                throw MeshError(.system, "\(path) is not a plain file: name one")
            }
        }
    }

    private static func read(
        _ path: String, _ flags: Int32, _ limit: Int, _ check: (mode_t) throws -> Void
    ) throws -> [UInt8] {
        let descriptor = open(path, flags)
        guard descriptor >= 0 else { throw failure("open", path, errno) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure("read", path, errno) }
        try check(status.st_mode & S_IFMT)
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("read", path, errno) }
            if count == 0 { return content }
            content += chunk[..<count]
            guard content.count <= limit else {
                throw MeshError(.system, "\(path) has more than \(limit) bytes: split it")
            }
        }
    }

    /// The names in a folder, sorted.
    static func names(in path: String) throws -> [String] {
        guard let folder = opendir(path) else { throw failure("open the folder", path, errno) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                // d_name is a NUL-terminated array inside the entry, which lives until readdir.
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Why the path does not do for this rule, or nil.
    static func problem(_ path: String, _ rule: PathRule) -> String? {
        var status = stat()
        switch rule {
        case .any, .socket: return nil
        case .existingFile, .executable:
            guard stat(path, &status) == 0, access(path, R_OK) == 0 else {
                return "cannot read \(path): \(text(errno)); name an existing file"
            }
            if status.st_mode & S_IFMT == S_IFDIR { return "\(path) is a folder: name a file" }
            guard case .executable = rule, access(path, X_OK) != 0 else { return nil }
            return "\(path) is not a program: \(text(errno)); chmod +x it or name another"
        case .existingFolder:
            guard stat(path, &status) == 0 else {
                return "cannot open \(path): \(text(errno)); create the folder or name another"
            }
            return status.st_mode & S_IFMT == S_IFDIR ? nil : "\(path) is not a folder"
        }
    }

    private static func failure(_ what: String, _ path: String, _ code: Int32) -> MeshError {
        MeshError(.system, "cannot \(what) \(path): \(text(code))")
    }

    private static func text(_ code: Int32) -> String {
        // strerror's text is read at once; the table behind it is constant for known codes.
        strerror(code).map { String(cString: $0) } ?? "error \(code)"
    }
}
