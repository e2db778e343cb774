"""Functions of the expression language, over numbers and over arrays of design points alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

from cnncost.dims import ceil_div, is_array, larger, noted, refused, reworded, round_to, smaller
from cnncost.errors import SpecError
from cnncost.options import spelled

LARGEST_RESULT = 2**63 - 1


def bounded(value: Any) -> Any:
    """The value, unless it is a whole number beyond 2^63: OverflowError."""
    if type(value) is int and not -LARGEST_RESULT <= value <= LARGEST_RESULT:
        raise OverflowError
    return value


def number(value: Any) -> Any:
    """The value, if arithmetic works on it. Raises SpecError."""
    if isinstance(value, (bool, str, list, tuple, type(None))) or (is_array(value) and value.dtype.kind == "b"):
        raise SpecError(f"arithmetic on {spelled(value)}", hint="+ - * / work on numbers")
    return value


def _floor(value: Any) -> Any:
    if is_array(value):
        return (value // 1).astype("int64")
    return math.floor(value)


def _ceil(value: Any) -> Any:
    if is_array(value):
        return (-(-value // 1)).astype("int64")
    return math.ceil(value)


def _pairwise(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def over(*values: Any) -> Any:
        if len(values) == 1 and isinstance(values[0], (list, tuple)):
            values = tuple(values[0])
        return reduce(function, values)

    return over


def _round_to(value: Any, divisor: Any) -> Any:
    """dims.round_to, which would make any number below the divisor one divisor: also a width of 0 or -1."""
    above = value > 0
    if not (above.all() if is_array(above) else above):
        before = noted()
        error = SpecError(f"round_to of {spelled(value)}, which is not above 0", hint="check the parameters it uses")
        if not refused(above, error):
            raise error
        reworded(before, lambda at: _round_to(at(value), at(divisor)))
    return round_to(value, divisor)


def _length(values: Any) -> int:
    return len(_entries(values))


def _sum(values: Any) -> Any:
    return reduce(lambda a, b: bounded(a + b), map(number, _entries(values)), 0)


def _entries(values: Any) -> list[Any]:
    """A list; an array is no list but a number, one for each design point."""
    if not isinstance(values, (list, tuple)):
        raise TypeError
    return list(values)


def called_on_arrays(function: Callable[..., Any], values: list[Any]) -> Any:
    """Entry by entry, with the errors that Python's numbers raise."""
    import numpy as np

    try:
        with np.errstate(all="raise"):
            return function(*values)
    except FloatingPointError as e:
        raise (ZeroDivisionError if "divide" in str(e) else OverflowError) from None


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": _ceil,
    "ceil_div": ceil_div,
    "floor": _floor,
    "len": _length,
    "max": _pairwise(larger),
    "min": _pairwise(smaller),
    "round": lambda x: _floor(x + 0.5),
    "round_to": _round_to,
    "sum": _sum,
}
"""Functions of the language. round rounds halves up; round_to(x, 8) is MobileNet's rule for channels."""
