#!/usr/bin/env python3
"""Checks the rules of this house that no compiler knows: fences between rooms, sizes, names,
banned calls, documents that tell the truth. Each finding says where, which rule, and what to write
instead.

    tools/tidy.py            the whole repository (files that git knows or would add)
    tools/tidy.py --staged   only what the next commit changes (the pre-commit hook)

The tables below are the rules. An exception is a line in EXCEPTIONS with its reason; one that no
longer matches anything is a finding itself.
"""

import argparse
import fnmatch
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
from tidyrules import c, docs, package, swift, text  # noqa: E402
from tidyrules.source import Tree  # noqa: E402

# What each C room may include besides its own headers, as DESIGN draws it.
C_ROOMS = {
    "base": {"rooms": set(), "libraries": set()},
    "abi": {"rooms": set(), "libraries": set()},
    "wire": {"rooms": {"base"}, "libraries": set()},
    "shm": {"rooms": set(), "libraries": set()},
    "http2": {"rooms": {"base"}, "libraries": {"nghttp2"}},
    "compress": {"rooms": {"base"}, "libraries": {"zlib", "brotli", "zstd"}},
    "core": {"rooms": {"base"}, "libraries": set()},
    "tls": {"rooms": {"base", "wire"}, "libraries": {"openssl", "nettle"}},
    "ring": {"rooms": {"core", "base"}, "libraries": {"uring"}},
    "table": {"rooms": {"abi", "base"}, "libraries": set()},
    "proxy": {
        "rooms": {"abi", "base", "wire", "http2", "compress", "core", "tls", "table"},
        "libraries": set(),
    },
    "worker": {
        "rooms": {"proxy", "core", "table", "abi", "shm", "base", "ring"},
        "libraries": set(),
    },
}

# Third-party Swift modules: the package they come from and the rooms whose door they are.
SWIFT_MODULES = {
    "ArgumentParser": ("swift-argument-parser", {"controlplane", "meshctl"}),
    "ServiceLifecycle": ("swift-service-lifecycle", {"controlplane"}),
    "UnixSignals": ("swift-service-lifecycle", {"controlplane"}),
    "AsyncHTTPClient": ("async-http-client", {"MeshClient"}),
    "NIOCore": ("swift-nio", {"MeshClient", "MeshHTTP", "MeshDNS"}),
    "NIOPosix": ("swift-nio", {"MeshClient", "MeshHTTP", "MeshDNS"}),
    "NIOSSL": ("swift-nio-ssl", {"MeshClient", "MeshHTTP"}),
    "NIOHTTP1": ("swift-nio", {"MeshClient", "MeshHTTP"}),
    "NIOHTTP2": ("swift-nio-http2", {"MeshClient"}),
    "NIOHPACK": ("swift-nio-http2", {"MeshClient"}),
    "X509": ("swift-certificates", {"MeshIdentity"}),
    "Crypto": ("swift-crypto", {"MeshIdentity", "MeshTokens"}),
    "CryptoExtras": ("swift-crypto", {"MeshTokens"}),
    "SwiftASN1": ("swift-asn1", {"MeshIdentity"}),
    "GRDB": ("GRDB.swift", {"MeshStore"}),
    "Logging": ("swift-log", {"MeshTelemetry"}),
    "SwiftProtobuf": ("swift-protobuf", {"MeshTelemetry"}),
}

# C modules that Swift may import, and the rooms that may. Test targets follow their room.
SWIFT_C_MODULES = {
    "CMeshABI": {"MeshTables", "MeshWorkers", "MeshStore"},
    "CMeshTable": {"MeshTables"},
    # Explanations ask the C lookups themselves, with hosts and paths in the form the workers use.
    "CMeshBase": {"MeshTables", "MeshTelemetry"},
    "CMeshWire": {"MeshTables"},
    "CMeshShm": {"MeshWorkers", "MeshProcess"},
    # Spans leave in the coding that answers have; zlib keeps its one door.
    "CMeshCompress": {"MeshTelemetry"},
    "CLibYAML": {"MeshConfig"},
}

# (rule, path pattern, reason). Patterns are matched with fnmatch against the path.
EXCEPTIONS = [
    ("banned-call", "Sources/MeshLanes/Lanes.swift", "concurrentPerform: no queue guards anything"),
    ("marker", "tools/tidyrules/text.py", "names the markers that it looks for"),
    ("marker", "tools/tests/test_tidy.py", "fixtures that the linter must refuse"),
    ("machine-path", "tools/tests/test_tidy.py", "fixtures that the linter must refuse"),
]


def check(tree, tables=None):
    """All findings in `tree`, sorted; `tables` replaces the tables above in tests."""
    tables = tables or sys.modules[__name__]
    findings = []
    for module in (package, c, swift, text, docs):
        findings += module.check(tree, tables)
    kept, used = [], set()
    for finding in sorted(findings):
        hits = [
            i
            for i, (rule, pattern, _) in enumerate(tables.EXCEPTIONS)
            if rule == finding.rule and fnmatch.fnmatch(finding.path, pattern)
        ]
        used.update(hits)
        if not hits:
            kept.append(finding)
    return kept, [e for i, e in enumerate(tables.EXCEPTIONS) if i not in used]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--staged", action="store_true", help="only files of the next commit")
    arguments = parser.parse_args()
    tree = Tree.of_git(arguments.root)
    findings, unused = check(tree)
    if arguments.staged:
        staged = tree.staged()
        findings = [f for f in findings if f.path in staged]
    else:
        for rule, pattern, _ in unused:
            print(f"tools/tidy.py:1: exception: ({rule}, {pattern}) matches nothing; remove it")
    for finding in findings:
        print(finding)
    bad = len(findings) + (0 if arguments.staged else len(unused))
    for line in swift.census(tree):
        print(f"tidy: {line}")
    print(f"tidy: {len(tree.paths)} files, {bad} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
