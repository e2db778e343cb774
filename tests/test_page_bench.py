"""The page of timings: its figures are those of the JSON of bench, for networks and for studies of one op."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path
from typing import Any

import made_up
import pytest
from pages import HOSTILE, assert_alone, data_of

import cnncost
from cnncost.analysis.measurements import LAYER, NETWORK, Setting
from cnncost.cli.op_options import expanded
from cnncost.live import machine

NET = """\
input: 3x13x9
layers:
  conv1: {conv: 4, kernel: 3, padding: 1}
  relu1: relu
  conv2: {conv: 4, kernel: 3, padding: 1}
  relu2: relu
  conv3: {conv: 4, kernel: 3, padding: 1}
  fc: {linear: 5}
"""
ARGUMENTS = ("bench", "net.yaml", "--threads", "2", "--repetitions", "1", "--results", "r.jsonl")


@pytest.fixture
def device(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The made-up device is this machine; its sheet."""
    monkeypatch.setattr(machine, "name_of", lambda where: made_up.SETTING.device)
    Path("abacus.yaml").write_text(made_up.SHEET)
    return "abacus.yaml"


@pytest.fixture
def results(device: str) -> str:
    """All that is asked for has been measured."""
    Path("net.yaml").write_text(NET)
    lines = made_up.records([cnncost.load("net.yaml")])
    for number, line in enumerate(lines):
        line["samples"] = [part * line["samples"][0] for part in (0.99, 1.0, 1.01 + number / 100)]
    return made_up.write(Path("r.jsonl"), lines)


def written(run: Any, *arguments: str) -> str:
    """The page of what is on file."""
    done = run(*arguments, "--html", "page.html", "--force")
    assert (done.code, done.err) == (0, "wrote page.html\n")
    return Path("page.html").read_text(encoding="utf-8")


def assert_figures(data: Any, record: Any) -> None:
    """The rows of a page are those of the JSON."""
    assert len(data["tables"]) == len(record["tables"])
    for table, known in zip(data["tables"], record["tables"]):
        assert (table["sum"], table["failure"]) == (known["sum_seconds"], known["failure"])
        for timing, other in [(table["whole"], known["whole"])] + [
            (row["timing"], layer["timing"]) for row, layer in zip(table["rows"], known["layers"])
        ]:
            assert (timing is None) == (other is None)
            if timing:
                assert [timing[key] for key in ("median", "low", "high")] == [
                    other[f"{key}_seconds"] for key in ("median", "low", "high")
                ]
                assert timing["doubts"] == other["doubts"]
        assert [row["names"] for row in table["rows"]] == [layer["names"] for layer in known["layers"]]
        assert [row["efficiency"] for row in table["rows"]] == [layer["efficiency"] for layer in known["layers"]]
        assert [row["within"] for row in table["rows"]] == [layer["within_seconds"] for layer in known["layers"]]
        assert [row["failure"] for row in table["rows"]] == [layer["failure"] for layer in known["layers"]]


@pytest.mark.parametrize("more", [(), ("--roofline", "abacus.yaml")])
def test_figures_are_those_of_the_json(run: Any, results: str, more: tuple[str, ...]) -> None:
    before = Path(results).read_text()
    record = json.loads(run(*ARGUMENTS, *more, "--format", "json").out)
    text = written(run, *ARGUMENTS, *more)
    assert_figures(data_of(text), record)
    assert Path(results).read_text() == before, "nothing is measured again"
    assert ('id="roofline-chart"' in text) == bool(more)
    shown = data_of(text)["tables"][0]["rows"]
    assert [row["label"] for row in shown] == ["conv1", "relu1 ×2", "conv2 ×2", "fc"]
    assert all((row["efficiency"] is not None) == bool(more) for row in shown)
    assert_alone(text)


def test_the_table_is_what_the_command_prints(run: Any, results: str) -> None:
    text = written(run, *ARGUMENTS)
    printed = run(*ARGUMENTS).out
    table = re.search(r'<table class="sorted pinned bench-table">.*?</table>', text, re.DOTALL)
    assert table is not None
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr.*?</tr>", table[0], re.DOTALL)]
    for row in rows:
        assert " ".join(" ".join(row).split()) in [" ".join(line.split()) for line in printed.splitlines()]
    for line in ("sum of 6 layers, 4 of them distinct", "whole network: ", "longer than the sum."):
        assert line in printed and line in text


def test_machine_method_and_doubts_are_words(run: Any, results: str) -> None:
    lines = made_up.records([cnncost.load("net.yaml")])
    told = {"processor": HOSTILE, "cores": 3, "page_fault_seconds": 1e-6}
    made_up.write(Path(results), [{**line, "machine": told, "doubts": ["other load"]} for line in lines])
    text = written(run, *ARGUMENTS)
    assert_alone(text)
    assert "<dt>cores</dt><dd>3</dd>" in text
    assert HOSTILE in unescape(text)
    assert "page fault seconds" not in text, "what changes from run to run is no machine"
    assert "<b>other load</b>: other programs took more than a twentieth of the processor." in text
    assert all(row["timing"]["doubts"] == ["other load"] for row in data_of(text)["tables"][0]["rows"])


