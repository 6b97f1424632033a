/// An error that ends before a person: what kind of failure, what happened and what to do about it.
///
/// Every room throws this shape. The code is open: a room adds its own as a static member.
package struct MeshError: Error, Sendable {
    /// The kind of a failure, for callers that branch on it and for the API's `code` member.
    package struct Code: RawRepresentable, Hashable, Sendable, Codable {
        package var rawValue: String
        package init(rawValue: String) { self.rawValue = rawValue }

        /// A value breaks a rule; the message says what to write instead.
        package static let invalid = Code(rawValue: "invalid")
        /// The object does not exist.
        package static let notFound = Code(rawValue: "not_found")
        /// The object changed since it was read, or another one holds the name.
        package static let conflict = Code(rawValue: "conflict")
        /// A configuration file owns the object; an API write to it is refused.
        package static let ownedByFile = Code(rawValue: "owned_by_file")
        /// The caller may not do this.
        package static let denied = Code(rawValue: "denied")
        /// Something this operation needs is not there at the moment; trying again may help.
        package static let unavailable = Code(rawValue: "unavailable")
        /// Too many ask at once.
        package static let rateLimited = Code(rawValue: "rate_limited")
        /// The deadline passed.
        package static let timeout = Code(rawValue: "timeout")
        /// An operating system call failed.
        package static let system = Code(rawValue: "system")
    }

    package var code: Code
    package var message: String
    package var cause: (any Error)?

    package init(_ code: Code, _ message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }
}

extension MeshError: CustomStringConvertible {
    package var description: String {
        guard let cause else { return message }
        return "\(message): \(cause)"
    }
}
