/// A named question for instances of a service: which of them, in which order, and where to look
/// when there are none.
package struct PreparedQuery: Hashable, Sendable, Codable {
    /// Makes the query answer for more names than its own.
    package struct Template: Hashable, Sendable, Codable {
        /// Empty for a plain query, else `name_prefix_match`.
        package var type: String
        /// Taken apart by it, a name gives `match(N)`.
        package var regexp: String
        /// Whether tags that render to nothing are left out.
        package var removeEmptyTags: Bool

        package init(type: String = "", regexp: String = "", removeEmptyTags: Bool = false) {
            self.type = type
            self.regexp = regexp
            self.removeEmptyTags = removeEmptyTags
        }
    }

    package struct Failover: Hashable, Sendable, Codable {
        /// How many of the nearest other datacenters are asked first.
        package var nearestN: Int
        package var datacenters: [String]

        package init(nearestN: Int = 0, datacenters: [String] = []) {
            self.nearestN = nearestN
            self.datacenters = datacenters
        }
    }

    package struct Service: Hashable, Sendable, Codable {
        package var service: String
        package var failover: Failover
        /// Whether a warning keeps an instance out, as critical does.
        package var onlyPassing: Bool
        package var ignoreCheckIDs: [String]
        /// The node that instances are sorted by their distance from.
        package var near: String
        /// `!tag` keeps out those that have it.
        package var tags: [String]
        package var nodeMeta: [String: String]
        package var serviceMeta: [String: String]
        /// Whether it is for the mesh: proxies and native services stand for the service.
        package var connect: Bool

        package init(
            _ service: String, failover: Failover = Failover(), onlyPassing: Bool = false,
            ignoreCheckIDs: [String] = [], near: String = "", tags: [String] = [],
            nodeMeta: [String: String] = [:], serviceMeta: [String: String] = [:],
            connect: Bool = false
        ) {
            self.service = service
            self.failover = failover
            self.onlyPassing = onlyPassing
            self.ignoreCheckIDs = ignoreCheckIDs
            self.near = near
            self.tags = tags
            self.nodeMeta = nodeMeta
            self.serviceMeta = serviceMeta
            self.connect = connect
        }
    }

    /// A UUID.
    package var id: String
    package var name: String
    /// The query goes with this session.
    package var session: String
    /// Used in place of the caller's when the query is executed.
    package var token: String
    package var template: Template
    package var service: Service
    /// How long answers over DNS may be kept; empty leaves it to the server.
    package var dnsTTL: String

    package init(
        id: String = "", name: String = "", session: String = "", token: String = "",
        template: Template = Template(), service: Service, dnsTTL: String = ""
    ) {
        self.id = id
        self.name = name
        self.session = session
        self.token = token
        self.template = template
        self.service = service
        self.dnsTTL = dnsTTL
    }

    package var isTemplate: Bool { !template.type.isEmpty }

    /// The name that rules about queries speak of; nil when none does.
    package var ruledName: String? {
        name.isEmpty && !isTemplate ? nil : name
    }
}
