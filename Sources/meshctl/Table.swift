/// Aligned columns for people: as wide as needed, two blanks apart, no trailing blanks.
struct Table {
    enum Alignment { case left, right }

    struct Column {
        var title: String
        var alignment: Alignment = .left
    }

    private let columns: [Column]
    private var rows: [[String]] = []

    init(_ titles: String..., numbers: Set<Int> = []) {
        columns = titles.enumerated().map {
            Column(title: $0.element, alignment: numbers.contains($0.offset) ? .right : .left)
        }
    }

    mutating func add(_ cells: String...) {
        precondition(cells.count == columns.count, "a row has one cell per column")
        rows.append(cells.map(Printable.text))
    }

    var isEmpty: Bool { rows.isEmpty }

    /// Heading and rows, one per line; `nothing` when there are no rows.
    func rendered(orElse nothing: String) -> String {
        if rows.isEmpty { return nothing }
        var widths = columns.map(\.title.count)
        for row in rows {
            for (index, cell) in row.enumerated() { widths[index] = max(widths[index], cell.count) }
        }
        let lines = [columns.map { $0.title.uppercased() }] + rows
        return lines.map { line(of: $0, widths: widths) }.joined(separator: "\n")
    }

    private func line(of cells: [String], widths: [Int]) -> String {
        var text = ""
        for (index, cell) in cells.enumerated() {
            let padding = String(repeating: " ", count: widths[index] - cell.count)
            text += columns[index].alignment == .right ? padding + cell : cell + padding
            text += "  "
        }
        while text.last == " " { text.removeLast() }
        return text
    }
}

/// Text of others on a terminal: names, messages, what checks answered.
enum Printable {
    /// What a terminal would act upon, and what would change the direction of the line, is shown
    /// as a dot.
    static func text(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isActive) else { return text }
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { shown.append(isActive(scalar) ? "·" : scalar) }
        return String(shown)
    }

    private static func isActive(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        case .format: scalar.properties.isBidiControl
        default: false
        }
    }
}
