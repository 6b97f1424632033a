"""Results as Markdown, JSON and a chart."""

import json
import re
from html import escape

from rows import COUNTED, LIMITS, ROWS, UNITS, smaller_is_better
from verdict import MISSED, Ratio, Spread, judge

OURS = "ringmesh"
FLOORS = ("direct", "forward", "forward-splice")
SAME_MEMORY = ("haproxy-splice", "ringmesh-routes")  # as the program without that option
BUSY = 0.95  # below this a worker could have done more: loader or backend were saturated


class Result:
    """Everything that was measured, and what follows from it."""

    def __init__(self, facts, settings, sides):
        self.facts = facts
        self.settings = settings
        self.sides = sides  # name -> version
        self.rows = []  # (row, {side: [figures per round]})
        self.memory = {}  # kind of LIMITS -> {side: bytes}
        self.instructions = {}  # entry -> per request, ours
        self.voids = []  # (what, side, reason)

    @property
    def proxies(self):
        return [name for name in self.sides if name not in FLOORS]

    @property
    def peers(self):
        """Who is compared with: another engine of ours only where nobody else is."""
        others = [name for name in self.proxies if name != OURS]
        return [name for name in others if not name.startswith(OURS)] or others

    def complete(self, samples):
        """Sides without a void measurement."""
        most = max((len(rounds) for rounds in samples.values()), default=0)
        return {side: rounds for side, rounds in samples.items() if rounds and len(rounds) == most}

    def key(self, row, samples):
        """The figure to judge by: processor time where our worker was not what gave way first."""
        if row.key in ("per_second", "gb_per_second") and row.ours in samples:
            busy = Spread(figures["proxy_busy"] for figures in samples[row.ours]).median
            if busy < BUSY:
                return "cpu_ns"
        return row.key

    def best_peer(self, row, samples, key):
        """Name of the peer that is best by median; None when no peer has figures."""
        found = [
            (Spread(figures[key] for figures in samples[name]).median, name)
            for name in row.beside or self.peers
            if name in samples and name != row.ours
        ]
        if not found:
            return None
        return (min(found) if smaller_is_better(key) else max(found))[1]

    def ratio(self, row, samples, key=None, other=None):
        """(the other side, our Ratio against it), or (None, None); the other is the best peer."""
        key = key or self.key(row, samples)
        other = other or self.best_peer(row, samples, key)
        if other not in samples or row.ours not in samples:
            return None, None
        ours, theirs = ([figures[key] for figures in samples[name]] for name in (row.ours, other))
        return other, Ratio(ours, theirs, smaller_is_better=smaller_is_better(key))

    def memory_verdicts(self):
        for kind, samples in self.memory.items():
            if OURS in samples:
                yield kind, samples[OURS], LIMITS[kind][1], samples[OURS] <= LIMITS[kind][1]

    def missed(self):
        """Targets that are missed by more than the noise, as text."""
        found = []
        for row, samples in self.rows:
            peer, ratio = self.ratio(row, self.complete(samples))
            if row.target and ratio and judge(ratio, row.target) == MISSED:
                found.append(f"{row.name}: {ratio.text()} of {peer}, target {row.target}")
            _, floor = self.ratio(row, self.complete(samples), other=row.floor or "none")
            if row.floor_target and floor and judge(floor, row.floor_target) == MISSED:
                found.append(
                    f"{row.name}: {floor.text()} of {row.floor}, target {row.floor_target}"
                )
        for kind, value, limit, kept in self.memory_verdicts():
            if not kept:
                found.append(f"{LIMITS[kind][0]}: {size(value)}, limit {size(limit)}")
        return found


def read(directory):
    """The result that write() left in a folder."""
    data = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    result = Result(data["machine"], data["settings"], data["sides"])
    known = {row.name: row for row in ROWS}
    result.rows = [(known[name], row["sides"]) for name, row in data["rows"].items()]
    result.memory = data["memory"]
    result.instructions = data.get("instructions", {})
    result.voids = [tuple(void) for void in data["voids"]]
    return result


def ends(value):
    """The numbers of a setting; what was joined before has two."""
    return [float(part) for part in value.split(" to ")] if isinstance(value, str) else [value]


def join(results):
    """One result of several runs on one machine, each of other rows; raises ValueError when they
    do not belong together.
    """
    first = results[0]
    beside = []
    whole = Result(first.facts, {**first.settings, "neighbours": beside}, {})
    for result in results:
        for name, version in result.sides.items():
            if whole.sides.setdefault(name, version) != version:
                raise ValueError(f"two versions of {name}: {whole.sides[name]} and {version}")
        for key in ("cpu", "cores", "kernel"):
            if result.facts[key] != first.facts[key]:
                raise ValueError(f"another machine: {first.facts[key]} and {result.facts[key]}")
        for key in ("congestion", "places", "spin"):
            if result.settings[key] != first.settings[key]:
                raise ValueError(f"another {key} in one of the runs")
        whole.rows += result.rows
        whole.memory.update(result.memory)
        whole.instructions.update(result.instructions)
        whole.voids += result.voids
        beside += [one for one in result.settings.get("neighbours", []) if one not in beside]
    names = [row.name for row, _ in whole.rows]
    if len(set(names)) != len(names):
        raise ValueError("a row stands in two of the runs")
    for key in ("seconds", "rounds", "rate", "half_rate"):
        found = sorted({v for result in results if result.rows for v in ends(result.settings[key])})
        whole.settings[key] = found[0] if len(found) == 1 else f"{found[0]:g} to {found[-1]:g}"
    order = [row.name for row in ROWS]
    whole.rows.sort(key=lambda pair: order.index(pair[0].name))
    return whole


