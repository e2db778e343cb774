"""A sweep by a Dask cluster: a real scheduler and two workers, each a process of its own, on loopback."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cnncost.analysis.sweep import grid
from cnncost.analysis.sweep.cluster import require_dask
from cnncost.errors import UsageError

AXES = ("--vary", "batch=1,2,5", "--vary", "input=20:260:3", "--vary", "classes=1:40:3")
TINY = 64
"""Points of a tile here, so that there are many."""


def _started(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        told = folder / "scheduler.json"
        self.folder, self.told = folder, str(told)
        self.scheduler = _started(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", self.told
        )
        self.workers = [self.another() for _ in range(2)]
        deadline = time.monotonic() + 60
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        import json

        self.address: str = json.loads(told.read_text())["address"]

    def another(self) -> subprocess.Popen[bytes]:
        """A worker of one process and thread."""
        return _started(
            "worker", "--scheduler-file", self.told, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--local-directory", str(self.folder),
        )  # fmt: skip

    def wait(self, count: int) -> None:
        """Until so many workers are there."""
        with require_dask().Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=60)

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        found.wait(2)
        yield found
    finally:
        found.stop()


@pytest.mark.filterwarnings("default")  # of a library that is not ours
def test_the_same_bytes_as_by_one_process_also_where_a_worker_is_lost(
    cluster: Cluster, folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grid.Grid.tiles, "__defaults__", (TINY, grid.ROWS))
    assert run("sweep", "alexnet", *AXES, "-o", "one.csv").code == 0
    result = run("sweep", "alexnet", *AXES, "-o", "two.csv", "--dask", cluster.address)
    assert result.code == 0, result.err
    whole = Path("one.csv").read_bytes()
    assert whole.count(b"\n") == 1 + 3 * 81 * 14
    assert Path("two.csv").read_bytes() == whole

    from cnncost.output import sweep_files

    right, tiles = sweep_files.Part.add, 0

    def losing(self: Any, data: bytes, summary: Any) -> None:
        nonlocal tiles
        right(self, data, summary)
        tiles += 1
        if tiles == 3:
            cluster.workers[0].kill()

    monkeypatch.setattr(sweep_files.Part, "add", losing)
    result = run("sweep", "alexnet", *AXES, "-o", "three.csv", "--dask", cluster.address)
    assert result.code == 0, result.err
    assert tiles > 10
    assert Path("three.csv").read_bytes() == whole


def test_no_scheduler(folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnncost.analysis.sweep import cluster as here

    monkeypatch.setattr(here, "PATIENCE", 0.5)
    result = run("sweep", "alexnet", *AXES, "-o", "one.csv", "--dask", "tcp://127.0.0.1:1")
    assert result.code == 2
    assert "--dask tcp://127.0.0.1:1: no scheduler answers" in result.err
    assert not Path("one.csv").exists()


def test_without_dask(folder: Path, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match="--dask needs Dask") as e:
        require_dask()
    assert e.value.hint == "pip install 'cnncost[dask]'"
    result = run("sweep", "alexnet", *AXES, "--dask", "tcp://127.0.0.1:1")
    assert (result.code, result.out) == (2, "")


def test_workers_of_its_own(folder: Path, run: Any) -> None:
    result = run("sweep", "alexnet", *AXES, "--dask", "tcp://127.0.0.1:1", "--workers", "2")
    assert result.code == 2
    assert "--workers has no effect with --dask" in result.err
