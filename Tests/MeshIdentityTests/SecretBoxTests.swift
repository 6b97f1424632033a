import Foundation
import MeshIdentity
import MeshModel
import Testing

@Suite struct SecretBoxTests {
    private let box: SecretBox
    private let secret = SecretBytes(Array("a private key".utf8))

    init() throws { box = try SecretBox(key: SecretBytes(0..<32)) }

    @Test func whatWasSealedOpensUnderTheSameNameOnly() throws {
        let sealed = try box.seal(secret, name: "leaf/web")
        #expect(sealed.count == secret.exposed.count + SecretBox.overheadBytes)
        #expect(try box.open(sealed, name: "leaf/web") == secret)
        #expect(error { _ = try box.open(sealed, name: "leaf/api") }?.code == .corrupt)
        #expect(!Data(sealed).contains(Data(secret.exposed)))
        #expect(try box.seal(secret, name: "leaf/web") != sealed)
        let nothing = try box.seal(SecretBytes([]), name: "")
        #expect(try box.open(nothing, name: "").exposed.isEmpty)
    }

    @Test func everyChangedOrMissingByteIsNoticed() throws {
        let sealed = try box.seal(secret, name: "n")
        for position in sealed.indices {
            var changed = sealed
            changed[position] ^= 0x01
            #expect(throws: MeshError.self, "byte \(position)") {
                try box.open(changed, name: "n")
            }
        }
        for count in 0..<sealed.count {
            #expect(throws: MeshError.self, "\(count) bytes") {
                try box.open(Array(sealed.prefix(count)), name: "n")
            }
        }
        #expect(throws: MeshError.self) { try box.open(sealed + [0], name: "n") }
    }

    @Test func anotherKeyIsToldFromDamage() throws {
        let sealed = try box.seal(secret, name: "n")
        let other = try SecretBox(key: SecretBytes(1..<33))
        let refusal = error { _ = try other.open(sealed, name: "n") }
        #expect(refusal?.code == .wrongKey)
        #expect(refusal?.message.contains("store.key_file") == true)
    }

    @Test func aNewerFormIsToldFromDamage() throws {
        var sealed = try box.seal(secret, name: "n")
        sealed[4] = 2
        let refusal = error { _ = try box.open(sealed, name: "n") }
        #expect(refusal?.code == .invalid)
        #expect(refusal?.message.contains("newer") == true)
    }

    @Test(arguments: [0, 16, 31, 33]) func keysOfOtherSizesAreRefused(size: Int) {
        #expect(throws: MeshError.self) {
            try SecretBox(key: SecretBytes([UInt8](repeating: 1, count: size)))
        }
    }
}

@Suite struct SecretKeyFileTests {
    private let folder: Folder
    private let path: String

    init() throws {
        folder = try Folder()
        path = folder.path + "/store.key"
    }

    private func create() throws -> SecretBytes {
        var random = SystemRandomNumberGenerator()
        return try SecretKeyFile.loadOrCreate(path: path, using: &random)
    }

    private func mode() throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test func theFileIsMadeOncePrivateAndReadBack() throws {
        let old = umask(0)
        defer { umask(old) }
        let key = try create()
        #expect(key.exposed.count == 32)
        #expect(try mode() == 0o600)
        #expect(try create() == key)
        #expect(try SecretKeyFile.load(path: path) == key)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["store.key"])
    }

    @Test(arguments: [0o640, 0o604, 0o602, 0o660, 0o777])
    func aFileThatOthersCanReachIsRefused(permissions: Int) throws {
        _ = try create()
        #expect(chmod(path, mode_t(permissions)) == 0)
        let refusal = error { _ = try create() }
        #expect(refusal?.code == .invalid)
        #expect(refusal?.message.contains("chmod 600 \(path)") == true)
    }

    @Test(arguments: [0o600, 0o400]) func privateModesAreAccepted(permissions: Int) throws {
        _ = try create()
        #expect(chmod(path, mode_t(permissions)) == 0)
        #expect(throws: Never.self) { try create() }
    }

    @Test(arguments: [
        "", "ringmesh-store-key-1", "ringmesh-store-key-1 AAAA", "other-key AAAA",
        "ringmesh-store-key-1 \(String(repeating: "A", count: 43))= x",
        "ringmesh-store-key-1 \(String(repeating: "?", count: 44))",
    ])
    func aDamagedFileIsNeverReplaced(text: String) throws {
        _ = try folder.write("store.key", text)
        #expect(chmod(path, 0o600) == 0)
        #expect(error { _ = try create() }?.code == .corrupt)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    }

    @Test func linksAndFoldersAreNotKeys() throws {
        let target = try folder.write("target", "x")
        #expect(symlink(target, path) == 0)
        #expect(throws: MeshError.self) { try create() }
        #expect(throws: MeshError.self) { try SecretKeyFile.load(path: folder.path) }
    }

    @Test func aMissingFolderIsAClearError() throws {
        var random = SystemRandomNumberGenerator()
        let refusal = error {
            _ = try SecretKeyFile.loadOrCreate(
                path: folder.path + "/no/store.key", using: &random)
        }
        #expect(refusal?.message.contains("No such file or directory") == true)
    }
}
