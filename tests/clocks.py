"""Clocks that are wound by hand, and a machine on which nothing else runs: nothing depends on how fast this one is."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, pairwise


class Wound:
    """Stands still but while something runs that winds it."""

    def __init__(self, resolution: float = 1e-9, overhead: float = 0.0) -> None:
        self.resolution, self.overhead, self.at = resolution, overhead, 0.0

    def time(self, run: Callable[[int], None], first: int, loops: int) -> float:
        begun = self.at
        for i in range(first, first + loops):
            run(i)
        return self.at - begun

    def steps(self, run: Callable[[Callable[[], None]], object]) -> list[float]:
        stamps = [self.at]
        run(lambda: stamps.append(self.at))
        return [after - before for before, after in pairwise(stamps)]

    def now(self) -> float:
        return self.at


class Once(Wound):
    """Runs once a sample, whatever is asked, and says that a run of sample number n took `seconds(n)`."""

    def __init__(self, seconds: Callable[[int], float]) -> None:
        super().__init__()
        self.seconds, self.taken = seconds, count()

    def time(self, run: Callable[[int], None], first: int, loops: int) -> float:
        run(first)
        took = loops * self.seconds(next(self.taken))
        self.at += took
        return took

    def steps(self, run: Callable[[Callable[[], None]], object]) -> list[float]:
        found: list[float] = []
        run(lambda: found.append(self.seconds(next(self.taken))))
        return found


class Quiet:
    """Nothing else runs, but what was found. started: how often it began to watch."""

    def __init__(self, *found: str, faults: int | None = None) -> None:
        self.found, self.started, self.faults = found, 0, faults

    def start(self) -> None:
        self.started += 1

    def doubts(self) -> list[str]:
        return list(self.found)

    def page_faults(self) -> int | None:
        return self.faults
