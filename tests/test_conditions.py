"""Conditions over columns: what holds is what Python says point by point, and every slip is shown."""

from __future__ import annotations

import math
import operator
import pickle
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cnncost.analysis.conditions import BYTES, COUNT, SECONDS, UNITS, Condition, condition, number_with_unit
from cnncost.errors import UsageError
from cnncost.spec.expr import LENGTH_AT_MOST

NAMES = {name: name for name in ("batch", "width", "macs", "params", "flops", "act", "bias")}
NAMES |= {"activations": "activation_bytes", "peak": "peak_bytes", "time.rtx-4090": "seconds_rtx_4090", "depths.0": "d"}
ROWS = [(1, 2, 3), (2, 2, 2), (3, 1, 7), (7, 5, 1), (4, 9, 2), (6, 3, 3)]
COLUMNS = dict(zip(("batch", "macs", "params"), np.array(ROWS).T))


def where(text: str, **columns: Any) -> list[bool]:
    """Where a condition holds; columns are called by their aliases."""
    found = condition(text, NAMES)({NAMES[name]: column for name, column in columns.items()})
    assert found.dtype == bool
    return found.tolist()


# ---- the language -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "batch < macs",
        "batch + macs * params > 12",
        "(batch + macs) * params > 12",
        "batch - macs - params < 0",
        "batch - (macs - params) < 0",
        "macs / params / batch > 0.4",
        "macs // params % 2 == 1",
        "-macs % 3 == 1",
        "-macs // 2 == -1",
        "- - macs == +macs",
        "1 < batch <= macs",
        "batch == macs == params",
        "batch < macs > params",
        "batch != macs != params",
        "not batch < macs",
        "not batch < macs < params",
        "not not batch < macs",
        "batch < 3 or macs < 3 and params > 2",
        "(batch < 3 or macs < 3) and params > 2",
        "not batch < 3 and macs > 2",
        "not (batch < 3 and macs > 2 or params == 7)",
        " macs>=2 and params<3 ",
        "macs < 5.5e0 and params > .5",
        "batch\n< macs",
    ],
)
def test_grammar_and_precedence_are_pythons(text: str) -> None:
    said = [eval(" ".join(text.split()), dict(zip(COLUMNS, row))) for row in ROWS]
    assert where(text, **COLUMNS) == said
    assert sum(said) > 0


class Part(NamedTuple):
    """A part of a condition, and its value at a point; None for what has none."""

    text: str
    at: Callable[[dict[str, Any]], Any]


def as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def operated(sign: str, function: Callable[[Any, Any], Any], a: Part, b: Part) -> Part:
    def at(row: dict[str, Any]) -> Any:
        x, y = a.at(row), b.at(row)
        if x is None or y is None:
            return None
        if sign == "/" or isinstance(x, float) or isinstance(y, float):
            x, y = as_float(x), as_float(y)
        if sign in ("/", "//", "%") and y == 0:
            return None
        found = function(x, y)
        return None if math.isnan(as_float(found)) else found

    return Part(f"({a.text} {sign} {b.text})", at)


def related(sign: str, function: Callable[[Any, Any], bool], a: Part, b: Part) -> Part:
    def at(row: dict[str, Any]) -> bool | None:
        x, y = a.at(row), b.at(row)
        if x is None or y is None:
            return None
        if isinstance(x, float) or isinstance(y, float):
            x, y = as_float(x), as_float(y)
        return function(x, y)

    return Part(f"{a.text} {sign} {b.text}", at)


def joined(word: str, a: Part, b: Part) -> Part:
    """and, or of three answers: yes, no, none (Kleene's logic)."""
    deciding = word == "or"

    def at(row: dict[str, Any]) -> bool | None:
        answers = [a.at(row), b.at(row)]
        return deciding if deciding in answers else None if None in answers else not deciding

    return Part(f"({a.text} {word} {b.text})", at)


def denied(a: Part) -> Part:
    return Part(f"(not {a.text})", lambda row: None if a.at(row) is None else not a.at(row))


def named(name: str) -> Part:
    return Part(name, lambda row: row[name])


def literal(value: float) -> Part:
    return Part(repr(value), lambda row: value)


SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
SIGNS |= {"//": operator.floordiv, "%": operator.mod}
RELATIONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
RELATIONS |= {"==": operator.eq, "!=": operator.ne}
LEAVES = st.sampled_from(["batch", "macs", "width"]).map(named)
LEAVES |= st.sampled_from([0, 1, 2, 3, 0.5, 2**53 + 1, 2**62, 2**63, 2**64 + 1]).map(literal)
VALUES = st.recursive(
    LEAVES,
    lambda part: st.builds(lambda o, a, b: operated(*o, a, b), st.sampled_from([*SIGNS.items()]), part, part),
    max_leaves=4,
)
CONDITIONS = st.recursive(
    st.builds(lambda o, a, b: related(*o, a, b), st.sampled_from([*RELATIONS.items()]), VALUES, VALUES),
    lambda part: st.builds(joined, st.sampled_from(["and", "or"]), part, part) | part.map(denied),
    max_leaves=3,
)
SIZES = st.integers(0, 3) | st.sampled_from([2**31, 2**53, 2**53 + 1, 2**62, 2**63 - 2, 2**63 - 1, -(2**63)])
POINTS = st.lists(
    st.fixed_dictionaries({"batch": SIZES, "macs": SIZES, "width": st.sampled_from([0.0, 0.25, 1.0, 3.0])}), max_size=5
)


@settings(max_examples=200, deadline=None)
@given(CONDITIONS, POINTS)
def test_what_holds_is_what_python_says_point_by_point(part: Part, points: list[dict[str, Any]]) -> None:
    assume(len(part.text) <= LENGTH_AT_MOST)
    read = condition(part.text, NAMES)
    dtypes = {"batch": np.int64, "macs": np.int64, "width": np.float64}
    columns = {name: np.array([point[name] for point in points], dtype) for name, dtype in dtypes.items()}
    said = [part.at(point) is True for point in points]
    assert np.broadcast_to(read(columns), len(points)).tolist() == said
    alone = [bool(read({name: column[i] for name, column in columns.items()})) for i in range(len(points))]
    assert alone == said  # whatever points stand beside it


@pytest.mark.parametrize("edge", [2**53, 2**62, 2**63 - 2])
def test_whole_numbers_are_compared_exactly(edge: int) -> None:
    macs = np.array([edge - 1, edge, edge + 1])
    assert where(f"macs < {edge}", macs=macs) == [True, False, False]
    assert where(f"macs == {edge}", macs=macs) == [False, True, False]
    assert where(f"macs > {edge}", macs=macs) == [False, False, True]
    assert where("macs < params", macs=macs, params=np.full(3, edge)) == [True, False, False]


def test_products_do_not_wrap() -> None:
    macs = np.array([3 * 10**9, 4 * 10**9, 5 * 10**9])  # their squares are around 2^63 and beyond
    assert where("macs * macs > 15.9e18", macs=macs) == [False, True, True]
    assert where(f"macs * macs == {16 * 10**18}", macs=macs) == [False, True, False]
    assert where(f"macs * macs * macs == {64 * 10**27}", macs=macs) == [False, True, False]
    assert where("macs * macs // macs == macs", macs=macs) == [True, True, True]
    assert where("macs + macs == 9223372036854775808", macs=np.array([2**62])) == [True]
    assert where("macs * macs == macs * (macs * (2 / 2))", macs=np.array([3037000500])) == [True]  # both as doubles
    assert where("0.5 > -1e300 * 1e300 and 1e300 * 1e300 > 0.5") is True


def test_a_division_by_zero_matches_nothing_and_warns_of_nothing() -> None:
    columns = {"macs": np.array([0, 6, 6]), "batch": np.array([0, 0, 2])}
    for sign in ("/", "//", "%"):
        assert where(f"macs {sign} batch >= 0", **columns) == [False, False, True]
        assert where(f"not macs {sign} batch < 0", **columns) == [False, False, True]
        assert where(f"macs {sign} batch != 1", **columns) == [False, False, True]
        assert where(f"macs {sign} (batch * 0.5) >= 0", **columns) == [False, False, True]
    assert where("macs / batch > 1 or macs > 1", **columns) == [False, True, True]  # the other part is enough
    assert where("1 / 0 > 0") is False


