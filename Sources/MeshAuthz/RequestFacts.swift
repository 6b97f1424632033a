/// What permissions may ask about a request. The path is in the data plane's normal form and has no
/// query.
package struct RequestFacts: Hashable, Sendable {
    package struct Field: Hashable, Sendable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package var method: String
    package var path: String
    /// Decoded names and values.
    package var query: [Field]
    package var headers: [Field]

    package init(
        method: String, path: String, query: [Field] = [], headers: [Field] = []
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
    }
}
