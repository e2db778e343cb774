"""`extends`: one spec laid over another. Layers, blocks and parameters merge by name."""

from __future__ import annotations

from typing import Optional

from cnncost.errors import did_you_mean
from cnncost.ops import MENU, find
from cnncost.options import spelled
from cnncost.spec.document import COMMON, INSIDE_HINT, Document, fail, kind_of_value
from cnncost.spec.marks import Item

Calls = dict[str, Optional[Item]]
"""What a layer may call: keys of ops with None, names of blocks with their definitions."""


def merged(base: Document, own: Document) -> Document:
    """A document over the one that it extends. Raises SpecError."""
    blocks = {**base.blocks, **own.blocks}
    calls = {**dict.fromkeys((*MENU, "op", "reuse")), **blocks}
    _declared_before(own.parameters, base.parameters)
    return Document(
        own.source,
        {**base.about, **own.about},
        own.input or base.input,
        {**base.parameters, **own.parameters},
        _blocks(base.blocks, own.blocks, calls),
        _layers(base.layers, own.layers, calls),
        own.layers_at if own.layers else base.layers_at,
    )


def _declared_before(own: dict[str, Item], base: dict[str, Item]) -> None:
    """An extending spec may declare new parameters; a likely slip in the name of an old one is an error."""
    for name, item in own.items():
        if name not in base:
            hint = did_you_mean(name, base)
            if hint.startswith("did"):
                fail(f"the extended spec has no parameter {spelled(name)}", item.key_or_value_at, hint)


def _layers(base: dict[str, Item], own: dict[str, Item], calls: Calls) -> dict[str, Item]:
    """Layers over layers: null removes; options without an op change single options; a layer with an op
    replaces the old one in its place; a new name comes last, or after the layer that `after` names.
    """
    result = dict(base)
    for name, item in own.items():
        if item.value is None:
            if name not in result:
                hint = INSIDE_HINT if "." in name else did_you_mean(name, result)
                fail(f"null removes layer {spelled(name)}, which is not there", item.key_or_value_at, hint)
            del result[name]
            continue
        layer, after = _without_after(item)
        result[name] = _layer(result[name], layer, calls) if name in result else layer
        if after is not None:
            result = _moved(result, name, after)
    return result


def _without_after(item: Item) -> tuple[Item, Item | None]:
    if not isinstance(item.value, dict) or "after" not in item.value:
        return item, None
    rest = {key: value for key, value in item.value.items() if key != "after"}
    return Item(rest, item.at, item.key_at), item.value["after"]


def _moved(layers: dict[str, Item], name: str, after: Item) -> dict[str, Item]:
    """The same layers with one of them right after another."""
    if not isinstance(after.value, (str, int)):
        fail(f"after takes a layer's name, got {kind_of_value(after.value)}", after.at, "write `after: relu1`", name)
    place, others = str(after.value), [key for key in layers if key != name]
    if place not in others:
        fail(f"after names no layer: {spelled(place)}", after.at, did_you_mean(place, others), name)
    others.insert(others.index(place) + 1, name)
    return {key: layers[key] for key in others}


def _layer(base: Item, own: Item, calls: Calls) -> Item:
    """One layer over another."""
    if not isinstance(own.value, dict):
        return own
    first = next((key for key in own.value if key not in COMMON), None)
    if first in calls or "reuse" in own.value:
        return own
    if isinstance(base.value, str):
        base = Item({base.value: Item(None, base.at, base.at)}, base.at, base.key_at)
    if not isinstance(base.value, dict):
        return base  # which is an error by itself
    before, changes = dict(base.value), dict(own.value)
    call = next((key for key in before if key in calls), None)
    if call is not None and before[call].value is not None:
        # What the call's own value sets is changed there, so that no option is given twice.
        order = _order(call, calls[call])
        value = before[call].value if isinstance(before[call].value, list) and call not in MENU else [before[call]]
        for key in [key for key in order[: len(value)] if key in changes]:
            value = [changes.pop(key) if i == order.index(key) else item for i, item in enumerate(value)]
        alone = value[0].value if len(value) == 1 else value
        before[call] = Item(alone, before[call].at, before[call].key_at)
    return Item({**before, **changes}, base.at, base.key_at)


def _order(call: str, block: Item | None) -> list[str]:
    """The options that a call's own value sets, in order: an op's main option, a block's parameters."""
    if call in MENU:
        return [main] if (main := find(call).main) else []
    parameters = block.value.get("parameters") if block is not None and isinstance(block.value, dict) else None
    if parameters is None:
        return []
    parts = parameters.value if isinstance(parameters.value, list) else [parameters]
    return [name for part in parts for name in (part.value if isinstance(part.value, dict) else [str(part.value)])]


def _blocks(base: dict[str, Item], own: dict[str, Item], calls: Calls) -> dict[str, Item]:
    """Blocks over blocks: their layers merge like the network's, everything else is replaced."""
    result = dict(base)
    for name, item in own.items():
        before = base[name].value if name in base else None
        if isinstance(before, dict) and isinstance(item.value, dict):
            value = dict(item.value)
            if all("layers" in block and isinstance(block["layers"].value, dict) for block in (before, value)):
                layers = _layers(before["layers"].value, value["layers"].value, calls)
                value["layers"] = Item(layers, value["layers"].at, value["layers"].key_at)
            result[name] = Item({**before, **value}, item.at, item.key_at)
        else:
            result[name] = item
    return result
