import ArgumentParser
import MeshAdminAPI

struct RoutesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "routes",
        abstract: "What the workers run now, read from the published snapshot.")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        try await connection.run { connection in
            let routes: RoutesReport = try await connection.read("/status/routes")
            try output.show(routes) { Self.text(routes) }
        }
    }

    static func text(_ report: RoutesReport) -> String {
        var listeners = Table(
            "listener", "address", "kind", "tls", "role", "host", "match", "action")
        for listener in report.listeners {
            for route in listener.routes {
                listeners.add(
                    listener.name, listener.address, listener.kind, listener.tls, listener.role,
                    route.host, route.match, route.action)
            }
        }
        var endpoints = Table(
            "target", "instance", "address", "tls", "healthy", "weight", numbers: [5])
        for target in report.targets {
            for endpoint in target.endpoints {
                endpoints.add(
                    target.name, endpoint.instance, endpoint.address, endpoint.tls ? "mtls" : "-",
                    endpoint.healthy ? "yes" : "no", "\(endpoint.weight)")
            }
            if target.endpoints.isEmpty { endpoints.add(target.name, "-", "-", "-", "-", "-") }
        }
        var parts = [
            "generation \(report.generation)", listeners.rendered(orElse: "no listeners"),
            endpoints.rendered(orElse: "no targets"),
        ]
        let settings = Self.settings(report)
        if !settings.isEmpty { parts.append(settings.rendered(orElse: "")) }
        return parts.joined(separator: "\n\n")
    }

    /// What listeners and targets are set to, where that is not what all have.
    private static func settings(_ report: RoutesReport) -> Table {
        var table = Table("listener or target", "setting", "value")
        for listener in report.listeners {
            for line in listener.settings?.lines ?? [] {
                table.add(listener.name, line.name, line.text)
            }
        }
        for target in report.targets {
            if let version = target.proxyProtocol {
                table.add(
                    target.name, "proxy_protocol", "connections begin with a \(version) header")
            }
        }
        return table
    }
}

struct StatsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stats", abstract: "Counters and latencies of listeners and targets.")

    @Flag(help: "Print rates of the last second, every second, until interrupted.")
    var watch = false

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if watch, output.json { throw ValidationError("--watch prints tables: leave out --json") }
    }

    func run() async throws {
        try await connection.run { connection in
            var last: StatsReport = try await connection.read("/status/stats")
            guard watch else {
                try output.show(last) { Self.totals(last) }
                return
            }
            let clock = ContinuousClock()
            var lastRead = clock.now
            while true {
                try await clock.sleep(for: .seconds(1))
                let now: StatsReport = try await connection.read("/status/stats")
                let elapsed = clock.now - lastRead
                lastRead = clock.now
                Output.line(Self.rates(from: last, to: now, seconds: elapsed / .seconds(1)) + "\n")
                last = now
            }
        }
    }

    static func totals(_ stats: StatsReport) -> String {
        var listeners = Table(
            "listener", "accepted", "open", "requests", "2xx", "4xx", "5xx", "denied", "in", "out",
            "p50", "p99", numbers: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
        for listener in stats.listeners {
            let count = { (name: String) in listener.counters[name] ?? 0 }
            listeners.add(
                listener.name, "\(count("accepted"))", "\(count("open"))", "\(count("requests"))",
                "\(count("responses_2xx"))", "\(count("responses_4xx"))",
                "\(count("responses_5xx"))",
                "\(count("denied"))", Format.bytes(count("bytes_in")),
                Format.bytes(count("bytes_out")), Format.latency(listener.latency, \.p50Us),
                Format.latency(listener.latency, \.p99Us))
        }
        var targets = Table(
            "target", "connects", "failures", "open", "requests", "retries", "2xx", "5xx", "resets",
            "p50", "p99", numbers: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
        for target in stats.targets {
            let count = { (name: String) in "\(target.counters[name] ?? 0)" }
            targets.add(
                target.name, count("connects"), count("connect_failures"), count("open"),
                count("requests"), count("retries"), count("responses_2xx"), count("responses_5xx"),
                count("resets"), Format.latency(target.latency, \.p50Us),
                Format.latency(target.latency, \.p99Us))
        }
        return """
            \(listeners.rendered(orElse: "no listeners"))

            \(targets.rendered(orElse: "no targets"))
            """
    }

    /// `seconds` lie between the two readings.
    static func rates(from last: StatsReport, to now: StatsReport, seconds: Double) -> String {
        let before = Dictionary(last.listeners.map { ($0.name, $0) }) { first, _ in first }
        var table = Table(
            "listener", "accepted/s", "requests/s", "5xx/s", "denied/s", "in/s", "out/s", "open",
            numbers: [1, 2, 3, 4, 5, 6, 7])
        for listener in now.listeners {
            let count = { (name: String) in listener.counters[name] ?? 0 }
            let rate = { (name: String) -> UInt64 in
                let old = before[listener.name]?.counters[name] ?? 0
                // A data plane that was started again counts from zero.
                let grown = count(name) >= old ? count(name) - old : count(name)
                return UInt64((Double(grown) / max(seconds, 0.001)).rounded())
            }
            table.add(
                listener.name, "\(rate("accepted"))", "\(rate("requests"))",
                "\(rate("responses_5xx"))", "\(rate("denied"))", Format.bytes(rate("bytes_in")),
                Format.bytes(rate("bytes_out")), "\(count("open"))")
        }
        return table.rendered(orElse: "no listeners")
    }
}
