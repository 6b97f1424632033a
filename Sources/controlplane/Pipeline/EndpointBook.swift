import MeshModel

/// The endpoints that workers know or are about to meet, by instance: for those who tell them about
/// health.
///
/// Invariant: `published` is what the snapshot that was published last says, `ahead` what the plan
/// that was made last says otherwise. That plan may be under way, or have been refused.
struct EndpointBook {
    private var published: [ServiceID: InstanceEndpoints] = [:]
    private var ahead: [ServiceID: InstanceEndpoints] = [:]
    /// Instances that have no endpoints in that plan: never among those of `ahead`.
    private var gone: Set<ServiceID> = []
    /// What belongs into `ahead` while nobody has looked for one of them. The first plan has every
    /// instance, and workers are told about all of them before anybody asks about one.
    private var unsorted: [InstanceEndpoints] = []

    /// Takes what a plan says otherwise than the plan before it.
    mutating func take(_ change: EndpointChange) {
        if published.isEmpty, ahead.isEmpty, unsorted.isEmpty, change.gone.isEmpty, gone.isEmpty {
            unsorted = change.present
            return
        }
        sort()
        for id in change.gone {
            ahead[id] = nil
            gone.insert(id)
        }
        for instance in change.present { ahead[instance.id] = instance }
        if !gone.isEmpty { for instance in change.present { gone.remove(instance.id) } }
    }

    /// The plan that was made last is the one that runs.
    mutating func settle() {
        sort()
        if published.isEmpty {
            published = ahead
        } else {
            for id in gone { published[id] = nil }
            for (id, instance) in ahead { published[id] = instance }
        }
        ahead = [:]
        gone = []
    }

    /// Instances whose endpoints were not told about with the snapshot before.
    var unsettled: [InstanceEndpoints] { unsorted.isEmpty ? Array(ahead.values) : unsorted }

    /// Whether an endpoint comes to a node that had others.
    func isNew(_ key: UInt64, of id: ServiceID) -> Bool {
        !published.isEmpty && published[id]?.keys.contains(key) != true
    }

    /// Where an instance is dialled: in the snapshot that runs, then in the newest plan, so that
    /// what both say about a key is told with the newest weights.
    subscript(_ id: ServiceID) -> [InstanceEndpoints] {
        mutating get {
            sort()
            return [published[id], ahead[id]].compactMap { $0 }
        }
    }

    private mutating func sort() {
        if unsorted.isEmpty { return }
        ahead.reserveCapacity(unsorted.count)
        for instance in unsorted { ahead[instance.id] = instance }
        unsorted = []
    }
}
