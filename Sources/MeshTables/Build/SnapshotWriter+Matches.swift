import CMeshABI
import MeshModel

extension SnapshotWriter {
    /// What a request's path must be, as records have it.
    struct PathRecord {
        var kind = UInt8(ABI_PATH_ANY.rawValue)
        var text = abi_text()
        var automaton = UInt32.max
    }

    /// Without regard to case, texts become automata too.
    mutating func path(of match: HTTPMatch, _ name: @autoclosure () -> String) -> PathRecord {
        var record = PathRecord()
        switch match.path {
        case nil: break
        case .exact(let text):
            record = path(text, isPrefix: false, ignoreCase: match.caseInsensitive, name())
        case .prefix(let text):
            record = path(text, isPrefix: true, ignoreCase: match.caseInsensitive, name())
        case .regex(let pattern):
            if pattern.isEmpty { refuse("\(name()): the expression for the path is empty") }
            record.kind = UInt8(ABI_PATH_REGEX.rawValue)
            record.text = place(pattern, "the path of \(name())")
            record.automaton = index(
                ofExpression: pattern, ignoreCase: match.caseInsensitive,
                "\(name()): path_regex \"\(pattern)\"")
        }
        return record
    }

    private mutating func path(
        _ text: String, isPrefix: Bool, ignoreCase: Bool, _ name: @autoclosure () -> String
    ) -> PathRecord {
        if !Self.isPath(text) {
            refuse("\(name()): the path \"\(text)\" does not begin with '/', or has blanks")
        }
        var record = PathRecord()
        record.text = place(text, "the path of \(name())")
        record.kind = UInt8((isPrefix ? ABI_PATH_PREFIX : ABI_PATH_EXACT).rawValue)
        if ignoreCase {
            record.kind = UInt8(ABI_PATH_REGEX.rawValue)
            do {
                record.automaton = index(
                    of: try memory.expressions.compiledText(text, isPrefix: isPrefix))
            } catch { refuse("\(name()): \(error)") }
        }
        return record
    }

    /// The set of methods; empty = any. Methods without a number cannot be told apart.
    mutating func methods(_ names: [String], _ what: @autoclosure () -> String) -> UInt32 {
        var set: UInt32 = 0
        for name in names {
            guard let number = Self.methodNumbers[name.uppercased()] else {
                refuse(
                    "\(what()): the method \(name) cannot be matched: use "
                        + Self.methodNumbers.keys.sorted().joined(separator: ", "))
                continue
            }
            set |= 1 << number
        }
        return set
    }

    /// `enum abi_method` by name.
    static let methodNumbers: [String: UInt32] = [
        "GET": ABI_METHOD_GET.rawValue, "HEAD": ABI_METHOD_HEAD.rawValue,
        "POST": ABI_METHOD_POST.rawValue, "PUT": ABI_METHOD_PUT.rawValue,
        "DELETE": ABI_METHOD_DELETE.rawValue, "CONNECT": ABI_METHOD_CONNECT.rawValue,
        "OPTIONS": ABI_METHOD_OPTIONS.rawValue, "TRACE": ABI_METHOD_TRACE.rawValue,
        "PATCH": ABI_METHOD_PATCH.rawValue,
    ]

    mutating func matches(of match: HTTPMatch, _ name: @autoclosure () -> String) -> abi_ref {
        let count = match.headers.count + match.query.count
        if count == 0 { return abi_ref() }
        let at = UInt32(out.matches.count)
        for header in match.headers {
            if !HTTPToken.isToken(header.name) {
                refuse("\(name()): \"\(header.name)\" is not a header name")
            }
            write(
                header.match, subject: UInt8(ABI_MATCH_HEADER.rawValue),
                name: header.name.lowercased(), flags: (header.invert, header.ignoreCase),
                "\(name()): header \(header.name)")
        }
        for parameter in match.query {
            if parameter.name.isEmpty { refuse("\(name()): a query parameter without a name") }
            write(
                parameter.match, subject: UInt8(ABI_MATCH_QUERY.rawValue), name: parameter.name,
                flags: (false, false), "\(name()): query parameter \(parameter.name)")
        }
        return abi_ref(at: at, count: UInt32(count))
    }

    private mutating func write(
        _ match: TextMatch, subject: UInt8, name: String,
        flags: (invert: Bool, ignoreCase: Bool), _ what: String
    ) {
        var record = abi_match()
        record.subject = subject
        record.name = place(name, what)
        record.invert = flags.invert ? 1 : 0
        record.ignore_case = flags.ignoreCase ? 1 : 0
        record.dfa = UInt32.max
        let kind: abi_match_kind
        switch match {
        case .present:
            kind = ABI_MATCH_PRESENT
            record.ignore_case = 0
        case .exact(let text):
            kind = ABI_MATCH_EXACT
            record.value = place(text, what)
        case .prefix(let text):
            kind = ABI_MATCH_PREFIX
            record.value = place(text, what)
        case .suffix(let text):
            kind = ABI_MATCH_SUFFIX
            record.value = place(text, what)
        case .contains(let text):
            kind = ABI_MATCH_CONTAINS
            record.value = place(text, what)
        case .regex(let pattern):
            kind = ABI_MATCH_REGEX
            record.value = place(pattern, what)
            record.ignore_case = 0
            record.dfa = index(
                ofExpression: pattern, ignoreCase: flags.ignoreCase,
                "\(what): regex \"\(pattern)\"")
        }
        record.kind = UInt8(kind.rawValue)
        out.matches.append(record)
    }
}
