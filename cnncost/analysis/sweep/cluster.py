"""A space priced by the workers of a Dask cluster that is there already.

Tiles are handed out a few ahead, and taken back in their order, so that what is written is the same as by one process.
What a worker had in hand when it was lost goes to another.
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from cnncost.analysis.sweep.grid import Tile
from cnncost.analysis.sweep.run import AHEAD, Done, Job, do
from cnncost.analysis.sweep.sample import Draw
from cnncost.errors import CnncostError, UsageError

PATIENCE = 10.0
"""Seconds for a scheduler to answer, and to have a worker."""


def require_dask() -> Any:
    """Dask's distributed part. Raises UsageError where it is not installed."""
    try:
        import distributed
    except ImportError:
        raise UsageError("--dask needs Dask", hint="pip install 'cnncost[dask]'") from None
    return distributed


def by_dask(job: Job, tiles: Iterable[Tile | Draw], address: str) -> Iterator[Done]:
    """Tiles in their order. Raises UsageError where there is no scheduler, or no worker, or a worker cannot work."""
    distributed = require_dask()
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as e:
        why = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise UsageError(f"--dask {address}: no scheduler answers ({why})", hint="dask scheduler starts one") from None
    with client:
        try:
            client.wait_for_workers(1, timeout=PATIENCE)
        except TimeoutError:
            raise UsageError(f"--dask {address}: it has no workers", hint="dask worker ADDRESS starts one") from None
        packed = pickle.dumps(job)
        waiting: deque[Any] = deque()
        try:
            for tile in tiles:
                waiting.append(client.submit(_do, packed, tile, pure=False))
                if len(waiting) > AHEAD * max(1, len(client.ncores())):
                    yield _result(waiting.popleft(), address)
            while waiting:
                yield _result(waiting.popleft(), address)
        finally:
            client.cancel(list(waiting))


def _result(future: Any, address: str) -> Done:
    """What a worker has done. Raises UsageError where none could."""
    try:
        done: Done = future.result()
    except CnncostError:
        raise
    except ImportError as e:
        raise UsageError(f"--dask {address}: a worker has no {e.name}", hint="install cnncost where workers run") from e
    except Exception as e:
        name = type(e).__name__
        if name not in ("KilledWorker", "CancelledError", "FutureCancelledError", "CommClosedError"):
            raise
        raise UsageError(
            f"--dask {address}: the cluster has given up ({name})",
            hint="what is written stays; the same command goes on from there",
        ) from None
    return done


@lru_cache(1)
def _unpacked(packed: bytes) -> Job:
    """The job, read once by every worker."""
    job: Job = pickle.loads(packed)
    return job


def _do(packed: bytes, tile: Tile | Draw) -> Done:
    return do(_unpacked(packed), tile)
