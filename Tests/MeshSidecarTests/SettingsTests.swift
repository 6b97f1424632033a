import MeshClient
import MeshModel
import MeshSidecar
import Testing

@Suite struct SettingsTests {
    private func settings(
        _ environment: [String: String], _ flags: AgentSettings.Flags = .init()
    ) throws -> AgentSettings {
        try AgentSettings(flags, environment: environment)
    }

    @Test(arguments: [
        (nil, nil, "http://127.0.0.1:8500"), ("10.0.0.1:8501", nil, "http://10.0.0.1:8501"),
        ("10.0.0.1:8501", "true", "https://10.0.0.1:8501"),
        ("http://consul:80", nil, "http://consul:80"),
        ("http://consul:80", "1", "https://consul:80"),
        ("https://consul", "false", "https://consul"),
        ("unix:///run/consul.sock", "true", "unix:///run/consul.sock"),
    ])
    func addresses(address: String?, secure: String?, expected: String) throws {
        var environment: [String: String] = [:]
        environment["CONSUL_HTTP_ADDR"] = address
        environment["CONSUL_HTTP_SSL"] = secure
        #expect(try settings(environment).address.description == expected)
    }

    @Test func aFlagIsAboveTheEnvironment() throws {
        let environment = [
            "CONSUL_HTTP_ADDR": "a:1", "CONSUL_HTTP_TOKEN": "t", "CONSUL_HTTP_TOKEN_FILE": "/f",
            "CONSUL_CACERT": "/ca", "CONSUL_CLIENT_CERT": "/c", "CONSUL_CLIENT_KEY": "/k",
            "CONSUL_TLS_SERVER_NAME": "n",
        ]
        let own = try settings(environment)
        #expect(own.token == .file("/f"))
        #expect(own.trust == .roots(file: "/ca"))
        #expect(own.clientCertificate == .init(certificateFile: "/c", keyFile: "/k"))
        #expect(own.tlsServerName == "n")
        let flags = AgentSettings.Flags(
            address: "b:2", token: "x", rootsFile: "/other", clientCertificate: "/d",
            clientKey: "/e", tlsServerName: "m")
        let above = try settings(environment, flags)
        #expect(above.address.description == "http://b:2")
        #expect(above.token == .text("x"))
        #expect(above.trust == .roots(file: "/other"))
        #expect(above.clientCertificate == .init(certificateFile: "/d", keyFile: "/e"))
        #expect(above.tlsServerName == "m")
    }

    @Test(arguments: [
        (["CONNECT_PROXY_TOKEN": "p"], "p"),
        (["CONSUL_PROXY_TOKEN": "q"], "q"),
        (["CONSUL_HTTP_TOKEN": "h", "CONNECT_PROXY_TOKEN": "p"], "h"),
        (["CONSUL_HTTP_TOKEN": "", "CONNECT_PROXY_TOKEN": "p"], "p"),
    ])
    func theTokenOfAManagedProxyComesLast(environment: [String: String], token: String) throws {
        #expect(try settings(environment).token == .text(token))
    }

    @Test(arguments: [
        ["CONSUL_HTTP_ADDR": "ftp://x:1"], ["CONSUL_HTTP_SSL": "perhaps"],
        ["CONSUL_CLIENT_CERT": "/c"], ["CONSUL_CLIENT_KEY": "/k"],
        ["CONSUL_NAMESPACE": "team"], ["CONSUL_PARTITION": "team"],
        ["CONSUL_HTTP_ADDR": "unix://relative"],
    ])
    func whatCannotBeIsRefused(environment: [String: String]) {
        #expect(throws: MeshError.self) { try settings(environment) }
    }

    @Test func verificationCanBeTurnedOff() throws {
        #expect(try settings(["CONSUL_HTTP_SSL_VERIFY": "false"]).trust == .none)
        #expect(try settings(["CONSUL_HTTP_SSL_VERIFY": "true"]).trust == .system)
    }
}
