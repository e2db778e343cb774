"""The kinds of layer option: what values each takes, how it is checked, how a schema writes it.

An op class annotates its fields with these names; the annotation is the whole declaration. The
reader of specs, the JSON Schema and the checks in `Op.__post_init__` all follow from it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, Union, get_args

from cnncost.dims import LARGEST, Size, entering, is_array, refused
from cnncost.errors import OptionError, SpecError, did_you_mean

Sizes = Union[Size, tuple[Size, ...]]
Pads = Union[Size, str, tuple[Any, ...]]
Amounts = Union[Size, tuple[Any, ...]]
Counts = Sizes
Sides = Union[Size, tuple[Size, ...]]
Range = tuple[Union[int, None], ...]
Index = int
Rank = int
SizesOrNone = Union[Size, None, tuple[Size, ...]]
OptionalSizes = Union[Size, None, tuple[Union[Size, None], ...]]
OptionalSize = Union[Size, None]
Axes = tuple[int, ...]
Target = tuple[Size, ...]
Maps = tuple[tuple[int, ...], ...]
Parts = Union[Size, tuple[Size, ...]]
Flag = bool
Real = float
OptionalReal = Union[float, None]
Factor = Union[float, tuple[float, ...], None]

Evaluate = Callable[[str], Any]
AXES_AT_MOST = 8


def spelled(value: Any) -> str:
    """A value as the spec would write it, cut where it is long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        text = "[" + ", ".join(map(spelled, value[:AXES_AT_MOST])) + (", …]" if len(value) > AXES_AT_MOST else "]")
    elif isinstance(value, dict):
        text = "a mapping"
    elif isinstance(value, int) and abs(value) > 10**30:
        text = f"a number of {len(str(abs(value))) if abs(value) < 10**4000 else 'over 4000'} digits"
    else:
        text = printable(str(value))
    return text if len(text) <= 60 else text[:57] + "..."


def printable(text: str) -> str:
    """Text that can be shown on one line: other characters escaped, bytes of file names that are no UTF-8 as \\xff."""
    if text.isprintable():
        return text
    return re.sub(r"\\udc([89a-f][0-9a-f])", r"\\x\1", repr(text)[1:-1])


def quoted(value: Any) -> str:
    """A value as spelled, but text in quotes where it could be taken for a number or a flag."""
    if isinstance(value, str) and (not value.isidentifier() or value.lower() in ("true", "false", "null")):
        return f'"{spelled(value)}"'
    return spelled(value)


class TooLargeError(OptionError):
    """A whole number beyond what any layer needs."""

    def __init__(self, value: int, least: int | None) -> None:
        most = f"at most {LARGEST}" if least is not None else f"from -{LARGEST} to {LARGEST}"
        hint = "look for a slip in the number, or in what it is computed from"
        super().__init__(f"must be {most}, got {spelled(value)}", hint=hint)


class Kind:
    """One kind of option. `read` turns what the YAML says into a value, `check` makes it canonical."""

    noun = "value"
    example: str | None = None
    words: tuple[str, ...] = ()  # strings that are values themselves, not expressions
    whole = False  # numbers are whole: 3.0 is a slip, though an expression may give it

    def read(self, raw: Any, evaluate: Evaluate) -> Any:
        """The value of a YAML node already in Python form; strings are expressions, unless words."""
        if isinstance(raw, str):
            return raw if raw in self.words else evaluate(raw)
        if isinstance(raw, (list, tuple)):
            return tuple(self.read(item, evaluate) for item in raw)
        if self.whole and isinstance(raw, float):
            whole = f"write {int(raw)}" if raw.is_integer() else WHOLE_HINT
            raise self.wrong(raw, whole)
        return raw

    def check(self, value: Any) -> Any:
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        raise NotImplementedError

    def hint_of(self, error: OptionError) -> str | None:
        """The hint of an entry's error, unless it only shows how to write an entry."""
        return None if error.hint == SizeKind.example else error.hint

    def wrong(self, value: Any, hint: str | None = None) -> OptionError:
        return OptionError(f"must be {self.noun}, got {quoted(value)}", hint=hint or self.example)

    def wrong_in(self, value: Any, error: OptionError) -> OptionError:
        """The error of an entry as one of the whole value; a size that is too large is told as such."""
        return error if isinstance(error, TooLargeError) else self.wrong(value, self.hint_of(error))


WHOLE_HINT = "write a whole number, or round: floor(...), ceil(...), round_to(..., 8)"
EXPRESSION = {"type": "string", "description": "an arithmetic expression over declared parameters"}


