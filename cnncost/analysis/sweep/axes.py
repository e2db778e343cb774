"""What varies: axes as people write them, batch=1,2,4,8 or width=0.25:2:0.05."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from cnncost.dims import LARGEST
from cnncost.errors import UsageError, did_you_mean
from cnncost.options import quoted, spelled
from cnncost.spec.functions import LARGEST_RESULT

BATCH, INPUT = "batch", "input"
SIDES = ("channels", "height", "width")
VALUES_AT_MOST = 1_000_000
EXAMPLE = "write --vary batch=1,2,4,8 or --vary width=0.25:2:0.05"
RANGE_HINT = "write start:end:step, the end included: 128:512:32"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_RANGE = re.compile(r"([^:]*):([^:]*)(?::([^:]*))?")
_SHAPE = re.compile(r"\d+(x\d+)+")

Value = Any
"""An int, a float, a word, true or false; a tuple of ints for an input shape."""


def is_input(name: str) -> bool:
    """Whether an axis is the input, or a side of it."""
    return name == INPUT or name.startswith(f"{INPUT}.")


class Axis(NamedTuple):
    """One thing that varies. name: batch, input, or a parameter, also width or depths.2."""

    name: str
    values: tuple[Value, ...]

    @property
    def numeric(self) -> bool:
        """Whether its values may stand in an array."""
        return all(type(value) in (int, float) for value in self.values)


def parse_axis(text: str) -> Axis:
    """NAME=VALUES: a list (1,2,4), a range with its end (128:512:32, of step 1 without one), or both.

    Raises UsageError.
    """
    name, equals, rest = text.partition("=")
    name = name.strip()
    if not equals or not name:
        raise UsageError(f"--vary {spelled(text)}: no name and values", hint=EXAMPLE)
    values: list[Value] = []
    for part in rest.split(",") if rest.strip() else ():
        values += _part(part.strip(), name)
        if len(values) > VALUES_AT_MOST:
            raise UsageError(f"--vary {name}: more than {VALUES_AT_MOST:,} values", hint="take a larger step")
    return checked(Axis(name, tuple(values)))


def checked(axis: Axis) -> Axis:
    """The axis, if each of its values comes once; numbers are whole, or none of them is. Raises UsageError."""
    if not axis.values:
        raise UsageError(f"--vary {axis.name}: no values", hint=EXAMPLE)
    kinds = {type(v) for v in axis.values}
    if len(kinds) > 1 and not kinds <= {int, float}:
        raise UsageError(f"--vary {axis.name}: values of several kinds", hint="give numbers, or words, or shapes")
    if len(set(axis.values)) < len(axis.values):
        seen: set[Value] = set()
        twice = next(v for v in axis.values if v in seen or seen.add(v))  # type: ignore[func-returns-value]
        raise UsageError(f"--vary {axis.name}: {shown_value(twice)} is given twice", hint="give each value once")
    if axis.numeric and not all(-LARGEST_RESULT <= v <= LARGEST_RESULT for v in axis.values):
        wrong = next(v for v in axis.values if not -LARGEST_RESULT <= v <= LARGEST_RESULT)
        raise UsageError(f"--vary {axis.name}: {spelled(wrong)} is no number up to 2^63", hint="check the values")
    return Axis(axis.name, tuple(map(float, axis.values))) if len(kinds) > 1 else axis


def _part(text: str, name: str) -> list[Value]:
    if ":" not in text:
        return [_value(text, name)]
    found = _RANGE.fullmatch(text)
    if found is None:
        raise UsageError(f"--vary {name}={spelled(text)}: more than an end and a step", hint=RANGE_HINT)
    ends = found[1], found[2], "1" if found[3] is None else found[3]
    start, stop, step = (_decimal(part, text, name) for part in ends)
    if step == 0:
        raise UsageError(f"--vary {name}={text}: a step of 0", hint=RANGE_HINT)
    count = int((stop - start) / step) + 1 if (stop >= start) == (step > 0) or stop == start else 0
    if count < 1:
        raise UsageError(f"--vary {name}={text}: it ends before it begins", hint=RANGE_HINT)
    if count > VALUES_AT_MOST:
        raise UsageError(f"--vary {name}={text}: {count:,} values", hint=f"at most {VALUES_AT_MOST:,}")
    numbers = [start + n * step for n in range(count)]
    whole = all(n == int(n) for n in (start, step))
    return [int(n) if whole else float(n) for n in numbers]


def _decimal(text: str, whole: str, name: str) -> Decimal:
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        what = f"{spelled(text)} is no number" if text else "an end is missing"
        raise UsageError(f"--vary {name}={whole}: {what}", hint=RANGE_HINT)
    return Decimal(text)


def _value(text: str, name: str) -> Value:
    if not text:
        raise UsageError(f"--vary {name}: nothing between two commas", hint=EXAMPLE)
    if text in ("true", "false"):
        return text == "true"
    if _SHAPE.fullmatch(text):
        return tuple(int(n) for n in text.split("x"))
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        return int(number) if number == int(number) and "." not in text and "e" not in text.lower() else float(number)
    return text


def shown_value(value: Value) -> str:
    """A value as it is written: 3x224x224, true, 0.75."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def axes_of(given: Iterable[str] | Mapping[str, Any], parameters: Mapping[str, Any]) -> tuple[Axis, ...]:
    """Axes from the command line, or from names and values. parameters: those that the spec declares.

    Raises UsageError for an axis that the spec does not have, that is given twice, or of no values.
    """
    if isinstance(given, Mapping):
        axes = [checked(Axis(str(name), _listed(values, str(name)))) for name, values in given.items()]
    else:
        axes = [parse_axis(text) for text in given]
    seen: dict[str, Axis] = {}
    for axis in axes:
        first = axis.name.split(".", 1)[0]
        if first not in (BATCH, INPUT, *parameters):
            known = [BATCH, INPUT, *parameters]
            raise UsageError(f"unknown axis {spelled(axis.name)}", hint=did_you_mean(first, known))
        if is_input(axis.name) and axis.name != INPUT and axis.name.split(".", 1)[1] not in SIDES:
            side = axis.name.split(".", 1)[1]
            raise UsageError(f"unknown axis {spelled(axis.name)}", hint=did_you_mean(side, SIDES))
        if axis.name in seen:
            raise UsageError(f"axis {axis.name} is given twice", hint="give all its values at once: 1,2,8:32:8")
        _sizes(axis)
        seen[axis.name] = axis
    if not seen:
        raise UsageError("nothing varies", hint=EXAMPLE)
    _once(seen)
    return tuple(seen.values())


