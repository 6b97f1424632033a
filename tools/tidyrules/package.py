"""Package.swift says the same as the tables: C rooms, third-party packages and their rooms."""

import re

from .source import Finding

PATH = "Package.swift"


def room_targets(text):
    """(room, target, dependencies, offset) of each `room(…)` call."""
    pattern = r'\broom\(\s*"(\w+)",\s*target:\s*"(\w+)"\s*(?:,\s*\[(.*?)\]\s*)?\)'
    for match in re.finditer(pattern, text, re.DOTALL):
        dependencies = re.findall(r'"(\w+)"', match.group(3) or "")
        yield match.group(1), match.group(2), dependencies, match.start()


def swift_dependencies(text):
    """Room -> names of the targets and products that it declares."""
    calls = r'\bswiftRoom\(\s*"(\w+)"\s*(?:,\s*\[(.*?)\]\s*)?\)'
    executables = r'\.executableTarget\(\s*name:\s*"(\w+)",\s*dependencies:\s*\[(.*?)\]'
    found = {}
    for pattern in (calls, executables):
        for match in re.finditer(pattern, text, re.DOTALL):
            found[match.group(1)] = set(re.findall(r'"(\w+)"', match.group(2) or ""))
    return found


def documented_packages(text):
    """Package -> rooms, as the comment on top says."""
    rows = re.findall(r"(?m)^//   ([\w.-]+)  +((?:\w+, )*\w+)  +\S", text)
    return {name: set(rooms.split(", ")) for name, rooms in rows if name != "package"}


def check(tree, tables):
    source = tree.source(PATH) if PATH in tree.paths else None
    tree.package_dependencies = {}
    if source is None:
        return []
    findings = []
    tree.package_dependencies = swift_dependencies(source.text)
    rooms = list(room_targets(source.text))
    names = {target: room for room, target, _, _ in rooms}
    for room, _, dependencies, offset in rooms:
        line = source.line_of(offset)
        if room not in tables.C_ROOMS:
            findings.append(
                source.finding(line, "unknown-room", f"add {room} to C_ROOMS in tools/tidy.py")
            )
            continue
        for dependency in dependencies:
            other = names.get(dependency)
            if other and other not in tables.C_ROOMS[room]["rooms"]:
                findings.append(
                    source.finding(
                        line,
                        "room-dependency",
                        f"room {room} must not depend on {other}; the table "
                        "stands in tools/tidy.py",
                    )
                )
    documented = documented_packages(source.text)
    expected = {}
    for package, doors in tables.SWIFT_MODULES.values():
        expected.setdefault(package, set()).update(doors)
    for name in re.findall(r'\.package\(\s*url:\s*"[^"]*/([\w.-]+)"', source.text):
        if name not in documented:
            findings.append(
                Finding(
                    PATH,
                    1,
                    "package-table",
                    f"name {name}, its room and why in the comment on top; "
                    "adding a package is a decision record",
                )
            )
    for name, doors in documented.items():
        if name in expected and not doors <= expected[name]:
            findings.append(
                Finding(
                    PATH,
                    1,
                    "package-table",
                    f"{name}: the comment says {', '.join(sorted(doors))}, "
                    f"tools/tidy.py says {', '.join(sorted(expected[name]))}",
                )
            )
    if re.search(r'\.package\([^)]*(from:|branch:|"\.\.<)', source.text):
        findings.append(Finding(PATH, 1, "package-pin", "pin packages with exact:"))
    return findings
