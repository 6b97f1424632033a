import Foundation
import MeshModel
import Testing

@testable import MeshTokens

/// Tokens that OpenSSL 3.0 has signed, their keys beside them.
@Suite struct TokenCheckTests {
    private func provider(_ change: (inout TokenProvider) -> Void = { _ in }) throws
        -> TokenProvider
    {
        var provider = try TokenProvider(
            OtherEntry(
                kind: TokenProvider.kind, name: "okta",
                fields: [
                    "Issuer": .string("https://issuer.test"),
                    "JSONWebKeySet": .object(["Local": .object(["JWKS": .string("{}")])]),
                ]))
        change(&provider)
        return provider
    }

    private func check(
        _ set: KeySet, _ claims: [TokenRequirement.Claim] = [],
        _ change: (inout TokenProvider) -> Void = { _ in }
    ) throws -> TokenCheck {
        TokenCheck(provider: try provider(change), keys: set, claims: claims)
    }

    private func reason(_ check: TokenCheck, _ token: String, now: Int64 = 2_000_000_000_000)
        -> TokenCheck.Reason
    {
        check.verdict(on: Array(token.utf8), now: now).reason
    }

    @Test(arguments: Vectors.algorithms)
    func everyAlgorithmIsKnown(_ algorithm: String) throws {
        let vector = try #require(Vectors.all[algorithm])
        let check = try check(try KeySet(Array(vector.keys.utf8)))
        #expect(reason(check, vector.token) == .good)
        // One bit of the signature, of the claims, of the head.
        for place in [vector.token.utf8.count - 3, vector.token.utf8.count / 2, 4] {
            var bytes = Array(vector.token.utf8)
            bytes[place] = bytes[place] == 0x41 ? 0x42 : 0x41
            #expect(!check.verdict(on: bytes, now: 2_000_000_000_000).isGood, "\(place)")
        }
    }

    /// A token is good with its own key and algorithm alone.
    @Test func keysOfOthersAreNoKeys() throws {
        for (name, vector) in Vectors.all {
            for (other, keys) in Vectors.all where keys.keys != vector.keys {
                let check = try check(try KeySet(Array(keys.keys.utf8)))
                #expect(reason(check, vector.token) != .good, "\(name) with the key of \(other)")
            }
        }
    }

    @Test func everyTruncationIsNoToken() throws {
        let vector = try #require(Vectors.all["ES256"])
        let check = try check(try KeySet(Array(vector.keys.utf8)))
        let whole = Array(vector.token.utf8)
        for length in 0..<whole.count {
            #expect(!check.verdict(on: Array(whole[..<length]), now: 2_000_000_000_000).isGood)
        }
    }

    /// The token says: from 1,900,000,000 to 2,100,000,000, for "shop", with a role.
    @Test func timesIssuersAudiencesAndClaims() throws {
        let vector = try #require(Vectors.all["ES256"])
        let set = try KeySet(Array(vector.keys.utf8))
        let plain = try check(set)
        let start: Int64 = 1_900_000_000_000
        let end: Int64 = 2_100_000_000_000
        #expect(reason(plain, vector.token, now: start - 30_000) == .good)
        #expect(reason(plain, vector.token, now: start - 30_001) == .early)
        #expect(reason(plain, vector.token, now: end + 29_999) == .good)
        #expect(reason(plain, vector.token, now: end + 30_000) == .expired)
        let strict = try check(set) { $0.clockSkewSeconds = 0 }
        #expect(reason(strict, vector.token, now: end) == .expired)
        #expect(strict.verdict(on: Array(vector.token.utf8), now: end - 1).life == 1)
        #expect(
            Int64(strict.verdict(on: Array(vector.token.utf8), now: start).life)
                == TokenCheck.longest)
        #expect(strict.verdict(on: Array(vector.token.utf8), now: start - 7).life == 7)
        let others = try check(set) { $0.issuer = "https://issuer.test/" }
        #expect(reason(others, vector.token) == .wrongIssuer)
        let any = try check(set) { $0.issuer = "" }
        #expect(reason(any, vector.token) == .good)
        let forUs = try check(set) { $0.audiences = ["till", "shop"] }
        #expect(reason(forUs, vector.token) == .good)
        let forOthers = try check(set) { $0.audiences = ["till"] }
        #expect(reason(forOthers, vector.token) == .wrongAudience)
        for (path, value, good) in [
            (["realm", "roles"], "admin", true), (["realm", "roles"], "adm", false),
            (["realm"], "admin", false), (["sub"], "me", true), (["sub"], "Me", false),
            (["nobody"], "", false), ([], "me", false),
        ] {
            let asking = try check(set, [TokenRequirement.Claim(path: path, value: value)])
            #expect((reason(asking, vector.token) == .good) == good, "\(path) \(value)")
        }
    }

    @Test func keysAreFoundByName() throws {
        let vector = try #require(Vectors.all["RS256"])
        let named = vector.keys.replacingOccurrences(of: "\"kid\":\"rs\"", with: "\"kid\":\"x\"")
        #expect(reason(try check(try KeySet(Array(named.utf8))), vector.token) == .unknownKey)
        let nameless = vector.keys.replacingOccurrences(of: "\"kid\":\"rs\",", with: "")
        #expect(nameless != vector.keys)
        #expect(reason(try check(try KeySet(Array(nameless.utf8))), vector.token) == .good)
        let bound = vector.keys.replacingOccurrences(
            of: "{\"kid\"", with: "{\"alg\":\"PS256\",\"kid\"")
        #expect(bound != vector.keys)
        #expect(reason(try check(try KeySet(Array(bound.utf8))), vector.token) == .unknownKey)
        #expect(reason(try check(.none), vector.token) == .unknownKey)
    }

    @Test func setsThatAreNone() {
        for text in [
            "", "{}", "[]", "{\"keys\":{}}", "{\"keys\":[]}",
            "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}",
            "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
            "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        ] {
            #expect(throws: MeshError.self, "\(text)") { try KeySet(Array(text.utf8)) }
        }
    }

    /// One key that cannot be used leaves the others.
    @Test func aSetMayHaveStrangeKeys() throws {
        let vector = try #require(Vectors.all["ES256"])
        let text = vector.keys.replacingOccurrences(
            of: "{\"keys\":[",
            with: "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"s\",\"k\":\"AA\"},{\"use\":\"enc\"},")
        let set = try KeySet(Array(text.utf8))
        #expect(set.count == 1 && set.problems.count == 1)
        #expect(reason(try check(set), vector.token) == .good)
    }
}
