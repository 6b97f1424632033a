import MeshModel
import Testing

@testable import MeshHealth

@Suite struct EventTests {
    private func changed(_ id: String) throws -> HealthEvent { .changed(try ServiceID(id)) }

    /// However often services change while nobody reads, each waits once, in order of appearance.
    @Test func unreadEventsAreBoundedByServices() async throws {
        let events = HealthEvents()
        for _ in 0..<1000 {
            for id in ["a", "b", "c"] { events.tell(try changed(id)) }
        }
        events.tell(.expired(try ServiceID("a"), check: "x"))
        #expect(events.count == 4)
        events.finish()
        events.tell(try changed("late"))
        var read: [HealthEvent] = []
        for await event in events { read.append(event) }
        let expected =
            try [changed("a"), changed("b"), changed("c")]
            + [.expired(ServiceID("a"), check: "x")]
        #expect(read == expected)
    }

    /// What was read is told again when it happens again.
    @Test func aReaderHearsOfEveryChangeSinceHeLooked() async throws {
        let events = HealthEvents()
        var reader = events.makeAsyncIterator()
        for _ in 0..<3000 {
            events.tell(try changed("a"))
            #expect(await reader.next() == (try changed("a")))
        }
        #expect(events.count == 0)
        async let next = events.first { _ in true }
        events.tell(try changed("b"))
        #expect(await next == (try changed("b")))
    }
}
