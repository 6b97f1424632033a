import Foundation
import MeshHTTP
import MeshModel
import MeshStore
import Synchronization

/// `/v1/event`: messages of users to each other. They are kept in memory, the last ones only.
package struct EventEndpoints: EndpointGroup {
    /// As many as Consul's agents keep.
    static let greatestKept = 256
    static let payloadBytes = 512

    private final class Kept: Sendable {
        private let events = Mutex<[Event]>([])

        func add(_ event: Event) {
            events.withLock { events in
                events.append(event)
                if events.count > EventEndpoints.greatestKept { events.removeFirst() }
            }
        }

        var all: [Event] { events.withLock { $0 } }
    }

    private struct Event: Sendable {
        var name: String
        var json: JSON
    }

    private let queries: Queries
    private let access: any AccessPolicy
    private let kept = Kept()

    package init(queries: Queries, access: any AccessPolicy) {
        self.queries = queries
        self.access = access
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/event/fire/", bodyLimit: Self.payloadBytes, ["PUT": fire]),
            Endpoint("/v1/event/list", ["GET": list]),
        ]
    }

    @concurrent private func fire(_ request: APIRequest) async throws -> APIResponse {
        try queries.requireOwn(request)
        let name = request.tail
        guard !name.isEmpty else { throw APIError(400, "Missing name") }
        try await access.authority(of: request.token).require(Access(.write, .event, name))
        let event: JSON = [
            "ID": .string(UUID().uuidString.lowercased()), "Name": .string(name),
            "Payload": request.body.isEmpty ? .null : .string(Base64.encoded(request.body)),
            "NodeFilter": .string(request.query["node"] ?? ""),
            "ServiceFilter": .string(request.query["service"] ?? ""),
            "TagFilter": .string(request.query["tag"] ?? ""), "Version": 1, "LTime": 0,
        ]
        kept.add(Event(name: name, json: event))
        try await queries.store.write { $0.note(.events, key: name) }
        return .json(event)
    }

    @concurrent private func list(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        let name = request.query["name"] ?? ""
        let scope: Watch.Scope = name.isEmpty ? .all : .key(name)
        return try await queries.json(request, watching: Watch(.events, scope)) { _, _ in
            .array(
                kept.all.filter {
                    (name.isEmpty || $0.name == name)
                        && authority.allows(Access(.read, .event, $0.name))
                }.map(\.json))
        }
    }
}
