/// Records of one answer.
struct DNSBuilder {
    let query: DNSQuery
    let settings: DNSSettings
    let serial: UInt32

    private func wants(_ type: UInt16) -> Bool {
        query.type == type || query.type == DNSCode.any
    }

    private func name(_ labels: [String]) -> DNSName? {
        DNSName(labels.map { Array($0.utf8) } + settings.domain.labels)
    }

    private var authority: DNSRecord {
        DNSRecord(
            settings.domain, ttl: 0,
            .soa(
                DNSAuthority(
                    server: name(["ns"]) ?? settings.domain,
                    mailbox: name(["hostmaster"]) ?? settings.domain, serial: serial)))
    }

    /// There is no such name. Who asks may keep that for no time.
    var missing: DNSResponse {
        DNSResponse(.noSuchName, isAuthoritative: true, authorities: [authority])
    }

    /// The answer with these records; without any, the name is there and has none of that type.
    private func found(_ answers: [DNSRecord], _ additional: [DNSRecord] = []) -> DNSResponse {
        DNSResponse(
            .noError, isAuthoritative: true, answers: answers,
            authorities: answers.isEmpty ? [authority] : [], additional: additional)
    }

    var domain: DNSResponse {
        var answers: [DNSRecord] = []
        if wants(DNSCode.soa) { answers.append(authority) }
        if wants(DNSCode.ns) {
            let server =
                name([settings.nodeName, "node", settings.datacenter]) ?? settings.domain
            answers.append(DNSRecord(settings.domain, ttl: settings.nodeTTL, .ns(server)))
        }
        return found(answers)
    }

    /// The record of an address; for a host's name the way on to it. nil for a type that was not
    /// asked for.
    private func record(_ owner: DNSName, _ address: String, ttl: UInt32) -> DNSRecord? {
        if let bytes = IPBytes.parse(address) {
            let isShort = bytes.count == 4
            guard wants(isShort ? DNSCode.a : DNSCode.aaaa) else { return nil }
            return DNSRecord(owner, ttl: ttl, isShort ? .a(bytes) : .aaaa(bytes))
        }
        guard [DNSCode.a, DNSCode.aaaa, DNSCode.cname, DNSCode.any].contains(query.type),
            let target = DNSName(address), !target.labels.isEmpty
        else { return nil }
        return DNSRecord(owner, ttl: ttl, .cname(target))
    }

    func answer(address: String) -> DNSResponse {
        found([record(query.name, address, ttl: settings.nodeTTL)].compactMap { $0 })
    }

    func answer(bytes: [UInt8]) -> DNSResponse {
        let isShort = bytes.count == 4
        guard wants(isShort ? DNSCode.a : DNSCode.aaaa) else { return found([]) }
        return found([
            DNSRecord(
                query.name, ttl: settings.nodeTTL, isShort ? .a(bytes) : .aaaa(bytes))
        ])
    }

    func answer(node: DNSNode) -> DNSResponse {
        var answers = [record(query.name, node.address, ttl: settings.nodeTTL)].compactMap { $0 }
        if wants(DNSCode.txt) { answers += texts(node, owner: query.name) }
        return found(answers)
    }

    /// Metadata as Consul tells it: `key=value`; the value alone for keys that begin so.
    private func texts(_ node: DNSNode, owner: DNSName) -> [DNSRecord] {
        node.meta.sorted { $0.key < $1.key }.map { key, value in
            let text = key.lowercased().hasPrefix("rfc1035-") ? value : "\(key)=\(value)"
            return DNSRecord(owner, ttl: settings.nodeTTL, .txt(Array(text.utf8)))
        }
    }

    func answer(
        instances: [DNSInstance], datacenter: String? = nil, ttl: UInt32? = nil
    ) -> DNSResponse {
        guard !instances.isEmpty else { return missing }
        let ttl = ttl ?? settings.serviceTTL
        guard query.type != DNSCode.srv else {
            return services(instances, datacenter ?? settings.datacenter, ttl)
        }
        var seen: Set<DNSRecord> = []
        var answers: [DNSRecord] = []
        for instance in instances {
            let address = instance.address.isEmpty ? instance.nodeAddress : instance.address
            guard let record = record(query.name, address, ttl: ttl) else { continue }
            // A name has one way on only (RFC 1034 §3.6.2).
            if case .cname = record.content, !answers.isEmpty { continue }
            if case .cname? = answers.first?.content { continue }
            if seen.insert(record).inserted { answers.append(record) }
        }
        guard query.type == DNSCode.any else { return found(answers) }
        let more = services(instances, datacenter ?? settings.datacenter, ttl)
        return found(answers + more.answers, more.additional)
    }

    private func services(
        _ instances: [DNSInstance], _ datacenter: String, _ ttl: UInt32
    ) -> DNSResponse {
        var answers: [DNSRecord] = []
        var additional: [DNSRecord] = []
        var seen: Set<DNSRecord> = []
        for instance in instances {
            guard let target = target(of: instance, datacenter) else { continue }
            let weight = UInt16(clamping: instance.weight)
            let record = DNSRecord(
                query.name, ttl: ttl,
                .srv(priority: 1, weight: weight, port: instance.port, target: target))
            guard seen.insert(record).inserted else { continue }
            answers.append(record)
            let address = instance.address.isEmpty ? instance.nodeAddress : instance.address
            guard let bytes = IPBytes.parse(address) else { continue }
            let owned = DNSRecord(target, ttl: ttl, bytes.count == 4 ? .a(bytes) : .aaaa(bytes))
            if seen.insert(owned).inserted { additional.append(owned) }
        }
        return found(answers, additional)
    }

    /// The name of an instance's host: its node's, unless it has an address of its own.
    private func target(of instance: DNSInstance, _ datacenter: String) -> DNSName? {
        if instance.address.isEmpty {
            return name(
                instance.node.split(separator: ".").map(String.init) + ["node", datacenter])
        }
        guard let bytes = IPBytes.parse(instance.address) else {
            return DNSName(instance.address).flatMap { $0.labels.isEmpty ? nil : $0 }
        }
        let digits = bytes.map { byte in
            let text = String(byte, radix: 16)
            return text.count == 1 ? "0" + text : text
        }.joined()
        return name([digits, "addr", datacenter])
    }

}
