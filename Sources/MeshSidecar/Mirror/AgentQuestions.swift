import Foundation
import MeshClient
import MeshModel

/// How subjects are asked for. Pure.
enum AgentQuestions {
    /// How long an agent may hold a question back. Shorter than the five minutes of Consul's own
    /// clients: a question that was lost on the way is asked again sooner.
    static let wait: Duration = .seconds(60)

    /// A caller that no intention names.
    static let nobody = "ringmesh-nobody-of-this-name"

    /// `home` is the datacenter of the proxy, `identity` who it is, as far as they are known.
    static func request(
        _ subject: Subject, _ pace: WatchPace, home: DatacenterName?, identity: SpiffeIdentity?
    ) -> AgentRequest {
        var request = plain(subject, home: home, identity: identity)
        guard !subject.isPolled else { return request }
        request.wait = wait
        if case .registration = subject {
            if let hash = pace.hash { request.query.append(("hash", hash)) }
            request.wait = pace.hash == nil ? nil : wait
        } else {
            if let index = pace.index { request.query.append(("index", "\(index)")) }
            request.wait = pace.index == nil ? nil : wait
        }
        return request
    }

    /// Who the proxy is, as its certificate says.
    struct SpiffeIdentity {
        var trustDomain: TrustDomain
        var datacenter: DatacenterName
    }

    private static func plain(
        _ subject: Subject, home: DatacenterName?, identity: SpiffeIdentity?
    ) -> AgentRequest {
        switch subject {
        case .registration(let id):
            return AgentRequest("GET", URLPath.make("v1", "agent", "service", id))
        case .roots: return AgentRequest("GET", "/v1/agent/connect/ca/roots")
        case .leaf(let service):
            return AgentRequest(
                "GET", URLPath.make("v1", "agent", "connect", "ca", "leaf", service.text))
        case .intentions(let service):
            return AgentRequest(
                "GET", "/v1/connect/intentions/match",
                query: [("by", "destination"), ("name", service.text)])
        case .policy(let service): return authorize(service, identity)
        case .chain(let key): return chain(key)
        case .instances(let key):
            var request = AgentRequest(
                "GET", URLPath.make("v1", "health", "connect", key.service.text),
                query: [("stale", "")])
            if key.datacenter != home { request.query.append(("dc", key.datacenter.text)) }
            if !key.filter.isEmpty { request.query.append(("filter", key.filter)) }
            return request
        case .query(let key):
            var request = AgentRequest(
                "GET", URLPath.make("v1", "query", key.name, "execute"),
                query: [("connect", "true"), ("stale", "")])
            if let datacenter = key.datacenter { request.query.append(("dc", datacenter.text)) }
            return request
        case .checks(let id):
            return AgentRequest(
                "GET", "/v1/agent/checks", query: [("filter", "ServiceID == \"\(id.text)\"")])
        case .outgoing(let service):
            return AgentRequest(
                "GET", "/v1/connect/intentions/match",
                query: [("by", "source"), ("name", service.text)])
        case .services: return AgentRequest("GET", "/v1/catalog/services", query: [("stale", "")])
        case .mesh: return AgentRequest("GET", "/v1/config/mesh/mesh")
        }
    }

    private static func authorize(
        _ service: ServiceName, _ identity: SpiffeIdentity?
    ) -> AgentRequest {
        let domain = identity?.trustDomain.text ?? "unknown.consul"
        let datacenter = identity?.datacenter.text ?? "dc1"
        let caller = "spiffe://\(domain)/ns/default/dc/\(datacenter)/svc/\(nobody)"
        let body = DataValue.object([
            "Target": .string(service.text), "ClientCertURI": .string(caller),
            "ClientCertSerial": .string("00"),
        ])
        return AgentRequest("POST", "/v1/agent/connect/authorize", body: bytes(body))
    }

    private static func chain(_ key: Subject.ChainKey) -> AgentRequest {
        var request = AgentRequest(
            "GET", URLPath.make("v1", "discovery-chain", key.service.text))
        if let datacenter = key.datacenter {
            request.query.append(("compile-dc", datacenter.text))
        }
        var overrides: [String: DataValue] = [:]
        if let name = key.overrideProtocol { overrides["OverrideProtocol"] = .string(name) }
        if let timeout = key.connectTimeout {
            overrides["OverrideConnectTimeout"] = .string("\(timeout.millisecondsRoundedUp)ms")
        }
        guard !overrides.isEmpty else { return request }
        request.method = "POST"
        request.body = bytes(.object(overrides))
        return request
    }

    private static func bytes(_ value: DataValue) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        // Plain data of texts can always be written.
        return (try? encoder.encode(value)).map { Array($0) } ?? []
    }
}
