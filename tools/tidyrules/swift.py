"""Rules for Swift: doors, visibility, sizes, constructs that need a proof beside them."""

import re

from .source import Finding

FUNCTION_LINES = 60

# pattern -> (rooms where it is allowed, what to write and why)
BANNED = [
    (r"\bDate\(\)", {"controlplane"}, "take `now` as a parameter: pure code has no clock"),
    (r"\bDate\.now\b", {"controlplane"}, "take `now` as a parameter: pure code has no clock"),
    (r"\bTask\.detached\b", set(), "a child task of a group: nobody waits for a detached task"),
    (r"\bDispatchQueue\b", set(), "an actor or Mutex: queues hide who may touch what"),
    (r"\bDispatchSemaphore\b", set(), "await: a blocked thread stalls the whole pool"),
    (r"\bNSLock\b", set(), "Mutex of Synchronization: it owns what it guards"),
    (r"\bThread\.sleep\b", set(), "Task.sleep with a clock that is passed in"),
    (r"(?<![.\w])print\(", {"controlplane", "meshctl"}, "the Logger that is passed in"),
    (r"(?<![.\w])debugPrint\(", set(), "the Logger that is passed in"),
    (r"\bfatalError\(\)", set(), 'fatalError("state and event"): say what was impossible'),
    (r"\bURLSession\b", set(), "MeshClient: one door for outgoing HTTP"),
    (r"(?m)^\s*(public|open)\s", set(), "package: a program has no public interface"),
    (r"\bimport\s+XCTest\b", set(), "import Testing: one test framework"),
    (r"\bProcess\(\)", {"MeshProcess"}, "MeshProcess: one door for child processes"),
]

# Each needs a comment with the proof on its line or within the three lines above, and is counted.
PROVEN = {
    "unsafe": r"\bunsafe\b(?!\()",
    "try!": r"\btry!",
    "@unchecked Sendable": r"@unchecked\s+Sendable",
    "nonisolated(unsafe)": r"nonisolated\(unsafe\)",
}
PROOF_DISTANCE = 3
# Rooms that speak to C all the time: one proof per function or extension is enough there.
C_SPEAKING = {"MeshTables", "MeshWorkers", "MeshConfig"}
C_SPEAKING_DISTANCE = 40

DECLARATION = re.compile(r"(?<![.\w])(func\s+[^\s(<]+|init[?!]?(?=\s*[(<])|deinit|subscript)")
# Test targets begin with a capital also where a program's name does not.
PROGRAMS = {"Controlplane": "controlplane", "Meshctl": "meshctl"}
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:package|internal|private|fileprivate|public)\s+)?"
    r"import\s+(?:(?:struct|class|enum|func|protocol|var|let|typealias)\s+)?(\w+)"
)


def room_of(path):
    """The room of a source file; a test target belongs to the room that it tests."""
    parts = path.split("/")
    if parts[0] == "Sources" and len(parts) > 2:
        return parts[1]
    if parts[0] == "Tests" and len(parts) > 2:
        tested = parts[1].removesuffix("Tests")
        return PROGRAMS.get(tested, tested)
    return None


def functions(source):
    """(first line, lines) of each function body, closures inside included."""
    text = source.blanked
    for match in DECLARATION.finditer(text):
        at, parens = match.end(), 0
        while at < len(text):
            char = text[at]
            if char in "([":
                parens += 1
            elif char in ")]":
                parens -= 1
            elif parens == 0 and char == "{":
                break
            elif parens == 0 and char in "}=;":
                at = len(text)
            elif parens == 0 and char == "\n":
                rest = text[at:].lstrip()
                if not re.match(r"(async|throws|rethrows|->|where|\{|\()", rest):
                    at = len(text)
            at += 1
        if at >= len(text):
            continue
        depth, end = 0, at
        while end < len(text):
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            if depth == 0:
                break
            end += 1
        first = source.line_of(match.start())
        yield first, source.line_of(end) - first + 1


