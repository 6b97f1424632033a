package import MeshModel

extension MeshError.Code {
    /// There is no room left to write; nothing was changed.
    package static let diskFull = Self(rawValue: "disk_full")
    /// Another process holds the database; nothing was changed.
    package static let locked = Self(rawValue: "locked")
    /// A newer version of the program wrote the database.
    package static let newerSchema = Self(rawValue: "newer_schema")
}
