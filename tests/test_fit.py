"""cnncost fit: what fits does, the next larger does not, and nothing beyond does either."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from documents import ROOT
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import cnncost
from cnncost.analysis.fit import RESERVE, Found, Point, Sizes, boundary, fit, room, stride_of
from cnncost.analysis.memory import Memory
from cnncost.analysis.training_step import TrainingStep, memory_of
from cnncost.devices import names as device_names
from cnncost.graph import Graph
from cnncost.output.fit import Shown, fit_schema, fit_table
from cnncost.spec.amounts import parse_memory

NET = """\
name: Small
input: 3x32x32
parameters: {width: 4}
layers:
  conv: {conv: 2 * width, kernel: 3, stride: 2, padding: 1}
  relu: {relu, inplace: true}
  bn: batch_norm
  pool: {max_pool: 2}
  down: {conv: 4 * width, kernel: 3, stride: 2}
  sum: {add: [down, down]}
  flat: global_avg_pool
  fc: {linear: 5}
"""
DENSE = """\
name: Dense
input: 1x20x20
layers:
  conv: {conv: 4, kernel: 5, stride: 2}
  flat: flatten
  fc: {linear: 30}
"""
SAME = """\
name: Padded
input: 2x24x24
layers:
  same: {conv: 6, kernel: 3, stride: 2, padding: same_tf}
  relu: relu
"""
"""Even sides are padded on one side only, by a copy that odd ones do without."""
SKIP = """\
name: Skipping
input: 2x16x24
layers:
  conv: {conv: 4, kernel: 3, padding: 1}
  down: {max_pool: 4}
  up: {upsample: 4}
  both: {concat: [conv, up]}
  last: {conv: 2, kernel: 1}
