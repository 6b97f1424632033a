/// Routes of a router.
extension ConsulChain {
    struct Route: Decodable {
        let definition: Definition
        let next: String

        struct Definition: Decodable {
            let match: Match?
            let destination: Destination?

            private enum CodingKeys: String, CodingKey {
                case match = "Match"
                case destination = "Destination"
            }
        }

        struct Match: Decodable {
            let http: Request?
            private enum CodingKeys: String, CodingKey { case http = "HTTP" }
        }

        private enum CodingKeys: String, CodingKey {
            case definition = "Definition"
            case next = "NextNode"
        }
    }

    /// What a route asks of a request.
    struct Request: Decodable {
        let exact: String?
        let prefix: String?
        let regex: String?
        let anyCase: Bool?
        let methods: [String]?
        let headers: [Field]?
        let parameters: [Field]?

        private enum CodingKeys: String, CodingKey {
            case exact = "PathExact"
            case prefix = "PathPrefix"
            case regex = "PathRegex"
            case anyCase = "CaseInsensitive"
            case methods = "Methods"
            case headers = "Header"
            case parameters = "QueryParam"
        }
    }

    /// A header field or a parameter of the query, and what it must be.
    struct Field: Decodable {
        let name: String
        let exact: String?
        let prefix: String?
        let suffix: String?
        let contains: String?
        let regex: String?
        let invert: Bool?
        let anyCase: Bool?

        private enum CodingKeys: String, CodingKey {
            case name = "Name"
            case exact = "Exact"
            case prefix = "Prefix"
            case suffix = "Suffix"
            case contains = "Contains"
            case regex = "Regex"
            case invert = "Invert"
            case anyCase = "IgnoreCase"
        }
    }

    struct Destination: Decodable {
        let rewrite: String?
        let timeout: Span?
        let idleTimeout: Span?
        let retries: Int?
        let afterConnectFailure: Bool?
        let after: [String]?
        let afterStatuses: [Int]?

        private enum CodingKeys: String, CodingKey {
            case rewrite = "PrefixRewrite"
            case timeout = "RequestTimeout"
            case idleTimeout = "IdleTimeout"
            case retries = "NumRetries"
            case afterConnectFailure = "RetryOnConnectFailure"
            case after = "RetryOn"
            case afterStatuses = "RetryOnStatusCodes"
        }
    }
}

extension ConsulChain.Request {
    /// The same words as `meshctl routes` has.
    var text: String {
        var parts: [String] = []
        if let exact { parts.append("path is \(exact)") }
        if let prefix, prefix != "/" { parts.append("path begins with \(prefix)") }
        if let regex { parts.append("path matches \(regex)") }
        if anyCase == true, let last = parts.popLast() { parts.append("\(last) in any case") }
        if let methods, !methods.isEmpty {
            parts.append("method is " + methods.joined(separator: " or "))
        }
        parts += (headers ?? []).map { $0.text(of: "header") }
        parts += (parameters ?? []).map { $0.text(of: "parameter") }
        return parts.isEmpty ? "any request" : parts.joined(separator: ", ")
    }
}

extension ConsulChain.Field {
    func text(of subject: String) -> String {
        let verbs = [
            (exact, "is"), (prefix, "begins with"), (suffix, "ends with"), (contains, "contains"),
            (regex, "matches"),
        ]
        let wanted = verbs.first { $0.0?.isEmpty == false }
        let verb = wanted.map { "\($0.1) \"\($0.0 ?? "")\"" } ?? "is there"
        return "\(invert == true ? "not: " : "")\(subject) \(name) \(verb)"
            + (anyCase == true ? " in any case" : "")
    }
}

extension ConsulChain.Destination {
    /// What happens to requests of the route besides where they go.
    var texts: [String] {
        var parts: [String] = []
        if let rewrite { parts.append("path becomes \(rewrite)") }
        if let timeout { parts.append("timeout \(timeout.text)") }
        if let idleTimeout { parts.append("idle timeout \(idleTimeout.text)") }
        var reasons = after ?? []
        if afterConnectFailure == true { reasons.append("connect-failure") }
        reasons += (afterStatuses ?? []).map { "\($0)" }
        if let retries { parts.append("retries \(retries)") }
        if !reasons.isEmpty { parts.append("retried after " + reasons.joined(separator: " ")) }
        return parts
    }
}
