import ArgumentParser
import MeshConfig

/// `controlplane validate`: checks a configuration and prints the effective one.
struct ValidateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Checks a configuration and prints the effective one.",
        usage: "controlplane validate [--config.path FILE] [--KEY VALUE ...]",
        discussion: """
            Starts nothing. Every problem is told at once as file:line:column, with status 78.

            FLAGS OF CONFIGURATION KEYS:
            \(ConfigReference.flagHelp())
            """)

    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp("Flags of configuration keys.", valueName: "flags"))
    var flags: [String] = []

    func run() async throws {
        do {
            let (loaded, folders) = try ConfigurationSource(arguments: flags).load()
            for warning in loaded.warnings + folders.problems { Failure.write("\(warning)") }
            print(loaded.configuration.rendered(), terminator: "")
        } catch {
            throw Failure.report(error)
        }
    }
}
