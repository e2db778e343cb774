"""What repeated timings say: quartiles, spread, doubts, changes."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncost.analysis.samples import (
    DOUBTS,
    DRIFT_FROM,
    FASTER,
    NOISY,
    OTHER_LOAD,
    SAME,
    SLOWER,
    THROTTLED,
    TOO_SHORT,
    change,
    drift,
    quartiles,
    steady,
    timing,
)

times = st.lists(st.floats(1e-6, 10.0), min_size=1, max_size=30)


def test_quartiles_of_known_samples() -> None:
    assert quartiles([4.0]) == (4.0, 4.0, 4.0)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 3.0, 4.0)
    assert quartiles([1.0, 3.0]) == (1.5, 2.0, 2.5)
    with pytest.raises(ValueError, match="no samples"):
        quartiles([])


@given(times)
def test_quartiles_are_in_order_and_within_the_samples(samples: list[float]) -> None:
    low, middle, high = quartiles(samples)
    slack = 1e-12 * max(samples)
    assert min(samples) - slack <= low <= middle <= high <= max(samples) + slack
    assert middle == pytest.approx(statistics.median(samples))


def test_the_spread_covers_every_repetition() -> None:
    fast, slow = [1.0, 1.01, 1.02, 1.03, 1.04], [1.2, 1.21, 1.22, 1.23, 1.24]
    both = timing([fast, slow])
    assert (both.low, both.high) == (1.01, 1.23), "a slow spell widens it"
    assert both.median == pytest.approx((1.04 + 1.2) / 2)
    assert both.samples == 10
    assert both.spread == pytest.approx((1.23 - 1.01) / both.median)


@pytest.mark.parametrize(("width", "noisy"), [(0.09, False), (0.11, True)])
def test_samples_that_spread_are_noisy(width: float, noisy: bool) -> None:
    samples = [1.0 - width, 1 - width / 2, 1.0, 1 + width / 2, 1.0 + width]  # quartiles 1 -+ width / 2
    assert (NOISY in timing([samples]).doubts) == noisy


def test_doubts_come_once_and_in_their_order() -> None:
    assert timing([[1.0]], [OTHER_LOAD, TOO_SHORT, OTHER_LOAD]).doubts == (TOO_SHORT, OTHER_LOAD)
    assert list(DOUBTS) == ["noisy", "too short", "throttled", "other load"]


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ([1.0, 1.0, 1.0], [1.5, 1.5, 1.5], SLOWER),
        ([1.5, 1.5, 1.5], [1.0, 1.0, 1.0], FASTER),
        ([1.0, 1.0, 1.0], [1.019, 1.019, 1.019], SAME),
        ([1.0, 1.2, 1.4], [1.1, 1.3, 1.5], SAME),
        ([1.0, 1.0, 1.0], [1.021, 1.021, 1.021], SLOWER),
    ],
)
def test_a_difference_counts_beyond_spread_and_tolerance(old: list[float], new: list[float], verdict: str) -> None:
    found = change(timing([old]), timing([new]))
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(statistics.median(new) / statistics.median(old))


def test_the_tolerance_is_the_users() -> None:
    old, new = timing([[1.0]]), timing([[1.2]])
    assert change(old, new, 0.25).verdict == SAME
    assert change(old, new, 0.1).verdict == SLOWER


@given(times, times)
def test_changes_are_symmetric(old: list[float], new: list[float]) -> None:
    there, back = change(timing([old]), timing([new]), 0), change(timing([new]), timing([old]), 0)
    opposite = {SAME: SAME, FASTER: SLOWER, SLOWER: FASTER}
    assert back.verdict == opposite[there.verdict]
    assert there.ratio * back.ratio == pytest.approx(1)


def test_steady_when_the_last_samples_have_stopped_falling() -> None:
    assert not steady([1.0] * 9, 10, 0.02)
    assert steady([9.0] * 5 + [1.0] * 10, 10, 0.02)
    assert not steady([2.0, 1.8, 1.6, 1.5, 1.4, 1.3, 1.25, 1.2, 1.15, 1.1], 10, 0.02)


@pytest.mark.parametrize(
    ("medians", "throttled"),
    [
        ([1.0, 1.05, 1.2], True),
        ([1.0, 1.05, 1.08], False),
        ([1.0, 1.3, 1.2], False),
        ([1.2, 1.1, 1.0], False),
        ([1.0, 1.2], False),
        ([1.0], False),
    ],
)
def test_repetitions_that_become_slower_one_by_one_are_throttled(medians: list[float], throttled: bool) -> None:
    assert (THROTTLED in timing([[m] * 3 for m in medians]).doubts) == throttled


def test_a_run_drifts_as_far_as_four_in_five_of_its_repetitions() -> None:
    rows = [[[1.0] * 3, [1.0 + 0.001 * n] * 3, [1.0 - 0.001 * n] * 3] for n in range(1, 101)]
    found = drift(rows)
    off = [abs(row[i][0] - 1) for row in rows for i in (1, 2)]
    assert sum(each < found for each in off) == pytest.approx(0.8 * len(off), abs=2)
    few = rows[: DRIFT_FROM // 2 - 1]
    assert drift(few) == 0.0, "too few to say"
    assert drift([[[1.0]]] * 100) == 0.0, "one repetition says nothing"


def test_the_spread_is_at_least_as_wide_as_the_run_drifts() -> None:
    narrow = [[0.99, 1.0, 1.01], [1.0, 1.0, 1.0]]
    assert (timing(narrow, drifts=0.05).low, timing(narrow, drifts=0.05).high) == (0.95, 1.05)
    wide = [[0.8, 0.8, 0.8], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    assert timing(wide, drifts=0.05).low == 0.8
