import ArgumentParser
import Foundation
import MeshAdminAPI
import MeshClient
import MeshModel
import Testing

@testable import meshctl

@Suite struct ArgumentTests {
    private func parse<Command: ParsableCommand>(
        _ arguments: String..., as type: Command.Type = Command.self
    ) throws -> Command {
        try #require(try Meshctl.parseAsRoot(arguments) as? Command)
    }

    private func expectUsage(_ arguments: String..., saying part: String) {
        #expect {
            _ = try Meshctl.parseAsRoot(arguments)
        } throws: { error in
            Meshctl.exitCode(for: error).rawValue == ExitStatus.usage.rawValue
                && Meshctl.message(for: error).contains(part)
        }
    }

    @Test(arguments: [
        ("--addr unix:///a status", "status --addr unix:///a"),
        ("--addr=unix:///a status --json", "status --json --addr=unix:///a"),
        ("--token-file t --addr u service list", "service list --token-file t --addr u"),
        ("--addr u explain GET / -- rest", "explain GET / --addr u -- rest"),
        ("status --addr u", "status --addr u"),
        ("--addr u", "--addr u"),
        ("--addr", "--addr"),
        ("--help", "--help"),
    ])
    func connectionOptionsMayComeFirst(typed: String, meant: String) {
        let words = { (line: String) in line.split(separator: " ").map(String.init) }
        #expect(Arguments.normalized(words(typed)) == words(meant))
    }

    @Test func intentions() throws {
        let allow = try parse(
            "intention", "create", "--allow", "api", "web", as: IntentionCommand.Create.self)
        #expect(allow.allow && !allow.deny && !allow.replace)
        #expect(allow.source == "api" && allow.destination == "web")
        let deny = try parse(
            "intention", "create", "--deny", "--replace", "*", "web", "--description", "closed",
            as: IntentionCommand.Create.self)
        #expect(deny.deny && deny.replace && deny.source == "*" && deny.description == "closed")
        expectUsage("intention", "create", "api", "web", saying: "write either --allow or --deny")
        expectUsage(
            "intention", "create", "--allow", "--deny", "api", "web",
            saying: "write either --allow or --deny")
        expectUsage("intention", "create", "--allow", "api", saying: "<destination>")
        expectUsage("intention", "check", "api", saying: "<destination>")
    }

    @Test func headersOfAnExplainedRequest() throws {
        let explain = try parse(
            "explain", "GET", "http://web/", "--header", "Host: web.example", "--header", "x:",
            "--header", "Authorization:  Bearer a:b ", "--from", "api",
            as: ExplainCommand.self)
        #expect(
            explain.header == [
                .init(name: "Host", value: "web.example"), .init(name: "x", value: ""),
                .init(name: "Authorization", value: "Bearer a:b"),
            ])
        #expect(explain.from == "api")
        for wrong in ["nothing", ": value", "a b: c", ""] {
            expectUsage("explain", "GET", "http://web/", "--header", wrong, saying: "header")
        }
    }

    @Test func watchingIsForPeople() throws {
        #expect(try parse("stats", "--watch", as: StatsCommand.self).watch)
        expectUsage("stats", "--watch", "--json", saying: "leave out --json")
    }

    @Test func unknownWordsAreWrongUsage() {
        expectUsage("stauts", saying: "stauts")
        expectUsage("status", "--jason", saying: "--jason")
        expectUsage("service", "register", saying: "<file>")
    }

    @Test(arguments: [
        ("intentin list", "intentin: did you mean intention?"),
        ("stauts --json", "stauts: did you mean status?"),
        ("intention craete --allow a b", "intention craete: did you mean intention create?"),
        ("check lst", "check lst: did you mean check list?"),
    ])
    func nearlyCommandsAreCorrected(typed: String, says: String) {
        let correction = Arguments.correction(of: typed.split(separator: " ").map(String.init))
        #expect(correction == "there is no command \(says)")
    }

    @Test(arguments: [
        "", "intention list", "intention", "help intentin", "--help", "frobnicate", "explain GTE",
        "check pass stauts", "log reopen more",
    ])
    func otherWordsAreLeftToTheParser(typed: String) {
        #expect(Arguments.correction(of: typed.split(separator: " ").map(String.init)) == nil)
    }

    @Test func everyCommandHasHelp() {
        var pending: [any ParsableCommand.Type] = [Meshctl.self]
        var seen = 0
        while let command = pending.popLast() {
            seen += 1
            #expect(!command.configuration.abstract.isEmpty, "\(command)")
            pending += command.configuration.subcommands
        }
        #expect(seen >= 18)
    }

    @Test func addressesComeFromFlagThenEnvironmentThenDefault() throws {
        func target(_ arguments: [String], _ environment: [String: String]) throws -> String {
            try "\(ConnectionOptions.parse(arguments).target(environment).0)"
        }
        let standard = "unix:///run/ringmesh/admin.sock"
        #expect(try target([], [:]) == standard)
        #expect(try target([], ["RINGMESH_ADDR": ""]) == standard)
        #expect(try target([], ["RINGMESH_ADDR": "http://a:1"]) == "http://a:1")
        #expect(
            try target(["--addr", "unix:///x"], ["RINGMESH_ADDR": "http://a:1"]) == "unix:///x")
    }

    @Test func tokensComeFromFileThenEnvironment() async throws {
        try await withFolder { folder in
            let file = "\(folder)/token"
            try "from-file\n".write(toFile: file, atomically: true, encoding: .utf8)
            func token(_ arguments: [String], _ environment: [String: String]) throws -> String? {
                try ConnectionOptions.parse(arguments).target(environment).token
            }
            #expect(try token([], [:]) == nil)
            #expect(try token([], ["RINGMESH_TOKEN": ""]) == nil)
            #expect(try token([], ["RINGMESH_TOKEN": "t"]) == "t")
            #expect(try token(["--token-file", file], ["RINGMESH_TOKEN": "t"]) == "from-file")
        }
    }

    @Test func serviceFilesAndIds() {
        #expect(ServiceFile.isFile("-"))
        #expect(ServiceFile.isFile("/etc/passwd"))
        #expect(ServiceFile.isFile("missing.yaml"))
        #expect(!ServiceFile.isFile("web-1"))
        #expect {
            _ = try ServiceFile.read("missing.yaml")
        } throws: { error in
            (error as? MeshError)?.message.hasPrefix("missing.yaml cannot be read") == true
        }
    }
}
