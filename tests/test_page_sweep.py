"""The page of a design space: every point with the figures of the sweep, the chosen ones, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pages import HOSTILE, assert_alone, data_of, packed_in

from cnncost.output.page.sweep import POINTS_AT_MOST

QUANTITIES = ("params", "macs", "flops", "activation_bytes", "peak_bytes", "training_peak_bytes")
SPACE = ("resnet18", "--vary", "width=16,32,64", "--vary", "input=32:128:32", "--vary", "batch=1,2")


def written(run: Any, *arguments: str) -> str:
    """The page of a sweep."""
    done = run("sweep", *arguments, "--html", "page.html", "--force")
    assert (done.code, done.err) == (0, "wrote page.html\n")
    return Path("page.html").read_text(encoding="utf-8")


def records(text: str) -> list[dict[str, Any]]:
    """The points of a page as the sweep's JSON lines have them, and whether each counts."""
    data, points = data_of(text), packed_in(text, "points")
    found = []
    for i, number in enumerate(points["numbers"]):
        at = {axis["name"]: (axis["values"] or axis["texts"])[place[i]]
              for axis, place in zip(data["axes"], points["places"])}  # fmt: skip
        values = {name: column["values"][i] for name, column in points["columns"].items()}
        found.append({"point": number, **at, **values, "counts": points["state"][i] == -2})
    return found


def lines(run: Any, *arguments: str) -> list[dict[str, Any]]:
    """The points of a sweep."""
    return [json.loads(line) for line in run("sweep", *arguments, "--format", "jsonl").out.splitlines()]


@pytest.mark.parametrize(
    "arguments",
    [
        SPACE,
        (*SPACE, "--sample", "7", "--seed", "3"),
        ("alexnet", "--vary", "classes=10,1000", "--device", "t4", "--dtype", "fp16"),
        ("resnet18", "--vary", "input=3x64x64,3x64x96", "--quantities", "all"),
        ("resnet50", "--vary", "depths.2=4:6", "--vary", "batch=3,1", "--set", "classes=10", "--workers", "2"),
    ],
)
def test_points_are_those_of_the_sweep(run: Any, folder: Path, arguments: tuple[str, ...]) -> None:
    known = lines(run, *arguments)
    shown = records(written(run, *arguments))
    assert len(shown) == len(known) > 1
    for one, other in zip(shown, known):
        assert one.pop("counts")
        assert one == {name: other[name] for name in one}
        assert set(other) - set(one) <= {"impossible", "reason"}


def test_texts_have_units(run: Any, folder: Path) -> None:
    points = packed_in(written(run, *SPACE), "points")
    for column in points["columns"].values():
        assert all(re.fullmatch(r"[\d,.<]+( [KMGT]?(iB|B)?)?", text) for text in column["texts"])
    assert points["columns"]["peak_bytes"]["texts"][0].endswith("MiB")


def test_points_that_a_condition_leaves_out_are_there_and_do_not_count(run: Any, folder: Path) -> None:
    every = lines(run, *SPACE)
    kept = {row["point"] for row in lines(run, *SPACE, "--where", "macs < 100M")}
    text = written(run, *SPACE, "--where", "macs < 100M")
    shown = records(text)
    assert 0 < len(kept) < len(every) == len(shown)
    assert {row["point"] for row in shown if row["counts"]} == kept
    assert [row["macs"] for row in shown] == [row["macs"] for row in every]
    data = data_of(text)
    assert (data["where"], data["kept"], data["points"]) == ("macs < 100M", len(kept), len(every))


def test_impossible_points_have_no_figures_and_a_reason(run: Any, folder: Path) -> None:
    arguments = ("alexnet", "--vary", "input=32:224:32")
    known = json.loads(run("sweep", *arguments, "--format", "json").out)
    text = written(run, *arguments)
    points = packed_in(text, "points")
    reasons = [points["reasons"][state] if state >= 0 else None for state in points["state"]]
    found = [reason for reason in reasons if reason]
    assert {reason: found.count(reason) for reason in found} == known["impossible"]
    for column in points["columns"].values():
        assert [value is None for value in column["values"]] == [reason is not None for reason in reasons]
        assert [text == "" for text in column["texts"]] == [reason is not None for reason in reasons]
    assert f"{sum(known['impossible'].values())} points impossible" in text


@pytest.mark.parametrize(
    ("choice", "across", "up", "aims"),
    [
        ((), "macs", "peak_bytes", {}),
        (("--pareto", "params,-batch"), "params", "axis batch", {"params": "less", "batch": "more"}),
        (("--pareto", "peak,macs"), "peak_bytes", "macs", {"peak_bytes": "less", "macs": "less"}),
        (("--sort", "-macs", "--top", "4"), "macs", "peak_bytes", {}),
        (("--nearest", "macs=100M"), "macs", "peak_bytes", {}),
    ],
)
def test_chosen_points_are_rows_and_aims_are_shown_first(
    run: Any, folder: Path, choice: tuple[str, ...], across: str, up: str, aims: dict[str, str]
) -> None:
    chosen = json.loads(run("sweep", *SPACE, *choice, "--format", "json").out)
    text = written(run, *SPACE, *choice)
    data, points = data_of(text), packed_in(text, "points")
    assert data["first"] == {"quantity": "macs", "across": across, "up": up}
    assert data["aims"] == aims
    table = re.search(r'<table id="point-table".*?</table>', text, re.DOTALL)
    assert table is not None
    places = [int(place) for place in re.findall(r'<tr data-row="(\d+)"', table[0])]
    assert [points["numbers"][place] for place in places] == [row["point"] for row in chosen["rows"]]
    assert chosen["chosen"] in unescape(text)


