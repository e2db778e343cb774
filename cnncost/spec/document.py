"""The parts of a spec, read from YAML and merged over what it extends. Nothing is computed yet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from cnncost.errors import SpecError, Where, did_you_mean
from cnncost.ops import MENU, SYNONYMS, find
from cnncost.spec.files import Source, open_spec
from cnncost.spec.marks import Item, plain, read

ABOUT = {
    "name": "the network's name in tables",
    "title": "title of the paper",
    "year": "year of the paper",
    "family": "what networks it belongs with",
    "paper": "where the paper is found: a citation, DOI or address",
    "about": "one line that tells this variant from its siblings",
}
"""Keys of a spec that are only for people."""
TOP = (*ABOUT, "extends", "input", "parameters", "blocks", "layers")
BLOCK = ("parameters", "inputs", "layers")
COMMON = ("from", "if", "repeat", "reuse")
"""Keys that any layer may have beside its op and the op's options."""

NAME = re.compile(r"[\w+#-]+")
INPUT = "input"
"""What the (first) input of a network or block is called inside it."""


@dataclass
class Document:
    """A spec with everything that it extends merged in."""

    source: Source
    about: dict[str, Any]
    input: Item | None
    parameters: dict[str, Item]
    blocks: dict[str, Item]
    layers: dict[str, Item]
    layers_at: Where


def fail(message: str, at: Where, hint: str | None = None, layer: str | None = None) -> NoReturn:
    raise SpecError(message, hint=hint, where=at, layer=layer)


def mapping(item: Item, what: str, hint: str) -> dict[str, Item]:
    """The entries of a mapping; an error names what was expected."""
    if not isinstance(item.value, dict):
        fail(f"{what} must be a mapping, got {kind_of_value(item.value)}", item.at, hint)
    return item.value  # type: ignore[no-any-return]


def kind_of_value(value: Any) -> str:
    """What a YAML value is, in words."""
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping"
    return "nothing" if value is None else f"the text {value!r}" if isinstance(value, str) else f"{value}"


def known_keys(entries: dict[str, Item], known: tuple[str, ...], what: str) -> None:
    for key, item in entries.items():
        if key not in known:
            fail(f"unknown key {key} in {what}", item.key_or_value_at, did_you_mean(key, known))


def read_document(source: Source, chain: tuple[str, ...] = ()) -> Document:
    """Parse a spec and what it extends. Raises SpecError."""
    root = read(source.text, source.file)
    top = mapping(root, "a spec", "it starts with `input: 3x224x224` and `layers:`")
    known_keys(top, TOP, "the spec")
    about = {k: plain(top[k]) for k in ABOUT if k in top}
    for key, value in about.items():
        if isinstance(value, (list, dict)) or (key == "year" and not isinstance(value, int)):
            fail(f"{key} must be {'a year' if key == 'year' else 'text'}", top[key].at)
    own = {key: entries(top, key) for key in ("parameters", "blocks", "layers")}
    at = top["layers"].at if "layers" in top else root.at
    if "extends" not in top:
        if "layers" not in top:
            fail("no layers", root.at, "a spec has `input:` and `layers:`, or `extends:` another one")
        return Document(source, about, top.get("input"), own["parameters"], own["blocks"], own["layers"], at)
    base = base_document(top["extends"], source, chain)
    calls = {*MENU, *base.blocks, *own["blocks"], "op", "reuse"}
    return Document(
        source,
        {**base.about, **{"name": Path(source.file).stem, "about": None}, **about},
        top.get("input", base.input),
        {**base.parameters, **declared_before(own["parameters"], base.parameters)},
        merged_blocks(base.blocks, own["blocks"], calls),
        merged_layers(base.layers, own["layers"], calls),
        at if "layers" in top else base.layers_at,
    )


