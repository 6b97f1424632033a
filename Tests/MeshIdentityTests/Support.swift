import Foundation
import MeshIdentity
import MeshModel
import Testing

/// The same sequence in every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64 = 1) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}

/// A folder that is gone after the test.
final class Folder {
    let path: String

    init() throws {
        var template = Array((NSTemporaryDirectory() + "/mesh-identity-XXXXXX").utf8CString)
        path = try #require(mkdtemp(&template).map { String(cString: $0) })
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ text: String) throws -> String {
        let file = path + "/" + name
        try Data(text.utf8).write(to: URL(fileURLWithPath: file))
        return file
    }
}

/// What a run of Debian's openssl printed (both streams) and how it ended.
func openssl(_ arguments: [String], input: [UInt8] = []) throws -> (status: Int32, text: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
    process.arguments = arguments
    let output = Pipe()
    let feed = Pipe()
    process.standardOutput = output
    process.standardError = output
    process.standardInput = feed
    try process.run()
    try feed.fileHandleForWriting.write(contentsOf: Data(input))
    try feed.fileHandleForWriting.close()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
}

let domain = "11111111-2222-3333-4444-555555555555.consul"
/// openssl compares with the machine's clock, so these tests do as well.
let now = Date.now

func identity(_ service: String, domain name: String = domain) throws -> SpiffeID {
    try SpiffeID("spiffe://\(name)/ns/default/dc/dc1/svc/\(service)")
}

func error(_ body: () throws -> Void) -> MeshError? {
    do {
        try body()
        return nil
    } catch {
        return error as? MeshError
    }
}
