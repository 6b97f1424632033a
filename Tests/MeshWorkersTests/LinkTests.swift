import CMeshABI
import CMeshShm
import Glibc
import MeshTelemetry
import Testing

@testable import MeshWorkers

/// A supervisor of our own making, to see what a link does when one misbehaves.
private final class FakeSupervisor: Sendable {
    private let listener: Descriptor

    init(_ path: String) throws {
        listener = Descriptor(
            socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_CLOEXEC.rawValue), 0))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener.number, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        try #require(bound && listen(listener.number, 4) == 0)
    }

    /// The next caller, once it has said something.
    func accept() async throws -> Descriptor {
        var waiting = pollfd(fd: listener.number, events: Int16(POLLIN), revents: 0)
        for _ in 0..<12_000 where poll(&waiting, 1, 0) == 0 {
            try await Task.sleep(for: .milliseconds(5))
        }
        let caller = Descriptor(Glibc.accept(listener.number, nil, nil))
        try #require(caller.number >= 0)
        _ = try await Self.read(caller)
        return caller
    }

    static func read(_ caller: Descriptor) async throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 4096)
        for _ in 0..<12_000 {
            let length = recv(caller.number, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            if length > 0 { return Array(bytes[..<length]) }
            try await Task.sleep(for: .milliseconds(5))
        }
        throw Unexpected()
    }

    static func welcome(_ caller: Descriptor) throws {
        var message = abi_control_welcome()
        message.head.type = UInt32(ABI_CONTROL_WELCOME.rawValue)
        message.head.length = UInt32(MemoryLayout<abi_control_welcome>.size)
        message.version = ABI_VERSION
        message.workers = 1
        let (overlay, _) = try OverlayWriterTests.make()
        let bytes = withUnsafeBytes(of: message) { Array($0) }
        #expect(shm_send(caller.number, bytes, bytes.count, [overlay.number], 1) == 0)
    }
}

@Suite(.timeLimit(.minutes(5)))
struct LinkTests {
    private static func linked(_ event: DataPlaneEvent) -> Bool? {
        if case .linked = event { true } else { nil }
    }

    private static func unlinked(_ event: DataPlaneEvent) -> String? {
        if case .unlinked(let reason) = event { reason } else { nil }
    }

    @Test func withoutADataPlaneAPublicationIsUnknownAtOnce() async throws {
        let folder = try TestFolder()
        try await withLink(folder.socket) { link, _ in
            let file = try SharedMemory.sealed(name: "test", bytes: [1])
            #expect(
                await link.publish(.init(generation: 1, snapshot: file))
                    == .unknown(reason: "no data plane is connected"))
        }
    }

    @Test func aDataPlaneLostDuringAPublicationLeavesItUnknown() async throws {
        let folder = try TestFolder()
        let fake = try FakeSupervisor(folder.socket)
        try await withLink(folder.socket) { link, events in
            var caller: Descriptor? = try await fake.accept()
            if let caller { try FakeSupervisor.welcome(caller) }
            _ = try await events.first(Self.linked)
            let file = try SharedMemory.sealed(name: "test", bytes: [1])
            async let outcome = link.publish(.init(generation: 1, snapshot: file))
            if let caller { _ = try await FakeSupervisor.read(caller) }
            caller = nil  // gone without an answer
            guard case .unknown(let reason) = await outcome else { throw Unexpected() }
            #expect(reason.contains("was lost"))
            _ = try await events.first(Self.unlinked)
        }
    }

    @Test func aLinkComesBackAfterEveryLoss() async throws {
        let folder = try TestFolder()
        let fake = try FakeSupervisor(folder.socket)
        try await withLink(folder.socket) { _, events in
            for round in 1...3 {
                let caller = try await fake.accept()
                try FakeSupervisor.welcome(caller)
                let deadline = ContinuousClock.now + .seconds(60)
                while await events.all.compactMap(Self.linked).count < round,
                    ContinuousClock.now < deadline
                {
                    try await Task.sleep(for: .milliseconds(5))
                }
                #expect(await events.all.compactMap(Self.linked).count == round)
                // Lost only now: a socket that is closed with a message unread takes what it has
                // sent along, and a value that is not used any more is closed at once.
                withExtendedLifetime(caller) {}
            }
        }
    }

    @Test func aMessageThatCannotBeReadEndsTheConnection() async throws {
        let folder = try TestFolder()
        let fake = try FakeSupervisor(folder.socket)
        try await withLink(folder.socket) { _, events in
            let caller = try await fake.accept()
            try FakeSupervisor.welcome(caller)
            _ = try await events.first(Self.linked)
            #expect(shm_send(caller.number, [UInt8](repeating: 9, count: 40), 40, nil, 0) == 0)
            let reason = try await events.first(Self.unlinked)
            #expect(reason.contains("cannot be read"))
        }
    }
}
