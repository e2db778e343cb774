"""Amounts as people write them: counts (600M), bytes (100MB, 2GiB), times (5ms); exact, and with their unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple, Union

from cnncost.errors import UsageError
from cnncost.options import spelled

MEMORY_AT_MOST = 2**60
COUNTS: dict[str, int] = {"": 1, **{unit: 1000**n for n, unit in enumerate("KMGTPE", 1)}, "k": 1000}
BYTES: dict[str, int] = {
    **dict.fromkeys(("", "B", "b", "bytes"), 1),
    **{unit: 1000**n for n, unit in enumerate(("KB", "MB", "GB", "TB"), 1)},
    **{unit: 1024**n for n, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
}
TIMES: dict[str, Union[int, Fraction]] = {
    **{"ns": Fraction(1, 10**9), "us": Fraction(1, 10**6), "µs": Fraction(1, 10**6), "μs": Fraction(1, 10**6)},
    **{"ms": Fraction(1, 1000), "s": 1},
}
"""Units, and what one of each is worth. Two letters look like the Greek mu."""
COUNT_HINT = "K is 10^3, M 10^6 and G 10^9: write 600M, 4.1G or 25557032"
BYTES_HINT = "GB is 10^9 bytes and GiB 2^30: write 24GB, 24GiB or 512MiB"
TIME_HINT = "write 5ms, 250us or 1.5s"
NUMBER = r"(\d{1,3}(?:,\d{3})+|\d{1,20})(?:\.(\d{1,9}))?\s*"
_AMOUNT = re.compile(NUMBER + r"([A-Za-zµμ]*)")


class Amount(NamedTuple):
    """An amount: counts and bytes whole, times in seconds; the unit it was written in, and what one of it is worth."""

    value: Union[int, Fraction]
    unit: str
    worth: Union[int, Fraction]


def parse_count(text: object, what: str = "count") -> Amount:
    """600M, 4.1G, 25557032 or 25,557,032. what: it is, for errors. Raises UsageError."""
    found = _parsed(text, COUNTS)
    if found is None or found.value.denominator != 1:
        raise UsageError(f"{what} {spelled(text) or repr('')} is no whole count", hint=COUNT_HINT)
    return Amount(int(found.value), found.unit.upper(), found.worth)


def parse_bytes(text: object, what: str = "memory") -> Amount:
    """24GB (10^9 bytes each), 24GiB (2^30), 512MiB, or bytes; rounded down. Raises UsageError."""
    found = _parsed(text, BYTES)
    if found is None:
        raise UsageError(f"{what} {spelled(text) or repr('')} is no number of bytes", hint=BYTES_HINT)
    if found.value > MEMORY_AT_MOST:
        raise UsageError(f"{what} {spelled(text)} is more than 2^60 bytes", hint=BYTES_HINT)
    return Amount(int(found.value), "B" if found.worth == 1 else found.unit, found.worth)


def parse_memory(text: object, what: str = "memory") -> int:
    """The same as a number of bytes. Raises UsageError."""
    return int(parse_bytes(text, what).value)


def parse_time(text: object, what: str = "time") -> Amount:
    """5ms, 250us or 250 µs, 1.5 s: in seconds. Raises UsageError, too for a number without a unit."""
    found = _parsed(text, TIMES)
    if found is None:
        raise UsageError(f"{what} {spelled(text) or repr('')} is no time", hint=TIME_HINT)
    return Amount(found.value, found.unit.replace("μ", "µ").replace("us", "µs"), found.worth)


def _parsed(text: object, units: Mapping[str, int | Fraction]) -> Amount | None:
    """A number with one of some units; None for anything else. Units of several letters are known in any case."""
    if not isinstance(text, (str, int)) or isinstance(text, bool):
        return None
    found = _AMOUNT.fullmatch(str(text).strip())
    if found is None:
        return None
    lowered = {name.lower(): name for name in units if len(name) > 1}
    unit = found[3] if found[3] in units else lowered.get(found[3].lower())
    if unit is None:
        return None
    decimals = found[2] or ""
    number = Fraction(int(found[1].replace(",", "") + decimals), 10 ** len(decimals))
    return Amount(number * units[unit], unit, units[unit])
