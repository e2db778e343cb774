"""cnncost check: verdicts on layers by torch and fvcore, further tools, and that a wrong formula is noticed."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from documents import ROOT, commands, printed

import cnncost
from cnncost.analysis.checks import FURTHER, Against
from cnncost.analysis.conventions import counted
from cnncost.errors import UsageError
from cnncost.live import check as live
from cnncost.live import counters
from cnncost.ops import find
from cnncost.output.check import Checks, check_table, fault_lines, reconciliation, summary
from cnncost.output.check_records import check_schema
from cnncost.output.tables import Paper
from cnncost.spec.files import bundled_names

NET = """\
name: Small
input: 3x13x9
layers:
  conv: {conv: 8, kernel: [3, 5], stride: 2, bias: true}
  bn: batch_norm
  relu: {relu, inplace: true}
  down: {conv: 8, kernel: 1, from: relu}
  again: {reuse: down}
  sum: {add: [relu, again]}
  pool: {max_pool: 2}
  gap: global_avg_pool
  flat: flatten
  fc: {linear: 5}
"""
CONV = 8 * 6 * 3 * (3 * 3 * 5)
"""MACs of its first layer on an image."""


@pytest.fixture
def net(folder: Path) -> str:
    (folder / "small.yaml").write_text(NET)
    return "small.yaml"


# ---- verdicts -------------------------------------------------------------------------------------


def sample() -> list[str]:
    """Every family's first network and the smallest of each: all of them are run by `check all`."""
    names = bundled_names()
    return [name for i, name in enumerate(names) if i % 9 == 0]


@pytest.mark.parametrize("name", sample())
def test_every_layer_of_bundled_networks_is_exact(name: str) -> None:
    checked = cnncost.check(name)
    assert checked.holds
    assert checked.exact == len(checked.layers) > 0
    assert checked.macs == checked.torch_macs == sum(layer.torch_macs for layer in checked.layers)
    assert all(tool.rest == 0 for tool in checked.against if tool.number is not None)


def test_figures_stand_side_by_side(net: str) -> None:
    layers = {layer.name: layer for layer in cnncost.check(net, batch=2).layers}
    high, wide = (13 - 3) // 2 + 1, (9 - 5) // 2 + 1
    conv = layers["conv"]
    assert conv.output_shape == conv.torch_shape == (2, 8, high, wide)
    assert conv.params == conv.torch_params == 8 * (3 * 3 * 5 + 1)
    assert conv.macs == conv.torch_macs == conv.fvcore_macs == 2 * 8 * high * wide * 3 * 3 * 5
    assert layers["bn"].fvcore_others == {"batch_norm": 2 * prod((2, 8, high, wide))}
    assert layers["pool"].unknown == ("max_pool2d",)
    assert layers["sum"].unknown == ("add",)