def test_what_is_missing_matches_nothing() -> None:
    times = np.array([1.0, np.nan, 3.0])
    gaps = np.array([1, None, 3], object)
    for column in (times, gaps):
        assert where("time.rtx-4090 > 2", **{"time.rtx-4090": column}) == [False, False, True]
        assert where("not time.rtx-4090 > 2", **{"time.rtx-4090": column}) == [True, False, False]
        assert where("time.rtx-4090 != 1", **{"time.rtx-4090": column}) == [False, False, True]


# ---- columns ----------------------------------------------------------------------------------------


def test_columns_broadcast_and_may_be_numbers() -> None:
    read = condition("batch * macs < 10", NAMES)
    found = read({"batch": np.array([[1], [2]]), "macs": np.array([3, 5, 10])})
    assert found.tolist() == [[True, True, False], [True, False, False]]
    assert read({"batch": 2, "macs": np.array([3, 5], np.int32)}).tolist() == [True, False]
    assert bool(read({"batch": 2, "macs": 4})) is True
    assert read({"batch": 2, "macs": np.array([], np.int64)}).tolist() == []
    assert read({"batch": np.float32(0.5), "macs": np.array([19, 20], np.uint64)}).tolist() == [True, False]


def test_names_are_the_columns_that_it_needs() -> None:
    read = condition("peak < 64MiB and (activations < peak or time.rtx-4090 < 5ms) and depths.0 == 2", NAMES)
    assert read.names == ("peak_bytes", "activation_bytes", "seconds_rtx_4090", "d")
    assert read.text.startswith("peak < 64MiB")
    assert repr(condition("batch < 2", NAMES)) == "Condition('batch < 2')"
    assert condition("1 < 2", NAMES).names == ()


def test_a_known_name_is_read_whole() -> None:
    names = {"time": "t", "time.rtx-4090": "r", "rtx": "x", "s": "s"}
    assert condition("time.rtx-4090 - time < rtx-4090", names).names == ("r", "t", "x")
    assert condition("s < 5 s", names).names == ("s",)


@pytest.mark.parametrize("dtype", [object, np.str_, np.bytes_])
def test_text_is_compared_by_equality(dtype: Any) -> None:
    act = np.array(["relu", "gelu", "relu 6"], dtype)
    assert where("act == 'relu'", act=act) == [True, False, False]
    assert where('act != "relu"', act=act) == [False, True, True]
    assert where("not act == 'relu' and act != 'gelu'", act=act) == [False, False, True]
    assert where("act == 'relu 6'", act="relu 6") is True


def test_flags_are_compared_with_true_and_false() -> None:
    bias = np.array([True, False])
    assert where("bias == true", bias=bias) == [True, False]
    assert where("bias != True", bias=bias) == [False, True]
    assert where("not bias == false", bias=bias) == [True, False]


def test_a_condition_can_be_pickled() -> None:
    read = pickle.loads(pickle.dumps(condition("activations < 4K", NAMES)))
    assert isinstance(read, Condition)
    assert read.names == ("activation_bytes",)
    assert read({"activation_bytes": np.array([3999, 4000])}).tolist() == [True, False]


# ---- units ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("600M", 600 * 10**6),
        ("600 M", 600 * 10**6),
        ("5K", 5 * 10**3),
        ("5k", 5 * 10**3),
        ("1.2G", 12 * 10**8),
        ("0.3G", 3 * 10**8),
        ("2T", 2 * 10**12),
        ("2P", 2 * 10**15),
        ("100MB", 100 * 10**6),
        ("64MiB", 64 * 2**20),
        ("1.5KiB", 3 * 2**9),
        ("24 GiB", 24 * 2**30),
        ("5ms", 0.005),
        ("3us", 3e-6),
        ("3µs", 3e-6),
        ("7ns", 7e-9),
        ("2s", 2),
        ("2min", 120),
        ("1.5h", 5400),
        ("1,000,000", 10**6),
        ("1_000", 1000),
        ("3.8e9", 38 * 10**8),
        ("1e3M", 10**9),
        ("5.", 5),
        (".5", 0.5),
        ("0.1", 0.1),
        ("9007199254740993", 2**53 + 1),
    ],
)
def test_numbers_have_units(text: str, value: float) -> None:
    found = number_with_unit(f" {text} ")
    assert (found, type(found)) == (value, type(value))
    assert where(f"macs == {text}", macs=np.array([value, value + 1])) == [True, False]


