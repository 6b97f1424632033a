import Glibc
import MeshModel
import Synchronization

/// The addresses of host names that services are registered with. Names are looked up aside: a slow
/// name server holds nothing up, and an address that was known once serves until there is another.
actor HostNames {
    private var known: [String: String] = ["localhost": "127.0.0.1"]
    private var wanted: Set<String> = []

    /// What is known now of the names in an inventory.
    func addresses(of inventory: Inventory) -> [String: String] {
        addresses(of: inventory.hostNames)
    }

    /// What is known now of these names.
    func addresses(of names: Set<String>) -> [String: String] {
        wanted = names
        return known
    }

    /// Looks names up until the task is cancelled; `changed` is told when an address is another
    /// one.
    func run(changed: @escaping @Sendable () async -> Void) async {
        while !Task.isCancelled {
            var isNew = false
            for name in wanted.sorted() {
                guard let address = await Self.look(up: name), known[name] != address else {
                    continue
                }
                known[name] = address
                isNew = true
            }
            if isNew { await changed() }
            let missing = wanted.contains { known[$0] == nil }
            // A cancelled sleep ends the loop.
            try? await Task.sleep(for: missing ? .seconds(1) : .seconds(30))
        }
    }

    /// The first address of a name. The resolver blocks, so it gets a thread of its own.
    private static func look(up name: String) async -> String? {
        await withCheckedContinuation { continuation in
            let job = Unmanaged.passRetained(Lookup(name, continuation))
            var thread = pthread_t()
            // The job is retained here and released by the thread, or below when there is none.
            let result = pthread_create(
                &thread, nil,
                { argument in
                    guard let argument else { return nil }
                    Unmanaged<Lookup>.fromOpaque(argument).takeRetainedValue().run()
                    return nil
                }, job.toOpaque())
            if result == 0 {
                pthread_detach(thread)
            } else {
                job.takeRetainedValue().give(nil)
            }
        }
    }

    private final class Lookup: Sendable {
        private let name: String
        private let continuation: CheckedContinuation<String?, Never>

        init(_ name: String, _ continuation: CheckedContinuation<String?, Never>) {
            self.name = name
            self.continuation = continuation
        }

        func give(_ address: String?) { continuation.resume(returning: address) }

        func run() {
            var hints = addrinfo()
            hints.ai_family = AF_UNSPEC
            hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
            var list: UnsafeMutablePointer<addrinfo>?
            guard getaddrinfo(name, nil, &hints, &list) == 0, let first = list else {
                return give(nil)
            }
            defer { freeaddrinfo(list) }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let result = getnameinfo(
                first.pointee.ai_addr, first.pointee.ai_addrlen, &text, socklen_t(text.count), nil,
                0, NI_NUMERICHOST)
            let end = text.firstIndex(of: 0) ?? text.endIndex
            let bytes = text[..<end].map { UInt8(bitPattern: $0) }
            give(result == 0 ? String(decoding: bytes, as: UTF8.self) : nil)
        }
    }
}
