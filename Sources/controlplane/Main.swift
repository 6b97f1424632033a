import ArgumentParser

/// The control plane: decides what the data plane of this node does.
@main
struct ControlPlane: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "controlplane",
        abstract: "The control plane of a Ringmesh node.",
        discussion: """
            Without a command it runs a node, as `controlplane server` does. Every key of the \
            configuration file is a flag too: `admin.bind_addr` is --admin.bind-addr. Flags \
            override the file.

            Exit status: 0 ended as told, 64 wrong usage, 69 the kernel lacks something that the \
            data plane needs, 70 a fault of the program, 78 a configuration that cannot be \
            started; 1 for everything else, with the reason on standard error.
            """,
        version: Version.text,
        subcommands: [
            ServerCommand.self, DevCommand.self, SidecarCommand.self, ValidateCommand.self,
        ],
        defaultSubcommand: ServerCommand.self)
}

enum Version {
    static let text = "0.1.0"
}
