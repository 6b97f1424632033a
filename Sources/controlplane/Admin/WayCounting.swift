import MeshTables
import MeshWorkers

/// What all workers have counted of one route or endpoint.
struct Way: Sendable {
    enum Kind: String, Sendable { case route, endpoint }

    var kind: Kind
    /// The listener of a route, the service of an endpoint.
    var owner: String
    /// The route in words, the instance of an endpoint.
    var name: String
    /// Where the route was written, where the endpoint is.
    var place: String
    /// Of its first slot.
    var slot: Int
    var counters = WayCounters()

    /// Ways whose slots are below this have series of their own in metrics: they keep them as long
    /// as they live, whatever else comes and goes.
    static let mostSeries = 1000
    /// Of each kind, in reports: those that were used most.
    static let mostReported = 2000

    /// The routes and endpoints of a snapshot that were used. Routes of a listener with one name,
    /// and endpoints of one instance at one address, are one way.
    static func all(_ regions: [WorkerStatsRegion], _ reader: SnapshotReader) -> [Way] {
        let routes = reader.countedRoutes.compactMap { route in
            route.slot.map {
                Way(
                    kind: .route, owner: route.listener, name: route.rule, place: route.origin,
                    slot: $0)
            }
        }
        let endpoints = reader.countedEndpoints.map {
            Way(
                kind: .endpoint, owner: $0.service, name: $0.instance, place: $0.address,
                slot: $0.slot)
        }
        return merged(routes, isSame: { "\($0.owner)\u{0}\($0.name)" }) { slot in
            sum(regions) { $0.route(slot) }
        }
            + merged(endpoints, isSame: { "\($0.owner)\u{0}\($0.name)\u{0}\($0.place)" }) { slot in
                sum(regions) { $0.endpoint(slot) }
            }
    }

    /// The busiest of each kind.
    static func reported(_ ways: [Way]) -> [Way] {
        [Kind.route, .endpoint].flatMap { kind in
            ways.filter { $0.kind == kind }
                .sorted { ($1.counters.requests, $0.slot) < ($0.counters.requests, $1.slot) }
                .prefix(mostReported)
        }
    }

    private static func merged(
        _ ways: [Way], isSame key: (Way) -> String, counters: (Int) -> WayCounters
    ) -> [Way] {
        var places: [String: Int] = [:]
        var counted: Set<Int> = []
        var result: [Way] = []
        for way in ways where counted.insert(way.slot).inserted {
            let count = counters(way.slot)
            guard count.requests > 0 || count.retries > 0 else { continue }
            let at = places[key(way)] ?? result.count
            if at == result.count {
                places[key(way)] = at
                result.append(way)
            }
            result[at].counters += count
            result[at].slot = min(result[at].slot, way.slot)
        }
        return result
    }

    private static func sum(
        _ regions: [WorkerStatsRegion], _ counters: (WorkerStatsRegion) -> WayCounters
    ) -> WayCounters {
        regions.reduce(into: WayCounters()) { $0 += counters($1) }
    }
}
