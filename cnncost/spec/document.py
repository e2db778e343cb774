"""The parts of a spec, read from YAML and merged over what it extends. Nothing is computed yet."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from cnncost.errors import SpecError, UsageError, Where, did_you_mean
from cnncost.options import spelled
from cnncost.spec.claims import Claim, read_claims, read_facts
from cnncost.spec.files import Source, open_spec
from cnncost.spec.marks import Item, plain, read

if TYPE_CHECKING:
    from cnncost.spec.budget import Budget

ABOUT = {
    "name": "the network's name in tables",
    "title": "title of the paper",
    "year": "year of the paper",
    "family": "what networks it belongs with",
    "paper": "where the paper is found: a citation, DOI or address",
    "about": "one line that tells this variant from its siblings",
}
"""Keys of a spec that are only for people."""
TOP = (*ABOUT, "extends", "input", "parameters", "blocks", "layers", "facts", "claims", "budget")
BLOCK = ("parameters", "inputs", "layers")
COMMON = ("from", "if", "repeat", "reuse")
"""Keys that any layer may have beside its op and the op's options."""
INPUT = "input"
"""What the (first) input of a network or block is called inside it."""
EXTENDS_AT_MOST = 20
INSIDE_HINT = "layers inside a block are changed under `blocks:`, or by the arguments of its call"

HINTS = {
    "parameters": "write `parameters: {classes: 1000, width: 1.0}`",
    "blocks": "each block is a name with `parameters:` and `layers:`",
    "layers": "each layer is a name with an op: `conv1: {conv: 96, kernel: 11}`",
}


@dataclass
class Document:
    """A spec with everything that it extends merged in; facts, claims and budget are those of the file itself."""

    source: Source
    about: dict[str, Any]
    input: Item | None
    parameters: dict[str, Item]
    blocks: dict[str, Item]
    layers: dict[str, Item]
    layers_at: Where
    facts: tuple[dict[str, Any], ...] = ()
    claims: tuple[Claim, ...] = ()
    budget: tuple[Budget, ...] = ()


def fail(message: str, at: Where, hint: str | None = None, layer: str | None = None) -> NoReturn:
    """Raise a SpecError at a place."""
    raise SpecError(message, hint=hint, where=at, layer=layer)


def placed(error: SpecError, at: Where, layer: str | None = None) -> NoReturn:
    """Raise an error again with a place and a layer, unless it has them."""
    error.where, error.layer = error.where or at, error.layer or layer
    raise error


def kind_of_value(value: Any) -> str:
    """What a YAML value is, in words."""
    if isinstance(value, (list, dict)):
        what = "list" if isinstance(value, list) else "mapping"
        return f"a {what}" if value else f"an empty {what}"
    return f"the text {spelled(value)}" if isinstance(value, str) else spelled(value)


def mapping(item: Item, what: str, hint: str) -> dict[str, Item]:
    """The entries of a mapping; an error names what was expected."""
    if not isinstance(item.value, dict):
        fail(f"{what} must be a mapping, got {kind_of_value(item.value)}", item.at, hint)
    return item.value


def known_keys(entries: dict[str, Item], known: tuple[str, ...], what: str) -> None:
    """Raise SpecError for a key that is not among the known ones."""
    for key, item in entries.items():
        if key not in known:
            fail(f"{what} has no key {spelled(key)}", item.key_or_value_at, did_you_mean(key, known))


def read_document(source: Source, chain: tuple[str, ...] = ()) -> Document:
    """Parse a spec and what it extends; `chain` are the files that extend it. Raises SpecError."""
    root = read(source.text, source.file)
    top = mapping(root, "a spec", "it starts with `input: 3x224x224` and `layers:`")
    known_keys(top, TOP, "a spec")
    about = _about(top)
    parameters, blocks, layers = (_section(top, key) for key in HINTS)
    at = top["layers"].at if "layers" in top else root.at
    own = Document(source, about, top.get("input"), parameters, blocks, layers, at)
    if "extends" in top:
        from cnncost.spec.extend import merged

        base = _base_document(top["extends"], source, chain)
        about.setdefault("name", os.path.splitext(os.path.basename(source.file))[0])
        about.setdefault("about", None)
        own = merged(base, own)
    elif "layers" not in top:
        fail("no layers", root.at, "a spec has `input:` and `layers:`, or `extends:` another one")
    paper = own.about.get("paper")
    own.facts, own.claims = read_facts(top.get("facts"), paper), read_claims(top.get("claims"), paper)
    if "budget" in top:
        from cnncost.spec.budget import read_budget

        own.budget = read_budget(top["budget"])
    return own


def _about(top: dict[str, Item]) -> dict[str, Any]:
    about = {key: plain(top[key]) for key in ABOUT if key in top}
    for key, value in about.items():
        if isinstance(value, (list, dict)) or (key == "year" and not isinstance(value, int)):
            must = "a year, like 2012" if key == "year" else "text"
            fail(f"{key} must be {must}, got {kind_of_value(value)}", top[key].at, ABOUT[key])
    return about


def _section(top: dict[str, Item], key: str) -> dict[str, Item]:
    """The entries of an optional top-level mapping."""
    if key not in top:
        return {}
    if not top[key].value and isinstance(top[key].value, (dict, type(None))):
        fail(f"{key} is empty", top[key].key_or_value_at, HINTS[key])
    return mapping(top[key], key, HINTS[key])


def _base_document(item: Item, source: Source, chain: tuple[str, ...]) -> Document:
    if not isinstance(item.value, str) or item.value == "-":
        hint = "write `extends: resnet50`, or a path from this file's folder"
        fail(f"extends must name a file or a bundled network, got {kind_of_value(item.value)}", item.at, hint)
    try:
        base = open_spec(item.value, os.path.dirname(source.path) if source.path else "")
    except UsageError as e:
        fail(f"extends {e.message}", item.at, e.hint)
    chain = (*chain, _identity(source))
    if _identity(base) in chain:
        circle = [*chain[chain.index(_identity(base)) :], _identity(base)]
        names = " -> ".join(os.path.basename(p) for p in circle)
        fail(f"extends in a circle: {names}", item.at, "give the file another name than the network it extends")
    if len(chain) >= EXTENDS_AT_MOST:
        fail(f"extends a chain of more than {EXTENDS_AT_MOST} files", item.at, "extend an earlier one of them")
    return read_document(base, chain)


def _identity(source: Source) -> str:
    return os.path.realpath(source.path) if source.path else source.file
