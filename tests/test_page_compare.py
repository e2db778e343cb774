"""The page of several networks: its figures are those of the JSON comparison, its table that of the command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from pages import HOSTILE, assert_alone, data_of

import cnncost

TOTALS = ("params", "weights", "biases", "macs", "flops", "neurons", "activation_bytes", "weight_bytes", "peak_bytes",
          "training_peak_bytes", "layers")  # fmt: skip


def written(run: Callable[..., Any], *arguments: str) -> str:
    """The page of a comparison."""
    done = run("compare", *arguments, "--html", "page.html", "--force")
    assert (done.code, done.err) == (0, "wrote page.html\n")
    return Path("page.html").read_text(encoding="utf-8")


def cells(text: str) -> list[list[str]]:
    """The texts of the table, its headings first."""
    table = re.search(r'<table id="network-table".*?</table>', text, re.DOTALL)
    assert table is not None
    rows = re.findall(r"<tr.*?</tr>", table[0], re.DOTALL)
    return [[unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows]


@pytest.mark.parametrize(
    "arguments",
    [
        ("alexnet", "vgg16", "resnet50"),
        ("family:resnet", "--sort", "macs", "--top", "5"),
        ("alexnet", "vgg16", "--batch", "4", "--dtype", "fp16", "--input", "3x227x227"),
        ("all",),
    ],
)
def test_figures_are_those_of_the_json_comparison(run: Any, folder: Path, arguments: tuple[str, ...]) -> None:
    networks = json.loads(run("compare", *arguments, "--format", "json").out)["networks"]
    data = data_of(written(run, *arguments))
    assert [network["name"] for network in data["networks"]] == [network["name"] for network in networks]
    for shown, known in zip(data["networks"], networks):
        assert {name: shown["values"][name] for name in TOTALS} == {name: known["totals"][name] for name in TOTALS}
        error = known["error"] or {}
        assert shown["values"].get("top1_error") == error.get("top1")
        assert shown["values"].get("top5_error") == error.get("top5")
        assert shown["values"].get("year") == known["about"].get("year")
        assert shown["family"] == known["about"].get("family", "")
        assert set(shown["texts"]) == set(shown["values"])
        assert bool(shown["error"]) == bool(error)
        if error:
            assert error["source"] in shown["error"]
    assert {axis["key"] for axis in data["axes"]} == {key for n in data["networks"] for key in n["values"]}


def test_ratios_are_those_of_the_json_comparison(run: Any, folder: Path) -> None:
    arguments = ("alexnet", "vgg16", "--relative-to", "alexnet")
    networks = json.loads(run("compare", *arguments, "--format", "json").out)["networks"]
    text = written(run, *arguments)
    for shown, known in zip(data_of(text)["networks"], networks):
        assert set(shown["ratios"]) == {name for name, ratio in known["ratios"].items() if ratio is not None}
        assert shown["ratios"]["macs"] == f"x{known['ratios']['macs']:.2f}"
    assert "15.470 x21.36" in [" ".join(cell.split()) for cell in cells(text)[2]]


def test_least_times_are_the_rooflines(run: Any, folder: Path) -> None:
    data = data_of(written(run, "alexnet", "resnet18", "--device", "t4", "--device", "rtx-4090", "--dtype", "fp16"))
    for key in ("t4", "rtx-4090"):
        name = f"seconds {cnncost.load_device(key).name}"
        assert next(axis for axis in data["axes"] if axis["key"] == name)["better"] == "less"
        for network in data["networks"]:
            assert network["values"][name] == cnncost.roofline(network["name"], key, dtype="fp16").total.seconds


def test_the_table_has_the_columns_and_rows_that_were_asked_for(run: Any, folder: Path) -> None:
    arguments = ("family:vgg", "--columns", "name,macs,top5_error", "--sort", "macs", "--top", "3")
    head, *rows = cells(written(run, *arguments))
    assert head[:3] == ["name", "MACs (G)", "top-5 (%)"]
    printed = [line.split() for line in run("compare", *arguments, "--no-legend").out.splitlines() if "vgg" in line]
    assert [row[:3] for row in rows] == [line[:3] for line in printed]
    assert "params (M)" in head[3:], "columns that the map can have stand behind"
    assert len(set(head)) == len(head)


def test_what_is_better_is_told_of_each_axis(run: Any, folder: Path) -> None:
    better = {axis["key"]: axis["better"] for axis in data_of(written(run, "all"))["axes"]}
    assert {key for key, which in better.items() if which is None} == {"year", "layers", "nodes", "neurons",
                                                                       "intensity"}  # fmt: skip
    assert {which for which in better.values() if which} == {"less"}


@pytest.mark.parametrize(
    ("arguments", "name", "command"),
    [
        (("alexnet", "vgg16"), "alexnet", "cnncost report alexnet"),
        (("alexnet", "--batch", "8", "--dtype", "fp16", "--set", "classes=10", "--input", "3x227x227"), "alexnet",
         "cnncost report alexnet --input 3x227x227 --set classes=10 --batch 8 --dtype fp16"),
        (("a b.yaml",), "a b", "cnncost report 'a b.yaml'"),
    ],
)  # fmt: skip
def test_commands_print_the_reports(
    run: Any, folder: Path, arguments: tuple[str, ...], name: str, command: str
) -> None:
    Path("a b.yaml").write_text("input: 3x9x9\nlayers: {c: {conv: 4}}\n")
    network = data_of(written(run, *arguments))["networks"][0]
    assert (network["name"], network["command"]) == (name, command)
    import shlex

    report = json.loads(run(*shlex.split(command)[1:], "--format", "json").out)
    assert report["totals"]["macs"] == network["values"]["macs"]


def test_ways_of_testing_are_told(run: Any, folder: Path) -> None:
    data = data_of(written(run, "alexnet", "resnet18", "lenet5"))
    by_name = {network["name"]: network["tested"] for network in data["networks"]}
    assert by_name["alexnet"] == ["on ILSVRC-2012 validation", "10 crops"]
    assert by_name["lenet5"] == ["on MNIST test"]
    known = {way["key"] for way in data["tested"]}
    assert known >= {way for ways in by_name.values() for way in ways}


def test_networks_without_errors_have_a_map_of_costs(run: Any, folder: Path) -> None:
    Path("a.yaml").write_text("input: 3x9x9\nlayers: {c: {conv: 4}}\n")
    data = data_of(written(run, "a.yaml"))
    assert data["first"] == {"x": "macs", "y": "peak_bytes", "area": "params"}
    assert data["tested"] == []


def test_texts_from_strangers_are_text(run: Any, folder: Path) -> None:
    spec = {"name": HOSTILE, "family": HOSTILE, "title": HOSTILE, "paper": HOSTILE, "input": "3x9x9",
            "layers": {"c": {"conv": 4}},
            "facts": [{"top1_error": 1.5, "dataset": HOSTILE, "place": HOSTILE, "crops": 2}]}  # fmt: skip
    Path(f"{HOSTILE.replace('/', '')}.yaml").write_text(json.dumps(spec))
    text = written(run, f"{HOSTILE.replace('/', '')}.yaml", "--columns", "name,network,family,tested")
    assert_alone(text)
    (network,) = data_of(text)["networks"]
    assert network["network"] == network["family"] == HOSTILE
    assert HOSTILE in cells(text)[1]


def test_without_options_the_table_is_as_ever(run: Any, folder: Path) -> None:
    done = run("compare", "alexnet", "vgg16", "--html", "x.html")
    assert done.out == run("compare", "alexnet", "vgg16").out
    assert_alone(Path("x.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("alexnet --html no/where.html", "no/where.html: No such file or directory\nhint: nothing was written"),
        ("alexnet --html .", ". is no file name\nhint: give the name of a file to write"),
        ("alexnet --html a.yaml",
         "a.yaml: a report over a spec would lose the spec\nhint: give another name: report.txt"),
        ("alexnet --html mine.html", "mine.html: exists already\nhint: --force replaces it"),
        ("alexnet --html x.txt -o x.txt", "x.txt: something else is written there\nhint: give another name"),
        ("alexnet --device h100", "--device has no effect here\nhint: it goes with --html FILE"),
        ("alexnet vgg16 --layers --html x.html --device h100",
         "--device has no effect with --layers\nhint: it goes with a table of networks"),
        ("alexnet --html x.html --device h1000", "unknown device h1000\nhint: did you mean h100?"),
    ],
)  # fmt: skip
def test_messages(run: Any, folder: Path, arguments: str, message: str) -> None:
    Path("mine.html").write_text("mine")
    done = run("compare", *arguments.split())
    assert (done.code, done.out, done.err) == (2, "", f"error: {message}\n")
    assert (os.listdir(), Path("mine.html").read_text()) == (["mine.html"], "mine")


# ---- layer by layer -------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [("alexnet", "vgg16"), ("resnet50", "resnet50_v1"), ("lenet5", "lenet5")])
def test_layers_are_those_of_the_json(run: Any, folder: Path, names: tuple[str, str]) -> None:
    known = json.loads(run("compare", "--layers", *names, "--format", "json").out)["pairs"]
    text = written(run, "--layers", *names)
    shown = data_of(text)["rows"]
    assert len(shown) == len(known)
    for row, pair in zip(shown, known):
        layers = [pair[side] for side in ("a", "b") if pair[side]]
        assert row["name"] == " → ".join(dict.fromkeys(layer["name"] for layer in layers))
        for figure in ("params", "macs"):
            before, now = (pair[side][figure] if pair[side] else 0 for side in ("a", "b"))
            assert row["values"][figure] == now - before
    changes = [row["change"] for row in shown]
    assert re.findall(r'<tr class="([\w-]+)" data-row', text) == changes
    assert changes.count("equal") == sum(pair["change"] == "equal" for pair in known)
    for line in run("compare", "--layers", *names, "--no-legend").out.splitlines():
        if line.startswith(("-  total", "+  total")):
            assert all(f">{word}<" in text for word in line.split())
    assert_alone(text)


def test_what_networks_say_of_themselves_is_text(run: Any, folder: Path) -> None:
    for name, kernel in (("a", 3), ("b", 1)):
        spec = {"name": HOSTILE, "about": HOSTILE, "input": "3x9x9", "layers": {"c": {"conv": 4, "kernel": kernel}}}
        Path(f"{name}.yaml").write_text(json.dumps(spec))
    text = written(run, "--layers", "a.yaml", "b.yaml")
    assert_alone(text)
    assert unescape(text).count(f"+ b: {HOSTILE}") == 1


def test_a_comparison_without_a_page_loads_nothing_of_pages() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "cnncost", "compare", "alexnet", "vgg16"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cnncost.analysis.compare" in loaded
    assert not loaded & {"jinja2", "gzip", "cnncost.output.page"}
