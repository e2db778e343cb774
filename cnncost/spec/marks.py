"""YAML text to values that know where they stand.

The parser is PyYAML's (LibYAML where it is built in); values are composed here from its events,
because the usual loaders keep the last of two equal keys, read `no` as false and 1e3 as a string,
build Python objects from tags, and forget every line number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import yaml

from cnncost.errors import SpecError, Where
from cnncost.graph import LAYERS_AT_MOST
from cnncost.options import spelled

BYTES_AT_MOST = 4 * 2**20
DEPTH_AT_MOST = 50
VALUES_AT_MOST = 200_000
DIGITS_AT_MOST = 40
KEPT_AT_MOST = 50_000
"""Characters of a file that is kept as it was read."""
REREAD_AT_MOST = 50_000
"""Characters of a faulty file that are parsed a second time, in Python, for a better message."""

_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
_UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_WORDS |= {"True": True, "False": False, "Null": None, "TRUE": True, "FALSE": False, "NULL": None}


class Item:
    """A YAML value with its place. value: scalar, list of Items, or dict of str to Item.

    key_at: where the key stands, for the values of a mapping. text: a number as it is written.
    """

    __slots__ = ("at", "key_at", "text", "value")

    def __init__(self, value: Any, at: Where, key_at: Where | None = None, text: str | None = None) -> None:
        self.value, self.at, self.key_at, self.text = value, at, key_at, text

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
    """Compose one YAML document. Raises SpecError with the place for whatever is not plain data.

    Documents are kept, for families extend one file and lists read each before it is priced; so
    nobody changes an Item.
    """
    return _kept(text, file) if len(text) <= KEPT_AT_MOST else _composed(text, file)


def _composed(text: str, file: str) -> Item:
    text = normalize(text)
    odd = _UNPRINTABLE.search(text)
    if odd:
        line, column = _position(text, odd.start())
        raise SpecError(
            f"not text: character #x{ord(odd[0]):02x}",
            hint="is this an architecture file? They are plain UTF-8 text",
            where=Where(file, line, column),
        )
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        return _Composer(file, loader.get_event).document()
    except yaml.MarkedYAMLError as e:
        raise _syntax_error(e, text, file) from None
    finally:
        loader.dispose()


_kept = lru_cache(256)(_composed)


def normalize(text: str) -> str:
    """Letters with accents as one character each (NFC): some editors and systems write two."""
    if text.isascii():
        return text
    from unicodedata import normalize as composed

    return composed("NFC", text)


def _position(text: str, index: int) -> tuple[int, int]:
    """Line and column of a character, from 1."""
    return text.count("\n", 0, index) + 1, index - text.rfind("\n", 0, index)


def _syntax_error(error: Any, text: str, file: str) -> SpecError:
    """A parser's complaint in words of the language, at the place that needs the change."""
    if len(text) <= REREAD_AT_MOST:
        # LibYAML's wording and marks are poorer than those of PyYAML's own parser.
        try:
            for _ in yaml.parse(text, yaml.SafeLoader):
                pass
        except yaml.MarkedYAMLError as e:
            error = e
    end = error.problem_mark or error.context_mark
    begin = error.context_mark or end
    problem, context = error.problem or "", error.context or ""
    lines = text.split("\n")
    before = lines[end.line][: end.column + 1] if end.line < len(lines) else ""
    place = Where(file, end.line + 1, end.column + 1)
    opening = Where(file, begin.line + 1, begin.column + 1)
    if "\t" in before:
        tab = Where(file, end.line + 1, before.index("\t") + 1)
        return SpecError("a tab in the indentation", hint="indent with spaces", where=tab)
    if "',' or" in problem and re.search(r"\w\[$", before):
        word = re.split(r"[\s,:{]", before[:-1])[-1]
        hint = f'write {word}.0 for an entry of a list, or put the value in quotes: "{word}[0]"'
        return SpecError("a bracket in a bare value", hint=hint, where=place)
    if "',' or" in problem:
        pair, example = ("{}", "{conv: 64, kernel: 3}") if "mapping" in context else ("[]", "[1, 2]")
        message = f"this {pair[0]} has no {pair[1]}, or a comma is missing by line {place.line}"
        return SpecError(message, hint=f"write it like {example}", where=opening)
    if "mapping values are not allowed" in problem and before.count(":") <= 1:
        return SpecError("a line above this has no colon", hint="each line is `name: value`", where=place)
    if "mapping values are not allowed" in problem:
        hint = "put a mapping in braces, {conv: 64, kernel: 3}, and text in quotes"
        return SpecError("a second `: ` in one line", hint=hint, where=place)
    if "':'" in problem:
        return SpecError("a line that is not `name: value`", hint="add the colon and a space", where=opening)
    if "<block end>" in problem:
        message = "this does not line up with the lines above it"
        return SpecError(message, hint="indent all lines of a mapping alike, and close quotes and braces", where=place)
    if "quoted scalar" in context and "unexpected" in problem:
        return SpecError("a quote that is never closed", hint="close it, or remove it", where=opening)
    if "expected the node content" in problem:
        return SpecError("a value is missing here", hint="write it, and close all braces and brackets", where=place)
    if "cannot start any token" in problem:
        return SpecError(f"a value cannot begin with {before[-1:]}", hint="put it in quotes", where=place)
    return SpecError(f"not YAML: {problem}", hint="put text with special characters in quotes", where=place)


