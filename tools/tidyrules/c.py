"""Rules for C: who includes whom, sizes, names, calls that have a better replacement."""

import re

from .source import Finding

FUNCTION_LINES = 70

LIBRARY_HEADERS = {
    "openssl": "openssl",
    "nettle": "nettle",
    "liburing.h": "uring",
    "linux/io_uring.h": "uring",
    "nghttp2": "nghttp2",
    "zlib.h": "zlib",
    "brotli": "brotli",
    "zstd.h": "zstd",
}

# Headers that open the door to system calls; rooms that compute must not have them.
SYSCALL_HEADERS = {
    "dirent.h",
    "fcntl.h",
    "netdb.h",
    "poll.h",
    "pthread.h",
    "sched.h",
    "signal.h",
    "sys/epoll.h",
    "sys/ioctl.h",
    "sys/mman.h",
    "sys/socket.h",
    "sys/stat.h",
    "sys/timerfd.h",
    "sys/wait.h",
    "unistd.h",
}
TIME_HEADERS = {"time.h", "sys/time.h"}
PURE_ROOMS = {"abi", "wire", "table", "tls", "http2", "compress"}
ROOMS_THAT_KNOW_TIME = {"tls"}  # certificates have dates
ABI_HEADERS = {"stdint.h", "stddef.h"}
# Rooms that Tests/Sim links: its world has the only clock.
SIMULATED_ROOMS = PURE_ROOMS | {"base", "core", "proxy"}

# call -> (rooms where it is refused, "" for all; what to write and why)
BANNED = {
    "strcpy": ("", "bytes_* or memcpy with a checked length: strcpy does not know the room left"),
    "strcat": ("", "snprintf into a sized buffer: strcat does not know the room left"),
    "strncpy": ("", "memcpy with a checked length: strncpy may leave the end unterminated"),
    "sprintf": ("", "snprintf: sprintf does not know the room left"),
    "vsprintf": ("", "vsnprintf: vsprintf does not know the room left"),
    "gets": ("", "read with a length: gets has no bound"),
    "scanf": ("", "a parser that reports errors: scanf cannot say where it stopped"),
    "sscanf": ("", "a parser that reports errors: sscanf overflows silently"),
    "atoi": ("", "num_* of base/num.h: atoi has no errors and overflow is undefined"),
    "atol": ("", "num_* of base/num.h: atol has no errors and overflow is undefined"),
    "strtok": ("", "bytes_* slices: strtok writes into its input and keeps state"),
    "rand": ("", "a seeded generator that is passed in, or getrandom for secrets"),
    "srand": ("", "a seeded generator that is passed in"),
    "time": ("", "ring_now_ns: wall-clock seconds jump and are too coarse"),
    "gettimeofday": ("", "ring_now_ns: the wall clock jumps"),
    "alloca": ("", "a bounded array or a pool: the stack has no failure value"),
    "assert": ("", "MUST (always on) or DCHECK: assert vanishes under NDEBUG"),
    "signal": ("", "sigaction: signal has two meanings"),
    "system": ("", "posix_spawn with an argument vector: system runs a shell"),
    "popen": ("", "posix_spawn with an argument vector: popen runs a shell"),
    "usleep": ("", "a timer of core/wheel.h: a sleeping worker serves nobody"),
    "sleep": ("", "a timer of core/wheel.h: a sleeping worker serves nobody"),
    "printf": ("", "evlog_note on hot paths, the log ring of the worker elsewhere"),
    "malloc": ("pure", "pools of core/pool.h, taken at start: this room only computes"),
    "calloc": ("pure", "pools of core/pool.h, taken at start: this room only computes"),
    "realloc": ("pure", "pools of core/pool.h: this room only computes"),
    "free": ("pure", "give back through the pool: this room only computes"),
    "clock_gettime": ("simulated", "ring_now_ns, ring_wall_s or a parameter: runs repeat by seed"),
}
# OpenSSL owns what it allocates; its room may free it.
ALLOCATING_PURE_ROOMS = {"tls", "http2", "compress"}
WORDS_OF_MALLOC = {"malloc", "calloc", "realloc", "free"}

# Programs of one process that talk to a human: they may print and sleep.
TALKING = ("Sources/dataplane/", "tools/")
# Tests run under sanitizers; only what makes them unrepeatable is refused there.
REFUSED_IN_TESTS = {"rand", "srand", "time", "gettimeofday", "gets"}

INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
EXPORTED = re.compile(r"^(?!static\b|_Static|typedef\b|#)[A-Za-z_][\w \t*]*?[\s*](\w+)\(")


def room_of(path):
    parts = path.split("/")
    if parts[0] == "CSources" and len(parts) > 2 and parts[1] != "system":
        return parts[1]
    return None


