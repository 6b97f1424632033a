import MeshConfig
import MeshModel
import Testing

@Suite struct FlagsTests {
    @Test func flagsOverrideTheFile() throws {
        let config = try load(
            "log: { level: info, subsystems: [a] }\nnode: { name: n1 }",
            [
                "--log.level=debug", "--log.subsystems", "store,workers", "-node.name", "n2",
                "--admin.bind-addr=:9000", "--dataplane.managed=false", "--node.meta", "a=1,b=2=3",
                "--mesh.leaf_ttl=1h",
            ])
        #expect(config.log.level == .debug)
        #expect(config.log.subsystems == ["store", "workers"])
        #expect(config.node.name.text == "n2")
        #expect(config.node.meta == ["a": "1", "b": "2=3"])
        #expect(config.admin.bindAddr?.description == ":9000")
        #expect(!config.dataplane.managed)
        #expect(config.mesh.leafTTL == .hours(1))
    }

    @Test func boolFlagsNeedNoValue() throws {
        let base = "dataplane: { managed: false }"
        #expect(try load(base, ["--dataplane.managed"]).dataplane.managed)
        #expect(try load(base, ["--dataplane.managed", "--log.level=warn"]).dataplane.managed)
        #expect(try !load("", ["--dataplane.managed", "false"]).dataplane.managed)
    }

    @Test func theLastFlagWins() throws {
        #expect(try load("", ["--node.name=a", "--node.name=b"]).node.name.text == "b")
    }

    @Test func wrongFlagsAreToldTogetherWithTheFile() {
        #expect(
            problems(
                "node: { name: \"a b\" }",
                [
                    "--log.levl=debug", "--dataplane.workers=x", "stray", "--services=a",
                    "--nonsense.at.all", "value", "--mesh.leaf-ttl",
                ]
            ).map { $0.prefix(56) }
                == [
                    "flag --log.levl: error: unknown flag: did you mean --log"[...],
                    "error: \"stray\" is neither a command nor a flag: write se",
                    "flag --services: error: this cannot be given as a flag: ",
                    "flag --nonsense.at.all: error: unknown flag: every key o",
                    "flag --mesh.leaf-ttl: error: the value is missing: write",
                    "c.yaml:1:15: error: node.name: node name \"a b\" has \" \" a",
                    "flag --dataplane.workers: error: dataplane.workers: \"x\" ",
                ].map { $0.prefix(56) })
    }

    @Test func programDefaultsStandBelowTheFile() throws {
        var loader = textLoader
        loader.defaults = ["log.level": "debug", "node.name": "dev", "dataplane.cpus": "0"]
        let config = try loader.load(
            text: "node: { name: mine }", source: "c.yaml", arguments: ["--dataplane.cpus="]
        ).configuration
        #expect(config.log.level == .debug)
        #expect(config.node.name.text == "mine")
        #expect(config.dataplane.cpus == "")
    }

    @Test func theFileIsReadAndRelativePathsStartAtIt() throws {
        let folder = try TemporaryFolder()
        try folder.write(
            "c.yaml",
            "store: { path: state/${NAME:x}.db, key_file: k/key }\nnode: { name: $NAME }\n")
        let loader = ConfigLoader(hostName: "h", folder: "/elsewhere", checksFiles: false)
        let config = try loader.load(
            arguments: [
                "--config.path", "\(folder.path)/c.yaml", "--config.expand-env",
                "--dataplane.log-file=log",
            ], environment: ["NAME": "n7"]
        ).configuration
        #expect(config.store.path == "\(folder.path)/state/n7.db")
        #expect(config.dataplane.logFile == "/elsewhere/log")
        #expect(config.node.name.text == "n7")
        #expect(config.path == "\(folder.path)/c.yaml")
        #expect(throws: ConfigProblems.self) {
            try loader.load(arguments: ["--config.path=/nowhere/c.yaml"], environment: [:])
        }
        #expect(throws: ConfigProblems.self) {
            try loader.load(arguments: ["--config.path=\(folder.path)"], environment: [:])
        }
        #expect(try loader.load(arguments: [], environment: [:]).configuration.path == nil)
    }
}

@Suite struct EnvironmentTests {
    private func expanded(_ text: String, _ environment: [String: String]) throws -> [String:
        String]
    {
        try load("node: { meta: \(text) }", environment: environment).node.meta
    }

    @Test func forms() throws {
        let environment = ["A": "one", "E": "", "A_1": "two"]
        #expect(
            try expanded(
                "{ a: $A, b: ${A}, c: ${A:x}, d: ${B:x y}, e: ${E:x}, f: $A_1, g: ${B:}, h: $A-1 }",
                environment)
                == [
                    "a": "one", "b": "one", "c": "one", "d": "x y", "e": "x", "f": "two", "g": "",
                    "h": "one-1",
                ])
    }

    @Test func whatIsNoReferenceStays() throws {
        #expect(
            try expanded(
                "{ a: 'x$', b: '$1', c: '$$A', d: '${', e: '${A', f: '${A-b}' }", ["A": "1"])
                == ["a": "x$", "b": "$1", "c": "$A", "d": "${", "e": "${A", "f": "${A-b}"])
    }

    @Test func withoutTheFlagNothingIsExpanded() throws {
        #expect(try load("node: { meta: { a: $A } }").node.meta == ["a": "$A"])
    }

    @Test func unsetVariablesWarnAtTheirPlace() {
        #expect(
            problems("node:\n  meta: { é: $GONE }", environment: [:]) == [
                "c.yaml:2:14: warning: environment variable GONE is not set and became empty: set "
                    + "it, or write ${GONE:default}"
            ])
    }

    @Test func placesAreThoseOfTheFileOnDisk() {
        let text = "node: { meta: { a: ${LONG}, b: ${S} }, nam: 1 }\nlog: { level: ${S}x }\n"
        let environment = ["LONG": String(repeating: "l", count: 500), "S": "s"]
        #expect(
            problems(text, environment: environment).map { $0.prefix(24) } == [
                "c.yaml:1:40: error: node", "c.yaml:2:15: error: log.",
            ])
    }
}
