import CMeshABI
import Foundation
import MeshModel
import Testing

@testable import MeshTables

/// What both languages say of access logs is the same.
@Suite struct AccessLogTests {
    @Test func limitsAreThoseOfTheDataPlane() {
        for variable in AccessLogVariable.allCases {
            let number = variable.abiNumber.rawValue
            #expect(variable.textLimit == Int(abi_log_text_limit(number)), "\(variable)")
            for json in [false, true] where variable != .node {
                let style = json ? ABI_LOG_JSON.rawValue : ABI_LOG_PLAIN.rawValue
                #expect(
                    AccessLogFormat.longest(of: .value(.variable(variable), json: json))
                        == Int(abi_log_longest(number, style)), "\(variable)")
            }
        }
        #expect(AccessLogFormat.headerLimit == Int(abi_log_text_limit(ABI_LOG_HEADER_0.rawValue)))
        #expect(AccessLogFormat.headerCount == Int(LIMIT_LOG_HEADERS))
        #expect(AccessLogFormat.pieceLimit == Int(LIMIT_LOG_OPS))
        #expect(AccessLogFormat.lineLimit == Int(LIMIT_LOG_LINE))
        #expect(AccessLogFormat.textLimit <= Int(LIMIT_TEXT))
        #expect(AccessLogDefinition.pathLimit == Int(LIMIT_LOG_PATH))
    }

    @Test func everyVariableOfTheDataPlaneHasAName() {
        let numbers = Set(AccessLogVariable.allCases.map(\.abiNumber.rawValue))
        let fields = ABI_LOG_HEADER_0.rawValue...ABI_LOG_HEADER_7.rawValue
        for number in 0..<ABI_LOG_VARIABLE_COUNT.rawValue {
            #expect(numbers.contains(number) != fields.contains(number), "\(number)")
        }
        #expect(numbers.count == AccessLogVariable.allCases.count)
    }

    private func plan(_ path: String, _ format: String, _ sample: Double = 1) throws
        -> AccessLogPlan
    {
        try #require(
            AccessLogPlan(path: path, format: AccessLogFormat(format), sample: sample))
    }

    @Test func formatsBecomeOperations() throws {
        var node = try Plans.small()
        node.listeners[0].log = try plan(
            "/var/log/a.log", "%{node}: %{path} %{request.header.X-Id:json}", 0.25)
        let reader = try Plans.reader(node)
        #expect(reader.listeners[0].log == 0)
        let log = try #require(reader.logs.first)
        #expect(reader.logs.count == 1)
        #expect(reader.text(log.path) == "/var/log/a.log")
        #expect(log.sample == ABI_LOG_SAMPLE_ALL / 4)
        #expect(
            log.variables
                == 1 << UInt64(ABI_LOG_PATH.rawValue) | 1 << UInt64(ABI_LOG_HEADER_0.rawValue))
        #expect(
            reader.logOps.map { UInt32($0.variable) } == [
                ABI_LOG_LITERAL.rawValue, ABI_LOG_PATH.rawValue, ABI_LOG_LITERAL.rawValue,
                ABI_LOG_HEADER_0.rawValue,
            ])
        #expect(reader.text(reader.logOps[0].literal) == "node-1: ")
        #expect(reader.logOps.map(\.style) == [0, 0, 0, 1])
        #expect(reader.logHeaders.map { reader.text($0.name) } == ["x-id"])
    }

    @Test func listenersWithEqualLogsShareOne() throws {
        var node = try Plans.small()
        var second = node.listeners[0]
        second.name = "second"
        second.address = try AddressPlan(ip: "127.0.0.1", port: 8081)
        var third = second
        third.name = "third"
        third.address = try AddressPlan(ip: "127.0.0.1", port: 8082)
        node.listeners[0].log = try plan("stdout", "json")
        second.log = try plan("stdout", "json")
        third.log = try plan("stdout", "%{path}")
        node.listeners += [second, third]
        let reader = try Plans.reader(node)
        #expect(reader.logs.count == 2)
        let byName = Dictionary(
            uniqueKeysWithValues: reader.listeners.map { (reader.text($0.name), $0.log) })
        #expect(byName["public"] == byName["second"])
        #expect(byName["third"] != byName["second"])
    }

    /// Whatever the configuration accepts, the data plane does.
    @Test func theLongestFormatIsAccepted() throws {
        var node = try Plans.small()
        let variables = String(repeating: "%{path:json}", count: 10)
        let status = String(repeating: "%{status}x", count: 60)
        node.listeners[0].log = try plan(
            "/" + String(repeating: "x", count: 4094), variables + status)
        #expect(try Plans.reader(node).logs.count == 1)
    }

    @Test func theHandbookHasEveryVariable() throws {
        let page = try String(
            contentsOf: URL(filePath: #filePath).deletingLastPathComponent()
                .deletingLastPathComponent().deletingLastPathComponent()
                .appending(path: "Sources/Handbook.docc/AccessLog.md"), encoding: .utf8)
        let all = page.components(separatedBy: "\n").filter { $0.hasPrefix("| `") }.map {
            $0.components(separatedBy: " | ").map {
                $0.trimmingCharacters(in: CharacterSet(charactersIn: "| `"))
            }
        }
        let rows = all.drop { $0[0] != "time" }
        var left = rows.map(\.[0]).prefix { $0 != "request.header.NAME" }
        for variable in AccessLogVariable.allCases {
            #expect(left.popFirst() == variable.rawValue)
            let row = try #require(rows.first { $0[0] == variable.rawValue })
            let limit = variable.textLimit == 0 ? "" : "\(variable.textLimit) bytes"
            #expect(row.last == limit, "\(variable)")
        }
        #expect(left.isEmpty)
        let flags = rows.map(\.[0]).drop { $0 != "ok" }
        for number in 0..<ABI_OUTCOME_COUNT.rawValue {
            let name = String(cString: abi_outcome_name(number))
            #expect(flags.dropFirst(Int(number)).first == name)
        }
        #expect(flags.count == Int(ABI_OUTCOME_COUNT.rawValue))
    }
}
