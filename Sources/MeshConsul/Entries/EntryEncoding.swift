import MeshModel
import MeshStore

// Config entries as Consul's answers have them: what is empty is left out.

extension ConfigEntryRecord {
    var json: JSON {
        guard case .object(let members) = entry.json else { return entry.json }
        return .object(
            members + [
                .init("CreateIndex", .number(createIndex.value)),
                .init("ModifyIndex", .number(modifyIndex.value)),
            ])
    }
}

extension ConfigEntry {
    fileprivate var json: JSON {
        let body: [JSON.Member] =
            switch self {
            case .serviceDefaults(let entry): entry.members
            case .proxyDefaults(let entry): entry.members
            case .serviceRouter(let entry): entry.members
            case .serviceSplitter(let entry): entry.members
            case .serviceResolver(let entry): entry.members
            case .serviceIntentions(let entry): entry.members
            case .ingressGateway(let entry): entry.members
            case .terminatingGateway(let entry): entry.members
            case .other(let entry): entry.members
            }
        let head: [JSON.Member] = [.init("Kind", .string(kind)), .init("Name", .string(name))]
        return .object(head + body)
    }
}

/// Members, those that are nil left out.
func present(_ members: KeyValuePairs<String, JSON?>) -> [JSON.Member] {
    members.compactMap { name, value in value.map { JSON.Member(name, $0) } }
}

func text(_ value: String?) -> JSON? { value.nonEmpty.map { .string($0) } }
private func span(_ value: MeshDuration?) -> JSON? {
    value.flatMap { $0 == .zero ? nil : .string($0.goText) }
}
func number(_ value: Int?) -> JSON? { value.flatMap { $0 == 0 ? nil : .number($0) } }
private func flag(_ value: Bool) -> JSON? { value ? true : nil }
func labels(_ value: [String: String]) -> JSON? { value.isEmpty ? nil : .texts(value) }
private func transparent(_ port: UInt16?, _ directly: Bool) -> JSON? {
    guard port != nil || directly else { return nil }
    return .members([
        "OutboundListenerPort": port.map { .number($0) },
        "DialedDirectly": directly ? true : nil,
    ])
}
private func gateway(_ mode: MeshGatewayMode) -> JSON {
    mode == .inherit ? [:] : ["Mode": .string(mode.rawValue)]
}

extension MeshDuration {
    /// As Go writes it: `1m0s` where ours is `1m`.
    var goText: String {
        let text = description
        guard nanoseconds.magnitude >= 60_000_000_000, !text.hasSuffix("s") else { return text }
        return text.hasSuffix("h") ? text + "0m0s" : text + "0s"
    }
}

extension OtherEntry {
    fileprivate var members: [JSON.Member] {
        fields.sorted { $0.key < $1.key }.map { .init($0.key, JSON($0.value)) }
    }
}

extension ServiceDefaults {
    fileprivate var members: [JSON.Member] {
        var upstreams: [JSON.Member] = []
        if let upstreamDefaults { upstreams.append(.init("Defaults", upstreamDefaults.json)) }
        if !upstreamOverrides.isEmpty {
            upstreams.append(.init("Overrides", .array(upstreamOverrides.map(\.json))))
        }
        return present([
            "Protocol": text(serviceProtocol?.rawValue), "MeshGateway": gateway(meshGateway),
            "Expose": expose.map { JSON($0) } ?? [:], "ExternalSNI": text(externalSNI),
            "ProxyProtocol": text(proxyProtocol?.rawValue),
            "Mode": text(mode),
            "TransparentProxy": transparent(outboundListenerPort, dialedDirectly),
            "UpstreamConfig": upstreams.isEmpty ? nil : .object(upstreams),
            "MaxInboundConnections": number(maxInboundConnections),
            "MaxConnectionLifetime": maxConnectionLifetime.map { .string($0.goText) },
            "LocalConnectTimeoutMs": milliseconds(localConnectTimeout),
            "LocalRequestTimeoutMs": milliseconds(localRequestTimeout),
            "EnvoyExtensions": envoyExtensions.map { JSON($0) }, "Meta": labels(meta),
        ])
    }

    private func milliseconds(_ value: MeshDuration?) -> JSON? {
        value.map { .number($0.millisecondsRoundedUp) }
    }
}

