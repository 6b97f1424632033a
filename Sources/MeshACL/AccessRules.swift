import MeshModel

/// How much is allowed. `list` is for keys only.
package enum AccessLevel: String, Sendable, Hashable, CaseIterable {
    case deny
    case read
    case list
    case write

    /// Which of two rules for the same name wins: to deny, then to allow the most.
    private var force: Int {
        switch self {
        case .read: 0
        case .list: 1
        case .write: 2
        case .deny: 3
        }
    }

    func merged(with other: AccessLevel) -> AccessLevel { force >= other.force ? self : other }
}

/// What rules speak of.
package enum AccessSubject: String, Sendable, Hashable, CaseIterable {
    // With names.
    case agent
    case event
    case intention
    case key
    case node
    case query
    case service
    case session
    // Without.
    case acl
    case keyring
    case mesh
    case `operator`

    package var hasNames: Bool {
        switch self {
        case .agent, .event, .intention, .key, .node, .query, .service, .session: true
        case .acl, .keyring, .mesh, .operator: false
        }
    }
}

/// What rules say, read and checked: for every subject the names that are meant exactly, and those
/// that begin names.
package struct AccessRules: Sendable, Hashable {
    var names: [AccessSubject: RuledNames] = [:]
    var whole: [AccessSubject: AccessLevel] = [:]

    package init() {}

    /// Several documents as one: of rules for the same name the strictest denies, else the widest
    /// allows.
    package init(merging all: [AccessRules]) {
        for rules in all {
            for (subject, names) in rules.names {
                self.names[subject, default: .init(subject)].merge(names)
            }
            for (subject, level) in rules.whole { add(level, subject) }
        }
    }

    mutating func add(_ level: AccessLevel, _ subject: AccessSubject) {
        whole[subject] = whole[subject].map { $0.merged(with: level) } ?? level
    }

    mutating func add(
        _ level: AccessLevel, _ subject: AccessSubject, _ name: String, isPrefix: Bool
    ) {
        names[subject, default: .init(subject)].add(level, name, isPrefix: isPrefix)
    }
}

extension AccessRules {
    /// Reads rules in Consul's language, HCL or JSON; throws what is wrong and where. A name or a
    /// member that no rule has is refused: what is misspelt would else allow or deny unseen.
    package init(parsing text: String) throws(RuleError) {
        for item in try RuleParser.parse(text) { try read(item) }
    }

    private mutating func read(_ item: RuleItem) throws(RuleError) {
        let isPrefix = item.key.hasSuffix("_prefix")
        let name = isPrefix ? String(item.key.dropLast("_prefix".count)) : item.key
        guard let subject = AccessSubject(rawValue: name), subject != .intention,
            subject.hasNames || !isPrefix
        else { throw RuleError(place: item.place, text: "there are no rules for \(item.key)") }
        guard subject.hasNames else {
            guard item.labels.isEmpty, case .text(let text, let place) = item.value else {
                throw RuleError(
                    place: item.place,
                    text: "\(item.key) has one level for all: \(item.key) = \"read\"")
            }
            add(try Self.level(text, subject, place), subject)
            return
        }
        switch (item.labels.count, item.value) {
        case (1, .object(let members, let place)):
            try read(subject, item.labels[0], isPrefix, members, place)
        case (0, let value): try readNested(subject, isPrefix, value, item)
        default:
            throw RuleError(
                place: item.place,
                text: "\(item.key) needs one name and a block: "
                    + "\(item.key) \"\" { policy = \"read\" }")
        }
    }

    /// `service = { web = { policy = … } }`, as JSON has it, also as a list of such objects.
    private mutating func readNested(
        _ subject: AccessSubject, _ isPrefix: Bool, _ value: RuleValue, _ item: RuleItem
    ) throws(RuleError) {
        switch value {
        case .list(let values, _):
            for value in values { try readNested(subject, isPrefix, value, item) }
        case .object(let members, _):
            for member in members {
                var parts = [member.value]
                if case .list(let list, _) = member.value { parts = list }
                for part in parts {
                    guard member.labels.isEmpty, case .object(let inner, let place) = part else {
                        throw RuleError(
                            place: member.place,
                            text: "\(item.key) \(GoText.quoted(member.key)) needs a block with "
                                + "its policy")
                    }
                    try read(subject, member.key, isPrefix, inner, place)
                }
            }
        case .text, .word:
            throw RuleError(
                place: value.place, text: "\(item.key) needs names, each with its policy")
        }
    }

    private mutating func read(
        _ subject: AccessSubject, _ name: String, _ isPrefix: Bool, _ members: [RuleItem],
        _ place: RulePlace
    ) throws(RuleError) {
        var policy: AccessLevel?
        var intentions: AccessLevel?
        for member in members {
            guard member.labels.isEmpty, case .text(let text, let place) = member.value else {
                throw RuleError(
                    place: member.place, text: "\(member.key) is a level: read, write or deny")
            }
            switch member.key {
            case "policy": policy = try Self.level(text, subject, place)
            case "intentions" where subject == .service:
                intentions = try Self.level(text, subject, place)
            default:
                throw RuleError(
                    place: member.place, text: "rules for \(subject.rawValue) have no \(member.key)"
                )
            }
        }
        guard let policy else {
            throw RuleError(place: place, text: "a block without its policy")
        }
        add(policy, subject, name, isPrefix: isPrefix)
        guard subject == .service else { return }
        // Who may know a service may know who calls it, unless it is said otherwise.
        let implied: AccessLevel = policy == .deny ? .deny : .read
        add(intentions ?? implied, .intention, name, isPrefix: isPrefix)
    }

    private static func level(
        _ text: String, _ subject: AccessSubject, _ place: RulePlace
    ) throws(RuleError) -> AccessLevel {
        guard let level = AccessLevel(rawValue: text), level != .list || subject == .key else {
            let known = subject == .key ? "deny, read, list or write" : "deny, read or write"
            throw RuleError(place: place, text: "\(GoText.quoted(text)) is no level: \(known)")
        }
        return level
    }
}
