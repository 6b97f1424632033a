import ArgumentParser

/// `controlplane server`: a node of the product, in the foreground.
struct ServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Runs a node: whatever its configuration names.",
        usage: "controlplane server [--config.path FILE] [--KEY VALUE ...]",
        discussion: FlagHelp.text)

    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp("Flags of configuration keys.", valueName: "flags"))
    var flags: [String] = []

    func run() async throws {
        do {
            try await Node.run(ConfigurationSource(arguments: flags))
        } catch {
            throw Failure.report(error)
        }
    }
}
