"""What was measured of a machine: its rates by dtype, bandwidth by the size of the data, overheads."""

from __future__ import annotations

from dataclasses import dataclass

from cnncost.devices import WorkingSet


@dataclass(frozen=True)
class Rate:
    """The fastest that was found for a dtype, in operations a second. of: what was computed, in words."""

    dtype: str
    unit: str
    of: str
    rate: float


@dataclass(frozen=True)
class Machine:
    """A machine that was measured; times in seconds, sizes in bytes, rates and bandwidths a second.

    name: what the driver or the system calls it. l1, l2, l3: caches, all of them; None where unknown.
    shortest_kernel: of a GPU. curve: bandwidth by the size of the data; the last two are beyond the caches. told:
    versions, as far as they matter. date: the day. doubts: of any of the timings.
    """

    name: str
    kind: str
    rates: tuple[Rate, ...]
    curve: tuple[WorkingSet, ...]
    launch_overhead: float
    date: str
    told: tuple[str, ...] = ()
    shortest_kernel: float | None = None
    units: int | None = None
    threads: int | None = None
    l1: int | None = None
    l2: int | None = None
    l3: int | None = None
    memory: int | None = None
    doubts: tuple[str, ...] = ()

    @property
    def read_bandwidth(self) -> float | None:
        """Of reading what is larger than all caches."""
        return max((each.read for each in self.curve[-2:] if each.read), default=None)

    @property
    def copy_bandwidth(self) -> float | None:
        """Of copying what is larger than all caches."""
        return max((each.copy for each in self.curve[-2:] if each.copy), default=None)

    @property
    def bandwidth(self) -> float:
        """What memory does at the best: a ceiling."""
        return max(found for found in (self.read_bandwidth, self.copy_bandwidth) if found is not None)
