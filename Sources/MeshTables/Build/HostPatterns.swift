/// The hosts that the routes of one table name, and which routes cover each.
struct HostPatterns {
    /// Orders of routes for any host.
    private(set) var anyHost: [Int] = []
    private var exact: [String: [Int]] = [:]
    /// By what follows the star: `.example.com`.
    private var wildcard: [Substring: [Int]] = [:]
    /// Names and `*.suffix`, each once, in order of appearance.
    private(set) var hosts: [String] = []

    /// Notes that route `order` names this host; what is wrong with the name, if anything.
    mutating func add(_ host: String?, order: Int) -> String? {
        guard let host else {
            anyHost.append(order)
            return nil
        }
        var name = host.lowercased()
        if name.hasSuffix("."), name.utf8.count > 1 { name.removeLast() }
        let bare = name.hasPrefix("*.") ? name.dropFirst(2) : name[...]
        guard !bare.isEmpty, name.utf8.count <= 255, !bare.contains("*"),
            !bare.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f || $0 == 0x2f })
        else {
            return "\"\(host)\" is not a host: write example.com or *.example.com"
        }
        let isNew: Bool
        if name.hasPrefix("*.") {
            isNew = wildcard[name.dropFirst()] == nil
            wildcard[name.dropFirst(), default: []].append(order)
        } else {
            isNew = exact[name] == nil
            exact[name, default: []].append(order)
        }
        if isNew { hosts.append(name) }
        return nil
    }

    /// Orders of the routes that cover all that this slot stands for, rising: a host's own routes,
    /// those of every wildcard above it, and those for any host.
    func covering(_ host: String) -> [Int] {
        var lists = [anyHost]
        var rest: Substring
        if host.hasPrefix("*.") {
            rest = host.dropFirst()
            lists.append(wildcard[rest] ?? [])
        } else {
            rest = host[...]
            lists.append(exact[host] ?? [])
        }
        // `*.example.com` covers a.example.com and *.a.example.com, but neither example.com nor
        // itself once more.
        while let dot = rest.dropFirst().firstIndex(of: ".") {
            rest = rest[dot...]
            if let list = wildcard[rest] { lists.append(list) }
        }
        let used = lists.filter { !$0.isEmpty }
        return used.count == 1 ? used[0] : used.flatMap { $0 }.sorted()
    }
}
