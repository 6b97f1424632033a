package import MeshAdminAPI
package import MeshTelemetry

/// What the admin API asks of the control plane. Reads never wait for the data plane; a change
/// returns when every worker has acknowledged it, or its deadline has passed.
package protocol AdminBackend: Sendable {
    /// nil when ready, else why not.
    func notReadyReason() async -> String?
    func metrics() async -> [MetricFamily]

    func status() async throws -> StatusReport
    func services() async throws -> [ServiceReport]
    /// Of all services, or of one.
    func instances(service: String?) async throws -> [InstanceReport]
    func checks() async throws -> [CheckStateReport]
    func intentions() async throws -> [IntentionReport]
    func checkIntention(source: String, destination: String) async throws -> IntentionCheckReport
    func proxies() async throws -> [ProxyReport]
    /// A piece of a managed proxy's log: behind `from`, nil: its end.
    func proxyLog(
        id: String, errors: Bool, from: UInt64?, bytes: Int
    ) async throws -> ProxyLogReport
    /// What becomes of traffic to a service, as `/v1/discovery-chain` of Consul's API answers it.
    func chain(service: String, datacenter: String?) async throws -> [UInt8]
    func routes() async throws -> RoutesReport
    func stats() async throws -> StatsReport
    func certificates() async throws -> [CertificateReport]
    func roots() async throws -> [RootReport]
    func authority() async throws -> AuthorityReport
    func generations() async throws -> GenerationsReport
    /// nil for `to`: the live one; for `from`: the one that was live before `to`.
    func generationDiff(from: UInt64?, to: UInt64?) async throws -> GenerationDiffReport
    func explain(_ request: ExplainRequest) async throws -> ExplainReport
    /// Every intention and permission that is looked at for a request.
    func whyIntention(_ question: IntentionQuestion) async throws -> ExplainReport

    /// `document` is a service in Consul's shape, JSON or YAML, with or without a `service`
    /// wrapper.
    func registerService(document: [UInt8]) async throws -> ChangeReport
    func deregisterService(id: String) async throws -> ChangeReport
    /// The service that such a document names.
    func deregisterService(document: [UInt8]) async throws -> ChangeReport
    /// What a service says about itself through its TTL check. Returns when the workers know.
    func reportCheck(id: String, _ update: CheckUpdate) async throws -> CheckStateReport
    func createIntention(_ request: IntentionRequest) async throws -> ChangeReport
    func deleteIntention(source: String, destination: String) async throws -> ChangeReport
    /// What a generation held becomes live again and is pinned: changes wait until resumed.
    func rollBack(to generation: UInt64) async throws -> ChangeReport
    func resumeGenerations() async throws -> ChangeReport
    /// Another root signs from now on. Returns when every worker believes it.
    func rotateRoot() async throws -> ChangeReport
    /// Files of access logs are opened by their names again.
    func reopenLogs() async throws
    /// Another program takes over from the data plane that runs.
    func upgradeDataPlane(_ request: UpgradeRequest) async throws -> UpgradeReport
}
