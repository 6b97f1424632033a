import MeshClient
import MeshModel
import MeshTelemetry
import MeshWorkers

/// Empties the rings of all workers and sends what was in them to the collector. What the collector
/// does is its own business: rings are emptied while an answer is awaited, and never beyond what
/// there is memory for.
actor SpanExporter {
    private static let interval = Duration.milliseconds(200)
    /// What sending may take once the node ends.
    private static let lastWait = Duration.seconds(5)

    private let tracing: TracingDefinition
    private let endpoint: String
    private let resource: OTLPRequest.Resource
    private let link: DataPlaneLink
    private let http: OutboundHTTP
    private let log: Logger
    private let exported: Counter
    private let lost: @Sendable (String) -> Counter
    private let requests: @Sendable (String) -> Counter
    private let clock = ContinuousClock()
    private let begun: ContinuousClock.Instant
    private var delivery = SpanDelivery()
    /// The collector takes nothing at the moment; it was said.
    private var isFailing = false

    /// nil: nothing is sent.
    init?(
        _ tracing: TracingDefinition, node: NodeInfo, version: String, link: DataPlaneLink,
        registry: MetricsRegistry, log: Logger
    ) {
        guard let endpoint = tracing.endpoint else { return nil }
        self.tracing = tracing
        self.endpoint = endpoint
        self.link = link
        self.log = log
        http = OutboundHTTP()
        begun = clock.now
        resource = OTLPRequest.Resource(
            attributes: [
                ("service.instance.id", node.name.text), ("host.name", node.name.text),
                ("service.version", version), ("ringmesh.datacenter", node.datacenter.text),
                ("telemetry.sdk.name", "ringmesh"), ("telemetry.sdk.language", "swift"),
                ("telemetry.sdk.version", version),
            ], scope: "ringmesh", version: version)
        exported = registry.counter(
            "ringmesh_trace_spans_exported_total", "Spans that the collector took.")
        lost = { reason in
            registry.counter(
                "ringmesh_trace_spans_lost_total",
                "Spans that were read and could not be delivered: refused by the collector, tried "
                    + "for too long, or left at the end.", ["reason": reason])
        }
        requests = { result in
            registry.counter(
                "ringmesh_trace_requests_total", "Requests to the collector by how they ended.",
                ["result": result])
        }
    }

    /// Works until its task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.everyInterval { await self.gather() } }
            group.addTask { await self.everyInterval { await self.send(flush: false) } }
        }
    }

    /// What the workers left at their end is sent, as far as the collector takes it in time.
    func finish() async {
        let end = clock.now + Self.lastWait
        await gather()
        while !delivery.isEmpty, clock.now < end {
            await send(flush: true)
            await gather()
            if isFailing { try? await Task.sleep(for: Self.interval) }
        }
        let left = delivery.abandon()
        if left > 0 {
            lost("end").increment(by: UInt64(left))
            log.warning("spans are lost", metadata: ["spans": "\(left)"])
        }
        // Nobody asks any more; what is left of connections goes with the process.
        try? await http.shutdown()
    }

    private func everyInterval(_ work: () async -> Void) async {
        while !Task.isCancelled {
            await work()
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: Self.interval)
        }
    }

    private var now: Double { (clock.now - begun) / .seconds(1) }

    // MARK: - from the workers

    private func gather() async {
        let regions = await link.statistics + link.retiredStatistics
        let conventions = SpanConventions(
            serviceName: tracing.serviceName, clockOffset: WallTime.sinceMonotonic())
        for region in regions where delivery.room > 0 {
            let spans = region.spans.take(delivery.room)
            if !spans.isEmpty { delivery.add(spans.map(conventions.span), now: now) }
        }
    }

    // MARK: - to the collector

    private func send(flush: Bool) async {
        while let batch = delivery.next(now: now, flush: flush) {
            let answer = await ask(batch)
            settle(
                delivery.answered(answer, now: now, chance: Double.random(in: 0...1)), answer)
            if isFailing { return }
        }
    }

    /// nil: there was no answer.
    private func ask(_ batch: [TraceSpan]) async -> OTLPAnswer? {
        do {
            var headers =
                [("Content-Type", OTLPRequest.contentType), ("User-Agent", "ringmesh-otlp")]
                + tracing.headers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
            var body = try OTLPRequest.encode(batch, resource: resource)
            if tracing.compression == .gzip, let coded = Gzip.compressed(body) {
                body = coded
                headers.append(("Content-Encoding", "gzip"))
            }
            let response = try await http.send(
                OutboundRequest(
                    "POST", url: endpoint, headers: headers, body: body,
                    timeout: tracing.timeout.duration, bodyLimit: 65_536, excess: .cut))
            let answer = OTLPAnswer(
                status: response.status, retryAfter: response.header("Retry-After"),
                contentType: response.header("Content-Type"), body: response.body,
                now: WallTime.now().secondsSinceEpoch)
            requests("\(response.status / 100)xx").increment()
            if answer == .refused { tell("it answered \(response.status)") }
            if case .later = answer { tell("it answered \(response.status)") }
            return answer
        } catch {
            requests("failed").increment()
            tell("\(error)")
            return nil
        }
    }

    private func settle(_ end: SpanDelivery.End, _ answer: OTLPAnswer?) {
        switch end {
        case .delivered(let count):
            exported.increment(by: UInt64(count))
            if case .taken(let rejected, let message) = answer, rejected > 0 || !message.isEmpty {
                lost("rejected").increment(by: rejected)
                log.warning(
                    "the collector complains",
                    metadata: ["rejected": "\(rejected)", LogKey.error: "\(message)"])
            }
            if isFailing { log.info("the collector takes spans again") }
            isFailing = false
        case .again:
            break
        case .refused(let count):
            lost("refused").increment(by: UInt64(count))
        case .givenUp(let count):
            lost("gave_up").increment(by: UInt64(count))
        }
    }

    /// Once until it works again.
    private func tell(_ why: String) {
        if !isFailing {
            log.warning(
                "the collector does not take spans",
                metadata: ["endpoint": "\(endpoint)", LogKey.error: "\(why)"])
        }
        isFailing = true
    }
}
