import ArgumentParser
import MeshModel

/// What a program learns from the exit code.
enum ExitStatus: Int32 {
    /// Refused or failed; the reason is on standard error. For `intention check`: denied.
    case failed = 1
    /// Committed, but a worker has not acknowledged it in time.
    case late = 4
    /// No control plane could be asked.
    case unreachable = 69
    case bug = 70
    /// The control plane does not let this caller do that.
    case notPermitted = 77

    var code: ExitCode { ExitCode(rawValue) }

    static let help = """
        Exit status: 0 done; 1 refused or failed (`intention check`: denied); 4 committed, but \
        the named worker has not acknowledged it in time; 64 wrong usage; 69 the control plane \
        cannot be reached; 70 a bug; 77 not permitted.
        """

    /// The exit code of an error from the API or the way to it.
    init(of error: MeshError) {
        switch error.code.rawValue {
        case MeshError.Code.unavailable.rawValue, MeshError.Code.timeout.rawValue:
            self = .unreachable
        case "denied": self = .notPermitted
        default: self = .failed
        }
    }
}
