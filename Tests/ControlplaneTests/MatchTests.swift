import MeshModel
import Testing

@testable import controlplane

@Suite struct MatchTests {
    private func path(_ path: PathMatch, ignoreCase: Bool = false) -> HTTPMatch {
        HTTPMatch(path: path, caseInsensitive: ignoreCase)
    }

    @Test func nothingAsksForNothing() {
        let match = path(.prefix("/a"))
        #expect(HTTPMatch().both(match) == .match(match))
        #expect(match.both(HTTPMatch()) == .match(match))
    }

    @Test(arguments: [
        (PathMatch.prefix("/a"), PathMatch.prefix("/a/b"), PathMatch.prefix("/a/b")),
        (.prefix("/a/b"), .prefix("/a"), .prefix("/a/b")),
        (.exact("/a/b"), .prefix("/a"), .exact("/a/b")),
        (.prefix("/a"), .exact("/a/b"), .exact("/a/b")),
        (.exact("/a"), .exact("/a"), .exact("/a")),
        (.regex("/[a-z]"), .regex("/[a-z]"), .regex("/[a-z]")),
    ])
    func theNarrowerPathHolds(left: PathMatch, right: PathMatch, both: PathMatch) {
        #expect(path(left).both(path(right)) == .match(path(both)))
    }

    @Test(arguments: [
        (PathMatch.prefix("/a"), PathMatch.prefix("/b")), (.exact("/a"), .prefix("/ab")),
        (.exact("/a"), .exact("/b")), (.prefix("/A"), .prefix("/a")),
    ])
    func pathsThatExcludeEachOtherNeverMatch(left: PathMatch, right: PathMatch) {
        #expect(path(left).both(path(right)) == .never)
    }

    @Test func caseIsHeeded() {
        let left = path(.prefix("/A"), ignoreCase: true)
        let right = path(.prefix("/a/b"), ignoreCase: true)
        #expect(left.both(right) == .match(right))
        guard case .impossible = left.both(path(.prefix("/a"))) else {
            Issue.record("a path with and one without regard to case were joined")
            return
        }
    }

    @Test func anExpressionIsNotJoined() {
        guard case .impossible = path(.regex("/a.*")).both(path(.prefix("/a"))) else {
            Issue.record("an expression was joined with a prefix")
            return
        }
    }

    @Test func methodsAreWhatBothAllow() {
        let left = HTTPMatch(methods: ["GET", "PUT"])
        #expect(
            left.both(HTTPMatch(methods: ["PUT", "POST"])) == .match(HTTPMatch(methods: ["PUT"])))
        #expect(left.both(HTTPMatch(methods: ["POST"])) == .never)
        let narrowed = HTTPMatch(path: .prefix("/a"), methods: ["GET", "PUT"])
        #expect(left.both(path(.prefix("/a"))) == .match(narrowed))
    }

    @Test func headersAndParametersAddUp() {
        let one = HTTPMatch(headers: [HeaderMatch(name: "a", match: .present)])
        let two = HTTPMatch(
            headers: [HeaderMatch(name: "b", match: .present)],
            query: [QueryMatch(name: "q", match: .present)])
        guard case .match(let both) = one.both(two) else {
            Issue.record("criteria on different things were not joined")
            return
        }
        #expect(both.headers.map(\.name) == ["a", "b"])
        #expect(both.query.map(\.name) == ["q"])
    }
}
