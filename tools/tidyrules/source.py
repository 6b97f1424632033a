"""Files of the repository as the rules see them: text, lines, and code without comments."""

import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


@dataclass(order=True, frozen=True)
class Finding:
    """One place that breaks a rule, and what to write instead."""

    path: str
    line: int
    rule: str
    advice: str

    def __str__(self):
        return f"{self.path}:{self.line}: {self.rule}: {self.advice}"


def blank(text, keep_strings=False):
    """`text` with the insides of comments and strings replaced by spaces; lines stay lines.

    Good for C and Swift as this house writes them: nested block comments, raw strings and string
    interpolation with quotes inside are blanked as plain text, which is enough to count braces.
    """
    out = []
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|#"(?:.|\n)*?"#|"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"'
        r"|'(?:\\.|[^'\\\n])+'",
        re.DOTALL,
    )
    last = 0
    for match in pattern.finditer(text):
        out.append(text[last : match.start()])
        token = match.group()
        if keep_strings and not token.startswith(("//", "/*")):
            out.append(token)
        else:
            out.append(re.sub(r"[^\n]", " ", token))
        last = match.end()
    out.append(text[last:])
    return "".join(out)


class Source:
    """One text file."""

    def __init__(self, path, text):
        self.path = path
        self.text = text

    @cached_property
    def lines(self):
        return self.text.splitlines()

    @cached_property
    def code(self):
        """Lines with comments and strings blanked."""
        return blank(self.text).splitlines()

    @cached_property
    def blanked(self):
        return blank(self.text)

    def line_of(self, offset):
        return self.text.count("\n", 0, offset) + 1

    def finding(self, line, rule, advice):
        return Finding(self.path, line, rule, advice)


class Tree:
    """The files of one repository."""

    def __init__(self, root, paths):
        self.root = Path(root)
        self.paths = sorted(paths)
        self._sources = {}

    @classmethod
    def of_git(cls, root):
        """Tracked files and those that `git add` would take."""
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
            check=True,
            capture_output=True,
        ).stdout
        names = {n for n in listed.decode().split("\0") if n and (Path(root) / n).is_file()}
        return cls(root, names)

    @classmethod
    def of_directory(cls, root):
        """Every file below `root`; used by the tests of the rules."""
        root = Path(root)
        return cls(root, {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()})

    def staged(self):
        listed = subprocess.run(
            ["git", "-C", str(self.root), "diff", "--cached", "--name-only", "-z"],
            check=True,
            capture_output=True,
        ).stdout
        return set(listed.decode().split("\0"))

    def source(self, path):
        """The text of `path`, or None when it is not UTF-8 text."""
        if path not in self._sources:
            try:
                text = (self.root / path).read_text(encoding="utf-8")
            except (UnicodeDecodeError, OSError):
                text = None
            self._sources[path] = None if text is None else Source(path, text)
        return self._sources[path]

    def sources(self, *suffixes, under=""):
        """Text files that end in one of `suffixes` (all when none is given) below `under`."""
        for path in self.paths:
            if path.startswith(under) and (not suffixes or path.endswith(suffixes)):
                source = self.source(path)
                if source is not None:
                    yield source
