import CMeshABI
import CMeshShm
import Glibc
import MeshModel
import Synchronization

/// One connection to the supervisor. Sending is immediate; what comes in is read by a thread of its
/// own, because a wait for a descriptor would hold up a thread of the concurrency pool.
final class ControlChannel: Sendable {
    /// Ends when the connection does; the error says why when the other side is at fault.
    let messages: AsyncThrowingStream<SupervisorMessage, any Error>
    private let descriptor: Descriptor
    private let isOpen = Mutex(true)

    /// Connects to the control socket, whose owner must be root or the user of this process.
    convenience init(path: String) throws {
        let number = shm_connect(path)
        guard number >= 0 else {
            throw MeshError(.unavailable, "no data plane at \(path): \(errorText(-number))")
        }
        let descriptor = Descriptor(number)
        var uid: UInt32 = 0
        var pid: UInt32 = 0
        _ = try SharedMemory.check(shm_peer(number, &uid, &pid), "see who listens on \(path)")
        guard uid == 0 || uid == geteuid() else {
            throw MeshError(
                .invalid,
                "\(path) belongs to user \(uid): a data plane runs as root or as this user")
        }
        try self.init(descriptor)
    }

    /// Takes over a connected SEQPACKET socket.
    init(_ descriptor: Descriptor) throws {
        self.descriptor = descriptor
        let (messages, continuation) = AsyncThrowingStream.makeStream(
            of: SupervisorMessage.self, throwing: (any Error).self)
        self.messages = messages
        try startThread { Self.read(descriptor, into: continuation) }
    }

    deinit {
        close()
    }

    /// Sends one packet. A supervisor that does not take it is gone or hangs: the channel ends.
    func send(_ bytes: [UInt8], _ descriptors: [Descriptor] = []) throws {
        let numbers = descriptors.map(\.number)
        // Both arrays outlive the call; the count is that of the array.
        let result = shm_send(
            descriptor.number, bytes, bytes.count, numbers, UInt32(numbers.count))
        withExtendedLifetime(descriptors) {}
        guard result == 0 else {
            close()
            throw MeshError(.unavailable, "the data plane does not listen: \(errorText(-result))")
        }
    }

    /// Ends the connection; the reading thread notices and finishes the stream.
    func close() {
        let wasOpen = isOpen.withLock { open in
            defer { open = false }
            return open
        }
        if wasOpen { _ = shutdown(descriptor.number, Int32(SHUT_RDWR)) }
    }

    private static func read(
        _ descriptor: Descriptor,
        into continuation: AsyncThrowingStream<SupervisorMessage, any Error>.Continuation
    ) {
        do {
            while try wait(descriptor), let message = try receive(descriptor) {
                continuation.yield(message)
            }
            continuation.finish()
        } catch {
            continuation.finish(throwing: error)
        }
    }

    private static func wait(_ descriptor: Descriptor) throws -> Bool {
        var entry = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
        while poll(&entry, 1, -1) < 0 {
            guard errno == EINTR else {
                throw MeshError(.system, "cannot wait for the data plane: \(errorText(errno))")
            }
        }
        return true
    }

    /// nil when the other side has left.
    private static func receive(_ descriptor: Descriptor) throws -> SupervisorMessage? {
        try withUnsafeTemporaryAllocation(
            byteCount: Int(LIMIT_CONTROL_MESSAGE), alignment: 8
        ) { buffer in
            var found = shm_descriptors()
            while true {
                // The buffer is as long as it says; the descriptors received become ours.
                let length = shm_receive(
                    descriptor.number, buffer.baseAddress, buffer.count, &found)
                if length == 0 || length == -Int(ECONNRESET) { return nil }
                if length == -Int(EAGAIN) {
                    _ = try wait(descriptor)
                    continue
                }
                guard length > 0 else {
                    throw MeshError(
                        .invalid, "the data plane's channel broke: \(errorText(Int32(-length)))")
                }
                return try SupervisorMessage(
                    bytes: UnsafeRawBufferPointer(rebasing: buffer[..<length]),
                    descriptors: descriptors(found))
            }
        }
    }

    private static func descriptors(_ found: shm_descriptors) -> [Descriptor] {
        withUnsafeBytes(of: found.fds) { bytes in
            bytes.bindMemory(to: Int32.self).prefix(Int(found.count)).map { Descriptor($0) }
        }
    }
}

/// Runs `body` on a thread of its own, which ends with it.
func startThread(_ body: @escaping @Sendable () -> Void) throws {
    final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    // The box is retained here and released by the thread, or below when there is none.
    let box = Unmanaged.passRetained(Box(body))
    let result = pthread_create(
        &thread, nil,
        { argument in
            guard let argument else { return nil }
            Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
            return nil
        }, box.toOpaque())
    guard result == 0 else {
        box.release()
        throw MeshError(.system, "cannot start a thread: \(errorText(result))")
    }
    pthread_detach(thread)
}
