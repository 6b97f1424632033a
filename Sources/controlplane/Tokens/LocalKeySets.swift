import MeshConfig
import MeshModel
import MeshTokens

/// The key sets that stand in entries and in files of this machine. Of each provider the last one
/// that could be read is kept: a file that is gone or half written takes no keys away.
struct LocalKeySets {
    /// As much as an issuer may answer.
    static let sizeLimit = 1 << 20

    /// What is there: bytes, or the reason why there are none.
    private enum Found: Equatable {
        case bytes([UInt8])
        case nothing(String)

        /// nil: the keys are those of an issuer elsewhere.
        init?(_ keys: TokenProvider.Keys) {
            switch keys {
            case .inline(let text): self = .bytes(Array(text.utf8))
            case .file(let path):
                do {
                    self = .bytes(try Files.readPlain(path, limit: sizeLimit))
                } catch { self = .nothing("\(error)") }
            case .remote: return nil
            }
        }
    }

    private struct Kept {
        var found: Found
        /// The last one that could be read.
        var set: KeySet?
        var problem: String?
    }

    /// What is known of a provider's keys now.
    struct Taken {
        var set: KeySet?
        /// Why the set is the one of before, or none.
        var problem: String?
        /// Whether something else was there than before.
        var isNew: Bool
    }

    private var kept: [String: Kept] = [:]

    /// Reads the provider's keys; nil: they are elsewhere.
    mutating func take(_ provider: TokenProvider) -> Taken? {
        guard let found = Found(provider.keys) else {
            kept[provider.name] = nil
            return nil
        }
        let before = kept[provider.name]
        if let before, before.found == found {
            return Taken(set: before.set, problem: before.problem, isNew: false)
        }
        var now = Kept(found: found, set: before?.set)
        if let reason = Self.read(found, of: provider, into: &now.set) {
            let goesOn = now.set == nil ? "no token is good" : "the keys of before go on"
            now.problem = "jwt-provider \(provider.name): \(reason); \(goesOn)"
        }
        kept[provider.name] = now
        return Taken(set: now.set, problem: now.problem, isNew: true)
    }

    /// Whether what is there is something else than what was taken; nothing is taken.
    func haveChanged(_ providers: [TokenProvider]) -> Bool {
        providers.contains { provider in
            guard case .file = provider.keys else { return false }
            return kept[provider.name]?.found != Found(provider.keys)
        }
    }

    /// Forgets all but those of these providers.
    mutating func keep(only names: Set<String>) {
        kept = kept.filter { names.contains($0.key) }
    }

    /// Why there is no other set now; nil: there is.
    private static func read(
        _ found: Found, of provider: TokenProvider, into set: inout KeySet?
    ) -> String? {
        switch found {
        case .nothing(let reason): return reason
        case .bytes(let bytes):
            do {
                set = try KeySet(bytes)
                return nil
            } catch {
                guard case .file(let path) = provider.keys else { return "\(error)" }
                return "\(path): \(error)"
            }
        }
    }
}