def size(value):
    if value >= 1 << 20:
        return f"{value / (1 << 20):.2f} MiB"
    return f"{value / 1024:.2f} KiB" if value >= 1024 else f"{value:.0f} B"


def figure(row, value):
    if row.bulk:
        return f"{value:.2f}"
    return f"{value:.0f}" if row.paced else f"{value / 1000:.1f}k"


def cell(row, values):
    spread = Spread(values)
    return f"{figure(row, spread.median)} ({figure(row, spread.low)}–{figure(row, spread.high)})"


def table(head, lines):
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for line in lines:
        yield "| " + " | ".join(line) + " |"
    yield ""


def verdict_cell(ratio, target, by_cpu):
    if ratio is None:
        return "–"
    judged = f", {target:.2f} {judge(ratio, target)}" if target else ""
    return f"**{ratio.text()}**{' by CPU' if by_cpu else ''}{judged}"


def main_table(result):
    names = [name for name in result.sides if any(rounds.get(name) for _, rounds in result.rows)]
    head = ["row", "unit", *names, "ringmesh : best peer, target", "of the bare forwarder, target"]
    lines = []
    for row, samples in result.rows:
        whole = result.complete(samples)
        cells = [
            cell(row, [figures[row.key] for figures in whole[name]])
            if name in whole
            else "void"
            if any(what == row.name and side == name for what, side, _ in result.voids)
            else "–"
            for name in names
        ]
        by_cpu = result.key(row, whole) != row.key
        peer, ratio = result.ratio(row, whole)
        _, floor = result.ratio(row, whole, other=row.floor or "none")
        lines.append(
            [
                f"{row.name}: {row.title}",
                row.unit,
                *cells,
                verdict_cell(ratio, row.target, by_cpu) + (f" ({peer})" if peer else ""),
                verdict_cell(floor, row.floor_target, by_cpu),
            ]
        )
    yield from table(head, lines)


def cpu_table(result):
    names = [name for name in result.sides if name != "direct"]
    lines = []
    for row, samples in result.rows:
        whole = result.complete(samples)
        cells = [
            f"{Spread(r['cpu_ns'] for r in whole[name]).median:.0f}" if name in whole else "–"
            for name in names
        ]
        peer, ratio = result.ratio(row, whole, key="cpu_ns")
        lines.append([row.name, *cells, f"{ratio.text()} {peer}" if ratio else "–"])
    yield from table(["CPU ns per request", *names, "best peer : ringmesh"], lines)


def detail_table(result):
    lines = []
    for row, samples in result.rows:
        for name, rounds in samples.items():
            if not rounds:
                continue
            middle = {
                key: Spread(r[key] or 0 for r in rounds).median
                for key in ("p50_us", "p99_us", "proxy_busy", "backend_busy", "loader_busy")
            }
            busy = "/".join(
                f"{100 * middle[key]:.0f}" for key in ("proxy_busy", "backend_busy", "loader_busy")
            )
            lines.append(
                [row.name, name, f"{middle['p50_us']:.0f}", f"{middle['p99_us']:.0f}", busy]
                if middle["p50_us"]
                else [row.name, name, "–", "–", busy]
            )
    head = ["row", "side", "p50 µs", "p99 µs", "busy %: proxy/backend/loader"]
    yield from table(head, lines)


def memory_table(result):
    lines = []
    names = [n for n in result.proxies if n not in SAME_MEMORY]
    for kind, samples in result.memory.items():
        title, limit = LIMITS[kind]
        cells = [size(samples[name]) if name in samples else "–" for name in names]
        kept = next((k for what, _, _, k in result.memory_verdicts() if what == kind), False)
        lines.append([title, *cells, f"≤ {size(limit)} {'kept' if kept else 'missed'}"])
    yield from table(["memory", *names, "limit"], lines)


