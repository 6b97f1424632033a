import MeshFilter

/// `?filter=` of a list.
struct Filtering: Sendable {
    private let filter: Filter?

    /// nil or an empty expression chooses everything.
    init(_ expression: String?, over schema: FilterSchema) throws(APIError) {
        guard let expression, !expression.isEmpty else {
            filter = nil
            return
        }
        do {
            filter = try Filter(expression, over: schema)
        } catch {
            throw APIError(
                500, "Failed to create boolean expression evaluator: \(error.description)")
        }
    }

    func chooses(_ record: @autoclosure () -> any FilterRecord) -> Bool {
        filter.map { $0.chooses(record()) } ?? true
    }
}
