import Foundation
import MeshConsul
import MeshModel
import MeshStore
import Testing

/// Requests that are wrong: what is answered, and that nothing changed.
@Suite struct MalformedStateTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let method: String
        let target: String
        let body: String
        let status: Int
        let text: String
        var testDescription: String { "\(method) \(target) \(body.prefix(40))" }

        init(_ method: String, _ target: String, _ body: String, _ status: Int, _ text: String) {
            self.method = method
            self.target = target
            self.body = body
            self.status = status
            self.text = text
        }
    }

    static let open: [Case] = [
        Case("GET", "/v1/kv/", "", 400, "Missing key name"),
        Case("PUT", "/v1/kv/", "x", 400, "Missing key name"),
        Case("DELETE", "/v1/kv/", "", 400, "Missing key name"),
        Case(
            "PUT", "/v1/kv/a?flags=-1", "", 500,
            "strconv.ParseUint: parsing \"-1\": invalid syntax"),
        Case(
            "PUT", "/v1/kv/a?flags=x", "", 500, "strconv.ParseUint: parsing \"x\": invalid syntax"),
        Case(
            "PUT", "/v1/kv/a?cas=99999999999999999999", "", 500,
            "strconv.ParseUint: parsing \"99999999999999999999\": value out of range"),
        Case("DELETE", "/v1/kv/a?cas=", "", 500, "strconv.ParseUint: parsing \"\": invalid syntax"),
        Case(
            "PUT", "/v1/kv/a?release=b&acquire=a", "", 400,
            "Conflicting flags: acquire=a&release=b"),
        Case("DELETE", "/v1/kv/a?recurse&cas=1", "", 400, "Conflicting flags: cas=1&recurse="),
        Case("PUT", "/v1/kv/a?acquire=", "", 500, "missing session"),
        Case("PUT", "/v1/kv/a?acquire=x", "", 500, "invalid session \"x\""),
        Case("GET", "/v1/kv/a?index=x", "", 400, "Invalid index"),
        Case("POST", "/v1/kv/a", "", 405, "method POST not allowed"),
        Case("PUT", "/v1/session/create", "{", 400, "Request decode failed: unexpected EOF"),
        Case(
            "PUT", "/v1/session/create", "[]", 400,
            "Request decode failed: json: cannot unmarshal array into Go value of type SessionRequest"
        ),
        Case(
            "PUT", "/v1/session/create", "{\"Name\": 5}", 400,
            "Request decode failed: json: cannot unmarshal number into Go struct field "
                + "SessionRequest.Name of type string"),
        Case(
            "PUT", "/v1/session/create", "{\"TTL\": \"10\"}", 500,
            "Session TTL '10' invalid: time: invalid duration \"10\""),
        Case(
            "PUT", "/v1/session/create", "{\"LockDelay\": \"x\"}", 400,
            "Request decode failed: time: invalid duration \"x\""),
        Case(
            "PUT", "/v1/session/create", "{\"Behavior\": \"keep\"}", 500,
            "Invalid Behavior setting 'keep'"),
        Case(
            "PUT", "/v1/session/create", "{\"Checks\": [\"gone\"]}", 500,
            "Missing check 'gone' registration"),
        Case(
            "PUT", "/v1/session/create", "{\"Checks\": \"gone\"}", 400,
            "Request decode failed: json: cannot unmarshal string into Go struct field "
                + "SessionRequest.Checks of type []string"),
        Case("PUT", "/v1/session/destroy/", "", 400, "Missing session"),
        Case("PUT", "/v1/session/renew/x", "", 404, "Session id 'x' not found"),
        Case("GET", "/v1/session/create", "", 405, "method GET not allowed"),
        Case("GET", "/v1/session/node/", "", 400, "Missing node name"),
        Case("PUT", "/v1/txn", "", 400, "Failed to parse body: EOF"),
        Case(
            "PUT", "/v1/txn", "{}", 400,
            "Failed to parse body: json: cannot unmarshal object into Go value of type api.TxnOps"),
        Case(
            "PUT", "/v1/txn", "[5]", 400,
            "Failed to parse body: json: cannot unmarshal number into Go value of type TxnOp"),
        Case(
            "PUT", "/v1/txn", "[{\"KV\": {\"Verb\": \"set\", \"Key\": \"a\", \"Value\": \"?\"}}]",
            400, "Failed to parse body: illegal base64 data in TxnOp.KV.Value"),
        Case(
            "PUT", "/v1/txn", "[{\"KV\": {\"Verb\": \"set\", \"Key\": \"a\"}}, {}]", 409,
            "{\"Results\":null,\"Errors\":[{\"OpIndex\":1,\"What\":\"no operation specified\"}]}"),
        Case(
            "PUT", "/v1/txn", "[{\"KV\": {\"Verb\": \"burn\", \"Key\": \"a\"}}]", 409,
            "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"unknown KV verb \\\"burn\\\"\"}]}"
        ),
        Case(
            "PUT", "/v1/txn", "[{\"KV\": {\"Verb\": \"set\"}}]", 409,
            "{\"Results\":null,\"Errors\":[{\"OpIndex\":0,\"What\":\"Must provide key\"}]}"),
        Case(
            "PUT", "/v1/txn", "[{\"KV\": {\"Verb\": \"set\", \"Key\": \"a\", \"Flags\": -1}}]", 400,
            "Failed to parse body: json: cannot unmarshal number into Go struct field "
                + "TxnOp.KV.Flags of type uint64"),
        Case("POST", "/v1/txn", "[]", 405, "method POST not allowed"),
        Case("POST", "/v1/query", "", 400, "Request decode failed: EOF"),
        Case(
            "POST", "/v1/query", "{\"ID\": \"x\"}", 500,
            "ID must be empty when creating a new prepared query"),
        Case(
            "POST", "/v1/query", "{\"Name\": \"a\", \"Service\": {\"Service\": true}}", 400,
            "Request decode failed: json: cannot unmarshal bool into Go struct field "
                + "ServiceQuery.Service of type string"),
        Case(
            "POST", "/v1/query", "{\"Service\": {\"Service\": \"a\"}}", 500,
            "Invalid prepared query: Must be bound to a session"),
        Case(
            "POST", "/v1/query",
            "{\"Session\": \"x\", \"Service\": {\"Service\": \"a\"}}", 500,
            "invalid session \"x\""),
        Case(
            "POST", "/v1/query",
            "{\"Name\": \"a\", \"Template\": {\"Type\": \"x\"}, \"Service\": {\"Service\": \"a\"}}",
            500, "Bad Template.Type 'x'"),
        Case(
            "PUT", "/v1/query/x", "{\"Name\": \"a\", \"Service\": {\"Service\": \"a\"}}", 500,
            "Cannot modify non-existent prepared query: 'x'"),
        Case("DELETE", "/v1/query/x", "", 500, "Cannot modify non-existent prepared query: 'x'"),
        Case("GET", "/v1/query/x/explain", "", 404, "Query not found"),
        Case("PATCH", "/v1/query/x", "", 405, "method PATCH not allowed"),
        Case("PUT", "/v1/acl/bootstrap", "", 401, "ACL support disabled"),
        Case("GET", "/v1/acl/token/self", "", 401, "ACL support disabled"),
        Case("GET", "/v1/acl/policy/name/x", "", 401, "ACL support disabled"),
    ]

    @Test(arguments: open)
    func isRefused(wrong: Case) async throws {
        try await Self.expect(wrong, of: StateAPI())
    }

    /// The answer, and that nothing came of the request.
    private static func expect(_ wrong: Case, of api: StateAPI, token: String? = nil) async {
        let before = api.store.snapshot.index
        let answer = await api.send(wrong.method, wrong.target, wrong.body, token: token)
        #expect(answer.status == wrong.status)
        #expect(answer.text == wrong.text)
        #expect(api.store.snapshot.index == before, "something changed")
    }

    static let controlled: [Case] = [
        Case("PUT", "/v1/acl/policy", "{\"Rules\": \"\"}", 500, "Invalid Policy: no Name is set"),
        Case(
            "PUT", "/v1/acl/policy", "{\"Name\": \"a b\"}", 500,
            "Invalid Policy: invalid Name. Only alphanumeric characters, '-' and '_' are allowed"),
        Case(
            "PUT", "/v1/acl/policy", "{\"Name\": \"a\", \"Rules\": \"servce \\\"a\\\" {}\"}", 500,
            "Failed to parse ACL rules: 1:1: there are no rules for servce"),
        Case(
            "PUT", "/v1/acl/policy", "{\"Name\": \"a\", \"Rules\": 1}", 400,
            "Bad request: Policy decoding failed: json: cannot unmarshal number into Go struct field "
                + "ACLPolicy.Rules of type string"),
        Case(
            "PUT", "/v1/acl/policy", "{\"ID\": \"a\", \"Name\": \"a\"}", 500,
            "Cannot specify the ID field when creating a new policy"),
        Case(
            "PUT", "/v1/acl/policy", "{\"Name\": \"global-management\"}", 500,
            "Invalid Policy: A Policy with Name \"global-management\" already exists"),
        Case(
            "PUT", "/v1/acl/policy/\(ACLPolicy.managementID)",
            "{\"Name\": \"global-management\", \"Rules\": \"\"}", 500,
            "Changing the Rules for the builtin global-management policy is not permitted"),
        Case(
            "DELETE", "/v1/acl/policy/\(ACLPolicy.managementID)", "", 500,
            "Delete operation not permitted on the builtin global-management policy"),
        Case("GET", "/v1/acl/policy/x", "", 403, "ACL not found"),
        Case("GET", "/v1/acl/policy/name/x", "", 403, "ACL not found"),
        Case("PUT", "/v1/acl/token", "", 400, "Bad request: Token decoding failed: EOF"),
        Case(
            "PUT", "/v1/acl/token", "{\"SecretID\": \"x\"}", 500,
            "Invalid Token: SecretID is not a valid UUID"),
        Case(
            "PUT", "/v1/acl/token", "{\"AccessorID\": \"x\"}", 500,
            "Invalid Token: AccessorID is not a valid UUID"),
        Case(
            "PUT", "/v1/acl/token", "{\"SecretID\": \"\(StateAPI.management)\"}", 500,
            "Invalid Token: SecretID is already in use"),
        Case(
            "PUT", "/v1/acl/token", "{\"AccessorID\": \"\(ACLToken.anonymousID)\"}", 500,
            "Invalid Token: AccessorID is already in use"),
        Case(
            "PUT", "/v1/acl/token", "{\"Policies\": [{\"Name\": \"x\"}]}", 500,
            "No such ACL policy with name \"x\""),
        Case(
            "PUT", "/v1/acl/token", "{\"Policies\": [{\"ID\": \"x\"}]}", 500,
            "No such ACL policy with ID \"x\""),
        Case(
            "PUT", "/v1/acl/token", "{\"ServiceIdentities\": [{}]}", 500,
            "Service identity is missing the service name field on this token"),
        Case("PUT", "/v1/acl/token/x", "{}", 500, "Cannot find token \"x\""),
        Case("PUT", "/v1/acl/token/x/clone", "", 403, "ACL not found"),
        Case("GET", "/v1/acl/token/x", "", 403, "ACL not found"),
        Case(
            "DELETE", "/v1/acl/token/\(ACLToken.anonymousID)", "", 500,
            "Delete operation not permitted on the anonymous token"),
    ]

    @Test(arguments: controlled)
    func isRefusedWithAccessControl(wrong: Case) async throws {
        try await Self.expect(
            wrong, of: StateAPI(isDefaultAllow: false), token: StateAPI.management)
    }

    @Test func transactionsHaveTheirBounds() async throws {
        let api = try await StateAPI()
        func operations(_ count: Int) -> String {
            "["
                + (0..<count).map { "{\"KV\":{\"Verb\":\"set\",\"Key\":\"k\($0)\"}}" }
                .joined(separator: ",") + "]"
        }
        let most = KeyValueLimits.operations
        #expect(await api.send("PUT", "/v1/txn", operations(most)).status == 200)
        let more = await api.send("PUT", "/v1/txn", operations(most + 1))
        #expect(more.status == 413)
        #expect(more.text == "Transaction contains too many operations (65 > 64)")
        let text = String(repeating: "A", count: (KeyValueLimits.valueBytes / 3 + 1) * 4)
        let large = await api.send(
            "PUT", "/v1/txn", "[{\"KV\":{\"Verb\":\"set\",\"Key\":\"a\",\"Value\":\"\(text)\"}}]")
        #expect(large.status == 413)
        #expect(large.text == "Value for key \"a\" is too large (524289 > 524288 bytes)")
        #expect(api.api.bodyLimit(method: "PUT", target: "/v1/kv/a") == 512 * 1024)
        #expect(api.api.bodyLimit(method: "PUT", target: "/v1/txn") > 4 * 512 * 1024 / 3)
    }
}