def test_units_agree_with_those_of_memories_and_specs() -> None:
    from cnncost.analysis.fit import parse_memory
    from cnncost.spec.printed import UNITS as PRINTED

    assert {name: UNITS[name] for name in UNITS if name in PRINTED} == {n: PRINTED[n] for n in PRINTED if n in UNITS}
    for name in ("KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"):
        assert parse_memory(f"3{name}") == 3 * UNITS[name]


@pytest.mark.parametrize("text", ["", "M", "-5", "5 6", "5M+1", "nan", "1,00", "1e999"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no number|too large"):
        number_with_unit(text)


# ---- errors -----------------------------------------------------------------------------------------


def refused(text: str, **columns: Any) -> str:
    """What is said of a condition."""
    with pytest.raises(UsageError) as caught:
        where(text, **columns)
    return str(caught.value)


LANGUAGE = "there are names, numbers with units, 'text', + - * / // %, < <= == != >= >, and, or, not, ( )"
FAULTS = {
    "": ("an empty condition", "write one: macs < 600M and params < 5M"),
    "  ": ("an empty condition", "write one: macs < 600M and params < 5M"),
    "mcs < 600M": ("unknown name mcs\n  mcs < 600M\n  ^^^", "did you mean macs?"),
    "macs < 5 or Params < 3": (
        "unknown name Params\n  macs < 5 or Params < 3\n              ^^^^^^",
        "did you mean params?",
    ),
    "time.rtx4090 < 1": (
        "unknown name time.rtx4090\n  time.rtx4090 < 1\n  ^^^^^^^^^^^^",
        "did you mean time.rtx-4090?",
    ),
    "macs.real < 1": ("unknown name macs.real\n  macs.real < 1\n  ^^^^^^^^^", "did you mean macs?"),
    "act == swish": (
        "unknown name swish\n  act == swish\n         ^^^^^",
        "did you mean width, or is it text: 'swish'?",
    ),
    "swish != act": ("unknown name swish\n  swish != act\n  ^^^^^", "did you mean width, or is it text: 'swish'?"),
    "zzz < 5": (
        "unknown name zzz\n  zzz < 5\n  ^^^",
        "known here: batch, width, macs, params, flops, act, bias, activations, peak, time.rtx-4090, depths.0",
    ),
    "macs < 600m": ("unknown unit m\n  macs < 600m\n            ^", "did you mean M?"),
    "peak < 64Mib": ("unknown unit Mib\n  peak < 64Mib\n           ^^^", "did you mean MiB?"),
    "macs < 4B": ("unknown unit B\n  macs < 4B\n          ^", "bytes are plain numbers, KB or KiB, and 10^9 is G"),
    "act == 3x224x224": (
        "unknown unit x224x224\n  act == 3x224x224\n          ^^^^^^^^",
        "text is quoted: '3x224x224'",
    ),
    "macs < 1e301": ("too large a number\n  macs < 1e301\n         ^^^^^", "numbers end at 10^300"),
    "macs < 1e299M": ("too large a number\n  macs < 1e299M\n         ^^^^^^", "numbers end at 10^300"),
    "macs = 5": ("= is not part of conditions\n  macs = 5\n       ^", "write == to compare"),
    "macs =< 5": ("=< is not part of conditions\n  macs =< 5\n       ^^", "write <="),
    "macs ≤ 5": ("≤ is not part of conditions\n  macs ≤ 5\n       ^", "write <="),
    "macs < 5 && params < 3": (
        "&& is not part of conditions\n  macs < 5 && params < 3\n           ^^",
        "write and",
    ),
    "macs ** 2 < 5": (
        "** is not part of conditions\n  macs ** 2 < 5\n       ^^",
        "there are no powers: write macs * macs",
    ),
    "macs < 5, params < 3": (
        ", is not part of conditions\n  macs < 5, params < 3\n          ^",
        "conditions are joined by and and or",
    ),
    "macs[0] < 5": ("[ is not part of conditions\n  macs[0] < 5\n      ^", LANGUAGE),
    "{macs} < 5": ("{ is not part of conditions\n  {macs} < 5\n  ^", LANGUAGE),
    "''.join < 5": (". is not part of conditions\n  ''.join < 5\n    ^", LANGUAGE),
    "(macs).real < 5": (". is not part of conditions\n  (macs).real < 5\n        ^", LANGUAGE),
    "act == 'relu": ("a quote is not closed\n  act == 'relu\n         ^^^^^", "text ends with '"),
    "abs(macs) < 5": ("abs is called: there are no functions\n  abs(macs) < 5\n  ^^^", LANGUAGE),
    "macs (5) < 5": ("macs is called: there are no functions\n  macs (5) < 5\n  ^^^^", LANGUAGE),
    "lambda: macs": ("lambda is not part of conditions\n  lambda: macs\n  ^^^^^^", LANGUAGE),
    "1 if macs else 2": ("if is not part of conditions\n  1 if macs else 2\n    ^^", LANGUAGE),
    "macs in (1)": ("in is not part of conditions\n  macs in (1)\n       ^^", LANGUAGE),
    "macs <": ("the condition ends too early\n  macs <\n        ^", "a name or a number is missing"),
    "(macs < 5": ("a parenthesis is not closed\n  (macs < 5\n  ^", "write ) where it ends"),
    "macs < 5 and () < 5": (
        "the parentheses are empty\n  macs < 5 and () < 5\n               ^^",
        "a name or a number is missing",
    ),
    "act == 'a'or 1 < 2": ("an operator or a space is missing here\n  act == 'a'or 1 < 2\n            ^^", LANGUAGE),
    "1 < 2 or'a' == act": ("an operator or a space is missing here\n  1 < 2 or'a' == act\n          ^^^", LANGUAGE),
    "act == 'a''b'": ("an operator or a space is missing here\n  act == 'a''b'\n            ^^^", LANGUAGE),
    "macs < 1.5.5": ("an operator or a space is missing here\n  macs < 1.5.5\n            ^^", LANGUAGE),
    "macs < 1,0000": (
        ", is not part of conditions\n  macs < 1,0000\n          ^",
        "conditions are joined by and and or",
    ),
    "act == 1x1 and zzz == act": (
        "unknown unit x1\n  act == 1x1 and zzz == act\n          ^^",
        "text is quoted: '1x1'",
    ),
    "zzz == act": ("unknown name zzz\n  zzz == act\n  ^^^", "text is quoted: 'zzz'"),
    "macs < 5)": ("the condition cannot be read here\n  macs < 5)\n          ^", LANGUAGE),
    "  macs < 5 params > 3": ("the condition cannot be read here\n    macs < 5 params > 3\n             ^", LANGUAGE),
    "macs < not 5": ("the condition cannot be read here\n  macs < not 5\n         ^", LANGUAGE),
    "macs + 1": ("macs + 1 is no condition\n  macs + 1\n  ^^^^^^^^", "compare it with something: macs < 600M"),
    "macs < 5M or 6M": (
        "6M is no condition\n  macs < 5M or 6M\n               ^^",
        "compare it with something: macs < 600M",
    ),
    "macs": ("macs is no condition\n  macs\n  ^^^^", "compare it with something: macs < 600M"),
    "(macs < 5) + 1 > 2": (
        "macs < 5 is a condition where a value belongs\n  (macs < 5) + 1 > 2\n   ^^^^^^^^",
        "join conditions by and, or, not",
    ),
    "-(not macs < 5) > 2": (
        "not macs < 5 is a condition where a value belongs\n  -(not macs < 5) > 2\n    ^^^^^^^^^^^^",
        "join conditions by and, or, not",
    ),
}


@pytest.mark.parametrize("text", FAULTS)
def test_a_fault_is_shown_where_it_is(text: str) -> None:
    message, hint = FAULTS[text]
    assert refused(text) == f"{message}\nhint: {hint}"


def test_text_and_numbers_do_not_meet() -> None:
    columns = {"act": np.array(["relu"]), "macs": np.array([5]), "bias": np.array([True])}
    assert refused("macs > 1 and act == 5", **columns) == (
        "act is text and 5 is a number\n  macs > 1 and act == 5\n               ^^^^^^^^\n"
        "hint: compare numbers with numbers, and text in quotes with text"
    )
    assert refused("macs + 1 == 'relu'", **columns) == (
        "macs + 1 is a number and 'relu' is text\n  macs + 1 == 'relu'\n  ^^^^^^^^^^^^^^^^^^\n"
        "hint: compare numbers with numbers, and text in quotes with text"
    )
    assert refused("bias == 1", **columns).startswith("bias is true or false and 1 is a number\n")
    assert refused("act < 'relu'", **columns) == (
        "act is text, which has no order\n  act < 'relu'\n  ^^^^^^^^^^^^\nhint: compare it by == and !="
    )
    assert refused("macs + 2 * act > 5", **columns) == (
        "arithmetic on act, which is text\n  macs + 2 * act > 5\n             ^^^\nhint: + - * / // % work on numbers"
    )
    assert refused("-bias > 5", **columns).startswith("arithmetic on bias, which is true or false\n")


def test_long_conditions_are_cut_around_the_fault() -> None:
    text = " or ".join(["macs < 5"] * 15 + ["mcs < 5"] + ["macs < 5"] * 15)
    message, shown, caret, hint = refused(text).splitlines()
    assert (message, hint) == ("unknown name mcs", "hint: did you mean macs?")
    assert len(shown) == 102
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "mcs"
    assert refused("macs < 5 or " * 50 + "macs < 5") == "a condition of 608 characters\nhint: at most 500"
    assert refused("(" * 70 + "macs" + " + 1)" * 70 + " > 0") == (
        "condition (((((((((((((((((((((((((((((((((((((((((((((((((((((((((... is nested too deep\nhint: take it apart"
    )
    assert refused("macs < \x1b[31m").splitlines()[1] == "  macs < ?[31m"


PIECES = "macs act zz 5 6M .5 3ms 'a' and or not ( ) < == - // * % = if _ __import__ ² ٣ é # \\ f'{macs}' := 1e9"


@settings(max_examples=300, deadline=None)
@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from([*PIECES.split(), '"', "\n", "\0"]), max_size=12).map(" ".join)
    | st.lists(st.sampled_from(PIECES.split()), max_size=12).map("".join)
)
def test_any_text_is_a_condition_or_an_error_of_the_users(text: str) -> None:
    try:
        read = condition(text, NAMES)
        found = read({column: np.array(["a", "b"] if column == "act" else [1, 2]) for column in NAMES.values()})
    except UsageError as error:
        assert error.message
        assert error.hint
    else:
        assert found.dtype == bool


