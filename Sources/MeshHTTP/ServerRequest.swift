import NIOHTTP1

/// A request as it came in, its body whole.
package struct ServerRequest: Sendable {
    package let method: String
    /// What stands in the request line: path and query, as they were sent.
    package let target: String
    package let headers: ServerHeaders
    package let body: [UInt8]
    /// Who sent it; nil over a unix socket.
    package let peer: String?

    package init(
        method: String, target: String, headers: ServerHeaders = ServerHeaders(),
        body: [UInt8] = [], peer: String? = nil
    ) {
        self.method = method
        self.target = target
        self.headers = headers
        self.body = body
        self.peer = peer
    }

    /// The path as it was sent: escapes are still in it.
    package var path: Substring { target.prefix { $0 != "?" } }

    /// What stands behind the first question mark, as it was sent.
    package var query: Substring { target[path.endIndex...].dropFirst() }
}

/// Fields of a head, in their order; names have no case.
package struct ServerHeaders: Sendable, ExpressibleByDictionaryLiteral {
    var fields: HTTPHeaders

    package init(dictionaryLiteral elements: (String, String)...) {
        fields = HTTPHeaders(elements)
    }

    /// Takes no more memory than there are fields: decoders make room for more.
    init(compacting fields: HTTPHeaders) { self.fields = HTTPHeaders(Array(fields)) }

    /// The value of the first field of this name; setting replaces all of them.
    package subscript(name: String) -> String? {
        get { fields.first(name: name) }
        set {
            guard let newValue else { return fields.remove(name: name) }
            fields.replaceOrAdd(name: name, value: newValue)
        }
    }

    /// Every field, in order.
    package var all: [(name: String, value: String)] { fields.map { ($0.name, $0.value) } }
}

/// What is answered.
package struct ServerResponse: Sendable {
    package var status: Int
    package var headers: ServerHeaders
    package var body: [UInt8]
    /// Whether the connection ends with this answer.
    package var closes: Bool

    package init(
        status: Int, headers: ServerHeaders = ServerHeaders(), body: [UInt8] = [],
        closes: Bool = false
    ) {
        self.status = status
        self.headers = headers
        self.body = body
        self.closes = closes
    }
}

/// Who answers.
package protocol Responder: Sendable {
    /// The most bytes of a body that such a request may have; more is answered by
    /// ``refusal(of:limit:)``.
    func bodyLimit(method: String, target: String) -> Int
    /// What is said to a request whose body is larger than it may be.
    func refusal(of target: String, limit: Int) -> ServerResponse
    /// The answer. The task is cancelled when the client leaves and when the server is to end;
    /// it must not take long from there on.
    @concurrent func respond(to request: ServerRequest) async -> ServerResponse
    /// The same for who knows that there is nothing to say yet.
    @concurrent func answer(to request: ServerRequest) async -> ServerAnswer
}

extension Responder {
    @concurrent package func answer(to request: ServerRequest) async -> ServerAnswer {
        .now(await respond(to: request))
    }
}

/// An answer, or what it waits for.
package enum ServerAnswer: Sendable {
    case now(ServerResponse)
    /// Nobody works on it: a connection is all that it costs until it is woken.
    case later(any HeldRequest)
}

/// A request that waits for something to answer. Its connection calls it, one call after another.
package protocol HeldRequest: Sendable {
    /// Calls `wake` once, on any thread, when there may be something.
    func wait(_ wake: @escaping @Sendable () -> Void)
    /// Calls it no more; false: it has been called, or is about to be. ``answer()`` will not wait
    /// again.
    func cancel() -> Bool
    /// The answer when it is there without any work, as it is for all but the first few whom one
    /// change wakes.
    func ready() -> ServerResponse?
    /// The answer, or that there is nothing still.
    @concurrent func answer() async -> ServerAnswer
}
