import MeshConfig

/// The part of `--help` that lists the flags of the configuration's keys.
enum FlagHelp {
    static let text = """
        The configuration is YAML or JSON; `controlplane validate` checks it and prints what is in \
        effect. SIGHUP reads it again, SIGTERM ends the node once traffic has drained.

        FLAGS OF CONFIGURATION KEYS:
        \(ConfigReference.flagHelp())
        """
}
