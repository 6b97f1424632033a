import ArgumentParser
import MeshAdminAPI
import MeshClient

struct ServicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "services", abstract: "Services with the health of their instances.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await connection.run { connection in
            let services: [ServiceReport] = try await connection.read("/status/services")
            try output.show(services) { Self.table(services).rendered(orElse: "no services") }
        }
    }

    static func table(_ services: [ServiceReport]) -> Table {
        var table = Table(
            "service", "protocol", "instances", "passing", "warning", "critical", "sidecar", "tags",
            numbers: [2, 3, 4, 5])
        for service in services {
            table.add(
                service.name, service.protocol, "\(service.instances)", "\(service.passing)",
                "\(service.warning)", "\(service.critical)", service.sidecar ? "yes" : "no",
                Format.list(service.tags))
        }
        return table
    }
}

struct InstancesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "instances",
        abstract: "Instances with their addresses, checks and where they were written.")

    @Argument(help: "Only of this service.")
    var service: String?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let query = service.map { [("service", $0)] } ?? []
        let path = URLPath.make("status", "instances", query: query)
        try await connection.run { connection in
            let instances: [InstanceReport] = try await connection.read(path)
            try output.show(instances) {
                Self.text(instances)
            }
        }
    }

    /// A table, and below it why checks do not pass.
    static func text(_ instances: [InstanceReport]) -> String {
        let reasons = instances.flatMap { instance in
            instance.checks.filter { $0.status != "passing" }.map { check in
                let output = check.output.isEmpty ? "no result yet" : check.output
                return Printable.text(
                    "\(instance.id): \(check.name) is \(check.status): \(output.prefix(300))")
            }
        }
        let table = table(instances).rendered(orElse: "no instances")
        return reasons.isEmpty ? table : table + "\n\n" + reasons.joined(separator: "\n")
    }

    static func table(_ instances: [InstanceReport]) -> Table {
        var table = Table("instance", "service", "address", "sidecar", "status", "checks", "origin")
        for instance in instances {
            let checks = instance.checks.map { "\($0.name)=\($0.status)" }
            table.add(
                instance.id, instance.service, instance.address, instance.sidecar ?? "-",
                instance.status, Format.list(checks), instance.origin)
        }
        return table
    }
}
