"""Sweeps in files: the same points in every format, files that go on where they were cut off, and their faults."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sweep_cli import NET

import cnncost
from cnncost.analysis.sweep.run import Job
from cnncost.analysis.sweep.run import run as run_job
from cnncost.api.sweeps import space_of

FORMATS = ("csv", "jsonl", "npz", "parquet")
SPACE = ("--vary", "depth=1:4", "--vary", "input=4:20:4", "--vary", "width=4,8,2.5", "--vary", "batch=1,3")
"""120 points, 40 of them impossible for there is no half channel."""
MANY = ("--vary", "depth=1:6", "--vary", "input=4:40:4", "--vary", "width=2:21", "--vary", "batch=1,3")
"""2,400 points; in tiles of TINY as many as 480."""
TINY = 5
"""Points of a tile in DRIVER."""
DRIVER = f"""\
import sys, time
from cnncost.analysis.sweep import grid, part
from cnncost.cli import main

if __name__ == "__main__":
    pause, add = float(sys.argv.pop(1)), part.Part.add
    grid.Grid.tiles.__defaults__ = ({TINY}, {4 * TINY})
    part.Part.add = lambda *given: (time.sleep(pause), add(*given))
    main()
"""
"""The command with small tiles, and a pause at each of them, so that there are many moments to cut it off."""


def written(folder: Path) -> str:
    """The network and the driver in a folder."""
    (folder / "net.yaml").write_text(NET, encoding="utf-8")
    (folder / "driver.py").write_text(DRIVER, encoding="utf-8")
    return "net.yaml"


@pytest.fixture
def net(folder: Path) -> str:
    return written(folder)


def started(*arguments: str, pause: float = 0.01, **more: Any) -> subprocess.Popen[bytes]:
    line = [sys.executable, "driver.py", str(pause), "sweep", "net.yaml", *arguments]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def finished(*arguments: str) -> str:
    """What a command says that succeeds."""
    process = started(*arguments, pause=0)
    out, err = process.communicate()
    assert (process.returncode, out) == (0, b"")
    return err.decode()


def tiles(path: str) -> int:
    """How many are in a file that is being written."""
    try:
        return int(json.loads(Path(f"{path}.part.json").read_text(encoding="utf-8"))["tiles"])
    except OSError:
        return 0


def wait_for(path: str, more: int) -> None:
    """Until a file has more tiles than that, or is whole."""
    end = time.monotonic() + 30
    while tiles(path) <= more and not os.path.exists(path):
        assert time.monotonic() < end
        time.sleep(0.001)


# ---- what is in them ------------------------------------------------------------------------------


def columns_of(path: Path) -> dict[str, list[Any]]:
    """A file's columns; None for what a point does not have. npz has 0 there, which must be so."""
    if path.suffix == ".csv":
        with open(path, encoding="utf-8", newline="") as f:
            rows = list(csv.DictReader(f))
        return {name: [read(row[name]) for row in rows] for name in rows[0]}
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return {name: [line[name] for line in lines] for name in lines[0]}
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet needs pyarrow")
        return parquet.read_table(path).to_pydict()  # type: ignore[no-any-return]
    with np.load(path) as archive:
        found = {name: archive[name].tolist() for name in archive}
    reasons = found.pop("reasons")
    refused = [number >= 0 for number in found["impossible"]]
    for name in ("params", "macs", "flops", "activation_bytes", "peak_bytes", "training_peak_bytes"):
        assert not any(value for value, none in zip(found[name], refused) if none)
        found[name] = [None if none else value for value, none in zip(found[name], refused)]
    found["impossible"] = [reasons[number] if number >= 0 else None for number in found["impossible"]]
    return found


def read(text: str) -> Any:
    """A cell of a CSV file."""
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text or None


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_has_the_points_that_python_has(
    run: Callable[..., Any], net: str, folder: Path, suffix: str
) -> None:
    result = run("sweep", net, *SPACE, "-o", f"a.{suffix}")
    assert (result.code, result.out) == (0, "")
    assert result.err == f"a.{suffix}: 120 design points, 80 impossible\n"
    found = columns_of(folder / f"a.{suffix}")
    swept = cnncost.sweep(net, {"depth": "1:4", "input": "4:20:4", "width": "4,8,2.5", "batch": "1,3"})
    assert list(found) == ["point", *swept.axes, *swept, "impossible"]
    assert found["point"] == list(range(120))
    for row, place in enumerate(np.ndindex(swept.shape)):
        point = {name: values[n] for (name, values), n in zip(swept.axes.items(), place)}
        assert {name: found[name][row] for name in swept.axes} == point
        reason = int(swept.reason[place])
        assert found["impossible"][row] == (None if reason < 0 else swept.reasons[reason])
        for name in swept:
            assert found[name][row] == (int(swept[name][place]) if reason < 0 else None)
    assert sorted(os.listdir(folder)) == [f"a.{suffix}", "driver.py", net]


