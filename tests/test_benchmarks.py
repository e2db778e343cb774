"""benchmarks/speed.py: that it runs, goes on where it stopped, finds what is not equal, and what its tables say.

How fast anything is is not tested.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
WITHOUT_TORCH = ("startup", "layers", "sweep", "workers", "equal")
MODULES = ("machine", "speed", "speed_parts", "speed_table")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The script as a module, and what it sets of the environment put back."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, "")
    import speed as module

    yield module
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def run(speed: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The script with arguments, in this process: exit code, output, errors."""
    monkeypatch.setattr(speed, "source", lambda: "as it is")  # whatever is edited while the tests run

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["speed.py", *map(str, arguments)])
        code = speed.main()
        out, err = capsys.readouterr()
        return code, out, err

    return call


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "speed.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


# ---- measuring ------------------------------------------------------------------------------------


def test_a_quick_run_measures_every_part_that_needs_no_torch(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "quick.jsonl"
    shown = script("--quick", "--without-peers", "--out", out).stdout
    head, *samples = lines(out)
    assert head["quick"] and head["machine"]["cores"] and head["versions"]["cnncost"]
    assert list(dict.fromkeys(sample["part"] for sample in samples)) == list(WITHOUT_TORCH)
    assert len({(sample["part"], sample["task"]) for sample in samples}) == len(samples)
    assert {sample["round"] for sample in samples} == {0}
    equal = samples[-1]
    assert (equal["equal"], equal["compared"], equal["unequal"]) == (5, 5, [])
    assert all(sample["seconds"] > 0 for sample in samples[:-1])
    peaks = [sample["peak_bytes"] for sample in samples if "peak_bytes" in sample]
    assert len(peaks) == 4 and all(2**24 < peak < 2**29 for peak in peaks), "of the sweep, not of who started it"
    assert [line for line in shown.splitlines() if line.startswith("#")] == [f"### {name}" for name in WITHOUT_TORCH]
    assert shown.count("A quick run: sizes are small, figures mean nothing.") == len(WITHOUT_TORCH)
    assert script("--table", out).stdout == shown


def test_a_quick_run_measures_the_peers(tmp_path: Path) -> None:
    for name in ("torchvision", "torchinfo", "fvcore", "ptflops", "thop"):
        try:
            version(name)
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed")
    out = tmp_path / "quick.jsonl"
    script("--quick", "--only", "tracing,peers", "--out", out)
    _, *samples = lines(out)
    of_torch = [sample["task"] for sample in samples if sample["part"] == "tracing"]
    assert len(of_torch) == 6
    numbers = {sample["tool"]: sample["number"] for sample in samples if "tool" in sample}
    assert set(numbers) == {"torch", "torchinfo", "thop", "ptflops", "fvcore"}
    import cnncost

    macs = cnncost.analyze("resnet50", input=(3, 32, 32)).total.macs
    assert numbers["torch"] == numbers["fvcore"] == macs
    assert all(macs <= number < 1.2 * macs for number in numbers.values()), "some count norms and pools along"


def test_it_goes_on_where_it_stopped(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "startup.jsonl"
    arguments = ("--quick", "--without-peers", "--only", "startup", "--out", out)
    assert run(*arguments)[0] == 0
    whole = out.read_text()
    out.write_text(whole[:-40])  # killed while it wrote the last sample
    assert run(*arguments)[0] == 0
    before, after = whole.splitlines(), out.read_text().splitlines()
    assert before[:-1] == after[:-1]
    assert json.loads(before[-1])["task"] == json.loads(after[-1])["task"] == "cnncost compare all"
    done = out.read_text()
    assert run(*arguments)[0] == 0
    assert out.read_text() == done, "nothing is measured twice"


def test_ctrl_c_ends_it_at_once_and_keeps_what_is_there(tmp_path: Path) -> None:
    out = tmp_path / "startup.jsonl"
    command = [sys.executable, str(BENCHMARKS / "speed.py"), "--quick", "--without-peers", "--only", "startup",
               "--runs", "1000", "--out", str(out)]  # fmt: skip
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (out.exists() and out.read_text().count("\n") > 2):
        assert running.poll() is None
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    shown, error = running.communicate(timeout=60)
    assert (running.returncode, shown) == (130, "")
    assert error.splitlines()[-1] == "cut off; with --out, the same command goes on from here"
    assert "Traceback" not in error
    head, *samples = lines(out)
    assert head["quick"] and len(samples) >= 2


@pytest.mark.parametrize(
    ("key", "value", "which"),
    [("machine", {"cores": 3}, "machine"), ("versions", {"cnncost": "0"}, "version of a library"),
     ("source", "0123", "state of the code"), ("quick", False, "size")],
)  # fmt: skip
def test_a_file_of_something_else_is_not_gone_on_with(
    run: Run, tmp_path: Path, key: str, value: object, which: str
) -> None:
    out = tmp_path / "other.jsonl"
    arguments = ("--quick", "--only", "equal", "--out", out)
    assert run(*arguments)[0] == 0
    head, *rest = lines(out)
    other = "".join(json.dumps(line) + "\n" for line in ({**head, key: value}, *rest))
    out.write_text(other)
    assert run(*arguments) == (2, "", f"{out}: begun with another {which} (begin a new file)\n")
    assert out.read_text() == other


def test_a_point_that_differs_fails_the_run(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import speed_parts

    right = speed_parts.one_by_one
    monkeypatch.setattr(
        speed_parts,
        "one_by_one",
        lambda row: {**right(row), "training_peak_bytes": right(row)["training_peak_bytes"] + (row["batch"] > 5)},
    )
    code, shown, _ = run("--quick", "--only", "equal", "--out", tmp_path / "equal.jsonl")
    *_, sample = lines(tmp_path / "equal.jsonl")
    assert code == 1
    assert 0 < sample["equal"] < 5
    assert all(row["batch"] > 5 for row in sample["unequal"])
    assert f"{sample['equal']} of 5 points" in shown


def test_what_cannot_be_is_said_in_a_line(run: Run, tmp_path: Path) -> None:
    out = "give a file that --out has written"
    absent, other = tmp_path / "absent.jsonl", tmp_path / "other.jsonl"
    other.write_text('{"schema": 1}\n')
    assert run("--only", "sweep,pears") == (2, "", "unknown part pears (did you mean peers?)\n")
    assert run("--table", absent) == (2, "", f"{absent}: No such file or directory ({out})\n")
    assert run("--table", other) == (2, "", f"{other} has no results of speed.py ({out})\n")
    assert run("--out", other) == (2, "", f"{other} has no results of speed.py ({out})\n")
    assert other.read_text() == '{"schema": 1}\n', "it is somebody else's"


def test_missing_peers_are_named_before_anything_is_measured(
    run: Run, speed: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = {**speed.versions(), "torch": "2", "torchvision": "1", "torchinfo": None, "fvcore": "1", "ptflops": None,
             "thop": "1"}  # fmt: skip
    monkeypatch.setattr(speed, "versions", lambda: known)
    hint = "pip install torchinfo ptflops, or --without-peers"
    out = tmp_path / "none.jsonl"
    for part in ("startup", "tracing", "equal,peers"):
        expected = (2, "", f"not installed: torchinfo, ptflops ({hint})\n")
        assert run("--quick", "--only", part, "--out", out) == expected
    assert not out.exists()
    assert run("--quick", "--only", "equal", "--out", out)[0] == 0


def test_a_process_that_fails_is_shown(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import speed_parts

    monkeypatch.setattr(speed_parts, "BASELINE", "raise SystemExit(3)")
    code, shown, error = run("--quick", "--without-peers", "--only", "layers", "--out", tmp_path / "layers.jsonl")
    assert (code, shown) == (2, "")
    assert error == f"exit code 3 of {sys.executable} -c 'raise SystemExit(3)'\n"


# ---- tables ---------------------------------------------------------------------------------------


def made_up(others: float = 0.01) -> list[dict[str, Any]]:
    """Results with figures that can be checked in the head: three rounds, the second at half the speed."""
    head = {"machine": {"cores": 2}, "versions": {"cnncost": "0"}, "source": "0", "quick": False, "date": "2026-01-02"}
    base, alexnet = "import click, rich.table, yaml (baseline)", "cnncost report alexnet"
    torchinfo = "torchinfo on the same AlexNet, same columns"
    tasks: list[tuple[str, str, float, dict[str, Any]]] = [
        ("startup", base, 0.05, {}),
        ("startup", alexnet, 0.075, {}),
        ("startup", torchinfo, 1.5, {}),
        ("layers", base, 0.05, {}),
        ("layers", "load resnet152", 0.004, {"layers": 500}),
        ("layers", "cnncost report of 1,000 layers", 0.1, {"layers": 1000}),
        ("tracing", "trace and analyze resnet50", 0.2, {}),
        ("tracing", "forward pass of resnet50", 0.1, {}),
        ("sweep", "one point by itself", 0.04, {"points": 1}),
        ("sweep", "sweep of 10 points", 0.05, {"points": 10, "axes": [1, 1, 10]}),
        ("sweep", "sweep of 1,000,000 points", 2.0, {"points": 10**6, "axes": [100, 100, 100]}),
        ("sweep", "sweep of 1,000,000 points, params and MACs", 0.25, {"points": 10**6, "axes": [100, 100, 100]}),
        ("sweep", "cnncost sweep", 2.25, {"points": 10**6, "peak_bytes": 128 * 2**20}),
        ("workers", "cnncost sweep --workers 1", 20.0, {"points": 10**7, "workers": 1, "peak_bytes": 2**28}),
        ("workers", "cnncost sweep --workers 2", 10.5, {"points": 10**7, "workers": 2, "peak_bytes": 2**27}),
        ("peers", "fvcore, cpu, 224x224", 0.3, {"points": 1, "tool": "fvcore"}),
        ("peers", "torch, meta, 224x224", 0.1, {"points": 1, "tool": "torch"}),
        ("peers", "cnncost sweep, params and MACs", 0.25, {"points": 10**6}),
        ("peers", "cnncost sweep, six quantities", 2.0, {"points": 10**6}),
    ]
    samples = [
        {"part": part, "round": number, "task": task, "seconds": seconds * (1 + number % 2), **facts,
         "others_s": others, "processors_s": 1.0}
        for number in range(3)
        for part, task, seconds, facts in tasks
    ]  # fmt: skip
    equal = {"part": "equal", "round": 0, "task": "points that equal single networks", "compared": 300, "equal": 299,
             "points": 10**6, "unequal": [{}]}  # fmt: skip
    return [head, *samples, equal]


def written(path: Path, results: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in results))
    return path


def test_the_tables_are_as_they_were_read(run: Run, tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    code, shown, error = run("--table", written(tmp_path / "made.jsonl", made_up()))
    assert (code, error) == (1, ""), "one point is not equal"
    golden("speed.md", shown)


def test_medians_and_ratios_of_a_round(run: Run, tmp_path: Path) -> None:
    path = written(tmp_path / "made.jsonl", made_up())
    assert (
        "| `cnncost report alexnet` | 75.0 ms | 75.0 ms to 112 ms | 1.50 (1.50 to 1.50) |"
        in run("--table", path, "--only", "startup")[1]
    )
    *_, told = run("--table", path, "--only", "peers")[1].splitlines()
    assert told == (
        "The fastest of them (torch, meta, 224x224) takes this many times as long as a point of a sweep: "
        f"params and MACs: {0.1 / 0.25e-6:,.0f} (400,000 to 400,000); six quantities: 50,000 (50,000 to 50,000)."
    )


def test_other_programs_are_told_of(run: Run, tmp_path: Path) -> None:
    doubt = "**Other programs took 20% of the processors meanwhile: to be measured again.**"
    for part in ("startup", "sweep", "peers"):
        noisy = run("--table", written(tmp_path / "noisy.jsonl", made_up(0.2)), "--only", part)[1]
        assert noisy.endswith(f"\n\n{doubt}\n")
        quiet = run("--table", written(tmp_path / "quiet.jsonl", made_up(0.04)), "--only", part)[1]
        assert quiet == noisy.replace(f"\n\n{doubt}", "")
    one = [{**line, "others_s": 0.2} if line.get("part") == "sweep" else line for line in made_up()]
    shown = run("--table", written(tmp_path / "one.jsonl", one))[1]
    assert shown.count(doubt) == 1 and shown.index("### sweep") < shown.index(doubt) < shown.index("### workers")


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0, "0"), (0.01234, "0.0123"), (0.9996, "1.00"), (1.0, "1.00"), (9.996, "10.0"), (12.345, "12.3"),
     (99.96, "100"), (999.6, "1,000"), (123456.0, "123,000")],
)  # fmt: skip
def test_three_digits_count(speed: ModuleType, value: float, shown: str) -> None:
    import speed_table

    assert speed_table.digits(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(12.0, "12.0 s"), (1.0, "1.00 s"), (0.99951, "1.00 s"), (0.9994, "999 ms"), (0.0015, "1.50 ms"),
     (0.000325, "325 µs"), (2.5e-7, "0.250 µs")],
)  # fmt: skip
def test_durations_have_a_unit_that_fits(speed: ModuleType, value: float, shown: str) -> None:
    import speed_table

    assert speed_table.duration(value) == shown


def test_pages_are_filled_between_marks(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import speed_table

    written(tmp_path / "made.jsonl", made_up())
    monkeypatch.setattr(speed_table, "HERE", tmp_path)
    page = tmp_path / "page.md"
    mark = "<!-- speed.py: tracing,equal of made.jsonl -->"
    page.write_text(f"before\n{mark}\nold\n<!-- end -->\nafter\n")
    assert run("--fill", page) == (0, "", "")
    filled = page.read_text()
    assert filled.startswith(f"before\n{mark}\n\n| model |") and filled.endswith("last digit.\n\n<!-- end -->\nafter\n")
    assert "old" not in filled and "| resnet50 | 200 ms | 100 ms | 2.00 (2.00 to 2.00) |" in filled
    run("--fill", page)
    assert page.read_text() == filled


@pytest.mark.parametrize("name", ["README.md", "benchmarks/README.md"])
def test_the_pages_have_the_numbers_of_the_results(speed: ModuleType, name: str) -> None:
    import speed_table

    page = (ROOT / name).read_text()
    assert speed_table.BLOCK.search(page)
    assert speed_table.fill(page) == page, "python benchmarks/speed.py --fill README.md benchmarks/README.md"
