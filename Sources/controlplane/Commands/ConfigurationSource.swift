import Foundation
import MeshConfig
import MeshModel

/// Where the configuration comes from; it can be read again.
struct ConfigurationSource: Sendable {
    var arguments: [String]
    var environment: [String: String] = ProcessInfo.processInfo.environment
    /// Values in place of the table's defaults.
    var defaults: [String: String] = [:]

    /// The configuration with everything its folders hold; throws all that is wrong at once.
    func load() throws -> (configuration: LoadedConfiguration, folders: FolderContents) {
        let loaded = try ConfigLoader(defaults: defaults)
            .load(arguments: arguments, environment: environment)
        let folders = FolderContents.read(loaded.configuration)
        let found =
            Expressions.problems(loaded.configuration)
            + ListenerCertificates.problems(loaded.configuration.listeners) + folders.problems
        guard found.allSatisfy({ $0.severity != .error }) else {
            throw ConfigProblems(problems: loaded.warnings + found)
        }
        return (loaded, folders)
    }
}