# ---- what numbers are of ------------------------------------------------------------------------------

MEASURES = {"macs": COUNT, "peak_bytes": BYTES, "seconds_t4": SECONDS}
MEASURED = {"macs": "macs", "peak": "peak_bytes", "time": "seconds_t4", "width": "width"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("macs < 5ms", "macs is a plain number and 5ms is a time"),
        ("5 MiB > macs", "5 MiB is a number of bytes and macs is a plain number"),
        ("peak < 5ms", "peak is a number of bytes and 5ms is a time"),
        ("time <= 1 GB", "time is a time and 1 GB is a number of bytes"),
        ("macs < 1M or 2 * peak + 1 < 3 * 5ms", "2 * peak + 1 is a number of bytes and 3 * 5ms is a time"),
        ("-peak > -2s", "-peak is a number of bytes and -2s is a time"),
        ("macs < peak < 5ms", "peak is a number of bytes and 5ms is a time"),
    ],
)
def test_a_unit_of_something_else_is_refused(text: str, what: str) -> None:
    with pytest.raises(UsageError) as error:
        condition(text, MEASURED, MEASURES)
    assert error.value.message.split("\n")[0] == what
    assert error.value.hint == "numbers take K, M, G ..., bytes KB, KiB, MB ..., times us, ms, s ..."


@pytest.mark.parametrize(
    "text",
    [
        "macs < 600M and peak < 64MiB and time < 5ms",
        "peak < 64M", "time < 0.005", "width < 5ms", "width * 1MB < peak",
        "macs < peak", "macs / time > 1T", "peak / macs < 2", "peak * macs < 5", "macs < 1 / 5ms", "peak % 2KiB == 0",
        "peak + 1MiB < 64MiB", "peak < 64MiB - 1K",
    ],
)  # fmt: skip
def test_units_that_suit_or_may_suit_are_taken(text: str) -> None:
    columns = {"macs": 2, "peak_bytes": 3, "seconds_t4": 0.5, "width": 1}
    assert condition(text, MEASURED, MEASURES)(columns).dtype == bool
    assert pickle.loads(pickle.dumps(condition(text, MEASURED, MEASURES))).text == text
