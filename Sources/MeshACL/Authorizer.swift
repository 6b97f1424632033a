/// Whether something is allowed, and the rule that decided.
package struct AccessDecision: Sendable, Hashable {
    package var isAllowed: Bool
    /// For people: `key prefix "app/" = read`, `default`.
    package var reason: String
}

/// What is about to be done.
package struct AccessRequest: Sendable, Hashable {
    package enum Kind: Sendable, Hashable {
        case read
        /// Keys that begin with the name.
        case list
        case write
        /// To write whatever begins with the name, as deleting a folder does.
        case writeAll
    }

    package var kind: Kind
    package var subject: AccessSubject
    package var name: String

    package init(_ kind: Kind, _ subject: AccessSubject, _ name: String = "") {
        self.kind = kind
        self.subject = subject
        self.name = name
    }
}

/// What the rules of one token allow.
package struct Authorizer: Sendable, Hashable {
    private let rules: AccessRules
    /// What holds where no rule does.
    private let isDefaultAllow: Bool
    private let isManagement: Bool

    package init(rules: AccessRules, isDefaultAllow: Bool) {
        self.rules = rules
        self.isDefaultAllow = isDefaultAllow
        isManagement = false
    }

    private init() {
        rules = AccessRules()
        isDefaultAllow = true
        isManagement = true
    }

    /// Everything, access control itself included.
    package static let management = Authorizer()

    package func decide(_ request: AccessRequest) -> AccessDecision {
        if isManagement { return AccessDecision(isAllowed: true, reason: "management") }
        if request.kind == .writeAll { return decideWriteAll(request) }
        guard let found = rule(for: request) else {
            // Tokens and policies are never open to everybody, whatever the default is.
            let isOpen = isDefaultAllow && request.subject != .acl
            return AccessDecision(isAllowed: isOpen, reason: "default")
        }
        let suffices =
            switch found.level {
            case .deny: false
            case .read, .list: request.kind != .write
            case .write: true
            }
        return AccessDecision(
            isAllowed: suffices,
            reason: "\(request.subject.rawValue) \(found.rule) = \(found.level.rawValue)")
    }

    package func allows(_ request: AccessRequest) -> Bool { decide(request).isAllowed }

    private func rule(for request: AccessRequest) -> (level: AccessLevel, rule: String)? {
        guard request.subject.hasNames else {
            if let level = rules.whole[request.subject] { return (level, "rule") }
            // Who operates may also look at the mesh and the keyring when they are not named.
            guard request.subject == .keyring || request.subject == .mesh else { return nil }
            return rules.whole[.operator].map { ($0, "rule of operator") }
        }
        return rules.names[request.subject]?.level(of: request.name)
    }

    /// The name's own rule must allow, and no rule below may refuse.
    private func decideWriteAll(_ request: AccessRequest) -> AccessDecision {
        let own = decide(AccessRequest(.write, request.subject, request.name))
        guard own.isAllowed, let names = rules.names[request.subject] else { return own }
        guard let below = names.refusal(below: request.name) else { return own }
        return AccessDecision(
            isAllowed: false,
            reason: "\(request.subject.rawValue) \(below.rule) = \(below.level.rawValue)")
    }

    /// Whether any name of a subject may be read: lists are empty otherwise.
    package func mayReadSome(_ subject: AccessSubject) -> Bool {
        if isManagement || isDefaultAllow { return true }
        return rules.names[subject]?.allowsSome ?? false
    }
}
