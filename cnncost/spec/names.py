"""What names mean: declared parameters with their overrides, inputs with their shapes, earlier layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cnncost.dims import Shape, entering, is_array, noted, reworded, shown
from cnncost.errors import OptionError, SpecError, UsageError, counted, did_you_mean
from cnncost.options import KINDS, quoted, spelled
from cnncost.spec.document import INPUT, Document, fail, kind_of_value, placed
from cnncost.spec.expr import SIZES, evaluate, size_of
from cnncost.spec.functions import LARGEST_RESULT
from cnncost.spec.lines import NAME, parameter_name
from cnncost.spec.marks import Item, normalize, plain

SHAPE_HINT = "write channels x height x width, without the batch: 3x224x224"
_ENTRY = re.compile(r"\[([^\[\]]*)\]")
_SHAPE = re.compile(r"[0-9]{1,20}(x[0-9]{1,20})*")


class Names:
    """What names mean at one place of a spec: parameters by value, earlier layers by shape."""

    __slots__ = ("layers", "shapes", "values")

    def __init__(self, values: dict[str, Any], layers: dict[str, str], shapes: Mapping[str, Shape]) -> None:
        self.values, self.layers, self.shapes = values, layers, shapes

    def value(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if name in self.layers:
            raise SpecError(f"{name} is a layer, not a number", hint=f"take one of its sizes: {name}.channels")
        raise SpecError(f"unknown name {spelled(name)}", hint=self._hint(name))

    def _hint(self, name: str) -> str:
        if name == "i":
            return "i counts in the options of a line with `repeat`, not in its `if`; hand it to a block as an argument"
        if name.lower() in ("yes", "no", "on", "off"):
            return "write true or false"
        flags = ("true", "false") if len(name) <= len("false") else ()
        hint = did_you_mean(name, [*self.values, *flags])
        if hint.startswith("did"):
            return hint
        hint = did_you_mean(name, self.values)
        return f"declare it under `parameters:`; {hint}" if self.values else "declare it under `parameters:`"

    def shape(self, name: str) -> Shape:
        if name not in self.layers:
            raise SpecError(f"unknown layer {spelled(name)}", hint=did_you_mean(name, self.layers))
        return self.shapes[self.layers[name]]

    def size(self, owner: str, name: str) -> Any:
        """A size of a layer's output: input.channels, conv1.height."""
        try:
            shape = self.shape(owner)
        except SpecError as e:
            if name not in SIZES:
                e.hint = f'for an entry of a list write {owner}[{name}], in braces in quotes: "{owner}[{name}]"'
            raise
        return size_of(shape, name, owner)

    def evaluate(self, text: str) -> Any:
        return evaluate(text, self)

    def argument(self, raw: Any) -> Any:
        """The value of a parameter: strings are expressions, but a word that names nothing is itself."""
        if isinstance(raw, str):
            return self.values.get(raw, raw) if raw.isidentifier() else evaluate(raw, self)
        if isinstance(raw, list):
            return [self.argument(item) for item in raw]
        if isinstance(raw, dict):
            raise SpecError("a parameter cannot be a mapping", hint="parameters are numbers, words, or lists of them")
        return raw