@pytest.mark.parametrize("suffix", FORMATS)
def test_words_shapes_and_switches(run: Callable[..., Any], net: str, folder: Path, suffix: str) -> None:
    path = folder / "net.yaml"
    path.write_text(NET.replace("act: relu,", "act: relu, biased: true,").replace("10}", "10, bias: biased}"))
    axes = ("--vary", "biased=true,false", "--vary", "input=3x9x9,3x16x32", "--vary", "act=relu,gelu,tanh")
    assert run("sweep", net, *axes, "--set", "depth=1", "-o", f"a.{suffix}").code == 0
    found = columns_of(folder / f"a.{suffix}")
    switches = [str(value).lower() for value in found["biased"]]
    assert len(switches) == 12
    rows = list(zip(switches, found["input"], found["act"], found["params"]))
    assert rows == [
        (switch, shape, act, 1552 + 10 * (switch == "true"))
        for switch in ("true", "false")
        for act in ("relu", "gelu", "tanh")
        for shape in ("3x9x9", "3x16x32")
    ]


@pytest.mark.parametrize("suffix", FORMATS)
def test_only_points_that_meet_a_condition(run: Callable[..., Any], net: str, folder: Path, suffix: str) -> None:
    result = run("sweep", net, *SPACE, "--where", "macs < 30K and batch == 3", "-o", f"a.{suffix}")
    assert result.err == f"a.{suffix}: 120 design points, 3 meet the condition, 80 impossible\n"
    found = columns_of(folder / f"a.{suffix}")
    assert len(found["point"]) == 3
    assert all(macs < 30_000 for macs in found["macs"])
    assert set(found["batch"]) == {3}
    assert set(found["impossible"]) == {None}


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_point_at_all(run: Callable[..., Any], net: str, folder: Path, suffix: str) -> None:
    result = run("sweep", net, *SPACE, "--where", "macs < 1", "-o", f"a.{suffix}")
    assert (result.code, result.err) == (0, f"a.{suffix}: 120 design points, 0 meet the condition, 80 impossible\n")
    if suffix == "csv":
        assert (folder / "a.csv").read_text(encoding="utf-8").count("\n") == 1
    elif suffix == "jsonl":
        assert (folder / "a.jsonl").read_bytes() == b""
    else:
        assert {len(column) for column in columns_of(folder / f"a.{suffix}").values()} == {0}


def test_standard_output_has_the_same_text(run: Callable[..., Any], net: str, folder: Path) -> None:
    for suffix in ("csv", "jsonl"):
        run("sweep", net, *SPACE, "-o", f"a.{suffix}")
        assert run("sweep", net, *SPACE, "--format", suffix).out == (folder / f"a.{suffix}").read_text(encoding="utf-8")


@pytest.mark.parametrize("suffix", FORMATS)
def test_workers_and_tiles_change_no_byte(run: Callable[..., Any], net: str, folder: Path, suffix: str) -> None:
    run("sweep", net, *MANY, "-o", f"one.{suffix}")
    finished(*MANY, "-o", f"small.{suffix}")
    one = (folder / f"one.{suffix}").read_bytes()
    if suffix != "npz":  # reasons are numbered as tiles meet them
        assert (folder / f"small.{suffix}").read_bytes() == one
    assert columns_of(folder / f"small.{suffix}") == columns_of(folder / f"one.{suffix}")
    assert run("sweep", net, *MANY, "-o", f"two.{suffix}", "--workers", "2").code == 0
    assert (folder / f"two.{suffix}").read_bytes() == one


