import MeshModel

/// The keys of what holds for all managed proxies of a node.
package enum ManagedProxyKeys {
    static let connect = ObjectSchema(
        "connect section",
        [
            .optional(
                "proxy", .object(proxy), example: "{ allow_managed_root: false }",
                "What managed proxies may."),
            .optional(
                "proxy_defaults", .object(defaults), example: "{ command: [my-proxy] }",
                "What holds where a managed proxy says nothing itself."),
        ])

    static let proxy = ObjectSchema(
        "connect.proxy section",
        [
            .key(
                "allow_managed_root", .bool, default: "false",
                "Whether commands are started when the control plane runs as root. Without it "
                    + "none is then, and the proxies stay registered.")
        ])

    static let defaults = ObjectSchema(
        "connect.proxy_defaults section",
        [
            .key(
                "exec_mode", .choice(["", "daemon"]), default: "",
                "How commands are run: as daemons, the only way there is.", example: "daemon"),
            .optional(
                "command", .texts, example: "[/usr/local/bin/my-proxy]",
                "The program and its arguments of proxies that name none.",
                aliases: ["daemon_command"]),
            .optional(
                "config", .dataMap, example: "{ handshake_timeout_ms: 5000 }",
                "Options of proxies that do not have them."),
        ])

    static let ports = ObjectSchema(
        "ports section",
        [
            .key(
                "proxy_min_port", .integer(1...65535), default: "20000",
                "The first port given to managed proxies without `bind_port`."),
            .key(
                "proxy_max_port", .integer(1...65535), default: "20255",
                "The last port given to managed proxies without `bind_port`."),
            .key(
                "expose_min_port", .integer(1...65535), default: "21500",
                "The first port given to paths of checks that sidecars expose: `expose.checks`."),
            .key(
                "expose_max_port", .integer(1...65535), default: "21755",
                "The last port given to paths of checks that sidecars expose."),
            .key(
                "sidecar_min_port", .integer(1...65535), default: "21000",
                "Another place for `mesh.sidecar_min_port`; wins over it where written."),
            .key(
                "sidecar_max_port", .integer(1...65535), default: "21255",
                "Another place for `mesh.sidecar_max_port`; wins over it where written."),
        ])
}
