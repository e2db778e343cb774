"""Axes: lists, ranges and words as people write them, values from Python, and every message."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncost.analysis.sweep.axes import (
    EXAMPLE,
    RANGE_HINT,
    VALUES_AT_MOST,
    Axis,
    axes_of,
    is_input,
    parse_axis,
    shown_value,
)
from cnncost.dims import LARGEST
from cnncost.errors import UsageError

PARAMETERS = {"width": 64, "depths": [3, 4], "act": "relu"}


def values(text: str) -> tuple[Any, ...]:
    return parse_axis(f"width={text}").values


def given_as(value: Any, name: str = "width") -> tuple[Any, ...]:
    """Values from Python."""
    return axes_of({name: value}, PARAMETERS)[0].values


def typed(found: tuple[Any, ...]) -> list[tuple[type, Any]]:
    return [(type(value), value) for value in found]


# ---- as text ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1", (1,)),
        ("1,2,4,8", (1, 2, 4, 8)),
        (" 4 , 2 ", (4, 2)),
        ("-3,+5", (-3, 5)),
        ("0.5,.25,2.", (0.5, 0.25, 2.0)),
        ("1,1.5", (1.0, 1.5)),
        ("1e3,2E-1", (1000.0, 0.2)),
        ("1:4", (1, 2, 3, 4)),
        ("128:512:128", (128, 256, 384, 512)),
        ("128:500:128", (128, 256, 384)),
        ("7:7", (7,)),
        ("7:7:-3", (7,)),
        ("5:1:-2", (5, 3, 1)),
        ("-1:1", (-1, 0, 1)),
        ("1.0:3.0:1.0", (1, 2, 3)),
        ("1:3.5", (1, 2, 3)),
        ("1:2:0.5", (1.0, 1.5, 2.0)),
        ("2:1:-0.25", (2.0, 1.75, 1.5, 1.25, 1.0)),
        ("0:0.3:0.1", (0.0, 0.1, 0.2, 0.3)),
        ("1 : 3", (1, 2, 3)),
        ("1,2,8:32:8", (1, 2, 8, 16, 24, 32)),
        ("1:3,0.5", (1.0, 2.0, 3.0, 0.5)),
        ("relu,gelu", ("relu", "gelu")),
        ("true,false", (True, False)),
        ("3x224x224,3x256x192", ((3, 224, 224), (3, 256, 192))),
        ("x,1x", ("x", "1x")),
    ],
)
def test_lists_ranges_and_both(text: str, wanted: tuple[Any, ...]) -> None:
    assert typed(values(text)) == typed(wanted)


def test_floats_are_exact_and_end_where_they_are_told_to() -> None:
    found = values("0.25:2:0.05")
    assert len(found) == 36 == (200 - 25) // 5 + 1
    assert found == tuple((25 + 5 * n) / 100 for n in range(36))
    assert found[-1] == 2.0


@given(st.integers(-2000, 2000), st.integers(0, 300), st.integers(1, 999), st.booleans(), st.integers(0, 3))
def test_a_range_is_that_of_whole_numbers_moved_by_the_point(
    start: int, more: int, step: int, down: bool, places: int
) -> None:
    unit, step = Decimal(1).scaleb(-places), -step if down else step
    stop = start + more * step + (step // 3 if more else 0)
    texts = [f"{n * unit:f}" for n in (start, stop, step)]
    found = values(":".join(texts))
    assert found == tuple(float(n * unit) for n in range(start, stop + (-1 if down else 1), step))


def test_an_axis_has_a_name() -> None:
    assert parse_axis(" depths.2 =1:3") == Axis("depths.2", (1, 2, 3))
    assert parse_axis("input=3x8x8").values == ((3, 8, 8),)
    assert is_input("input") and is_input("input.height") and not is_input("inputs")


def test_numeric_axes_may_stand_in_arrays() -> None:
    assert [parse_axis(f"a={text}").numeric for text in ("1,2", "1,0.5", "relu", "true", "3x4")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_values_are_shown_as_they_are_written() -> None:
    for text in ("1", "0.75", "relu", "true", "false", "3x224x224"):
        assert shown_value(values(text)[0]) == text


# ---- messages -----------------------------------------------------------------------------------

FAULTS = [
    ("batch", "--vary batch: no name and values", EXAMPLE),
    ("=1,2", "--vary =1,2: no name and values", EXAMPLE),
    ("batch=", "--vary batch: no values", EXAMPLE),
    ("batch=1,,2", "--vary batch: nothing between two commas", EXAMPLE),
    ("batch=1,2,", "--vary batch: nothing between two commas", EXAMPLE),
    ("batch=1,2,1", "--vary batch: 1 is given twice", "give each value once"),
    ("width=1,1.0", "--vary width: 1.0 is given twice", "give each value once"),
    ("width=1:4,2:8:2", "--vary width: 2 is given twice", "give each value once"),
    ("input=3x4x4,3x4x4", "--vary input: 3x4x4 is given twice", "give each value once"),
    ("act=true,true", "--vary act: true is given twice", "give each value once"),
    ("act=1,relu", "--vary act: values of several kinds", "give numbers, or words, or shapes"),
    ("input=32,3x4x4", "--vary input: values of several kinds", "give numbers, or words, or shapes"),
    ("batch=1:8:0", "--vary batch=1:8:0: a step of 0", RANGE_HINT),
    ("batch=8:1", "--vary batch=8:1: it ends before it begins", RANGE_HINT),
    ("batch=1:8:-1", "--vary batch=1:8:-1: it ends before it begins", RANGE_HINT),
    ("batch=:8", "--vary batch=:8: an end is missing", RANGE_HINT),
    ("batch=1:", "--vary batch=1:: an end is missing", RANGE_HINT),
    ("batch=1:8:", "--vary batch=1:8:: an end is missing", RANGE_HINT),
    ("batch=1:x", "--vary batch=1:x: x is no number", RANGE_HINT),
    ("batch=1:2:3:4", "--vary batch=1:2:3:4: more than an end and a step", RANGE_HINT),
    ("width=1:2000000", "--vary width=1:2000000: 2,000,000 values", "at most 1,000,000"),
    ("width=1:600000,600001:1200000", "--vary width: more than 1,000,000 values", "take a larger step"),
    ("width=1e999", "--vary width: inf is no number up to 2^63", "check the values"),
    (f"width={2**63}", "--vary width: 9223372036854775808 is no number up to 2^63", "check the values"),
    ("batch=0,1", "--vary batch: 0 is no whole number of at least 1", "write 1,2,4,8"),
    ("batch=1.5", "--vary batch: 1.5 is no whole number of at least 1", "write 1,2,4,8"),
    ("batch=one", "--vary batch: one is no whole number of at least 1", "write 1,2,4,8"),
    ("batch=3x4", "--vary batch: 3x4 is no whole number of at least 1", "write 1,2,4,8"),
    ("batch=true", "--vary batch: true is no whole number of at least 1", "write 1,2,4,8"),
    ("batch=3000000000", "--vary batch: 3000000000 is too large", f"at most {LARGEST}"),
    ("input=0:3", "--vary input: 0 is no whole number of at least 1", "write 128:512:32, or shapes: 3x224x224"),
    ("input=3x0x4", "--vary input: 3x0x4 is no whole number of at least 1", "write 128:512:32, or shapes: 3x224x224"),
    ("input=3x4x4294967296", "--vary input: 3x4x4294967296 is too large", f"at most {LARGEST}"),
    ("input.height=0", "--vary input.height: 0 is no whole number of at least 1", "write 1,2,4,8"),
    ("input.height=3x4", "--vary input.height: 3x4 is no whole number of at least 1", "write 1,2,4,8"),
    ("input.hight=32", "unknown axis input.hight", "did you mean height?"),
    ("bach=1", "unknown axis bach", "did you mean batch?"),
    ("widht=1", "unknown axis widht", "did you mean width?"),
    ("qqq.1=1", "unknown axis qqq.1", "known here: batch, input, width, depths, act"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message", "hint"), FAULTS, ids=[text for text, *_ in FAULTS])
def test_faults_say_what_is_wrong(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as e:
        axes_of([text], PARAMETERS)
    assert (e.value.message, e.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("axes", "message", "hint"),
    [
        ([], "nothing varies", EXAMPLE),
        (["batch=1", "batch=2"], "axis batch is given twice", "give all its values at once: 1,2,8:32:8"),
        (["input=8", "input.height=8"], "input and input.height both vary the input",
         "vary input.height and input.width"),
        (["input.width=8", "input=3x4x4"], "input and input.width both vary the input",
         "vary input.height and input.width"),
    ],
)  # fmt: skip
def test_faults_of_several_axes(axes: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as e:
        axes_of(axes, PARAMETERS)
    assert (e.value.message, e.value.hint) == (message, hint)


def test_as_many_values_as_there_may_be() -> None:
    assert len(values(f"1:{VALUES_AT_MOST}")) == VALUES_AT_MOST


@given(st.text(alphabet="0123456789.,:x-+e ab=", max_size=20))
def test_whatever_is_written_is_axes_or_a_message(text: str) -> None:
    try:
        (axis,) = axes_of([text], {"a": 1, "b": 2})
    except UsageError as e:
        assert e.message
    else:
        assert axis.values
        assert len(set(axis.values)) == len(axis.values)


def test_axes_stay_in_their_order() -> None:
    axes = axes_of(["width=1", "batch=2", "input.height=4", "input.width=5", "depths.1=3"], PARAMETERS)
    assert [axis.name for axis in axes] == ["width", "batch", "input.height", "input.width", "depths.1"]


# ---- from Python --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ([1, 2], (1, 2)),
        ((1, 0.5), (1.0, 0.5)),
        (range(2, 9, 3), (2, 5, 8)),
        (np.array([1, 2]), (1, 2)),
        (np.arange(1, 2, 0.25), (1.0, 1.25, 1.5, 1.75)),
        (np.float64(0.5), (0.5,)),
        (np.array(3), (3,)),
        ([np.int64(3), np.int32(4)], (3, 4)),
        ([np.bool_(True), False], (True, False)),
        (7, (7,)),
        (0.5, (0.5,)),
        (True, (True,)),
        ("1:3", (1, 2, 3)),
        ("relu", ("relu",)),
        (["relu", "gelu"], ("relu", "gelu")),
        ((n for n in (1, 2)), (1, 2)),
        ([[1, 2], (3, 4)], ((1, 2), (3, 4))),
        (np.array([[1, 2], [3, 4]]), ((1, 2), (3, 4))),
    ],
)
def test_values_from_python(value: Any, wanted: tuple[Any, ...]) -> None:
    assert typed(given_as(value)) == typed(wanted)


def test_inputs_from_python() -> None:
    shapes = ((3, 4, 5), (3, 6, 7))
    for value in (list(shapes), ["3x4x5", "3x6x7"], "3x4x5,3x6x7", np.array(shapes), list(map(list, shapes))):
        assert given_as(value, "input") == shapes
    assert given_as(["32", "64"], "input") == (32, 64)
    assert given_as(range(32, 65, 32), "input") == (32, 64)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("width", [], "--vary width: no values"),
        ("width", [1, True], "--vary width: values of several kinds"),
        ("width", [1, 1], "--vary width: 1 is given twice"),
        ("width", [None], "--vary width: nothing is no value"),
        ("width", None, "--vary width: nothing is no value"),
        ("width", {"a": 1}, "--vary width: a mapping is no value"),
        ("width", [1 + 2j], "--vary width: (1+2j) is no value"),
        ("width", [float("nan")], "--vary width: nan is no number up to 2^63"),
        ("width", [float("-inf")], "--vary width: -inf is no number up to 2^63"),
        ("width", [2**70], "--vary width: 1180591620717411303424 is no number up to 2^63"),
        ("batch", [0], "--vary batch: 0 is no whole number of at least 1"),
        ("batch", ["a"], "--vary batch: a is no whole number of at least 1"),
        ("nothing", [1], "unknown axis nothing"),
    ],
)
def test_faults_of_values_from_python(name: str, value: Any, message: str) -> None:
    with pytest.raises(UsageError) as e:
        axes_of({name: value}, PARAMETERS)
    assert e.value.message == message
