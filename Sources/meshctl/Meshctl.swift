import ArgumentParser

@main
struct Meshctl: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "meshctl",
        abstract: "Look at and change a Ringmesh node.",
        discussion: """
            Talks to the control plane's admin API, by default over its unix socket on this \
            machine. Changes return when every worker runs them.

            Examples:
              meshctl status
              meshctl --addr http://127.0.0.1:8002 services
              meshctl intention create --allow api web
              meshctl explain GET http://127.0.0.1:9191/orders --from api
              meshctl --generate-completion-script bash > /etc/bash_completion.d/meshctl

            \(ExitStatus.help)
            """,
        version: "meshctl 0.1.0",
        subcommands: [
            StatusCommand.self, ServicesCommand.self, InstancesCommand.self, ServiceCommand.self,
            CheckCommand.self, IntentionCommand.self, RoutesCommand.self, StatsCommand.self,
            TopCommand.self, ChainCommand.self, CertCommand.self, AuthorityCommand.self,
            ExplainCommand.self, LogCommand.self, ProxyCommand.self, DataPlaneCommand.self,
            GenerationsCommand.self,
        ])

    static func main() async {
        let arguments = Arguments.normalized(Array(CommandLine.arguments.dropFirst()))
        if let correction = Arguments.correction(of: arguments) {
            Output.error(correction)
            exit(withError: ExitStatus.usage.code)
        }
        await main(arguments)
    }
}
