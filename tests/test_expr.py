"""Expressions: arithmetic over parameters and sizes, the same for numbers and for arrays of design points."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torchvision_shim
from hypothesis import given
from hypothesis import strategies as st

from cnncost.dims import round_to
from cnncost.errors import SpecError
from cnncost.spec.expr import evaluate, holds
from cnncost.spec.functions import FUNCTIONS
from cnncost.spec.names import Names

MakeDivisible = Callable[[float, int], int]
SCOPE = Names(
    {"n": 7, "half": 0.5, "depths": [3, 4, [5]], "act": "relu", "flag": True, "w": np.array([8, 24])},
    {"input": "input", "conv": "block.conv", "signal": "signal", "volume": "volume", "vector": "vector"},
    {
        "input": (2, 3, 32, 48),
        "block.conv": (2, 16, 8, 9),
        "signal": (2, 4, 100),
        "volume": (2, 5, 6, 7, 8),
        "vector": (2, 10),
    },
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2 * n + 1", 15),
        ("n // 2", 3),
        ("n / 2", 3.5),
        ("n % 4", 3),
        ("-n", -7),
        ("+n", 7),
        ("2 ** 10", 1024),
        ("2 ** -1", 0.5),
        ("n * half", 3.5),
        ("2 ** 62 + (2 ** 62 - 1)", 2**63 - 1),
        ("depths[0]", 3),
        ("depths[-2]", 4),
        ("depths[2][0]", 5),
        ("[1, n][1]", 7),
        ("len(depths)", 3),
        ("sum([1, 2, n])", 10),
        ("max(1, n, 3)", 7),
        ("min([4, 2, 3])", 2),
        ("abs(3 - n)", 4),
        ("floor(7 / 2)", 3),
        ("ceil(7 / 2)", 4),
        ("ceil_div(7, 2)", 4),
        ("round(2.5)", 3),
        ("round(-2.5)", -2),
        ("round_to(n * half, 8)", 8),
        ("1 if flag else 2", 1),
        ("1 if n < 7 else 2", 2),
        ("input.channels", 3),
        ("input.height", 32),
        ("input.width", 48),
        ("input.size", 48),
        ("conv.channels", 16),
        ("signal.length", 100),
        ("signal.size", 100),
        ("volume.depth * volume.height * volume.width", 6 * 7 * 8),
        ("vector.channels", 10),
        (" n ", 7),
        ("true", True),
        ("act", "relu"),
        ("0x10", 16),
    ],
)
def test_value(text: str, value: Any) -> None:
    result = evaluate(text, SCOPE)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n == 7", True),
        ("n != 7", False),
        ("1 < n <= 7", True),
        ("1 < n < 7", False),
        ("act == 'relu'", True),
        ("act != 'relu' or n > 3", True),
        ("flag and n > 9", False),
        ("not flag", False),
        ("flag or 1 // 0", True),
        ("false and 1 // 0", False),
        ("w > 1", True),
        ("w > 30", False),
        ("input.channels != 3", False),
        ("[1, 2] == [1, 2]", True),
    ],
)
def test_condition(text: str, value: bool) -> None:
    assert holds(text, SCOPE) is value


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("w", [8, 24]),
        ("2 * w", [16, 48]),
        ("w // 5", [1, 4]),
        ("w % 5", [3, 4]),
        ("w ** 2", [64, 576]),
        ("-w", [-8, -24]),
        ("ceil_div(w, 5)", [2, 5]),
        ("floor(w * 0.3)", [2, 7]),
        ("ceil(w * 0.3)", [3, 8]),
        ("round(w / 16)", [1, 2]),
        ("round_to(w * half, 8)", [8, 16]),
        ("max(w, 10)", [10, 24]),
        ("min(10, w)", [8, 10]),
        ("sum([w, 1])", [9, 25]),
        ("w if flag else 1", [8, 24]),
    ],
)
def test_arrays(text: str, values: list[int]) -> None:
    result = evaluate(text, SCOPE)
    assert result.dtype == np.int64
    assert result.tolist() == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n // (w - 8)", "n // (w - 8) divides by zero"),
        ("n % (w - 8)", "n % (w - 8) divides by zero"),
        ("ceil_div(n, w - 8)", "ceil_div(n, w - 8) divides by zero"),
        ("floor(w * 1e300)", "floor(w * 1e300) is beyond 2^63"),
        ("w ** 20", "w ** 20 is beyond 2^63"),
        ("w * 2 ** 60", "w * 2 ** 60 is beyond 2^63"),
        ("1 if w > 10 else 2", "a condition that differs between design points"),
        ("w[0]", "w is [ 8 24], not a list"),
        ("len(w)", "len([ 8 24]) does not work"),
        ("sum(w)", "sum([ 8 24]) does not work"),
        ("depths[w]", "depths has no entry [ 8 24]"),
    ],
)
def test_arrays_fail_as_numbers_do(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        evaluate(text, SCOPE)
    assert caught.value.message == message


whole = st.integers(-50, 50)


def expressions(depth: int) -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["a", "b"]) | whole.map(lambda n: f"({n})")
    if not depth:
        return leaf
    inner = expressions(depth - 1)
    binary = st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%", "/"]), inner).map(lambda t: f"({' '.join(t)})")
    called = st.tuples(st.sampled_from(["max", "min", "ceil_div"]), inner, inner).map(
        lambda t: f"{t[0]}({t[1]}, {t[2]})"
    )
    rounded = st.tuples(st.sampled_from(["floor", "ceil", "round", "abs", "-"]), inner).map(lambda t: f"{t[0]}({t[1]})")
    return leaf | binary | called | rounded


@given(expressions(3), st.lists(st.tuples(whole, whole), min_size=1, max_size=5))
def test_arrays_are_the_numbers_entry_by_entry(text: str, points: list[tuple[int, int]]) -> None:
    def value(a: Any, b: Any) -> Any:
        try:
            return evaluate(text, Names({"a": a, "b": b}, {}, {}))
        except SpecError as e:
            return e.message

    single = [value(a, b) for a, b in points]
    together = value(np.array([a for a, _ in points]), np.array([b for _, b in points]))
    if isinstance(together, str):
        assert together in single
    else:
        assert np.broadcast_to(together, len(points)).tolist() == single


@pytest.fixture(scope="module")
def make_divisible() -> MakeDivisible:
    """torchvision's own rounding of channels."""
    try:
        return torchvision_shim.models()._utils._make_divisible
    except ImportError as e:
        pytest.skip(f"the oracle is torchvision: {e}")