def parameter_values(doc: Document, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the declared parameters, in order; overrides by name, or name.index for one entry of a list."""
    if not isinstance(overrides, Mapping):
        raise UsageError(f"set must be a mapping, got {kind_of_value(overrides)}", hint='write set={"width": 0.5}')
    overrides = {normalize(_ENTRY.sub(r".\1", str(key))): value for key, value in overrides.items()}
    for key in overrides:
        name = key.split(".", 1)[0]
        if name not in doc.parameters:
            hint = did_you_mean(name, doc.parameters) if doc.parameters else f"{doc.source.file} declares none"
            raise UsageError(f"no parameter {spelled(name)} to set", hint=hint)
    values: dict[str, Any] = {}
    names = Names(values, {}, {})
    for name, item in doc.parameters.items():
        parameter_name(name, item.key_or_value_at)
        try:
            value = names.argument(plain(item))
        except SpecError as e:
            placed(e, item.at)
        if name in overrides:
            default, value = value, _like(value, overrides[name], name)
            if isinstance(value, list) and isinstance(default, list) and len(value) > len(default):
                value = Longer(value)
        for key, new in overrides.items():
            first, dot, path = key.partition(".")
            if first == name and dot:
                value = _entry_set(value, path.split("."), new, name)
        values[name] = value
    return values


class Longer(list[Any]):
    """A list given longer than the spec's, and how many of its entries were read: by index, or all of them."""

    used = 0

    def __getitem__(self, i: Any) -> Any:
        self.used = max(self.used, i % len(self) + 1)
        return super().__getitem__(i)

    def __iter__(self) -> Iterator[Any]:
        self.used = len(self)
        return super().__iter__()


def all_used(values: Mapping[str, Any]) -> None:
    """Raise UsageError for a list whose last entries were given for nothing."""
    for name, value in values.items():
        if isinstance(value, Longer) and 0 < value.used < len(value):
            message = f"{name} has {len(value)} entries, and the spec uses {value.used} of them"
            raise UsageError(message, hint="leave out the others; more layers would be more lines of the spec")


def _like(default: Any, value: Any, name: str) -> Any:
    """An override, if it is the same kind of thing as the default."""
    value = _entering(value)
    if type(value) in (int, float) and abs(value) > LARGEST_RESULT:
        raise UsageError(f"cannot set {name} to {quoted(value)}: too large a number", hint="numbers end at 2^63")
    wanted, got = _kind(default), _kind(value)
    if got is None or (wanted not in (got, "nothing") and not (wanted == "number" and got == "array")):
        raise UsageError(
            f"cannot set {name} to {quoted(value)}: it is {spelled(default)} in the spec",
            hint="give a value of the same kind: a number, a list, a word, true or false",
        )
    return value


def _entering(value: Any) -> Any:
    """A value from outside as the language knows it: lists are lists, and single numbers are Python's."""
    if is_array(value):
        return entering(value)
    if isinstance(value, (list, tuple)):
        return [_entering(item) for item in value]
    return value


def _kind(value: Any) -> str | None:
    """What kind of parameter a value is; None where it is none."""
    if is_array(value):
        return "array" if value.dtype.kind in "iuf" and value.size else None
    if isinstance(value, (bool, str)):
        return type(value).__name__
    if isinstance(value, (int, float)):
        return "number" if -LARGEST_RESULT <= value <= LARGEST_RESULT else None
    if isinstance(value, list):
        return "list" if all(_kind(item) for item in value) else None
    return "nothing" if value is None else None


def _entry_set(values: Any, path: list[str], value: Any, name: str) -> Any:
    """A list with one entry changed; `path` are indices, one for each depth."""
    if not isinstance(values, list):
        raise UsageError(
            f"cannot set entry {spelled(path[0])} of {name}: it is {spelled(values)}, not a list",
            hint=f"set {name} itself",
        )
    if path[0] not in map(str, range(len(values))):
        hint = f"its entries are 0 to {len(values) - 1}" if len(values) > 1 else "its only entry is 0"
        hint = hint if values else "it is empty"
        raise UsageError(f"{name} has no entry {spelled(path[0]) or repr('')}", hint=hint)
    i = int(path[0])
    entry = f"{name}.{i}"
    new = _entry_set(values[i], path[1:], value, entry) if path[1:] else _like(values[i], value, entry)
    return [*values[:i], new, *values[i + 1 :]]


def input_shapes(doc: Document, given: Any, names: Names) -> dict[str, Shape]:
    """Shapes of the inputs without the batch: from `given` where there is one, else from the spec."""
    if doc.input is None and given is None:
        hint = "add `input: 3x224x224`: channels x height x width, without the batch"
        fail("the spec has no input", doc.layers_at, hint)
    declared = _declared(doc.input) if doc.input is not None else {}
    if given is None:
        return {name: _declared_shape(item, names) for name, item in declared.items()}
    several = list(declared) or [INPUT]
    given = given if isinstance(given, Mapping) else {several[0]: given}
    if set(given) != set(several):
        hint = f"give each by name: {', '.join(f'{n}=3x224x224' for n in several)}"
        got = ", ".join(map(str, given)) or "no input"
        raise UsageError(f"the spec has the inputs {', '.join(several)}, and {spelled(got)} is given", hint=hint)
    shapes = {name: parse_shape(given[name]) for name in several}
    for name, item in declared.items():
        _same_axes(f"input {name}" if len(several) > 1 else "input", shapes[name], item)
    return shapes


def _same_axes(what: str, given: Shape, item: Item) -> None:
    """Raise UsageError where an input has other axes than the spec's: layers would slide over others, unnoticed."""
    sizes = declared = plain(item)
    if not isinstance(sizes, list):
        sizes = str(declared).split("x") if _SHAPE.fullmatch(str(declared)) else given
    if len(given) == len(sizes):
        return
    hint = "leave the batch out: it is given by itself (--batch)"
    if len(given) != len(sizes) + 1:
        hint = f"give a size for each of {spelled(declared)}"
    has = f"{spelled(shown(given))} has {counted(len(given), 'size')}"
    raise UsageError(f"{what} {has}, and the spec's input {spelled(declared)} has {len(sizes)}", hint=hint)


def _declared(item: Item) -> dict[str, Item]:
    """The inputs of a spec by name."""
    if not isinstance(item.value, dict):
        return {INPUT: item}
    if not item.value:
        fail("input is empty", item.key_or_value_at, "write `input: 3x224x224`")
    for name, shape in item.value.items():
        if not NAME.fullmatch(name):
            hint = "names are up to 60 letters, digits, _ + # -"
            fail(f"{spelled(name)} cannot be an input's name", shape.key_or_value_at, hint)
    return item.value


def same_points(batch: Any, given: Any, overrides: Any) -> None:
    """Raise UsageError where arrays of design points cannot stand side by side."""
    named = {"batch": batch, "input": given, **(overrides if isinstance(overrides, Mapping) else {})}
    arrays = [(str(name), array) for name, value in named.items() for array in _arrays(value, name == "input")]
    if len(arrays) < 2:
        return
    import numpy as np

    shape: tuple[int, ...] = ()
    for name, array in arrays:
        try:
            shape = np.broadcast_shapes(shape, np.shape(array))
        except ValueError:
            points = [spelled(shown(s)) for s in (np.shape(array), shape)]
            hint = "give arrays of one length, or of shapes that broadcast: (n, 1) and (m,)"
            message = f"{spelled(name)} has {points[0]} design points, and what is given before it {points[1]}"
            raise UsageError(message, hint=hint) from None


def _arrays(value: Any, sizes: bool = False) -> list[Any]:
    """The arrays in a value from outside; where it is one itself and means `sizes`, it is no array of points."""
    if isinstance(value, Mapping):
        return [array for entry in value.values() for array in _arrays(entry, sizes)]
    if isinstance(value, (list, tuple)):
        return [array for entry in value for array in _arrays(entry)]
    return [value] if is_array(value) and value.ndim and not sizes else []


def parse_shape(value: Any) -> Shape:
    """3x224x224, or a sequence of sizes, as a shape without the batch. Raises UsageError."""
    sizes = value
    if isinstance(value, str):
        sizes = [int(n) for n in value.split("x")] if _SHAPE.fullmatch(value) else []
    before = noted()
    try:
        shape = tuple(KINDS["Size"].check(n) for n in sizes)
    except OptionError as e:
        raise UsageError(f"each size of an input {e.message}", hint=SHAPE_HINT) from None
    except TypeError:  # not a sequence
        shape = ()
    if not shape:
        raise UsageError(f"{spelled(value) or repr(value)} is no input shape", hint=SHAPE_HINT)
    reworded(before, lambda at: parse_shape([at(n) for n in sizes]))
    return shape


def _declared_shape(item: Item, names: Names) -> Shape:
    value = plain(item)
    try:
        if isinstance(value, list):
            return parse_shape([KINDS["Size"].read(n, names.evaluate) for n in value])
        if isinstance(value, (dict, bool, float, type(None))):
            fail(f"input must be a shape, got {kind_of_value(value)}", item.at, SHAPE_HINT)
        return parse_shape(str(value))
    except OptionError as e:
        fail(f"each size of an input {e.message}", item.at, e.hint)
    except UsageError as e:
        fail(e.message, item.at, e.hint)
    except SpecError as e:
        placed(e, item.at)
