import CMeshABI
import CMeshShm
import Glibc
import MeshModel
import Synchronization

/// What a worker is told about a token.
package struct TokenAnswer: Sendable, Equatable {
    package var isGood: Bool
    /// How long the worker may rely on it, in milliseconds.
    package var life: UInt32

    package init(isGood: Bool, life: UInt32) {
        self.isGood = isGood
        self.life = life
    }

    /// Nothing is known of what was asked about: not now, and perhaps in a moment.
    package static let none = TokenAnswer(isGood: false, life: 1000)
}

/// Decides about tokens. Called on a thread of its own for each worker; must not wait for anybody.
package typealias TokenJudge = @Sendable (_ check: UInt64, _ token: [UInt8]) -> TokenAnswer

/// The socket on which the workers of one slot ask about tokens: `abi/tokens.h`.
final class QuestionSocket: Sendable {
    private final class Life: Sendable {
        private let state = Mutex(false)
        var isOver: Bool { state.withLock(\.self) }
        func end() { state.withLock { $0 = true } }
    }

    /// Often enough for a process that goes on with another data plane.
    private static let lookMilliseconds: Int32 = 1000

    private let life = Life()

    init(_ descriptor: Descriptor, judge: @escaping TokenJudge) throws {
        let life = life
        try startThread {
            while !life.isOver, Self.serve(descriptor, judge) {}
        }
    }

    deinit {
        life.end()
    }

    /// Waits for questions and answers those that are there. False when nobody can ask any more.
    private static func serve(_ descriptor: Descriptor, _ judge: TokenJudge) -> Bool {
        var entry = pollfd(fd: descriptor.number, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, lookMilliseconds) > 0 else { return true }
        let size = MemoryLayout<abi_token_question>.size + Int(LIMIT_TOKEN_SIZE)
        return withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { buffer in
            while true {
                // The buffer is as long as it says; nobody sends descriptors here.
                let length = recv(
                    descriptor.number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT))
                if length == 0 { return false }
                if length < 0 { return errno == EAGAIN || errno == EINTR }
                answer(
                    UnsafeRawBufferPointer(rebasing: buffer[..<length]), descriptor, judge)
            }
        }
    }

    private static func answer(
        _ bytes: UnsafeRawBufferPointer, _ descriptor: Descriptor, _ judge: TokenJudge
    ) {
        let head = MemoryLayout<abi_token_question>.size
        guard bytes.count > head else { return }
        let question = bytes.loadUnaligned(as: abi_token_question.self)
        guard question.magic == ABI_TOKENS_MAGIC, Int(question.length) == bytes.count - head else {
            return
        }
        let answer = judge(question.check, Array(bytes[head...]))
        var verdict = abi_token_verdict()
        verdict.magic = ABI_TOKENS_MAGIC
        verdict.held = answer.isGood ? 1 : 0
        verdict.id = question.id
        verdict.check = question.check
        verdict.life_ms = min(answer.life, LIMIT_TOKEN_LIFE_MS)
        // A worker that does not read waits for nothing: its request ends by its own time.
        _ = withUnsafeBytes(of: verdict) {
            send(
                descriptor.number, $0.baseAddress, $0.count,
                Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
    }
}
