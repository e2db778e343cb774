"""Conditions over the columns of a sweep: `macs < 600M and params < 5M`, for one point or for a million at once.

The grammar is Python's, of which names, numbers with units, text in quotes, arithmetic, comparisons,
and, or, not and parentheses are taken. Nothing of it is run as Python.

Whole numbers are exact, however large: a column of them is compared as int64, and arithmetic that
could pass 2^63 goes on with Python's own ints, which is slower. Once a number that is not whole
takes part, the rest is in double precision. So a point's answer never depends on the points beside it.
Where a comparison has no answer, because its numbers come of a division by zero or are NaN or
missing, neither it nor its `not` holds.
"""

from __future__ import annotations

import ast
import keyword
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from cnncost.analysis.column_arithmetic import Array, calculated, compared, entering, kind
from cnncost.errors import UsageError, did_you_mean
from cnncost.options import spelled
from cnncost.spec.expr import ARITHMETIC, COMPARISON, LENGTH_AT_MOST, parsed, too_deep

COUNT, BYTES, SECONDS = "a plain number", "a number of bytes", "a time"
"""What numbers are of."""
_BYTES: dict[str, int | Fraction] = {
    **{"kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
}
_SECONDS: dict[str, int | Fraction] = {
    **{"ns": Fraction(1, 10**9), "us": Fraction(1, 10**6), "µs": Fraction(1, 10**6), "μs": Fraction(1, 10**6)},
    **{"ms": Fraction(1, 10**3), "s": 1, "min": 60, "h": 3600},
}
UNITS: dict[str, int | Fraction] = {
    **{"k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15},
    **_BYTES,
    **_SECONDS,
}
"""What may follow a number, in units of 1, bytes and seconds. B alone is none: papers write it for billions."""
UNITS_HINT = "numbers take K, M, G ..., bytes KB, KiB, MB ..., times us, ms, s ..."
LANGUAGE = "there are names, numbers with units, 'text', + - * / // %, < <= == != >= >, and, or, not, ( )"
SHOWN_AT_MOST = 100
"""Characters of a condition that an error shows."""
LARGEST_POWER = 300

_POWERS = "there are no powers: write macs * macs"
_SLIPS = {
    **{"=": "write == to compare", "===": "write ==", "=<": "write <=", "=>": "write >=", "<>": "write !="},
    **{"&": "write and", "&&": "write and", "|": "write or", "||": "write or", "!": "write not", "~": "write not"},
    **{"≤": "write <=", "≥": "write >=", "≠": "write !=", "×": "write *", "·": "write *", "÷": "write /"},
    **{"−": "write -", "–": "write -", "**": _POWERS, "^": _POWERS, ",": "conditions are joined by and and or"},
}
"""Signs that are not of the language, and what is meant."""
_SIGNS = ("==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "//", "%", "(", ")")
_LOGIC = ("and", "or", "not")
_FLAGS = {"true": True, "false": False, "True": True, "False": False}


def _any_of(words: Mapping[str, Any] | tuple[str, ...]) -> str:
    """A pattern for any of the words, the longest first."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True))) or r"(?!)"


_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?![\d,])|\d+(?:_\d+)*)(?:\.\d*)?|\.\d+"
_NUMBER = re.compile(
    rf"(?P<digits>{_DIGITS})(?:[eE](?P<power>[-+]?\d{{1,3}})(?!\d))?"
    rf"(?:\s*(?P<unit>{_any_of(UNITS)})(?![\w.])|(?P<unknown>[^\W_]\w*))?"
)
_TOKEN = rf"""
    (?P<space>\s+) | (?P<text>'[^']*'|"[^"]*") | (?P<name>(?:{{names}})(?!\w|\.\w))
    | (?P<word>[^\W\d]\w*(?:\.\w+)*) | (?P<number>\.?\d) | (?P<sign>{_any_of((*_SIGNS, *_SLIPS))}) | (?P<other>.)
"""
_SHAPE = re.compile(r"\d+(x\d+)+")
_OPPOSITE: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Eq: ast.NotEq, ast.Lt: ast.GtE, ast.Gt: ast.LtE},
    **{ast.NotEq: ast.Eq, ast.GtE: ast.Lt, ast.LtE: ast.Gt},
}
_OPERATORS = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)

Columns = Mapping[str, Array]
Function = Callable[[Columns], Array]


class Token(NamedTuple):
    """A name, number or text of a condition: the characters it stands at, its kind and its value.

    of: of a number with a unit of bytes or seconds, which of these; None of others, which may be of anything.
    """

    start: int
    end: int
    kind: str
    value: Any
    of: str | None = None


class Measure(NamedTuple):
    """What a part of a condition is a number of; None where that is not known. written: by a unit that stands there."""

    of: str | None
    written: bool = False


class Condition:
    """A condition, to be called with columns; it can be pickled.

    text: as it was written. names: the columns that it needs.
    """

    def __init__(self, text: str, names: Mapping[str, str], measures: Mapping[str, str] | None = None) -> None:
        self.text, self._known, self._measures = text, dict(names), dict(measures or {})
        reader = _Reader(text, self._known, self._measures)
        self._function = reader.condition(reader.tree(), True)
        self.names: tuple[str, ...] = tuple(dict.fromkeys(reader.used))

    def __call__(self, columns: Columns) -> Array:
        """Where it holds: an array of bool, of the shape to which the columns that it needs broadcast.

        A column is a number or text or an array of them. Raises UsageError where text meets numbers.
        """
        with np.errstate(all="ignore"):
            return self._function({name: entering(columns[name]) for name in self.names})

    def __reduce__(self) -> Any:
        return Condition, (self.text, self._known, self._measures)

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"


def condition(text: str, names: Mapping[str, str], measures: Mapping[str, str] | None = None) -> Condition:
    """Read a condition. names: what columns are called in it, and the columns. measures: what columns are numbers
    of, COUNT, BYTES or SECONDS, of as many as that is known of. Raises UsageError, also where a unit does not suit.
    """
    return Condition(text, names, measures)


def number_with_unit(text: str, of: str | None = None) -> int | float:
    """A number as conditions write them: 600M, 64MiB, 5ms, 1,000. Whole ones are ints.

    of: COUNT, BYTES or SECONDS, where it is known what it has to be of. Raises UsageError.
    """
    reader = _Reader(text.strip(), {}, {})
    found = _NUMBER.match(reader.text)
    value = reader.number(found) if found else None
    if found is None or value is None or found.end() < len(reader.text):
        raise UsageError(f"{spelled(text) or repr('')} is no number", hint="write 600M, 64MiB, 5ms or 1000")
    written = _measure_of(found["unit"])
    if of and written and of != written:
        raise UsageError(f"{spelled(text)} is {written}, where {of} belongs", hint=UNITS_HINT)
    return value


def _measure_of(unit: str | None) -> str | None:
    """What a unit is of; None of one for plain numbers, with which all can be written."""
    return BYTES if unit in _BYTES else SECONDS if unit in _SECONDS else None


class _Reader:
    """A condition being read. used: the columns met so far."""

    def __init__(self, text: str, names: Mapping[str, str], measures: Mapping[str, str]) -> None:
        self.text, self.names, self.used = re.sub(r"\s", " ", text), names, list[str]()
        self.measures = measures
        self.tokens: dict[int, Token] = {}
        self.offset = 0

    def fault(self, what: str, start: int, end: int, hint: str) -> UsageError:
        """An error that shows where in the condition it is."""
        first = max(0, min(start - SHOWN_AT_MOST // 2, len(self.text) - SHOWN_AT_MOST))
        shown = "".join(c if c.isprintable() else "?" for c in self.text[first : first + SHOWN_AT_MOST])
        length = max(1, min(end - start, SHOWN_AT_MOST + first - start))
        return UsageError(f"{what}\n  {shown}\n  {' ' * (start - first)}{'^' * length}", hint=hint)

    # ---- words ----

    def tree(self) -> ast.expr:
        """The tree, in which every name, number and text is a name of underscores of the same length."""
        if not self.text.strip():
            raise UsageError("an empty condition", hint="write one: macs < 600M and params < 5M")
        if len(self.text) > LENGTH_AT_MOST:
            raise UsageError(f"a condition of {len(self.text)} characters", hint=f"at most {LENGTH_AT_MOST}")
        source = self._plain()
        self.offset = len(source) - len(source.lstrip())
        try:
            tree = parsed(source.strip())
        except SyntaxError as e:
            at = e.offset or len(source) + 1  # 0 is the end
            raise self._unreadable(min(self.offset + at - 1, len(source.rstrip()))) from None
        if too_deep(tree):
            raise UsageError(f"condition {spelled(self.text)} is nested too deep", hint="take it apart")
        return tree

    def _unreadable(self, at: int) -> UsageError:
        if at >= len(self.text.rstrip()):
            return self.fault("the condition ends too early", at, at + 1, "a name or a number is missing")
        if self.text[at] == "(":
            return self.fault("a parenthesis is not closed", at, at + 1, "write ) where it ends")
        return self.fault("the condition cannot be read here", at, at + 1, LANGUAGE)

    def _plain(self) -> str:
        """The text with placeholders; the same characters stand at the same places."""
        pattern = re.compile(_TOKEN.replace("{names}", _any_of(self.names)), re.VERBOSE)
        source, at = "", 0
        while found := pattern.match(self.text, at):
            end, part = self._token(found)
            if source[-1:].isidentifier() and part.isidentifier():
                raise self.fault("an operator or a space is missing here", at, end, LANGUAGE)
            source, at = source + part, end
        return source

    def _token(self, found: re.Match[str]) -> tuple[int, str]:
        """Where the next token starts, and what Python reads for this one."""
        kind, text, start, end = found.lastgroup, found[0], found.start(), found.end()
        value: Any = None
        of = None
        if kind == "space" or text in _LOGIC or (kind == "sign" and text in _SIGNS):
            return end, text
        if kind == "name":
            value = self.names[text]
        elif kind == "text":
            value = text[1:-1]
        elif kind == "word":
            kind, value = "flag", self._flag(text, start, end)
        elif kind == "number" and (number := _NUMBER.match(self.text, start)):
            value, end = self.number(number), number.end()
            of = _measure_of(number["unit"])
        elif text in ("'", '"'):
            raise self.fault("a quote is not closed", start, len(self.text), f"text ends with {text}")
        else:
            raise self.fault(f"{spelled(text)} is not part of conditions", start, end, _SLIPS.get(text, LANGUAGE))
        self.tokens[start] = Token(start, end, kind or "", value, of)
        return end, "_" * (end - start)

    def _flag(self, word: str, start: int, end: int) -> bool:
        """true or false. Any other word is an error."""
        if word in _FLAGS:
            return _FLAGS[word]
        if keyword.iskeyword(word):
            raise self.fault(f"{word} is not part of conditions", start, end, LANGUAGE)
        if self.text[end:].lstrip().startswith("("):
            raise self.fault(f"{spelled(word)} is called: there are no functions", start, end, LANGUAGE)
        hint = did_you_mean(word, self.names)
        beside = self.text[end:].lstrip()[:2], self.text[:start].rstrip()[-2:]
        if set(beside) & {"==", "!="}:
            near = f"{hint[:-1]}, or is it text: " if hint.startswith("did") else "text is quoted: "
            hint = f"{near}'{spelled(word)}'{'?' if near[0] == 'd' else ''}"
        raise self.fault(f"unknown name {spelled(word)}", start, end, hint)

    def number(self, found: re.Match[str]) -> int | float:
        """The value of a number and its unit; an int where it is whole."""
        unknown, start, end = found["unknown"], found.start(), found.end()
        if unknown:
            hint = did_you_mean(unknown, UNITS)
            if _SHAPE.fullmatch(found[0]):
                hint = f"text is quoted: '{spelled(found[0])}'"
            elif unknown == "B":
                hint = "bytes are plain numbers, KB or KiB, and 10^9 is G"
            raise self.fault(f"unknown unit {spelled(unknown)}", end - len(unknown), end, hint)
        value = Fraction(re.sub("[,_]", "", found["digits"])) * UNITS[found["unit"] or "s"]
        value *= Fraction(10) ** int(found["power"] or 0)
        if value > 10**LARGEST_POWER:
            raise self.fault("too large a number", start, end, f"numbers end at 10^{LARGEST_POWER}")
        return int(value) if value.denominator == 1 else float(value)

    # ---- meaning ----

    def _span(self, node: ast.expr) -> tuple[int, int]:
        return self.offset + node.col_offset, self.offset + (node.end_col_offset or 0)

    def _part(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return spelled(self.text[start:end])

    def condition(self, node: ast.expr, wanted: bool) -> Function:
        """Where a condition is `wanted`. What is not wanted is asked of its parts, so that no answer stays none."""
        if isinstance(node, ast.BoolOp):
            joined = np.logical_and if isinstance(node.op, ast.And) is wanted else np.logical_or
            parts = [self.condition(part, wanted) for part in node.values]
            return lambda columns: reduce(joined, [part(columns) for part in parts])
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self.condition(node.operand, not wanted)
        if not isinstance(node, ast.Compare):
            hint = "compare it with something: macs < 600M"
            raise self.fault(f"{self._part(node)} is no condition", *self._span(node), hint)
        values = [node.left, *node.comparators]
        links = [self._link(op, a, b, wanted) for op, a, b in zip(node.ops, values, values[1:])]
        every = np.logical_and if wanted else np.logical_or
        return lambda columns: reduce(every, [link(columns) for link in links])

    def _link(self, op: ast.cmpop, a: ast.expr, b: ast.expr, wanted: bool) -> Function:
        """One comparison."""
        function = COMPARISON[type(op) if wanted else _OPPOSITE[type(op)]]
        left, right = self.value(a), self.value(b)
        self._require_alike(a, b)

        def link(columns: Columns) -> Array:
            x, y = left(columns), right(columns)
            kinds = {kind(x), kind(y)}
            if len(kinds) > 1:
                what = f"{self._part(a)} is {kind(x)} and {self._part(b)} is {kind(y)}"
                hint = "compare numbers with numbers, and text in quotes with text"
                raise self.fault(what, self._span(a)[0], self._span(b)[1], hint)
            if kinds != {"a number"} and type(op) not in (ast.Eq, ast.NotEq):
                what = f"{self._part(a)} is {kind(x)}, which has no order"
                raise self.fault(what, self._span(a)[0], self._span(b)[1], "compare it by == and !=")
            return compared(function, x, y)

        return link

    def _require_alike(self, a: ast.expr, b: ast.expr) -> None:
        """Raise UsageError for a comparison with a unit of what the other side is not."""
        left, right = self._measure(a), self._measure(b)
        if left.of and right.of and left.of != right.of and (left.written or right.written):
            what = f"{self._part(a)} is {left.of} and {self._part(b)} is {right.of}"
            raise self.fault(what, self._span(a)[0], self._span(b)[1], UNITS_HINT)

    def _measure(self, node: ast.expr) -> Measure:
        """What a part is a number of. A sum is of what its parts are; other products are of something else."""
        if isinstance(node, ast.Name):
            token = self.tokens[self._span(node)[0]]
            return (
                Measure(self.measures.get(token.value)) if token.kind == "name" else Measure(token.of, bool(token.of))
            )
        if isinstance(node, ast.UnaryOp):
            return self._measure(node.operand)
        if not isinstance(node, ast.BinOp):
            return Measure(None)
        a, b = self._measure(node.left), self._measure(node.right)
        if isinstance(node.op, (ast.Add, ast.Sub, ast.Mod)):
            return a if a.of else b
        if self._plain_number(node.right):
            return a
        return b if isinstance(node.op, ast.Mult) and self._plain_number(node.left) else Measure(None)

    def _plain_number(self, node: ast.expr) -> bool:
        """Whether this is a number without a unit of bytes or seconds."""
        token = self.tokens[self._span(node)[0]] if isinstance(node, ast.Name) else None
        return token is not None and token.kind == "number" and token.of is None

    def value(self, node: ast.expr) -> Function:
        """The values of a part that is compared."""
        if isinstance(node, ast.Name):
            return self._named(self.tokens[self._span(node)[0]])
        if isinstance(node, ast.BinOp) and isinstance(node.op, _OPERATORS):
            return self._arithmetic(ARITHMETIC[type(node.op)], node.left, node.right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            function = operator.sub if isinstance(node.op, ast.USub) else operator.add
            return self._arithmetic(function, None, node.operand)
        if isinstance(node, ast.Call):
            what = f"{self._part(node.func)} is called: there are no functions"
            raise self.fault(what, *self._span(node.func), LANGUAGE)
        if isinstance(node, ast.Tuple):
            raise self.fault("the parentheses are empty", *self._span(node), "a name or a number is missing")
        hint = "join conditions by and, or, not"
        raise self.fault(f"{self._part(node)} is a condition where a value belongs", *self._span(node), hint)

    def _named(self, token: Token) -> Function:
        if token.kind == "name":
            self.used.append(token.value)
            return lambda columns: columns[token.value]
        constant = entering(token.value)
        return lambda columns: constant

    def _arithmetic(self, function: Callable[[Any, Any], Any], a: ast.expr | None, b: ast.expr) -> Function:
        """Arithmetic on two values, or on 0 and one."""
        nodes = [node for node in (a, b) if node is not None]
        parts = [self.value(node) for node in nodes]

        def arithmetic(columns: Columns) -> Array:
            values = [part(columns) for part in parts]
            for node, value in zip(nodes, values):
                if kind(value) != "a number":
                    what = f"arithmetic on {self._part(node)}, which is {kind(value)}"
                    raise self.fault(what, *self._span(node), "+ - * / // % work on numbers")
            return calculated(function, values[0] if a is not None else np.asarray(0), values[-1])

        return arithmetic
