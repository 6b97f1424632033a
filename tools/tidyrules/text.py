"""Rules for any text: line and file lengths, leftovers, what must not be in git."""

import re

from .source import Finding

LINE = 100
FILE_LINES = 600
CODE = (".c", ".h", ".swift", ".py", ".sh")
MARKERS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|(?://|/\*|#) ?placeholder\b")
MACHINE = re.compile(r"(?<![\w.])/(work|root|home/\w+)/[\w.]")
DATA = ("Tests/Vectors/", "Tests/Fuzz/", "LICENSE")
README_LINES = 150
ROOM_README_LINES = 60
SCRIPTS = ("tools/", ".ci/")


def is_code(source):
    if source.path.endswith(CODE):
        return True
    return source.path.startswith(SCRIPTS) and source.text.startswith("#!")


def columns(source):
    """Lines to measure; what a Swift test quotes in a string keeps its own width."""
    if source.path.startswith("Tests/") and source.path.endswith(".swift"):
        quoted = re.compile(r'"(?:\\.|[^"\\])*"')
        return [
            quoted.sub('""', line) if code.strip() else ""
            for line, code in zip(source.lines, source.code, strict=False)
        ]
    return source.lines


def lengths(source):
    for number, line in enumerate(columns(source), 1):
        if len(line) > LINE and "http://" not in line and "https://" not in line:
            yield source.finding(number, "line-length", f"{len(line)} columns, {LINE} at most")
    if len(source.lines) > FILE_LINES:
        yield source.finding(
            1,
            "file-length",
            f"{len(source.lines)} lines, {FILE_LINES} at most (400 is the aim): "
            "one main type or protocol step per file",
        )


def readme(source):
    limit = README_LINES if source.path == "README.md" else ROOM_README_LINES
    if source.path.endswith("README.md") and len(source.lines) > limit:
        yield source.finding(
            limit + 1,
            "readme-length",
            f"{len(source.lines)} lines, {limit} at most: move detail to the handbook",
        )


def check(tree, _tables):
    findings = []
    for path in tree.paths:
        if re.search(r"(^|/)\.build|(^|/)Package\.resolved$|\.(o|a|so|pyc)$", path):
            findings.append(Finding(path, 1, "build-product", "git rm --cached: built, not kept"))
    for source in tree.sources():
        if source.path.startswith(DATA):
            continue
        if is_code(source) and "/Generated/" not in source.path:
            findings += lengths(source)
        findings += readme(source)
        for number, line in enumerate(source.lines, 1):
            match = MARKERS.search(line)
            if match:
                findings.append(
                    source.finding(
                        number,
                        "marker",
                        f"{match.group()}: do it, or open an issue and say so in the commit",
                    )
                )
            match = MACHINE.search(line)
            if match:
                findings.append(
                    source.finding(
                        number,
                        "machine-path",
                        "a path of one machine: write it relative to the "
                        "repository or to a temporary directory",
                    )
                )
            if line != line.rstrip() and not source.path.endswith(".md"):
                findings.append(source.finding(number, "blank-end", "remove trailing blanks"))
        if source.text and not source.text.endswith("\n"):
            findings.append(
                source.finding(len(source.lines), "final-newline", "end the file with a newline")
            )
    return findings
