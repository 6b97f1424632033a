import CMeshABI
import CMeshShm
import Glibc
import MeshProcess
import Testing

@testable import MeshWorkers

/// The control channel against the real data plane: what must survive, survives.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct DataPlaneTests {
    private static func files(_ generation: UInt64, _ port: UInt16, _ body: String) throws
        -> DataPlaneLink.Files
    {
        try DataPlaneLink.Files(
            TestSnapshot(generation: generation, listeners: [(port: port, body: body)]))
    }

    private static func serving(_ event: DataPlaneEvent) -> WorkerStatus? {
        if case .worker(let status) = event, status.state == .serving { return status }
        return nil
    }

    private static func linked(_ event: DataPlaneEvent) -> DataPlaneWelcome? {
        if case .linked(let welcome, _) = event { return welcome }
        return nil
    }

    @Test func aPublicationGoesLiveAndIsServed() async throws {
        let port = try freePort()
        try await withDataPlane { path, _ in
            try await withLink(path) { link, events in
                let welcome = try await events.first(Self.linked)
                #expect(welcome.workers == 2)
                #expect(welcome.engine == "io_uring")
                #expect(await link.publish(try Self.files(1, port, "one")) == .live)
                #expect(get(port) == "one")
                #expect(await link.publish(try Self.files(2, port, "two")) == .live)
                #expect(get(port) == "two")
                let status = await link.status
                #expect(status.generation == 2)
                #expect(status.workers.map(\.generation) == [2, 2])
                // Both have let go of the first one: its slots may be used again.
                for worker in 0..<2 {
                    _ = try await events.first { event in
                        if case .released(worker, 1) = event { true } else { nil }
                    }
                }
                #expect(await link.isReleased(through: 1))
                #expect(await !link.isReleased(through: 2))
                let requests = await link.statistics.map { $0.listener(0).requests }
                #expect(requests.reduce(0, +) == 2)
            }
        }
    }

    @Test func whatIsRefusedSaysWhyAndChangesNothing() async throws {
        let port = try freePort()
        try await withDataPlane { path, _ in
            try await withLink(path) { link, events in
                _ = try await events.first(Self.linked)
                #expect(await link.publish(try Self.files(1, port, "one")) == .live)
                let garbage = try SharedMemory.sealed(
                    name: "test", bytes: [UInt8](repeating: 7, count: 1000))
                let open = Descriptor(shm_create("test", 1000))
                var strange = TestSnapshot(generation: 4, listeners: [(port, "x")])
                strange.version = ABI_VERSION + 7
                let attempts: [(DataPlaneLink.Files, String)] = [
                    (.init(generation: 2, snapshot: garbage), "not a snapshot"),
                    (.init(generation: 3, snapshot: open), "not sealed"),
                    (try .init(strange), "version"),
                    (try Self.files(1, port, "again"), "taken in before"),
                ]
                for (files, expected) in attempts {
                    guard case .refused(let refusals) = await link.publish(files) else {
                        Issue.record("generation \(files.generation) was not refused")
                        continue
                    }
                    #expect(refusals.contains { $0.reason.contains(expected) }, "\(refusals)")
                    #expect(get(port) == "one")
                }
                #expect(await link.status.generation == 1)
                #expect(await link.publish(try Self.files(5, port, "five")) == .live)
            }
        }
    }

    @Test func aListenerThatCannotBeOpenedIsNamed() async throws {
        let port = try freePort()
        let taken = Descriptor(Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = loopback(port)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(taken.number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(listen(taken.number, 1) == 0)
        try await withDataPlane { path, _ in
            try await withLink(path) { link, events in
                _ = try await events.first(Self.linked)
                guard case .refused(let refusals) = await link.publish(try Self.files(1, port, "x"))
                else { throw Unexpected() }
                #expect(refusals.count == 1)
                #expect(refusals.first?.worker == nil)
                #expect(
                    refusals.first?.reason
                        == "listener test-\(port): 127.0.0.1:\(port): Address already in use")
            }
        }
    }

    @Test func aKilledWorkerIsBackWithTheSameGeneration() async throws {
        let port = try freePort()
        try await withDataPlane { path, _ in
            try await withLink(path) { link, events in
                _ = try await events.first(Self.linked)
                #expect(await link.publish(try Self.files(1, port, "one")) == .live)
                let before = try #require(await link.status.workers.first)
                kill(pid_t(before.pid), SIGKILL)
                let after = try await events.first { event -> WorkerStatus? in
                    guard let status = Self.serving(event), status.id == before.id else {
                        return nil
                    }
                    return status.pid != before.pid ? status : nil
                }
                #expect(after.generation == 1)
                #expect(after.lastExit == "signal 9")
                for _ in 0..<16 { #expect(get(port) == "one") }
            }
        }
    }

    @Test func aStoppedWorkerHasNoVetoAndIsNamed() async throws {
        let port = try freePort()
        try await withDataPlane { path, _ in
            try await withLink(path) { link, events in
                _ = try await events.first(Self.linked)
                #expect(await link.publish(try Self.files(1, port, "one")) == .live)
                let stopped = try #require(await link.status.workers.last)
                kill(pid_t(stopped.pid), SIGSTOP)
                let start = ContinuousClock.now
                let outcome = await link.publish(try Self.files(2, port, "two"))
                let took = ContinuousClock.now - start
                kill(pid_t(stopped.pid), SIGCONT)
                #expect(outcome == .partial(laggards: [stopped.id]))
                #expect(took > .seconds(2))
                // It catches up once it runs again.
                _ = try await events.first { event -> Bool? in
                    guard case .worker(let status) = event else { return nil }
                    return status.id == stopped.id && status.generation == 2 ? true : nil
                }
                for _ in 0..<16 { #expect(get(port) == "two") }
            }
        }
    }

    @Test func aDataPlaneOutlivesItsControlPlaneAndIsAdopted() async throws {
        let port = try freePort()
        let installation = InstallationID.random()
        try await withDataPlane { path, process in
            try await withLink(path, installation) { link, events in
                _ = try await events.first(Self.linked)
                #expect(await link.publish(try Self.files(1, port, "one")) == .live)
                link.overlay.set(9, EndpointCondition(isDown: true))
            }
            #expect(get(port) == "one")
            #expect(try await process.ensureRunning() == .adopted)
            try await withLink(path, installation) { link, events in
                let (welcome, snapshot) = try await events.first { event in
                    if case .linked(let welcome, let snapshot) = event {
                        (welcome, snapshot)
                    } else {
                        nil
                    }
                }
                #expect(welcome.generation == 1)
                let file = try #require(snapshot)
                #expect(SharedMemory.isSealed(file))
                // What the control plane before knew of endpoints holds on.
                #expect(link.overlay.current(9) == EndpointCondition(isDown: true))
                #expect(await link.publish(try Self.files(2, port, "two")) == .live)
                #expect(get(port) == "two")
            }
        }
    }

    @Test func aStrangerIsRefused() async throws {
        try await withDataPlane { path, _ in
            try await withLink(path) { _, events in _ = try await events.first(Self.linked) }
            let stranger = try ControlChannel(path: path)
            try stranger.send(ControlPlaneMessage.hello(installation: .random(), pid: 1))
            var reasons: [String] = []
            for try await message in stranger.messages {
                if case .refuse(_, let reason) = message { reasons.append(reason) }
            }
            #expect(reasons == ["this data plane belongs to another installation"])
        }
    }

    @Test func garbageOnTheChannelCostsOnlyItsSender() async throws {
        let port = try freePort()
        try await withDataPlane { path, _ in
            try await withLink(path) { link, events in
                _ = try await events.first(Self.linked)
                #expect(await link.publish(try Self.files(1, port, "one")) == .live)
                for length in [1, 7, 8, 31, 33, 4096] {
                    let stranger = try ControlChannel(path: path)
                    try stranger.send([UInt8](repeating: 0x41, count: length))
                    for try await message in stranger.messages {
                        guard case .refuse = message else { throw Unexpected() }
                    }
                }
                #expect(await link.publish(try Self.files(2, port, "two")) == .live)
                #expect(get(port) == "two")
            }
        }
    }

    @Test func shutDownDrainsAndEnds() async throws {
        try await withDataPlane { path, process in
            try await withLink(path) { link, events in
                _ = try await events.first(Self.linked)
                try await link.shutDown(grace: .milliseconds(200))
                #expect(await process.waitUntilGone(within: .seconds(3)))
                _ = try await events.first { event in
                    if case .unlinked = event { true } else { nil }
                }
                let outcome = await link.publish(try Self.files(1, 1, "x"))
                #expect(outcome == .unknown(reason: "no data plane is connected"))
            }
        }
    }
}