def entries(top: dict[str, Item], key: str) -> dict[str, Item]:
    """The entries of an optional top-level mapping."""
    if key not in top:
        return {}
    hints = {
        "parameters": "write `parameters: {classes: 1000, width: 1.0}`",
        "blocks": "each block is a name with `parameters:` and `layers:`",
        "layers": "each layer is a name with an op: `conv1: {conv: 96, kernel: 11}`",
    }
    if key == "layers" and not top[key].value:
        fail("no layers", top[key].at, hints[key])
    return mapping(top[key], key, hints[key])


def base_document(item: Item, source: Source, chain: tuple[str, ...]) -> Document:
    if not isinstance(item.value, str):
        fail(f"extends must be a file or a bundled name, got {kind_of_value(item.value)}", item.at)
    try:
        base = open_spec(item.value, source.path.parent if source.path else Path())
    except SpecError:
        raise
    except Exception as e:
        fail(f"extends {getattr(e, 'message', e)}", item.at, getattr(e, "hint", None))
    here = str(source.path or source.file)
    chain = (*chain, here)
    if str(base.path or base.file) in chain:
        names = " -> ".join(Path(p).name for p in (*chain, str(base.path or base.file)))
        fail(f"extends in a circle: {names}", item.at, "the first of them must not extend the last")
    return read_document(base, chain)


def declared_before(own: dict[str, Item], base: dict[str, Item]) -> dict[str, Item]:
    """Parameters of an extending spec may be new ones; nothing to check, but a likely slip is named."""
    for name, item in own.items():
        if name not in base:
            hint = did_you_mean(name, base)
            if hint.startswith("did"):
                fail(f"parameter {name} is not one of the extended spec", item.key_or_value_at, hint)
    return own


def merged_layers(base: dict[str, Item], own: dict[str, Item], calls: set[str]) -> dict[str, Item]:
    """Layers of an extending spec over those of its base, by name.

    null removes; options without an op change that layer's options; a layer with an op replaces it
    in its place; a new name comes last, or after the layer that `after` names.
    """
    result = dict(base)
    for name, item in own.items():
        after = item.value.get("after") if isinstance(item.value, dict) else None
        if after is not None:
            item = Item({k: v for k, v in item.value.items() if k != "after"}, item.at, item.key_at)
        if item.value is None:
            if name not in result:
                fail(f"removes layer {name}, which is not there", item.key_or_value_at, did_you_mean(name, result))
            del result[name]
        elif name in result:
            result[name] = overridden(result[name], item, calls)
        else:
            result[name] = item
        if after is not None:
            result = moved_after(result, name, after)
    return result


def moved_after(layers: dict[str, Item], name: str, after: Item) -> dict[str, Item]:
    if after.value not in layers or after.value == name:
        fail(f"after names no layer: {after.value}", after.at, did_you_mean(str(after.value), set(layers) - {name}))
    item, order = layers[name], [key for key in layers if key != name]
    order.insert(order.index(after.value) + 1, name)
    return {key: item if key == name else layers[key] for key in order}


def overridden(base: Item, own: Item, calls: set[str]) -> Item:
    """One layer over another: a mapping that does not begin with an op or block changes single options."""
    first = next((key for key in own.value if key not in COMMON), None) if isinstance(own.value, dict) else ""
    if first in calls or first == "":
        return own
    before = base.value if isinstance(base.value, dict) else {str(base.value): Item(None, base.at, base.at)}
    return Item({**before, **own.value}, base.at, base.key_at)


def merged_blocks(base: dict[str, Item], own: dict[str, Item], calls: set[str]) -> dict[str, Item]:
    """Blocks of an extending spec over those of its base; parameters and layers merge by name."""
    result = dict(base)
    for name, item in own.items():
        if name in base and isinstance(item.value, dict) and isinstance(base[name].value, dict):
            before, value = base[name].value, dict(item.value)
            if "layers" in before and "layers" in value and isinstance(value["layers"].value, dict):
                layers = merged_layers(before["layers"].value, value["layers"].value, calls)
                value["layers"] = Item(layers, value["layers"].at, value["layers"].key_at)
            result[name] = Item({**before, **value}, item.at, item.key_at)
        else:
            result[name] = item
    return result


