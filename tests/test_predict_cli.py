"""cnncost predict: tables, JSON, CSV, what was not known in words, and one message for what cannot be used."""

from __future__ import annotations

import csv
import io
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from documents import ROOT, commands, printed
from made_up import SETTING, SHEET, WHOLE, loaded, records, seconds, write
from test_layering import loaded_by

import cnncost
from cnncost.analysis.bench import distinct_layers
from cnncost.analysis.predict import SOURCES
from cnncost.output.predict import predict_schema

NET = """\
name: Small
input: 3x32x32
layers:
  conv1: {conv: 64, kernel: 3, padding: 1}
  relu: {relu, inplace: true}
  conv2: {conv: 4096, kernel: 3, stride: 2, padding: 1}
  act: gelu
  gap: global_avg_pool
  flat: flatten
  fc: {linear: 10}
"""


@pytest.fixture
def here(folder: Path) -> Path:
    """A folder with a sheet, a network, and what was measured of others."""
    (folder / "abacus.yaml").write_text(SHEET)
    (folder / "small.yaml").write_text(NET)
    write(folder / "measured.jsonl", records(loaded("resnet18", "squeezenet1_1"), noise=0.05))
    return folder


def record(run: Any, *arguments: str) -> dict[str, Any]:
    done = run("predict", *arguments, "--format", "json")
    assert (done.code, done.err) == (0, "")
    document: dict[str, Any] = json.loads(done.out)
    jsonschema.validate(document, predict_schema())
    return document


# ---- what is written ------------------------------------------------------------------------------


def test_each_row_says_where_its_time_comes_from(here: Path, run, golden) -> None:
    done = run("predict", "small.yaml", "--device", "abacus.yaml", "--results", "measured.jsonl")
    assert (done.code, done.err) == (0, "")
    golden("predict_small.txt", done.out)
    for said in ("nearest 2", "fitted, outside", "nine in ten between", "by the device's sheet alone", "by 2 networks",
                 "Kinds that nothing was measured of: gelu.", "conv2 lies outside what was measured: ar"):  # fmt: skip
        assert said in done.out


def test_the_sheet_alone_has_no_interval_and_says_why(here: Path, run, golden) -> None:
    done = run("predict", "small.yaml", "--device", "abacus.yaml", "--batch", "1,8")
    assert (done.code, done.err) == (0, "")
    golden("predict_sheet.txt", done.out)
    assert done.out.count("Nothing was measured") == 2 and "nine in ten between" not in done.out
    assert "batch 1, fp32" in done.out and "batch 8, fp32" in done.out


def test_a_sheet_without_overhead_says_so(here: Path, run) -> None:
    assert "no launch overhead" in run("predict", "small.yaml", "--device", "rtx-4090").out
    assert "no launch overhead" not in run("predict", "small.yaml", "--device", "abacus.yaml").out


def test_json_has_what_the_table_has_and_follows_its_schema(here: Path, run) -> None:
    jsonschema.Draft202012Validator.check_schema(predict_schema())
    (net,) = record(run, "resnet18", "--device", "abacus.yaml", "--results", "measured.jsonl")["networks"]
    assert {layer["from"] for layer in net["layers"]} == {"measured"}
    total = sum(len(layer["names"]) * layer["seconds"] for layer in net["layers"])
    assert net["layers_seconds"] == pytest.approx(total)
    assert net["seconds"] == pytest.approx(total * net["whole_over_layers"])
    assert net["whole_over_layers"] == pytest.approx(WHOLE, rel=1e-3)
    assert net["measured_seconds"] == pytest.approx(WHOLE * total)
    assert net["low_seconds"] < net["seconds"] < net["high_seconds"]
    assert net["setting"] == SETTING.record() and net["device"] == "abacus" and net["networks"] == 2
    (plain,) = record(run, "resnet18", "--device", "abacus.yaml")["networks"]
    assert plain["low_seconds"] is None and plain["seconds"] == plain["roofline_seconds"] == net["roofline_seconds"]