class SizeKind(Kind):
    """A whole number of at least `least`, or an array of such.

    structural: one number for all design points, because it chooses among formulas: which axis,
    which part, how many axes.
    """

    whole = True
    example = "write a number, or an expression over parameters"

    def __init__(self, noun: str, least: int | None, optional: bool = False, structural: bool = False) -> None:
        self.noun, self.least, self.optional, self.structural = noun, least, optional, structural

    def check(self, value: Any) -> Any:
        if value is None and self.optional:
            return None
        if is_array(value):
            value = entering(value)
        if is_array(value) and not self.structural:
            return self._check_array(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, float):
            raise self.wrong(value, WHOLE_HINT)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(value)
        if self.least is not None and value < self.least:
            raise self.wrong(value)
        if abs(value) > LARGEST:
            raise TooLargeError(value, self.least)
        return value

    def _check_array(self, value: Any) -> Any:
        import numpy as np

        if not value.size:
            raise self.wrong([])
        if value.dtype.kind == "f":
            whole = np.isfinite(value) & (value == np.floor(value))
            if not np.all(whole):
                value = self._without(value, whole, self.wrong(float(value[~whole].flat[0])))
        elif value.dtype.kind not in "iu":
            raise self.wrong(value)
        if self.least is not None and np.any(value < self.least):
            value = self._without(value, value >= self.least, self.wrong(int(value.min())))
        small = (value <= LARGEST) & (value >= -LARGEST)
        if not np.all(small):
            error = TooLargeError(max(int(value.max()), int(value.min()), key=abs), self.least)
            value = self._without(value, small, error)
        return value.astype(np.int64)

    def _without(self, value: Any, ok: Any, error: OptionError) -> Any:
        """The array with something harmless where it is wrong, if that was noted; otherwise the error is raised."""
        import numpy as np

        if not refused(ok, error):
            raise error
        return np.where(ok, value, max(1, self.least or 1))

    def schema(self) -> dict[str, Any]:
        number: dict[str, Any] = {"type": "integer"}
        if self.least is not None:
            number["minimum"] = self.least
        return {"anyOf": [number, EXPRESSION, *([{"type": "null"}] if self.optional else [])]}


class PerAxis(Kind):
    """One value for all spatial axes, or a list with one an axis; nothing where that is `optional`."""

    example = "write 3, or [3, 3]"

    def __init__(self, each: Kind, noun: str, optional: bool = False) -> None:
        self.each, self.noun, self.optional, self.whole = each, noun, optional, each.whole

    def check(self, value: Any) -> Any:
        if value is None and self.optional:
            return None
        if isinstance(value, (list, tuple)):
            if not 1 <= len(value) <= AXES_AT_MOST:
                raise self.wrong(value)
            return tuple(self.each.check(item) for item in value)
        try:
            return self.each.check(value)
        except OptionError as e:
            raise self.wrong_in(value, e) from None

    def schema(self) -> dict[str, Any]:
        each = self.each.schema()
        array = {"type": "array", "items": each, "minItems": 1}
        return {"anyOf": [*each["anyOf"], array, *([{"type": "null"}] if self.optional else [])]}


class PadsKind(Kind):
    """Padding: one number; one an axis; [before, after] an axis; or a word."""

    whole = True
    example = "write 1, or [1, 1], or [[0, 1], [0, 1]]"

    def __init__(self, number: SizeKind, noun: str, words: tuple[str, ...] = ()) -> None:
        self.number, self.noun, self.words = number, noun, words

    def check(self, value: Any) -> Any:
        if isinstance(value, str) and value in self.words:
            return value
        if isinstance(value, (list, tuple)):
            return tuple(self._side(item, value) for item in value)
        return self._number(value, value)

    def _number(self, item: Any, whole: Any) -> Any:
        try:
            return self.number.check(item)
        except OptionError as e:
            raise self.wrong_in(whole, e) from None

    def _side(self, item: Any, whole: Any) -> Any:
        if not isinstance(item, (list, tuple)):
            return self._number(item, whole)
        if len(item) != 2:
            raise self.wrong(whole)
        return tuple(self._number(n, whole) for n in item)

    def schema(self) -> dict[str, Any]:
        number = self.number.schema()
        pair = {"type": "array", "items": number, "minItems": 2, "maxItems": 2}
        axes = {"type": "array", "items": {"anyOf": [*number["anyOf"], pair]}, "minItems": 1}
        words = [{"enum": list(self.words)}] if self.words else []
        return {"anyOf": [*words, *number["anyOf"], axes]}


class ListOf(Kind):
    """A list of values of one kind."""

    def __init__(self, each: Kind, noun: str, or_single: bool = False) -> None:
        self.each, self.noun, self.or_single, self.whole = each, noun, or_single, each.whole

    def check(self, value: Any) -> Any:
        if self.or_single and not isinstance(value, (list, tuple)):
            return self.each.check(value)
        if not isinstance(value, (list, tuple)) or not value:
            raise self.wrong(value)
        try:
            return tuple(self.each.check(item) for item in value)
        except OptionError as e:
            raise self.wrong_in(value, e) from None

    def schema(self) -> dict[str, Any]:
        each = self.each.schema()
        array = {"type": "array", "items": each, "minItems": 1}
        return {"anyOf": [*each["anyOf"], array] if self.or_single else [array, EXPRESSION]}


