"""Layers and blocks as written: which op or block each line calls, with which options, on which inputs.

Whatever does not depend on a parameter is computed here, once, so that a slip in a block that is
never used is an error too, and a repeated layer costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, NoReturn

from cnncost.dims import noted, placed_since, reworded
from cnncost.errors import OptionError, SpecError, Where, counted, did_you_mean
from cnncost.ops import MENU, SYNONYMS, Op, find, unknown_op_hint
from cnncost.options import Kind, kind_of, spelled
from cnncost.spec.document import BLOCK, COMMON, INPUT, INSIDE_HINT, fail, kind_of_value, known_keys, mapping, placed
from cnncost.spec.marks import Item, plain

NAME = re.compile(r"[\w+#-]{1,60}")
RESERVED = (*COMMON, "after", "op", "i", INPUT)
"""Words that cannot name a parameter or a block, because they mean something in a layer."""
KEYS_FOR_OPS = ("type", "kind", "layer", "class", "class_name", "module")
"""Keys under which other formats name the op of a layer."""
OPTION_SYNONYMS = {
    "out_channels": "out",
    "out_features": "out",
    "filters": "out",
    "num_output": "out",
    "units": "out",
    "channels": "out",
    "kernel_size": "kernel",
    "ksize": "kernel",
    "pool_size": "kernel",
    "strides": "stride",
    "pad": "padding",
    "pads": "padding",
    "dilation_rate": "dilation",
    "group": "groups",
    "num_groups": "groups",
    "use_bias": "bias",
    "output_size": "size",
    "elementwise_affine": "affine",
    "negative_slope": "slope",
    "dim": "axis",
    "start_dim": "start",
    "end_dim": "end",
    "scale_factor": "factor",
    "depth_multiplier": "multiplier",
    "rate": "p",
    "inputs": "from",
    "bottom": "from",
}
"""What other frameworks call these options: for hints only."""
NEVER_WRITTEN = ("in_channels", "in_features", "num_features", "num_channels", "normalized_shape", "input_shape")


class Option:
    """An option of a layer or an argument of a block as written, and where it stands."""

    __slots__ = ("at", "raw")

    def __init__(self, raw: Any, at: Where) -> None:
        self.raw, self.at = raw, at


class OpCall:
    """An op with its options as written: constants are read once, expressions for each layer."""

    __slots__ = ("at", "built", "cls", "fixed", "op", "options", "varying")

    def __init__(self, cls: type[Op], options: dict[str, Option], at: Where, layer: str) -> None:
        self.cls, self.options, self.at = cls, options, at
        self.fixed: dict[str, Any] = {}
        self.varying: list[tuple[str, Kind, Option]] = []
        self.built: dict[tuple[Any, ...], Op] = {}
        for key, option in options.items():
            if key not in cls.options:
                hint = _option_hint(key, [*cls.options, *COMMON])
                fail(f"{cls.key} has no option {spelled(key)}", option.at, hint, layer)
            kind = self._kind(key)
            if _has_expression(option.raw, kind.words):
                self.varying.append((key, kind, option))
            else:
                self.fixed[key] = self._read(key, kind, option, _no_expression, layer)
        self.op = None if self.varying else self._build(self.fixed, layer)

    def _kind(self, key: str) -> Kind:
        return kind_of(str(self.cls.options[key].type), self.cls.__module__)

    def at_layer(self, evaluate: Callable[[str], Any], layer: str) -> Op:
        """The op with its expressions computed; equal options give the same object."""
        if self.op is not None:
            return self.op
        before = noted()
        values = {key: self._read(key, kind, option, evaluate, layer) for key, kind, option in self.varying}
        placed_since(before, self.at, layer)
        try:
            same = tuple([(key, type(value), value) for key, value in values.items()])
            op = self.built.get(same)
        except TypeError:  # arrays have no hash
            return self._swept({**self.fixed, **values}, layer)
        if op is None:
            op = self.built[same] = self._build({**self.fixed, **values}, layer)
        return op

    def _read(self, key: str, kind: Kind, option: Option, evaluate: Callable[[str], Any], layer: str) -> Any:
        try:
            return kind.read(option.raw, evaluate)
        except OptionError as e:
            fail(f"{key} {e.message}", option.at, e.hint, layer)
        except SpecError as e:
            if isinstance(option.raw, str) and option.raw.isidentifier() and kind.words:
                near = did_you_mean(option.raw, kind.words)
                e.hint = near if near.startswith("did") else e.hint
            placed(e, option.at, layer)

    def _swept(self, values: dict[str, Any], layer: str) -> Op:
        """The op of arrays; what is refused at some design points is said of the first."""
        before = noted()
        op = self._build(values, layer)
        reworded(before, lambda at: self._build({key: at(value) for key, value in values.items()}, layer))
        return op

    def _build(self, values: dict[str, Any], layer: str) -> Op:
        try:
            return self.cls(**values)
        except OptionError as e:
            word = values.get(e.option) if e.option else None
            if isinstance(word, str) and e.hint == self._kind(str(e.option)).example:
                e.hint = f"{spelled(word)} is no number, and no parameter has that name"
            placed(e, self.options[e.option].at if e.option in self.options else self.at, layer)


def _option_hint(key: str, known: Collection[str]) -> str:
    """A hint for an unknown option: often a slip of YAML, not of the name."""
    if key == "after":
        return "after is for layers of a spec with `extends`; elsewhere the order of the lines counts"
    word = key.split(" ", 1)[0]
    if key.endswith((")", "]")):
        return "put a value that has commas of its own in quotes, and a list in brackets"
    if word in known and word != key:
        return f"is a colon missing? {word}: {key[len(word) :].strip()}"
    if key[:1].isdigit():
        return "several values of one option are a list: [1, 2]"
    if key in NEVER_WRITTEN:
        return "input channels are never written: they follow from the input"
    return did_you_mean(key, known, OPTION_SYNONYMS)


def _has_expression(raw: Any, words: Collection[str]) -> bool:
    """True where a raw value holds a string that is not one of its kind's words."""
    if isinstance(raw, list):
        return any(_has_expression(item, words) for item in raw)
    return isinstance(raw, str) and raw not in words