# ---- cut off, and gone on with --------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "kills", "more"), [("csv", 10, ()), ("npz", 3, ()), ("csv", 2, ("--workers", "2"))])
def test_killed_it_goes_on(
    run: Callable[..., Any], net: str, folder: Path, suffix: str, kills: int, more: tuple[str, ...]
) -> None:
    whole = folder / f"whole.{suffix}"
    if suffix == "csv":
        run("sweep", net, *MANY, "-o", whole.name)
    else:  # reasons are numbered as tiles meet them
        finished(*MANY, "-o", whole.name)
    chance, path, seen = random.Random(7), f"a.{suffix}", 0
    for _ in range(kills):
        process = started(*MANY, "-o", path, *more, start_new_session=True)
        wait_for(path, seen)
        time.sleep(chance.uniform(0, 0.03))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert not os.path.exists(path)
        assert tiles(path) > seen
        seen = tiles(path)
    assert finished(*MANY, "-o", path) == f"{path}: 2,400 design points, 840 impossible\n"
    assert (folder / path).read_bytes() == whole.read_bytes()
    assert sorted(os.listdir(folder)) == sorted([path, "driver.py", net, whole.name])


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a sweep of MANY leaves behind that was cut off, and the whole of it, by the names of the files."""
    folder = tmp_path_factory.mktemp("cut")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        written(folder)
        finished(*MANY, "-o", "whole.csv")
        process = started(*MANY, "-o", "a.csv")
        wait_for("a.csv", 3)
        process.kill()
        process.communicate()
        assert 3 < tiles("a.csv") < 480
    return {name: (folder / name).read_bytes() for name in ("a.csv.part", "a.csv.part.json", "whole.csv")}


@pytest.fixture
def begun(folder: Path, net: str, cut_off: dict[str, bytes]) -> dict[str, bytes]:
    """The same in the current folder; what was left, by the names of the files."""
    left = {name: content for name, content in cut_off.items() if name != "whole.csv"}
    for name, content in left.items():
        (folder / name).write_bytes(content)
    return left


@pytest.mark.usefixtures("begun")
def test_half_a_tile_at_the_end_is_taken_away(folder: Path, cut_off: dict[str, bytes]) -> None:
    with open("a.csv.part", "ab") as f:
        f.write(b"99999,half a li")
    finished(*MANY, "-o", "a.csv")
    assert (folder / "a.csv").read_bytes() == cut_off["whole.csv"]


def test_cut_off_before_its_first_state_it_begins_anew(run: Callable[..., Any], net: str, folder: Path) -> None:
    run("sweep", net, *SPACE, "-o", "whole.csv")
    whole = (folder / "whole.csv").read_bytes()
    for begun in (b"", whole[:10], whole[: whole.index(b"\n") + 1]):
        (folder / "a.csv.part").write_bytes(begun)
        assert run("sweep", net, *SPACE, "-o", "a.csv").code == 0
        assert (folder / "a.csv").read_bytes() == whole
        (folder / "a.csv").unlink()
    (folder / "a.csv.part").write_bytes(whole)
    result = run("sweep", net, *SPACE, "-o", "a.csv")
    assert (result.code, result.err.splitlines()[0]) == (2, "error: a.csv.part: begun by another sweep")
    assert (folder / "a.csv.part").read_bytes() == whole


def changed_spec(folder: Path) -> None:
    """The same network where nothing varies."""
    (folder / "net.yaml").write_text(NET.replace("{unit: 2 * width,", "{unit: width + 8,"), encoding="utf-8")


ANOTHER: dict[str, tuple[str, ...]] = {
    "axis": ("--vary", "depth=1:6", "--vary", "input=4:40:4", "--vary", "width=2:22", "--vary", "batch=1,3"),
    "order": ("--vary", "depth=1:6", "--vary", "width=2:21", "--vary", "input=4:40:4", "--vary", "batch=1,3"),
    "quantities": (*MANY, "--quantities", "macs"),
    "dtype": (*MANY, "--dtype", "fp16"),
    "condition": (*MANY, "--where", "macs > 0"),
    "parameter": (*MANY, "--set", "act=gelu"),
    "device": (*MANY, "--device", "h100"),
    "format": (*MANY, "--format", "jsonl"),
    "spec": MANY,
}


@pytest.mark.parametrize("what", ANOTHER)
def test_what_another_sweep_has_begun_is_kept(
    run: Callable[..., Any], net: str, folder: Path, begun: dict[str, bytes], what: str
) -> None:
    if what == "spec":
        changed_spec(folder)
    result = run("sweep", net, *ANOTHER[what], "-o", "a.csv")
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: a.csv.part: begun by another sweep\n"
        "hint: --force begins anew; or give another file, or the same sweep\n"
    )
    assert {name: (folder / name).read_bytes() for name in begun} == begun
    assert run("sweep", net, *ANOTHER[what], "-o", "a.csv", "--force").code == 0
    assert run("sweep", net, *ANOTHER[what], "-o", "b.csv").code == 0
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()
    assert sorted(os.listdir(folder)) == ["a.csv", "b.csv", "driver.py", net]


def test_another_sheet_of_a_device_is_another_sweep(net: str) -> None:
    device = cnncost.load_device("h100")
    sheets = [device, replace(device), replace(device, bandwidth=1e12)]
    first, same, other = (space_of(net, ["batch=1,2"], devices=[sheet]).digest for sheet in sheets)
    assert first == same != other


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("state", [b"", b"{", b"[]", b"{}", b'{"digest": 1, "bytes": "x"}', b"\xff"])
def test_a_state_that_cannot_be_read_is_another_sweeps(
    run: Callable[..., Any], net: str, folder: Path, state: bytes
) -> None:
    (folder / "a.csv.part.json").write_bytes(state)
    result = run("sweep", net, *MANY, "-o", "a.csv")
    assert (result.code, result.err.splitlines()[0]) == (2, "error: a.csv.part: begun by another sweep")
    assert (folder / "a.csv.part.json").read_bytes() == state


def test_two_sweeps_cannot_write_one_file(run: Callable[..., Any], net: str, folder: Path) -> None:
    process = started(*MANY, "-o", "a.csv", pause=0.02)
    wait_for("a.csv", 1)
    for more in ((), ("--force",)):
        result = run("sweep", net, *MANY, "-o", "a.csv", *more)
        assert (result.code, result.out) == (2, "")
        assert result.err == "error: a.csv: another sweep writes to it\nhint: wait, or give another file\n"
    assert process.poll() is None
    process.kill()
    process.communicate()
    finished(*MANY, "-o", "a.csv")
    run("sweep", net, *MANY, "-o", "b.csv")
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()


@pytest.mark.parametrize("more", [(), ("--workers", "2")], ids=["one", "workers"])
@pytest.mark.usefixtures("net")
def test_interrupted_it_is_quiet_and_goes_on(folder: Path, cut_off: dict[str, bytes], more: tuple[str, ...]) -> None:
    process = started(*MANY, "-o", "a.csv", *more, pause=0.01, start_new_session=True)
    wait_for("a.csv", 5)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"\ninterrupted\n")
    assert 5 < tiles("a.csv") < 480
    finished(*MANY, "-o", "a.csv", *more)
    assert (folder / "a.csv").read_bytes() == cut_off["whole.csv"]


def killed(rows: Any) -> None:
    """What a worker does for which there is no memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_one_message(net: str) -> None:
    job = Job(space_of(net, ["depth=1:4"]), encode=killed)
    with pytest.raises(cnncost.UsageError, match="a worker has been killed") as caught:
        list(run_job(job, 2))
    assert caught.value.hint == "they may have had too little memory: take fewer of them"


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_a_full_disk_is_one_message_and_the_rest_goes_on_later(net: str, folder: Path, suffix: str) -> None:
    import resource

    finished(*MANY, "-o", f"whole.{suffix}")
    path = f"a.{suffix}"
    process = started(
        *MANY, "-o", path, pause=0, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
    )
    out, err = process.communicate()
    assert (process.returncode, out) == (2, b"")
    done = tiles(path)
    assert 0 < done < 480
    assert err.decode() == (
        f"error: {path}: File too large\nhint: {done:,} tiles are in {path}.part; the same command goes on from there\n"
    )
    assert sorted(os.listdir(folder)) == sorted(
        [f"{path}.part", f"{path}.part.json", "driver.py", net, f"whole.{suffix}"]
    )
    finished(*MANY, "-o", path)
    assert (folder / path).read_bytes() == (folder / f"whole.{suffix}").read_bytes()


# ---- memory ---------------------------------------------------------------------------------------

MEASURED = """\
import os, resource, sys
child = os.fork()
if not child:
    os.execv(sys.executable, [sys.executable, "-m", "cnncost", *sys.argv[1:]])
assert os.waitpid(child, 0)[1] == 0
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


SIZES = {
    "points": ("width=1:100", "width=1:3000", "batch=1:1000"),
    "impossible points": ("kernel=3:102", "kernel=3:1002", "input=4:1003"),
}
"""10^5 points, and 3 x 10^6 or 10^6."""


@pytest.mark.parametrize("what", SIZES)
def test_memory_does_not_grow_with_the_space(net: str, folder: Path, what: str) -> None:
    few, many, other = SIZES[what]
    peaks = []
    for values in (few, many):
        asked = ["sweep", net, "--vary", values, "--vary", other, "-o", f"{values[-4:]}.csv"]
        done = subprocess.run([sys.executable, "-c", MEASURED, *asked], capture_output=True, text=True, check=True)
        assert " design points" in done.stderr
        peaks.append(int(done.stdout) * 1024)
    assert (folder / f"{many[-4:]}.csv").stat().st_size > 30 * 2**20
    assert peaks[1] - peaks[0] < 50e6
