/// Values by their names, side by side.
///
/// They are large: a dictionary of them would move all of them about as it grows, and copy each to
/// look at it.
struct Shelf<Value: Identifiable & Sendable>: Sendable where Value.ID == String {
    /// In no order.
    private(set) var values: [Value] = []
    /// Invariant: `values[places[name]]` has that name, and `places` has as many as there are.
    private var places: [String: Int] = [:]

    var isEmpty: Bool { values.isEmpty }
    var names: Dictionary<String, Int>.Keys { places.keys }

    /// Makes room for as many values in all.
    mutating func reserve(_ count: Int) {
        values.reserveCapacity(count)
        places.reserveCapacity(count)
    }

    subscript(_ name: String) -> Value? {
        guard let place = places[name] else { return nil }
        return values[place]
    }

    /// Adds a value, or puts it in the place of the one that has its name.
    mutating func put(_ value: Value) {
        let place = Self.place(&places[value.id], or: values.count)
        if place < values.count { values[place] = value } else { values.append(value) }
    }

    /// A name is looked for once, also where it is new.
    private static func place(_ known: inout Int?, or end: Int) -> Int {
        if let known { return known }
        known = end
        return end
    }

    /// The last one takes its place.
    mutating func remove(_ name: String) {
        guard let place = places.removeValue(forKey: name), let last = values.popLast(),
            place < values.count
        else { return }
        places[last.id] = place
        values[place] = last
    }
}
