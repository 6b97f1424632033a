import MeshTelemetry
import MeshWorkers

/// How long the way of a change takes, and how publications end.
struct PipelineMetrics: Sendable {
    let gather: Histogram
    let compile: Histogram
    let build: Histogram
    private let publish: Histogram
    private let registry: MetricsRegistry

    init(_ registry: MetricsRegistry) {
        self.registry = registry
        gather = registry.histogram(
            "ringmesh_pipeline_gather_seconds", "From store and files to desired state.")
        compile = registry.histogram(
            "ringmesh_pipeline_compile_seconds", "From desired state to plan.")
        build = registry.histogram(
            "ringmesh_pipeline_build_seconds",
            "From plan to sealed snapshot, checks configured, health told.")
        publish = registry.histogram(
            "ringmesh_pipeline_publish_seconds", "From publication to the last acknowledgement.")
    }

    /// Tells the phases of one change apart: each begins where the one before ends.
    struct Watch {
        private var last = ContinuousClock.now

        /// Seconds since the last lap, or the start.
        mutating func lap() -> Double {
            let now = ContinuousClock.now
            defer { last = now }
            return (now - last) / .seconds(1)
        }
    }

    func published(_ outcome: PublishOutcome, took seconds: Double) {
        publish.observe(seconds)
        let name =
            switch outcome {
            case .live: "live"
            case .partial: "partial"
            case .refused: "refused"
            case .unknown: "unknown"
            }
        registry.counter(
            "ringmesh_pipeline_publications_total", "Publications by how they ended.",
            ["outcome": name]
        ).increment()
    }
}
