"""Numbers as people read them: the only formatting of numbers in the project.

Counts are in units of 1, K = 10^3, M = 10^6, G = 10^9, T = 10^12, P = 10^15, E = 10^18; bytes in B, KiB = 2^10 B,
MiB = 2^20 B, GiB = 2^30 B. A column has one unit, named in its header.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, log10
from typing import Any, NamedTuple

COUNTS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
TIMES = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
"""Units of time; one is used from 1 (for minutes and longer from 2) of it."""
BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
CHOICES = ("exact", "auto", "K", "M", "G")
"""What --units takes: whole numbers; a unit a column by its largest number; or one for all."""
DIGITS = 4
"""Of the largest number of a column that has the same decimals in all rows."""


class Unit(NamedTuple):
    """A unit and what one of it is worth."""

    name: str
    worth: int

    def show(self, value: float) -> str:
        """The number in this unit: whole in units of 1, else with three decimals; only zero is shown as 0."""
        if self.worth == 1 or value == 0:
            return f"{value:,}"
        return "<0.001" if 0 < value < self.worth / 1000 else f"{value / self.worth:,.3f}"


def unit_for(values: Iterable[Any], bytes_: bool, choice: str) -> Unit:
    """The unit of a column. `auto` takes the largest in which the column's largest number is at least 1."""
    units = BYTES if bytes_ else COUNTS
    if choice == "exact":
        name = next(iter(units))
    elif choice == "auto":
        largest = max((v for v in values if v is not None), default=0)
        name = [n for n, worth in units.items() if largest >= worth or worth == 1][-1]
    else:
        name = f"{choice}iB" if bytes_ else choice
    return Unit(name, units[name])


def readable_bytes(value: int) -> str:
    """Bytes in the unit that leaves at least 1: 7.32 MiB."""
    unit = unit_for([value], True, "auto")
    return f"{value:,} B" if unit.worth == 1 else f"{value / unit.worth:,.2f} {unit.name}"


def short_bytes(value: int) -> str:
    """Bytes in the unit that leaves at least 1, with no more digits than they have: 24 GiB."""
    unit = unit_for([value], True, "auto")
    return f"{value / unit.worth:,g} {unit.name}"


def signed(value: Any, unit: Unit) -> str:
    """A difference with its sign: +663,552, -0.037, 0."""
    return f"{'+' if value > 0 else '-' if value < 0 else ''}{unit.show(abs(value))}"


def side_by_side(values: Sequence[float], unit: str, worth: float) -> tuple[list[str], str]:
    """Amounts with three decimals in one unit, and that unit; to the last digit where they would look the same.

    Whole numbers are counts or bytes, others seconds.
    """
    texts = [f"{value:,}" if worth == 1 and isinstance(value, int) else _decimals(value, worth) for value in values]
    if len(set(texts)) == len(set(values)):
        return texts, unit
    if all(isinstance(value, int) for value in values):
        return [f"{value:,}" for value in values], "B" if unit.endswith("B") else ""
    return [f"{value / worth:,.12g}" for value in values], unit


def _decimals(value: float, worth: float) -> str:
    return "<0.001" if 0 < value < worth / 1000 else f"{value / worth:,.3f}"


def share_of(part: float, whole: float) -> str:
    """A share of a limit: 20.7%; where it is rounded to all of it and is not, >100% or <100%."""
    text = percent(part, whole)
    return text if text != "100.0%" or part == whole else ">100%" if part > whole else "<100%"


def growth(before: float, now: float) -> str:
    """How much more something is than before: +2.00%, 0%; a dash where there was nothing to compare with."""
    if now == before:
        return "0%"
    text = off(now, before)
    return f"{text[0]}<0.01%" if text[1:] == "0.00%" else text or "-"


def digits(value: float | None, worth: float = 1) -> str:
    """A number in a unit with four digits; a dash where there is none."""
    return "-" if value is None else f"{value / worth:,.4g}"


