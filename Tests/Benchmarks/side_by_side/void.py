"""Why a measurement does not count."""


class Void(Exception):
    """It says nothing: errors, wrong bytes, or a rate that was not kept."""


class Disturbed(Void):
    """The machine had no time for it; worth another try."""
