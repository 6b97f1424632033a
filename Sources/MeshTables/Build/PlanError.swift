package import MeshModel

/// Why a plan cannot become a snapshot. Nothing was published.
package struct PlanError: Error, Sendable {
    /// All that was found, at most ``limit``.
    package var problems: [Problem]

    package init(_ problems: [Problem]) { self.problems = problems }

    /// Problems beyond this number are not collected.
    package static let limit = 100
}

extension PlanError: CustomStringConvertible {
    package var description: String { problems.map { "\($0)" }.joined(separator: "\n") }
}