def alike(values: Sequence[float | None], worth: float) -> list[str]:
    """Numbers of one unit with the same decimals, so many that the largest has four digits."""
    largest = max((v for v in values if v), default=0) / worth
    decimals = max(0, DIGITS - 1 - max(0, floor(log10(largest)))) if largest else 0
    least = 10.0**-decimals

    def text(value: float | None) -> str:
        if not value:
            return "-"
        return f"{value / worth:,.{decimals}f}" if value / worth >= least / 2 else f"<{least:g}"

    return [text(v) for v in values]


def in_unit(value: float) -> str:
    """A large count in the unit that leaves at least 1: 223.3 P."""
    unit = unit_for([value], False, "auto")
    return f"{value:,.4g}" if unit.worth == 1 else f"{value / unit.worth:,.4g} {unit.name}"


def rate(value: float, dtype: str) -> str:
    """Operations a second: 82.6 TFLOP/s, 624 TOP/s."""
    return f"{in_unit(value)}{rate_unit(dtype)}"


def rate_unit(dtype: str) -> str:
    """What rates under a peak of this dtype are in."""
    return "OP/s" if dtype.startswith("int") else "FLOP/s"


def duration(seconds: float) -> str:
    """A time in the unit that suits it: 39.2 hours."""
    name = [n for n, worth in TIMES.items() if seconds >= worth * (2 if worth > 1 else 1) or n == "ns"][-1]
    number = seconds / TIMES[name]
    return f"{number:,.0f} {name}" if number >= 1000 else f"{number:.3g} {name}"


def milliseconds(seconds: float) -> str:
    """A time in milliseconds with four digits; one unit for all, so that rows compare."""
    return f"{1e3 * seconds:#.4g} ms".replace(". ms", " ms")


def time_unit(values: Iterable[float | None]) -> tuple[str, float]:
    """The unit of a column of times: seconds, or the part of one that leaves the largest at least 1, down to µs."""
    largest = max((v for v in values if v), default=0)
    units = {name: worth for name, worth in TIMES.items() if TIMES["µs"] <= worth <= 1}
    name = [name for name, worth in units.items() if largest >= worth or name == "µs"][-1]
    return "s" if name == "seconds" else name, TIMES[name]


def around(middle: float, low: float, high: float, decimals: int = 0) -> str:
    """What lies below and above, as parts of the middle: -12 +15 %."""
    return " ".join([*(f"{100 * (edge / middle - 1):+.{decimals}f}" for edge in (low, high)), "%"])


def off(here: float, there: float) -> str:
    """How far a number is from another, in percent: -0.25%; nothing where there is none to be far from."""
    return f"{100 * (here - there) / there:+.2f}%" if there else ""


def span(values: Iterable[str]) -> str:
    """Least and most: 27.2% to 32.7%; once where they are the same."""
    return " to ".join(dict.fromkeys(values))


def percent(part: Any, whole: Any, decimals: int = 1) -> str:
    """A share, with one decimal unless told; a dash where there is nothing to share."""
    return f"{100 * part / whole:,.{decimals}f}%" if whole else "-"


def shape(sizes: Iterable[Any]) -> str:
    """96x55x55."""
    return "x".join(map(str, sizes))


def per_axis(values: Iterable[float]) -> str:
    """Numbers an axis: 3x5, or 483 where all are equal."""
    text = [f"{value:g}" for value in values]
    return text[0] if len(set(text)) == 1 else "x".join(text)


def an_image(value: Any, batch: int) -> str:
    """An image's part of a batch's count; what a layer does once a batch may leave no whole number."""
    return f"{value // batch:,}" if value % batch == 0 else f"~{value / batch:,.0f}"


def printable(text: str, most: int = 500) -> str:
    """Text from a spec, safe to print: control and direction characters are escaped, and length has an end."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return text if len(text) <= most else text[: most - 3] + "..."


def bar(part: Any, largest: Any, width: int, block: str = "█") -> str:
    """A bar as long as the part is large; the largest fills the width."""
    return block * round(width * part / largest) if largest else ""


def plural(n: int, noun: str) -> str:
    """1 layer, 2 layers, 50,000 layers."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
