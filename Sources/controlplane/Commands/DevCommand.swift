import ArgumentParser

/// `controlplane dev`: everything on loopback with temporary state.
struct DevCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dev", abstract: "Runs a node on loopback to try things out.")

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