def stem_of(path):
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def includes(source, room, tables):
    allowed = tables.C_ROOMS[room]
    for number, line in enumerate(source.lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        bracket, name = match.groups()
        if bracket == '"':
            other = name.split("/")[0] if "/" in name else room
            if other != room and other not in allowed["rooms"]:
                may = ", ".join(sorted(allowed["rooms"])) or "nothing"
                yield source.finding(
                    number,
                    "room-include",
                    f"room {room} may include {may}, not {name}; "
                    "move the code to a room that may, or pass the value in",
                )
            continue
        library = next((v for k, v in LIBRARY_HEADERS.items() if name.startswith(k)), None)
        if library and library not in allowed["libraries"]:
            yield source.finding(
                number, "library-door", f"<{name}> belongs to another room; use that room's door"
            )
        refused = SYSCALL_HEADERS | (set() if room in ROOMS_THAT_KNOW_TIME else TIME_HEADERS)
        if room in PURE_ROOMS and name in refused:
            yield source.finding(
                number,
                "pure-room",
                f"room {room} makes no system call and knows no time: take "
                f"the value as a parameter instead of <{name}>",
            )
        if room == "abi" and name not in ABI_HEADERS:
            yield source.finding(
                number, "abi-include", f"abi stands on <stdint.h> and <stddef.h>, not <{name}>"
            )


def functions(source):
    """(first line, lines) of every function: Linux braces stand alone in column 0."""
    start = None
    for number, line in enumerate(source.code, 1):
        if line.rstrip() == "{":
            first = number - 1
            while (
                first > 1
                and source.code[first - 2].strip()
                and not re.search(r"[;}]\s*$|^#", source.code[first - 2])
            ):
                first -= 1
            start = first
        elif line.rstrip() == "}" and start is not None:
            yield start, number - start + 1
            start = None


def exported(source):
    """(line, name) of functions that other files can call: declared or defined in column 0."""
    header = source.path.endswith(".h")
    depth = 0
    for number, line in enumerate(source.code, 1):
        if depth == 0:
            plain = re.sub(r"\[\[\w+\]\]\s*", "", line)
            if header:
                plain = plain.replace("static inline ", "")
            match = EXPORTED.match(plain)
            if match:
                yield number, match.group(1)
        depth += line.count("{") - line.count("}")


def prefixes_of(source, room, stems):
    """What exported names may begin with: the file, its family (`l7` of `l7_head`), the room. A
    private header may speak for the files beside it.
    """
    stem = stem_of(source.path)
    parts = stem.split("_")
    found = {"_".join(parts[: i + 1]) for i in range(len(parts))} | {room}
    if source.path.endswith(".h") and "/include/" not in source.path:
        found |= stems
    return tuple(f"{name}_" for name in found)


def names(source, room, stems):
    """Exported functions carry their file's name."""
    stem = stem_of(source.path)
    prefixes = prefixes_of(source, room, stems)
    for number, name in exported(source):
        if not name.startswith(prefixes) and not name.isupper() and name != stem:
            yield source.finding(
                number,
                "prefix",
                f"{name} is exported by {stem}: call it {stem}_{name}, move it "
                "to the file of its name, or make it static",
            )


def guard(source, room):
    stem = stem_of(source.path)
    allowed = [f"{room}_{stem}_H".upper()]
    if stem.startswith(f"{room}_"):
        allowed.insert(0, f"{stem}_H".upper())
    match = re.search(r"#ifndef\s+(\w+)\s+#define\s+(\w+)", source.blanked)
    if not match or match.group(1) != match.group(2):
        advice = f"begin with #ifndef {allowed[0]} / #define {allowed[0]}"
        return [source.finding(1, "guard", advice)]
    if match.group(1) not in allowed:
        line = source.line_of(match.start())
        return [source.finding(line, "guard", f"the guard of this header is {allowed[0]}")]
    return []


def calls(source, room):
    talking = source.path.startswith(TALKING)
    for number, line in enumerate(source.code, 1):
        for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", line):
            name = match.group(1)
            if name not in BANNED:
                continue
            where, advice = BANNED[name]
            if source.path.startswith("Tests/") and name not in REFUSED_IN_TESTS:
                continue
            if name == "signal" and re.search(r"signal\(\w+, SIG_(IGN|DFL)\)", line):
                continue  # these two mean the same everywhere
            if where == "simulated" and room not in SIMULATED_ROOMS:
                continue
            if where == "pure":
                if room not in PURE_ROOMS | {"base"}:
                    continue
                if name in WORDS_OF_MALLOC and room in ALLOCATING_PURE_ROOMS:
                    continue
            if talking and name in {"printf", "sleep", "usleep", "system"}:
                continue
            yield source.finding(number, "banned-call", f"{name}: {advice}")


def flags(source):
    """Members of one `enum …_flag` do not share a value: branches that each took the next free bit
    merge without a conflict.
    """
    for match in re.finditer(r"enum\s+\w+_flag\s*\{(.*?)\}", source.blanked, re.S):
        seen = {}
        for member in re.finditer(r"(\w+)\s*=\s*(\w+)", match.group(1)):
            name, value = member.groups()
            if value in seen:
                yield source.finding(
                    source.line_of(match.start(1) + member.start()),
                    "flag-value",
                    f"{name} and {seen[value]} are both {value}: give it a bit of its own",
                )
            seen.setdefault(value, name)


def check(tree, tables):
    findings = []
    stems = {}
    for path in tree.paths:
        if path.endswith(".c") and room_of(path):
            stems.setdefault(room_of(path), set()).add(stem_of(path))
    for source in tree.sources(".c", ".h"):
        room = room_of(source.path)
        if room and room not in tables.C_ROOMS:
            findings.append(
                source.finding(
                    1,
                    "unknown-room",
                    f"add CSources/{room} to C_ROOMS in tools/tidy.py with what it "
                    "may include, and to the handbook",
                )
            )
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
        findings += calls(source, room)
        findings += flags(source)
        if room:
            findings += includes(source, room, tables)
            if source.path.endswith(".h"):
                findings += guard(source, room)
            findings += names(source, room, stems.get(room, set()))
    for room in {room_of(p) for p in tree.paths} - {None}:
        if f"CSources/{room}/README.md" not in tree.paths:
            findings.append(
                Finding(
                    f"CSources/{room}/README.md",
                    1,
                    "room-readme",
                    "write it: purpose, doors, "
                    "invariants, what must not live here, where the tests are",
                )
            )
    return findings
