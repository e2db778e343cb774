"""A space priced from one end to the other: tile by tile, in this process or in several."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from itertools import islice
from typing import Any, NamedTuple

from cnncost.analysis.choice import Nearest, Pareto, Top
from cnncost.analysis.sweep.grid import Tile
from cnncost.analysis.sweep.sample import Draw
from cnncost.analysis.sweep.space import Rows, Space, Summary
from cnncost.errors import UsageError

Choice = Top | Nearest | Pareto
Encode = Callable[[Rows], Any]
AHEAD = 2
"""Tiles that each worker may be ahead of the one whose turn it is: what is done waits in memory."""


class Job(NamedTuple):
    """What becomes of a tile's rows. choice: what is kept of them. encode: how the rest goes into a file."""

    space: Space
    choice: Choice | None = None
    encode: Encode | None = None


class Done(NamedTuple):
    """A tile that has been priced. written: its rows, encoded."""

    rows: int
    summary: Summary
    choice: Choice | None
    written: Any


def do(job: Job, tile: Tile | Draw) -> Done:
    """Price a tile."""
    rows, summary = job.space.rows(tile)
    choice = deepcopy(job.choice)
    if choice is not None:
        possible = rows.refused < 0
        columns = rows.columns if possible.all() else {name: each[possible] for name, each in rows.columns.items()}
        if possible.any():
            choice.add(columns)
    written = job.encode(rows) if job.encode is not None else None
    return Done(len(rows.refused), summary, choice, written)


def run(job: Job, workers: int = 1, skip: int = 0, dask: str | None = None) -> Iterator[Done]:
    """All tiles in their order, but the first `skip`. workers: processes; 1 is this one. dask: the address of a
    scheduler, whose workers are taken instead.
    """
    tiles = islice(job.space.tiles(), skip, None)
    if dask is not None:
        from cnncost.analysis.sweep.cluster import by_dask

        yield from by_dask(job, tiles, dask)
    elif workers == 1:
        yield from (do(job, tile) for tile in tiles)
    else:
        yield from _by_workers(job, tiles, workers)


_job: Any = None


def _begin(job: Job) -> None:
    """In a worker: what is to be done, sent once."""
    import signal

    global _job  # noqa: PLW0603  # a process has one job
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the first of them ends the others
    _job = job


def _do(tile: Tile | Draw) -> Done:
    return do(_job, tile)


def _by_workers(job: Job, tiles: Iterable[Tile | Draw], workers: int) -> Iterator[Done]:
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    waiting: deque[Any] = deque()
    with ProcessPoolExecutor(workers, get_context("forkserver"), _begin, (job,)) as pool:
        try:
            for tile in tiles:
                waiting.append(pool.submit(_do, tile))
                if len(waiting) >= AHEAD * workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            hint = "they may have had too little memory: take fewer of them"
            raise UsageError("a worker has been killed", hint=hint) from None
        finally:
            for each in waiting:
                each.cancel()
