import Foundation
import MeshTelemetry
import Synchronization
import Testing

/// Keeps the lines that were written.
final class LineCollector: Sendable {
    private let kept = Mutex<[[UInt8]]>([])

    var sink: LogSink {
        LogSink { [self] line in kept.withLock { $0.append(line) } }
    }

    var lines: [String] {
        kept.withLock { $0.map { String(decoding: $0, as: UTF8.self) } }
    }

    func objects() throws -> [[String: Any]] {
        try lines.map { line in
            let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
            return try #require(value as? [String: Any])
        }
    }
}

@Suite struct LogFilterTests {
    @Test(arguments: [
        ("gossip", "gossip", true), ("gossip", "gossip.swim", true), ("gossip", "gossipx", false),
        ("gossip.swim", "gossip", false), ("", "gossip", false), ("", "", false),
    ])
    func aListedNameCoversItselfAndWhatFollowsADot(
        listed: String, subsystem: String, covered: Bool
    ) {
        let filter = LogFilter(level: .error, subsystems: ["other", listed])
        #expect(filter.threshold(of: subsystem) == (covered ? .trace : .error))
    }

    @Test func levelsHaveTheNamesAUserWrites() {
        #expect(LogLevel.allCases.map(\.rawValue) == ["debug", "info", "warn", "error"])
        #expect(LogLevel(rawValue: "warning") == nil)
        let thresholds = LogLevel.allCases.map(\.threshold)
        #expect(thresholds == [.debug, .info, .warning, .error])
    }
}

@Suite struct LogSystemTests {
    @Test func aRecordIsOneJSONLineWithTheStableKeys() throws {
        let collector = LineCollector()
        let log = LogSystem(sink: collector.sink).logger("store")
        log.info("opened", metadata: [LogKey.index: "7", LogKey.path: "/x", "msg": "other"])
        let line = try #require(collector.lines.first)
        #expect(line.hasSuffix("}\n"))
        let text = #""level":"info","subsystem":"store","msg":"opened","index":"7","_msg":"other""#
        #expect(line.contains(text) || line.contains(#""msg":"opened","index":"7","_msg""#))
        let object = try #require(collector.objects().first)
        #expect(Set(object.keys) == ["ts", "level", "subsystem", "msg", "index", "path", "_msg"])
        #expect(object["index"] as? String == "7")
    }

    @Test func theFilterReachesLoggersThatExistAlready() {
        let collector = LineCollector()
        let system = LogSystem(filter: LogFilter(level: .warn), sink: collector.sink)
        let store = system.logger("store")
        let gossip = system.logger("gossip.swim")
        store.info("a")
        gossip.trace("b")
        #expect(collector.lines.isEmpty)
        system.setFilter(LogFilter(level: .warn, subsystems: ["gossip"]))
        store.info("c")
        gossip.trace("d")
        #expect(collector.lines.count == 1)
        system.setFilter(LogFilter(level: .debug))
        store.debug("e")
        gossip.trace("f")
        #expect(collector.lines.count == 2)
        #expect(system.filter == LogFilter(level: .debug))
    }

    @Test func aLevelSetOnOneCopyStaysThere() {
        let collector = LineCollector()
        let system = LogSystem(filter: LogFilter(level: .error), sink: collector.sink)
        var loud = system.logger("store")
        loud.logLevel = .trace
        loud.trace("heard")
        system.logger("store").trace("not heard")
        #expect(collector.lines.count == 1)
    }

    @Test func metadataOfALoggerAndOfACallAreMerged() throws {
        let collector = LineCollector()
        var log = LogSystem(sink: collector.sink).logger("x")
        log[metadataKey: LogKey.worker] = "0"
        log[metadataKey: LogKey.generation] = "1"
        log.info("m", metadata: [LogKey.generation: "2", "list": ["a", ["k": "v"]]])
        let object = try #require(collector.objects().first)
        #expect(object["worker"] as? String == "0")
        #expect(object["generation"] as? String == "2")
        let list = try #require(object["list"] as? [Any])
        #expect(list.count == 2)
    }

