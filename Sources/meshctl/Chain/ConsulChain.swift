import Foundation

/// A compiled chain as Consul's document has it: what a person wants to see of it.
struct ConsulChain: Decodable {
    let service: String
    let datacenter: String
    let spoken: String
    let start: String
    let nodes: [String: Node]
    let targets: [String: Target]

    private enum CodingKeys: String, CodingKey {
        case service = "ServiceName"
        case datacenter = "Datacenter"
        case spoken = "Protocol"
        case start = "StartNode"
        case nodes = "Nodes"
        case targets = "Targets"
    }

    private struct Answer: Decodable {
        let chain: ConsulChain
        private enum CodingKeys: String, CodingKey { case chain = "Chain" }
    }

    init(document: Data) throws {
        self = try JSONDecoder().decode(Answer.self, from: document).chain
    }

    struct Node: Decodable {
        let type: String
        let name: String
        let routes: [Route]?
        let splits: [Split]?
        let resolver: Resolver?
        let balancer: Balancer?

        private enum CodingKeys: String, CodingKey {
            case type = "Type"
            case name = "Name"
            case routes = "Routes"
            case splits = "Splits"
            case resolver = "Resolver"
            case balancer = "LoadBalancer"
        }
    }

    struct Split: Decodable {
        /// Consul leaves a weight of nothing out.
        let weight: Double?
        let next: String

        private enum CodingKeys: String, CodingKey {
            case weight = "Weight"
            case next = "NextNode"
        }
    }

    struct Resolver: Decodable {
        let target: String
        let isDefault: Bool?
        let connectTimeout: Span?
        let requestTimeout: Span?
        let failover: Failover?

        struct Failover: Decodable {
            let targets: [String]
            private enum CodingKeys: String, CodingKey { case targets = "Targets" }
        }

        private enum CodingKeys: String, CodingKey {
            case target = "Target"
            case isDefault = "Default"
            case connectTimeout = "ConnectTimeout"
            case requestTimeout = "RequestTimeout"
            case failover = "Failover"
        }
    }

    struct Balancer: Decodable {
        let policy: String?
        private enum CodingKeys: String, CodingKey { case policy = "Policy" }
    }

    struct Target: Decodable {
        let subset: Subset?
        let isExternal: Bool?
        let sni: String?

        struct Subset: Decodable {
            let filter: String?
            let onlyPassing: Bool?
            private enum CodingKeys: String, CodingKey {
                case filter = "Filter"
                case onlyPassing = "OnlyPassing"
            }
        }

        private enum CodingKeys: String, CodingKey {
            case subset = "Subset"
            case isExternal = "External"
            case sni = "SNI"
        }
    }

    /// A length of time, which Consul writes as text in some places and in nanoseconds in others.
    struct Span: Decodable {
        let text: String

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let nanoseconds = try? value.decode(Int64.self) {
                let (whole, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
                if rest != 0 {
                    text = "\(Double(nanoseconds) / 1_000_000)ms"
                } else {
                    text = whole % 1000 == 0 ? "\(whole / 1000)s" : "\(whole)ms"
                }
            } else {
                text = try value.decode(String.self)
            }
        }
    }
}