def test_shared_parameters_count_once_in_all_and_in_each_layer(net: str) -> None:
    checked = cnncost.check(net)
    layers = {layer.name: layer for layer in checked.layers}
    assert layers["again"].params == layers["down"].params == 8 * (8 + 1)
    assert checked.params == checked.torch_params == sum(layer.params for layer in checked.layers) - 8 * (8 + 1)
    assert checked.holds


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes one method of one op wrong by one."""

    def plant(key: str, method: str) -> None:
        cls = find(key)
        right = getattr(cls, method)

        def wrong(self: Any, *shapes: Any, **named: Any) -> Any:
            value = right(self, *shapes, **named)
            return (*value[:-1], value[-1] + 1) if method == "shape" else value + 1

        monkeypatch.setattr(cls, method, wrong)

    yield plant


@pytest.mark.parametrize(
    ("key", "method", "layer", "fault"),
    [
        ("conv", "macs", "conv", f"MACs: {CONV + 1:,} here, torch {CONV:,}"),
        ("linear", "macs", "fc", f"MACs: {8 * 5 + 1} here, torch {8 * 5}"),
        ("conv", "biases", "conv", f"params: {8 * 46 + 1} here, torch {8 * 46}"),
        ("linear", "weights", "fc", f"params: {5 * 9 + 1} here, torch {5 * 9}"),
        ("batch_norm", "other_params", "bn", f"params: {2 * 8 + 1} here, torch {2 * 8}"),
        ("batch_norm", "buffers", "bn", f"running statistics: {2 * 8 + 1} here, torch {2 * 8}"),
        ("relu", "macs", "relu", "MACs: 1 here, torch 0"),
        ("global_avg_pool", "shape", "gap", "output: 1x8x1x2 here, torch 1x8x1x1"),
    ],
)
def test_a_wrong_formula_is_noticed(net: str, planted: Any, key: str, method: str, layer: str, fault: str) -> None:
    if method == "shape":
        text = NET[: NET.index("  flat")]
        Path(net).write_text(text)
    planted(key, method)
    checked = cnncost.check(net)
    faults = {row.name: row.faults for row in checked.layers}
    assert not checked.holds
    assert fault in faults[layer]


def test_what_fvcore_counts_otherwise_is_a_fault(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = live.by_fvcore

    def wrong(module: Any, shapes: Any) -> Any:
        traced = right(module, shapes)
        return traced._replace(macs=traced.macs + 1, others={n: 2 * v for n, v in traced.others.items()})

    monkeypatch.setattr(live, "by_fvcore", wrong)
    faults = {row.name: row.faults for row in cnncost.check(net).layers}
    elements = 8 * 6 * 3
    count = "fvcore's count, by its rules"
    assert faults["conv"] == (f"{count}: {CONV:,} here, fvcore {CONV + 1:,}",)
    assert faults["bn"] == (f"{count}: {2 * elements:,} here, fvcore {4 * elements + 1:,}",)
    assert faults["pool"] == (), "an operator that fvcore does not know is compared with nothing"


def test_exit_code_is_the_verdict(net: str, run: Any, planted: Any) -> None:
    assert run("check", net).code == 0
    planted("conv", "macs")
    result = run("check", net)
    assert result.code == 1
    assert f"conv: MACs: {CONV + 1:,} here, torch {CONV:,}" in result.out
    assert result.out.endswith("10 layers: 7 exact, 3 differ.\n")
    several = run("check", net, "lenet5")
    assert several.code == 1
    assert f"Small: conv: MACs: {CONV + 1:,} here, torch {CONV:,}\n" in several.out


def test_a_layer_too_large_to_trace_is_said_to_be(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "TRACED_AT_MOST", 500)
    checked = cnncost.check(net)
    assert {layer.name for layer in checked.layers if live.TOO_LARGE in layer.unknown} == {"conv"}
    assert checked.against[1].failure == f"conv {live.TOO_LARGE}"
    assert checked.holds


# ---- what people see --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("check.txt", "check small.yaml --batch 2"),
        ("check-alexnet.txt", "check alexnet"),
        ("check-several.txt", "check small.yaml lenet5 'vgg11*'"),
        ("check.md", "check small.yaml --format markdown"),
        ("check-several.md", "check small.yaml lenet5 --format markdown"),
        ("check.csv", "check small.yaml --format csv"),
    ],
)
def test_whole_output(net: str, run: Any, golden: Any, name: str, arguments: str) -> None:
    result = run(*(argument.strip("'") for argument in arguments.split()))
    assert result.code == 0
    assert result.err == ""
    golden(name, without_versions(result.out))


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_a_terminal(net: str, golden: Any, width: int) -> None:
    text = check_table(Checks([cnncost.check(net)], {}), paper=Paper(width))
    assert max(map(len, text.splitlines())) <= width
    golden(f"check-{width}.txt", without_versions(text))


def without_versions(text: str) -> str:
    """Without the version of torch, of which tests take what is installed."""
    import torch

    return text.replace(str(torch.__version__), "VERSION")


def test_faults_are_shown_as_far_as_one_reads(net: str, planted: Any) -> None:
    text = NET + "".join(f"  more{i}: {{conv: 8, kernel: 1, from: relu}}\n" for i in range(30))
    Path(net).write_text(text)
    planted("conv", "macs")
    checks = Checks([cnncost.check(net)], {})
    lines = fault_lines(checks)
    faults = sum(len(layer.faults) for layer in checks.networks[0].layers) + 1
    assert len(lines) == 20 + 1
    assert lines[-1] == f"and {faults - 20} faults more"
    assert summary(checks) == "40 layers: 7 exact, 33 differ."


def test_reconciliation_adds_up(net: str) -> None:
    checked = cnncost.check(net)
    by_name = {column.header: column.lines for column in reconciliation(checked.against, "exact")}
    fvcore = [int(line.replace(",", "") or 0) for line in by_name["fvcore"]]
    assert sum(fvcore[:-3]) == fvcore[-3] == fvcore[-2]
    assert fvcore[-1] == 0
    assert fvcore[0] == checked.macs


def test_what_rules_do_not_explain_is_shown(net: str) -> None:
    checked = cnncost.check(net)
    counts = counted(cnncost.load(net), "thop")
    against = (*checked.against, Against(counts, "0", counts.total - 7, None), Against(counts, "0", None, "it broke"))
    last = [column.lines[-2:] for column in reconciliation(against, "exact")][-2:]
    assert last == [[f"{counts.total - 7:,}", "-7"], ["failed", ""]]


# ---- for programs -----------------------------------------------------------------------------------


def test_json_keeps_its_schema(net: str, run: Any) -> None:
    record = json.loads(run("check", net, "lenet5", "--format", "json").out)
    jsonschema.validate(record, check_schema())
    first = record["networks"][0]
    report = cnncost.analyze(net)
    assert record["holds"] is True
    assert first["macs"] == report.total.macs
    assert [row["name"] for row in first["layers"]] == [row.name for row in report.layers]
    pool = next(row for row in first["layers"] if row["name"] == "pool")
    assert pool["fvcore"] == {"macs": None, "others": {}, "unknown": ["max_pool2d"]}


def test_csv_has_a_line_a_layer(net: str, run: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(run("check", net, "--format", "csv").out)))
    checked = cnncost.check(net)
    assert [row["layer"] for row in rows] == [layer.name for layer in checked.layers]
    assert [row["macs"] for row in rows] == [row["torch_macs"] for row in rows]
    assert next(row["fvcore_macs"] for row in rows if row["layer"] == "pool") == "", "unknown is no zero"


# ---- arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("check", "missing argument 'SPECS...'"),
        ("check resnet999", "resnet999: no such file, and no bundled architecture of that name"),
        ("check small.yaml --against torchinf", "--against: unknown tool torchinf\nhint: did you mean torchinfo?"),
        ("check small.yaml --against fvcore", "unknown tool fvcore\nhint: torch and fvcore are always there"),
        ("check small.yaml --format csv --units M", "--units has no effect on csv"),
        ("check small.yaml --batch 0", "batch must be a whole number of at least 1, got 0"),
        ("check small.yaml --set width=2", "no parameter width"),
        ("check small.yaml --format json -o small.yaml", "a report over a spec would lose the spec"),
    ],
)  # fmt: skip
def test_bad_arguments(net: str, run: Any, arguments: str, message: str) -> None:
    result = run(*arguments.split())
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err


def test_a_tool_that_is_not_installed_is_said_to_be(net: str, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise UsageError(f"{name} is not installed", hint=f"pip install {name}")

    monkeypatch.setattr(live, "installed", missing)
    result = run("check", net, "--against", "thop,ptflops")
    assert result.code == 0
    assert "thop is not installed; pip install thop\nptflops is not installed; pip install ptflops\n" in result.out
    with pytest.raises(UsageError, match="thop is not installed"):
        cnncost.check(net, against=["thop"])


def test_a_tool_that_fails_is_a_row_that_says_so(net: str, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str, graph: Any) -> int:
        raise UsageError(f"{name} fails on this network: ValueError: no")

    monkeypatch.setattr(live, "installed", lambda name: "1.0")
    monkeypatch.setattr(live, "by_tool", fails)
    result = run("check", net, "--against", "thop")
    assert result.code == 0
    assert "thop failed: thop fails on this network: ValueError: no" in result.out


def test_further_tools_are_those_with_a_runner() -> None:
    assert tuple(counters.TOOLS) == FURTHER


def test_without_torch_it_says_how_to_get_it(net: str) -> None:
    hidden = "import sys; sys.modules['torch'] = None; from cnncost.cli import main; main(['check', 'small.yaml'])"
    done = subprocess.run([sys.executable, "-c", hidden], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "PyTorch is not installed" in done.stderr
    assert "pip install 'cnncost[torch]'" in done.stderr


def test_the_model_that_is_checked_stays_out_of_the_parent_process(net: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, cnncost.cli.commands.check; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n", "help and bad options need no torch"


def test_what_was_checked_before_an_interrupt_is_shown(net: str, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right = live.Checker.check

    def interrupted(self: live.Checker, graph: Any) -> Any:
        if graph.name == "LeNet-5":
            raise KeyboardInterrupt
        return right(self, graph)

    monkeypatch.setattr(live.Checker, "check", interrupted)
    result = run("check", net, "lenet5", "alexnet")
    assert result.code == 130
    assert "10 layers: all exact.\n" in result.out
    assert "interrupted" in result.err


# ---- docs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "shown"), commands(ROOT / "docs/check.md"), ids=lambda text: text.split("\n")[0])
def test_the_docs_show_what_happens(command: str, shown: str) -> None:
    assert printed(command) == shown


def test_tools_by_their_names_from_python() -> None:
    pytest.importorskip("torchinfo")
    one, listed = cnncost.check("lenet5", against="torchinfo"), cnncost.check("lenet5", against=["torchinfo"])
    assert one.against == listed.against
    assert one.against[-1].name == "torchinfo"
    with pytest.raises(UsageError, match="unknown tool torchinf") as e:
        cnncost.check("lenet5", against=["torchinf"])
    assert e.value.hint == "did you mean torchinfo?"