extension UpstreamConfig {
    fileprivate var json: JSON {
        .object(
            present([
                "Name": text(name?.text), "Protocol": text(serviceProtocol?.rawValue),
                "ConnectTimeoutMs": connectTimeout.map { .number($0.millisecondsRoundedUp) },
                "Limits": limits.map { limits in
                    .members([
                        "MaxConnections": limits.maxConnections.map { .number($0) },
                        "MaxPendingRequests": limits.maxPendingRequests.map { .number($0) },
                        "MaxConcurrentRequests": limits.maxConcurrentRequests.map { .number($0) },
                    ])
                },
                "PassiveHealthCheck": passiveHealthCheck.map { check in
                    .members([
                        "Interval": span(check.interval), "MaxFailures": number(check.maxFailures),
                        "EnforcingConsecutive5xx": check.enforcingConsecutive5xx.map {
                            .number($0)
                        },
                        "MaxEjectionPercent": check.maxEjectionPercent.map { .number($0) },
                        "BaseEjectionTime": span(check.baseEjectionTime),
                    ])
                },
                "MeshGateway": gateway(meshGateway),
            ]))
    }
}

extension ProxyDefaults {
    fileprivate var members: [JSON.Member] {
        present([
            "Config": config.isEmpty ? nil : JSON(.object(config)),
            "MeshGateway": gateway(meshGateway), "Expose": expose.map { JSON($0) } ?? [:],
            "Mode": text(mode),
            "TransparentProxy": transparent(outboundListenerPort, dialedDirectly),
            "AccessLogs": accessLogs.map { JSON($0) },
            "EnvoyExtensions": envoyExtensions.map { JSON($0) }, "Meta": labels(meta),
        ])
    }
}

extension ServiceRouter {
    fileprivate var members: [JSON.Member] {
        present([
            "Routes": routes.isEmpty ? nil : .array(routes.map(\.json)), "Meta": labels(meta),
        ])
    }
}

extension ServiceRouter.Route {
    var json: JSON {
        .object(
            present([
                "Match": match.map { $0.isEmpty ? [:] : ["HTTP": $0.json] },
                "Destination": destination?.json,
            ]))
    }
}

extension ServiceRouter.Destination {
    var json: JSON {
        .object(
            present([
                "Service": text(service?.text), "ServiceSubset": text(serviceSubset?.text),
                "PrefixRewrite": text(prefixRewrite), "RequestTimeout": span(requestTimeout),
                "IdleTimeout": span(idleTimeout), "NumRetries": number(numRetries),
                "RetryOnConnectFailure": flag(retryOnConnectFailure),
                "RetryOn": retryOn.isEmpty ? nil : .texts(retryOn),
                "RetryOnStatusCodes": retryOnStatusCodes.isEmpty
                    ? nil : .array(retryOnStatusCodes.map { .number($0) }),
                "RequestHeaders": requestHeaders?.json, "ResponseHeaders": responseHeaders?.json,
            ]))
    }
}

extension HeaderModifiers {
    var json: JSON {
        .object(
            present([
                "Add": add.isEmpty ? nil : .texts(add), "Set": set.isEmpty ? nil : .texts(set),
                "Remove": remove.isEmpty ? nil : .texts(remove),
            ]))
    }
}

extension HTTPMatch {
    var json: JSON {
        var members: [JSON.Member] = []
        switch path {
        case .exact(let path): members.append(.init("PathExact", .string(path)))
        case .prefix(let path): members.append(.init("PathPrefix", .string(path)))
        case .regex(let path): members.append(.init("PathRegex", .string(path)))
        case nil: break
        }
        return .object(
            members
                + present([
                    "CaseInsensitive": flag(caseInsensitive),
                    "Header": headers.isEmpty ? nil : .array(headers.map(\.json)),
                    "QueryParam": query.isEmpty
                        ? nil
                        : .array(
                            query.map {
                                .object([.init("Name", .string($0.name)), $0.match.member])
                            }),
                    "Methods": methods.isEmpty ? nil : .texts(methods),
                ]))
    }
}

extension HeaderMatch {
    fileprivate var json: JSON {
        .object(
            [.init("Name", .string(name)), match.member]
                + present(["Invert": flag(invert), "IgnoreCase": flag(ignoreCase)]))
    }
}

extension TextMatch {
    fileprivate var member: JSON.Member {
        switch self {
        case .present: .init("Present", true)
        case .exact(let text): .init("Exact", .string(text))
        case .prefix(let text): .init("Prefix", .string(text))
        case .suffix(let text): .init("Suffix", .string(text))
        case .contains(let text): .init("Contains", .string(text))
        case .regex(let text): .init("Regex", .string(text))
        }
    }
}

