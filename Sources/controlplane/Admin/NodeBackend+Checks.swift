import MeshAdminAPI
import MeshHealth
import MeshModel
import MeshStore

/// Health checks, and what services say about themselves.
extension NodeBackend {
    func checks() async throws -> [CheckStateReport] {
        let inventory = await source.inventory(store.snapshot)
        return await health.reports.map { Self.state($0, inventory) }
    }

    /// The workers know when this returns: what follows the answer is balanced by it.
    func reportCheck(id: String, _ update: CheckUpdate) async throws -> CheckStateReport {
        guard let status = CheckStatus(rawValue: update.status), status != .maintenance else {
            throw MeshError(
                .invalid,
                "\(update.status.debugDescription) is not passing, warning or critical")
        }
        let report = try await health.reportTTL(
            check: id, CheckResult(status, update.output ?? ""))
        await pipeline.healthChanged(report.spec.service)
        return Self.state(report, await source.inventory(store.snapshot))
    }

    private static func state(
        _ report: CheckReport, _ inventory: Inventory
    ) -> CheckStateReport {
        let definition = report.spec.definition
        return CheckStateReport(
            id: report.spec.id, name: definition.name ?? report.spec.id,
            kind: definition.kind?.rawValue ?? "", instance: report.spec.service.text,
            service: inventory.name(of: report.spec.service)?.text ?? report.spec.service.text,
            status: report.status.rawValue, output: report.output, proven: report.isProven)
    }
}
