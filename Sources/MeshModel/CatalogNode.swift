/// A node that somebody registered in the catalog, with its services and what was said of their
/// health. Nothing of it runs here.
package struct CatalogNode: Hashable, Sendable, Codable {
    package struct Service: Hashable, Sendable, Codable {
        package var definition: ServiceDefinition
        package var createIndex: Index
        package var modifyIndex: Index

        package init(_ definition: ServiceDefinition, createIndex: Index, modifyIndex: Index) {
            self.definition = definition
            self.createIndex = createIndex
            self.modifyIndex = modifyIndex
        }
    }

    /// What was said of the node, or of one of its services.
    package struct Check: Hashable, Sendable, Codable {
        package var id: String
        package var name: String
        package var notes: String
        package var status: CheckStatus
        package var output: String
        /// nil: it is about the node, and so about all its services.
        package var service: ServiceID?
        package var createIndex: Index
        package var modifyIndex: Index

        package init(
            id: String, name: String, notes: String = "", status: CheckStatus,
            output: String = "", service: ServiceID? = nil, createIndex: Index = .zero,
            modifyIndex: Index = .zero
        ) {
            self.id = id
            self.name = name
            self.notes = notes
            self.status = status
            self.output = output
            self.service = service
            self.createIndex = createIndex
            self.modifyIndex = modifyIndex
        }
    }

    package var name: NodeName
    /// A UUID, or empty.
    package var id: String
    package var address: String
    package var taggedAddresses: [String: String]
    package var meta: [String: String]
    /// By id.
    package var services: [Service]
    /// By id.
    package var checks: [Check]

    package init(
        name: NodeName, id: String = "", address: String,
        taggedAddresses: [String: String] = [:], meta: [String: String] = [:],
        services: [Service] = [], checks: [Check] = []
    ) {
        self.name = name
        self.id = id
        self.address = address
        self.taggedAddresses = taggedAddresses
        self.meta = meta
        self.services = services
        self.checks = checks
    }
}
