import MeshAuthz
import MeshModel

/// Where tokens stand in requests that are only asked about, as by `meshctl intention why`: what
/// `CSources/table/token.c` does with those that are there.
extension TokenProvider {
    /// The token that a request has for this provider, by the rules of workers.
    func token(_ headers: [RequestFacts.Field], query: String) -> String? {
        for place in places {
            let found: String? =
                switch place.kind {
                case .header: header(place, headers)
                case .query: Self.value(of: place.name, in: query, between: "&")
                case .cookie:
                    headers.filter { $0.name.lowercased() == "cookie" }.lazy
                        .compactMap { Self.value(of: place.name, in: $0.value, between: ";") }.first
                }
            if let found, !found.isEmpty { return found }
        }
        return nil
    }

    private func header(_ place: Place, _ headers: [RequestFacts.Field]) -> String? {
        headers.lazy.filter {
            $0.name.lowercased() == place.name
                && $0.value.lowercased().hasPrefix(place.prefix.lowercased())
        }.map { Self.word($0.value.dropFirst(place.prefix.count)) }.first { !$0.isEmpty }
    }

    private static func value(of name: String, in text: String, between mark: Character) -> String?
    {
        text.split(separator: mark).lazy.map { $0.drop { $0 == " " } }
            .first { $0.hasPrefix("\(name)=") }
            .map { word($0.dropFirst(name.count + 1)) }
    }

    private static func word(_ text: Substring) -> String {
        String(text.drop { $0 == " " || $0 == "\t" }.prefix { $0 > " " && $0 != "," && $0 != ";" })
    }
}
