package import MeshModel

/// Which services have which virtual addresses.
extension StoreState {
    /// The virtual address of a service; nil: it is not of the mesh.
    package func virtualAddress(of name: ServiceName) -> VirtualAddress? {
        virtualAddresses[name.folded]
    }

    /// How many services of the mesh have none because there are too many.
    package var withoutVirtualAddress: Int {
        guard virtualAddresses.count >= VirtualAddress.most else { return 0 }
        return members.names.count { virtualAddresses[$0] == nil }
    }

    mutating func setVirtualAddress(_ name: String, _ address: VirtualAddress?) {
        if let old = virtualAddresses[name] { addressHolders[old] = nil }
        if let address { addressHolders[address] = name }
        virtualAddresses[name] = address
    }

    mutating func noteService(from old: ServiceRecord?, to new: ServiceRecord?) {
        if let old { members.remove(old.definition) }
        if let new { members.add(new.definition) }
    }

    mutating func noteEntry(from old: ConfigEntryRecord?, to new: ConfigEntryRecord?) {
        if let old { members.remove(old.entry) }
        if let new { members.add(new.entry) }
    }

    mutating func noteNode(from old: CatalogNode?, to new: CatalogNode?) {
        for service in old?.services ?? [] { members.remove(service.definition) }
        for service in new?.services ?? [] { members.add(service.definition) }
    }

    mutating func noteFiles(from old: FileLayer, to new: FileLayer) {
        for record in old.services.values { members.remove(record.definition) }
        for record in new.services.values { members.add(record.definition) }
        for record in old.entries.values { members.remove(record.entry) }
        for record in new.entries.values { members.add(record.entry) }
    }

    /// The definitions of all instances, wherever they are.
    private func eachDefinition(_ body: (ServiceDefinition) -> Void) {
        for record in storedServices.values { body(record.definition) }
        for record in files.services.values { body(record.definition) }
        for node in catalogNodes.values {
            for service in node.value.services { body(service.definition) }
        }
    }

    /// Those of the names that some instance has.
    fileprivate func instanceNames(among names: Set<String>) -> Set<String> {
        if names.isEmpty { return [] }
        var found: Set<String> = []
        eachDefinition { definition in
            if names.contains(definition.name.folded) { found.insert(definition.name.folded) }
        }
        return found
    }

    /// The services that show the address of a service with one of their instances.
    fileprivate func showing(_ name: String) -> Set<String> {
        var found: Set<String> = [name]
        eachDefinition { definition in
            guard definition.memberName == name else { return }
            for touched in Change.concerned(by: definition) where touched.topic == .services {
                found.insert(touched.key)
            }
        }
        return found
    }
}

extension StoreDraft {
    /// Gives an address to each service that came into the mesh with the changes from here on, and
    /// takes back those of services that left it with their last instance. Who writes an address
    /// into a definition has it: a service that was given it before gets another one.
    mutating func settleVirtualAddresses(since start: Int) {
        var names: Set<String> = []
        var written: Set<VirtualAddress> = []
        func look(_ definition: ServiceDefinition) {
            names.insert(definition.name.folded)
            if let name = definition.memberName { names.insert(name) }
            written.formUnion(definition.writtenAddresses)
        }
        for change in changes[start...] {
            switch change {
            case .service(_, let old, let new):
                for record in [old, new].compactMap({ $0 }) { look(record.definition) }
            case .entry(_, let old, let new):
                for record in [old, new].compactMap({ $0 }) {
                    names.formUnion(record.entry.memberNames)
                }
            case .catalogNode(_, let old, let new):
                for service in (old?.value.services ?? []) + (new?.value.services ?? []) {
                    look(service.definition)
                }
            case .fileLayer(_, let new):
                for record in new.services.values {
                    written.formUnion(record.definition.writtenAddresses)
                }
            default: break
            }
        }
        if settlesAll { names.formUnion(allConcerned) }
        settlesAll = false
        let known = state.facts[Fact.virtualAddress].flatMap { VirtualAddress($0) }
        var counter = known ?? VirtualAddress.last
        let wasFull = state.virtualAddresses.count >= VirtualAddress.most
        takeBack(among: names)
        for address in written.sorted(by: { $0.bits < $1.bits }) {
            move(from: address, &counter)
        }
        if wasFull { names.formUnion(state.members.names) }
        for name in names.sorted() where state.members.contains(name) {
            give(to: name, &counter)
        }
        if counter != known ?? VirtualAddress.last {
            putFact(Fact.virtualAddress, "\(counter)")
        }
    }

    private var allConcerned: Set<String> {
        Set(state.members.names).union(state.virtualAddresses.keys)
    }

    private mutating func takeBack(among names: Set<String>) {
        let doubtful = names.filter {
            state.virtualAddresses[$0] != nil && !state.members.contains($0)
        }
        // A proxy may come and go while its service stays.
        for name in doubtful.subtracting(state.instanceNames(among: doubtful)).sorted() {
            record(.virtualAddress(name, from: state.virtualAddresses[name], to: nil))
        }
    }

    /// Gives the service with an address that another one writes down a new one.
    private mutating func move(from address: VirtualAddress, _ counter: inout VirtualAddress) {
        guard let holder = state.addressHolders[address],
            state.members.isWritten(address, byOtherThan: holder)
        else { return }
        record(.virtualAddress(holder, from: address, to: next(&counter)))
        for name in state.showing(holder).sorted() {
            note(.services, key: name)
            note(.proxies, key: name)
        }
    }

    private mutating func give(to name: String, _ counter: inout VirtualAddress) {
        guard state.virtualAddresses[name] == nil,
            state.virtualAddresses.count < VirtualAddress.most
        else { return }
        record(.virtualAddress(name, from: nil, to: next(&counter)))
    }

    /// Counts on, so that an address that was given back is given again as late as can be: somebody
    /// may still know it.
    private func next(_ counter: inout VirtualAddress) -> VirtualAddress {
        // There are many times as many as may be taken.
        repeat {
            counter = counter.next
        } while state.addressHolders[counter] != nil || state.members.isWritten(counter)
        return counter
    }
}
