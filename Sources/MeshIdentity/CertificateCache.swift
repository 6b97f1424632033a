import Glibc
import MeshModel

/// Certificates of files as they were read last. A file that looks the same, by its time, size and
/// inode, is not read again: looking at ten thousand takes milliseconds, parsing them seconds.
package struct CertificateCache: Sendable {
    private struct Stamp: Sendable, Equatable {
        var seconds = 0
        var nanoseconds = 0
        var size = 0
        var inode: UInt = 0

        /// nil when the file cannot be looked at.
        init?(_ path: String) {
            var info = stat()
            guard unsafe stat(path, &info) == 0 else { return nil }
            seconds = info.st_mtim.tv_sec
            nanoseconds = info.st_mtim.tv_nsec
            size = Int(info.st_size)
            inode = UInt(info.st_ino)
        }
    }

    private struct Paths: Hashable, Sendable {
        var certificate: String
        var key: String
    }

    private struct Entry: Sendable {
        var certificate: Stamp
        var key: Stamp
        var files: CertificateFiles
    }

    private var entries: [Paths: Entry] = [:]
    private var before: [Paths: Entry] = [:]

    package init() {}

    /// Begins another round: what is not loaded until the next is forgotten.
    package mutating func begin() {
        before = entries
        entries = [:]
    }

    /// The certificate in these files, read again only when one of them has changed.
    package mutating func load(certificate: String, key: String) throws -> CertificateFiles {
        let paths = Paths(certificate: certificate, key: key)
        let stamps = (Stamp(certificate), Stamp(key))
        if let known = entries[paths] ?? before[paths], known.certificate == stamps.0,
            known.key == stamps.1
        {
            entries[paths] = known
            return known.files
        }
        let files = try CertificateFiles.load(certificate: certificate, key: key)
        if let certificateStamp = stamps.0, let keyStamp = stamps.1 {
            entries[paths] = Entry(certificate: certificateStamp, key: keyStamp, files: files)
        }
        return files
    }
}
