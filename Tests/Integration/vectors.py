"""Reads Tests/Vectors/http-cases.json: the cases and the exact bytes that each sends."""

import base64
import json
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[1] / "Vectors" / "http-cases.json"


def load():
    with open(VECTORS, encoding="utf-8") as file:
        return json.load(file)


def unescape(text):
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def input_of(case):
    """The exact bytes that a case sends."""
    if "b64" in case:
        return base64.b64decode(case["b64"])
    if "generate" in case:
        make = case["generate"]
        unit = unescape(make["unit"])
        if b"%d" in unit:
            units = b"".join(unit.replace(b"%d", str(i).encode()) for i in range(make["count"]))
        else:
            units = unit * make["count"]
        return unescape(make["prefix"]) + units + unescape(make["suffix"])
    return unescape(case["raw"])


class Fault(Exception):
    """Why a case is not passed."""
