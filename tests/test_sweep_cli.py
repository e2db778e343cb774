"""cnncost sweep as people meet it: whole outputs, and one message for whatever cannot be."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from documents import ROOT, blocks, commands, printed
from test_cli import on_a_terminal

import cnncost
from cnncost.analysis.sweep.space import SHORT
from cnncost.analysis.sweep.walk import QUANTITIES
from cnncost.cli.commands.sweep import SUFFIXES
from cnncost.output.sweep import sweep_schema

NET = """\
name: net
input: 3x16x16
parameters: {width: 8, depth: 2, depths: [1, 2], act: relu, kernel: 3}
blocks:
  unit:
    parameters: [out]
    layers:
      conv: {conv: out, kernel: 3}
      act: {op: act}
layers:
  stem: {conv: width, kernel: kernel, stride: 2, padding: 1}
  body: {unit: 2 * width, repeat: depth}
  pool: {max_pool: 2}
  head: global_avg_pool
  flatten: flatten
  fc: {linear: 10}
"""
"""Its body takes 4 pixels off 8, so that depths above 3 and small inputs are impossible."""
SIZES = ("--vary", "width=4:16:4", "--vary", "batch=1,8")
"""Eight points, all of them possible."""


@pytest.fixture
def net(folder: Path) -> str:
    (folder / "net.yaml").write_text(NET, encoding="utf-8")
    return "net.yaml"


# ---- whole outputs --------------------------------------------------------------------------------

OUTPUTS: dict[str, tuple[str, ...]] = {
    "sweep": SIZES,
    "sweep-impossible": ("--vary", "input=4:16:4", "--vary", "depth=1:5"),
    "sweep-where": (*SIZES, "--where", "macs < 400K and params <= 3K or batch == 8 and width == 4"),
    "sweep-least": (*SIZES, "--sort", "peak", "--top", "3"),
    "sweep-most": (*SIZES, "--sort", "-macs", "--top", "3"),
    "sweep-first": (*SIZES, "--top", "2", "--quantities", "params,macs", "--no-legend"),
    "sweep-pareto": (*SIZES, "--pareto", "macs,-params"),
    "sweep-nearest": (*SIZES, "--nearest", "macs=400K,params=2K", "--top", "3"),
    "sweep-fixed": ("--vary", "width=4,8", "--set", "act=gelu", "--set", "depth=1", "--batch", "32", "--dtype", "fp16"),
    "sweep-device": ("--vary", "batch=1,64", "--device", "h100", "--device", "rtx-4090", "--where", "time < 5us"),
    "sweep-words": ("--vary", "act=relu,gelu", "--vary", "input=3x16x16,1x32x24", "--units", "exact"),
    "sweep-none": (*SIZES, "--where", "macs < 1"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_tables(run: Callable[..., Any], net: str, golden: Callable[[str, str], None], name: str) -> None:
    result = run("sweep", net, *OUTPUTS[name])
    assert (result.code, result.err) == (0, "")
    golden(f"{name}.txt", result.out)


@pytest.mark.parametrize("suffix", ["md", "json", "csv", "jsonl"])
@pytest.mark.parametrize("name", ["sweep-impossible", "sweep-nearest"])
def test_formats(run: Callable[..., Any], net: str, golden: Callable[[str, str], None], name: str, suffix: str) -> None:
    format_ = {"md": "markdown"}.get(suffix, suffix)
    result = run("sweep", net, *OUTPUTS[name], "--format", format_)
    assert (result.code, result.err) == (0, "")
    golden(f"{name}.{suffix}", result.out.replace(f'"cnncost": "{cnncost.__version__}"', '"cnncost": "0"'))


def test_on_a_terminal_of_80_columns_axes_stand_beside_every_part(net: str, golden: Callable[[str, str], None]) -> None:
    shown = on_a_terminal(["sweep", net, *OUTPUTS["sweep-device"][:-2], "--no-legend"], TERM="xterm")
    plain = "".join(part.partition("m")[2] if n else part for n, part in enumerate(shown.split("\x1b[")))
    plain = "".join(line.rstrip() + "\n" for line in plain.splitlines())
    assert max(map(len, plain.splitlines())) <= 80
    golden("sweep-80.txt", plain)


def test_the_suffix_of_a_file_says_its_format(run: Callable[..., Any], net: str, folder: Path) -> None:
    for suffix, format_ in (
        ("txt", "table"),
        ("md", "markdown"),
        ("json", "json"),
        ("csv", "csv"),
        ("ndjson", "jsonl"),
    ):
        printed = run("sweep", net, *SIZES, "--sort", "macs", "--format", format_).out
        result = run("sweep", net, *SIZES, "--sort", "macs", "-o", f"out.{suffix}")
        assert (result.code, result.out, result.err) == (0, "", "")
        assert (folder / f"out.{suffix}").read_text(encoding="utf-8") == printed
    assert run("sweep", net, *SIZES, "-o", "-").out == run("sweep", net, *SIZES).out


@pytest.mark.parametrize("name", OUTPUTS)
def test_json_keeps_to_its_schema(run: Callable[..., Any], net: str, name: str) -> None:
    found = json.loads(run("sweep", net, *OUTPUTS[name], "--format", "json").out)
    jsonschema.Draft202012Validator(sweep_schema()).validate(found)
    assert sum(found["impossible"].values()) + found["kept"] <= found["points"]
    assert len(found["rows"]) <= found["kept"]
    assert json.loads(run("schema", "sweep").out) == sweep_schema()


def test_every_row_of_every_format_is_the_same(run: Callable[..., Any], net: str) -> None:
    asked = ("sweep", net, *OUTPUTS["sweep-impossible"])
    table = list(csv.DictReader(io.StringIO(run(*asked, "--format", "csv").out)))
    lines = [json.loads(line) for line in run(*asked, "--format", "jsonl").out.splitlines()]
    assert [{name: "" if value is None else str(value) for name, value in line.items()} for line in lines] == table
    chosen = json.loads(run(*asked, "--format", "json", "--top", "20").out)["rows"]
    possible = [line for line in lines if line.pop("impossible") is None]
    assert chosen == possible
    assert 0 < len(possible) < len(table) == 20


# ---- what cannot be ---------------------------------------------------------------------------------

FAULTS: dict[tuple[str, ...], str] = {
    ("--vary", "widht=1,2"): "error: unknown axis widht\nhint: did you mean width?",
    ("--vary", "width"): "error: --vary width: no name and values\n"
    "hint: write --vary batch=1,2,4,8 or --vary width=0.25:2:0.05",
    ("--vary", "width=8:4"): "error: --vary width=8:4: it ends before it begins\nhint: write start:end:step",
    ("--vary", "width=4:8:0"): "error: --vary width=4:8:0: a step of 0\nhint: write start:end:step, the end included",
    ("--vary", "width=4,4"): "error: --vary width: 4 is given twice\nhint: give each value once",
    ("--vary", "width=4", "--vary", "width=8"): "error: axis width is given twice\n"
    "hint: give all its values at once: 1,2,8:32:8",
    (): "error: nothing varies\nhint: write --vary batch=1,2,4,8 or --vary width=0.25:2:0.05",
    (*SIZES, "--quantities", "params,mac"): "error: unknown quantity mac\nhint: did you mean macs?",
    (*SIZES, "--where", "mac < 3M"): "error: unknown name mac\n  mac < 3M\n  ^^^\nhint: did you mean macs?",
    (*SIZES, "--where", "macs <"): "error: the condition ends too early\n  macs <\n        ^\n"
    "hint: a name or a number is missing",
    (*SIZES, "--where", "act == 'relu'"): "error: unknown name act\n  act == 'relu'\n  ^^^\n"
    "hint: text is quoted: 'act'",
    (*SIZES, "--sort", "mac"): "error: --sort mac: unknown column mac\nhint: did you mean macs?",
    (*SIZES, "--pareto", "macs,memory"): "error: unknown name memory in macs,memory\nhint: known here: width, ",
    (*SIZES, "--nearest", "macs"): "error: no target for macs in macs\nhint: write macs=600M",
    (*SIZES, "--sort", "macs", "--pareto", "macs"): "error: --sort and --pareto are two choices\n"
    "hint: give one of them",
    (*SIZES, "--pareto", "macs", "--nearest", "macs=1M"): "error: --pareto and --nearest are two choices\n"
    "hint: give one of them",
    (*SIZES, "--pareto", "macs", "--top", "3"): "error: --top has no effect with --pareto\n"
    "hint: all points of the front are shown",
    (*SIZES, "--device", "h1000"): "error: unknown device h1000",
    (*SIZES, "--format", "npz"): "error: npz is no text\nhint: write it to a file: -o FILE.npz",
    (*SIZES, "--format", "parquet", "-o", "-"): "error: parquet is no text\nhint: write it to a file: -o FILE.parquet",
    (*SIZES, "--sort", "macs", "-o", "a.npz"): "error: npz takes every point\n"
    "hint: choose points with --where, or write them as CSV",
    (*SIZES, "-o", "a.xls"): "error: -o a.xls: no format has the suffix .xls\n"
    "hint: use .txt, .json, .md, .ndjson, .csv, .jsonl, .npz, .parquet, or give --format",
    (*SIZES, "-o", "none/a.csv"): "error: none/a.csv: No such file or directory\nhint: give another file with -o",
    (*SIZES, "-o", "none/a.json"): "error: none/a.json: No such file or directory\nhint: nothing was written",
    (*SIZES, "-o", ".", "--format", "csv"): "error: . is no regular file\nhint: give the name of a file to write",
    (*SIZES, "-o", "", "--format", "csv"): "error: '' is no regular file\nhint: give the name of a file to write",
    (
        *SIZES,
        "-o",
        "net.yaml",
        "--format",
        "csv",
        "--force",
    ): "error: net.yaml: a report over a spec would lose the spec",
    ("--vary", "batch=0,1"): "error: --vary batch: 0 is no whole number of at least 1\nhint: write 1,2,4,8",
    ("--vary", "batch=1,2", "--batch", "4"): "error: the batch varies, and is 4\nhint: give one of them",
    ("--vary", "width=1,2", "--set", "width=4"): "error: width varies, and width is set\nhint: give one of them",
}


@pytest.mark.parametrize("arguments", FAULTS, ids=" ".join)
def test_bad_input_is_one_message(run: Callable[..., Any], net: str, folder: Path, arguments: tuple[str, ...]) -> None:
    result = run("sweep", net, *arguments)
    assert result.err.startswith(FAULTS[arguments])
    assert (result.code, result.out) == (2, "")
    assert result.err.count("error:") == 1
    assert result.err.count("hint:") <= 1
    assert os.listdir(folder) == ["net.yaml"]
    assert (folder / "net.yaml").read_text(encoding="utf-8") == NET


def test_shapes_and_inputs_that_cannot_vary(run: Callable[..., Any], net: str, folder: Path) -> None:
    (folder / "two.yaml").write_text(
        "name: two\ninput: {left: 3x8x8, right: 3x8x8}\nlayers:\n  a: {add, from: [left, right]}\n", encoding="utf-8"
    )
    result = run("sweep", "two.yaml", "--vary", "input=8,16")
    assert result.err == "error: two has several inputs\nhint: vary its parameters, or the batch\n"
    assert (result.code, result.out) == (2, "")
    result = run("sweep", "two.yaml", "--vary", "batch=1,2", "--input", "left=3x4x4", "--input", "right=3x4x4")
    assert (result.code, result.out.splitlines()[1]) == (0, "input left 3x4x4, input right 3x4x4, fp32")
    result = run("sweep", net, "--vary", "input=3x8x8,3x16x16", "--input", "3x16x16")
    assert (result.code, result.err) == (2, "error: the input varies, and is given\nhint: give one of them\n")


def test_a_pytorch_model_has_nothing_to_vary(run: Callable[..., Any], folder: Path) -> None:
    result = run("sweep", "torchvision:resnet18", "--vary", "batch=1,2")
    assert result.err == (
        "error: torchvision:resnet18 is a PyTorch model, which has no parameters to vary\n"
        "hint: make it a spec, cnncost import MODEL -o net.yaml, and declare what varies as a parameter\n"
    )
    assert (result.code, result.out, os.listdir(folder)) == (2, "", [])


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "npz", "parquet", "json", "txt"])
def test_a_file_that_is_there_is_kept_unless_forced(
    run: Callable[..., Any], net: str, folder: Path, suffix: str
) -> None:
    (folder / f"a.{suffix}").write_bytes(b"mine")
    result = run("sweep", net, *SIZES, "-o", f"a.{suffix}")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"error: a.{suffix}: exists already\nhint: --force replaces it\n"
    assert (folder / f"a.{suffix}").read_bytes() == b"mine"
    assert run("sweep", net, *SIZES, "-o", f"a.{suffix}", "--force").code == 0
    assert (folder / f"a.{suffix}").read_bytes() != b"mine"
    assert sorted(os.listdir(folder)) == sorted([f"a.{suffix}", "net.yaml"])


@pytest.mark.parametrize("suffix", ["csv", "npz", "json"])
def test_a_folder_that_cannot_be_written(
    run: Callable[..., Any], net: str, folder: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "kept").mkdir(mode=0o500)
    if os.access(folder / "kept", os.W_OK):  # root may write anywhere

        def refused(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "open", refused)
    result = run("sweep", net, *SIZES, "-o", f"kept/a.{suffix}")
    monkeypatch.undo()
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"error: kept/a.{suffix}: Permission denied\nhint: ")
    assert os.listdir(folder / "kept") == []


def test_parquet_needs_its_library(
    run: Callable[..., Any], net: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = run("sweep", net, *SIZES, "-o", "a.parquet")
    assert result.err == ("error: Parquet needs pyarrow\nhint: pip install 'cnncost[parquet]', or write .npz\n")
    assert (result.code, os.listdir(folder)) == (2, ["net.yaml"])


# ---- counts that int64 does not hold ----------------------------------------------------------------


TOO_LARGE: dict[tuple[str, ...], str] = {
    ("--vary", "batch=1:101:50", "--vary", "input=16,99999999"): "too many flops, 1.9e+21, at the largest point: "
    "input 99999999, batch 101",
    ("--vary", "batch=1,2000000000", "--vary", "input=16,65536"): "the input 2000000000x3x65536x65536 has more than "
    "2^63 elements, at the largest point: input 65536, batch 2000000000",
    (
        "--vary",
        "width=1,900000000",
        "--set",
        "depth=1",
    ): "too many flops, 1e+21, at the largest point: width 900000000",
    ("--vary", "act=relu,gelu", "--vary", "input=3x16x16,3x90000000x90000000"): "too many flops, 1.5e+19, "
    "at the largest point: act relu, input 3x90000000x90000000",
}


@pytest.mark.parametrize("asked", TOO_LARGE, ids=" ".join)
def test_too_large_a_space_is_refused_before_anything_is_written(
    run: Callable[..., Any], net: str, folder: Path, asked: tuple[str, ...]
) -> None:
    result = run("sweep", net, *asked, "-o", "a.csv")
    assert result.err == f"error: {TOO_LARGE[asked]}\nhint: take smaller values: a sweep counts to 2^62\n"
    assert (result.code, result.out, os.listdir(folder)) == (2, "", ["net.yaml"])


@pytest.mark.parametrize(("quantity", "bytes_"), [("params", 0), ("weights", 4), ("training_peak", 12)])
def test_bytes_may_be_too_many_where_counts_are_not(
    run: Callable[..., Any], folder: Path, quantity: str, bytes_: int
) -> None:
    """2^60 weights, each used once: 2^61 FLOPs, and in training weights, gradients and momentum of 4 bytes each."""
    (folder / "wide.yaml").write_text(
        "name: wide\nparameters: {width: 1}\ninput: '1'\nlayers:\n"
        "  a: {linear: width}\n  b: {linear: width, bias: false}\n"
    )
    result = run("sweep", "wide.yaml", "--vary", f"width=1,{2**30}", "--quantities", quantity)
    assert result.code == (0 if bytes_ * 2**60 < 2**62 else 2)
    assert ("at the largest point: width 1073741824" in result.err) == (bytes_ * 2**60 >= 2**62)


def test_the_largest_point_may_be_impossible_and_others_too_large(
    run: Callable[..., Any], net: str, folder: Path
) -> None:
    """The kernel is larger than the input at all its largest values; then tiles are looked at as they are priced."""
    result = run("sweep", net, "--vary", "kernel=3,999999999", "--vary", "input=16,88888888", "-o", "a.csv")
    assert result.err.startswith("error: a count passes 2^63 at the largest design point (")
    assert (result.code, os.listdir(folder)) == (2, ["net.yaml"])


def test_counts_up_to_2_62_are_exact(run: Callable[..., Any], net: str) -> None:
    result = run("sweep", net, "--vary", "input=16,1000000", "--vary", "batch=2,1000", "--format", "jsonl")
    last = json.loads(result.out.splitlines()[-1])
    report = cnncost.analyze(net, input="3x1000000x1000000", batch=1000)
    assert last["macs"] == report.total.macs > 2**53
    assert last["flops"] == report.total.flops
    assert last["activation_bytes"] == report.totals["activation_bytes"]


def test_more_points_than_anyone_waits_for(run: Callable[..., Any], net: str, folder: Path) -> None:
    sizes = ("--vary", "width=1:1000", "--vary", "kernel=1:10001", "--vary", "batch=1:100000", "-o", "a.csv")
    result = run("sweep", net, *sizes)
    assert result.err.startswith("error: 1,000,100,000,000 design points\nhint: ")
    assert (result.code, os.listdir(folder)) == (2, ["net.yaml"])


# ---- the document -----------------------------------------------------------------------------------

DOCS = ROOT / "docs" / "sweep.md"


@pytest.mark.parametrize(("command", "shown"), commands(DOCS), ids=[c for c, _ in commands(DOCS)])
def test_commands_print_what_the_document_shows(command: str, shown: str) -> None:
    assert printed(command) == shown


def test_the_document_names_all_options_quantities_and_formats(run: Callable[..., Any]) -> None:
    text = DOCS.read_text(encoding="utf-8")
    options = set(re.findall(r"(?<![\w-])--[a-z]+", run("sweep", "--help").out)) - {"--help"}
    assert len(options) > 15
    assert [option for option in options if f"`{option}" not in text] == []
    assert all(f"`{name}`" in text for name in (*QUANTITIES, *SHORT))
    assert all(f"`.{suffix}`" in text for suffix in set(SUFFIXES) - {"ndjson"})


def test_the_python_example_of_the_document_runs() -> None:
    names: dict[str, Any] = {}
    exec(blocks(DOCS, "python")[0], names)
    found, best = names["found"], names["best"]
    assert found["macs"].shape == (3, 13)
    assert found.axes["width"] == tuple(range(32, 129, 8))
    assert 0 < found.kept.sum() < found.possible.sum() == 39
    assert len(found.to_pandas()) == found.kept.sum()
    assert best.shape == (36, 5)


# ---- standard output --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        (">&-", 2, "error: standard output is closed\nhint: write to a file with -o FILE\n"),
        ("> /dev/full", 2, "error: standard output: No space left on device\n"),
        ("| head -1", 0, ""),
    ],
)
@pytest.mark.usefixtures("net")
def test_standard_output_that_takes_nothing(where: str, code: int, said: str) -> None:
    line = f"set -o pipefail; {sys.executable} -m cnncost sweep net.yaml --vary batch=1:9999 --format csv {where}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)
    assert done.stdout.count("\n") == (code == 0)


def test_a_spec_on_standard_input_goes_to_all_workers(net: str) -> None:
    line = [sys.executable, "-m", "cnncost", "sweep", "-", *SIZES, "--vary", "depth=1:3", "--workers", "2"]
    found = [subprocess.run(more, input=NET, capture_output=True, text=True, check=True) for more in (line, line[:-2])]
    assert found[0].stdout == found[1].stdout != ""
    assert found[0].stderr == ""


def test_a_network_that_is_impossible_where_nothing_varies(folder: Path, run: Any) -> None:
    layers = (
        "  conv: {conv: 4, kernel: 3, padding: 1}\n",
        "  pool: {max_pool: 2, repeat: depth}\n",
        "  last: {conv: 8, kernel: 2}\n",
    )
    Path("net.yaml").write_text("".join(("input: 3x8x8\nparameters: {depth: 3}\nlayers:\n", *layers)))
    result = run("sweep", "net.yaml", "--vary", "depth=1,2,3", "--quantities", "macs", "--format", "csv")
    assert result.code == 0
    macs = {1: 3 * 3 * 3 * 4 * 64 + 4 * 4 * 8 * 9, 2: 3 * 3 * 3 * 4 * 64 + 4 * 4 * 8}
    reason = "layer last: a window of 2 is larger than its input of 1 (height)"
    rows = [f"0,1,{macs[1]},", f"1,2,{macs[2]},", f"2,3,,{reason}"]
    assert result.out.splitlines() == ["point,depth,macs,impossible", *rows]


def test_a_spec_with_a_fault_is_no_space(folder: Path, run: Any) -> None:
    Path("net.yaml").write_text("input: 3x8x8\nparameters: {width: 4}\nlayers:\n  conv: {conv: widht}\n")
    result = run("sweep", "net.yaml", "--vary", "width=4,8")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("error: net.yaml:4:16: layer conv: ")
