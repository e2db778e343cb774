"""Values as YAML in the style of the bundled architectures: plain where that is read back as it is, else quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from cnncost.spec.marks import normalize

WIDTH = 120
BREAK = "\0"
"""Where a line may be broken; no text has it, for it is escaped there."""

_PLAIN_NAME = re.compile(r"[^\W\d][\w.+-]*|[0-9]+x[0-9]+\w*|0|[1-9][0-9]*")
_PLAIN_TEXT = re.compile(r"[^\W\d_](?:[\w.()/+'&;-]|[,:](?=\S)|,(?= )| (?=[\w(]))*")
_OTHERWISE = re.compile(r"true|false|null|yes|no|on|off|y|n|0x\w*", re.IGNORECASE)
"""What some reader of YAML takes for something else than text."""


def name(word: str) -> str:
    """A name of a layer or input, as a key or where it is referred to."""
    return word if _PLAIN_NAME.fullmatch(word) and not _OTHERWISE.fullmatch(word) else quoted(word)


def text(words: str, first: int) -> str:
    """Text for people after its key; `first` columns are taken. Broken at spaces where it is long."""
    words = normalize(words).encode("utf-8", "replace").decode()
    plain = _PLAIN_TEXT.fullmatch(words) and not _OTHERWISE.fullmatch(words)
    if plain and first + len(words) <= WIDTH:
        return words
    return re.sub(r"(?<=[^\s]) (?=[^\s])", BREAK, quoted(words))


def quoted(words: str) -> str:
    """Text in double quotes."""
    return f'"{"".join(map(_escaped, words))}"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    code = ord(character)
    if character.isprintable():
        return character
    return f"\\x{code:02x}" if code < 2**8 else f"\\u{code:04x}" if code < 2**16 else f"\\U{code:08x}"


def value(item: Any) -> str:
    """A number, flag, word, expression or list of them."""
    if isinstance(item, (list, tuple)):
        return sequence(value(inner).replace(BREAK, " ") for inner in item)
    if isinstance(item, bool) or item is None:
        return {True: "true", False: "false", None: "null"}[item]
    if isinstance(item, float):
        return repr(item)
    return str(item)


def sequence(items: Iterable[str]) -> str:
    """[a, b] of texts that are YAML already."""
    return "[" + f",{BREAK}".join(items) + "]"


def mapping(items: Iterable[str]) -> str:
    """{a: 1, b: 2} of entries that are YAML already."""
    return "{" + f",{BREAK}".join(items) + "}"


def line(indent: int, key: str, value: str) -> str:
    """`key: value` with the value broken where it would be too wide; what follows stands deeper."""
    done, row = [], f"{' ' * indent}{key}:"
    for i, piece in enumerate(value.split(BREAK)):
        if i and len(row) + 1 + len(piece) > WIDTH:
            done.append(row)
            row = " " * (indent + 3) + piece
        else:
            row += " " + piece
    return "\n".join([*done, row])
