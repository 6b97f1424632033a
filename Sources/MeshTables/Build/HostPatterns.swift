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
        let isLower = !host.utf8.contains { (0x41...0x5a).contains($0) }
        var name = isLower ? host : host.lowercased()
        if name.utf8.last == 0x2e, name.utf8.count > 1 { name.removeLast() }
        let isWildcard = name.utf8.starts(with: "*.".utf8)
        let bare = name.utf8.dropFirst(isWildcard ? 2 : 0)
        let bad = bare.contains { $0 <= 0x20 || $0 == 0x7f || $0 == 0x2f || $0 == 0x2a }
        guard !bare.isEmpty, name.utf8.count <= 255, !bad else {
            return "\"\(host)\" is not a host: write example.com or *.example.com"
        }
        let isNew: Bool
        if isWildcard {
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
        if host.utf8.first == 0x2a {
            rest = host.dropFirst()
            lists.append(wildcard[rest] ?? [])
        } else {
            rest = host[...]
            lists.append(exact[host] ?? [])
        }
        // `*.example.com` covers a.example.com and *.a.example.com, but neither example.com nor
        // itself once more.
        while !wildcard.isEmpty, let dot = rest.utf8.dropFirst().firstIndex(of: 0x2e) {
            rest = rest[dot...]
            if let list = wildcard[rest] { lists.append(list) }
        }
        let used = lists.filter { !$0.isEmpty }
        return used.count == 1 ? used[0] : used.flatMap { $0 }.sorted()
    }
}
