import MeshModel

extension HTTPMatch {
    /// What two criteria on one request amount to.
    enum Conjunction: Equatable {
        case match(HTTPMatch)
        /// No request meets both.
        case never
        /// It cannot be written as one criterion.
        case impossible(String)
    }

    /// The criterion that holds where both do.
    func both(_ other: HTTPMatch) -> Conjunction {
        if isEmpty { return .match(other) }
        if other.isEmpty { return .match(self) }
        var result = self
        result.headers += other.headers
        result.query += other.query
        if methods.isEmpty {
            result.methods = other.methods
        } else if !other.methods.isEmpty {
            let wanted = Set(other.methods.map { $0.uppercased() })
            result.methods = methods.filter { wanted.contains($0.uppercased()) }
            if result.methods.isEmpty { return .never }
        }
        guard let theirs = other.path else { return .match(result) }
        guard let ours = path else {
            result.path = theirs
            result.caseInsensitive = other.caseInsensitive
            return .match(result)
        }
        guard caseInsensitive == other.caseInsensitive else {
            return .impossible("one path is compared with regard to case, the other without")
        }
        return Self.both(ours, theirs, ignoringCase: caseInsensitive, result)
    }

    private static func both(
        _ left: PathMatch, _ right: PathMatch, ignoringCase: Bool, _ rest: HTTPMatch
    ) -> Conjunction {
        func fold(_ text: String) -> String { ignoringCase ? text.lowercased() : text }
        var result = rest
        switch (left, right) {
        case (.regex(let one), .regex(let two)) where one == two:
            result.path = left
        case (.regex, _), (_, .regex):
            return .impossible("two path criteria, one of them an expression, cannot be joined")
        case (.prefix(let one), .prefix(let two)):
            if fold(two).hasPrefix(fold(one)) {
                result.path = right
            } else if fold(one).hasPrefix(fold(two)) {
                result.path = left
            } else {
                return .never
            }
        case (.exact(let exact), .prefix(let prefix)), (.prefix(let prefix), .exact(let exact)):
            guard fold(exact).hasPrefix(fold(prefix)) else { return .never }
            result.path = .exact(exact)
        case (.exact(let one), .exact(let two)):
            guard fold(one) == fold(two) else { return .never }
            result.path = left
        }
        return .match(result)
    }
}