@given(value=st.floats(0.1, 3000), divisor=st.sampled_from([4, 8, 16]))
def test_round_to_is_torchvisions(make_divisible: MakeDivisible, value: float, divisor: int) -> None:
    twice = [make_divisible(value, divisor), make_divisible(2 * value, divisor)]
    assert [round_to(value, divisor), round_to(2 * value, divisor)] == twice
    assert round_to(np.array([value, 2 * value]), divisor).tolist() == twice


def test_round_to_on_every_width_in_use(make_divisible: MakeDivisible) -> None:
    for channels in range(1, 2049):
        for width in (0.25, 0.35, 0.5, 0.75, 1.0, 1.3, 1.4):
            scope = Names({"c": channels, "width": width}, {}, {})
            assert evaluate("round_to(c * width, 8)", scope) == make_divisible(channels * width, 8)


def test_every_function_has_a_test() -> None:
    import inspect

    source = inspect.getsource(test_value)
    assert [name for name in FUNCTIONS if f"{name}(" not in source] == []


def test_long_and_deep_expressions() -> None:
    assert evaluate("+".join(["1"] * 50), SCOPE) == 50
    with pytest.raises(SpecError, match="an expression of 501 characters"):
        evaluate("1" + " " * 500, SCOPE)
    with pytest.raises(SpecError, match="is nested too deep"):
        evaluate("-" * 100 + "1", SCOPE)


def test_floats_stay_finite() -> None:
    with pytest.raises(SpecError, match="is beyond 2"):
        evaluate("floor(1e308 * 10)", SCOPE)
    assert math.isinf(evaluate("1e308 * 10", SCOPE))  # which no kind of option takes


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("depths.0", 3),
        ("depths.1 + 1", 5),
        ("table.1.0 * 2.5", 7 * 2.5),
        ("2.5 * depths.0", 7.5),
        ("1.5", 1.5),
        ("1e1", 10.0),
    ],
)
def test_entries_of_lists_by_a_dot(text: str, value: float) -> None:
    """As --set writes them; braces in YAML take no brackets in a bare value."""
    names = Names({"depths": [3, 4], "table": [[5, 6], [7, 8]]}, {}, {})
    assert names.evaluate(text) == value
    assert type(names.evaluate(text)) is type(value)