class _Composer:
    """Builds Items from the parser's events, within bounds on depth and number."""

    def __init__(self, file: str, next_event: Callable[[], Any]) -> None:
        self.file = file
        self.next_event = next_event
        self.anchors: dict[str, Item | None] = {}
        self.values = 0
        self.depth = 0

    def where(self, event: Any) -> Where:
        mark = event.start_mark
        return Where(self.file, mark.line + 1, mark.column + 1)

    def document(self) -> Item:
        root = None
        while (event := self.next_event()) is not None:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise SpecError(
                        "a second YAML document begins here", hint="one file holds one network", where=self.where(event)
                    )
                root = self.item(self.next_event())
        if root is None or root.value is None:
            raise SpecError(
                "the file is empty", hint="a spec has at least `input:` and `layers:`", where=Where(self.file, 1, 1)
            )
        return root

    def item(self, event: Any) -> Item:
        at = self.where(event)
        self.values += 1
        if self.values > VALUES_AT_MOST:
            raise SpecError(
                f"more than {VALUES_AT_MOST:,} values", hint="aliases multiply what they stand for", where=at
            )
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, at)
        if event.tag is not None:
            tag = spelled(event.tag.replace("tag:yaml.org,2002:", "!!"))
            raise SpecError(f"tag {tag} is not accepted", hint="specs are plain data: remove the tag", where=at)
        if event.anchor:
            self.anchors[event.anchor] = None
        item = self.scalar(event, at) if isinstance(event, yaml.ScalarEvent) else self.collection(event, at)
        if event.anchor:
            self.anchors[event.anchor] = item
        return item

    def alias(self, event: Any, at: Where) -> Item:
        if event.anchor not in self.anchors:
            raise SpecError(
                f"alias *{spelled(event.anchor)} before its anchor",
                hint=f"write &{spelled(event.anchor)} first",
                where=at,
            )
        item = self.anchors[event.anchor]
        if item is None:
            raise SpecError(
                f"alias *{spelled(event.anchor)} stands inside its own anchor", hint="remove the loop", where=at
            )
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
            if len(text) > DIGITS_AT_MOST:
                raise SpecError(f"{text[:12]}... is a number of {len(text)} digits", hint="use fewer", where=at)
            return Item(int(text.replace("_", "")), at)
        if _FLOAT.fullmatch(text):
            number = float(text)
            if number in (math.inf, -math.inf):
                raise SpecError(f"{text[:DIGITS_AT_MOST]} is too large a number", hint="floats end at 1e308", where=at)
            return Item(number, at, text=text)
        if _NOT_FINITE.fullmatch(text):
            raise SpecError(f"{text} is not a number to compute with", hint="write a finite number", where=at)
        return Item(text, at)

    def collection(self, event: Any, at: Where) -> Item:
        self.depth += 1
        if self.depth > DEPTH_AT_MOST:
            raise SpecError(f"nested more than {DEPTH_AT_MOST} deep", hint="use blocks", where=at)
        if isinstance(event, yaml.SequenceStartEvent):
            values: Any = []
            while not isinstance(inner := self.next_event(), yaml.SequenceEndEvent):
                values.append(self.item(inner))
        else:
            values = {}
            while not isinstance(inner := self.next_event(), yaml.MappingEndEvent):
                self.entry(values, inner)
        self.depth -= 1
        return Item(values, at)

    def entry(self, values: dict[str, Item], event: Any) -> None:
        at = self.where(event)
        if not isinstance(event, yaml.ScalarEvent) or event.tag is not None:
            raise SpecError("a key must be a plain word", hint="keys are names: no lists, mappings or tags", where=at)
        key = event.value
        if key == "<<" and event.implicit[0]:
            raise SpecError("merge key << is not accepted", hint="use a block with parameters, or extends", where=at)
        if len(values) >= LAYERS_AT_MOST:
            hint = "for layers that are alike use blocks and repeat"
            raise SpecError(f"a mapping of more than {LAYERS_AT_MOST:,} names", hint=hint, where=at)
        if key in values:
            first = values[key].key_or_value_at
            raise SpecError(
                f"duplicate key {spelled(key)}, first on line {first.line}",
                hint="rename or remove one of the two",
                where=at,
            )
        item = values[key] = self.item(self.next_event())
        item.key_at = at


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
