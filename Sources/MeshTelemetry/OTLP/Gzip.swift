import CMeshBase
import CMeshCompress

/// gzip of a whole body (RFC 1952), by the coder that answers of the data plane pass through.
package enum Gzip {
    /// nil: the coder gave up, and the body is sent as it is.
    package static func compressed(_ body: [UInt8]) -> [UInt8]? {
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: Int(COMPRESS_MEMORY), alignment: 16)
        defer { memory.deallocate() }
        guard let stream = compress_start(memory, COMPRESS_GZIP, COMPRESS_LEVEL_COMMON) else {
            return nil
        }
        // Spans repeat each other: mostly it is less than an eighth.
        var coded = [UInt8](repeating: 0, count: 256 + body.count / 4)
        return body.withUnsafeBufferPointer { body in
            var input = bytes(ptr: body.baseAddress, len: body.count)
            var length = 0
            while true {
                let end = coded.withUnsafeMutableBufferPointer { room in
                    var output = compress_output(
                        bytes: room.baseAddress, capacity: room.count, length: length)
                    let end = compress_run(stream, &input, COMPRESS_FINISH, &output)
                    length = output.length
                    return end
                }
                guard end == 1 else { return end == 0 ? Array(coded.prefix(length)) : nil }
                coded.append(contentsOf: repeatElement(0, count: coded.count))
            }
        }
    }
}