# ---- layers and blocks -------------------------------------------------------------------------


class Option:
    """One option of a layer as written: its raw value, where it stands, and whether it is a constant."""

    __slots__ = ("at", "constant", "raw")

    def __init__(self, raw: Any, at: Where, constant: bool) -> None:
        self.raw, self.at, self.constant = raw, at, constant


def has_expression(raw: Any, words: tuple[str, ...]) -> bool:
    """True where a raw value holds a string that is not one of its kind's words."""
    if isinstance(raw, (list, tuple)):
        return any(has_expression(item, words) for item in raw)
    return isinstance(raw, str) and raw not in words


class LayerLine:
    """One layer of a spec: what it calls, with which options, on which inputs."""

    __slots__ = ("at", "call", "cls", "condition", "name", "ops", "options", "repeat", "reuse", "sources")

    def __init__(self, name: str, at: Where) -> None:
        self.name, self.at = name, at
        self.call = ""  # key of an op, name of a block, or an expression that gives one
        self.cls: Any = None  # the op class, None for a block
        self.options: dict[str, Option] = {}
        self.sources: Item | None = None
        self.condition: Item | None = None
        self.repeat: Item | None = None
        self.reuse: Item | None = None
        self.ops: dict[Any, Any] = {}  # ops built so far, by their option values


class Block:
    """A block of a spec: parameters with defaults, names of its inputs, layers."""

    def __init__(self, name: str, item: Item) -> None:
        self.name, self.at, self.lines_ = name, item.at, None
        parts = mapping(item, f"block {name}", "a block has `parameters:` and `layers:`")
        known_keys(parts, BLOCK, f"block {name}")
        if "layers" not in parts or not parts["layers"].value:
            fail(f"block {name} has no layers", item.key_or_value_at, "add `layers:`")
        self.parameters = parameter_list(parts["parameters"], name) if "parameters" in parts else {}
        self.inputs = self._inputs(parts["inputs"]) if "inputs" in parts else (INPUT,)
        self.layers = mapping(parts["layers"], f"layers of block {name}", "each layer is a name with an op")
        for inner in self.layers:
            if inner in self.inputs:
                fail(f"layer {inner} has the name of an input of block {name}", self.layers[inner].key_or_value_at)

    @staticmethod
    def _inputs(item: Item) -> tuple[str, ...]:
        names = plain(item)
        if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
            fail("inputs must be a list of names", item.at, "write `inputs: [x, skip]`")
        return tuple(names)


def parameter_list(item: Item, block: str) -> dict[str, Item | None]:
    """Parameters in order; None for one without default. [a, b: 1] or {a: null, b: 1}."""
    pairs: list[tuple[str, Item | None, Where]] = []
    for entry in item.value if isinstance(item.value, list) else [item]:
        if isinstance(entry.value, dict):
            pairs += [(k, None if v.value is None else v, v.key_or_value_at) for k, v in entry.value.items()]
        elif isinstance(entry.value, str):
            pairs.append((entry.value, None, entry.at))
        else:
            fail(
                f"parameters of block {block} are names, got {kind_of_value(entry.value)}", entry.at, "[out, stride: 1]"
            )
    result: dict[str, Item | None] = {}
    for name, default, at in pairs:
        if not name.isidentifier() or name in COMMON or name in ("i", INPUT, "op"):
            fail(f"{name} cannot be a parameter's name", at, "use a word that expressions can name")
        if name in result:
            fail(f"parameter {name} twice", at)
        result[name] = default
    return result