@pytest.mark.parametrize(
    "arguments",
    [
        SPACE,
        ("alexnet", "--vary", "input.height=227:300:37", "--batch", "2", "--dtype", "fp16", "--set", "classes=7"),
        ("resnet18", "--vary", "input=3x64x64,3x64x96", "--vary", "width=8,16"),
        ("resnet18", "--vary", "batch=1,5", "--input", "3x96x64"),
    ],
)
def test_commands_print_the_reports_of_points(run: Any, folder: Path, arguments: tuple[str, ...]) -> None:
    text = written(run, *arguments)
    data, points = data_of(text), packed_in(text, "points")
    for i in range(0, len(points["numbers"]), 5):
        command = "".join(
            part if isinstance(part, str) else data["axes"][part]["quoted"][points["places"][part][i]]
            for part in data["command"]
        )
        totals = json.loads(run(*shlex.split(command)[1:], "--format", "json").out)["totals"]
        for name in ("params", "macs", "flops", "activation_bytes", "peak_bytes"):
            assert totals[name] == points["columns"][name]["values"][i], command


def test_beside_a_file_of_points(run: Any, folder: Path) -> None:
    done = run("sweep", *SPACE, "-o", "points.csv", "--html", "page.html")
    assert done.code == 0
    assert done.err.splitlines() == ["wrote page.html", "points.csv: 24 design points"]
    assert len(records(Path("page.html").read_text(encoding="utf-8"))) == 24


def test_texts_from_strangers_are_text(run: Any, folder: Path) -> None:
    word = "</script><script>alert(1)</script>\"'"
    spec = {"name": HOSTILE, "parameters": {"mode": "a"}, "input": "3x9x9", "layers": {"c": {"conv": 4}}}
    Path("net.yaml").write_text(json.dumps(spec))
    text = written(run, "net.yaml", "--vary", f"mode=a,{word}")
    assert_alone(text)
    title = re.search(r"<h1>(.*?)</h1>", text)
    assert title is not None and unescape(title[1]) == f"{HOSTILE}, 2 design points"
    (axis,) = data_of(text)["axes"]
    assert (axis["texts"], axis["numeric"], axis["values"]) == (["a", word], False, None)
    assert shlex.split(" ".join(axis["quoted"])) == ["a", word]


def test_the_table_is_as_ever(run: Any, folder: Path) -> None:
    assert run("sweep", *SPACE, "--html", "x.html").out == run("sweep", *SPACE).out
    assert_alone(Path("x.html").read_text(encoding="utf-8"))


def test_as_many_points_as_a_page_holds(run: Any, folder: Path) -> None:
    arguments = ("alexnet", "--vary", "batch=1:1000", "--vary", "input=227:427:2")
    done = run("sweep", *arguments, "--html", "x.html")
    assert (done.code, done.out, os.listdir()) == (2, "", [])
    assert done.err == (
        "error: a page holds the figures of 50,000 points, and these are 101,000\n"
        "hint: draw some at random: --sample 50000; or vary less\n"
    )
    text = written(run, *arguments, "--sample", "500")
    assert len(packed_in(text, "points")["numbers"]) == 500 < POINTS_AT_MOST
    assert "drawn at random from 101,000 points, seed 0" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--html no/where.html", "no/where.html: No such file or directory\nhint: nothing was written"),
        ("--html .", ". is no file name\nhint: give the name of a file to write"),
        ("--html mine.html", "mine.html: exists already\nhint: --force replaces it"),
        ("--html x.csv -o x.csv", "x.csv: something else is written there\nhint: give another name"),
        ("--html a.yaml", "a.yaml: a report over a spec would lose the spec\nhint: give another name: report.txt"),
    ],
)
def test_messages(run: Any, folder: Path, options: str, message: str) -> None:
    Path("mine.html").write_text("mine")
    done = run("sweep", *SPACE, *options.split())
    assert (done.code, done.out, done.err) == (2, "", f"error: {message}\n")
    assert (os.listdir(), Path("mine.html").read_text()) == (["mine.html"], "mine")


def test_a_sweep_without_a_page_loads_nothing_of_pages() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "cnncost", "sweep", "alexnet", "--vary", "batch=1,2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cnncost.analysis.sweep.run" in loaded
    assert not loaded & {"jinja2", "gzip", "cnncost.output.page", "cnncost.analysis.sweep.points"}
