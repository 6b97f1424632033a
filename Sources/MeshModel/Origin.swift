/// Who owns an object. What a file owns can only be changed in the file.
package enum Origin: Hashable, Sendable, Codable {
    /// Written in a configuration file or in a folder of documents.
    case file(SourceLocation)
    /// Written over the API; `node` is where.
    case api
    /// Made by the program itself, for example the sidecar that a service definition asks for.
    case derived

    /// Whether an API write may change or delete the object.
    package var acceptsWrites: Bool {
        switch self {
        case .file, .derived: false
        case .api: true
        }
    }

    /// The refusal of an API write to this object, or nil when the write may go on.
    package func refusal(of subject: String) -> MeshError? {
        switch self {
        case .api: nil
        case .file(let location):
            MeshError(
                .ownedByFile,
                "\(subject) is defined in \(location): change it there, or remove it from the file")
        case .derived:
            MeshError(
                .ownedByFile,
                "\(subject) follows from another definition: change that definition instead")
        }
    }
}

extension Origin: CustomStringConvertible {
    package var description: String {
        switch self {
        case .file(let location): "\(location)"
        case .api: "api"
        case .derived: "derived"
        }
    }
}
