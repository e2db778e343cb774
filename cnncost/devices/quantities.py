"""Figures with their units, as data sheets print them: 2.52 GHz, 24 GiB, 1008 GB/s, 82.6 TFLOP/s."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from cnncost.errors import OptionError
from cnncost.options import quoted

UNITS: dict[str, dict[str, int | Fraction]] = {
    "count": {"": 1},
    "clock": {"MHz": 10**6, "GHz": 10**9},
    "bytes": {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
    "bandwidth": {"GB/s": 10**9, "TB/s": 10**12},
    "bus": {"bit": 1},
    "pin_rate": {"Gbit/s": 10**9},
    "power": {"W": 1},
    "time": {"ns": Fraction(1, 10**9), "us": Fraction(1, 10**6), "ms": Fraction(1, 10**3)},
    "rate": {"GFLOP/s": 10**9, "TFLOP/s": 10**12, "PFLOP/s": 10**15},
    "int_rate": {"GOP/s": 10**9, "TOP/s": 10**12, "POP/s": 10**15},
}
"""Units by dimension, and what one of each is worth."""
EXAMPLES = {
    "count": "128",
    "clock": "2.52 GHz",
    "bytes": "24 GiB",
    "bandwidth": "1008 GB/s",
    "bus": "384 bit",
    "pin_rate": "21 Gbit/s",
    "power": "450 W",
    "time": "1.8 us",
    "rate": "82.6 TFLOP/s",
    "int_rate": "624 TOP/s",
}
_NUMBER = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,12})(?:\.(\d{1,9}))?\s*([A-Za-z/]*)")


class Quantity(NamedTuple):
    """A figure in base units, and the size of a one in its last printed digit."""

    value: Fraction
    last_digit: Fraction

    def agrees(self, derived: Fraction) -> bool:
        """Whether a derived figure prints as this one, be it rounded or cut."""
        return abs(self.value - derived) < self.last_digit


def quantity(text: object, dimension: str) -> Quantity:
    """Read a figure with its unit. Raises OptionError with the units that would do."""
    units = UNITS[dimension]
    found = _NUMBER.fullmatch(str(text).strip()) if type(text) in (str, int, float) else None
    if found is None or found[3] not in units or int(found[1].replace(",", "") + (found[2] or "")) == 0:
        raise OptionError(f"must be {_noun(dimension)}, got {quoted(text)}", hint=_hint(dimension, found))
    decimals = found[2] or ""
    last_digit = Fraction(units[found[3]], 10 ** len(decimals))
    return Quantity(int(found[1].replace(",", "") + decimals) * last_digit, last_digit)


def _noun(dimension: str) -> str:
    return "a whole number of at least 1" if dimension == "count" else f"a number of {' or '.join(UNITS[dimension])}"


def _hint(dimension: str, found: re.Match[str] | None) -> str:
    if dimension == "bytes" and found and found[3] in ("KB", "MB", "GB", "TB"):
        return f"makers' {found[3]} of memory are powers of two: write {found[3][0]}iB"
    return f"write {EXAMPLES[dimension]}"