def test_csv_has_a_line_a_layer_and_one_for_the_network(here: Path, run) -> None:
    arguments = ("predict", "small.yaml", "--device", "abacus.yaml", "--results", "measured.jsonl", "--batch", "1,2")
    lines = list(csv.DictReader(io.StringIO(run(*arguments, "--format", "csv").out)))
    assert [line["batch"] for line in lines] == ["1"] * 7 + ["2"] * 7
    assert [line["layer"] for line in lines[:7]] == ["conv1", "relu", "conv2", "act", "gap", "fc", "(network)"]
    assert {line["from"] for line in lines} <= {*SOURCES, ""}
    macs = [int(line["macs"]) for line in lines[:7]]
    assert sum(macs[:-1]) == macs[-1] == cnncost.analyze("small.yaml").total.macs
    assert float(lines[6]["low_seconds"]) < float(lines[6]["seconds"]) < float(lines[6]["high_seconds"])


def test_markdown_has_the_same_lines(here: Path, run) -> None:
    done = run("predict", "small.yaml", "--device", "abacus.yaml", "--results", "measured.jsonl", "-o", "small.md")
    assert (done.code, done.out) == (0, "")
    text = Path("small.md").read_text()
    assert text.startswith("**Small on Acme Abacus 9, predicted**") and "| conv1 " in text
    assert "- network: " in text and "- Kinds that nothing was measured of: gelu." in text


def test_from_python_it_is_the_same(here: Path, run) -> None:
    (net,) = record(run, "small.yaml", "--device", "abacus.yaml", "--results", "measured.jsonl", "-b", "4")["networks"]
    found = cnncost.predict("small.yaml", "abacus.yaml", ["measured.jsonl"], batch=4)
    assert found.seconds == net["seconds"] and found.batch == 4
    assert [row.source for row in found.rows] == [layer["from"] for layer in net["layers"]]


def test_it_runs_without_torch_and_the_sheet_alone_without_numpy(here: Path) -> None:
    code = "from cnncost.cli import main\ntry:\n    main({!r})\nexcept SystemExit as e:\n    assert not e.code"
    alone = ["predict", "small.yaml", "--device", "abacus.yaml"]
    assert not loaded_by(code.format(alone)) & {"torch", "numpy", "fvcore"}
    measured = [*alone, "--results", "measured.jsonl"]
    assert not loaded_by(code.format(measured)) & {"torch", "fvcore"}


# ---- what cannot be used --------------------------------------------------------------------------

