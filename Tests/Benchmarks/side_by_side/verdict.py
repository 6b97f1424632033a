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
    difference is claimed only when the quartiles of both samples lie apart, those of the paired
    ratios lie on one side of 1, and there were enough rounds; everything else is noise.
    """

    FEWEST = 5

    def __init__(self, ours, theirs, smaller_is_better=False):
        pairs = list(zip(ours, theirs, strict=True))
        if smaller_is_better:
            pairs = [(b, a) for a, b in pairs]
        self.ours, self.theirs = zip(*pairs, strict=True)
        self.spread = Spread(a / b for a, b in pairs)
        self.claimed = self.is_above(1) or self.is_below(1)

    @property
    def median(self):
        return self.spread.median

    def is_apart(self, target):
        """The samples would not overlap if one were `target` times the other."""
        if len(self.ours) < self.FEWEST:
            return False
        return not Spread(self.ours).overlaps(Spread(value * target for value in self.theirs))

    def is_above(self, target):
        return self.spread.low > target and self.is_apart(target)

    def is_below(self, target):
        return self.spread.high < target and self.is_apart(target)

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
    return MISSED if ratio.is_below(target) else OPEN
