import MeshModel
import Testing

@testable import MeshConfig

@Suite struct TracingTests {
    @Test func nothingIsSentUnlessAskedFor() throws {
        #expect(try load("node: { name: a }").tracing == .off)
        #expect(try load("tracing: {}").tracing == .off)
    }

    @Test func everythingCanBeSaid() throws {
        let read = try load(
            """
            tracing:
              otlp: { endpoint: "https://c.example.com:4318", headers: { x-key: abc }, timeout: 3s,
                compression: gzip }
              sample: 0.5
              service_name: edge
            listeners:
              - { name: a, bind_addr: ":1", kind: l7, service: web, trace: { export: false } }
            """)
        #expect(read.tracing.endpoint == "https://c.example.com:4318/v1/traces")
        #expect(read.tracing.headers == ["x-key": "abc"] && read.tracing.timeout == .seconds(3))
        #expect(read.tracing.compression == .gzip)
        #expect(read.tracing.sample == 0.5 && read.tracing.serviceName == "edge")
        #expect(read.listeners[0].value.trace == .init(start: false, sample: 1, export: false))
        #expect(read.rendered().contains("x-key") && !read.rendered().contains("abc"))
        #expect(try load(read.rendered()).rendered() == read.rendered())
    }

    @Test(arguments: [
        ("http://h", "http://h/v1/traces"), ("http://h:1/", "http://h:1/v1/traces"),
        ("http://h/otlp/v1/traces", "http://h/otlp/v1/traces"), ("HTTP://h?x=1", "HTTP://h?x=1"),
        ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
    ])
    func urls(_ text: String, _ expected: String) throws {
        #expect(try TracingDefinition.url(text) == expected)
    }

    @Test(arguments: [
        ("{ otlp: { endpoint: h:4318 } }", ["1:30 tracing.otlp.endpoint"]),
        ("{ otlp: { endpoint: \"http://\" } }", ["1:30 tracing.otlp.endpoint"]),
        ("{ otlp: { endpoint: \"http://:1\" } }", ["1:30 tracing.otlp.endpoint"]),
        ("{ otlp: { endpoint: \"http://a:b@h\" } }", ["1:30 tracing.otlp.endpoint"]),
        ("{ otlp: { endpoint: \"http://h/#x\" } }", ["1:30 tracing.otlp.endpoint"]),
        ("{ otlp: { endpoint: \"http://a b\" } }", ["1:30 tracing.otlp.endpoint"]),
        ("{ otlp: { compression: zstd } }", ["1:33 tracing.otlp.compression"]),
        ("{ otlp: { timeout: 0s } }", ["1:29 tracing.otlp.timeout"]),
        ("{ otlp: { headers: { \"a b\": c } } }", ["1:29 tracing.otlp.headers"]),
        ("{ otlp: { headers: { a: \"b\\nc\" } } }", ["1:29 tracing.otlp.headers"]),
        ("{ sample: 1.1 }", ["1:20 tracing.sample"]),
        ("{ sample: -0.1 }", ["1:20 tracing.sample"]),
        ("{ oltp: {} }", ["1:12 tracing.oltp"]),
    ])
    func mistakesAreToldWhereTheyAre(_ text: String, _ expected: [String]) {
        #expect(places("tracing: \(text)") == expected)
    }
}