BF16 = SETTING._replace(dtype="bf16")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device", "abacu5"), "unknown device abacu5\n"
         "hint: cnncost devices lists them; or give the path of a sheet"),
        (("--device", "none.yaml"), "none.yaml: No such file or directory\n"
         "hint: cnncost devices lists those that come with it"),
        (("--device", "slow.yaml"), "the sheet of Abacus 9 has no bandwidth\n"
         "hint: add bandwidth to the sheet, or take another device: cnncost devices"),
        (("--device", "abacus.yaml", "--dtype", "fp16"), "Abacus 9 has no peak rate for fp16\n"
         "hint: its sheet has fp32, bf16"),
        (("--device", "rtx-4090", "--results", "measured.jsonl"),
         "measured.jsonl: measured on Acme Abacus 9 CPU, and not on GeForce RTX 4090\n"
         "hint: name that device's sheet; cnncost machine writes one, and aliases in it are other names"),
        (("--device", "abacus.yaml", "--dtype", "bf16", "--results", "measured.jsonl"),
         "measured.jsonl: measured with dtype fp32, and not bf16\n"
         "hint: predict that with --dtype fp32, or measure with cnncost bench --dtype bf16"),
        (("--device", "any.yaml", "--threads", "1", "--results", "measured.jsonl"),
         "measured.jsonl: measured with threads 2, and not 1\n"
         "hint: predict that with --threads 2, or measure with cnncost bench --threads 1"),
        (("--device", "abacus.yaml", "--threads", "1"), "the sheet of Abacus 9 holds for 2 threads, and not for 1\n"
         "hint: cnncost machine --threads 1 writes another"),
        (("--device", "abacus.yaml", "--results", "empty.jsonl"), "empty.jsonl: no measurement in it\n"
         "hint: give a file that cnncost bench wrote"),
        (("--device", "abacus.yaml", "--results", "none.jsonl"), "none.jsonl: No such file or directory\n"
         "hint: give a file that cnncost bench wrote"),
        (("--device", "abacus.yaml", "--results", "small.yaml"), "small.yaml:1: no measurement (no JSON)\n"
         "hint: is this a file of cnncost bench?"),
        (("--device", "abacus.yaml", "--batch", "0"), "--batch: 0 is no whole number of at least 1\n"
         "hint: write 1,8,32"),
        (("--device", "rtx-4090", "--threads", "2"), "--threads has no effect on a GPU\nhint: leave it out"),
        (("--device", "abacus.yaml", "--layout", "nhwc"), "--layout has no effect on the roofline\n"
         "hint: it chooses among --results"),
        ((), "missing option '--device'\nhint: cnncost predict --help"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_exit_2(here: Path, run, arguments: tuple[str, ...], message: str) -> None:
    (here / "slow.yaml").write_text(SHEET.replace("bandwidth: 20 GB/s\n", ""))
    (here / "any.yaml").write_text(SHEET.replace("threads: 2\n", ""))
    (here / "empty.jsonl").write_text("")
    done = run("predict", "small.yaml", *arguments)
    assert (done.code, done.out, done.err) == (2, "", f"error: {message}\n")


def test_results_in_two_dtypes_serve_each(here: Path, run) -> None:
    graphs = loaded("squeezenet1_1")
    write(here / "both.jsonl", [*records(graphs), *records(graphs, BF16)])
    for dtype in ("fp32", "bf16"):
        arguments = ("squeezenet1_1", "--device", "abacus.yaml", "--results", "both.jsonl", "--dtype", dtype)
        (net,) = record(run, *arguments)["networks"]
        assert net["setting"]["dtype"] == dtype and {layer["from"] for layer in net["layers"]} == {"measured"}


@pytest.mark.parametrize("passes", ["forward", "backward", "train"])
def test_every_pass_is_predicted(here: Path, run, passes: str) -> None:
    setting = SETTING._replace(direction=passes)
    write(here / "passes.jsonl", records(loaded("squeezenet1_1"), setting))
    arguments = ("resnet18", "--device", "abacus.yaml", "--pass", passes)
    (alone,) = record(run, *arguments)["networks"]
    (net,) = record(run, *arguments, "--results", "passes.jsonl")["networks"]
    assert net["setting"]["pass"] == passes and net["seconds"] > 0
    assert alone["seconds"] == net["roofline_seconds"]
    assert (net["layers"][0]["macs"] == cnncost.analyze("resnet18").layers[0].macs) == (passes == "forward")


def test_the_benchmark_leaves_a_network_out_at_all_its_batches(here: Path) -> None:
    names = ("resnet18", "vgg11", "squeezenet1_1")
    graphs = [graph for batch in (1, 2) for graph in loaded(*names, batch=batch)]
    write(here / "all.jsonl", records(graphs))
    script = str(ROOT / "benchmarks" / "predict.py")
    command = [sys.executable, script, "evaluate", "all.jsonl", "--sheet", "abacus.yaml", "--networks",
               ",".join(names), "--batch", "1,2", "--threads", "2", "--out", "errors.jsonl"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    *rows, told = [json.loads(line) for line in Path("errors.jsonl").read_text().splitlines()]
    assert [(row["network"], row["batch"]) for row in rows] == [(name, batch) for name in names for batch in (1, 2)]
    for row, graph in zip(rows, [cnncost.load(name, batch=batch) for name in names for batch in (1, 2)]):
        total = sum(len(each.names) * seconds(each.op, each.inputs) for each in distinct_layers(graph)[0])
        assert row["measured_seconds"] == pytest.approx(WHOLE * total)
        assert row["error"] == pytest.approx(row["predicted_seconds"] / row["measured_seconds"] - 1)
        assert 0 <= row["from"]["measured"] < 1, "what no other network has is not known"
    assert told["predictions"] == 6 and told["median_error"] == pytest.approx(
        statistics.median(abs(row["error"]) for row in rows)
    )
    assert f"median error {told['median_error']:.1%}" in done.stdout


def test_help_is_as_it_was_read(run, golden) -> None:
    for name in ("machine", "predict"):
        result = run(name, "--help")
        assert (result.code, result.err) == (0, "")
        golden(f"help-{name}.txt", result.out)


@pytest.mark.parametrize(("command", "shown"), commands(ROOT / "docs" / "predict.md"))
def test_the_page_shows_what_is_printed(command: str, shown: str) -> None:
    assert printed(command) == shown
