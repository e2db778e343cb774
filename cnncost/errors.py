"""What can go wrong, as values that know how to be shown. Only the CLI prints them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

LIST_AT_MOST = 12
WORD_AT_MOST = 60
KNOWN_AT_MOST = 2_000
"""Longer words and longer lists are not compared: it would only take time."""


class Where(NamedTuple):
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class CnncostError(Exception):
    """Base of every error that is the input's fault, not the program's.

    `message` says what is wrong and with which value, `hint` what to do about it; `where` and
    `layer` are filled in by whoever knows them, which is often not the code that finds the fault.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        where: Where | str | None = None,
        layer: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where
        self.layer = layer

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where is not None else ""
        layer = f"layer {self.layer}: " if self.layer else ""
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{place}{layer}{self.message}{hint}"


class UsageError(CnncostError):
    """A command-line or API argument that cannot be used."""


class SpecError(CnncostError):
    """An architecture file that says something the language does not know."""


class ShapeError(SpecError):
    """A layer that cannot take the input it is given."""


class TooLargeError(ShapeError):
    """A tensor has more elements than any count could hold."""


class OptionError(SpecError):
    """A layer option with a value of the wrong kind; `option` names it."""

    option: str | None = None


def counted(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun: 1 size, 3 sizes."""
    return f"{n} {one if n == 1 else many or one + 's'}"


def one_line(error: BaseException) -> str:
    """An error of somebody else's code in one line: its kind, and the first line of what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def did_you_mean(word: str, known: Iterable[str], synonyms: dict[str, str] | None = None) -> str:
    """A hint for an unknown name: the nearest known one, else the list of what there is."""
    known = list(known)
    other = (synonyms or {}).get(word.lower())
    if other in known:
        return f"did you mean {other}?"
    if len(word) <= WORD_AT_MOST and len(known) <= KNOWN_AT_MOST:
        from difflib import get_close_matches

        lowered = {name.lower(): name for name in reversed(known)}
        near = get_close_matches(word.lower(), lowered, n=1, cutoff=0.6)
        if near:
            return f"did you mean {lowered[near[0]]}?"
    if not known:
        return "there are none here"
    more = f" and {len(known) - LIST_AT_MOST} more" if len(known) > LIST_AT_MOST else ""
    return f"known here: {', '.join(known[:LIST_AT_MOST])}{more}"
