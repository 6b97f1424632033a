import Foundation
import MeshModel

/// Files of the daemons of a node: one folder with `logs` and `pids`, for their owner only.
package struct DaemonFiles: Sendable {
    package enum Stream: String, Sendable, CaseIterable {
        case stdout
        case stderr
    }

    /// What is known of a daemon that was started, also by a control plane before this one.
    package struct Record: Sendable, Equatable {
        package var process: ProcessIdentity
        /// Of what it was started as.
        package var fingerprint: String
        /// Of the token that it was given.
        package var token: String
    }

    package let folder: String

    package init(folder: String) { self.folder = folder }

    package func log(_ id: String, _ stream: Stream) -> String {
        "\(folder)/logs/\(Self.name(id))-\(stream.rawValue).log"
    }

    package func pidFile(_ id: String) -> String { "\(folder)/pids/\(Self.name(id)).pid" }

    /// An id as a name of a file: what might mean something there is written as %XX.
    static func name(_ id: String) -> String {
        var name = ""
        for (place, byte) in id.utf8.enumerated() {
            let scalar = Unicode.Scalar(byte)
            let isPlain =
                scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || scalar == "-"
                || scalar == "_" || (scalar == "." && place > 0)
            if isPlain, byte < 0x80 {
                name.unicodeScalars.append(scalar)
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                name += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return name
    }

    /// The id whose file has this name; nil: no id has.
    static func id(ofName name: String) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(name.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            rest = rest.dropFirst(2)
            bytes.append(value)
        }
        let id = String(decoding: bytes, as: UTF8.self)
        return self.name(id) == name ? id : nil
    }

    // MARK: - folders

    package func makeFolders() throws {
        for path in [folder, "\(folder)/logs", "\(folder)/pids"] {
            do {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: true,
                    attributes: [.posixPermissions: 0o700])
            } catch {
                throw MeshError(.system, "\(path) cannot be made", cause: error)
            }
        }
    }

    /// A descriptor that appends to a log.
    func openLog(_ id: String, _ stream: Stream) throws -> Int32 {
        let path = log(id, stream)
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw MeshError(.system, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
        return file
    }

    // MARK: - records

    /// The number stands in the first line alone, as others who read such files expect.
    func write(_ record: Record, of id: String) throws {
        let text = """
            \(record.process.pid)
            start \(record.process.start)
            boot \(record.process.boot)
            what \(record.fingerprint)
            token \(record.token)

            """
        let path = pidFile(id)
        let draft = path + ".new"
        let file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw MeshError(.system, "cannot write \(draft): \(String(cString: strerror(errno)))")
        }
        defer { close(file) }
        let bytes = Array(text.utf8)
        guard Glibc.write(file, bytes, bytes.count) == bytes.count, rename(draft, path) == 0 else {
            throw MeshError(.system, "cannot write \(path): \(String(cString: strerror(errno)))")
        }
    }

    func forget(_ id: String) { unlink(pidFile(id)) }

    /// Every daemon that was started and not ended by us, by its id.
    package func records() -> [String: Record] {
        let folder = "\(folder)/pids"
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
            return [:]
        }
        var found: [String: Record] = [:]
        for name in names where name.hasSuffix(".pid") {
            guard let id = Self.id(ofName: String(name.dropLast(4))),
                let text = try? String(contentsOfFile: "\(folder)/\(name)", encoding: .utf8),
                let record = Record(text)
            else { continue }
            found[id] = record
        }
        return found
    }
}

extension DaemonFiles.Record {
    init?(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        func value(_ line: Int, _ key: String) -> String? {
            guard line < lines.count, lines[line].hasPrefix("\(key) ") else { return nil }
            return String(lines[line].dropFirst(key.count + 1))
        }
        guard let first = lines.first, let pid = Int32(first), pid > 1,
            let start = value(1, "start").flatMap(UInt64.init), let boot = value(2, "boot"),
            let fingerprint = value(3, "what"), let token = value(4, "token")
        else { return nil }
        process = ProcessIdentity(pid: pid, start: start, boot: boot)
        self.fingerprint = fingerprint
        self.token = token
    }
}
