/// How a text is compared.
package enum TextMatch: Hashable, Sendable, Codable {
    /// The value is there, whatever it is.
    case present
    case exact(String)
    case prefix(String)
    case suffix(String)
    case contains(String)
    /// RE2 syntax; the whole value must match.
    case regex(String)
}

/// A criterion on one request header.
package struct HeaderMatch: Hashable, Sendable, Codable {
    /// The header's name, compared without regard to case.
    package var name: String
    package var match: TextMatch
    package var ignoreCase: Bool
    /// Whether the criterion holds when the comparison fails.
    package var invert: Bool

    package init(
        name: String, match: TextMatch, ignoreCase: Bool = false, invert: Bool = false
    ) {
        self.name = name
        self.match = match
        self.ignoreCase = ignoreCase
        self.invert = invert
    }

    package enum CodingKeys: String, CodingKey {
        case name, match
        case ignoreCase = "ignore_case"
        case invert
    }
}

/// A criterion on one query parameter: present, exact or regex.
package struct QueryMatch: Hashable, Sendable, Codable {
    package var name: String
    package var match: TextMatch

    package init(name: String, match: TextMatch) {
        self.name = name
        self.match = match
    }
}

/// A criterion on the path of a request, without its query.
package enum PathMatch: Hashable, Sendable, Codable {
    case exact(String)
    /// A plain string prefix: `/pay` covers `/payroll`.
    case prefix(String)
    /// RE2 syntax; the whole path must match.
    case regex(String)
}

/// Criteria on a request. All of them must hold; an empty one covers every request.
package struct HTTPMatch: Hashable, Sendable, Codable {
    package var path: PathMatch?
    /// Whether the path is compared without regard to case.
    package var caseInsensitive: Bool
    package var headers: [HeaderMatch]
    package var query: [QueryMatch]
    /// Upper-case methods, any of which will do; empty for all.
    package var methods: [String]

    package init(
        path: PathMatch? = nil, caseInsensitive: Bool = false, headers: [HeaderMatch] = [],
        query: [QueryMatch] = [], methods: [String] = []
    ) {
        self.path = path
        self.caseInsensitive = caseInsensitive
        self.headers = headers
        self.query = query
        self.methods = methods
    }

    /// Whether there is no criterion at all.
    package var isEmpty: Bool {
        path == nil && headers.isEmpty && query.isEmpty && methods.isEmpty
    }

    package enum CodingKeys: String, CodingKey {
        case path
        case caseInsensitive = "case_insensitive"
        case headers, query, methods
    }
}

/// Characters of an RFC 9110 token: method and header names.
package enum HTTPToken {
    /// Whether the text is a token of 1 to 256 bytes.
    package static func isToken(_ text: String) -> Bool {
        (1...256).contains(text.utf8.count)
            && text.unicodeScalars.allSatisfy {
                NameRule.isAlphanumeric($0) || "!#$%&'*+-.^_`|~".unicodeScalars.contains($0)
            }
    }

    /// Headers that frame a message, name its hop or tell who forwarded it: the data plane writes
    /// them by itself, and no rule changes them.
    private static let managed: Set<String> = [
        "connection", "content-length", "expect", "forwarded", "host", "http2-settings",
        "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
        "trailer", "transfer-encoding", "upgrade", "via", "x-forwarded-for", "x-forwarded-host",
        "x-forwarded-port", "x-forwarded-proto",
    ]

    /// Says what is wrong with the name of a header that a rule adds, sets or removes.
    package static func checkRuled(_ name: String, _ checks: inout FieldChecks, _ path: [FieldStep])
    {
        guard isToken(name) else { return checks.fail(path, "this is not a header name") }
        checks.require(
            !managed.contains(name.lowercased()), path,
            "the data plane writes this header by itself: leave it out")
    }

    /// Whether the text can stand as a header's value: no control characters other than tab.
    package static func isFieldValue(_ text: String) -> Bool {
        text.utf8.count <= 8192
            && text.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7f) }
    }
}

extension PathMatch {
    /// The document's key for this form, and its text.
    package var keyed: (key: String, text: String) {
        switch self {
        case .exact(let text): ("path_exact", text)
        case .prefix(let text): ("path_prefix", text)
        case .regex(let text): ("path_regex", text)
        }
    }
}

extension HTTPMatch: Validated {
    package func validate(_ checks: inout FieldChecks) {
        if let (key, text) = path?.keyed {
            if case .regex = path {
                checks.require(!text.isEmpty, [.key(key)], "the expression is empty")
            } else {
                checks.require(
                    text.hasPrefix("/"), [.key(key)],
                    "\(NameRule.quoted(text)) doesn't start with '/'")
            }
        }
        for (index, header) in headers.enumerated() {
            checks.require(
                HTTPToken.isToken(header.name), ["headers", .index(index), "name"],
                header.name.isEmpty
                    ? "missing required Name field"
                    : "\(NameRule.quoted(header.name)) is not a header name")
        }
        for (index, parameter) in query.enumerated() {
            checks.require(
                !parameter.name.isEmpty, ["query", .index(index), "name"],
                "missing required Name field")
        }
        var seen: Set<String> = []
        for (index, method) in methods.enumerated() {
            checks.require(
                HTTPToken.isToken(method), ["methods", .index(index)],
                "\(NameRule.quoted(method)) is not a method: write for example GET")
            checks.require(
                seen.insert(method.uppercased()).inserted, ["methods", .index(index)],
                "\(method) is listed twice")
        }
    }
}
