import MeshModel

// What registrations and transactions change of a node that others speak for. What is equal keeps
// its indexes.
extension CatalogNode {
    mutating func put(_ service: ServiceDefinition, at index: Index) {
        guard let place = services.firstIndex(where: { $0.definition.id == service.id }) else {
            services.append(.init(service, createIndex: index, modifyIndex: index))
            services.sort { $0.definition.id < $1.definition.id }
            return
        }
        guard services[place].definition != service else { return }
        services[place].definition = service
        services[place].modifyIndex = index
    }

    /// Throws when it is about a service that the node has not.
    mutating func put(_ check: Check, at index: Index) throws {
        if let service = check.service, self[service] == nil {
            throw APIError(500, "failed inserting check: Missing service registration")
        }
        var check = check
        check.createIndex = index
        check.modifyIndex = index
        guard let place = checks.firstIndex(where: { $0.id == check.id }) else {
            checks.append(check)
            checks.sort { $0.id < $1.id }
            return
        }
        check.createIndex = checks[place].createIndex
        check.modifyIndex = checks[place].modifyIndex
        if check == checks[place] { return }
        check.modifyIndex = index
        checks[place] = check
    }

    /// With what was said of its health.
    mutating func remove(service id: String) {
        services.removeAll { $0.definition.id.text == id }
        checks.removeAll { $0.service?.text == id }
    }

    mutating func remove(check id: String) { checks.removeAll { $0.id == id } }

    subscript(service: ServiceID) -> Service? {
        services.first { $0.definition.id == service }
    }
}
