"""YAML text to values that know where they stand.

The parser is PyYAML's (LibYAML where it is built in); values are composed here from its events,
because the usual loaders keep the last of two equal keys, read `no` as false and 1e3 as a string,
build Python objects from tags, and forget every line number.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from cnncost.errors import SpecError, Where

BYTES_AT_MOST = 4 * 2**20
DEPTH_AT_MOST = 50
VALUES_AT_MOST = 200_000

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_WORDS |= {"True": True, "False": False, "Null": None, "TRUE": True, "FALSE": False, "NULL": None}


class Item:
    """A YAML value with its place. value: scalar, list of Items, or dict of str to Item.

    key_at: where the key stands, for the values of a mapping.
    """

    __slots__ = ("at", "key_at", "value")

    def __init__(self, value: Any, at: Where, key_at: Where | None = None) -> None:
        self.value, self.at, self.key_at = value, at, key_at

    def __repr__(self) -> str:
        return f"Item({self.value!r} at {self.at.line}:{self.at.column})"

    @property
    def key_or_value_at(self) -> Where:
        return self.key_at or self.at


def plain(item: Item) -> Any:
    """The value without its marks."""
    value = item.value
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [plain(v) for v in value]
    return value


def read(text: str, file: str) -> Item:
    """Compose one YAML document. Raises SpecError with the place for whatever is no plain data."""
    try:
        return _Composer(file, getattr(yaml, "CSafeLoader", yaml.SafeLoader)).document(text)
    except yaml.YAMLError as e:
        raise _syntax_error(e, text, file) from None


def _syntax_error(fast: yaml.YAMLError, text: str, file: str) -> SpecError:
    """PyYAML's own parser words its errors better than LibYAML's, so it is asked again for the text."""
    error: Any = fast
    if len(text) <= 100_000:
        try:
            for _ in yaml.parse(text, yaml.SafeLoader):
                pass
        except yaml.YAMLError as e:
            error = e
    if isinstance(error, yaml.reader.ReaderError):
        before = text[: error.position]
        return SpecError(
            f"not text: character #x{ord(text[error.position]):02x} is not allowed in YAML",
            hint="is this an architecture file? They are plain UTF-8 text",
            where=Where(file, before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1),
        )
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    problem = problem.replace("'\\t'", "a tab")
    hint = None
    line = text.split("\n")[mark.line] if mark and mark.line < text.count("\n") + 1 else ""
    if "tab" in problem or "\t" in line[: mark.column + 1 if mark else 0]:
        problem, hint = "a tab in the indentation", "YAML is indented with spaces"
    elif "mapping values are not allowed" in problem:
        hint = "a second ': ' on one line; put the mapping in braces, {a: 1, b: 2}, or quote the text"
    elif "expected ',' or" in problem:
        hint = "a bracket or brace is not closed, or a comma is missing"
    elif "could not find expected ':'" in problem or "expected <block end>" in problem:
        hint = "check the indentation, and that each line is `name: value`"
    where = Where(file, mark.line + 1, mark.column + 1) if mark else Where(file, 1, 1)
    return SpecError(f"not YAML: {problem}", hint=hint, where=where)


class _Composer:
    def __init__(self, file: str, loader: Any) -> None:
        self.file = file
        self.loader = loader
        self.anchors: dict[str, Item | None] = {}
        self.values = 0
        self.depth = 0

    def where(self, event: Any) -> Where:
        return Where(self.file, event.start_mark.line + 1, event.start_mark.column + 1)

    def document(self, text: str) -> Item:
        events = yaml.parse(text, self.loader)
        root = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise SpecError(
                        "a second YAML document", hint="one file holds one network", where=self.where(event)
                    )
                root = self.item(next(events), events)
        if root is None:
            raise SpecError(
                "the file is empty",
                hint="a spec has at least `input:` and `layers:`; see cnncost schema",
                where=Where(self.file, 1, 1),
            )
        return root

    def item(self, event: Any, events: Any) -> Item:
        at = self.where(event)
        self.values += 1
        if self.values > VALUES_AT_MOST:
            raise SpecError(
                f"more than {VALUES_AT_MOST:,} values", hint="aliases multiply what they stand for", where=at
            )
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, at)
        if event.tag is not None:
            raise SpecError(f"tag {event.tag} is not accepted", hint="specs are plain data: remove the tag", where=at)
        if event.anchor:
            self.anchors[event.anchor] = None
        item = self.scalar(event, at) if isinstance(event, yaml.ScalarEvent) else self.collection(event, events, at)
        if event.anchor:
            self.anchors[event.anchor] = item
        return item

    def alias(self, event: Any, at: Where) -> Item:
        if event.anchor not in self.anchors:
            raise SpecError(f"alias *{event.anchor} before its anchor", hint=f"write &{event.anchor} first", where=at)
        item = self.anchors[event.anchor]
        if item is None:
            raise SpecError(f"alias *{event.anchor} stands inside its own anchor", hint="remove the loop", where=at)
        self.values += _weight(item, VALUES_AT_MOST - self.values)
        if self.values > VALUES_AT_MOST:
            raise SpecError(
                f"aliases stand for more than {VALUES_AT_MOST:,} values",
                hint="an alias copies all that its anchor holds: use a block with repeat",
                where=at,
            )
        return Item(item.value, item.at)

    def scalar(self, event: Any, at: Where) -> Item:
        text = event.value
        if not event.implicit[0]:  # quoted
            return Item(text, at)
        if text in _WORDS:
            return Item(_WORDS[text], at)
        if _INT.fullmatch(text):
            if len(text) > 30:
                raise SpecError(f"a number of {len(text)} digits", hint="sizes have at most 10 digits", where=at)
            return Item(int(text.replace("_", "")), at)
        if _FLOAT.fullmatch(text) and not re.fullmatch(r"[-+]?0[0-9]+", text):
            return Item(float(text), at)
        return Item(text, at)

    def collection(self, event: Any, events: Any, at: Where) -> Item:
        self.depth += 1
        if self.depth > DEPTH_AT_MOST:
            raise SpecError(f"nested more than {DEPTH_AT_MOST} deep", hint="use blocks", where=at)
        if isinstance(event, yaml.SequenceStartEvent):
            values: Any = []
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                values.append(self.item(inner, events))
        else:
            values = {}
            while not isinstance(inner := next(events), yaml.MappingEndEvent):
                self.entry(values, inner, events)
        self.depth -= 1
        return Item(values, at)

    def entry(self, values: dict[str, Item], event: Any, events: Any) -> None:
        at = self.where(event)
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise SpecError("a key must be a plain word", hint="keys are names: no lists, mappings or tags", where=at)
        key = event.value
        if key == "<<" and event.implicit[0]:
            raise SpecError("merge key << is not accepted", hint="use a block with parameters, or extends", where=at)
        if key in values:
            first = values[key].key_at
            raise SpecError(
                f"duplicate key {key}, first on line {first.line if first else '?'}",
                hint="every layer and option has one line; rename or remove one of the two",
                where=at,
            )
        item = self.item(next(events), events)
        values[key] = Item(item.value, item.at, at)


def _weight(item: Item, at_most: int) -> int:
    """Number of values that an item holds, counted no further than at_most."""
    count, todo = 0, [item]
    while todo and count <= at_most:
        value = todo.pop().value
        count += 1
        if isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return count
