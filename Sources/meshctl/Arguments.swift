import ArgumentParser
import MeshModel

/// What a person typed, in the order in which the parser takes it.
enum Arguments {
    /// Options of the connection, which belong to every command.
    private static let shared: Set<String> = ["--addr", "--token-file"]

    /// Moves the connection's options that stand before the command behind it, so that
    /// `meshctl --addr URL status` means `meshctl status --addr URL`. Whatever follows `--` stays
    /// where it is.
    static func normalized(_ typed: [String]) -> [String] {
        var rest = typed[...]
        var moved: [String] = []
        while let first = rest.first {
            if shared.contains(first), rest.count > 1 {
                moved += rest.prefix(2)
                rest = rest.dropFirst(2)
            } else if shared.contains(where: { first.hasPrefix($0 + "=") }) {
                moved.append(first)
                rest = rest.dropFirst()
            } else {
                break
            }
        }
        guard !rest.isEmpty, !moved.isEmpty else { return typed }
        let end = rest.firstIndex(of: "--") ?? rest.endIndex
        return Array(rest[..<end]) + moved + Array(rest[end...])
    }

    /// What to say about a word where a command is awaited and that is none, but nearly one.
    static func correction(of typed: [String]) -> String? {
        var known = Meshctl.configuration.subcommands
        var path: [String] = []
        for word in typed {
            guard !known.isEmpty, !word.hasPrefix("-") else { return nil }
            let names = known.map(name)
            guard let found = names.firstIndex(of: word) else {
                guard word != "help", let near = Suggestion.nearest(to: word, among: names) else {
                    return nil
                }
                let parent = path.map { $0 + " " }.joined()
                return "there is no command \(parent)\(word): did you mean \(parent)\(near)?"
            }
            path.append(word)
            known = known[found].configuration.subcommands
        }
        return nil
    }

    private static func name(of command: any ParsableCommand.Type) -> String {
        command.configuration.commandName ?? String(describing: command).lowercased()
    }
}
