import Foundation
import Testing

@testable import meshctl

/// Chains as trees: what Consul's documents say, in words and in order.
@Suite struct ChainTests {
    private func tree(_ chain: String) throws -> [String] {
        ChainTree(try ConsulChain(document: Data(#"{"Chain": \#(chain)}"#.utf8))).lines
    }

    /// Routes, rewriting, retries, weights to the hundredth, subsets, failover, balancing.
    @Test func everythingThatDecidesIsShown() throws {
        let lines = try tree(
            """
            {"ServiceName": "web", "Datacenter": "dc1", "Protocol": "http",
             "StartNode": "router:web.default", "Nodes": {
              "router:web.default": {"Type": "router", "Name": "web.default", "Routes": [
               {"Definition": {"Match": {"HTTP": {"PathPrefix": "/admin", "Methods": ["GET", "PUT"],
                  "CaseInsensitive": true,
                  "Header": [{"Name": "x-debug", "Present": true},
                             {"Name": "x-user", "Prefix": "a", "Invert": true}],
                  "QueryParam": [{"Name": "v", "Exact": "2"}]}},
                 "Destination": {"Service": "admin", "PrefixRewrite": "/", "RequestTimeout": "7s",
                  "NumRetries": 3, "RetryOnConnectFailure": true, "RetryOnStatusCodes": [502, 503]}},
                "NextNode": "resolver:admin.default.dc1"},
               {"Definition": {"Match": {"HTTP": {"PathPrefix": "/"}},
                 "Destination": {"Service": "web", "Namespace": "default"}},
                "NextNode": "splitter:web.default"}]},
              "splitter:web.default": {"Type": "splitter", "Name": "web.default", "Splits": [
               {"Weight": 99.05, "NextNode": "resolver:v1.web.default.dc1"},
               {"Weight": 0.5, "NextNode": "resolver:admin.default.dc1"},
               {"NextNode": "resolver:gone"}]},
              "resolver:admin.default.dc1": {"Type": "resolver", "Name": "admin.default.dc1",
               "Resolver": {"ConnectTimeout": "5s", "Default": true, "Target": "admin.default.dc1"}},
              "resolver:v1.web.default.dc1": {"Type": "resolver", "Name": "v1.web.default.dc1",
               "Resolver": {"ConnectTimeout": 1500000000, "RequestTimeout": 20000000000,
                "Target": "v1.web.default.dc1", "Failover": {"Targets": ["web.default.dc2"]}},
               "LoadBalancer": {"Policy": "least_request"}}},
             "Targets": {"v1.web.default.dc1": {
                "Subset": {"Filter": "Service.Meta.version == 1", "OnlyPassing": true}},
              "web.default.dc2": {"External": true, "SNI": "web.example.com"}}}
            """)
        #expect(
            lines == [
                "web in dc1, protocol http",
                "router web.default",
                "├─ path begins with /admin in any case, method is GET or PUT, header x-debug is"
                    + " there, not: header x-user begins with \"a\", parameter v is \"2\":"
                    + " path becomes /, timeout 7s, retries 3,"
                    + " retried after connect-failure 502 503",
                "│  └─ resolver admin.default.dc1 (default), connect timeout 5s",
                "│     └─ target admin.default.dc1",
                "└─ any request",
                "   └─ splitter web.default",
                "      ├─ 99.05 % resolver v1.web.default.dc1, connect timeout 1500ms,"
                    + " timeout 20s, balanced by least_request",
                "      │  ├─ target v1.web.default.dc1, where Service.Meta.version == 1,"
                    + " only passing",
                "      │  └─ failover web.default.dc2, outside the mesh as web.example.com",
                "      ├─ 0.5 % resolver admin.default.dc1 (default), connect timeout 5s",
                "      │  └─ target admin.default.dc1",
                "      └─ 0 % resolver:gone, which the chain does not have",
            ])
    }

    /// A document of somebody else's.
    @Test func aCircleEnds() throws {
        let lines = try tree(
            """
            {"ServiceName": "a", "Datacenter": "dc1", "Protocol": "http", "StartNode": "s",
             "Nodes": {"s": {"Type": "splitter", "Name": "s",
                             "Splits": [{"Weight": 100, "NextNode": "s"}]}}, "Targets": {}}
            """)
        #expect(lines.count == 18)
        #expect(lines.last?.contains("which the chain does not have") == true)
    }

    /// What real Consuls of two generations have compiled can be read, and every target is shown.
    @Test func chainsOfConsulAreReadable() throws {
        let folder = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Vectors/consul/discovery-chain")
        var count = 0
        for file in try FileManager.default.contentsOfDirectory(
            at: folder, includingPropertiesForKeys: nil)
        {
            let object = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
            for item in try #require(object as? [[String: Any]]) {
                let expected = item["expect"] as? [String: [String: Any]] ?? [:]
                for case let chain as [String: Any] in expected.values.map({ $0["chain"] }) {
                    let document = try JSONSerialization.data(withJSONObject: ["Chain": chain])
                    let text = ChainTree(try ConsulChain(document: document)).lines
                        .joined(separator: "\n")
                    for id in try #require(chain["Targets"] as? [String: Any]).keys {
                        #expect(text.contains(id))
                    }
                    count += 1
                }
            }
        }
        #expect(count > 50)
    }
}
