import MeshConfig
import MeshModel

/// What `services_dir` and `config_entries_dir` hold.
struct FolderContents: Sendable, Equatable {
    var services: [Owned<ServiceDefinition>] = []
    var entries: [Owned<ConfigEntry>] = []
    var problems: [Problem] = []

    static func read(_ configuration: Configuration) -> FolderContents {
        var contents = FolderContents()
        if let folder = configuration.servicesDir {
            let found = DocumentLoader.loadServices(directory: folder)
            contents.services = found.values
            contents.problems += found.problems
        }
        if let folder = configuration.configEntriesDir {
            let found = DocumentLoader.loadConfigEntries(directory: folder)
            contents.entries = found.values
            contents.problems += found.problems + Expressions.problems(found.values)
        }
        return contents
    }

    /// These contents, with what a faulty file said when it was last sound: a slip of the pen must
    /// not take a running service away.
    func keeping(_ before: FolderContents) -> FolderContents {
        let faulty = Set(
            problems.filter { $0.severity == .error }.compactMap { $0.location?.source })
        var merged = self
        merged.services = Self.merge(before.services, services, faulty, id: \.id)
        merged.entries = Self.merge(before.entries, entries, faulty, id: \.key)
        return merged
    }

    private static func merge<Value: Hashable & Sendable, ID: Hashable>(
        _ before: [Owned<Value>], _ now: [Owned<Value>], _ faulty: Set<String>,
        id: KeyPath<Value, ID>
    ) -> [Owned<Value>] {
        let sound = now.filter { !faulty.contains($0.location.source) }
        let taken = Set(sound.map { $0.value[keyPath: id] })
        // A folder that cannot be read at all is reported under its own name.
        let kept = before.filter { owned in
            faulty.contains {
                owned.location.source == $0 || owned.location.source.hasPrefix($0 + "/")
            }
                && !taken.contains(owned.value[keyPath: id])
        }
        return sound + kept
    }
}