def _no_expression(text: str) -> NoReturn:
    raise AssertionError(f"{text!r} is no constant")


class Line:
    """One layer of a spec.

    shown: how messages name it before its path is known. call: the op's key, the block's name, or
    `op` where a parameter names it. op: set for an op; chosen: for `op`, by what is named.
    arguments: for a block; its own value is under "".
    """

    __slots__ = ("arguments", "at", "call", "chosen", "condition", "name", "op", "repeat", "reuse", "shown", "sources")

    def __init__(self, name: str, at: Where, owner: str) -> None:
        self.name, self.at = name, at
        self.shown = f"{name} of block {owner}" if owner else name
        self.call = ""
        self.op: OpCall | None = None
        self.chosen: dict[str, OpCall] = {}
        self.arguments: dict[str, Option] = {}
        self.sources: Item | None = None
        self.condition: Item | None = None
        self.repeat: Item | None = None
        self.reuse: Item | None = None


class Block:
    """A block of a spec: parameters with defaults (None without), names of its inputs, layers."""

    def __init__(self, name: str, item: Item) -> None:
        self.name = name
        what = f"block {spelled(name)}"
        if name in MENU or name in RESERVED or not NAME.fullmatch(name):
            why = (
                "is an op" if name in MENU else "means something else here" if name in RESERVED else "is no plain word"
            )
            fail(f"{spelled(name)} cannot be a block's name: it {why}", item.key_or_value_at, "choose another name")
        parts = mapping(item, what, "a block has `parameters:` and `layers:`")
        known_keys(parts, BLOCK, what)
        if "layers" not in parts or not parts["layers"].value:
            fail(f"{what} has no layers", item.key_or_value_at, "add `layers:`")
        self.parameters = _parameters(parts["parameters"], name) if "parameters" in parts else {}
        self.inputs = _inputs(parts["inputs"]) if "inputs" in parts else (INPUT,)
        self.layers = mapping(parts["layers"], f"layers of {what}", "each layer is a name with an op")
        for inner, layer in self.layers.items():
            if inner in self.inputs:
                fail(f"layer {inner} has the name of an input of {what}", layer.key_or_value_at, "rename one of them")

    @property
    def signature(self) -> str:
        """How the block is called, for hints."""
        parts = (p if d is None else f"{p}: {spelled(plain(d))}" for p, d in self.parameters.items())
        return f"{self.name} takes {', '.join(parts) or 'no parameters'}"

    def bind(self, line: Line, layer: str) -> dict[str, Option]:
        """The arguments of a call by parameter. Raises SpecError for one too many, unknown, twice, missing."""
        bound: dict[str, Option] = {}
        first = line.arguments.get("")
        if first is not None and line.call != "op":
            raws = first.raw if isinstance(first.raw, list) else [first.raw]
            if len(raws) > len(self.parameters):
                takes = counted(len(self.parameters), "value")
                fail(f"{self.name} takes {takes}, got {len(raws)}", first.at, self.signature, layer)
            bound = {name: Option(raw, first.at) for name, raw in zip(self.parameters, raws)}
        for key, option in line.arguments.items():
            if key == "":
                continue
            if key not in self.parameters:
                fail(f"{self.name} has no parameter {spelled(key)}", option.at, self._hint(key), layer)
            if key in bound:
                fail(f"{key} is given twice", option.at, f"after {self.name} and by name; {self.signature}", layer)
            bound[key] = option
        for name, default in self.parameters.items():
            if default is None and name not in bound:
                fail(f"{self.name} needs {name}", line.at, self.signature, layer)
        return bound

    def _hint(self, key: str) -> str:
        hint = _option_hint(key, [*self.parameters, *COMMON])
        return hint if hint.startswith("did") else self.signature


