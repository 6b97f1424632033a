import Foundation
import MeshAdminAPI
import MeshHealth
import MeshModel
import MeshTables
import Testing

@testable import MeshWorkers
@testable import controlplane

@Suite(.timeLimit(.minutes(5))) struct PipelineTests {
    private func world(_ ports: [UInt16] = [8000]) throws -> World {
        var world = World()
        world.services = try ports.map { try service("web", id: "web-\($0)", port: $0) }
        world.listeners = [try listener("public", port: 80)]
        return world
    }

    private func addInstance(_ port: UInt16, to bench: Workbench) async throws {
        try await bench.source.change { world in
            world.services.append(try service("web", id: "web-\(port)", port: port))
        }
    }

    /// A check of a service that says what the test says.
    private func check(_ service: String, _ status: CheckStatus) throws -> CheckDefinition {
        CheckDefinition(id: "check-\(service)", ttl: .hours(1), status: status)
    }

    private func report(_ service: String, _ status: CheckStatus, to bench: Workbench) async throws
    {
        try await bench.health.reportTTL(check: "check-\(service)", CheckResult(status, ""))
        await bench.pipeline.healthChanged(try ServiceID(service))
    }

    // MARK: - publications

    @Test func aChangeIsPublishedAndItsWaiterIsTold() async throws {
        try await Workbench.run(world()) { bench in
            let first = await bench.pipeline.settle()
            #expect(first.outcome == .live)
            #expect(await bench.pipeline.notReadyReason == nil)
            try await addInstance(8001, to: bench)
            let second = await bench.pipeline.settle()
            #expect(second.outcome == .live && second.generation > first.generation)
            let reader = try #require(try await bench.pipeline.snapshotReader())
            #expect(reader.generation == second.generation)
            #expect(reader.endpointKeys.count == 2)
        }
    }

    @Test func whatIsTheSameIsNotPublished() async throws {
        try await Workbench.run(world()) { bench in
            let first = await bench.pipeline.settle()
            let count = await bench.dataPlane.files.count
            #expect(await bench.pipeline.settle() == first)
            #expect(await bench.dataPlane.files.count == count)
        }
    }

    /// One publication at a time; what changes meanwhile is taken in by the next, all of it by one.
    @Test func changesDuringAPublicationAreTakenInByTheNext() async throws {
        try await Workbench.run(world()) { bench in
            let first = await bench.pipeline.settle()
            await bench.dataPlane.hold()
            let before = await bench.dataPlane.files.count
            try await addInstance(8001, to: bench)
            async let one = bench.pipeline.settle()
            #expect(await eventually { await bench.dataPlane.files.count == before + 1 })
            var waiting: [Task<UInt64, Never>] = []
            for port in UInt16(8002)...8006 {
                try await addInstance(port, to: bench)
                waiting.append(Task { await bench.pipeline.settle().generation })
            }
            #expect(await eventually { await bench.pipeline.waiting == 6 })
            // Nothing else is begun before this one is through.
            #expect(await bench.dataPlane.files.count == before + 1)
            await bench.dataPlane.letGo()
            let generation = await one.generation
            #expect(generation > first.generation)
            var last: Set<UInt64> = []
            for task in waiting { last.insert(await task.value) }
            #expect(last.count == 1 && (last.first ?? 0) > generation)
            #expect(await bench.dataPlane.files.count == before + 2)
            #expect(await bench.dataPlane.most == 1)
            let reader = try #require(try await bench.pipeline.snapshotReader())
            #expect(reader.endpointKeys.count == 7)
        }
    }

    @Test func laggardsAreNamed() async throws {
        try await Workbench.run(world()) { bench in
            _ = await bench.pipeline.settle()
            await bench.dataPlane.say(.partial(laggards: [3]))
            try await addInstance(8001, to: bench)
            let report = await bench.pipeline.settle()
            #expect(report.outcome == .partial && report.laggards == [3])
            #expect(await bench.pipeline.published?.generation == report.generation)
        }
    }

    @Test func withoutADataPlaneChangesAreStored() async throws {
        try await Workbench.run(world(), isLinked: false) { bench in
            #expect(await bench.pipeline.settle().outcome == .stored)
            #expect(await bench.dataPlane.files.isEmpty)
            await bench.link()
            #expect(await eventually { await bench.pipeline.published != nil })
            await bench.pipeline.follow(.unlinked(reason: "test"))
            #expect(await bench.pipeline.settle().outcome == .stored)
        }
    }

    /// Nobody waits for a pipeline that has ended.
    @Test func atTheEndChangesAreStored() async throws {
        let bench = try await Workbench(world())
        let running = Task { await bench.pipeline.run() }
        await bench.link()
        let report = await bench.pipeline.settle()
        running.cancel()
        await running.value
        #expect(
            await bench.pipeline.settle()
                == ChangeReport(outcome: .stored, generation: report.generation))
    }

    // MARK: - trouble

    /// A refusal is told and shown, and tried again by itself.
    @Test func whatIsRefusedIsTriedAgain() async throws {
        try await Workbench.run(world()) { bench in
            let first = await bench.pipeline.settle()
            await bench.dataPlane.say(
                .refused([PublishRefusal(worker: 1, reason: "no")]),
                .refused([PublishRefusal(worker: nil, reason: "still no")]))
            try await addInstance(8001, to: bench)
            let report = await bench.pipeline.settle()
            #expect(report.outcome == .refused)
            #expect(report.refusals == [.init(worker: 1, reason: "no")])
            #expect(await bench.pipeline.published?.generation ?? 0 >= first.generation)
            #expect(
                await eventually {
                    await bench.pipeline.published?.generation ?? 0 > report.generation + 1
                })
            #expect(bench.board.all.isEmpty)
            let reader = try #require(try await bench.pipeline.snapshotReader())
            #expect(reader.endpointKeys.count == 2)
        }
    }

    /// A refused change that is taken back leaves nothing to do.
    @Test func whatIsTakenBackIsNoProblemAnyMore() async throws {
        try await Workbench.run(world(), pause: .seconds(3600)) { bench in
            let first = await bench.pipeline.settle()
            await bench.dataPlane.say(.refused([PublishRefusal(worker: 0, reason: "no")]))
            try await addInstance(8001, to: bench)
            #expect(await bench.pipeline.settle().outcome == .refused)
            #expect(!bench.board.all.isEmpty)
            await bench.source.change { $0.services.removeLast() }
            let report = await bench.pipeline.settle()
            #expect(report == ChangeReport(outcome: .live, generation: first.generation))
            #expect(bench.board.all.isEmpty)
        }
    }

    // MARK: - listeners whose address somebody else has

    /// They cost themselves only, whatever their number, and are open once the address is free.
    @Test func listenersWithoutAnAddressAreLeftOut() async throws {
        try await Workbench.run(world()) { bench in
            _ = await bench.pipeline.settle()
            await bench.dataPlane.take(["one", "two"])
            try await bench.source.change { world in
                world.listeners += [try listener("one", port: 81), try listener("two", port: 82)]
            }
            let report = await bench.pipeline.settle()
            #expect(report.outcome == .live)
            #expect(
                Set(report.refusals.map(\.reason)) == [
                    "listener one: in use", "listener two: in use",
                ])
            #expect(await bench.pipeline.published?.listeners == ["public"])
            #expect(await bench.pipeline.silence(of: "one") == "listener one: in use")
            #expect(await bench.pipeline.silence(of: "public") == nil)
            #expect(await bench.pipeline.notReadyReason == nil, "it was ready before")
            let told = bench.board.all.map(\.message)
            #expect(told.count == 2 && told.allSatisfy { $0.contains("tried again") })

            // Others are told of their own change only.
            try await addInstance(8001, to: bench)
            let other = await bench.pipeline.settle()
            #expect(other.outcome == .live && other.refusals.isEmpty)
            let reader = try #require(try await bench.pipeline.snapshotReader())
            #expect(reader.endpointKeys.count == 2)

            await bench.dataPlane.take(["two"])
            #expect(
                await eventually {
                    await bench.pipeline.published?.listeners == ["public", "one"]
                })
            #expect(await eventually { bench.board.all.count == 1 })
            await bench.source.change { $0.listeners.removeLast() }
            #expect(await bench.pipeline.settle().outcome == .live)
            #expect(bench.board.all.isEmpty)
            #expect(await bench.pipeline.history.entries.allSatisfy { $0.outcome.kind == .live })
        }
    }

    /// A node is not ready before each listener of its configuration was open.
    @Test func readinessWaitsForTheConfiguration() async throws {
        try await Workbench.run(world(), isLinked: false) { bench in
            await bench.dataPlane.take(["public"])
            await bench.link()
            #expect(
                await eventually {
                    await bench.pipeline.notReadyReason == "listener public: in use"
                })
            await bench.dataPlane.take([])
            #expect(await eventually { await bench.pipeline.notReadyReason == nil })
            #expect(await bench.pipeline.published?.listeners == ["public"])
        }
    }

    /// With another address it is another listener, tried at once.
    @Test func anotherAddressIsTriedAtOnce() async throws {
        try await Workbench.run(world(), pause: .seconds(3600)) { bench in
            _ = await bench.pipeline.settle()
            await bench.dataPlane.take(["one"])
            try await bench.source.change { $0.listeners.append(try listener("one", port: 81)) }
            #expect(await bench.pipeline.settle().refusals.count == 1)
            await bench.dataPlane.take([])
            try await bench.source.change { $0.listeners[1] = try listener("one", port: 82) }
            let report = await bench.pipeline.settle()
            #expect(report.outcome == .live && report.refusals.isEmpty)
            #expect(await bench.pipeline.published?.listeners == ["public", "one"])
        }
    }

    /// Who frees an address and has the configuration read again waits for no pause.
    @Test func aConfigurationThatIsReadAgainIsTriedAtOnce() async throws {
        try await Workbench.run(world(), pause: .seconds(3600)) { bench in
            _ = await bench.pipeline.settle()
            await bench.dataPlane.take(["one"])
            try await bench.source.change { $0.listeners.append(try listener("one", port: 81)) }
            #expect(await bench.pipeline.settle().refusals.count == 1)
            await bench.dataPlane.take([])
            try await addInstance(8001, to: bench)
            #expect(await bench.pipeline.settle().outcome == .live)
            #expect(await bench.pipeline.published?.listeners == ["public"], "nobody asked")
            await bench.pipeline.reconfigured()
            #expect(
                await eventually {
                    await bench.pipeline.published?.listeners == ["public", "one"]
                })
            #expect(bench.board.all.isEmpty)
        }
    }

    /// Up to the longest; what is left out for the first time, opens or is tried at once begins anew.
    @Test func pausesBetweenTriesGrow() async throws {
        try await Workbench.run(world()) { bench in
            _ = await bench.pipeline.settle()
            let node = try #require(await bench.pipeline.published)
            let (listeners, log, now) = (
                node.plan.compiled.listeners, testLogger(), ContinuousClock.now
            )
            let pauses = Pipeline.Pauses()
            var silent = SilentListeners(first: pauses.silent, most: pauses.mostSilent)
            func fail() throws -> Duration {
                _ = silent.spare(listeners)
                let refusal = PublishRefusal(worker: nil, reason: "in use", listener: 0)
                let isMore = silent.leaveOut(.refused([refusal]), of: node, log)
                #expect(isMore)
                silent.settle(log, now: now)
                return try #require(silent.due) - now
            }
            for seconds in [5, 10, 20, 40, 60, 60] {
                #expect(try fail() == .seconds(seconds))
                silent.tryAgain()
                #expect(silent.due == nil)
            }
            let news = silent.tell()
            #expect(news == ["in use"], "it is told once")
            silent.tryAtOnce()
            #expect(try fail() == .seconds(5))
            #expect(silent.problems == ["in use; the listener is left out and tried again"])
            silent.tryAgain()
            let published = silent.spare(listeners)
            #expect(published.count == listeners.count)
            silent.settle(log, now: now)
            #expect(silent.isEmpty && silent.due == nil && silent.problems.isEmpty)
            #expect(try fail() == .seconds(5))
        }
    }

    /// Changes that come again and again do not keep a listener from being tried.
    @Test func changesDoNotPutATryOff() async throws {
        try await Workbench.run(world(), pause: .milliseconds(300)) { bench in
            _ = await bench.pipeline.settle()
            await bench.dataPlane.take(["one"])
            try await bench.source.change { $0.listeners.append(try listener("one", port: 81)) }
            #expect(await bench.pipeline.settle().refusals.count == 1)
            await bench.dataPlane.take([])
            var port: UInt16 = 8001
            while await bench.pipeline.published?.listeners != ["public", "one"], port < 9000 {
                try await addInstance(port, to: bench)
                _ = await bench.pipeline.settle()
                try await Task.sleep(for: .milliseconds(50))
                port += 1
            }
            #expect(await bench.pipeline.published?.listeners == ["public", "one"])
        }
    }

    // MARK: - what fails

    @Test func whatWentNowhereIsPublishedAgain() async throws {
        try await Workbench.run(world()) { bench in
            _ = await bench.pipeline.settle()
            await bench.dataPlane.say(.unknown(reason: "lost"))
            try await addInstance(8001, to: bench)
            let report = await bench.pipeline.settle()
            #expect(report.outcome == .stored)
            #expect(
                await eventually {
                    await bench.pipeline.published?.generation ?? 0 > report.generation
                })
            #expect(bench.board.all.isEmpty)
        }
    }

    @Test func whatCannotBeBuiltIsRefusedHere() async throws {
        try await Workbench.run(world()) { bench in
            let first = await bench.pipeline.settle()
            let count = await bench.dataPlane.files.count
            await bench.source.change { $0.listeners[0].timeouts.head = .zero }
            let report = await bench.pipeline.settle()
            #expect(report.outcome == .refused && report.refusals.count == 1)
            #expect(await bench.dataPlane.files.count == count)
            #expect(await bench.pipeline.published?.generation == first.generation)
            #expect(bench.board.all.map(\.message).contains { $0.contains("timeout") })
            // The next one says nothing of what was compiled for this one.
            await bench.source.change { $0.listeners[0].timeouts.head = .seconds(1) }
            #expect(await bench.pipeline.settle().outcome == .live)
            #expect(bench.board.all.isEmpty)
        }
    }

    // MARK: - health

    /// Workers know about health before they meet an endpoint.
    @Test func newEndpointsComeWithTheirHealth() async throws {
        try await Workbench.run(world()) { bench in
            _ = await bench.pipeline.settle()
            #expect(try await bench.condition(of: "web-8000", port: 8000) == .normal)
            let down = try check("web-8001", .critical)
            await bench.dataPlane.hold()
            try await bench.source.change { world in
                var new = try service("web", id: "web-8001", port: 8001)
                new.checks = [down]
                world.services.append(new)
            }
            async let report = bench.pipeline.settle()
            #expect(
                try await eventually {
                    try await bench.condition(of: "web-8001", port: 8001)?.isDown == true
                })
            // It turns well while the snapshot is on its way.
            try await self.report("web-8001", .passing, to: bench)
            #expect(try await bench.condition(of: "web-8001", port: 8001) == .normal)
            await bench.dataPlane.letGo()
            #expect(await report.outcome == .live)
            try await self.report("web-8001", .critical, to: bench)
            #expect(try await bench.condition(of: "web-8001", port: 8001)?.isDown == true)
        }
    }

    /// The endpoints of a refused snapshot may yet come: they are told about as well.
    @Test func endpointsOfARefusedSnapshotAreToldAbout() async throws {
        try await Workbench.run(world(), pause: .seconds(3600)) { bench in
            _ = await bench.pipeline.settle()
            await bench.dataPlane.say(.refused([PublishRefusal(worker: 0, reason: "no")]))
            let fine = try check("web-8001", .passing)
            try await bench.source.change { world in
                var new = try service("web", id: "web-8001", port: 8001)
                new.checks = [fine]
                world.services.append(new)
            }
            #expect(await bench.pipeline.settle().outcome == .refused)
            try await report("web-8001", .critical, to: bench)
            #expect(try await bench.condition(of: "web-8001", port: 8001)?.isDown == true)
        }
    }

    /// Weights that only warnings use are in no snapshot: they are told nevertheless.
    @Test func weightsForWarningsNeedNoSnapshot() async throws {
        var start = try world()
        start.services[0].checks = [try check("web-8000", .warning)]
        start.services[0].weights = ServiceWeights(passing: 9, warning: 4)
        try await Workbench.run(start) { bench in
            let first = await bench.pipeline.settle()
            let weight4 = try await bench.condition(of: "web-8000", port: 8000)?.weight
            #expect(weight4 == 4)
            await bench.source.change { $0.services[0].weights.warning = 2 }
            #expect(await bench.pipeline.settle().generation == first.generation)
            let weight2 = try await bench.condition(of: "web-8000", port: 8000)?.weight
            #expect(weight2 == 2)
        }
    }

    // MARK: - adoption

    /// What runs keeps its slots, and what it was told, until a check knows better.
    @Test func aRunningDataPlaneIsAdopted() async throws {
        var world = try world([8000, 8001, 8002])
        for (index, id) in ["web-8000", "web-8001", "web-8002"].enumerated() {
            world.services[index].checks = [try check(id, .passing)]
        }
        // The control plane before: other slots than a new one would give.
        var (builder, slots) = (SnapshotBuilder(), SlotTables())
        _ = slots.overlay.slot(for: 1, generation: 1)
        let image = try builder.build(
            world.plan().compiled,
            stamp: .init(generation: 7, secretsGeneration: 7, writtenAtMilliseconds: 1),
            slots: &slots)
        let file = try SharedMemory.sealed(name: "before", size: image.size) {
            image.write(into: $0)
        }
        try await Workbench.run(world, isLinked: false) { bench in
            let slot = try #require(slots.overlay.current(Workbench.key("web-8001", 8001)))
            bench.dataPlane.overlay.set(slot, EndpointCondition(isDown: true))
            await bench.link(generation: 7, snapshot: file)
            let report = await bench.pipeline.settle()
            #expect(report.outcome == .live && report.generation > 7)
            let after = await bench.pipeline.slots.overlay
            for port in UInt16(8000)...8002 {
                let key = try Workbench.key("web-\(port)", port)
                #expect(after.current(key) == slots.overlay.current(key))
            }
            // No check has had a result: what the data plane was told holds.
            #expect(try await bench.condition(of: "web-8001", port: 8001)?.isDown == true)
            try await self.report("web-8001", .passing, to: bench)
            #expect(try await bench.condition(of: "web-8001", port: 8001) == .normal)
        }
    }

    /// A generation that was pinned before a restart goes on with what it held when that is kept,
    /// and else as the file that runs, of which nobody knows what it asks of tokens.
    @Test(arguments: [true, false]) func aPinIsTakenOver(_ isKept: Bool) async throws {
        let world = try world([8000])
        let (asking, question) = try TokenDeskTests.node(issuer: "a")
        var compiled = try world.plan().compiled
        compiled.listeners[0].intentionsOf = try ServiceName("web")
        compiled.intentions = asking.intentions
        compiled.tokenProviders = asking.tokenProviders
        var (builder, slots) = (SnapshotBuilder(), SlotTables())
        let image = try builder.build(
            compiled, stamp: .init(generation: 7, secretsGeneration: 7, writtenAtMilliseconds: 1),
            slots: &slots)
        let file = try SharedMemory.sealed(name: "before", size: image.size) {
            image.write(into: $0)
        }
        let entry = GenerationHistory.Entry(
            generation: 7, at: Date(timeIntervalSince1970: 0), causes: [], copyOf: 5,
            plan: compiled, secrets: [], size: image.size, outcome: .init(kind: .live))
        let left = Workbench.Left(pinned: 5, kept: isKept ? [entry] : [])
        try await Workbench.run(world, isLinked: false, left: left) { bench in
            await bench.link(generation: 7, snapshot: file)
            _ = await bench.pipeline.settle()
            #expect(await bench.pipeline.pin?.generation == 5)
            let published = try #require(await bench.dataPlane.files.last)
            let reader = try SnapshotReader.open(published.snapshot)
            #expect(reader.generation > 7 && reader.tokenQuestions == [question])
            #expect(bench.desk.knows([question]) == isKept)
            let told = bench.board.all.contains { $0.message.contains("tokens of providers") }
            #expect(told == !isKept)
            let report = try await bench.pipeline.resume()
            #expect(report.outcome == .live)
            #expect(bench.board.all.isEmpty)
        }
    }
}
