import ArgumentParser
import MeshAdminAPI
import MeshClient
import MeshModel

/// What a program learns from the exit code.
enum ExitStatus: Int32 {
    /// Refused or failed; the reason is on standard error. For `intention check`: denied.
    case failed = 1
    /// Committed, but a worker has not acknowledged it in time.
    case late = 4
    /// The command line names something that cannot be used.
    case usage = 64
    /// No control plane could be asked.
    case unreachable = 69
    /// Not begun, and worth another try later.
    case later = 75
    /// This caller may not do that.
    case notPermitted = 77

    var code: ExitCode { ExitCode(rawValue) }

    static let help = """
        Exit status: 0 done; 1 refused or failed (`intention check`: denied); 4 committed, but \
        the named worker has not acknowledged it in time; 64 wrong usage; 69 the control plane \
        cannot be reached; 75 not begun, try again later; 77 not permitted.
        """

    /// Of an error on the way to the control plane.
    init(onTheWay error: MeshError) {
        switch error.code {
        case .unavailable, .timeout, .tls: self = .unreachable
        case .denied: self = .notPermitted
        default: self = .failed
        }
    }

    /// Of an error that the control plane answered.
    init(answered report: ErrorReport) {
        self = report.code == MeshError.Code.denied.rawValue ? .notPermitted : .failed
    }

    /// Of a change that the control plane has taken.
    init?(of outcome: ChangeReport.Outcome) {
        switch outcome {
        case .live, .stored: return nil
        case .partial: self = .late
        case .refused: self = .failed
        }
    }
}