    @Test func severitiesMapToTheFourNames() throws {
        let collector = LineCollector()
        let system = LogSystem(
            filter: LogFilter(level: .error, subsystems: ["x"]), sink: collector.sink)
        let log = system.logger("x")
        for level in Logger.Level.allCases { log.log(level: level, "m") }
        let names = try collector.objects().map { $0["level"] as? String }
        #expect(names == ["debug", "debug", "info", "info", "warn", "error", "error"])
    }

    @Test func aClosedDescriptorLosesTheLineAndNothingElse() throws {
        let pipe = Pipe()
        let fd = pipe.fileHandleForWriting.fileDescriptor
        LogSink.descriptor(fd).write(Array("one\n".utf8))
        let read = pipe.fileHandleForReading.availableData
        #expect(String(decoding: read, as: UTF8.self) == "one\n")
        LogSink.descriptor(-1).write(Array("lost\n".utf8))
    }
}

@Suite struct LogLineTests {
    private func line(_ message: String, _ metadata: Logger.Metadata = [:]) -> String {
        let line = LogLine(
            time: WallTime(secondsSinceEpoch: 0), level: .info, subsystem: "s", message: message,
            metadata: metadata)
        return String(decoding: line.encoded(), as: UTF8.self)
    }

    @Test func everyControlCharacterIsEscapedAndReadsBack() throws {
        let scalars = (0..<0x20).map { $0 } + [0x22, 0x5C, 0x7F, 0x80, 0x9F, 0x2028, 0x2029]
        for value in scalars {
            let scalar = try #require(Unicode.Scalar(UInt32(value)))
            let message = "a\(Character(scalar))b"
            let text = line(message, ["k": "\(message)"])
            let controls = text.unicodeScalars.dropLast().filter {
                $0.properties.generalCategory == .control || $0.value == 0x2028
                    || $0.value == 0x2029
            }
            #expect(controls.isEmpty, "U+\(value)")
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
            let members = try #require(object as? [String: String])
            #expect(members["msg"] == message)
            #expect(members["k"] == message)
        }
    }

    @Test func otherTextIsWrittenAsItIs() {
        #expect(line("Zürich 🚀 \u{A0}").contains("Zürich 🚀 \u{A0}"))
    }

    @Test func timeIsRFC3339InUTCWithMilliseconds() {
        #expect(WallTime(secondsSinceEpoch: 0).description == "1970-01-01T00:00:00.000Z")
        let leap = WallTime(secondsSinceEpoch: 1_709_210_096, milliseconds: 7)
        #expect(leap.description == "2024-02-29T12:34:56.007Z")
        let last = WallTime(secondsSinceEpoch: 253_402_300_799, milliseconds: 999)
        #expect(last.description == "9999-12-31T23:59:59.999Z")
    }

    @Test(arguments: [
        "token", "Authorization", "X-Consul-Token", "private_key", "Cookie", "set-cookie",
    ])
    func valuesUnderSecretKeysAreNeverWritten(key: String) {
        let text = line("m", [key: "hunter2", "outer": [key: ["hunter2"]]])
        #expect(!text.contains("hunter2"))
        #expect(text.contains("[redacted]"))
    }

    @Test func bearerTokensAndPrivateKeysAreTakenOutOfText() {
        let pem = "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n"
        let text = line("got BEARER abc.def-1, then Bearer xyz", ["k": "before \(pem) after"])
        for secret in ["abc.def", "xyz", "MHcC"] { #expect(!text.contains(secret)) }
        #expect(text.contains("got BEARER [redacted] then Bearer [redacted]"))
        #expect(text.contains("before -----BEGIN EC PRIVATE KEY-----[redacted]-----END"))
        #expect(text.contains(" after"))
        let two = line(pem + "x" + pem)
        #expect(!two.contains("MHcC"))
        #expect(!line("-----BEGIN PRIVATE KEY-----\nMHcC").contains("MHcC"))
    }

    @Test(arguments: ["token refresh failed", "bearer", "bearer ", "a bearer\n", "PRIVATE KEY"])
    func harmlessTextStays(message: String) throws {
        let object = try JSONSerialization.jsonObject(with: Data(line(message).utf8))
        #expect((object as? [String: String])?["msg"] == message)
    }
}
