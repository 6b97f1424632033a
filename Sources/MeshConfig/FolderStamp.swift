import Glibc

/// What tells whether a folder of documents has changed: names, sizes and times of its files.
///
/// Folders are looked at rather than watched: that works on every file system, and follows the
/// symbolic links by which mounted configuration is swapped as a whole.
package struct FolderStamp: Sendable, Equatable {
    private struct File: Sendable, Equatable {
        var name: String
        var inode: UInt64
        var size: Int64
        var changedSeconds: Int
        var changedNanoseconds: Int
    }

    private var files: [File] = []

    /// The stamp of a folder; that of one that cannot be read differs from every other.
    package init(of folder: String?) {
        guard let folder, let listing = opendir(folder) else { return }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                // d_name is a NUL-terminated array inside the entry, which lives until readdir.
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var status = stat()
            guard !name.hasPrefix("."), stat("\(folder)/\(name)", &status) == 0 else { continue }
            files.append(
                File(
                    name: name, inode: UInt64(status.st_ino), size: Int64(status.st_size),
                    changedSeconds: status.st_ctim.tv_sec,
                    changedNanoseconds: status.st_ctim.tv_nsec))
        }
        files.sort { $0.name < $1.name }
    }
}
