import MeshHTTP
import MeshModel
import MeshStore
import Synchronization

/// Answers to those who held the same question and were woken by the same change: made once, for
/// all of them. Nobody else gets them, so that a read which is not held is always made anew.
final class SharedAnswers: Sendable {
    private struct Made {
        var index: Index
        var answer: APIResponse
    }

    /// More are forgotten, all at once: they serve for the moment of one change.
    private static let greatestKept = 256
    private static let greatestBytes = 64 * 1024

    private let made = Mutex<[String: Made]>([:])

    /// What is the same for all who ask the same with the same rights; nil: it is not shared.
    func key(of request: APIRequest, _ store: any StateStore) -> String? {
        guard request.body.isEmpty, request.query.has("index") else { return nil }
        let rights = store.index(of: Watch([.tokens, .policies]))
        let items = request.query.items.filter { $0.name != "index" && $0.name != "wait" }
        return "\(request.path)\n\(items)\n\(rights)\n\(request.token)"
    }

    func answer(_ key: String, at index: Index) -> APIResponse? {
        made.withLock { made in made[key].flatMap { $0.index == index ? $0.answer : nil } }
    }

    /// Gives the answer as it is to be sent, written once.
    func keep(_ answer: APIResponse, _ key: String, at index: Index) -> APIResponse {
        guard case .json(let json) = answer.content, !key.contains("pretty") else { return answer }
        let bytes = json.bytes(pretty: false)
        var written = answer
        written.content = .bytes(bytes, type: "application/json")
        guard bytes.count <= Self.greatestBytes else { return written }
        let kept = Made(index: index, answer: written)
        made.withLock { made in
            if made.count >= Self.greatestKept, made[key] == nil { made.removeAll() }
            made[key] = kept
        }
        return written
    }
}
