import MeshHTTP
import MeshModel
import MeshStore
import Synchronization

/// Answers to those who held the same question and were woken by the same change: made once, for
/// all of them. Nobody else gets them, so that a read which is not held is always made anew.
final class SharedAnswers: Sendable {
    /// What is the same for all who ask the same with the same rights.
    struct Key: Hashable, Sendable {
        private let target: String
        private let token: String?
        private let bearer: String?
        /// The last change of what tokens may do.
        private let rights: Index

        /// nil: its answer is nobody else's.
        init?(_ request: ServerRequest, _ store: any StateStore) {
            guard request.method == "GET", request.body.isEmpty,
                !QueryItems(request.query).has("cached")
            else { return nil }
            target = request.target
            token = request.headers["X-Consul-Token"]
            bearer = request.headers["Authorization"]
            rights = store.index(of: Watch([.tokens, .policies]))
        }
    }

    private struct Made {
        var index: Index
        var answer: ServerResponse
    }

    /// More are forgotten, all at once: they serve for the moment of one change.
    private static let greatestKept = 256
    private static let greatestBytes = 64 * 1024

    private let made = Mutex<[Key: Made]>([:])

    func answer(_ key: Key, at index: Index) -> ServerResponse? {
        made.withLock { made in made[key].flatMap { $0.index == index ? $0.answer : nil } }
    }

    func keep(_ answer: ServerResponse, _ key: Key, at index: Index) {
        guard answer.body.count <= Self.greatestBytes else { return }
        made.withLock { made in
            if made.count >= Self.greatestKept, made[key] == nil { made.removeAll() }
            made[key] = Made(index: index, answer: answer)
        }
    }
}
