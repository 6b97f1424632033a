import MeshModel

/// The tables of keys as text: the handbook's page, and help for the command line.
package enum ConfigReference {
    /// A key that can be given as a flag.
    package struct Flag: Sendable {
        /// Without the leading dashes: `admin.bind-addr`.
        package var flag: String
        package var spec: KeySpec
    }

    /// Every flag, in the order of the tables.
    package static let flags: [Flag] =
        collect(RootKeys.flagsOnly, "config.") + collect(RootKeys.schema, "")

    private static func collect(_ schema: ObjectSchema, _ prefix: String) -> [Flag] {
        schema.keys.flatMap { spec -> [Flag] in
            let name = prefix + spec.name.replacing("_", with: "-")
            if case .object(let inner) = spec.type { return collect(inner, name + ".") }
            return spec.type.fitsFlag ? [Flag(flag: name, spec: spec)] : []
        }
    }

    /// Help for the command line: one flag a line with its default, no line longer than a terminal
    /// of 80 columns shows.
    package static func flagHelp() -> String {
        let width = (flags.map(\.flag.count).max() ?? 0) + 6
        return flags.map { flag in
            let name = "  --\(flag.flag)"
            let pad = String(repeating: " ", count: width - name.count)
            let words = flag.spec.type.words
            let fallback = flag.spec.fallback.map { $0.isEmpty ? "" : "(default \($0))" } ?? ""
            let line = name + pad + words
            if fallback.isEmpty { return line }
            guard line.count + 1 + fallback.count > 80 else { return "\(line) \(fallback)" }
            return line + "\n" + String(repeating: " ", count: width) + fallback
        }.joined(separator: "\n")
    }

    /// The handbook's page of keys.
    package static func markdown() -> String {
        var page = """
            # Configuration keys

            Every key of the configuration file. A key is also a flag: `admin.bind_addr` is
            `--admin.bind-addr`. Flags override the file. Keys are accepted in snake_case and in
            CamelCase. Durations are numbers with units of h, m, s, ms, us or ns: `10s`, `1h30m`.
            Relative paths start at the folder of the file they stand in, those of flags at the
            working folder.

            """
        page += table("Flags that say what to read", "config", RootKeys.flagsOnly)
        page += table("Sections", "", RootKeys.schema)
        for spec in RootKeys.schema.keys {
            if case .object(let schema) = spec.type {
                page += tables("`\(spec.name)`", spec.name, schema)
            }
        }
        page += tables(
            "Services: `services[]`, documents of `services_dir`", "services[]",
            ServiceKeys.schema)
        page += tables("Listeners: `listeners[]`", "listeners[]", ListenerKeys.schema)
        for kind in ConfigEntry.Kind.allCases {
            guard let schema = EntryKeys.schemas[kind] else { continue }
            page += tables("Config entries: `kind: \(kind.rawValue)`", kind.rawValue, schema)
        }
        return page
    }

    /// A table and those of the mappings below it.
    private static func tables(_ title: String, _ path: String, _ schema: ObjectSchema) -> String {
        var text = table(title, path, schema)
        for spec in schema.keys {
            guard let inner = spec.type.schema else { continue }
            let suffix: String
            switch spec.type {
            case .objects: suffix = "[]"
            case .objectMap: suffix = ".<name>"
            default: suffix = ""
            }
            let below = "\(path).\(spec.name)\(suffix)"
            text += tables("`\(below)`", below, inner)
        }
        return text
    }

    private static func table(_ title: String, _ path: String, _ schema: ObjectSchema) -> String {
        var text = "\n## \(title)\n\n"
        text += "| key | value | default | example | meaning |\n|---|---|---|---|---|\n"
        for spec in schema.keys {
            let fallback: String
            switch spec.fallback {
            case nil: fallback = spec.isRequired ? "required" : "not set"
            case "": fallback = "empty"
            case let text?: fallback = "`\(text)`"
            }
            let also =
                spec.aliases.isEmpty ? "" : " (also `\(spec.aliases.joined(separator: "`, `"))`)"
            let cells = [
                "`\(spec.name)`\(also)", spec.type.words, fallback, "`\(spec.example)`", spec.help,
            ]
            text += "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ")
            text += " |\n"
        }
        return text
    }
}