def test_failures_are_words(run: Any, results: str) -> None:
    lines = made_up.records([cnncost.load("net.yaml")])
    for line in lines:
        if line["what"] == NETWORK or line["subject"]["op"] == "linear":
            line.update(samples=[], failure="out of memory")
    made_up.write(Path(results), lines)
    data = data_of(written(run, *ARGUMENTS))
    (table,) = data["tables"]
    assert (table["whole"], table["sum"], table["failure"]) == (None, None, "out of memory")
    assert table["rows"][-1]["failure"] == "out of memory"
    assert table["rows"][-1]["lines"][-1] == "out of memory"


def test_settings_are_told_apart(run: Any, device: str) -> None:
    Path("net.yaml").write_text(NET)
    graphs = [cnncost.load("net.yaml", batch=batch) for batch in (1, 2)]
    nhwc = Setting(made_up.SETTING.device, layout="nhwc", threads=2)
    lines = [line for setting in (made_up.SETTING, nhwc) for line in made_up.records(graphs, setting)]
    made_up.write(Path("r.jsonl"), lines)
    arguments = (*ARGUMENTS, "--batch", "1,2", "--layout", "nchw,nhwc")
    text = written(run, *arguments)
    names = ["batch 1, nchw", "batch 2, nchw", "batch 1, nhwc", "batch 2, nhwc"]
    assert [table["name"] for table in data_of(text)["tables"]] == names
    assert_figures(data_of(text), json.loads(run(*arguments, "--format", "json").out))
    assert 'id="settings-chart"' in text


def study(*words: str, batches: tuple[int, ...] = (1,), failed: int | None = None) -> None:
    """Results of an op at several sizes."""
    graphs = [graph for batch in batches for graph in expanded("conv", words, ("4x9x7",), batch)]
    lines = made_up.records(graphs, whole=False)
    assert {line["what"] for line in lines} == {LAYER}
    if failed is not None:
        lines[failed].update(samples=[], failure="out of memory")
    made_up.write(Path("r.jsonl"), lines)


@pytest.mark.parametrize("failed", [None, 2])
def test_a_study_knows_what_varies(run: Any, device: str, failed: int | None) -> None:
    words = ("4:12:4", "--kernel", "3", "--groups", "1,4")
    study(*words, batches=(1, 2), failed=failed)
    arguments = ("bench", "conv", *words, "--input", "4x9x7", "--batch", "1,2", "--threads", "2", "--repetitions", "1",
                 "--results", "r.jsonl", "--roofline", device)  # fmt: skip
    data = data_of(written(run, *arguments))
    assert_figures(data, json.loads(run(*arguments, "--format", "json").out))
    axes = {axis["key"]: axis["values"] for axis in data["study"]["axes"]}
    assert axes == {"out": [4, 8, 12], "groups": [1, 4], "batch": [1, 2]}
    assert all(axis["numeric"] for axis in data["study"]["axes"])
    (at,) = data["study"]["at"]
    assert at == [{"out": o, "groups": g, "batch": b} for b in (1, 2) for o in (4, 8, 12) for g in (1, 4)]
    for place, row in zip(at, data["tables"][0]["rows"]):
        assert row["lines"][0].endswith(f"{place['batch']}x4x9x7")
        assert f" g{place['groups']}" in row["lines"][0] or place["groups"] == 1
    assert data["study"]["settings"] is None


def test_one_layer_alone_is_a_table(run: Any, device: str) -> None:
    study("4", "--kernel", "3")
    arguments = ("bench", "conv", "4", "--kernel", "3", "--input", "4x9x7", "--threads", "2", "--repetitions", "1",
                 "--results", "r.jsonl")  # fmt: skip
    data = data_of(written(run, *arguments))
    assert (data["study"]["axes"], len(data["tables"][0]["rows"])) == ([], 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("net.yaml --html no/where.html", "no/where.html: No such file or directory\nhint: nothing was written"),
        ("net.yaml --html .", ". is no file name\nhint: give the name of a file to write"),
        ("net.yaml --html mine.html", "mine.html: exists already\nhint: --force replaces it"),
        ("net.yaml --html net.yaml",
         "net.yaml: a report over a spec would lose the spec\nhint: give another name: report.txt"),
        ("net.yaml --html r.jsonl --results r.jsonl --force",
         "r.jsonl: something else is written there\nhint: give another name"),
        ("--compare r.jsonl r.jsonl --html x.html",
         "--html has no effect with --compare\nhint: write a page of each run by itself"),
    ],
)  # fmt: skip
def test_messages(run: Any, results: str, arguments: str, message: str) -> None:
    Path("mine.html").write_text("mine")
    before = sorted(os.listdir())
    done = run("bench", *arguments.split())
    assert (done.code, done.out, done.err) == (2, "", f"error: {message}\n")
    assert (sorted(os.listdir()), Path("mine.html").read_text()) == (before, "mine")


def test_a_run_without_a_page_loads_nothing_of_pages() -> None:
    code = "import sys, cnncost.cli.commands.bench; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "cnncost.cli.pages" in loaded
    assert not set(loaded) & {"jinja2", "torch", "cnncost.output.page"}
