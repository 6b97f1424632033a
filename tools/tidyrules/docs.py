"""Documents tell the truth: links lead somewhere, names they mention exist."""

import posixpath
import re

LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
DOC_LINK = re.compile(r"<doc:([\w-]+)(?:#[^>]*)?>")
TICKED = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
TOP = ("Sources/", "CSources/", "Tests/", "tools/", "proto/", ".ci/")
FILE_NAME = re.compile(r"^(?:[\w+.-]+/)*[\w+-]+\.(?:h|c|swift|py)$")
CALL = re.compile(r"^([a-z][a-z0-9]*(?:_[a-z0-9]+)+)(?:\(\))?$")
TYPE = re.compile(r"^((?:[A-Z][a-z0-9]+){2,}|[A-Z][A-Za-z]+[a-z][A-Z]\w+)(?:\.\w+(?:\(.*\))?)?$")


def prose(source):
    """(number, line) outside of fenced blocks."""
    fenced = False
    for number, line in enumerate(source.lines, 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def anchors(source):
    found = set()
    for _, line in prose(source):
        if line.startswith("#"):
            title = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(title.replace(" ", "-"))
    return found


def links(source, tree):
    folders = {posixpath.dirname(p) for p in tree.paths}
    folders |= {posixpath.dirname(f) for f in folders}
    for number, line in prose(source):
        for target in LINK.findall(line):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            path = source.path
            if name:
                path = posixpath.normpath(posixpath.join(posixpath.dirname(source.path), name))
            if path not in tree.paths and path.rstrip("/") not in folders:
                yield source.finding(number, "dead-link", f"{target} leads nowhere")
            elif anchor and path.endswith(".md") and anchor not in anchors(tree.source(path)):
                yield source.finding(number, "dead-link", f"no heading #{anchor} in {path}")
        for name in DOC_LINK.findall(line):
            if not any(p.endswith(f"/{name}.md") for p in tree.paths):
                yield source.finding(number, "dead-link", f"no page {name}.md in the handbook")


def exists(path, tree):
    path = path.rstrip("/").replace("…", "*")
    if "*" in path or "<" in path or "NAME" in path:
        stem = re.split(r"[*<]|NAME", path)[0]
        return any(p.startswith(stem) for p in tree.paths)
    return path in tree.paths or any(p.startswith(path + "/") for p in tree.paths)


def symbols(source, tree, words):
    for number, line in prose(source):
        for ticked in TICKED.findall(line):
            name = ticked.split(" ")[0].rstrip(".,:")
            if name.startswith(TOP):
                if not exists(name, tree):
                    yield source.finding(number, "dead-name", f"{name} does not exist")
                continue
            if " " in ticked:
                continue
            if FILE_NAME.match(name):
                if not any(p == name or p.endswith("/" + name) for p in tree.paths):
                    yield source.finding(number, "dead-name", f"no file {name} in the repository")
                continue
            match = CALL.match(name) or TYPE.match(name)
            if match and match.group(1) not in words:
                yield source.finding(
                    number,
                    "dead-name",
                    f"`{match.group(1)}` occurs nowhere in the sources: write "
                    "the name that is there now",
                )


def check(tree, _tables):
    findings = []
    words = set()
    suffixes = (".c", ".h", ".swift", ".py", ".proto", ".yaml", ".yml", ".json")
    for code in tree.sources(*suffixes):
        if not code.path.startswith("Tests/Vectors/"):
            words.update(re.findall(r"\w+", code.text))
    for code in tree.sources(under="tools/"):
        words.update(re.findall(r"\w+", code.text))
    words.update(p.rsplit("/", 1)[-1].split(".")[0] for p in tree.paths)
    words.update(part for p in tree.paths for part in p.split("/"))
    for source in tree.sources(".md"):
        if source.path.startswith(("Tests/Vectors/", "Tests/Fuzz/")):
            continue
        findings += links(source, tree)
        if source.path.startswith(("Sources/", "CSources/", "Tests/", "README.md")):
            findings += symbols(source, tree, words)
    return findings