def _sizes(axis: Axis) -> None:
    """Raise UsageError for a batch or an input that is none."""
    if axis.name != BATCH and not is_input(axis.name):
        return
    for value in axis.values:
        sizes = value if isinstance(value, tuple) and axis.name == INPUT else (value,)
        if any(type(n) is not int or n < 1 for n in sizes):
            raise UsageError(
                f"--vary {axis.name}: {shown_value(value)} is no whole number of at least 1",
                hint="write 128:512:32, or shapes: 3x224x224" if axis.name == INPUT else "write 1,2,4,8",
            )
        if max(sizes) > LARGEST:
            raise UsageError(f"--vary {axis.name}: {shown_value(value)} is too large", hint=f"at most {LARGEST}")


def _once(names: Iterable[str]) -> None:
    """Raise UsageError where two axes set the same sizes of the input."""
    names = set(names)
    for side in SIDES:
        if INPUT in names and f"{INPUT}.{side}" in names:
            message = f"{INPUT} and {INPUT}.{side} both vary the input"
            raise UsageError(message, hint=f"vary {' and '.join(f'{INPUT}.{s}' for s in SIDES[1:])}")


def _listed(values: Any, name: str) -> tuple[Value, ...]:
    """Values from Python: a list, a range, an array; a text as on the command line; or a single one."""
    if isinstance(values, str):
        return parse_axis(f"{name}={values}").values
    values = _plain(values)
    if not isinstance(values, Iterable) or isinstance(values, Mapping):
        values = [values]
    return tuple(_entry(value, name) for value in values)


def _plain(value: Any) -> Any:
    """What NumPy and its kin hold, as Python's."""
    return value.tolist() if hasattr(value, "tolist") else value


def _entry(value: Any, name: str) -> Value:
    """A value from Python. Raises UsageError for what is none."""
    value = _plain(value)
    if isinstance(value, (list, tuple)):
        return tuple(_entry(each, name) for each in value)
    if isinstance(value, str) and is_input(name):
        return _value(value, name)
    if not isinstance(value, (bool, int, float, str)):
        raise UsageError(f"--vary {name}: {quoted(value)} is no value", hint="give numbers, words, or shapes")
    return value
