import Foundation
import MeshAdminAPI
import Synchronization

/// What is wrong at the moment and has not been mended: the list that `meshctl status` shows.
final class ProblemBoard: Sendable {
    /// The part that reports.
    enum Part: String, Sendable {
        case store, pipeline, dataplane, config, identity, proxies, agent
    }

    private struct Key: Hashable {
        var part: Part
        var subject: String
    }

    private let entries = Mutex<[Key: ProblemReport]>([:])

    /// Reports a problem; one about the same subject is replaced and keeps its time.
    func set(_ part: Part, _ subject: String, _ message: String) {
        entries.withLock { entries in
            let key = Key(part: part, subject: subject)
            entries[key] = ProblemReport(
                since: entries[key]?.since ?? Date(), subsystem: part.rawValue, message: message)
        }
    }

    /// The subject is in order again.
    func clear(_ part: Part, _ subject: String) {
        entries.withLock { $0[Key(part: part, subject: subject)] = nil }
    }

    /// Makes these the problems of a part's subjects of this kind.
    func replace(_ part: Part, kind: String, _ messages: [String]) {
        entries.withLock { entries in
            let old = entries
            entries = entries.filter {
                $0.key.part != part || !$0.key.subject.hasPrefix(kind + " ")
            }
            for message in messages {
                let key = Key(part: part, subject: "\(kind) \(message)")
                entries[key] = ProblemReport(
                    since: old[key]?.since ?? Date(), subsystem: part.rawValue, message: message)
            }
        }
    }

    /// All problems, the oldest first.
    var all: [ProblemReport] {
        entries.withLock { entries in
            entries.values.sorted {
                ($0.since, $0.subsystem, $0.message) < ($1.since, $1.subsystem, $1.message)
            }
        }
    }
}
