import MeshModel

/// The endpoints that workers know or are about to meet, by instance: for those who tell them about
/// health.
///
/// Invariant: `published` is what the snapshot that was published last says, `ahead` what the plan
/// that was made last says otherwise. That plan may be under way, or have been refused.
struct EndpointBook {
    private var published: [ServiceID: InstanceEndpoints] = [:]
    /// nil: the instance has no endpoints there.
    private var ahead: [ServiceID: InstanceEndpoints?] = [:]

    /// Takes what a plan says otherwise than the plan before it.
    mutating func take(_ change: EndpointChange) {
        if ahead.isEmpty { ahead.reserveCapacity(change.present.count + change.gone.count) }
        for id in change.gone { ahead[id] = .some(nil) }
        for instance in change.present { ahead[instance.id] = instance }
    }

    /// The plan that was made last is the one that runs.
    mutating func settle() {
        if published.isEmpty {
            published = ahead.compactMapValues { $0 }
        } else {
            for (id, instance) in ahead { published[id] = instance }
        }
        ahead = [:]
    }

    /// Instances whose endpoints were not told about with the snapshot before.
    var unsettled: [InstanceEndpoints] { ahead.values.compactMap { $0 } }

    /// Where an instance is dialled: in the newest plan, then what only the snapshot before says.
    subscript(_ id: ServiceID) -> [InstanceEndpoints] {
        let newest = ahead[id]
        let running = published[id]
        // What both say about a key is told with the newest weights.
        return [running, newest ?? nil].compactMap { $0 }
    }
}
