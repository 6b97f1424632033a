import CMeshABI
import CMeshTable
import MeshModel

/// Connections that the kernel redirects: which listener the address of a URL stands for.
extension Explainer {
    /// What a connection meets first.
    enum Entry {
        case found(abi_listener)
        /// It ends there, as this says.
        case ended(String)
    }

    /// The listener behind one that knows the URL's address; nil: none does. With several callers
    /// that are redirected, `from` says which is meant.
    mutating func redirected(_ request: ExplainedRequest, _ input: RequestInput) throws -> Entry? {
        guard var address = address(of: input) else { return nil }
        let from = request.from?.lowercased() ?? ""
        let known = reader.listeners.indices.filter { place in
            guard reader.listeners[place].isRedirected else { return false }
            let inner = original_find(reader.view, UInt32(place), &address)
            return inner != ABI_NONE
                && (from.isEmpty || caller(reader.listeners[Int(inner)], is: from))
        }
        guard let place = known.first else { return nil }
        guard known.count == 1 else {
            throw MeshError(
                .invalid,
                "several services are redirected to \(called(input)): name the caller, or one of "
                    + known.map { reader.text(reader.listeners[$0].name) }.sorted()
                    .joined(separator: ", "))
        }
        return try behind(place, input)
    }

    private func caller(_ listener: abi_listener, is from: String) -> Bool {
        guard listener.identity != ABI_NONE else { return false }
        let identity = reader.identities[Int(listener.identity)]
        return reader.text(identity.service) == from
            || reader.text(identity.spiffe_id).lowercased() == from
    }

    /// The listener that the URL's address stands for behind another one.
    mutating func behind(_ place: Int, _ input: RequestInput) throws -> Entry {
        let outer = reader.listeners[place]
        guard var address = address(of: input) else {
            throw MeshError(
                .invalid,
                "\(reader.text(outer.name)) goes by addresses: write the URL with an IP address "
                    + "and a port")
        }
        let known = original_find(reader.view, UInt32(place), &address)
        let inner = original_lead(reader.view, UInt32(place), &address)
        let what =
            known == ABI_NONE
            ? "no service is known at \(called(input))" : "\(called(input)) was called"
        guard inner != ABI_NONE else {
            let others =
                original_is_virtual(&address)
                ? "virtual addresses lead nowhere else" : "others are closed"
            note(.listener, .none, "\(describe(outer)): \(what), and \(others)")
            return .ended(Self.ended("connection closed", ABI_OUTCOME_NO_ROUTE))
        }
        let found = reader.listeners[Int(inner)]
        note(
            .listener, .matched,
            "\(describe(outer)): \(what), which is for \(reader.text(found.name))")
        return .found(found)
    }

    private func called(_ input: RequestInput) -> String { "\(input.dialled):\(input.port)" }

    private func address(of input: RequestInput) -> original_address? {
        guard input.port != 0 else { return nil }
        let isBracketed = input.dialled.hasPrefix("[")
        guard
            let ip = IPAddress(
                isBracketed ? String(input.dialled.dropFirst().dropLast()) : input.dialled)
        else { return nil }
        return original_address(ip: ip.mapped, port: input.port)
    }
}

extension abi_listener {
    /// Whether its connections belong to listeners behind it.
    var isRedirected: Bool { flags & UInt8(ABI_LISTENER_REDIRECTED.rawValue) != 0 }

    /// Whether it is behind another one.
    var isInner: Bool { flags & UInt8(ABI_LISTENER_INNER.rawValue) != 0 }
}
