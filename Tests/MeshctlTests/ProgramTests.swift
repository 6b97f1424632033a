import Foundation
import MeshAdminAPI
import MeshModel
import Testing

/// The program against an admin server, as users run it.
@Suite struct ProgramTests {
    /// A server on a socket, and the program pointed at it.
    private func withServer(
        _ backend: FakeBackend = FakeBackend(),
        _ body: @Sendable (_ meshctl: Shell) async throws -> Void
    ) async throws {
        try await withFolder { folder in
            try await RunningServer.overSocket(backend, path: "\(folder)/admin.sock") { server in
                try await body(Shell(address: server.address))
            }
        }
    }

    private struct Shell {
        var address: String

        func callAsFunction(_ line: String, input: String = "") async throws -> MeshctlRun {
            try await MeshctlRun.run(
                line.split(separator: " ").map(String.init),
                environment: ["RINGMESH_ADDR": address], input: input)
        }
    }

    @Test func theAddressMayComeFirst() async throws {
        try await withServer { meshctl in
            let usual = try await meshctl("status")
            let first = try await MeshctlRun.run(["--addr", meshctl.address, "status"])
            #expect(first == usual)
            #expect(first.status == 0)
        }
    }

    static let tables: [(command: String, text: String)] = [
        (
            "status",
            """
            node          node-1 in dc1, version 0.1.0, since 2027-01-15T08:00:00Z
            ready         yes
            generation    7 is live, 8 was built last
            data plane    process 100, 0.1.0, engine io_uring
            store         the disk is full, index 12
            trust domain  a1b2.ringmesh
            problem       store, since 2027-01-15T08:00:00Z: the disk is full

            WORKER  PROCESS  STATE    GENERATION  CONNECTIONS  UPSTREAM  REQUESTS  STARTS
            0           101  serving           7            3         2         1       1
            """
        ),
        (
            "services",
            """
            SERVICE  PROTOCOL  INSTANCES  PASSING  WARNING  CRITICAL  SIDECAR  TAGS
            web      http              3        1        1         1  yes      v1
            """
        ),
        (
            "instances web",
            """
            INSTANCE  SERVICE  ADDRESS         SIDECAR          STATUS   CHECKS        ORIGIN
            web-1     web      127.0.0.1:8080  127.0.0.1:21000  passing  http=passing  mesh.yaml:3:5
            """
        ),
        ("instances none", "no instances"),
        (
            "instances api",
            """
            INSTANCE  SERVICE  ADDRESS         SIDECAR  STATUS    CHECKS        ORIGIN
            api       api      127.0.0.1:8081  -        critical  tcp=critical  api

            api: tcp is critical: connection refused
            """
        ),
        (
            "check list",
            """
            CHECK        KIND  INSTANCE  SERVICE  STATUS    OUTPUT
            service:web  ttl   web-1     web      warning   queue is long
            service:api  tcp   api       api      critical  no result yet
            """
        ),
        (
            "intention list",
            """
            SOURCE  DESTINATION  ACTION         PRECEDENCE  ORIGIN  DESCRIPTION
            api     web          2 permissions           9  api     orders
            """
        ),
        (
            "intention check api web",
            """
            api => web: allow
              api => web: allow, written in mesh.yaml:9:5
            """
        ),
        (
            "proxy list",
            """
            PROXY      SERVICE  KIND     ADDRESS          STATE    PROCESS  STARTS  UPSTREAMS
            web-proxy  web      command  127.0.0.1:20000  running  77            2  db
            """
        ),
        ("proxy logs web-proxy --last 2", "web-proxy true 2048"),
        (
            "chain web --dc dc2",
            """
            web in dc2, protocol http
            resolver web.default.dc2 (default), connect timeout 5s
            └─ target web.default.dc2
            """
        ),
        (
            "routes",
            """
            generation 7

            LISTENER  ADDRESS         KIND  TLS   ROLE   HOST  MATCH   ACTION
            public    127.0.0.1:8000  l7    mtls  plain  *     path /  forward web

            TARGET           INSTANCE  ADDRESS          TLS   HEALTHY  WEIGHT
            web.default.dc1  web-1     127.0.0.1:21000  mtls  yes           1

            LISTENER OR TARGET  SETTING         VALUE
            public              tls             1.2 to 1.3, client certificate required, http/1.1
            public              access_log      stdout
            web.default.dc1     proxy_protocol  connections begin with a v2 header
            """
        ),
        (
            "stats",
            """
            LISTENER  ACCEPTED  OPEN  REQUESTS  2XX  4XX  5XX  DENIED   IN  OUT    P50     P99
            public           5     0         0    4    0    0       0  0 B  0 B  90 µs  120 µs

            TARGET           CONNECTS  FAILURES  OPEN  REQUESTS  RETRIES  2XX  5XX  RESETS    P50    P99
            web.default.dc1         2         0     0         0        0    0    0       0  70 µs  90 µs
            """
        ),
        (
            "cert list",
            """
            SERVICE  RENEW AT              NOT AFTER             SERIAL  URI
            web      2027-01-17T10:00:00Z  2027-01-18T08:00:00Z  0a0b    spiffe://a1b2.ringmesh/ns/default/dc/dc1/svc/web
            """
        ),
        (
            "cert roots",
            """
            ROOT  NAME         ACTIVE  NOT BEFORE            NOT AFTER
            0c0d  Ringmesh CA  yes     2027-01-15T08:00:00Z  2037-01-12T08:00:00Z
            """
        ),
        ("cert roots --pem", "-----BEGIN CERTIFICATE-----"),
        (
            "ca status",
            """
            trust domain  a1b2.consul
            provider      builtin
            leaf ttl      72h

            ROOT  STATE                                NOT AFTER             CROSS-SIGNED  LEAVES
            0c0d  signs                                2037-01-12T08:00:00Z  1             2
            0a0b  believed, left 2027-01-15T08:00:00Z  2037-01-11T08:00:00Z  0             1
            """
        ),
        (
            "explain GET http://web/ --from api",
            """
            listener  matched  GET http://web/
                               by public, written in mesh.yaml:18:3

            => forwarded (generation 7)
            """
        ),
    ]

