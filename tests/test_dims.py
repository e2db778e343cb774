"""Arithmetic on sizes against brute force over all small sizes, for ints and for arrays. Needs no PyTorch."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest

from cnncost.dims import (
    AXES,
    LARGEST,
    DiffersError,
    Refusals,
    Window,
    broadcast,
    ceil_div,
    choosing,
    common_divisor,
    decided,
    is_array,
    larger,
    noted,
    numel,
    placed_since,
    refused,
    refusing,
    require,
    reworded,
    round_to,
    scaled,
    shown,
    smaller,
)
from cnncost.errors import ShapeError, Where


def check_arrays_alike(function: Any, *columns: list[Any], exact: Any) -> None:
    """`function` of each row is `exact` of it, as a Python int; of whole columns it is the same, as int64."""
    want = [exact(*row) for row in zip(*columns)]
    got = [function(*row) for row in zip(*columns)]
    assert got == want
    assert all(type(n) is int for n in got)
    together = function(*(np.array(c) for c in columns))
    assert together.dtype == np.int64
    assert together.tolist() == want


def test_two_sizes() -> None:
    a, b = (list(c) for c in zip(*product(range(-7, 12), range(1, 9))))
    check_arrays_alike(ceil_div, a, b, exact=lambda m, n: math.ceil(Fraction(m, n)))
    check_arrays_alike(larger, a, b, exact=max)
    check_arrays_alike(smaller, a, b, exact=min)
    check_arrays_alike(common_divisor, a, b, exact=math.gcd)


def test_a_size_and_an_array() -> None:
    sizes = np.array([2, 9, 4])
    assert larger(sizes, 5).tolist() == larger(5, sizes).tolist() == [5, 9, 5]
    assert smaller(sizes, 5).tolist() == smaller(5, sizes).tolist() == [2, 5, 4]
    assert common_divisor(sizes, 6).tolist() == common_divisor(6, sizes).tolist() == [2, 3, 2]
    assert ceil_div(sizes, 4).tolist() == [1, 3, 1]


def test_numel() -> None:
    assert numel(()) == 1
    assert numel((2, 3, 5)) == 2 * 3 * 5
    assert numel((np.array([2, 3]), 4)).tolist() == [2 * 4, 3 * 4]


def test_is_array() -> None:
    assert is_array(np.array([1])) and is_array(np.int64(1))
    assert not any(is_array(v) for v in (1, 1.5, True, "1", [1], (1,), None))


def test_scaled_rounds_down_in_double_precision() -> None:
    for factor in (0.1, 0.5, 0.75, 1.0, 1.5, 2, 7 / 3):
        check_arrays_alike(
            lambda n, f=factor: scaled(n, f), list(range(1, 60)), exact=lambda n, f=factor: math.floor(n * f)
        )


def test_round_to_is_the_nearest_multiple_and_never_a_tenth_less() -> None:
    def nearest(value: float, divisor: int) -> int:
        multiples = range(divisor, int(value) + 3 * divisor, divisor)
        best = min(multiples, key=lambda m: (abs(m - value), -m))
        return best if best >= 0.9 * value else best + divisor

    for divisor in (1, 4, 8, 9, 10, 16):
        check_arrays_alike(
            lambda v, d=divisor: round_to(v, d), list(range(1, 200)), exact=lambda v, d=divisor: nearest(v, d)
        )
        wide = [n * 0.35 for n in range(1, 200)]
        check_arrays_alike(lambda v, d=divisor: round_to(v, d), wide, exact=lambda v, d=divisor: nearest(v, d))


def test_round_to_takes_an_array_of_divisors() -> None:
    divisors = [8, 16, 24, 120]
    assert round_to(81, np.array(divisors)).tolist() == [round_to(81, divisor) for divisor in divisors]


def test_broadcast_is_numpys_of_tensors_with_the_same_axes() -> None:
    shapes = [s for rank in range(4) for s in product((1, 2, 3), repeat=rank)]
    for a, b in product(shapes, shapes):
        if len(a) != len(b):
            with pytest.raises(ShapeError, match=f"they have {len(a)} and {len(b)} axes"):
                broadcast(a, b)
            continue
        try:
            want = np.broadcast_shapes(a, b)
        except ValueError:
            with pytest.raises(ShapeError, match="do not join"):
                broadcast(a, b)
        else:
            assert broadcast(a, b) == want


def test_broadcast_of_arrays() -> None:
    n = np.array([1, 4])
    assert [m.tolist() for m in broadcast((n, 3), (np.array([4, 1]), 1))[:1]] == [[4, 4]]
    with pytest.raises(ShapeError, match="shapes 4 and 3 do not join"):
        broadcast((n,), (np.array([3, 3]),))  # the second design point


def test_require_says_what_failed() -> None:
    require(True, "never")
    require(np.array([True, True]), "never")
    require(np.bool_(True), "never")
    with pytest.raises(ShapeError) as e:
        require(False, "{a} is not {b}", a=1, b=2, hint="try {b}")
    assert (e.value.message, e.value.hint) == ("1 is not 2", "try 2")
    for ok in (False, np.bool_(False), 0):
        with pytest.raises(ShapeError):
            require(ok, "no")


def test_require_of_arrays_shows_the_first_design_point_that_fails() -> None:
    a = np.array([[3], [5], [7]])
    b = np.array([[4, 5, 6]])
    with pytest.raises(ShapeError) as e:
        require(a < b, "{a} {b} {pair} {word}", a=a, b=b, pair=(a, 1), word="x", hint="{a}")
    assert (e.value.message, e.value.hint) == ("5 4 5x1 x", "5")


def test_shown() -> None:
    assert shown((1, 96, 55, 55)) == "1x96x55x55"
    assert shown([3]) == "3"
    sizes = np.array([1, 2])
    assert shown((sizes, 3)) == (sizes, 3)


SIZES = range(1, 10)
WINDOWS = [
    Window(n, k, s, d, before, after)
    for n, k, s, d, before, after in product(SIZES, (1, 2, 3, 4), (1, 2, 3, 5), (1, 2), (0, 1, 2), (0, 1, 2))
]


def starts(w: Window) -> list[int]:
    """Starts of all windows that fit in the padded input."""
    reach = (w.kernel - 1) * w.dilation + 1
    return [i for i in range(0, w.n + w.before + w.after, w.stride) if i + reach <= w.n + w.before + w.after]


def test_windows() -> None:
    for w in WINDOWS:
        padded, reach = w.n + w.before + w.after, len(range(0, w.kernel * w.dilation, w.dilation)[1:]) * w.dilation + 1
        assert w.reach == reach
        assert w.room == padded - reach
        if padded < reach:
            for ceil_mode in (False, True):
                if ceil_mode and padded + w.stride > reach:
                    assert w.places("height", ceil_mode) == 1  # a cut window
                    continue
                with pytest.raises(ShapeError, match="larger than its input"):
                    w.places("height", ceil_mode)
            continue
        at = starts(w)
        assert w.places("height") == len(at)
        end = at[-1] + reach
        assert w.leftover() == padded - end
        assert w.dropped(len(at)) == max(w.n + w.before - end, 0)
        if 2 * w.after <= reach:  # pools take no more padding
            # One more window, cut at the end, if anything is left over; it must start on the input or before.
            more = at[-1] + w.stride
            assert w.places("height", ceil_mode=True) == len(at) + (padded > end and more < w.n + w.before)


def test_windows_of_arrays() -> None:
    fits = [w for w in WINDOWS if w.room >= 0]
    together = Window(*(np.array(c) for c in zip(*fits)))
    assert together.places("height").tolist() == [w.places("height") for w in fits]
    assert together.places("height", True).tolist() == [w.places("height", True) for w in fits]
    assert together.leftover().tolist() == [w.leftover() for w in fits]
    assert together.dropped(3).tolist() == [w.dropped(3) for w in fits]
    assert all(type(n) is int for w in fits for n in (w.places("height"), w.places("height", True), w.dropped(1)))


def test_a_window_larger_than_one_of_many_inputs() -> None:
    w = Window(np.array([9, 4, 2]), 5, 1, 1, 0, 0)
    with pytest.raises(ShapeError) as e:
        w.places("width")
    assert e.value.message == "a window of 5 is larger than its input of 4 (width)"


def test_axes_are_named_from_the_last() -> None:
    assert all(len(names) == rank for rank, names in AXES.items())
    assert {names[-1] for rank, names in AXES.items() if rank > 1} == {"width"}


def test_the_largest_size_is_that_of_int32() -> None:
    assert np.iinfo(np.int32).max == LARGEST


def test_ints_alone_never_load_numpy() -> None:
    code = (
        "import sys; from cnncost.dims import *; Window(9, 3, 2, 1, 0, 1).places('height', True); larger(1, 2); "
        "scaled(3, 1.5); round_to(30, 8); broadcast((1, 2), (2, 1)); common_divisor(4, 6); "
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- design points that cannot be, and choices of the others -----------------------------------------


def test_refusals_are_noted_with_the_first_point_of_each_reason() -> None:
    sizes = np.array([[4], [0], [9]])
    with refusing(Refusals((3, 2))) as found:
        require(sizes > 0, "{n} is none", n=sizes)
        require(sizes * np.array([1, 2]) < 9, "{n} times {m}", n=sizes, m=np.array([1, 2]))
        require(sizes < 99, "never")
    assert [reason.message for reason in found.reasons] == ["0 is none", "9 times 1"]
    assert found.first.tolist() == [[-1, -1], [0, 0], [1, 1]]
    assert [tuple(map(int, point)) for point in found.points] == [(1, 0), (2, 0)]
    with pytest.raises(ShapeError):
        require(sizes > 0, "raised again")


def test_reasons_are_said_as_of_their_first_point() -> None:
    sizes = np.array([4, 0, -2])

    def say(at: Any) -> None:
        one, listed = at(sizes), at({"a": [sizes, (sizes, "x")]})
        require(one > 0, "{one} of {listed}", one=one, listed=str(listed))

    with refusing(Refusals((3,))) as found:
        require(sizes < 4, "left as it is")
        before = noted()
        require(sizes > 0, "said anew")
        reworded(before, say)
        placed_since(before, None, "conv1")
    assert [reason.message for reason in found.reasons] == ["left as it is", "0 of {'a': [0, (0, 'x')]}"]
    assert [reason.layer for reason in found.reasons] == [None, "conv1"]
    assert noted() == 0


def test_choices_are_those_of_all_points_that_can_be() -> None:
    sizes = np.array([[1], [1], [7]])
    assert decided(3) == 3 and decided(True) is True
    assert decided(sizes == 1) is None and decided(sizes == 1, False) is False
    assert not choosing()
    with refusing(Refusals((3, 2))):
        assert choosing()
        assert decided(np.array([[5, 5]])) == 5
        with pytest.raises(DiffersError) as e:
            decided(sizes == 1)
        assert e.value.choice.tolist() == [[True], [True], [False]]
        require(sizes < 7, "the last cannot be")
        assert decided(sizes == 1) is True and decided(sizes) == 1
        require(sizes > 1, "nor can the others")
        assert decided(sizes == 7) is False


def test_a_failure_is_shown_though_its_values_span_more_than_its_condition() -> None:
    with pytest.raises(ShapeError, match="3 and 5 of 4x5"):
        require(np.array([[True], [False]]), "{a} and {b} of {c}", a=np.array([[2], [3]]), b=np.array([5, 6]),
                c=(4, np.array([5, 6])))  # fmt: skip


def test_a_point_keeps_its_first_reason_and_holds_nothing_any_more() -> None:
    sizes = np.array([1, 2, 3, 4])
    with refusing(Refusals((4,))) as found:
        require(sizes != 1, "first")
        require(sizes > 2, "second")
        require(sizes > 0, "never")
    assert [reason.message for reason in found.reasons] == ["first", "second"]
    assert found.first.tolist() == [0, 1, -1, -1] and found.points == [(0,), (1,)]
    assert found.unless_refused(np.array([False, False, False, True])).tolist() == [True, True, False, True]


def test_only_conditions_over_arrays_are_noted() -> None:
    error = ShapeError("no")
    assert refused(np.array([True]), error) is False
    with refusing(Refusals((1,))) as found:
        assert refused(False, error) is False and not found.reasons
        assert refused(np.array([False]), error) is True and found.reasons == [error]
        with pytest.raises(ShapeError, match="alone"):
            require(False, "alone")


def test_a_place_that_is_known_stays() -> None:
    first, second = Where("a.yaml", 1, 2), Where("b.yaml", 3, 4)
    with refusing(Refusals((2,))) as found:
        require(np.array([False, True]), "one")
        placed_since(0, first, "conv1")
        require(np.array([True, False]), "two")
        placed_since(0, second, "conv2")
    assert [(reason.where, reason.layer) for reason in found.reasons] == [(first, "conv1"), (second, "conv2")]


def test_a_choice_is_that_of_the_one_point_that_can_be_or_of_the_first_where_none_can() -> None:
    sizes = np.array([5, 6, 7])
    with refusing(Refusals((3,))):
        require(sizes == 6, "one is left")
        assert decided(sizes) == 6
        require(sizes != 6, "none is left")
        assert decided(sizes) == 5


def test_a_reason_is_noted_of_new_points_alone() -> None:
    found, errors = Refusals((3,)), [ShapeError("a"), ShapeError("b"), ShapeError("c")]
    found.note(np.array([False, True, True]), errors[0])
    found.note(np.array([False, False, True]), errors[1])
    found.note(np.array([False, False, True]), errors[2])
    assert found.first.tolist() == [0, 1, -1]
    assert found.reasons == errors[:2] and found.points == [(0,), (1,)]
