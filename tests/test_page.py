"""The page of a network as a file: what is in it, what cannot be, and how the command writes it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cnncost
from cnncost.api.pages import page
from cnncost.output.page import script_json
from cnncost.output.units import duration, readable_bytes

WEB = Path(cnncost.__file__).parent / "output" / "page" / "web"


def packed(text: str, name: str) -> Any:
    """What a page holds compressed, under a name."""
    found = re.search(rf'<script type="application/gzip" id="data-{name}">(.*?)</script>', text)
    assert found is not None
    return json.loads(gzip.decompress(base64.b64decode(found[1])))


@pytest.fixture(scope="module")
def alexnet() -> str:
    return page("alexnet")


# ---- the file ---------------------------------------------------------------------------------------


def test_it_may_run_its_own_script_alone_and_load_nothing(alexnet: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', alexnet)
    scripts = re.findall(r"<script>(.*?)</script>", alexnet, re.DOTALL)
    assert policy is not None and len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    rules = dict(rule.strip().split(" ", 1) for rule in policy[1].replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"
    assert not re.search(r'<(script|link|img|iframe|object)[^>]*\b(src|href)="(?!data:)', alexnet)


def test_licences_of_the_libraries_are_in_the_file(alexnet: str) -> None:
    for name in ("@dagrejs/dagre", "@observablehq/plot", "tablesort", "d3-scale"):
        assert re.search(rf"^{name} \d+\.\d+\.\d+|, {name} \d+\.\d+\.\d+", alexnet, re.MULTILINE)
    assert "Permission is hereby granted" in alexnet
    assert "ISC License" in alexnet or "Permission to use, copy, modify" in alexnet


@pytest.mark.parametrize("name", ["resnet152", "densenet201", "timm:dm_nfnet_f0"])
def test_it_is_small(name: str) -> None:
    text = page(name)
    assert len(text.encode()) < 5 * 10**6 / 3


def test_the_same_network_makes_the_same_file(alexnet: str) -> None:
    assert page("alexnet") == alexnet
    assert page("alexnet", batch=2) != alexnet


@pytest.mark.parametrize("text", ["</script>", "<!--", "a & b", "\u2028", "ü", '"', "\\u003c"])
def test_json_in_a_script_ends_nothing_and_says_the_same(text: str) -> None:
    written = script_json({text: [text, 1.5, None]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {text: [text, 1.5, None]}


# ---- what it says -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alexnet", "googlenet", "mobilenet_v2", "unet", "googlenet_aux"])
def test_nodes_and_blocks_are_the_reports(name: str) -> None:
    report = cnncost.analyze(name, batch=2)
    network = packed(page(name, batch=2), "network")
    layers = [node for node in network["nodes"] if node["role"] == "layer"]
    assert [node["name"] for node in layers] == [layer.name for layer in report.layers]
    for node, layer in zip(layers, report.layers):
        known = {"macs": layer.macs, "params": layer.params, "flops": layer.flops, "peak_bytes": layer.peak_bytes,
                 "activation_bytes": layer.activation_bytes, "moved_bytes": layer.moved_bytes}  # fmt: skip
        assert node["values"] == known
        assert set(node["texts"]) == {key for key, value in known.items() if value}
        names = [network["nodes"][i]["name"] for i in node["inputs"]]
        ends = {node["name"] for node in network["nodes"] if node["role"] == "input"}
        assert [n for n in names if n not in ends] == list(
            dict.fromkeys(i for i in layer.inputs if i in report_names(report))
        )
    for number, block in enumerate(network["blocks"]):
        inside = [layer for layer in report.layers if layer.name.startswith(f"{block['name']}.")]
        assert len(inside) > 1
        assert block["values"]["macs"] == sum(layer.macs for layer in inside)
        assert block["values"]["peak_bytes"] == max(layer.peak_bytes for layer in inside)
        parts = [n for n in (*network["nodes"], *network["blocks"]) if n["within"] == number]
        assert len(parts) > 1, "a block of one part is that part"


def report_names(report: Any) -> set[str]:
    return {layer.name for layer in report.layers}


@pytest.mark.parametrize("name", ["alexnet", "resnet50"])
def test_memory_is_the_reports(name: str) -> None:
    report = cnncost.analyze(name)
    network = packed(page(name), "network")
    steps, memory = network["memory"]["steps"], report.memory
    assert [network["nodes"][step["node"]]["name"] for step in steps] == [step.layer for step in memory.steps]
    assert [step["text"] for step in steps] == [f"{readable_bytes(step.alive)} alive" for step in memory.steps]
    peak = max(steps, key=lambda step: step["alive"])
    assert network["memory"]["peak"]["number"] == peak["number"]
    assert readable_bytes(report.peak_bytes) in network["memory"]["peak"]["text"]
    kept = memory.parts["parameters"] + memory.parts.get("buffers", 0)
    assert network["memory"]["always"]["text"] == f"parameters and buffers: {readable_bytes(kept)}"


@pytest.mark.parametrize(("device", "dtype"), [("h100", "bf16"), ("t4", "fp16")])
def test_times_are_the_rooflines(device: str, dtype: str) -> None:
    text = page("googlenet", device=device, dtype=dtype, batch=3)
    priced = cnncost.roofline("googlenet", device, dtype=dtype, batch=3)
    shown, network = packed(text, "device-0"), packed(text, "network")
    found = [time for node, time in zip(network["nodes"], shown["layers"]) if node["role"] == "layer"]
    bounds = {"memory": "bound by memory", "arithmetic": "bound by arithmetic"}
    assert found == [
        [row.seconds, duration(row.seconds), bounds[row.bound]] if row.seconds else [0, "", ""] for row in priced.layers
    ]
    points = [row for row in priced.layers if row.rate]
    assert [network["nodes"][p[0]]["name"] for p in shown["points"]] == [row.name for row in points]
    assert [p[1] for p in shown["points"]] == [row.intensity for row in points]
    for block, (seconds, _, _) in zip(network["blocks"], shown["blocks"]):
        inside = [row.seconds for row in priced.layers if row.name.startswith(f"{block['name']}.")]
        assert seconds == pytest.approx(sum(inside))
    assert shown["ridge"] == priced.ceilings.ridge
    assert shown["rate"] * 10**12 == pytest.approx(priced.ceilings.macs.rate)


def test_devices_without_the_dtype_are_named() -> None:
    text = page("alexnet", dtype="fp8")
    names = re.findall(r'<option value="\d+">([^<]*)</option>', text)
    assert names and all("fp8" in cnncost.load_device(name).dtypes for name in names)
    assert "has no peak rate for fp8" in text


def test_explanations_are_those_of_explain() -> None:
    known = packed(page("googlenet"), "explanations")
    network = packed(page("googlenet"), "network")
    for explained in cnncost.explain("googlenet", "*"):
        number = [node["name"] for node in network["nodes"]].index(explained.layer.name)
        text = known["texts"][known["layers"][str(number)]]
        assert text["about"] == explained.about
        assert [e[3] for e in text["equations"]] == [f"{e.value:,}" for e in explained.equations]
        assert [e[1] for e in text["equations"]] == [e.symbols for e in explained.equations]
    assert len(known["texts"]) < len(known["layers"]), "equal layers share a text"


def test_lines_of_the_source_are_those_of_the_file_that_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: alexnet\nlayers:\n  fc8: {linear: 10}\n")
    network = packed(page(path), "network")
    lines = {node["name"]: node["line"] for node in network["nodes"] if node["role"] == "layer"}
    assert lines.pop("fc8") == 3
    assert set(lines.values()) == {None}


# ---- the command ------------------------------------------------------------------------------------


def test_the_command_writes_the_page_beside_the_table(run: Callable[..., Any], tmp_path: Path, alexnet: str) -> None:
    path = tmp_path / "a.html"
    done = run("report", "alexnet", "--html", str(path))
    assert (done.code, done.err) == (0, f"wrote {path}\n")
    assert done.out == run("report", "alexnet").out
    assert path.read_text(encoding="utf-8") == alexnet


def test_options_are_those_of_the_report(run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    options = ["--batch", "3", "--dtype", "fp16", "--set", "classes=10", "--input", "3x259x291", "--device", "t4"]
    assert run("report", "alexnet", *options, "--html", str(path)).code == 0
    wanted = page("alexnet", batch=3, dtype="fp16", set={"classes": 10}, input="3x259x291", device="t4")
    assert path.read_text(encoding="utf-8") == wanted


def test_from_standard_input(tmp_path: Path) -> None:
    spec = "input: 3x9x9\nlayers: {conv: {conv: 4, kernel: 3}}\n"
    command = [sys.executable, "-m", "cnncost", "report", "-", "--html", "x.html", "--format", "csv"]
    done = subprocess.run(command, input=spec, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "wrote x.html\n")
    assert "layers: {conv: {conv: 4, kernel: 3}}" in (tmp_path / "x.html").read_text(encoding="utf-8")


def test_what_stands_there_is_kept(run: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("mine")
    done = run("report", "alexnet", "--html", str(path))
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: {path}: exists already\nhint: --force replaces it\n"
    assert path.read_text() == "mine"
    assert run("report", "alexnet", "--html", str(path), "--force").code == 0
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (["--html", "no/where.html"], "no/where.html: No such file or directory", "nothing was written"),
        (["--html", "-"], "- is no file name", "standard output has the table; give the name of a file to write"),
        (["--html", "x.json", "-o", "x.json"], "x.json: something else is written there", "give another name"),
        (["--html", "."], ". is no file name", "give the name of a file to write"),
        (["--html", "x.html", "--device", "h1000"], "unknown device h1000", "did you mean h100?"),
        (["--results", "x.jsonl"], "--results has no effect here", "it goes with --html FILE"),
        (["--html", "x.html", "--where", "layout=nhwc"], "--where has no effect here", "it goes with --results"),
        (["--html", "x.html", "--results", "none.jsonl"], "none.jsonl: No such file or directory", None),
        (["--device", "h100"], "--device has no effect here", "it goes with --crops, --models or --html"),
        (["--html", "net.yaml"], "net.yaml: a report over a spec would lose the spec", "give another name: report.txt"),
        (["--html", "x.html", "--dtype", "int4", "--device", "gtx-580"], None, None),
    ],
)
def test_messages(
    run: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    message: str | None,
    hint: str | None,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("report", "alexnet", *options)
    assert (done.code, done.out) == (2, "")
    assert "Traceback" not in done.err
    if message is not None:
        assert done.err.startswith(f"error: {message}\n")
    if hint is not None:
        assert f"hint: {hint}\n" in done.err
    assert os.listdir(tmp_path) == []


def test_a_report_without_a_page_loads_nothing_of_pages() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "cnncost", "report", "alexnet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cnncost.analysis.report" in loaded
    assert not loaded & {"jinja2", "gzip", "cnncost.output.page", "cnncost.analysis.explain", "cnncost.devices"}


# ---- documents ----------------------------------------------------------------------------------------


def test_the_page_that_the_readme_links_is_what_the_command_writes(alexnet: str) -> None:
    document = WEB.parents[3] / "docs" / "alexnet.html"
    assert document.read_text(encoding="utf-8") == alexnet, "python tests/screenshots.py alexnet.html"


def test_the_figures_of_pages_are_those_of_the_results() -> None:
    benchmarks = WEB.parents[3] / "benchmarks"
    results = benchmarks / "results" / "pages-epyc-2-cores.jsonl"
    done = subprocess.run(
        [sys.executable, benchmarks / "pages.py", "--table", results], capture_output=True, text=True, check=True
    )
    assert done.stdout in (benchmarks / "README.md").read_text(encoding="utf-8")
    _, *records = map(json.loads, results.read_text(encoding="utf-8").splitlines())
    assert {record["network"] for record in records} >= {"alexnet", "googlenet", "resnet152", "densenet201"}


# ---- the script ---------------------------------------------------------------------------------------


def test_the_script_is_what_its_source_builds(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    web = tmp_path / "page" / "web"
    shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules"))
    got = subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=web, capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"npm ci: {got.stderr.strip().splitlines()[-1]}")
    subprocess.run([npm, "run", "build"], cwd=web, capture_output=True, check=True)
    assert (tmp_path / "page" / "page.js").read_text() == (WEB.parent / "page.js").read_text(), "npm run build in web/"
