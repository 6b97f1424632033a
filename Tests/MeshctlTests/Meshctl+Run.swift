import Foundation
import Testing

/// The program itself, as a shell runs it.
struct MeshctlRun: Equatable {
    var status: Int32
    var output: String
    var errors: String

    /// It is built into the folder of the test program.
    private static let program = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath()
        .deletingLastPathComponent().appending(path: "meshctl")

    static func run(
        _ arguments: [String], environment: [String: String] = [:], input: String = ""
    ) async throws -> MeshctlRun {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        process.environment = environment
        let (input_, output, errors) = (Pipe(), Pipe(), Pipe())
        process.standardInput = input_
        process.standardOutput = output
        process.standardError = errors
        try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
            process.terminationHandler = { _ in ended.resume() }
            do {
                try process.run()
                // All three pipes hold more than any test here says.
                try input_.fileHandleForWriting.write(contentsOf: Data(input.utf8))
                try input_.fileHandleForWriting.close()
            } catch {
                ended.resume(throwing: error)
            }
        }
        return MeshctlRun(
            status: process.terminationStatus, output: try text(output),
            errors: try text(errors))
    }

    private static func text(_ pipe: Pipe) throws -> String {
        String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    }
}
