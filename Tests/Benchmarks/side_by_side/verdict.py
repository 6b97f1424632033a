"""Medians, spreads, and what may be claimed from them."""

import statistics


class Spread:
    """A sample: its median and quartiles."""

    def __init__(self, values):
        self.values = list(values)
        ordered = sorted(self.values)
        self.median = statistics.median(ordered)
        if len(ordered) > 1:
            quarters = statistics.quantiles(ordered, n=4, method="inclusive")
            self.low, self.high = quarters[0], quarters[2]
        else:
            self.low = self.high = self.median
        self.least, self.most = ordered[0], ordered[-1]

    def overlaps(self, other):
        return self.low <= other.high and other.low <= self.high

    def json(self):
        return {
            "median": self.median,
            "q1": self.low,
            "q3": self.high,
            "min": self.least,
            "max": self.most,
            "values": self.values,
        }


class Ratio:
    """`ours` against `theirs`, above 1 when ours is better.

    Rounds are paired, since both sides of a round met the same neighbours on the machine. A
    difference is claimed only when the quartiles of both samples lie apart and those of the paired
    ratios lie on one side of 1; everything else is noise.
    """

    FEWEST = 5

    def __init__(self, ours, theirs, smaller_is_better=False):
        pairs = list(zip(ours, theirs, strict=True))
        if smaller_is_better:
            pairs = [(theirs, ours) for ours, theirs in pairs]
        self.spread = Spread(a / b for a, b in pairs)
        apart = not Spread(ours).overlaps(Spread(theirs))
        one_side = self.spread.low > 1 or self.spread.high < 1
        self.claimed = len(pairs) >= self.FEWEST and apart and one_side

    @property
    def median(self):
        return self.spread.median

    def text(self):
        figure = f"{self.spread.median:.2f} ({self.spread.low:.2f}–{self.spread.high:.2f})"
        return figure if self.claimed else f"≈ {figure}"

    def json(self):
        return {**self.spread.json(), "claimed": self.claimed}


REACHED, MISSED, OPEN = "reached", "missed", "within the noise"


def judge(ratio, target):
    """Whether a target ratio is reached: by median, or missed by more than the noise."""
    if ratio.median >= target:
        return REACHED
    if ratio.spread.high < target:
        return MISSED
    return OPEN