"""
NETS = {"small": NET, "dense": DENSE, "same": SAME, "skip": SKIP}
FOLDER = Path(tempfile.mkdtemp())
TRIED = 100
"""Inputs that are tried one after another."""


class Asked:
    """A network whose memory is derived at any batch and input, and at which it was."""

    def __init__(self, name: str, optimizer: str | None = None) -> None:
        self.path = FOLDER / f"{name}.yaml"
        self.path.write_text(NETS[name])
        self.step = None if optimizer is None else TrainingStep.of(optimizer)
        self.asked: list[Any] = []

    def graph(self, batch: int = 1, shape: tuple[int, ...] | None = None) -> Graph:
        return cnncost.load(self.path, batch=batch, input=shape)

    def __call__(self, batch: int, shape: tuple[int, ...] | None = None) -> Memory:
        self.asked.append((batch, shape))
        return memory_of(self.graph(batch, shape), step=self.step)

    def peak(self, batch: int, shape: tuple[int, ...] | None = None) -> int | None:
        """None where it cannot run."""
        try:
            return int(self(batch, shape).peak)
        except cnncost.CnncostError:
            return None


def check_found(found: Found, memory: int, peak: Callable[[int, Any], int | None]) -> None:
    """What fits does, the next larger does not."""
    assert found.more is not None
    for point in found:
        assert point.peak == peak(point.batch, point.input)
    assert found.fits.peak <= memory < found.more.peak


# ---- right ----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(sorted(NETS)),
    st.sampled_from([None, "sgd", "adamw"]),
    st.integers(1, 12),
    st.sampled_from([None, 1, 2, 3, 16]),
    st.floats(0.02, 40),
)
def test_at_every_point_what_fits_does_and_one_more_does_not(
    name: str, optimizer: str | None, batch: int, step: int | None, share: float
) -> None:
    asked = Asked(name, optimizer)
    graph = asked.graph(batch)
    memory = int(asked(1).peak * share)
    assume(memory > 0)
    found = fit(graph, memory, asked, step=step)
    own = tuple(next(iter(graph.inputs.values()))[1:])
    assert found.own == (batch, own, asked.peak(batch, None))
    assert found.fits == (found.own.peak <= memory)
    if found.batch is None:
        assert asked.peak(1, None) > memory
    else:
        check_found(found.batch, memory, asked.peak)
        assert found.batch.fits.input == found.batch.more.input == own
        assert found.batch.more.batch == found.batch.fits.batch + 1
    for row in found.frontier:
        check_found(row, memory, asked.peak)
        assert row.fits.batch == row.more.batch
    if found.input is not None:
        assert found.input.fits.batch == batch
        assert found.input in found.frontier


@pytest.mark.parametrize("step", [None, 1, 3])
@pytest.mark.parametrize(("share", "optimizer"), [(0.6, None), (2.0, None), (1.2, "sgd")])
@pytest.mark.parametrize("name", sorted(NETS))
def test_no_larger_input_fits_either(name: str, share: float, optimizer: str | None, step: int | None) -> None:
    asked = Asked(name, optimizer)
    graph = asked.graph()
    memory = int(asked(1).peak * share)
    found = fit(graph, memory, asked, step=step)
    sizes = Sizes(graph, step)
    smallest = sizes.smallest * sizes.period
    tried = [sizes.input(number) for number in range(smallest, smallest + TRIED)]
    fitting = [shape for shape in tried if min(shape) > 0 and (asked.peak(1, shape) or memory + 1) <= memory]
    assert (found.input.fits.input if found.input else None) == (fitting[-1] if fitting else None)
    assert fitting[-1:] != tried[-1:]


@pytest.mark.parametrize("share", [0.5, 1, 7.3, 90])
def test_no_larger_batch_fits_either(share: float) -> None:
    asked = Asked("small")
    memory = int(asked(1).peak * share)
    found = fit(asked.graph(3), memory, asked).batch
    fitting = [batch for batch in range(1, 2 * (found.fits.batch if found else 0) + 20) if asked(batch).peak <= memory]
    assert (found.fits.batch if found else 0) == (fitting[-1] if fitting else 0)


@pytest.mark.parametrize("name", ["alexnet", "lenet5", "resnet18", "mobilenet_v2", "unet"])
def test_bundled_networks(name: str) -> None:
    memory = 2 * 10**9
    found = cnncost.fit(name, "2GB", train=True)

    def peak(batch: int, shape: tuple[int, ...]) -> int:
        return int(cnncost.memory(name, input=shape, batch=batch, train=True).peak)

    assert found.memory == memory
    for row in (found.batch, found.input, *found.frontier):
        check_found(row, memory, peak)
    assert len(found.frontier) >= 5
    sides = [row.fits.input[-1] for row in found.frontier]
    assert sides == sorted(sides, reverse=True), "larger batches, smaller inputs"


def test_it_computes_little_more_than_what_it_answers() -> None:
    asked = Asked("small")
    found = fit(asked.graph(), 100 * asked(1).peak, asked)
    assert len(set(asked.asked)) <= 2 * (len(found.frontier) + 1) + 6 + 4


@given(st.integers(-50, 50), st.integers(-60, 60), st.integers(-60, 0), st.integers(0, 60))
def test_boundary(last: int, start: int, low: int, high: int) -> None:
    """The last number up to which something holds, wherever one begins to look."""
    seen: list[int] = []

    def holds(number: int) -> bool:
        seen.append(number)
        return number <= last

    found = boundary(holds, start, low, high)
    assert found == (None if last < low else min(last, high))
    assert all(low <= number <= high for number in seen)


# ---- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "stride"), [("alexnet", 4 * 2 * 2 * 2), ("resnet50", 2**5), ("unet", 2**4), ("lenet5", 2 * 2)]
)
def test_inputs_differ_by_the_stride(name: str, stride: int) -> None:
    graph = cnncost.load(name)
    assert stride_of(graph) == stride
    sizes = Sizes(graph, None)
    own = sizes.own
    assert sizes.input(3) == (own[0], own[1] + 3 * stride, own[2] + 3 * stride)
    for number in (1, 5):
        cnncost.load(name, input=sizes.input(number))


def test_the_stride_is_that_of_all_branches(folder: Path) -> None:
    layers = "a: {conv: 4, kernel: 3, stride: 4}, b: {conv: 4, kernel: 6, stride: 6, from: input}"
    ends = "c: {global_avg_pool: , from: a}, d: {global_avg_pool: , from: b}, e: {add: [c, d]}"
    (folder / "branches.yaml").write_text(f"input: 3x32x32\nlayers: {{{layers}, {ends}}}\n")
    assert stride_of(cnncost.load("branches.yaml")) == 12


def test_where_larger_ones_cannot_run_the_last_that_can_is_the_answer() -> None:
    asked = Asked("small")

    def up_to_64(batch: int, shape: tuple[int, ...] | None = None) -> Memory:
        if shape is not None and max(shape) > 64:
            raise cnncost.ShapeError("larger than 64")
        return asked(batch, shape)

    found = fit(asked.graph(), 10**9, up_to_64)
    assert found.input == (Point(1, (3, 64, 64), asked.peak(1, (3, 64, 64))), None)
    text = fit_table(Shown(asked.graph(), room("1GB"), found, "fp32"))
    row = next(line for line in text.splitlines() if line.startswith("largest input"))
    assert row.split()[-2:] == ["-", "-"]
    assert "-: it cannot run at any larger size.\n" in text


def test_sides_keep_their_ratio() -> None:
    graph = cnncost.load("resnet18", input="3x224x320")
    sizes = Sizes(graph, None)
    inputs = [sizes.input(number) for number in range(-5, 60)]
    assert all(abs(high - wide * 224 / 320) <= 16 for _, high, wide in inputs)
    assert [wide for *_, wide in inputs] == list(range(320 - 5 * 32, 320 + 60 * 32, 32))
    assert all((high - 224) % 32 == 0 for _, high, _ in inputs)


def test_sizes_at_which_it_cannot_run_are_no_answers() -> None:
    asked = Asked("skip")
    found = fit(asked.graph(), 10 * asked(1).peak, asked, step=1)
    assert found.input.fits.input[1] % 4 == found.input.fits.input[2] % 4 == 0
    assert found.input.more.input[1] % 4 == 0, "the next at which it can run"


def test_parameters_that_grow_are_told() -> None:
    small, dense = Asked("small"), Asked("dense")
    assert not fit(small.graph(), 10**7, small).grows
    assert fit(dense.graph(), 10**7, dense).grows


def test_only_the_batch_is_varied_where_inputs_cannot_be(folder: Path, run: Any) -> None:
    (folder / "two.yaml").write_text("input: {a: 3x8x8, b: 3x8x8}\nlayers: {sum: {add: [a, b]}}\n")
    (folder / "flat.yaml").write_text("input: 12\nlayers: {fc: {linear: 3}}\n")
    (folder / "tied.yaml").write_text("input: 3x8x8\nlayers: {flat: {reshape: [192]}, fc: {linear: 3}}\n")
    for name, reason in (
        ("two", "the network has several inputs"),
        ("flat", "its input has no height and width"),
        ("tied", "at 3x9x9 it cannot run: "),
    ):
        result = run("fit", f"{name}.yaml", "--memory", "1MB", "--format", "json")
        record = json.loads(result.out)
        jsonschema.validate(record, fit_schema())
        assert record["fixed"].startswith(reason)
        assert record["largest_input"] is None
        assert record["largest_batch"]["fits"]["peak_bytes"] <= 10**6 < record["largest_batch"]["next"]["peak_bytes"]
        assert "Only the batch is varied: " in run("fit", f"{name}.yaml", "--memory", "1MB").out


# ---- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24GB", 24 * 10**9),
        ("24GiB", 24 * 2**30),
        ("24 gib", 24 * 2**30),
        ("1.5GiB", 3 * 2**29),
        ("512MiB", 2**29),
        ("512 MB", 512 * 10**6),
        ("1,024 KiB", 2**20),
        ("2TB", 2 * 10**12),
        ("123", 123),
        ("123B", 123),
        (123, 123),
    ],
)
def test_memory_as_people_write_it(text: object, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "GB", "24GG", "-1GB", "1e9", "24 GB RAM", "1.2.3GB", "12,34GB", True, None, 1.5])
def test_memory_that_is_none(text: object) -> None:
    with pytest.raises(cnncost.UsageError) as caught:
        parse_memory(text)
    assert caught.value.hint == "GB is 10^9 bytes and GiB 2^30: write 24GB, 24GiB or 512MiB"


def test_a_device_keeps_a_reserve() -> None:
    sheet = cnncost.load_device("rtx-4090")
    assert room(device="rtx-4090") == room(device=sheet) == (24 * 2**30, RESERVE, sheet)
    assert room(device="RTX 4090", reserve="2GB").free == 24 * 2**30 - 2 * 10**9
    assert room(memory="24GB") == (24 * 10**9, 0, None)
    assert room(memory="24GB", reserve="1GB").free == 23 * 10**9
    for name in device_names():
        device = cnncost.load_device(name)
        if device.memory is None:
            with pytest.raises(cnncost.UsageError, match="does not say its memory"):
                room(device=device)
        else:
            assert room(device=device).free == device.memory - RESERVE > 0


# ---- what people see ------------------------------------------------------------------------------


@pytest.fixture
def net(folder: Path) -> str:
    (folder / "small.yaml").write_text(NET)
    return "small.yaml"


@pytest.mark.parametrize(
    ("name", "code", "arguments"),
    [
        ("fit.txt", 0, "fit small.yaml --memory 2MB"),
        ("fit-training.txt", 0, "fit small.yaml --memory 2MiB --train --optimizer adam --batch 4 --input 3x32x64"),
        ("fit-device.txt", 0, "fit resnet50 --device rtx-4090 --train --optimizer adamw --autocast bf16 --batch 64"),
        ("fit-not.txt", 1, "fit small.yaml --memory 25KB"),
        ("fit-not-at-all.txt", 1, "fit small.yaml --memory 1KB"),
        ("fit-alexnet.txt", 1, "fit alexnet --memory 3GiB --train --batch 256 --no-legend"),
        ("fit.md", 0, "fit small.yaml --memory 2MB --format markdown"),
        ("fit.csv", 0, "fit small.yaml --memory 2MB --format csv"),
    ],
)
def test_whole_output(net: str, run: Any, golden: Any, name: str, code: int, arguments: str) -> None:
    result = run(*arguments.split())
    assert result.code == code
    assert result.err == ""
    assert max(map(len, result.out.splitlines())) <= 220
    golden(name, result.out)


def test_json_keeps_its_schema(net: str, run: Any) -> None:
    record = json.loads(run("fit", net, "--device", "gtx-580-3gb", "--train", "--format", "json").out)
    jsonschema.validate(record, fit_schema())
    assert record["memory_bytes"] == 3 * 2**30 - RESERVE
    assert record["device"] == "gtx-580-3gb"
    assert record["training"] == TrainingStep.of(foreach=True).record, "a GPU updates all parameters at once"
    found = cnncost.fit(net, device="gtx-580-3gb", train=True)
    assert record["largest_batch"]["fits"]["batch"] == found.batch.fits.batch
    assert [row["fits"]["input"] for row in record["frontier"]] == [list(row.fits.input) for row in found.frontier]


def test_a_gpu_updates_all_parameters_at_once(net: str) -> None:
    wide = {"set": {"width": 4000}, "train": True, "optimizer": "adam"}
    on_gpu, on_cpu = (cnncost.fit(net, **where, **wide).own.peak for where in ({"device": "h100"}, {"memory": "80GB"}))
    assert (on_gpu, on_cpu) == tuple(cnncost.memory(net, **wide, foreach=foreach).peak for foreach in (True, False))
    assert on_gpu != on_cpu


def test_csv_has_a_line_a_row(net: str, run: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(run("fit", net, "--memory", "2MB", "--format", "csv").out)))
    assert [int(row["batch"]) for row in rows] == [row.fits.batch for row in cnncost.fit(net, "2MB").frontier]
    assert all(int(row["peak_bytes"]) <= 2 * 10**6 < int(row["next_peak_bytes"]) for row in rows)


def test_exit_code_is_whether_it_fits_as_asked(net: str, run: Any) -> None:
    largest = cnncost.fit(net, "2MB").batch.fits.batch
    assert run("fit", net, "--memory", "2MB", "--batch", str(largest)).code == 0
    beyond = run("fit", net, "--memory", "2MB", "--batch", str(largest + 1))
    assert beyond.code == 1
    assert f"does not fit at batch {largest + 1}, 3x32x32: peak " in beyond.out
    assert beyond.err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("fit", "error: missing argument 'SPEC'\nhint: cnncost fit --help\n"),
        (
            "fit small.yaml",
            "error: no memory given\nhint: give one of the two: --memory 24GB or --device rtx-4090\n",
        ),
        (
            "fit small.yaml --memory 1GB --device rtx-4090",
            "error: a memory and a device given\nhint: give one of the two: --memory 24GB or --device rtx-4090\n",
        ),
        (
            "fit small.yaml --memory 24GO",
            "error: memory 24GO is no number of bytes\n"
            "hint: GB is 10^9 bytes and GiB 2^30: write 24GB, 24GiB or 512MiB\n",
        ),
        (
            "fit small.yaml --memory 9999999TB",
            "error: memory 9999999TB is more than 2^60 bytes\n"
            "hint: GB is 10^9 bytes and GiB 2^30: write 24GB, 24GiB or 512MiB\n",
        ),
        (
            "fit small.yaml --device rtx-4090 --reserve 24GiB",
            f"error: of {24 * 2**30:,} bytes {24 * 2**30:,} are reserved, and none are left\n"
            "hint: reserve less: --reserve 0\n",
        ),
        (
            "fit small.yaml --memory 1GB --reserve much",
            "error: reserve much is no number of bytes\n"
            "hint: GB is 10^9 bytes and GiB 2^30: write 24GB, 24GiB or 512MiB\n",
        ),
        ("fit small.yaml --memory 0", "error: of 0 bytes 0 are reserved, and none are left\n"),
        ("fit small.yaml --device rtx-9999", "error: unknown device rtx-9999\n"),
        ("fit small.yaml --memory 1GB --step 0", "invalid value for '--step': 0 is not in the range x>=1"),
        ("fit small.yaml --memory 1GB --optimizer adam", "--optimizer has no effect here\nhint: it goes with --train"),
        ("fit small.yaml --memory 1GB --train --freeze fcc", "error: no layer fcc in Small\nhint: did you mean fc?\n"),
        ("fit small.yaml --memory 1GB --batch 0", "batch must be a whole number of at least 1, got 0"),
        ("fit small.yaml --memory 1GB --input 3x2x2", "layer pool: a window of 2 is larger than its input of 1"),
        ("fit small.yaml --memory 1GB -o small.yaml --format csv", "a report over a spec would lose the spec"),
    ],
)
def test_bad_arguments(net: str, run: Any, arguments: str, message: str) -> None:
    result = run(*arguments.split())
    assert result.code == 2
    assert message in result.err
    assert result.out == ""


def test_out_of_place_less_fits(folder: Path, run: Any) -> None:
    (folder / "two.yaml").write_text(
        "input: 3x8x8\nlayers: {conv: {conv: 8, bias: false}, relu: {relu, inplace: true}}\n"
    )
    parameters, image, maps = (8 * 3 * 4, 3 * 64 * 4, 8 * 64 * 4)
    for options, each in (((), image + maps), (("--out-of-place",), image + 2 * maps)):
        record = json.loads(run("fit", "two.yaml", "--memory", "1MB", *options, "--format", "json").out)
        assert record["largest_batch"]["fits"]["batch"] == (10**6 - parameters) // each


def test_a_spec_is_read_once(net: str) -> None:
    with open(net, encoding="utf-8") as spec:
        line = [sys.executable, "-m", "cnncost", "fit", "-", "--memory", "2MB", "--format", "csv"]
        done = subprocess.run(line, stdin=spec, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1 + len(cnncost.fit(net, "2MB").frontier)


def test_a_graph_or_a_module_cannot_be_fitted(net: str) -> None:
    import torch

    for network in (cnncost.load(net), torch.nn.Linear(3, 3)):
        with pytest.raises(cnncost.UsageError, match="has its sizes, and fit looks for others"):
            cnncost.fit(network, "1GB")


def test_models_of_pytorch_are_traced_at_every_size(folder: Path, run: Any) -> None:
    text = "from torch import nn\nnet = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Dropout(), nn.ReLU())\n"
    (folder / "mine.py").write_text(text)
    asked = ("fit", "mine.py:net", "--input", "3x9x9", "--memory", "20KB", "--train", "--format", "json")
    record = json.loads(run(*asked).out)

    def peak(batch: int, shape: Any) -> int:
        return int(cnncost.memory("mine.py:net", input=tuple(shape), batch=batch, train=True).peak)

    for row in (record["largest_batch"], record["largest_input"], *record["frontier"]):
        fits, more = row["fits"], row["next"]
        assert fits["peak_bytes"] == peak(fits["batch"], fits["input"]) <= 20_000
        assert more["peak_bytes"] == peak(more["batch"], more["input"]) > 20_000


def test_what_is_done_is_told(net: str) -> None:
    told: list[tuple[int, int]] = []
    found = cnncost.fit(net, "2MB", watch=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(len(told)))
    assert len(told) in (len(found.frontier), len(found.frontier) + 1)
    assert len({total for _, total in told}) == 1


# ---- docs -----------------------------------------------------------------------------------------


def test_alexnets_tower_is_the_half_of_alexnet_and_what_comes_from_the_other() -> None:
    tower = cnncost.load(ROOT / "docs/alexnet_tower.yaml")
    whole = {node.name: node for node in cnncost.load("alexnet")}
    for node in tower:
        if node.name in whole and node.name not in ("conv3", "flatten", "fc8", "softmax"):
            assert (node.shape[0], 2 * node.shape[1], *node.shape[2:]) == whole[node.name].shape, node.name
    weights = {layer.name: layer.cost.weights for layer in cnncost.analyze(tower).layers}
    all_weights = {layer.name: layer.cost.weights for layer in cnncost.analyze("alexnet").layers}
    halved = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7")
    assert [2 * weights[name] for name in halved] == [all_weights[name] for name in halved]
    assert weights["fc8"] == all_weights["fc8"]