def _inputs(item: Item) -> tuple[str, ...]:
    names = plain(item)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) and NAME.fullmatch(n) for n in names):
        fail(f"inputs must be a list of names, got {spelled(names)}", item.at, "write `inputs: [x, skip]`")
    if len(set(names)) < len(names):
        fail(f"inputs {spelled(names)} has a name twice", item.at, "give each its own name")
    return tuple(names)


def _parameters(item: Item, block: str) -> dict[str, Item | None]:
    """Parameters in order; None for one without default. [a, b: 1] or {a: null, b: 1}."""
    pairs: list[tuple[str, Item | None, Where]] = []
    for entry in item.value if isinstance(item.value, list) else [item]:
        if isinstance(entry.value, dict):
            pairs += [(k, None if v.value is None else v, v.key_or_value_at) for k, v in entry.value.items()]
        elif isinstance(entry.value, str):
            pairs.append((entry.value, None, entry.at))
        else:
            got = kind_of_value(entry.value)
            fail(f"parameters of block {block} are names, got {got}", entry.at, "write `parameters: [out, stride: 1]`")
    result: dict[str, Item | None] = {}
    for name, default, at in pairs:
        parameter_name(name, at)
        if name in result:
            fail(f"block {block} has the parameter {name} twice", at, "remove one of the two")
        result[name] = default
    return result


def parameter_name(name: str, at: Where) -> None:
    """Raise SpecError unless expressions can use the name."""
    if not (name.isidentifier() and NAME.fullmatch(name)) or name in RESERVED:
        why = "it means something else here" if name in RESERVED else "use up to 60 letters, digits and _"
        fail(f"{spelled(name)} cannot be a parameter's name", at, why)


def layer_line(name: str, item: Item, blocks: Collection[str], owner: str = "") -> Line:
    """Read one layer of the network, or of the block `owner`. Raises SpecError."""
    line = Line(name, item.key_or_value_at, owner)
    if not NAME.fullmatch(name) or name == INPUT:
        hint = "names are up to 60 letters, digits, _ + # -; dots are for layers inside blocks"
        if name == INPUT:
            hint = "input is what the network is given"
        elif "." in name:
            hint = INSIDE_HINT
        elif "{" in name or " " in name:
            hint = "is a colon missing after the name?"
        fail(f"{spelled(name)} cannot be a layer's name", line.at, hint)
    if isinstance(item.value, str):
        _set_call(line, item.value, Item(None, item.at), {}, blocks)
    elif isinstance(item.value, dict) and item.value:
        _read_mapping(line, item.value, blocks)
    else:
        got = kind_of_value(item.value)
        hint = "write `relu1: relu` or `conv1: {conv: 64, kernel: 3}`"
        fail(f"a layer is an op or a mapping with one, got {got}", line.at, hint, line.shown)
    return line


