"""The kinds of option: what each takes, what it makes of it, what it refuses, for numbers and for arrays."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import jsonschema
import numpy as np
import pytest

from cnncost.dims import LARGEST
from cnncost.errors import OptionError
from cnncost.ops import MENU, find
from cnncost.options import KINDS, Kind, kind_of, spelled

NO_SIZE = [0, -1, 1.5, True, "3", None, (), [], (1, 0), {}, LARGEST + 1, float("inf"), float("nan")]
NO_COUNT = [-1, 1.5, False, "3", None, (1, -1), LARGEST + 1]

TAKEN: dict[str, list[tuple[Any, Any]]] = {
    "Size": [(1, 1), (LARGEST, LARGEST), (3.0, 3), (np.int64(3), 3)],
    "Index": [(0, 0), (-1, -1), (2.0, 2)],
    "Rank": [(1, 1), (np.int32(2), 2)],
    "OptionalSize": [(None, None), (5, 5)],
    "Sizes": [(3, 3), ([3, 1], (3, 1)), ((5,), (5,)), ([2.0, 1], (2, 1))],
    "Counts": [(0, 0), ([0, 2], (0, 2))],
    "SizesOrNone": [(None, None), (2, 2), ([2, 1], (2, 1))],
    "OptionalSizes": [(None, None), ([None, 7], (None, 7)), (7, 7)],
    "Pads": [(0, 0), ("same", "same"), ("same_tf", "same_tf"), ("valid", "valid"), ([1, [0, 2]], (1, (0, 2)))],
    "Amounts": [(-2, -2), ([1, [-1, 2]], (1, (-1, 2)))],
    "Sides": [(-2, -2), ([1, -2], (1, -2))],
    "Axes": [([0, 2, 1], (0, 2, 1))],
    "Target": [([-1, 3], (-1, 3))],
    "Range": [([None, -1], (None, -1)), ((2, 5), (2, 5))],
    "Maps": [([[0, 1], [2]], ((0, 1), (2,)))],
    "Parts": [(2, 2), ([1, 3], (1, 3))],
    "Flag": [(True, True), (False, False)],
    "Real": [(0.5, 0.5), (-3, -3)],
    "OptionalReal": [(0.5, 0.5), (None, None)],
    "Factor": [(None, None), (2, 2), (0.5, 0.5), ([2, 0.5], (2, 0.5))],
}

REFUSED: dict[str, list[Any]] = {
    "Size": NO_SIZE,
    "Index": [1.5, True, "1", None, [1], np.array([1, 2])],
    "Rank": [0, -1, 1.5, None, np.array([1, 2])],
    "OptionalSize": [0, "x", [1]],
    "Sizes": [*NO_SIZE, [1] * 9, [None, 1]],
    "Counts": NO_COUNT,
    "SizesOrNone": [0, [None, 1], []],
    "OptionalSizes": [0, [0, None], []],
    "Pads": [*NO_COUNT, "SAME", [1, [0, 1, 2]], [[1, -1]], ["same", 1]],
    "Amounts": [1.5, None, "same", [[1, 2, 3]]],
    "Sides": [1.5, None, "same", [], [[1, 2]]],
    "Axes": [[], 1, [1.5], [True], [np.array([1, 2])]],
    "Target": [[], 1, [None]],
    "Range": [[], 3, ["x", 1], [1.5, 2]],
    "Maps": [[], [[]], [[-1]], [1], [[0.5]]],
    "Parts": [0, [], [0], 1.5, None],
    "Flag": [0, 1, "true", None, 1.0],
    "Real": [True, "1", None, float("inf"), float("nan"), [1]],
    "OptionalReal": [True, "1", float("inf"), [1]],
    "Factor": [0, -1, True, "2", [], [2, 0], float("inf"), LARGEST],
}


def test_the_tables_name_every_kind() -> None:
    assert set(TAKEN) == set(REFUSED) == set(KINDS)


def test_every_kind_is_some_option_s() -> None:
    used = {field.type for key in MENU for field in find(key).options.values()}
    assert set(KINDS) <= used
    for key in MENU:
        for field in find(key).options.values():
            assert isinstance(kind_of(field.type, find(key).__module__), Kind)


@pytest.mark.parametrize(("name", "value", "made"), [(k, *row) for k, rows in TAKEN.items() for row in rows])
def test_taken(name: str, value: Any, made: Any) -> None:
    found = KINDS[name].check(value)
    assert found == made
    assert type(found) is type(made)
    assert KINDS[name].check(found) == made


@pytest.mark.parametrize(("name", "value"), [(k, v) for k, values in REFUSED.items() for v in values])
def test_refused(name: str, value: Any) -> None:
    with pytest.raises(OptionError) as e:
        KINDS[name].check(value)
    assert e.value.message.startswith("must be ")


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64])
def test_arrays_become_int64(dtype: Any) -> None:
    found = KINDS["Size"].check(np.array([3, 5], dtype))
    assert (found.dtype, found.tolist()) == (np.int64, [3, 5])


@pytest.mark.parametrize(
    "values",
    [[3, 0], [3, -1], [1.5, 2], [np.nan, 1], [np.inf, 1], [True, False], ["a", "b"], [1, LARGEST + 1], [-(2**63), 1]],
)
def test_arrays_are_checked_entry_by_entry(values: list[Any]) -> None:
    with pytest.raises(OptionError):
        KINDS["Size"].check(np.array(values))


def test_signed_arrays_have_a_largest_size_too() -> None:
    with pytest.raises(OptionError, match=str(2**63)):
        KINDS["Target"].check([np.array([-(2**63), 1])])


def test_arrays_inside_lists() -> None:
    sizes = np.array([1, 2])
    kernel, fixed = KINDS["Sizes"].check([sizes, 3])
    assert (kernel.tolist(), fixed) == ([1, 2], 3)
    ((before, after),) = KINDS["Pads"].check([[sizes, 0]])
    assert (before.tolist(), after) == ([1, 2], 0)


def sayable(value: Any) -> bool:
    """True for what JSON has and a schema can judge: no arrays, infinities or bounds; strings are expressions."""
    if isinstance(value, list | tuple):
        return len(value) < 9 and all(map(sayable, value))
    if isinstance(value, int | float):
        return abs(value) < LARGEST
    return not isinstance(value, str | np.ndarray)


def as_json(value: Any) -> Any:
    return [as_json(v) for v in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize("name", KINDS)
def test_the_schema_takes_what_the_kind_takes_and_no_more(name: str) -> None:
    schema = jsonschema.Draft202012Validator(KINDS[name].schema())
    for value, _ in TAKEN[name]:
        if not (value is None and name == "Factor"):  # nothing is the default, and nobody writes it
            plain = value.item() if isinstance(value, np.generic) else value
            assert schema.is_valid(as_json(plain)), value
    for value in REFUSED[name]:
        if sayable(value):
            assert not schema.is_valid(as_json(value)), value


def test_spelled_is_as_a_spec_writes_it() -> None:
    assert spelled((1, None, (True, "x"))) == "[1, nothing, [true, x]]"
    assert spelled(10**5000) == "a number of over 4000 digits"
    assert spelled(10**50) == "a number of 51 digits"
    assert len(spelled("x" * 1000)) == 60
    assert spelled(list(range(99))) == "[0, 1, 2, 3, 4, 5, 6, 7, …]"
    assert spelled({"a": 1}) == "a mapping"


# ---- ops as values ----------------------------------------------------------------------------


def test_ops_are_values() -> None:
    conv = find("conv")
    one, other = conv(96, kernel=11, stride=4), conv(out=96, stride=4, kernel=11)
    assert one == other and hash(one) == hash(other)
    assert one != conv(96, kernel=11) and one != find("linear")(96)
    assert repr(one) == "Conv(out=96, kernel=11, stride=4)"
    assert (one.kernel, one.padding, one.bias) == (11, 0, True)


def test_ops_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError, match="kernel"):
        find("conv")(96).kernel = 3


def test_a_wrong_option_names_itself() -> None:
    with pytest.raises(OptionError) as e:
        find("conv")(96, kernel=0)
    assert (e.value.option, e.value.message) == (
        "kernel",
        "kernel must be a whole number of at least 1, or a list with one an axis, got 0",
    )


def test_a_missing_option_is_named() -> None:
    with pytest.raises(OptionError, match="conv needs out"):
        find("conv")()


def test_words_are_one_of_a_few() -> None:
    with pytest.raises(OptionError, match="mode must be one of constant, reflect, replicate, circular"):
        find("pad")(1, mode="reflected")
    with pytest.raises(OptionError, match="got 3"):
        find("pad")(1, mode=3)
