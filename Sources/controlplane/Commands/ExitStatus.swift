import ArgumentParser
import Foundation
import MeshConfig
import MeshModel
import MeshProcess
import MeshStore

/// Exit statuses, those of sysexits.h where they fit.
enum ExitStatus: Int32 {
    case failure = 1
    case usage = 64
    case unavailable = 69
    case bug = 70
    case locked = 75
    case configuration = 78

    var code: ExitCode { ExitCode(rawValue) }
}

/// Tells people why a command ends, and gives the status that it ends with.
enum Failure {
    static func report(_ error: any Error) -> ExitCode {
        switch error {
        case let code as ExitCode:
            return code
        case let problems as ConfigProblems:
            write("\(problems)")
            return (isUsage(problems) ? ExitStatus.usage : .configuration).code
        case let error as MeshError:
            write("controlplane: \(error)")
            return status(of: error).code
        default:
            write("controlplane: \(error)")
            return ExitStatus.bug.code
        }
    }

    private static func status(of error: MeshError) -> ExitStatus {
        switch error.code {
        case .kernel: .unavailable
        case .locked: .locked
        default: .failure
        }
    }

    /// Whether everything that is wrong is how the command line is written, not what it says.
    static func isUsage(_ problems: ConfigProblems) -> Bool {
        let errors = problems.problems.filter { $0.severity == .error }
        return !errors.isEmpty
            && errors.allSatisfy { problem in
                guard problem.key.isEmpty else { return false }
                guard let location = problem.location else { return true }
                return location.source.hasPrefix("flag --")
            }
    }

    static func write(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}