class FlagKind(Kind):
    noun = "true or false"

    def read(self, raw: Any, evaluate: Evaluate) -> Any:
        if isinstance(raw, str) and raw.lower() in ("yes", "no", "on", "off"):
            return raw  # not an expression: check() names it and says what to write
        return super().read(raw, evaluate)

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(value, "flags are written true or false")
        return value

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "boolean"}, EXPRESSION]}


class RealKind(Kind):
    def __init__(self, noun: str, optional: bool = False) -> None:
        self.noun, self.optional = noun, optional

    def check(self, value: Any) -> Any:
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise self.wrong(value)
        return value

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "number"}, EXPRESSION, *([{"type": "null"}] if self.optional else [])]}


class FactorKind(Kind):
    """A scale factor above 0, for all axes or one an axis; nothing where a size is given instead."""

    noun = "a number above 0, or one an axis"

    def check(self, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, (list, tuple)) and value:
            return tuple(self._one(item, value) for item in value)
        return self._one(value, value)

    def _one(self, item: Any, whole: Any) -> Any:
        if isinstance(item, bool) or not isinstance(item, (int, float)) or not 0 < item < LARGEST:
            raise self.wrong(whole)
        return item

    def schema(self) -> dict[str, Any]:
        number = {"type": "number", "exclusiveMinimum": 0}
        return {
            "anyOf": [number, EXPRESSION, {"type": "array", "items": {"anyOf": [number, EXPRESSION]}, "minItems": 1}]
        }


class ChoiceKind(Kind):
    """One of a few words."""

    def __init__(self, words: tuple[str, ...]) -> None:
        self.words = words
        self.noun = "one of " + ", ".join(words)

    def read(self, raw: Any, evaluate: Evaluate) -> Any:
        if isinstance(raw, str) and raw not in self.words:
            try:
                return evaluate(raw)  # a parameter that holds the word
            except SpecError:
                return raw
        return raw

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            hint = did_you_mean(value, self.words) if isinstance(value, str) else None
            raise self.wrong(value, hint if hint and hint.startswith("did") else None)
        return value

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"enum": list(self.words)}, EXPRESSION]}


_SIZE = SizeKind("a whole number of at least 1", 1)
_COUNT = SizeKind("a whole number of at least 0", 0)
_SIGNED = SizeKind("a whole number", None)
_INDEX = SizeKind("a whole number", None, structural=True)
_OPTIONAL = SizeKind("a whole number of at least 1, or null", 1, optional=True)

KINDS: dict[str, Kind] = {
    "Size": _SIZE,
    "Index": _INDEX,
    "Rank": SizeKind("a whole number of at least 1", 1, structural=True),
    "OptionalSize": _OPTIONAL,
    "Sizes": PerAxis(_SIZE, "a whole number of at least 1, or a list with one an axis"),
    "Counts": PerAxis(_COUNT, "a whole number of at least 0, or a list with one an axis"),
    "SizesOrNone": PerAxis(_SIZE, "a whole number of at least 1, null, or a list with one an axis", optional=True),
    "OptionalSizes": PerAxis(_OPTIONAL, "a whole number of at least 1, null, or a list with one an axis"),
    "Pads": PadsKind(
        _COUNT,
        "a number of at least 0, one an axis, [before, after] for each axis, or same, same_tf, valid",
        ("same", "same_tf", "valid"),
    ),
    "Amounts": PadsKind(_SIGNED, "a whole number, one an axis, or [before, after] for each axis"),
    "Sides": ListOf(_SIGNED, "a whole number, or [before, after]", or_single=True),
    "Axes": ListOf(_INDEX, "a list of axis numbers"),
    "Target": ListOf(_SIGNED, "a list of sizes"),
    "Range": ListOf(SizeKind("a whole number, or null", None, optional=True), "[start, stop]"),
    "Maps": ListOf(
        ListOf(SizeKind("a channel number", 0, structural=True), "a list of input channels"),
        "a list with the input channels of each output channel",
    ),
    "Parts": ListOf(_SIZE, "a number of equal parts, or a list of sizes", or_single=True),
    "Flag": FlagKind(),
    "Real": RealKind("a number"),
    "OptionalReal": RealKind("a number, or null", optional=True),
    "Factor": FactorKind(),
}
"""Kinds by the name that annotates a field."""


@cache
def kind_of(annotation: str, module: str) -> Kind:
    """The kind that a field's annotation names: one of KINDS, or a Literal of its op's module."""
    if annotation in KINDS:
        return KINDS[annotation]
    import sys

    literal = getattr(sys.modules[module], annotation)
    assert getattr(literal, "__origin__", None) is Literal, f"{annotation} is no kind of option"
    return ChoiceKind(get_args(literal))
