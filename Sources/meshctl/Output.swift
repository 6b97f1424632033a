import ArgumentParser
import Foundation
import MeshAdminAPI

/// How a reading command prints what it read.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON for programs instead of a table.")
    var json = false

    func show(_ value: some Encodable, table: () -> String) throws {
        if json {
            let data = try APICoding.encoder(pretty: true).encode(value)
            Output.line(String(decoding: data, as: UTF8.self))
        } else {
            Output.line(table())
        }
    }
}

enum Output {
    /// To standard output. Names and texts of others in it have been made printable.
    static func line(_ text: String) {
        FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }

    static func error(_ text: String) {
        let lines = text.split(separator: "\n").map { Printable.text(String($0)) }
        FileHandle.standardError.write(
            Data(("meshctl: " + lines.joined(separator: "\n  ") + "\n").utf8))
    }
}

enum Format {
    /// A quantile of a distribution, `-` when nothing was measured.
    static func latency(
        _ latency: StatsReport.Latency, _ quantile: KeyPath<StatsReport.Latency, UInt64>
    )
        -> String
    {
        latency.count == 0 ? "-" : Self.latency(latency[keyPath: quantile])
    }

    /// `1234` µs as `1.2 ms`.
    static func latency(_ microseconds: UInt64) -> String {
        switch microseconds {
        case 0..<1000: "\(microseconds) µs"
        case 1000..<1_000_000: "\(tenths(microseconds, per: 1000)) ms"
        default: "\(tenths(microseconds, per: 1_000_000)) s"
        }
    }

    /// `1536` bytes as `1.5 KiB`.
    static func bytes(_ count: UInt64) -> String {
        var unit: UInt64 = 1
        var names = ["B", "KiB", "MiB", "GiB", "TiB"][...]
        while count / unit >= 1024, names.count > 1 {
            unit *= 1024
            names.removeFirst()
        }
        let name = names.first ?? "B"
        return unit == 1 ? "\(count) B" : "\(tenths(count, per: unit)) \(name)"
    }

    private static func tenths(_ value: UInt64, per unit: UInt64) -> String {
        let whole = value / unit
        return "\(whole).\((value % unit) * 10 / unit)"
    }

    /// Where something was written, as a part of a sentence.
    static func origin(_ origin: String) -> String {
        origin == "api" ? "written over the API" : "written in \(origin)"
    }

    static func date(_ date: Date) -> String { date.formatted(.iso8601) }

    /// Names in one cell.
    static func list(_ names: [String]) -> String {
        names.isEmpty ? "-" : names.joined(separator: ",")
    }
}
