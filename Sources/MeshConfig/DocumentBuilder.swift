import MeshModel

/// Builds the tree of a document from its events, within bounds and without recursion.
struct DocumentBuilder {
    private struct Frame {
        var isMapping: Bool
        var location: SourceLocation
        var anchor: String?
        var items: [DocumentNode] = []
        var members: [DocumentNode.Member] = []
        var seen: [String: SourceLocation] = [:]
        /// The key whose value is awaited.
        var key: Key?
    }

    private enum Key {
        case text(String, SourceLocation)
        /// A key that was reported already; its value is read and dropped.
        case dropped
    }

    private(set) var root: DocumentNode?
    private(set) var problems: [Problem] = []
    private let text: SourceText
    private var frames: [Frame] = []
    private var anchors: [String: DocumentNode] = [:]
    private var openAnchors: [String] { frames.compactMap(\.anchor) }
    private var nodes = 0
    private var documents = 0

    init(_ text: SourceText) { self.text = text }

    /// Takes one event; false ends the reading.
    mutating func take(_ event: DocumentEvent) -> Bool {
        switch event.kind {
        case .documentStart:
            documents += 1
            guard documents == 1 else {
                fail("a second document starts here: put it into a file of its own", event)
                return false
            }
            return true
        case .scalar(let value, let plain, let tag):
            check(tag, event)
            let forcedText = tag == "tag:yaml.org,2002:str" || tag == "!"
            return finish(
                DocumentNode(
                    .scalar(value, plain: plain && !forcedText), at: event.location),
                anchor: event.anchor)
        case .sequenceStart(let tag), .mappingStart(let tag):
            check(tag, event)
            return open(event)
        case .end:
            return close()
        case .alias(let name):
            return alias(name, event)
        }
    }

    private mutating func open(_ event: DocumentEvent) -> Bool {
        guard frames.count < DocumentLimits.depth else {
            fail("the document is nested deeper than \(DocumentLimits.depth) levels", event)
            return false
        }
        var isMapping = false
        if case .mappingStart = event.kind { isMapping = true }
        frames.append(
            Frame(isMapping: isMapping, location: event.location, anchor: event.anchor))
        return true
    }

    private mutating func close() -> Bool {
        guard var frame = frames.popLast() else {
            fatalError("libyaml closed a collection that it did not open")
        }
        if frame.isMapping {
            merge(into: &frame)
            return finish(
                DocumentNode(.mapping(frame.members), at: frame.location), anchor: frame.anchor)
        }
        return finish(
            DocumentNode(.sequence(frame.items), at: frame.location), anchor: frame.anchor)
    }

    private mutating func alias(_ name: String, _ event: DocumentEvent) -> Bool {
        if openAnchors.contains(name) {
            fail("*\(name) stands inside the value it names: remove it", event)
            return finish(DocumentNode(.scalar("", plain: true), at: event.location), anchor: nil)
        }
        guard let node = anchors[name] else {
            fail("*\(name) names nothing: define &\(name) before it", event)
            return finish(DocumentNode(.scalar("", plain: true), at: event.location), anchor: nil)
        }
        guard frames.count + node.height <= DocumentLimits.depth else {
            fail("*\(name) nests deeper than \(DocumentLimits.depth) levels", event)
            return false
        }
        nodes += node.size - 1
        return finish(node, anchor: nil)
    }

    /// Puts a complete value where it belongs.
    private mutating func finish(_ node: DocumentNode, anchor: String?) -> Bool {
        nodes += 1
        guard nodes <= DocumentLimits.nodes else {
            problems.append(
                Problem(
                    .error,
                    "the document has more than \(DocumentLimits.nodes) values, aliases counted: "
                        + "split it over several files", at: node.location))
            return false
        }
        if let anchor { anchors[anchor] = node }
        guard var frame = frames.popLast() else {
            root = node
            return true
        }
        if !frame.isMapping {
            frame.items.append(node)
        } else if let key = frame.key {
            frame.key = nil
            if case .text(let name, let location) = key {
                frame.members.append(.init(key: name, keyLocation: location, value: node))
            }
        } else {
            frame.key = key(node, &frame)
        }
        frames.append(frame)
        return true
    }

    private mutating func key(_ node: DocumentNode, _ frame: inout Frame) -> Key {
        guard case .scalar(let name, _) = node.content else {
            problems.append(Problem(.error, "a key must be plain text", at: node.location))
            return .dropped
        }
        if let first = frame.seen[name] {
            problems.append(
                Problem(
                    .error,
                    "the key was already given in line \(first.line): remove one of them",
                    at: node.location, key: name))
            return .dropped
        }
        frame.seen[name] = node.location
        return .text(name, node.location)
    }

    /// Takes the members of `<<: *other` that the mapping does not have itself.
    private mutating func merge(into frame: inout Frame) {
        guard let at = frame.members.firstIndex(where: { $0.key == "<<" }) else { return }
        let merged = frame.members.remove(at: at)
        let sources = merged.value.items ?? [merged.value]
        for source in sources {
            guard let members = source.members else {
                problems.append(
                    Problem(
                        .error, "<< takes a mapping: write <<: *name", at: merged.keyLocation))
                continue
            }
            for member in members where frame.seen[member.key] == nil {
                frame.seen[member.key] = member.keyLocation
                frame.members.append(member)
                nodes += member.value.size
            }
        }
    }

    private mutating func check(_ tag: String?, _ event: DocumentEvent) {
        guard let tag, tag != "!" else { return }
        let known = ["str", "int", "float", "bool", "null", "seq", "map"]
        guard tag.hasPrefix("tag:yaml.org,2002:"), known.contains(String(tag.dropFirst(18))) else {
            fail("the tag \(tag) has no meaning here: remove it", event)
            return
        }
    }

    private mutating func fail(_ message: String, _ event: DocumentEvent) {
        problems.append(Problem(.error, message, at: event.location))
    }
}
