import Foundation
import MeshHTTP
import MeshIdentity
import MeshModel
import MeshStore

/// `/v1/connect/ca`, `/v1/agent/connect/ca`: roots, and certificates of services with their keys.
package struct AuthorityEndpoints: EndpointGroup {
    let backend: any ConsulBackend
    let access: any AccessPolicy
    let queries: Queries

    package init(backend: any ConsulBackend, access: any AccessPolicy, queries: Queries) {
        self.backend = backend
        self.access = access
        self.queries = queries
    }

    package var endpoints: [Endpoint] {
        [
            Endpoint("/v1/connect/ca/roots", ["GET": { try await roots($0, isCached: false) }]),
            Endpoint(
                "/v1/agent/connect/ca/roots", ["GET": { try await roots($0, isCached: true) }]),
            Endpoint("/v1/agent/connect/ca/leaf/", ["GET": leaf]),
            Endpoint("/v1/connect/ca/configuration", ["GET": configuration, "PUT": configure]),
        ]
    }

    // MARK: - roots

    /// Everybody may: a root is what others are known by.
    private func roots(_ request: APIRequest, isCached: Bool) async throws -> APIResponse {
        let shape = Queries.Shape(knowsLeader: false)
        let isPEM = request.query["pem"].map { GoBool.parse($0) ?? $0.isEmpty } ?? false
        var response = try await queries.answer(request, watching: Watch(.roots), shape) {
            _, _ in
            let roots = try await backend.connectRoots()
            guard !isPEM || isCached else {
                return APIResponse(
                    .bytes(Array(roots.pem.utf8), type: "application/pem-certificate-chain"))
            }
            return .json(roots.json)
        }
        if isCached {
            // The agent asks its servers ahead of its clients.
            response.headers["X-Cache"] = "HIT"
            response.headers["Age"] = "0"
        } else if isPEM {
            response.headers = [:]
        }
        return response
    }

    // MARK: - leaf

    @concurrent private func leaf(_ request: APIRequest) async throws -> APIResponse {
        let authority = try await access.authority(of: request.token)
        guard !request.tail.isEmpty else { throw APIError(400, "Missing service name") }
        let name: ServiceName
        do { name = try ServiceName(request.tail) } catch { throw APIError(400, "\(error)") }
        try authority.require(Access(.identity, .service, name.text))
        let options = try QueryOptions(request)
        let isKnown = try await backend.hasLeaf(of: name)
        // Makes it, so that there is something to wait for.
        let leaf = try await backend.connectLeaf(of: name)
        if options.index >= leaf.modifyIndex, request.held == nil {
            return APIResponse(
                .later(
                    Hold(
                        store: backend.store, watch: Watch(.leaves, .key(leaf.serviceURI)),
                        after: options.index, deadline: Queries.deadline(options))))
        }
        var response = APIResponse.json(leaf.json)
        response.headers["X-Consul-Index"] = "\(leaf.modifyIndex)"
        // One that was waited for, or made for this request, was in no cache.
        let isHit = isKnown && options.index == .zero
        response.headers["X-Cache"] = isHit ? "HIT" : "MISS"
        if isHit { response.headers["Age"] = "\(max(0, Int(-leaf.madeAt.timeIntervalSinceNow)))" }
        return response
    }
}

extension ConnectRoots {
    fileprivate var json: JSON {
        [
            "ActiveRootID": .string(activeRootID), "TrustDomain": .string(trustDomain),
            "Roots": .array(roots.map(\.json)),
        ]
    }
}

extension ConnectRoots.Root {
    fileprivate var json: JSON {
        [
            "ID": .string(id), "Name": .string(name), "SerialNumber": .number(serialNumber),
            "SigningKeyID": .string(signingKeyID),
            "ExternalTrustDomain": .string(externalTrustDomain),
            "NotBefore": .string(GoTime.text(notBefore)),
            "NotAfter": .string(GoTime.text(notAfter)), "RootCert": .string(rootCert),
            "IntermediateCerts": intermediateCerts.isEmpty ? .null : .texts(intermediateCerts),
            "Active": .bool(active), "PrivateKeyType": .string(privateKeyType),
            "PrivateKeyBits": .number(privateKeyBits),
            "CreateIndex": .number(createIndex.value), "ModifyIndex": .number(modifyIndex.value),
        ]
    }
}

extension ConnectLeaf {
    /// Certificates begin a minute before they are made.
    fileprivate var madeAt: Date { validAfter.addingTimeInterval(60) }

    /// With the key: as secret as it.
    fileprivate var json: JSON {
        [
            "SerialNumber": .string(serialNumber), "CertPEM": .string(certPEM),
            "PrivateKeyPEM": .string(privateKeyPEM), "Service": .string(service),
            "ServiceURI": .string(serviceURI), "ValidAfter": .string(GoTime.text(validAfter)),
            "ValidBefore": .string(GoTime.text(validBefore)),
            "CreateIndex": .number(createIndex.value), "ModifyIndex": .number(modifyIndex.value),
        ]
    }
}

/// Times as Go writes them (RFC 3339), to the second.
enum GoTime {
    static func text(_ date: Date) -> String {
        date.formatted(
            .iso8601.year().month().day().timeZone(separator: .omitted).time(
                includingFractionalSeconds: false))
    }
}
