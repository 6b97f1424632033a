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
}
