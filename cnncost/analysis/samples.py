"""What repeated timings say: the median, how far they spread, what to doubt, and whether two of them differ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median, quantiles
from typing import NamedTuple

NOISY, TOO_SHORT, THROTTLED, OTHER_LOAD = "noisy", "too short", "throttled", "other load"
DOUBTS = {
    NOISY: "the middle half of the samples spreads over more than a tenth of the median",
    TOO_SHORT: "a sample is not long against the clock, or a run no longer than what launches it",
    THROTTLED: "the processor ran below its usual clock, or slowed down from one repetition to the next",
    OTHER_LOAD: "other programs took more than a twentieth of the processor",
}
"""All doubts that a timing may carry, and what they mean."""
NOISY_FROM = 0.10
SLOWED = 0.10
DRIFT_COVERS, DRIFT_FROM = 0.8, 20
SAME_WITHIN = 0.02
"""Ratios closer to 1 than this are no difference, whatever the spread."""


class Timing(NamedTuple):
    """Seconds of one run. low, high: the stated spread, from the lowest first to the highest third quartile of the
    repetitions, and at least as wide as the run drifts. samples: how many there are, of all repetitions together.
    """

    median: float
    low: float
    high: float
    samples: int
    doubts: tuple[str, ...] = ()

    @property
    def spread(self) -> float:
        """Width of the stated spread, as a part of the median."""
        return (self.high - self.low) / self.median

    def agrees(self, other: Timing) -> bool:
        """Whether the stated spreads overlap."""
        return self.low <= other.high and other.low <= self.high


def quartiles(samples: Sequence[float]) -> tuple[float, float, float]:
    """First quartile, median and third quartile, interpolated between samples. Raises ValueError for none."""
    if not samples:
        raise ValueError("no samples")
    if len(samples) == 1:
        return samples[0], samples[0], samples[0]
    low, middle, high = quantiles(samples, n=4, method="inclusive")
    return low, middle, high


def timing(repetitions: Sequence[Sequence[float]], doubts: Iterable[str] = (), drifts: float = 0.0) -> Timing:
    """The timing of repetitions, each with its samples in seconds a run. Raises ValueError where there are none.

    A repetition is taken at another time than the others, so that a slow spell of the machine shows
    in the spread. doubts: those of the repetitions; `noisy` and `throttled` are added here. drifts: of the run, as
    `drift` has it.
    """
    pooled = [sample for samples in repetitions for sample in samples]
    first, middle, third = quartiles(pooled)
    edges = [quartiles(samples) for samples in repetitions if samples]
    found = dict.fromkeys(doubts)
    if third - first > NOISY_FROM * middle:
        found[NOISY] = None
    if _slowed_down([median(samples) for samples in repetitions if samples]):
        found[THROTTLED] = None
    order = list(DOUBTS)
    return Timing(
        middle,
        min(middle * (1 - drifts), *(low for low, _, _ in edges)),
        max(middle * (1 + drifts), *(high for _, _, high in edges)),
        len(pooled),
        tuple(sorted(found, key=order.index)),
    )


def _slowed_down(medians: Sequence[float]) -> bool:
    """Whether each repetition was slower than the one before, and the last by SLOWED in all: two say nothing yet."""
    falling = all(before < after for before, after in pairwise(medians))
    return len(medians) > 2 and falling and medians[-1] > (1 + SLOWED) * medians[0]


def drift(rows: Iterable[Sequence[Sequence[float]]]) -> float:
    """How far repetitions lie from the middle one of their row, as a part of it: what four in five stay below.

    rows: repetitions of each. Three repetitions of one row say little of how far a fourth, taken some minutes later,
    would be off; those of all rows of a run say it together. 0 where there are too few.
    """
    found: list[float] = []
    for repetitions in rows:
        medians = [median(samples) for samples in repetitions if samples]
        if len(medians) > 1:
            middle = median(medians)
            found += [abs(each / middle - 1) for each in medians if each != middle]
    found.sort()
    return found[int(DRIFT_COVERS * len(found))] if len(found) >= DRIFT_FROM else 0.0


FASTER, SAME, SLOWER = "faster", "same", "slower"


class Change(NamedTuple):
    """One timing over another. ratio: new over old, of medians. verdict: same where the spreads overlap."""

    old: Timing
    new: Timing
    ratio: float
    verdict: str


def change(old: Timing, new: Timing, tolerance: float = SAME_WITHIN) -> Change:
    """How a timing has changed: a difference counts where spreads do not overlap and it is more than the tolerance."""
    ratio = new.median / old.median
    if old.agrees(new) or abs(ratio - 1) <= tolerance:
        return Change(old, new, ratio, SAME)
    return Change(old, new, ratio, SLOWER if ratio > 1 else FASTER)


def steady(samples: Sequence[float], window: int, within: float) -> bool:
    """Whether the last `window` samples have stopped falling: their two halves' medians agree within a part of them."""
    if len(samples) < window:
        return False
    last = samples[-window:]
    half = window // 2
    early, late = median(last[:half]), median(last[half:])
    return abs(early - late) <= within * late
