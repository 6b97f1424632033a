import CMeshShm
import Glibc
import MeshModel

/// Memory files that are handed to the data plane, and mappings of those that come from it.
package enum SharedMemory {
    /// A memory file with these bytes that nobody can change any more.
    package static func sealed(name: String, bytes: [UInt8]) throws -> Descriptor {
        try sealed(name: name, size: bytes.count) { $0.copyBytes(from: bytes) }
    }

    /// A memory file of `size` zero bytes that `fill` writes once; then nobody can change it.
    package static func sealed(
        name: String, size: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void
    ) throws -> Descriptor {
        guard size > 0 else { throw MeshError(.invalid, "a shared region needs at least one byte") }
        let file = Descriptor(try check(shm_create(name, size), "create a shared region"))
        let mapping = try SharedMapping(file, size: size, writable: true)
        try mapping.withMutableBytes(fill)
        // A writable mapping keeps a file from being sealed.
        mapping.unmap()
        let seals = Int32(SHM_SEAL_SIZE.rawValue | SHM_SEAL_BYTES.rawValue)
        _ = try check(shm_seal(file.number, seals), "seal a shared region")
        return file
    }

    /// Bytes of a file.
    package static func size(of file: Descriptor) throws -> Int {
        Int(try check(shm_size(file.number), "measure a shared region"))
    }

    /// Whether nobody can change the file any more.
    package static func isSealed(_ file: Descriptor) -> Bool {
        shm_seals(file.number) == Int32(SHM_SEAL_SIZE.rawValue | SHM_SEAL_BYTES.rawValue)
    }

    static func check<Number: BinaryInteger>(_ result: Number, _ what: String) throws -> Number {
        guard result >= 0 else {
            throw MeshError(
                .system, "cannot \(what): \(errorText(-Int32(truncatingIfNeeded: result)))")
        }
        return result
    }
}

/// What an errno means, in words.
func errorText(_ number: Int32) -> String {
    String(cString: strerror(number))
}

/// A mapped file. The pointers it lends live as long as the mapping does.
package final class SharedMapping: @unchecked Sendable {
    // @unchecked: the base changes in unmap() only, which is called by the one who made the mapping
    // before anyone else has it; what lies behind it is read and written with the atomic accessors
    // of abi, or has no other writer.
    private var base: UnsafeMutableRawPointer?
    package let size: Int
    private let file: Descriptor

    /// Maps `size` bytes from a whole page on.
    package init(
        _ file: Descriptor, size: Int, at: Int = 0, writable: Bool = false
    ) throws {
        // Private where sealed: kernels before 6.7 refuse a shared mapping of such a file.
        let shared = writable || !SharedMemory.isSealed(file)
        let found = try SharedMemory.size(of: file)
        guard size > 0, found >= at + size else {
            throw MeshError(.invalid, "a shared region of \(found) bytes should have \(at + size)")
        }
        let base = mmap(
            nil, size, writable ? PROT_READ | PROT_WRITE : PROT_READ,
            shared ? MAP_SHARED : MAP_PRIVATE, file.number, at)
        guard let base, base != MAP_FAILED else {
            throw MeshError(.system, "cannot map a shared region: \(errorText(errno))")
        }
        self.base = base
        self.size = size
        self.file = file
    }

    deinit {
        unmap()
    }

    /// Ends the mapping before its time; nobody may hold a pointer into it.
    func unmap() {
        if let base { munmap(base, size) }
        base = nil
    }

    /// Start of the mapping.
    var start: UnsafeMutableRawPointer {
        guard let base else { fatalError("a mapping is used after its end") }
        return base
    }

    /// Lends the bytes for reading.
    package func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        try body(UnsafeRawBufferPointer(start: start, count: size))
    }

    func withMutableBytes<Result>(_ body: (UnsafeMutableRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        try body(UnsafeMutableRawBufferPointer(start: start, count: size))
    }
}