    @Test(arguments: tables.indices)
    func readingCommandsPrintTables(index: Int) async throws {
        try await withServer { meshctl in
            let run = try await meshctl(Self.tables[index].command)
            #expect(
                run == MeshctlRun(status: 0, output: Self.tables[index].text + "\n", errors: ""))
        }
    }

    @Test func readingCommandsPrintTheAPIsJSON() async throws {
        try await withServer { (meshctl) async throws in
            func json<Value: Decodable>(_ command: String) async throws -> Value {
                let run = try await meshctl(command + " --json")
                #expect(run.status == 0 && run.errors.isEmpty)
                return try APICoding.decoder().decode(Value.self, from: Data(run.output.utf8))
            }
            #expect(try await json("status") == Sample.status)
            #expect(try await json("services") == Sample.services)
            #expect(try await json("instances") == Sample.instances)
            #expect(try await json("check list") == Sample.checks)
            #expect(try await json("intention list") == Sample.intentions)
            #expect(try await json("intention check api web") == Sample.check)
            #expect(try await json("routes") == Sample.routes)
            #expect(try await json("stats") == Sample.stats)
            #expect(try await json("cert list") == Sample.certificates)
            #expect(try await json("cert roots") == Sample.roots)
            #expect(try await json("ca status") == Sample.authority)
            let chain = try await meshctl("chain web --json")
            #expect(chain.output == Sample.chain(of: "web", in: "dc1"))
        }
    }

    @Test func changesArriveAsTheyWereWritten() async throws {
        let backend = FakeBackend()
        try await withServer(backend) { meshctl in
            for (line, done) in [
                ("service register -", "registered the service of standard input"),
                ("service deregister -", "deregistered the service of standard input"),
                ("service deregister web/1", "deregistered web/1"),
                ("intention create --allow --replace api web", "api => web: allow"),
                ("intention delete api *", "deleted api => *"),
            ] {
                let run = try await meshctl(line, input: "service: {}")
                let text = "\(done); generation 8 is live in every worker\n"
                #expect(run == MeshctlRun(status: 0, output: text, errors: ""))
            }
        }
        #expect(
            backend.calls == [
                .register("service: {}"), .deregisterDocument("service: {}"),
                .deregister(id: "web/1"),
                .create(
                    IntentionRequest(
                        source: "api", destination: "web", action: "allow", replace: true)),
                .delete(source: "api", destination: "*"),
            ])
    }

    @Test func aServiceReportsAboutItself() async throws {
        let backend = FakeBackend()
        try await withServer(backend) { meshctl in
            for (line, text) in [
                ("check pass service:web", "service:web is passing"),
                ("check warn service:web --note slow", "service:web is warning"),
                ("check fail web/1 --note a&b=c%2Bd", "web/1 is critical"),
            ] {
                let run = try await meshctl(line)
                #expect(run == MeshctlRun(status: 0, output: text + "\n", errors: ""))
            }
            let programs = try await meshctl("check pass service:web --json")
            let report = try APICoding.decoder().decode(
                CheckStateReport.self, from: Data(programs.output.utf8))
            #expect(report.status == "passing")
            backend.fail(with: MeshError(.notFound, "there is no check x on this node"))
            let unknown = try await meshctl("check pass x")
            let error = "meshctl: there is no check x on this node\n"
            #expect(unknown == MeshctlRun(status: 1, output: "", errors: error))
            for line in ["check", "check pass", "check update x", "check pass x y"] {
                #expect(try await meshctl(line).status == (line == "check" ? 0 : 64), "\(line)")
            }
        }
        #expect(
            backend.calls == [
                .report(check: "service:web", CheckUpdate(status: "passing")),
                .report(check: "service:web", CheckUpdate(status: "warning", output: "slow")),
                .report(check: "web/1", CheckUpdate(status: "critical", output: "a&b=c%2Bd")),
                .report(check: "service:web", CheckUpdate(status: "passing")),
            ])
    }

    @Test(
        arguments: [
            (.live, 0), (.stored, 0), (.partial, 4), (.refused, 1),
        ] as [(ChangeReport.Outcome, Int32)])
    func howFarAChangeCameIsTheExitCode(
        outcome: ChangeReport.Outcome, status: Int32
    ) async throws {
        let backend = FakeBackend()
        backend.setOutcome(outcome)
        try await withServer(backend) { meshctl in
            let people = try await meshctl("intention create --allow api web")
            #expect(people.status == status)
            #expect(people.output.isEmpty == (status != 0))
            #expect(people.errors.isEmpty == (status == 0))
            let programs = try await meshctl("intention create --allow api web --json")
            #expect(programs.status == status)
            #expect(programs.errors.isEmpty)
            let report = try APICoding.decoder().decode(
                ChangeReport.self, from: Data(programs.output.utf8))
            #expect(report.outcome == outcome)
        }
    }

    @Test func aDeniedCheckIsAFailure() async throws {
        let backend = FakeBackend()
        backend.setDenied()
        try await withServer(backend) { meshctl in
            let run = try await meshctl("intention check api web")
            #expect(run.status == 1)
            #expect(run.output.hasPrefix("api => web: deny\n"))
        }
    }

    @Test func whatTheServerRefusesIsTold() async throws {
        let backend = FakeBackend()
        backend.fail(with: MeshError(.ownedByFile, "mesh.yaml:3:5 owns it:\n\u{1B}[2Jedit it"))
        try await withServer(backend) { meshctl in
            let run = try await meshctl("intention delete api web")
            #expect(
                run
                    == MeshctlRun(
                        status: 1, output: "",
                        errors: "meshctl: mesh.yaml:3:5 owns it:\n  ·[2Jedit it\n"))
        }
    }

    @Test func aRotationIsOrdered() async throws {
        let backend = FakeBackend()
        try await withServer(backend) { meshctl in
            let run = try await meshctl("ca rotate")
            #expect(run.status == 0 && run.output.contains("another root signs"))
            #expect(backend.calls == [.rotateRoot])
        }
    }

    @Test func changesOverTCPNeedTheToken() async throws {
        let backend = FakeBackend()
        try await RunningServer.overTCP(backend) { server in
            let line = ["intention", "create", "--deny", "api", "web", "--addr", server.address]
            let without = try await MeshctlRun.run(line)
            #expect(without.status == 77)
            #expect(without.errors.contains("the token is missing or wrong"))
            #expect(backend.calls.isEmpty)
            let with = try await MeshctlRun.run(
                line, environment: ["RINGMESH_TOKEN": RunningServer.token])
            #expect(with.status == 0)
        }
    }

    @Test(
        arguments: [
            ("status --addr unix:///nowhere/admin.sock", 69, "is the control plane running?"),
            ("status --addr http://127.0.0.1:1", 69, "connection refused at http://127.0.0.1:1"),
            ("status --addr nowhere", 64, "write http://host:port"),
            (
                "status --token-file /nowhere", 64,
                "the token file /nowhere cannot be read: No such file"
            ),
            ("service register /nowhere.yaml", 1, "/nowhere.yaml cannot be read: No such file"),
            ("service deregister /nowhere.yaml", 1, "/nowhere.yaml cannot be read: No such file"),
            ("service register /", 1, "/ cannot be read: Is a directory"),
            ("status extra", 64, "extra"), ("nothing", 64, "nothing"),
        ] as [(String, Int32, String)])
    func whatCannotWorkIsTold(line: String, status: Int32, part: String) async throws {
        let run = try await MeshctlRun.run(line.split(separator: " ").map(String.init))
        #expect(run.status == status)
        #expect(run.output.isEmpty)
        #expect(run.errors.contains(part))
    }

    @Test func helpAndCompletionsAreOutput() async throws {
        for (line, part) in [
            (["--help"], "Exit status: 0 done;"), (["--version"], "meshctl "),
            (["intention", "create", "--help"], "USAGE: meshctl intention create"),
            (["--generate-completion-script", "bash"], "_meshctl"),
            (["--generate-completion-script", "zsh"], "#compdef meshctl"),
            (["--generate-completion-script", "fish"], "complete -c"),
        ] {
            let run = try await MeshctlRun.run(line)
            #expect(run.status == 0 && run.errors.isEmpty)
            #expect(run.output.contains(part), "\(line)")
        }
    }
}