def layer_line(name: str, item: Item, blocks: dict[str, Any]) -> LayerLine:
    """Read one layer. Raises SpecError for an unknown op, block or option."""
    at = item.key_or_value_at
    if not NAME.fullmatch(name) or name == INPUT:
        hint = "names are letters, digits, _ + # -; dots are for layers inside blocks"
        fail(f"{name!r} cannot be a layer's name", at, hint if name != INPUT else "input is what the network is given")
    line = LayerLine(name, at)
    if isinstance(item.value, str):
        call, value = item.value, None
        rest: dict[str, Item] = {}
        call_at = item.at
    elif isinstance(item.value, dict) and item.value:
        common = {key: v for key, v in item.value.items() if key in COMMON}
        line.sources, line.condition = common.get("from"), common.get("if")
        line.repeat, line.reuse = common.get("repeat"), common.get("reuse")
        rest = {key: v for key, v in item.value.items() if key not in COMMON}
        if line.reuse is not None:
            for key, extra in rest.items():
                fail(f"reuse takes over all options: {key} has no place here", extra.key_or_value_at, None, name)
            return line
        call = next((key for key in rest if key in MENU or key in blocks or key == "op"), "")
        if not call:
            first = next(iter(rest), None)
            if first is None:
                fail("a layer without an op", at, "write the op first: {conv: 64, kernel: 3}", name)
            unknown_call(first, rest[first].key_or_value_at, blocks, name)
        value = rest.pop(call)
        call_at = value.key_or_value_at
    else:
        fail(
            f"a layer is an op or a mapping with one, got {kind_of_value(item.value)}",
            at,
            "write `relu1: relu` or `conv1: {conv: 64, kernel: 3}`",
            name,
        )
    if call not in MENU and call not in blocks and call != "op":
        unknown_call(call, call_at, blocks, name)
    line.call = call
    if call in MENU:
        _op_options(line, value, rest)
    else:
        _block_options(line, value, rest)
    return line


def unknown_call(key: str, at: Where, blocks: dict[str, Any], layer: str) -> NoReturn:
    known = [*blocks, *MENU]
    hint = did_you_mean(key, known, SYNONYMS)
    if not hint.startswith("did"):
        hint = "docs/spec.md lists the ops" + (f"; blocks here: {', '.join(blocks)}" if blocks else "")
    fail(f"unknown op {key}", at, hint, layer)


def _op_options(line: LayerLine, value: Item | None, rest: dict[str, Item]) -> None:
    cls = line.cls = find(line.call)
    if value is not None and value.value is not None:
        if cls.main is not None:
            rest = {cls.main: value, **rest}
        elif cls.arity != (1, 1):
            if line.sources is not None:
                fail(f"{line.call} names its inputs twice", line.sources.at, "in `from` or after the op", line.name)
            line.sources = value
        else:
            fail(f"{line.call} takes no value", value.at, f"write {{{line.call}: }} or just {line.call}", line.name)
    from cnncost.options import kind_of

    for key, item in rest.items():
        field = cls.options.get(key)
        if field is None:
            if key in MENU:
                fail(f"two ops in one layer: {line.call} and {key}", item.key_or_value_at, "one op a layer", line.name)
            hint = did_you_mean(key, [*cls.options, *COMMON])
            fail(f"{line.call} has no option {key}", item.key_or_value_at, hint, line.name)
        raw = plain(item)
        words = kind_of(field.type, cls.__module__).words
        line.options[key] = Option(raw, item.at, not has_expression(raw, words))


def _block_options(line: LayerLine, value: Item | None, rest: dict[str, Item]) -> None:
    """Arguments of a block call; the value of its name is kept under "" until the block is known."""
    if line.call == "op":
        if value is None or not isinstance(value.value, str):
            fail("op must name a parameter that holds an op's or block's name", line.at, "write `op: act`", line.name)
    if value is not None and value.value is not None:
        line.options[""] = Option(plain(value), value.at, False)
    for key, item in rest.items():
        line.options[key] = Option(plain(item), item.key_or_value_at, False)
