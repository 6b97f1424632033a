import Foundation
import MeshModel
import MeshTokens
import Testing

@testable import controlplane

/// Key sets in entries and files: what is there counts, and what cannot be read changes nothing.
@Suite struct LocalKeySetsTests {
    private static let one = set(["one"])
    private static let two = set(["one", "two"])

    private static func set(_ names: [String]) -> String {
        // The base point's coordinates, of RFC 7517's first example.
        let keys = names.map {
            """
            {"kty": "EC", "crv": "P-256", "kid": "\($0)",
             "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
             "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}
            """
        }
        return "{\"keys\": [\(keys.joined(separator: ","))]}"
    }

    /// A folder of its own for the time of a test.
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("keys-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    private func write(_ text: String, _ path: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
    }

    private func provider(_ local: [String: DataValue]) throws -> TokenProvider {
        try TokenProvider(
            OtherEntry(
                kind: TokenProvider.kind, name: "okta",
                fields: ["json_web_key_set": .object(["local": .object(local)])]))
    }

    @Test func aFileIsFollowedAndAFaultyOneChangesNothing() throws {
        try withFolder { folder in
            let path = "\(folder)/keys.json"
            let okta = try provider(["filename": .string(path)])
            var sets = LocalKeySets()
            var taken = sets.take(okta)
            #expect(taken?.set == nil)
            #expect(taken?.problem?.hasPrefix("jwt-provider okta: cannot open \(path)") == true)
            #expect(taken?.problem?.hasSuffix("; no token is good") == true)

            try write(Self.one, path)
            #expect(sets.haveChanged([okta]))
            taken = sets.take(okta)
            #expect(taken?.set?.count == 1 && taken?.problem == nil && taken?.isNew == true)
            #expect(!sets.haveChanged([okta]))
            taken = sets.take(okta)
            #expect(taken?.isNew == false)

            for faulty in ["", "{\"keys\": []}", String(Self.two.dropLast(9))] {
                try write(faulty, path)
                #expect(sets.haveChanged([okta]))
                taken = sets.take(okta)
                #expect(taken?.set?.source == Array(Self.one.utf8))
                #expect(taken?.problem?.hasPrefix("jwt-provider okta: \(path): ") == true)
                #expect(taken?.problem?.hasSuffix("; the keys of before go on") == true)
                #expect(!sets.haveChanged([okta]), "told once")
            }

            try FileManager.default.removeItem(atPath: path)
            #expect(sets.haveChanged([okta]))
            taken = sets.take(okta)
            #expect(taken?.set?.count == 1)
            try write(Self.two, path)
            taken = sets.take(okta)
            #expect(taken?.set?.count == 2)
        }
    }

    @Test func onlyPlainFilesOfSomeSizeAreRead() throws {
        try withFolder { folder in
            let pipe = "\(folder)/pipe"
            #expect(mkfifo(pipe, 0o600) == 0)
            let large = "\(folder)/large"
            try write(String(repeating: " ", count: LocalKeySets.sizeLimit) + Self.one, large)
            for (path, reason) in [
                (folder, "is not a plain file"), (pipe, "is not a plain file"),
                (large, "has more than 1048576 bytes"),
            ] {
                var sets = LocalKeySets()
                let taken = sets.take(try provider(["filename": .string(path)]))
                #expect(taken?.set == nil)
                #expect(taken?.problem?.contains("\(path) \(reason)") == true, "\(reason)")
            }
            try write(Self.two, "\(folder)/behind")
            let link = "\(folder)/link"
            #expect(symlink("behind", link) == 0)
            var sets = LocalKeySets()
            let taken = sets.take(try provider(["filename": .string(link)]))
            #expect(taken?.set?.count == 2, "mounted secrets are links")
        }
    }

    @Test func keysOfEntriesAndElsewhere() throws {
        var sets = LocalKeySets()
        let inline = try provider(["jwks": .string(Self.one)])
        var taken = sets.take(inline)
        #expect(taken?.set?.count == 1)
        #expect(!sets.haveChanged([inline]))
        let remote = try TokenProvider(
            OtherEntry(
                kind: TokenProvider.kind, name: "okta",
                fields: [
                    "json_web_key_set": .object([
                        "remote": .object(["uri": .string("https://issuer.test/keys")])
                    ])
                ]))
        taken = sets.take(remote)
        #expect(taken == nil)
        let faulty = try provider(["jwks": .string("{}")])
        taken = sets.take(faulty)
        #expect(taken?.set == nil, "what was before is forgotten")
        taken = sets.take(inline)
        #expect(taken?.set?.count == 1)
        sets.keep(only: [])
        taken = sets.take(faulty)
        #expect(taken?.set == nil)
    }
}