extension ServiceSplitter {
    fileprivate var members: [JSON.Member] {
        present(["Splits": .array(splits.map(\.json)), "Meta": labels(meta)])
    }
}

extension ServiceSplitter.Split {
    var json: JSON {
        .object(
            present([
                "Weight": .double(weight), "Service": text(service?.text),
                "ServiceSubset": text(serviceSubset?.text), "RequestHeaders": requestHeaders?.json,
                "ResponseHeaders": responseHeaders?.json,
            ]))
    }
}

extension ServiceResolver {
    fileprivate var members: [JSON.Member] {
        present([
            "ConnectTimeout": span(connectTimeout), "RequestTimeout": span(requestTimeout),
            "DefaultSubset": text(defaultSubset?.text),
            "Subsets": subsets.isEmpty ? nil : .map(subsets.mapValues(\.json)),
            "Redirect": redirect?.json,
            "Failover": failover.isEmpty ? nil : .map(failover.mapValues(\.json)),
            "LoadBalancer": loadBalancer?.json, "Meta": labels(meta),
        ])
    }
}

extension ServiceResolver.Subset {
    var json: JSON {
        .object(present(["Filter": text(filter), "OnlyPassing": flag(onlyPassing)]))
    }
}

extension ServiceResolver.Redirect {
    fileprivate var json: JSON {
        .object(
            present([
                "Service": text(service?.text), "ServiceSubset": text(serviceSubset?.text),
                "Datacenter": text(datacenter?.text), "Peer": text(peer),
            ]))
    }
}

extension ServiceResolver.Failover {
    fileprivate var json: JSON {
        .object(
            present([
                "Service": text(service?.text), "ServiceSubset": text(serviceSubset?.text),
                "Datacenters": datacenters.isEmpty ? nil : .texts(datacenters.map(\.text)),
                "Targets": targets.isEmpty ? nil : .array(targets.map(\.json)),
            ]))
    }
}

extension LoadBalancer {
    var json: JSON {
        let ring = present([
            "MinimumRingSize": number(minimumRingSize), "MaximumRingSize": number(maximumRingSize),
        ])
        return .object(
            present([
                "Policy": text(policy.rawValue),
                "RingHashConfig": ring.isEmpty ? nil : .object(ring),
                "LeastRequestConfig": choiceCount.map { ["ChoiceCount": .number($0)] },
                "HashPolicies": hashPolicies.isEmpty ? nil : .array(hashPolicies.map(\.json)),
            ]))
    }
}

extension LoadBalancer.HashPolicy {
    fileprivate var json: JSON {
        .object(
            present([
                "Field": text(field?.rawValue), "FieldValue": text(fieldValue),
                "CookieConfig": cookie.map { cookie in
                    .members([
                        "Session": flag(cookie.session),
                        "TTL": cookie.ttl == .zero ? nil : .number(cookie.ttl.nanoseconds),
                        "Path": text(cookie.path),
                    ])
                },
                "SourceIP": flag(sourceIP), "Terminal": flag(terminal),
            ]))
    }
}

extension ServiceIntentions {
    fileprivate var members: [JSON.Member] {
        let ordered = sources.sorted {
            Intention.precedence(source: $0.name, destination: name)
                > Intention.precedence(source: $1.name, destination: name)
        }
        let sources = ordered.map { source -> JSON in
            .object(
                present([
                    "Name": .string(source.name.description),
                    "Action": text(source.action?.rawValue),
                    "Permissions": source.permissions.isEmpty
                        ? nil : .array(source.permissions.map(\.json)),
                    "Precedence": .number(
                        Intention.precedence(source: source.name, destination: name)),
                    "LegacyID": text(source.legacyID), "Type": "consul",
                    "Description": text(source.description),
                ]))
        }
        return present([
            "Sources": .array(sources), "JWT": token?.json, "Meta": labels(meta),
        ])
    }
}

extension Permission {
    var json: JSON {
        .object(
            present([
                "Action": .string(action.rawValue), "HTTP": http.isEmpty ? nil : http.json,
                "JWT": token?.json,
            ]))
    }
}

extension TokenRequirement {
    var json: JSON {
        let list = providers.map { provider -> JSON in
            let claims = provider.verifyClaims.map { claim -> JSON in
                ["Path": .texts(claim.path), "Value": .string(claim.value)]
            }
            return .object(
                present([
                    "Name": .string(provider.name),
                    "VerifyClaims": claims.isEmpty ? nil : .array(claims),
                ]))
        }
        return ["Providers": .array(list)]
    }
}
