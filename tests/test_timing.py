"""The method of timing, on a clock that is wound by hand: nothing here depends on how fast the machine is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from clocks import Quiet, Wound
from hypothesis import given
from hypothesis import strategies as st

from cnncost.analysis.samples import OTHER_LOAD, TOO_SHORT
from cnncost.live.timing import Method, Repetition, repetition

METHOD = Method()


class Steps(Wound):
    """A clock on which run number i takes `seconds(i)`."""

    def __init__(self, seconds: Callable[[int], float], **clock: float) -> None:
        super().__init__(**clock)
        self.seconds = seconds

    def time(self, run: Callable[[int], None], first: int, loops: int) -> float:
        for i in range(first, first + loops):
            run(i)
        took = sum(self.seconds(i) for i in range(first, first + loops))
        self.at += took
        return took


def taken(clock: Wound, method: Method = METHOD, load: Quiet | None = None) -> tuple[Repetition, list[int]]:
    """A repetition, and the numbers of the runs."""
    runs: list[int] = []
    return repetition(runs.append, clock, load or Quiet(), method), runs


@given(st.floats(1e-7, 2.0))
def test_samples_are_the_time_of_a_run_and_long_against_the_clock(seconds: float) -> None:
    clock = Steps(lambda i: seconds)
    found, _ = taken(clock)
    assert found.samples == pytest.approx([seconds] * len(found.samples))
    assert found.loops * seconds >= METHOD.sample * (1 - 1e-9)
    assert found.loops == 1 or (found.loops - 1) * seconds < METHOD.sample * 1.01, "and no longer than needed"
    assert METHOD.fewest <= len(found.samples) <= METHOD.samples
    assert found.doubts == ()


def test_a_coarse_clock_makes_longer_samples() -> None:
    found, _ = taken(Steps(lambda i: 1e-3, resolution=1e-5))
    assert found.loops == round(METHOD.resolutions * 1e-5 / 1e-3)


def test_every_run_has_a_number_of_its_own_so_that_data_rotates() -> None:
    _, runs = taken(Steps(lambda i: 1e-3))
    assert runs == list(range(len(runs)))


def test_warming_up_lasts_until_times_settle() -> None:
    slow_for = 100
    clock = Steps(lambda i: 1e-3 * (3 - 2 * i / slow_for if i < slow_for else 1))
    found, _ = taken(clock, METHOD._replace(warm_up_at_most=100))
    assert found.steady
    assert found.samples == pytest.approx([1e-3] * len(found.samples), rel=0.03)
    assert found.warm_up >= METHOD.warm_up


def test_warming_up_ends_even_where_times_never_settle() -> None:
    clock = Steps(lambda i: 1e-2 * 1.01**i)
    found, _ = taken(clock, METHOD._replace(samples=5))
    assert not found.steady
    assert found.warm_up >= METHOD.warm_up_at_most


def test_a_slow_subject_is_sampled_a_few_times() -> None:
    found, runs = taken(Steps(lambda i: 10.0))
    assert len(found.samples) == METHOD.fewest
    assert len(runs) == 1 + METHOD.fewest, "one to warm up: it is longer than any warm-up"


def test_what_else_ran_is_a_doubt() -> None:
    load = Quiet(OTHER_LOAD)
    found, _ = taken(Steps(lambda i: 1e-3), load=load)
    assert found.doubts == (OTHER_LOAD,)
    assert load.started == 1, "after the warm-up, so that it is not counted"


def test_runs_no_longer_than_their_launch_are_too_short() -> None:
    found, _ = taken(Steps(lambda i: 1e-6, overhead=2e-6))
    assert found.doubts == (TOO_SHORT,)


def test_samples_that_became_short_are_too_short() -> None:
    clock = Steps(lambda i: 1e-3 if i < 120 else 1e-4)
    found, _ = taken(clock)
    assert TOO_SHORT in found.doubts


@pytest.mark.parametrize("faults", [None, 0, 3000])
def test_page_faults_are_told_of_a_run(faults: int | None) -> None:
    found, runs = taken(Steps(lambda i: 1e-3), load=Quiet(faults=faults))
    sampled = found.loops * len(found.samples)
    assert sampled < len(runs), "those of the warm-up are not counted"
    assert found.page_faults == (None if faults is None else faults / sampled)