def _read_mapping(line: Line, entries: dict[str, Item], blocks: Collection[str]) -> None:
    line.sources, line.condition = entries.get("from"), entries.get("if")
    line.repeat, line.reuse = entries.get("repeat"), entries.get("reuse")
    rest = {key: item for key, item in entries.items() if key not in COMMON}
    if line.reuse is not None:
        for key, extra in rest.items():
            hint = "a reused layer keeps its options; only from, if and repeat are its own"
            fail(f"reuse and {spelled(key)} in one layer", extra.key_or_value_at, hint, line.shown)
        return
    first = next(iter(rest), None)
    if first is None or (first in find("conv").options and not any(key in MENU or key in blocks for key in rest)):
        keys = ", ".join(entries)
        fail(f"a layer without an op: {keys}", line.at, "write the op first: {conv: 64, kernel: 3}", line.shown)
    call = next((key for key in rest if key in MENU or key in blocks or key == "op"), None)
    if call is None:
        # Of several unknown keys, one that is an op elsewhere is the likeliest slip.
        call = next((key for key in rest if key.lower() in SYNONYMS), first)
    _set_call(line, call, rest.pop(call), rest, blocks)


def _set_call(line: Line, call: str, value: Item, rest: dict[str, Item], blocks: Collection[str]) -> None:
    line.call = call
    if call in MENU:
        _set_op(line, value, rest, blocks)
    elif call in blocks or call == "op":
        if call == "op" and not isinstance(value.value, str):
            hint = "write `op: act`, with a parameter act"
            fail("op must name a parameter that holds an op or block", value.key_or_value_at, hint, line.shown)
        options = {key: Option(plain(item), item.key_or_value_at) for key, item in rest.items()}
        line.arguments = options if value.value is None else {"": Option(plain(value), value.at), **options}
    else:
        hint = _op_is_the_key(value.value) if call in KEYS_FOR_OPS else unknown_op_hint(call, blocks)
        fail(f"unknown op {spelled(call)}", value.key_or_value_at, hint, line.shown)


def _op_is_the_key(value: Any) -> str:
    """A hint for a layer written as {type: Conv2d}."""
    word = str(value).lower()
    key = SYNONYMS.get(word, word)
    return f"the op is the key: {find(key if key in MENU else 'conv').example()}"


def _set_op(line: Line, value: Item, rest: dict[str, Item], blocks: Collection[str]) -> None:
    cls = find(line.call)
    if value.value is not None:
        if cls.main is not None:
            if cls.main in rest:
                at = rest[cls.main].key_or_value_at
                fail(f"{cls.main} is given twice", at, f"`{cls.key}: {spelled(plain(value))}` sets it", line.shown)
            rest = {cls.main: value, **rest}
        elif cls.arity != (1, 1):
            if line.sources is not None:
                hint = f"name them after {cls.key} or after from, not both"
                fail(f"{cls.key} names its inputs twice", line.sources.key_or_value_at, hint, line.shown)
            line.sources = value
        else:
            fail(
                f"{cls.key} takes no value, got {spelled(plain(value))}", value.at, f"write just {cls.key}", line.shown
            )
    for key, item in rest.items():
        if (key in MENU or key in blocks) and key not in cls.options:
            hint = "one op a layer: give each its own line"
            fail(f"two ops in one layer: {cls.key} and {key}", item.key_or_value_at, hint, line.shown)
    options = {
        # An unknown option is a fault of its key, a known one of its value.
        key: Option(plain(item), item.at if key in cls.options else item.key_or_value_at)
        for key, item in rest.items()
    }
    line.op = OpCall(cls, options, line.at, line.shown)