def markdown(result):
    facts, settings = result.facts, result.settings
    yield "# Side by side"
    yield ""
    yield (
        f"{facts['cpu']}{', virtual machine' if facts['hypervisor'] else ''}, {facts['cores']} "
        f"cores, {facts['memory_mib']} MiB, Linux {facts['kernel']}; load average "
        f"{facts['load_average_at_start']} before the run."
    )
    yield ", ".join(f"{name} {version}" for name, version in result.sides.items()) + "."
    yield (
        f"Congestion control {settings['congestion']} for every socket"
        f"{' (network namespace of its own)' if settings['own_network'] else ''}; "
        f"{settings['places']}; loader and backend {'spin' if settings['spin'] else 'sleep'}; "
        f"{settings['rounds']} interleaved rounds of {settings['seconds']} s; fixed rate "
        f"{settings['rate']}/s, half of the best peer's saturation {settings['half_rate']}/s."
    )
    if beside := settings.get("neighbours"):
        told = ", ".join(f"{one['command']} ({one['pid']})" for one in beside)
        yield f"Not alone on the machine: {told}."
    yield ""
    yield (
        "Median (quartiles). Ratios are of paired rounds and above 1 where Ringmesh is better; "
        "`≈` stands where the difference is within the noise and nothing is claimed. Every byte "
        "of every answer was compared with what the backend sends (rows of HTTP/2: status and "
        "length); a side with an error is void. "
        "Where our worker was not busy all the time, loader or backend were what gave way first, "
        "and the ratio is that of processor time per request (by CPU)."
    )
    yield ""
    if result.rows:
        yield from main_table(result)
        yield from cpu_table(result)
        yield from detail_table(result)
    if result.memory:
        yield from memory_table(result)
    if result.instructions:
        yield from table(
            ["instructions per request, by callgrind", OURS],
            [[COUNTED[entry].title, f"{count}"] for entry, count in result.instructions.items()],
        )
    for what, side, reason in result.voids:
        yield f"- void: {what}, {side}: {reason}"
    for line in result.missed():
        yield f"- missed: {line}"


def as_json(result):
    rows = {}
    for row, samples in result.rows:
        peer, ratio = result.ratio(row, result.complete(samples))
        _, floor = result.ratio(row, result.complete(samples), other=row.floor or "none")
        rows[row.name] = {
            "title": row.title,
            "unit": row.unit,
            "target": row.target,
            "judged_by": UNITS[result.key(row, result.complete(samples))],
            "best_peer": peer,
            "ratio": ratio.json() if ratio else None,
            "floor": floor.json() if floor else None,
            "sides": samples,
        }
    return {
        "machine": result.facts,
        "settings": result.settings,
        "sides": result.sides,
        "rows": rows,
        "memory": result.memory,
        "instructions": result.instructions,
        "voids": result.voids,
        "missed": result.missed(),
    }


def chart(result):
    """Bars of the ratio to the best peer, with the quartiles as a whisker."""
    bars = []
    for row, samples in result.rows:
        peer, ratio = result.ratio(row, result.complete(samples))
        if ratio:
            bars.append((f"{row.name} : {peer}", ratio))
    left, width, step = 170, 460, 30
    most = max([1.5, *(ratio.spread.high for _, ratio in bars)])
    height = 60 + step * len(bars)
    scale = width / most
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 90}" height="{height}" '
        'font-family="sans-serif" font-size="13">'
    )
    yield '<rect width="100%" height="100%" fill="white"/>'
    yield '<text x="10" y="20">Ringmesh against the best peer; grey: within the noise</text>'
    for number, (label, ratio) in enumerate(bars):
        top = 34 + number * step
        low, high = (left + scale * end for end in (ratio.spread.low, ratio.spread.high))
        colour = "#9a9a9a" if not ratio.claimed else "#2a7f62" if ratio.median > 1 else "#b5543c"
        yield f'<text x="10" y="{top + 15}">{escape(label)}</text>'
        yield (
            f'<rect x="{left}" y="{top}" width="{scale * ratio.median:.1f}" height="20" '
            f'fill="{colour}"/>'
        )
        yield (
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{top + 10}" y2="{top + 10}" '
            'stroke="black" stroke-width="2"/>'
        )
        yield f'<text x="{left + width + 10}" y="{top + 15}">{ratio.median:.2f}</text>'
    one = left + scale
    yield (
        f'<line x1="{one:.1f}" x2="{one:.1f}" y1="28" y2="{height - 20}" stroke="black" '
        'stroke-dasharray="4 3"/>'
    )
    yield f'<text x="{one - 4:.1f}" y="{height - 6}">1</text></svg>'


def json_text(data):
    """Indented, with every round's figures on a line of their own."""
    data = {**data, "rows": {name: {**row} for name, row in data["rows"].items()}}
    lines = []
    for row in data["rows"].values():
        row["sides"] = {side: list(rounds) for side, rounds in row["sides"].items()}
        for rounds in row["sides"].values():
            for number, figures in enumerate(rounds):
                lines.append(json.dumps(rounded(figures)))
                rounds[number] = f"@{len(lines) - 1}@"
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    return re.sub(r'"@(\d+)@"', lambda match: lines[int(match.group(1))], text)


def rounded(figures):
    """Five digits are more than a measurement has."""
    return {
        key: float(f"{value:.5g}") if isinstance(value, float) else value
        for key, value in figures.items()
    }


def write(result, directory):
    """results.md, results.json and chart.svg; the text of the first."""
    directory.mkdir(parents=True, exist_ok=True)
    text = "\n".join(markdown(result)) + "\n"
    (directory / "results.md").write_text(text, encoding="utf-8")
    (directory / "results.json").write_text(json_text(as_json(result)), encoding="utf-8")
    (directory / "chart.svg").write_text("\n".join(chart(result)) + "\n", encoding="utf-8")
    return text
