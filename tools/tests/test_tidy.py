"""The linter can fail: each rule has a fixture that it must refuse, and one that it lets pass."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tidy
from tidyrules.source import Tree

GUARD = "#ifndef {0}\n#define {0}\n{1}\n#endif\n"
SWIFT_ROOM = {"Sources/MeshModel/README.md": "# MeshModel\n"}
C_ROOM = {"CSources/wire/README.md": "# wire\n"}
PACKAGE = """//   package   room   why
//   GRDB.swift  MeshStore  SQLite
let p = [
    room("base", target: "CMeshBase"),
    room("wire", target: "CMeshWire", ["{wire}"]),
    room("ring", target: "CMeshRing", ["CMeshBase"]),
    swiftRoom("MeshModel"),
    swiftRoom("MeshStore", ["MeshModel", .product(name: "GRDB", package: "GRDB.swift")]),
    .package(url: "https://example.org/{package}", {pin}: "7.10.0"),
]
"""


def package(wire="CMeshBase", name="GRDB.swift", pin="exact"):
    return PACKAGE.format(wire=wire, package=name, pin=pin)


def lines(count, first, last, filler):
    return "\n".join([first, *[filler] * (count - 2), last]) + "\n"


def c_function(total):
    return "int h1_parse(void)\n" + lines(total - 1, "{", "}", "    ;")


def swift_function(total):
    return lines(total, "func decide() {", "}", "    step()")


# rule -> ({path: text} that breaks it, {path: text} that keeps it)
FIXTURES = {
    "room-include": (
        {**C_ROOM, "CSources/wire/h1.c": '#include "wire/h1.h"\n#include "table/view.h"\n'},
        {**C_ROOM, "CSources/wire/h1.c": '#include "wire/h1.h"\n#include "base/bytes.h"\n'},
    ),
    "library-door": (
        {**C_ROOM, "CSources/wire/h1.c": "#include <openssl/ssl.h>\n"},
        {"CSources/tls/README.md": "# tls\n", "CSources/tls/tls.c": "#include <openssl/ssl.h>\n"},
    ),
    "pure-room": (
        {**C_ROOM, "CSources/wire/h1.c": "#include <unistd.h>\n"},
        {**C_ROOM, "CSources/wire/h1.c": "#include <string.h>\n"},
    ),
    "flag-value": (
        {**C_ROOM, "CSources/wire/h1.c": "enum h1_flag {\n    H1_A = 1,\n    H1_B = 1,\n};\n"},
        {**C_ROOM, "CSources/wire/h1.c": "enum h1_flag {\n    H1_A = 1,\n    H1_B = 2,\n};\n"},
    ),
    "abi-include": (
        {
            "CSources/abi/README.md": "# abi\n",
            "CSources/abi/include/abi/x.h": GUARD.format("ABI_X_H", "#include <stdbool.h>"),
        },
        {
            "CSources/abi/README.md": "# abi\n",
            "CSources/abi/include/abi/x.h": GUARD.format("ABI_X_H", "#include <stdint.h>"),
        },
    ),
    "unknown-room": (
        {"CSources/cellar/README.md": "# cellar\n", "CSources/cellar/a.c": "int a_b(void);\n"},
        {**C_ROOM, "CSources/wire/a.c": "int a_b(void);\n"},
    ),
    "room-readme": (
        {"CSources/wire/h1.c": "int h1_x(void);\n"},
        {**C_ROOM, "CSources/wire/h1.c": "int h1_x(void);\n"},
    ),
    "function-length": (
        {**C_ROOM, "CSources/wire/h1.c": c_function(71)},
        {**C_ROOM, "CSources/wire/h1.c": c_function(70)},
    ),
    "function-length swift": (
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": swift_function(61)},
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": swift_function(60)},
    ),
    "prefix": (
        {**C_ROOM, "CSources/wire/h1.c": "int parse_head(int a)\n{\n    return a;\n}\n"},
        {**C_ROOM, "CSources/wire/h1.c": "int h1_head(int a)\n{\n    return helper(a);\n}\n"},
    ),
    "prefix header": (
        {
            **C_ROOM,
            "CSources/wire/include/wire/h1.h": GUARD.format(
                "WIRE_H1_H", "[[nodiscard]] int parse_head(int a);"
            ),
        },
        {
            **C_ROOM,
            "CSources/wire/include/wire/h1.h": GUARD.format(
                "WIRE_H1_H", "[[nodiscard]] int h1_parse_head(int a);"
            ),
        },
    ),
    "prefix private header": (
        {**C_ROOM, "CSources/wire/parts.h": GUARD.format("WIRE_PARTS_H", "void h1_go(void);")},
        {
            **C_ROOM,
            "CSources/wire/parts.h": GUARD.format("WIRE_PARTS_H", "void h1_go(void);"),
            "CSources/wire/h1.c": "void h1_go(void)\n{\n}\n",
        },
    ),
    "guard": (
        {**C_ROOM, "CSources/wire/include/wire/h1.h": GUARD.format("H1_H", "")},
        {**C_ROOM, "CSources/wire/include/wire/h1.h": GUARD.format("WIRE_H1_H", "")},
    ),
    "banned-call": (
        {**C_ROOM, "CSources/wire/h1.c": "static int f(void)\n{\n    return atoi(x);\n}\n"},
        {**C_ROOM, "CSources/wire/h1.c": '/* atoi(x) */ static const char *a = "atoi(x)";\n'},
    ),
    "banned-call allocation": (
        {**C_ROOM, "CSources/wire/h1.c": "static void *f(void)\n{\n    return malloc(1);\n}\n"},
        {
            "CSources/core/README.md": "# core\n",
            "CSources/core/pool.c": "static void *f(void)\n{\n    return malloc(1);\n}\n",
        },
    ),
    "banned-call clock": (
        {
            "CSources/proxy/README.md": "# proxy\n",
            "CSources/proxy/l7.c": "static int f(void)\n{\n    return clock_gettime(0, x);\n}\n",
        },
        {
            "CSources/ring/README.md": "# ring\n",
            "CSources/ring/ring.c": "static int f(void)\n{\n    return clock_gettime(0, x);\n}\n",
        },
    ),
    "banned-call swift": (
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": "let now = Date()\n"},
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": "let now = clock.now  // not Date()\n"},
    ),
    "banned-call public": (
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": "public struct A {}\n"},
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": "package struct A {}\n"},
    ),
    "banned-call silent end": (
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": "fatalError()\n"},
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": 'fatalError("closed while opening")\n'},
    ),
    "one-door": (
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": "package import GRDB\n"},
        {"Sources/MeshStore/README.md": "# s\n", "Sources/MeshStore/A.swift": "import GRDB\n"},
    ),
    "one-door of a program's tests": (
        {"Tests/MeshModelTests/A.swift": "import ArgumentParser\n"},
        {"Tests/MeshctlTests/A.swift": "import ArgumentParser\n"},
    ),
    "c-door": (
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": "import CMeshABI\n"},
        {"Tests/ABITests/A.swift": "import CMeshABI\n"},
    ),
    "declared-import": (
        {
            **SWIFT_ROOM,
            "Package.swift": package(),
            "Sources/MeshModel/A.swift": "import MeshStore\n",
        },
        {
            "Sources/MeshStore/README.md": "# s\n",
            "Package.swift": package(),
            "Sources/MeshStore/A.swift": "import MeshModel\n",
        },
    ),
    "proof": (
        {**SWIFT_ROOM, "Sources/MeshModel/A.swift": "let a = try! b()\n"},
        {
            **SWIFT_ROOM,
            "Sources/MeshModel/A.swift": "// A literal that the tests parse.\nlet a = try! b()\n",
        },
    ),
    "room-dependency": (
        {"Package.swift": package(wire="CMeshRing")},
        {"Package.swift": package()},
    ),
    "package-table": (
        {"Package.swift": package(name="leftpad")},
        {"Package.swift": package()},
    ),
    "package-pin": (
        {"Package.swift": package(pin="from")},
        {"Package.swift": package()},
    ),
    "line-length": (
        {"tools/a.py": "#" * 101 + "\n"},
        {"tools/a.py": "#" * 100 + "\n"},
    ),
    "file-length": (
        {"tools/a.py": "pass\n" * 601},
        {"tools/a.py": "pass\n" * 600},
    ),
    "readme-length": (
        {"README.md": "line\n" * 151},
        {"README.md": "line\n" * 150},
    ),
    "readme-length room": (
        {"CSources/wire/README.md": "line\n" * 61},
        {"CSources/wire/README.md": "line\n" * 60},
    ),
    "build-product": (
        {"Package.resolved": "{}\n"},
        {"Package.swift": package()},
    ),
    "marker": (
        {"tools/a.py": "# TODO later\n"},
        {"tools/a.py": "# A todo list is a fine product.\n"},
    ),
    "machine-path": (
        {"tools/a.py": "P = '/root/x'\n"},
        {"tools/a.py": "P = 'src/root/x'\n"},
    ),
    "blank-end": (
        {"tools/a.py": "pass \n"},
        {"tools/a.py": "pass\n"},
    ),
    "final-newline": (
        {"tools/a.py": "pass"},
        {"tools/a.py": "pass\n"},
    ),
    "dead-link": (
        {"README.md": "See [the map](docs/map.md).\n"},
        {"README.md": "See [the licence](LICENSE).\n", "LICENSE": "x\n"},
    ),
    "dead-link anchor": (
        {"README.md": "See [below](#tour).\n# Start\n"},
        {"README.md": "See [below](#the-tour).\n# The tour\n"},
    ),
    "dead-link page": (
        {"Sources/Handbook.docc/A.md": "See <doc:Nowhere>.\n"},
        {"Sources/Handbook.docc/A.md": "See <doc:B>.\n", "Sources/Handbook.docc/B.md": "# B\n"},
    ),
    "dead-name": (
        {"Sources/Handbook.docc/A.md": "Call `h1_parse_head`.\n"},
        {
            **C_ROOM,
            "Sources/Handbook.docc/A.md": "Call `h1_parse_head()` of `wire/h1.c`.\n",
            "CSources/wire/h1.c": "int h1_parse_head(int a);\n",
        },
    ),
    "dead-name file": (
        {"Sources/Handbook.docc/A.md": "It stands in `wire/h9.c`.\n"},
        {"Sources/Handbook.docc/A.md": "```\n`wire/h9.c`\n```\n"},
    ),
    "dead-name type": (
        {"Sources/Handbook.docc/A.md": "The type `GhostMachine.State`.\n"},
        {
            **SWIFT_ROOM,
            "Sources/Handbook.docc/A.md": "The type `GhostMachine.State`, a `Via` header.\n",
            "Sources/MeshModel/A.swift": "struct GhostMachine {}\n",
        },
    ),
}


def findings(tmp_path, files):
    for path, text in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tidy.check(Tree.of_directory(tmp_path))[0]


@pytest.mark.parametrize("name", FIXTURES)
def test_refuses(name, tmp_path):
    """The broken fixture is found, under this rule and no other."""
    found = findings(tmp_path, FIXTURES[name][0])
    assert {f.rule for f in found} == {name.split(" ")[0]}, [str(f) for f in found]
    assert all(f.advice and f.line >= 1 for f in found)


@pytest.mark.parametrize("name", FIXTURES)
def test_lets_pass(name, tmp_path):
    """The fixture just inside the rule is let through."""
    assert [str(f) for f in findings(tmp_path, FIXTURES[name][1])] == []


def test_every_rule_has_a_fixture():
    """A rule that no fixture breaks may be dead: find the rules in the sources of the linter."""
    sources = Path(tidy.__file__).parent.glob("tidyrules/*.py")
    text = "\n".join(p.read_text(encoding="utf-8") for p in sources)
    rules = set(re.findall(r'(?:finding|Finding)\([^"]*?(?:f"[^"]*",\s*)?[^"]*?"([a-z-]+)"', text))
    assert len(rules) > 20
    assert rules - {n.split(" ")[0] for n in FIXTURES} == set()


def test_unused_exception_is_reported(tmp_path):
    """An exception that excuses nothing is reported, so that the table cannot grow stale."""
    (tmp_path / "a.py").write_text("pass\n", encoding="utf-8")
    _, unused = tidy.check(Tree.of_directory(tmp_path))
    assert len(unused) == len(tidy.EXCEPTIONS)
