"""Numbers as papers print them, and how they were rounded: 60M, 11.3 billion, 3.8 x 10^9, 3.8e9; cut to 10K."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from cnncost.errors import SpecError
from cnncost.options import spelled

UNITS: dict[str, int | Fraction] = {
    **{"k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12},
    **{"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12},
    **{"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "bytes": 1},
    "%": Fraction(1, 100),
}
"""What follows a printed number. B alone is billion, as in papers; MB is 10^6 bytes and MiB 2^20."""
_NUMBER = re.compile(
    r"(?P<digits>\d{1,3}(,\d{3})+|\d+)(\.(?P<decimals>\d+))?(\s*x\s*10\^(?P<power>\d{1,2})|[eE](?P<exponent>[-+]?\d{1,2}))?\s*"
    rf"(?P<unit>{'|'.join(sorted(UNITS, key=len, reverse=True))})?\s*"
    r"(FLOPs|FLOPS|flops|MACs|ops|params|parameters|weights|connections|neurons|layers|mult-adds|multiply-adds|px)?"
)
_SHAPE = re.compile(r"\d+(x\d+)+")
_ROUNDING = re.compile(r"(?P<how>nearest|cut|up|each layer (?:cut|rounded))(?: to (?P<to>.+))?")
FIGURE_HINT = "write it as printed: 60M, 34848, 11.3 billion, 4.8MB, 94.86%, 10x32x32 or 319 x 280 x 3"


class Figure(NamedTuple):
    """A printed number: its value, and the size of a one in its last digit."""

    value: Fraction
    last_digit: Fraction


class Rounding(NamedTuple):
    """How a figure was made from the exact one.

    how: nearest, cut or up. to: the unit it was made whole in; the last printed digit where None.
    each_layer: every layer was rounded before they were added.
    """

    how: str
    to: Fraction | None
    each_layer: bool


def figure(text: str) -> Figure | None:
    """A printed number, 60M or 11.3 billion or 3.8 x 10^9 or 3.8e9; None for anything else."""
    found = _NUMBER.fullmatch(text.strip())
    if not found:
        return None
    decimals = found["decimals"] or ""
    power = int(found["power"] or found["exponent"] or 0)
    unit = UNITS[found["unit"] or "bytes"] * Fraction(10) ** power
    last_digit = unit / 10 ** len(decimals)
    return Figure(int(found["digits"].replace(",", "") + decimals) * last_digit, last_digit)


def is_shape(text: str) -> bool:
    """Whether a printed figure is a shape, 10x32x32."""
    return _SHAPE.fullmatch(text) is not None


def rounding(text: str) -> Rounding:
    """How a figure was rounded. Raises SpecError."""
    found = _ROUNDING.fullmatch(text)
    to = figure(found["to"]) if found and found["to"] else None
    each = found is not None and found["how"].startswith("each")
    if found is None or (found["to"] and (to is None or to.value <= 0)) or (each and to is None):
        hint = (
            "nearest, cut or up, each with `to 10K` if need be; or `each layer cut to 1M`, `each layer rounded to 1M`"
        )
        raise SpecError(f"rounding {spelled(text)} is not understood", hint=hint)
    how = {"each layer cut": "cut", "each layer rounded": "nearest"}.get(found["how"], found["how"])
    return Rounding(how, to.value if to else None, each)
