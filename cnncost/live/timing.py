"""How runs are timed: warm-up until it is steady, samples long against the clock, repetitions in turns.

The clock is a parameter, and nothing here knows what is run: the method is tested with a clock that
is wound by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import NamedTuple, Protocol

from cnncost.analysis.samples import TOO_SHORT, quartiles, steady

Run = Callable[[int], None]
"""Runs a subject once. The number of the run tells which of several copies of its data it takes."""


class Clock(Protocol):
    """Times runs.

    resolution: seconds that it can tell apart. overhead: seconds that it takes to launch a run, at
    the least.
    """

    resolution: float
    overhead: float

    def time(self, run: Run, first: int, loops: int) -> float:
        """Seconds that `loops` runs take together, numbered from `first`."""

    def steps(self, run: Callable[[Callable[[], None]], object]) -> list[float]:
        """Seconds of each step of something that is run once, and calls what it is given after every step."""

    def now(self) -> float:
        """Seconds since some moment, for warming up."""


class Load(Protocol):
    """Watches the machine while samples are taken."""

    def start(self) -> None:
        """Begin to watch."""

    def doubts(self) -> list[str]:
        """What was seen since then: of analysis.samples.DOUBTS."""

    def page_faults(self) -> int | None:
        """Pages of memory that the system has handed out since then; None where it does not tell."""


class Method(NamedTuple):
    """How long to warm up and to sample; times in seconds.

    sample: the least length of a sample, and `resolutions` of the clock's. warm_up, warm_up_at_most:
    of a subject. window, within: the last samples of the warm-up whose halves agree so well. samples:
    in a repetition. budget: of a repetition's samples; at least `fewest` are taken whatever it is.
    """

    sample: float = 0.005
    resolutions: int = 10_000
    warm_up: float = 0.1
    warm_up_at_most: float = 3.0
    window: int = 10
    within: float = 0.02
    samples: int = 15
    fewest: int = 5
    budget: float = 1.0


class Repetition(NamedTuple):
    """The samples of one repetition: seconds a run, each the mean of `loops` runs. warm_up: seconds it took.

    steady: whether the warm-up ended because times had settled. page_faults: of a run.
    """

    samples: tuple[float, ...]
    loops: int
    warm_up: float
    steady: bool
    doubts: tuple[str, ...]
    page_faults: float | None


def repetition(run: Run, clock: Clock, load: Load, method: Method) -> Repetition:
    """Time a subject: warm up, find the number of loops, take the samples."""
    loops, ran, warm_up, settled = _warmed_up(run, clock, method)
    load.start()
    samples: list[float] = []
    begun = clock.now()
    while len(samples) < method.samples:
        samples.append(clock.time(run, ran, loops) / loops)
        ran += loops
        if len(samples) >= method.fewest and clock.now() - begun > method.budget:
            break
    doubts, faults = load.doubts(), load.page_faults()
    length = quartiles(samples)[1]
    if length * loops < 0.5 * _least(clock, method) or length < clock.overhead:
        doubts.append(TOO_SHORT)
    a_run = None if faults is None else faults / (loops * len(samples))
    return Repetition(tuple(samples), loops, warm_up, settled, tuple(dict.fromkeys(doubts)), a_run)


def _least(clock: Clock, method: Method) -> float:
    """Seconds that a sample takes at least."""
    return max(method.sample, method.resolutions * clock.resolution)


def _warmed_up(run: Run, clock: Clock, method: Method) -> tuple[int, int, float, bool]:
    """Run until times have settled: loops of a sample, runs so far, seconds it took, whether they did settle."""
    begun, least = clock.now(), _least(clock, method)
    loops, ran = 1, 0
    times: list[float] = []
    while True:
        took = clock.time(run, ran, loops)
        ran += loops
        if took < 0.5 * least:  # not a sample yet: its time says little but how many loops to try next
            grown = int(loops * least / took) + 1 if took > 0 else 10 * loops
            loops = min(max(2 * loops, grown), 10 * loops)
            times.clear()
        else:
            times.append(took / loops)
        spent = clock.now() - begun
        settled = steady(times, method.window, method.within)
        if (settled and spent >= method.warm_up) or (spent >= method.warm_up_at_most and times):
            return max(1, ceil(least / times[-1])), ran, spent, settled
