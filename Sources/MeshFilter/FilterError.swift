/// Why an expression is none, in the words of Consul.
package struct FilterError: Error, Equatable, CustomStringConvertible {
    package var description: String
    /// The byte of the expression where the mistake was seen; nil where its form is right and its
    /// meaning is not.
    package var offset: Int?

    init(_ description: String, offset: Int? = nil) {
        self.description = description
        self.offset = offset
    }
}