def imports(source, room, tables, declared):
    for number, line in enumerate(source.code, 1):
        match = IMPORT.match(line)
        if not match:
            continue
        module = match.group(1)
        testing = source.path.startswith("Tests/")
        if module in tables.SWIFT_MODULES:
            rooms = tables.SWIFT_MODULES[module][1]
            if room not in rooms:
                yield source.finding(
                    number,
                    "one-door",
                    f"{module} is the door of {', '.join(sorted(rooms))}; use "
                    "what that room offers, or move the code there",
                )
        elif module in tables.SWIFT_C_MODULES:
            rooms = tables.SWIFT_C_MODULES[module]
            if room not in rooms and not testing:
                yield source.finding(
                    number, "c-door", f"{module} is imported by {', '.join(sorted(rooms))} only"
                )
        elif module.startswith("CMesh") and not testing:
            yield source.finding(
                number,
                "c-door",
                f"{module} is a room of the data plane; Swift sees "
                f"{', '.join(sorted(tables.SWIFT_C_MODULES))} only",
            )
        elif module.startswith("Mesh") and room in declared and module != room:
            if module not in declared[room] and not testing:
                yield source.finding(
                    number,
                    "declared-import",
                    f"declare {module} as a dependency of {room} in "
                    "Package.swift, or do without: it is there only by accident",
                )


def proofs(source, room):
    distance = C_SPEAKING_DISTANCE if room in C_SPEAKING else PROOF_DISTANCE
    for name, pattern in PROVEN.items():
        last = -distance
        for number, line in enumerate(source.code, 1):
            if not re.search(pattern, line):
                continue
            if name == "unsafe" and re.search(PROVEN["nonisolated(unsafe)"], line):
                continue
            near = source.lines[max(0, number - 1 - distance) : number]
            if any("//" in text for text in near) or number - last <= PROOF_DISTANCE:
                last = number
                continue
            yield source.finding(
                number,
                "proof",
                f"{name} needs a comment within {distance} lines above that says why it is safe",
            )


def check(tree, tables):
    findings = []
    declared = tree.package_dependencies if hasattr(tree, "package_dependencies") else {}
    for source in tree.sources(".swift"):
        room = room_of(source.path)
        if room is None or "/Generated/" in source.path:
            continue
        for start, length in functions(source):
            if length > FUNCTION_LINES:
                findings.append(
                    source.finding(
                        start,
                        "function-length",
                        f"{length} lines, {FUNCTION_LINES} at most: keep the "
                        "branches here, move plain work into a leaf",
                    )
                )
        findings += imports(source, room, tables, declared)
        testing = source.path.startswith("Tests/")
        for pattern, rooms, advice in [] if testing else BANNED:
            if room in rooms:
                continue
            for match in re.finditer(pattern, source.blanked):
                start = match.start() + len(match.group()) - len(match.group().lstrip())
                word = match.group().strip()
                line = source.line_of(start)
                findings.append(source.finding(line, "banned-call", f"{word}: write {advice}"))
        if not testing:
            findings += proofs(source, room)
    rooms = {p.split("/")[1] for p in tree.paths if p.startswith("Sources/") and p.count("/") > 1}
    for room in rooms - {"Handbook.docc"}:
        if f"Sources/{room}/README.md" not in tree.paths:
            findings.append(
                Finding(
                    f"Sources/{room}/README.md",
                    1,
                    "room-readme",
                    "write it: purpose, entry points "
                    "in reading order, invariants, what must not live here, where the tests are",
                )
            )
    return findings


def census(tree):
    """How often the house steps outside what the compiler proves."""
    counts = dict.fromkeys(PROVEN, 0)
    for source in tree.sources(".swift", under="Sources/"):
        for name, pattern in PROVEN.items():
            counts[name] += len(re.findall(pattern, source.blanked))
    yield "counted: " + ", ".join(f"{name} {count}" for name, count in counts.items())
