"""The roofline: bounds by hand, laws on random layers, traffic against what ops say, fusion, sweeps, bad input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy
import pytest
from cases import CASES, Case
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cnncost
from cnncost.analysis import roofline as under_test
from cnncost.analysis import traffic
from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.roofline import ARITHMETIC, MEMORY, Ceilings, Roof, Roofline, fold, roofline, together, top
from cnncost.analysis.traffic import PASSES, Work, elementwise, tasks
from cnncost.devices import Device, Peak, all_devices, load
from cnncost.errors import UsageError
from cnncost.spec.files import bundled_names

H100, BF16 = "h100", 2
PEAK, CORES, BANDWIDTH = 989.4e12, 133.8e12, 3.35e12
"""Of an H100: MACs in bf16 on tensor cores, bf16 on cores, memory."""
NET = """\
input: 64x14x14
layers:
  pointwise: {conv: 256, kernel: 1, bias: false}
  depthwise: {depthwise_conv: 3, padding: 1, bias: false}
  relu: relu
  pool: {global_avg_pool, keep: false}
  fc: {linear: 1000}
"""


@pytest.fixture
def net(folder: Path) -> str:
    (folder / "net.yaml").write_text(NET)
    return "net.yaml"


def device(bandwidth: float | None = 100e9, **rates: float) -> Device:
    """A device of round figures: rates in FLOP/s by dtype on cores, tensor_ before those on tensor cores."""
    peaks = [
        Peak(name.removeprefix("tensor_"), "tensor cores" if "tensor" in name else "cores", None, rate, *[None] * 5)  # type: ignore[arg-type]
        for name, rate in rates.items()
    ]
    return Device("toy", "toy.yaml", "Toy", "Nobody", 2026, "gpu", tuple(peaks), {}, bandwidth=bandwidth)


def check_roof(roof: Roof, roofs: Ceilings, exact: bool = True) -> None:
    """The least time is at least that of both bounds, of a single pass the larger; the rate is under the roof."""
    assert roof.seconds >= max(roof.arithmetic_seconds, roof.memory_seconds)
    assert roof.memory_seconds == pytest.approx(roof.bytes / roofs.bandwidth)
    assert 0 <= roof.memory_bound <= roof.seconds
    ceiling = roofs.macs.rate if roof.macs else roofs.others.rate
    assert roof.arithmetic_seconds == pytest.approx(roof.flops / ceiling)
    if exact:
        assert roof.seconds == max(roof.arithmetic_seconds, roof.memory_seconds)
        assert roof.memory_bound in (0, roof.seconds)
    if roof.rate is not None and roof.intensity is not None:
        attainable = min(ceiling, roof.intensity * roofs.bandwidth)
        assert roof.rate <= attainable * (1 + 1e-9)
        assert not exact or roof.rate == pytest.approx(attainable)


# ---- by hand ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 256])
def test_layers_of_one_network_by_hand(net: str, batch: int) -> None:
    found = cnncost.roofline(net, H100, dtype="bf16", batch=batch)
    image = 14 * 14
    want = {  # MACs, FLOPs, elements read, elements written
        "pointwise": (n := batch * 256 * image * 64, 2 * n, batch * 64 * image + 64 * 256, batch * 256 * image),
        "depthwise": (n := batch * 256 * image * 9, 2 * n, batch * 256 * image + 256 * 9, batch * 256 * image),
        "relu": (0, batch * 256 * image, batch * 256 * image, batch * 256 * image),
        "pool": (0, batch * 256 * image, batch * 256 * image, batch * 256),
        "fc": (n := batch * 256 * 1000, 2 * n, batch * 256 + 256 * 1000 + 1000, batch * 1000),
    }
    for row in found.layers:
        macs, flops, read, written = want[row.name]
        assert (row.macs, row.flops) == (macs, flops)
        assert (row.read, row.written) == (BF16 * read, BF16 * written)
        ceiling = PEAK if macs else CORES
        assert row.seconds == pytest.approx(max(flops / ceiling, BF16 * (read + written) / BANDWIDTH))
        assert row.bound == MEMORY, "each is below the ridge, 295 FLOPs a byte"
    assert found["fc"].intensity == pytest.approx(2 * batch * 256_000 / BF16 / (batch * 1256 + 257_000))


def test_a_linear_layer_meets_the_ridge_as_the_batch_grows(folder: Path) -> None:
    (folder / "fc.yaml").write_text("input: 4096\nlayers: {fc: {linear: 4096, bias: false}}")
    one, many = (cnncost.roofline("fc.yaml", H100, dtype="bf16", batch=n)["fc"] for n in (1, 4096))
    assert one.bound == MEMORY
    assert one.intensity == pytest.approx(2 * 4096**2 / (BF16 * (4096**2 + 2 * 4096)))  # about 1
    assert many.bound == ARITHMETIC
    assert many.intensity == pytest.approx(2 * 4096**3 / (BF16 * 3 * 4096**2))  # 4096 / 3
    assert many.seconds == pytest.approx(2 * 4096**3 / PEAK)
    assert many.rate == pytest.approx(PEAK)


def test_alexnet_on_its_own_device_by_hand() -> None:
    """One of its GPUs: 16 SMs x 32 FMAs x 2 x 1.544 GHz; and 192.4 GB/s, as printed."""
    found = cnncost.roofline("alexnet", "gtx-580")
    peak, bandwidth = 16 * 32 * 2 * 1.544e9, 192.4e9
    conv2, fc6 = found["conv2"], found["fc6"]
    assert conv2.flops == 2 * (256 * 27 * 27) * (48 * 5 * 5)
    assert conv2.bytes == 4 * (96 * 27 * 27 + 256 * 48 * 5 * 5 + 256 + 256 * 27 * 27)
    assert (conv2.bound, conv2.seconds) == (ARITHMETIC, pytest.approx(conv2.flops / peak))
    assert fc6.bytes == 4 * (9216 + 9216 * 4096 + 4096 + 4096)
    assert (fc6.bound, fc6.seconds) == (MEMORY, pytest.approx(fc6.bytes / bandwidth))
    assert found.ceilings.ridge == pytest.approx(peak / bandwidth)
    assert [row.name for row in found.take_most] == ["fc6", "fc7", "conv2", "conv3", "conv4"]


def test_gradients_by_hand(folder: Path) -> None:
    (folder / "net.yaml").write_text(
        "input: 3x8x8\nlayers: {a: {conv: 16, kernel: 3, padding: 1}, bn: batch_norm, r: relu, p: {max_pool: 2}, "
        "b: {conv: 32, kernel: 1, bias: false}, c: {conv: 32, kernel: 1, from: p}, s: {add: [b, c]}, f: flatten}"
    )
    found = cnncost.roofline("net.yaml", device(fp32=1e12), batch=2, passes="backward")
    wide, half, out = 2 * 16 * 64, 2 * 16 * 16, 2 * 32 * 16
    a, b = 16 * 3 * 9, 32 * 16
    want = {  # MACs, elements read and, of 8 bytes, indices; elements written
        "a": (2 * 16 * 64 * 27, wide + 2 * 3 * 64, 0, a + 16),  # the input needs no gradient, nor then the weights
        "bn": (0, wide + wide + 2 * 16 + 2 * 16, 0, wide + 2 * 16),  # its input, statistics, scale and shift
        "r": (0, wide + wide, 0, wide),
        "p": (0, half + wide, half, wide),
        "b": (2 * out * 16, out + half + b, 0, b + half),
        "c": (2 * out * 16, out + half + b + 0, 0, b + 32 + half),
        "s": (0, 0, 0, 0),  # the gradient of a sum is that of its inputs
        "f": (0, 0, 0, 0),
    }
    for row in found.layers:
        macs, read, indices, written = want[row.name]
        assert (row.name, row.macs, row.read, row.written) == (row.name, macs, 4 * read + 8 * indices, 4 * written)
        assert row.flops == 2 * macs, "other operations of a backward pass are not counted"


def test_a_gradient_that_is_the_outputs_own_is_not_written(folder: Path) -> None:
    text = "input: 3x8x8\nlayers: {a: {conv: 4}, b: {conv: 4, from: input}, d: {subtract: [a, b]}}"
    (folder / "net.yaml").write_text(text)
    row = cnncost.roofline("net.yaml", H100, passes="backward")["d"]
    n = 4 * (4 * 64)
    assert (row.read, row.written) == (n, n), "that of b is its negative, that of a is itself"


def test_training_is_forward_and_backward(folder: Path) -> None:
    text = "input: 3x8x8\nlayers: {a: {conv: 4}, p: {max_pool: 2}, d: {dropout: 0.5}, g: {conv: 4}, bn: batch_norm}"
    (folder / "net.yaml").write_text(text)
    passes = {name: cnncost.roofline("net.yaml", device(fp32=1e12), passes=name) for name in PASSES}
    more = {  # bytes that only training moves: indices of maxima; dropout's input, factors and output; statistics
        "a": 0,
        "p": 8 * 4 * 16,
        "d": 4 * 3 * (4 * 16),
        "g": 0,
        "bn": 4 * 2 * 4,
    }
    for row in passes["train"].layers:
        parts = passes["forward"][row.name], passes["backward"][row.name]
        assert row.bytes == parts[0].bytes + parts[1].bytes + more[row.name]
        assert row.flops == parts[0].flops + parts[1].flops
        slower = more[row.name] / 100e9
        assert row.seconds == pytest.approx(parts[0].seconds + parts[1].seconds + slower)


# ---- laws -------------------------------------------------------------------------------------------


@st.composite
def networks(draw: Any) -> str:
    size = st.integers(1, 40)
    layers = {
        "conv": lambda: f"{{conv: {draw(size)}, kernel: {draw(st.integers(1, 3))}, padding: 1}}",
        "depthwise_conv": lambda: "{depthwise_conv: 3, padding: 1}",
        "batch_norm": lambda: "batch_norm",
        "relu": lambda: "relu",
        "gelu": lambda: "gelu",
        "lrn": lambda: "lrn",
        "max_pool": lambda: "{max_pool: 3, stride: 1, padding: 1}",
        "dropout": lambda: "dropout",
        "linear": lambda: f"{{linear: {draw(size)}}}",
        "softmax": lambda: "softmax",
    }
    names = draw(st.lists(st.sampled_from(sorted(layers)), min_size=1, max_size=6))
    lines = [f"  l{i}: {layers[name]()}" for i, name in enumerate(names)]
    return "\n".join([f"input: {draw(size)}x{draw(size)}x{draw(size)}", "layers:", *lines])


rates = st.floats(1e9, 1e15)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(networks(), st.integers(1, 300), rates, rates, rates, st.sampled_from(PASSES), st.booleans())
def test_laws_hold_on_random_networks(
    tmp_path: Path, text: str, batch: int, macs: float, others: float, bandwidth: float, passes: str, fuse: bool
) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(text)
    toy = device(bandwidth, fp32=others, tensor_tf32=macs)
    found = cnncost.roofline(path, toy, batch=batch, dtype="tf32", passes=passes, fuse=fuse and passes == "forward")
    assert (found.ceilings.macs.rate, found.ceilings.others.rate) == (macs, others)
    for row in found.layers:
        check_roof(row, found.ceilings, exact=passes != "train")
    assert found.total.seconds == pytest.approx(sum(row.seconds for row in found.layers))
    assert found.total.flops == sum(row.flops for row in found.layers)


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "mobilenet_v2", "googlenet"])
@pytest.mark.parametrize("key", [d.key for d in all_devices()])
def test_laws_hold_on_every_device(name: str, key: str) -> None:
    found = cnncost.roofline(name, key)
    assert found.layers
    for row in found.layers:
        check_roof(row, found.ceilings)


@pytest.mark.parametrize(
    ("owner", "name", "wrong"),
    [
        (under_test, "larger", lambda a, b: a + b - max(a, b)),
        (under_test, "larger", lambda a, b: a + b),
        (under_test, "larger", lambda a, b: a),
        (Work, "bytes", property(lambda self: self.written)),
        (Work, "flops", property(lambda self: self.macs)),
        (Ceilings, "macs", property(lambda self: self.others)),
    ],
)
def test_a_planted_fault_breaks_a_law(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, wrong: Any) -> None:
    graph, right = cnncost.load("alexnet"), roofline(cnncost.load("alexnet"), H100, "bf16")
    monkeypatch.setattr(owner, name, wrong)
    found = roofline(graph, H100, "bf16")
    monkeypatch.undo()
    with pytest.raises(AssertionError):
        for row in found.layers:
            check_roof(row, right.ceilings)


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "googlenet", "densenet121", "unet"])
def test_arrays_are_pointwise(name: str, passes: str) -> None:
    check_pointwise(name, passes, fuse=False)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "densenet121"])
def test_arrays_are_pointwise_where_layers_are_fused(name: str) -> None:
    check_pointwise(name, "forward", fuse=True)


def check_pointwise(name: str, passes: str, fuse: bool) -> None:
    batches = numpy.array([1, 5, 64])
    swept = cnncost.roofline(name, H100, batch=batches, dtype="bf16", passes=passes, fuse=fuse)
    assert swept.swept
    for i, batch in enumerate(batches):
        point = cnncost.roofline(name, H100, batch=int(batch), dtype="bf16", passes=passes, fuse=fuse)
        assert [row.layers for row in swept.layers] == [row.layers for row in point.layers]
        for all_, one in zip((*swept.layers, swept.total), (*point.layers, point.total)):
            for field in ("macs", "flops", "read", "written", "intensity", "rate", "seconds", "memory_bound"):
                here, there = getattr(all_, field), getattr(one, field)
                assert (here is None) == (there is None), (one.name, field)
                if there is not None:
                    assert numpy.broadcast_to(here, (3,))[i] == pytest.approx(there, rel=1e-12), (one.name, field)


def test_counts_that_int64_cannot_hold_are_refused_not_wrapped(folder: Path) -> None:
    text = "input: 64x512x512\nparameters: {w: 64}\nlayers: {a: {conv: w, kernel: 7}, b: {conv: w, kernel: 7}}"
    (folder / "wide.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"a count passes 2\^63"):
        cnncost.roofline("wide.yaml", H100, set={"w": numpy.array([64, 200_000])}, batch=256)


def test_counts_stay_whole_numbers(net: str) -> None:
    found = cnncost.roofline(net, H100, passes="train")
    for row in (*found.layers, found.total):
        assert {type(n) for n in (row.macs, row.flops, row.read, row.written)} == {int}
        assert type(row.seconds) is float


# ---- traffic ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "mobilenet_v2", "googlenet_aux", "inception_v3", "unet"])
def test_forward_moves_what_the_report_says(name: str) -> None:
    report = cnncost.analyze(name, batch=3, dtype="bf16")
    found = cnncost.roofline(name, H100, batch=3, dtype="bf16")
    for layer, row in zip(report.layers, found.layers, strict=True):
        assert (row.name, row.macs, row.bytes) == (layer.name, layer.macs, layer.moved_bytes)
        assert row.flops == (2 * layer.macs or layer.flops)


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "mobilenet_v2", "googlenet_aux", "inception_v3", "unet"])
def test_gradients_have_the_macs_of_training_cost(name: str) -> None:
    cost = cnncost.training_cost(name)
    found = cnncost.roofline(name, H100, batch=2, passes="backward").total
    assert found.macs == 2 * (cost.weight_gradients + cost.data_gradients)
    assert found.flops == 2 * found.macs


@pytest.mark.parametrize("case", [case for case in CASES if case.key != "roi_pool"], ids=str)
def test_what_is_kept_is_what_the_op_keeps(case: Case) -> None:
    """By the op's tape, with a gradient for every input, it is the bytes that it says autograd keeps.

    But for RoI pooling, of which each region is a part of the input: there it keeps all of that.
    """
    op, x = case.op(), case.shapes
    kept: dict[Any, int] = {}
    for n, each in enumerate(op.keeps(op.shape(*x), *x)):
        if each.elements:
            kept[n if each.what == "extra" else (each.what, each.index)] = each.elements * (each.itemsize or 4)
    assert traffic._Kept(op, op.shape(*x), x, (True,) * len(x)).bytes(4) == sum(kept.values())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_backward_pass_moves_at_least_what_it_makes(case: Case) -> None:
    op, x = case.op(), case.shapes
    y, params = op.shape(*x), op.weights(*x) + op.biases(*x) + op.other_params(*x)
    work = traffic._backward(op, y, x, (True,) * len(x), 4)
    nothing = traffic._backward(op, y, x, (False,) * len(x), 4)
    if not work.bytes:
        assert params == 0
        return
    assert work.written >= 4 * params
    assert work.read >= 4 * numpy.prod(y)
    assert nothing.written == 4 * params, "without a gradient for the input that of the parameters is left"


def test_tensors_that_a_traced_model_holds_move_with_those_that_take_them() -> None:
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(3, 6))

        def forward(self, x: Any) -> Any:
            return torch.exp(self.scale) + x

    graph = cnncost.trace(Net(), (3, 6))
    moved = {passes: {row.op: row.bytes for row in roofline(graph, H100, passes=passes).layers} for passes in PASSES}
    n = 4 * 3 * 6
    assert {ops["parameter"] for ops in moved.values()} == {0}
    assert [ops["exp"] for ops in moved.values()] == [2 * n, 3 * n, 5 * n]
    assert [ops["add"] for ops in moved.values()] == [3 * n, 0, 3 * n]


# ---- fusion -----------------------------------------------------------------------------------------


def fused_rows(folder: Path, layers: str, shape: str = "3x8x8") -> dict[str, Roof]:
    (folder / "net.yaml").write_text(f"input: {shape}\nlayers:\n{layers}")
    return {row.name: row for row in cnncost.roofline("net.yaml", H100, batch=2, fuse=True).layers}


def test_what_is_behind_a_convolution_moves_its_parameters_alone(folder: Path) -> None:
    rows = fused_rows(folder, "  conv: {conv: 16, kernel: 3}\n  bn: batch_norm\n  drop: dropout\n  relu: relu\n")
    (row,) = rows.values()
    assert (row.name, row.kind, row.layers) == ("conv", "conv 3x3 + batch_norm + relu", ("conv", "bn", "drop", "relu"))
    assert row.read == 4 * (2 * 3 * 64 + 16 * 28 + 4 * 16)
    assert row.written == 4 * (2 * 16 * 36)
    assert row.flops == 2 * (2 * 16 * 36 * 27), "with MACs in it, other operations are not counted"


def test_a_sum_reads_its_other_input(folder: Path) -> None:
    layers = "  a: {conv: 4, bias: false}\n  b: {conv: 4, bias: false, from: input}\n  s: {add: [b, a]}\n  r: relu\n"
    rows = fused_rows(folder, layers)
    n = 2 * 4 * 64
    assert [row.layers for row in rows.values()] == [("a",), ("b", "s", "r")], "it joins the last one that is made"
    assert rows["b"].read == 4 * (2 * 3 * 64 + 4 * 3 + n)
    assert rows["b"].written == 4 * n


def test_element_wise_layers_alone_are_one_pass(folder: Path) -> None:
    rows = fused_rows(folder, "  pool: {max_pool: 2}\n  bn: batch_norm\n  relu: relu\n  sig: sigmoid\n")
    n = 2 * 3 * 16
    assert [row.layers for row in rows.values()] == [("pool",), ("bn", "relu", "sig")]
    assert (rows["bn"].read, rows["bn"].written) == (4 * (n + 4 * 3), 4 * n)
    assert rows["bn"].flops == n * (2 + 1 + 3)


@pytest.mark.parametrize(
    ("why", "layers"),
    [
        ("read twice", "  a: {conv: 4}\n  r: relu\n  s: {add: [a, r]}\n"),
        ("an input twice", "  a: {conv: 4}\n  s: {add: [a, a]}\n"),
        ("not element-wise", "  a: {conv: 4}\n  s: softmax\n"),
        ("a window", "  a: {conv: 4}\n  p: {max_pool: 3, stride: 1, padding: 1}\n"),
        ("over channels", "  a: {conv: 4}\n  n: lrn\n"),
        ("of statistics", "  a: {conv: 4}\n  n: {batch_norm, track_running_stats: false}\n"),
        ("behind a pool", "  a: {max_pool: 2}\n  r: relu\n"),
        ("behind a view", "  a: {conv: 4}\n  f: flatten\n  r: relu\n"),
        ("of the network's input", "  d: dropout\n  r: relu\n"),
        ("stretched", "  g: global_avg_pool\n  e: {conv: 3}\n  m: {multiply: [input, e]}\n"),
        ("another layer with weights", "  a: {conv: 4}\n  b: {conv: 4}\n"),
        ("weights an element", "  a: {conv: 4}\n  b: {depthwise_conv: 1}\n"),
        ("concatenated", "  a: {conv: 4}\n  b: {conv: 4, from: input}\n  c: {concat: [a, b]}\n"),
    ],
)
def test_nothing_else_is_fused(folder: Path, why: str, layers: str) -> None:
    rows = fused_rows(folder, layers)
    apart = {row.name: row for row in cnncost.roofline("net.yaml", H100, batch=2).layers}
    if why == "read twice":  # the relu is read by the sum alone, the convolution by both
        assert [row.layers for row in rows.values()] == [("a",), ("r", "s")]
    else:
        assert rows == apart, why


@pytest.mark.parametrize("name", [name for i, name in enumerate(bundled_names()) if i % 9 == 0])
def test_fusing_never_takes_longer_and_loses_no_layer(name: str) -> None:
    apart = cnncost.roofline(name, H100, dtype="bf16", batch=4)
    fused = cnncost.roofline(name, H100, dtype="bf16", batch=4, fuse=True)
    assert sorted(layer for row in fused.layers for layer in row.layers) == sorted(row.name for row in apart.layers)
    assert fused.total.macs == apart.total.macs
    assert all(row.read >= 0 and row.written >= 0 for row in fused.layers)
    for row in fused.layers:
        parts = [apart[layer] for layer in row.layers]
        assert row.bytes <= sum(part.bytes for part in parts)
        assert row.seconds <= sum(part.seconds for part in parts) * (1 + 1e-12)
        assert row.written == parts[0].written, "element-wise layers write as much as they take"


def test_resnet_fuses_into_its_convolutions() -> None:
    rows = cnncost.roofline("resnet18", H100, fuse=True).layers
    kinds = {row.op for row in rows}
    assert kinds == {"conv", "max_pool", "global_avg_pool", "flatten", "linear"}
    assert len([row for row in rows if row.op == "conv"]) == 1 + 8 * 2 + 3


def test_element_wise_is_by_what_outputs_see() -> None:
    ops = {case.key for case in CASES if elementwise(case.op(), case.op().shape(*case.shapes), case.shapes)}
    assert {"relu", "batch_norm", "prelu", "scale", "add", "multiply", "dropout"} <= ops
    assert not ops & {"conv", "linear", "softmax", "lrn", "layer_norm", "group_norm", "max_pool", "concat", "pad"}


# ---- folding, ranking, measured times ---------------------------------------------------------------


def test_blocks_and_kinds_add_up() -> None:
    found = cnncost.roofline("resnet50", H100, dtype="bf16", batch=32)
    for by in ("layer", "block", "op"):
        rows = fold(found, by)
        folded = together("total", rows)
        assert folded[:3] == found.total[:3]
        assert sorted(folded.layers) == sorted(found.total.layers)
        assert folded[4:12] == pytest.approx(found.total[4:12])
        assert len(top(rows, 3)) == 4
        assert top(rows, len(rows) - 1) == rows, "a single other row stays itself"
        assert together("total", top(rows, 3)).seconds == pytest.approx(found.total.seconds)
    blocks = {row.name: row for row in fold(found, "block")}
    inside = [row for row in found.layers if row.name.startswith("conv5_x.")]
    assert blocks["conv5_x"].seconds == sum(row.seconds for row in inside)
    by_memory = sum(row.seconds for row in inside if row.bound == MEMORY)
    assert blocks["conv5_x"].memory_bound == pytest.approx(by_memory)
    assert blocks["conv5_x"].bound == f"{round(100 * by_memory / blocks['conv5_x'].seconds)}% memory"


def test_nearly_all_is_not_all() -> None:
    roof = Roof("a", "conv", "conv", ("a",), 1, 2, 1, 1, 0.0, 0.0, seconds=1.0, memory_bound=0.999)
    assert roof.bound == "99% memory"
    assert roof._replace(memory_bound=0.001).bound == "1% memory"
    assert roof._replace(memory_bound=0.0).bound == ARITHMETIC
    assert roof._replace(seconds=0.0).bound is None


def test_measured_times_stand_beside_the_least() -> None:
    plain = cnncost.roofline("alexnet", H100)
    times = {"conv2": 2 * plain["conv2"].seconds, "fc6": 4 * plain["fc6"].seconds}
    found = cnncost.roofline("alexnet", H100, measured=times)
    assert found["conv2"].attained == pytest.approx(1 / 2)
    assert found["conv2"].measured_rate == pytest.approx(found["conv2"].rate / 2)
    assert found["conv3"].attained is None
    least = plain["conv2"].seconds + plain["fc6"].seconds
    assert found.total.attained == pytest.approx(least / sum(times.values())), "of the layers that were measured"
    block = together("both", [found["conv2"], found["conv3"]])
    assert (block.measured, block.attained) == (times["conv2"], pytest.approx(1 / 2))


def test_measured_times_of_fused_layers_are_added() -> None:
    times = {"conv1": 3e-5, "relu1": 1e-5, "relu2": 1e-5}
    found = cnncost.roofline("alexnet", H100, fuse=True, measured=times)
    assert found["conv1"].measured == pytest.approx(4e-5)
    assert found["conv2"].measured is None, "its convolution was not measured"


# ---- ceilings ---------------------------------------------------------------------------------------


def test_macs_have_the_tensor_cores_and_others_the_cores() -> None:
    roofs = cnncost.roofline("lenet5", H100, dtype="bf16").ceilings
    assert (roofs.macs.unit, roofs.macs.rate) == ("tensor cores", PEAK)
    assert (roofs.others.unit, roofs.others.rate) == ("cores", CORES)
    assert roofs.ridge == pytest.approx(PEAK / BANDWIDTH)


@pytest.mark.parametrize(
    ("key", "dtype", "macs", "others"),
    [
        ("h100", "fp32", ("fp32", "cores"), ("fp32", "cores")),
        ("h100", "tf32", ("tf32", "tensor cores"), ("fp32", "cores")),
        ("h100", "int8", ("int8", "tensor cores"), ("fp32", "cores")),
        ("h100", "fp64", ("fp64", "tensor cores"), ("fp64", "cores")),
        ("ryzen-9-7950x", "fp32", ("fp32", "vector units"), ("fp32", "vector units")),
    ],
)
def test_ceilings_by_dtype(key: str, dtype: str, macs: tuple[str, str], others: tuple[str, str]) -> None:
    roofs = under_test.ceilings(load(key), dtype)
    assert (roofs.macs.dtype, roofs.macs.unit) == macs
    assert (roofs.others.dtype, roofs.others.unit) == others


def test_sums_in_another_dtype_are_another_ceiling() -> None:
    narrow, usual = (under_test.ceilings(load("rtx-4090"), "fp16", sums).macs for sums in ("fp16", None))
    assert (narrow.accumulate, usual.accumulate) == ("fp16", "fp32")
    assert narrow.rate == pytest.approx(2 * usual.rate, rel=1e-3), "as both are printed"


def test_of_several_cores_the_fastest_count() -> None:
    toy = device(fp32=1e12)
    twice = replace(toy, peaks=(*toy.peaks, toy.peaks[0]._replace(rate=3e12), toy.peaks[0]._replace(rate=2e12)))
    assert under_test.ceilings(twice, "fp32").others.rate == 3e12


def test_at_the_ridge_itself_memory_bounds(folder: Path) -> None:
    (folder / "net.yaml").write_text("input: 8x16x16\nlayers: {r: relu}")
    row = cnncost.roofline("net.yaml", device(8e9, fp32=1e9))["r"]
    assert row.arithmetic_seconds == row.memory_seconds
    assert row.bound == MEMORY


def test_a_sheet_of_tensor_cores_alone_has_one_ceiling() -> None:
    roofs = under_test.ceilings(device(tensor_fp16=1e12), "fp16")
    assert roofs.macs == roofs.others


BAD: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: cnncost.roofline("lenet5", device(None, fp32=1e12)),
        "the sheet of Toy has no bandwidth\nhint: add bandwidth to the sheet, or take another device: cnncost devices",
    ),
    (
        lambda: cnncost.roofline("lenet5", "gtx-580", dtype="bf16"),
        "GeForce GTX 580 has no peak rate for bf16\nhint: its sheet has fp32, fp64",
    ),
    (
        lambda: cnncost.roofline("lenet5", H100, dtype="bf16", accumulate="fp64"),
        "H100 SXM5 has no peak rate for bf16 with sums in fp64\nhint: its sheet has fp64, fp32, fp16, bf16, tf32, fp8, "
        "int8",
    ),
    (lambda: cnncost.roofline("lenet5", "h10"), "unknown device h10\nhint: did you mean h100 or h100-pcie?"),
    (lambda: cnncost.roofline("lenet5", H100, dtype="bf61"), "unknown dtype bf61\nhint: did you mean bf16?"),
    (
        lambda: cnncost.roofline("lenet5", H100, passes="backwards"),
        "unknown pass backwards\nhint: did you mean backward?",
    ),
    (
        lambda: cnncost.roofline("lenet5", H100, passes="train", fuse=True),
        "fuse has no effect on train\nhint: training keeps what fusing would leave out: take the forward pass",
    ),
    (
        lambda: cnncost.roofline("alexnet", H100, measured={"conv22": 1e-3}),
        "measured: AlexNet has no layer conv22\nhint: did you mean conv2?",
    ),
    (
        lambda: cnncost.roofline("lenet5", H100, measured={"C1": -1.0}),
        "measured: C1 took -1.0\nhint: give seconds, above 0",
    ),
    (
        lambda: cnncost.roofline("lenet5", H100, measured={"C1": float("nan")}),
        "measured: C1 took nan\nhint: give seconds, above 0",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message.split("\n")[0] for _, message in BAD])
def test_bad_input(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        call()
    assert str(error.value) == message


def test_every_dtype_has_bytes_and_they_scale() -> None:
    graph = cnncost.load("lenet5")
    moved = {dtype: sum(task.passes[0].bytes for task in tasks(graph, size)) for dtype, size in DTYPES.items()}
    assert all(moved[dtype] == size * moved["int8"] for dtype, size in DTYPES.items())


def test_it_says_what_it_is() -> None:
    found = cnncost.roofline("alexnet", H100, dtype="bf16", batch=8)
    assert isinstance(found, Roofline)
    assert repr(found) == "<Roofline of AlexNet on H100 SXM5: 24 layers, bf16, batch=8>"
    assert str(found).startswith("AlexNet (2012) on H100 SXM5\n")
    swept = cnncost.roofline("alexnet", H100, batch=numpy.array([1, 2]))
    assert str(swept) == repr(swept)
    with pytest.raises(KeyError):
        found["conv9"]
