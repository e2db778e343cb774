"""What training and testing cost: gradients against autograd, runs by hand, texts, and the report's blocks."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count

import cnncost
from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.runs import SECONDS, parse_run, published_runs
from cnncost.analysis.training import evaluation_cost, training_cost
from cnncost.devices import names
from cnncost.errors import UsageError
from cnncost.graph import Graph
from cnncost.live.build import build
from cnncost.output.schema import schema
from cnncost.spec.files import bundled_names

RUN = "2x gtx-580, 90 epochs, 1.2M images, 5 to 6 days"


def graph_of(tmp_path: Any, text: str, **options: Any) -> Graph:
    path = tmp_path / "net.yaml"
    path.write_text(text)
    return cnncost.load(path, **options)


# ---- gradients, against autograd ---------------------------------------------------------------


def conv_backward(grad: Any, x: Any, w: Any, _bias: Any, *args: Any, out_shape: Any = None, **_: Any) -> int:
    """Two FLOPs a MAC for each gradient that autograd asks for.

    As a formula of PyTorch's counter, in place of its own, which is wrong for grouped convolutions.
    """
    transposed, wanted = args[3], args[6]
    return sum(wanted[:2]) * conv_flop_count(x, w, grad, transposed=transposed)


def by_autograd(graph: Graph) -> tuple[int, int]:
    """(MACs of the forward pass, of the backward pass) that PyTorch runs, for the whole batch."""
    network = build(graph, device="meta").train()
    inputs = [torch.empty(shape, device="meta") for shape in graph.inputs.values()]
    formulas = {torch.ops.aten.convolution_backward: conv_backward}
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        out = network(*inputs)
        forward = counter.get_total_flops()
        sum(t.sum() for t in (out.values() if isinstance(out, dict) else (out,))).backward()
        both = counter.get_total_flops()
    return forward // 2, (both - forward) // 2


NETWORKS = [
    *("alexnet", "lenet5", "vgg11_bn", "googlenet_aux", "inception_v3", "resnet18", "resnet50", "densenet121", "dcgan"),
    *("squeezenet1_1", "mobilenet_v2", "shufflenet_v2_x1_0", "resnext50_32x4d", "efficientnet_b0", "convnext_tiny"),
    *("regnet_y_400mf", "xception", "unet", "ssd300", "fcn8s", "highway10", "autoencoder_784", "faster_rcnn_vgg16"),
]


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_that_autograd_computes(name: str) -> None:
    graph = cnncost.load(name, batch=2)
    cost = training_cost(graph)
    forward, backward = by_autograd(graph)
    assert (2 * cost.forward, 2 * (cost.weight_gradients + cost.data_gradients)) == (forward, backward)


LAYERS = {
    "groups": "a: {conv: 8, kernel: 3}\n  b: {conv: 8, kernel: 3, groups: 4}",
    "depthwise first": "a: {depthwise_conv: 3, multiplier: 2}\n  b: {conv: 5}",
    "transposed": "a: {transposed_conv: 6, kernel: 3, stride: 2}\n  b: {transposed_conv: 4, kernel: 2}",
    "local": "a: {local_conv: 4, kernel: 3}\n  b: {local_conv: 4, kernel: 3}",
    "partial": "a: {conv: 3}\n  b: {partial_conv: [[0, 1], [1, 2], [0, 1, 2]], kernel: 3}",
    "a norm learns, so what follows has a gradient": "n: batch_norm\n  a: {conv: 4}",
    "a slope learns too": "n: prelu\n  a: {conv: 4}",
    "nothing learned before": "n: {batch_norm, affine: false}\n  r: relu\n  a: {conv: 4}",
    "two first layers": "a: {conv: 4}\n  b: {conv: 4, from: input}\n  c: {concat: [a, b]}\n  d: {conv: 2}",
    "reuse": "a: {conv: 3}\n  b: {conv: 3, kernel: 3, padding: 1}\n  c: {reuse: b}",
    "a product of two that are learned": "a: {conv: 7}\n  b: {conv: 9, from: input}\n"
    "  t: {permute: [0, 1, 3, 2], from: b}\n  p: {conv: 9, from: input}\n  m: {matmul: [p, t]}",
    "a product with the input": "a: {conv: 3}\n  t: {permute: [0, 1, 3, 2], from: input}\n  m: {matmul: [a, t]}",
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_gradients_of_small_networks(tmp_path, layers: str) -> None:
    graph = graph_of(tmp_path, f"input: 3x11x9\nlayers:\n  {layers}\n", batch=3)
    cost = training_cost(graph)
    forward, backward = by_autograd(graph)
    assert (3 * cost.forward, 3 * (cost.weight_gradients + cost.data_gradients)) == (forward, backward)
    assert cost.data_gradients > 0 or "nothing" in layers or backward == forward


class Attention(torch.nn.Module):
    """Of 5 tokens of 8 features, by one operator; `apart` by two products."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        self.q, self.k, self.v = (torch.nn.Linear(8, 8) for _ in range(3))
        self.apart = apart

    def forward(self, x: Any) -> Any:
        q, k, v = self.q(x), self.k(x), self.v(x)
        if not self.apart:
            return torch.nn.functional.scaled_dot_product_attention(q, k, v)
        return torch.matmul(torch.softmax(torch.matmul(q, k.transpose(-1, -2)), -1), v)


@pytest.mark.parametrize("apart", [False, True])
def test_attention_has_a_gradient_for_each_factor_of_its_products(apart: bool) -> None:
    cost = training_cost(cnncost.trace(Attention(apart), (2, 5, 8)))
    products = 2 * (5 * 5 * 8)
    assert cost.weight_gradients == 3 * (5 * 8 * 8)
    assert cost.data_gradients == 2 * products, "the linear layers take the network's input, which needs none"


def test_computed_weights_have_a_gradient_and_computed_biases_no_macs() -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w, self.b = torch.nn.Parameter(torch.ones(4, 3, 3, 3)), torch.nn.Parameter(torch.ones(4))

        def forward(self, x: Any) -> Any:
            return torch.nn.functional.conv2d(x, self.w * 2, self.b * 2)

    cost = training_cost(cnncost.trace(Net(), (1, 3, 9, 9)))
    assert (cost.forward, cost.weight_gradients, cost.data_gradients) == (4 * 7 * 7 * 27, 0, 4 * 7 * 7 * 27)


def test_a_chain_of_two_by_hand(tmp_path) -> None:
    graph = graph_of(tmp_path, "input: 3x8x8\nlayers: {a: {conv: 4, kernel: 3}, b: {conv: 5}}")
    first, second = 4 * 6 * 6 * (3 * 3 * 3), 5 * 6 * 6 * 4
    cost = training_cost(graph)
    assert (cost.forward, cost.weight_gradients, cost.data_gradients) == (first + second, first + second, second)
    assert (cost.macs, cost.simple_macs) == (2 * first + 3 * second, 3 * (first + second))


def test_the_batch_does_not_change_an_image() -> None:
    assert training_cost(cnncost.load("alexnet", batch=7)) == training_cost(cnncost.load("alexnet"))


@pytest.mark.parametrize("name", bundled_names())
def test_no_network_costs_more_than_three_times_forward(name: str) -> None:
    cost = training_cost(cnncost.load(name))
    assert 2 * cost.forward <= cost.macs <= cost.simple_macs


# ---- runs --------------------------------------------------------------------------------------


def test_alexnet_by_hand() -> None:
    cost = training_cost(cnncost.load("alexnet"), RUN)
    (priced,) = cost.runs
    conv1 = 96 * 55 * 55 * 3 * 11 * 11
    assert cost.macs == 3 * 724_406_816 - conv1
    assert priced.macs == 90 * 1_200_000 * cost.macs
    peak = 2 * 512 * 2 * 1.544e9
    assert priced.peak_rate == pytest.approx(peak)
    assert priced.ideal_seconds == pytest.approx(2 * priced.macs / peak)
    assert priced.simple_utilisation == pytest.approx(
        [2 * 90 * 1.2e6 * 3 * 724_406_816 / peak / (days * 86_400) for days in (6, 5)]
    )
    assert [round(100 * share) for share in priced.simple_utilisation or ()] == [29, 34]


def test_resnet50_in_224_seconds() -> None:
    """Mikami et al. 2018: 2,176 V100 with fp16 on tensor cores are used to less than a twentieth."""
    text = "2,176x v100, 90 epochs, 1,281,167 images, 224 seconds, fp16"
    (priced,) = training_cost(cnncost.load("resnet50"), text).runs
    flops = 2 * 90 * 1_281_167 * 3 * 4_089_184_256
    assert priced.simple_utilisation == pytest.approx([flops / 224 / (2176 * 125e12)] * 2)
    assert 0.045 < (priced.utilisation or (0,))[0] < 0.047


def test_a_run_without_a_time_has_no_utilisation() -> None:
    (priced,) = training_cost(cnncost.load("lenet5"), "7950x, 20 epochs, 60,000 images").runs
    assert (priced.utilisation, priced.simple_utilisation, priced.run.number) == (None, None, 1)
    assert priced.ideal_seconds > 0


def test_the_runs_that_facts_tell_of() -> None:
    runs = published_runs(cnncost.load("alexnet"))
    assert [(run.number, run.device.key, run.epochs, run.images, run.seconds) for run in runs] == [
        (2, "gtx-580-3gb", 90, 1_200_000, (5 * 86_400, 6 * 86_400))
    ]
    assert runs[0].source == "Krizhevsky, Sutskever, Hinton, NIPS 2012, section 5"
    fp16 = [run for run in published_runs(cnncost.load("resnet50")) if run.dtype == "fp16"]
    assert [(run.number, run.device.key, run.time) for run in fp16] == [(2176, "v100", "224 seconds")]


@pytest.mark.parametrize("name", bundled_names())
def test_told_devices_and_times_are_understood(name: str) -> None:
    for fact in cnncost.load(name).facts:
        if "devices" in fact:
            assert parse_run(f"{fact['devices']}, 1 epoch, 1 image").number >= 1
        if "training_time" in fact:
            assert parse_run(f"v100, 1 epoch, 1 image, {fact['training_time']}").seconds


TOLD = [name for name in bundled_names() if any("devices" in fact for fact in cnncost.load(name).facts)]


@pytest.mark.parametrize("name", TOLD)
def test_no_told_run_beats_the_peak(name: str) -> None:
    for priced in training_cost(cnncost.load(name), "published").runs:
        assert priced.utilisation and priced.simple_utilisation
        assert 0.01 < priced.utilisation[0] <= priced.utilisation[1] < 0.8
        assert priced.utilisation[1] <= priced.simple_utilisation[1]


def test_facts_that_tell_too_little(tmp_path) -> None:
    spec = "paper: p\nname: net\ninput: 3x8x8\nlayers: {a: {conv: 4}}\n"
    with pytest.raises(UsageError) as e:
        training_cost(graph_of(tmp_path, spec), "paper")
    hint = 'hint: write it: "2x gtx-580, 90 epochs, 1.2M images, 5 to 6 days"'
    assert str(e.value) == f"net: no training run to price: its facts have none\n{hint}"
    fact = "facts: [{training_time: 1 week, epochs: 3}]\n"
    with pytest.raises(UsageError) as e:
        training_cost(graph_of(tmp_path, spec + fact), "published")
    assert str(e.value) == f"net: no training run to price: the one in its facts has no devices, images\n{hint}"


def test_arrays_of_sizes_are_refused() -> None:
    graph = cnncost.load("lenet5", batch=numpy.array([1, 2]))
    for price in (training_cost, evaluation_cost):
        with pytest.raises(UsageError, match="for one network"):
            price(graph)


# ---- texts -------------------------------------------------------------------------------------

whole = st.integers(1, 10**9)
amounts = st.integers(1, 999).flatmap(lambda n: st.sampled_from([(str(n), n), (f"{n}.5", n + 0.5)]))
times = st.tuples(
    amounts, amounts, st.sampled_from(list(SECONDS)), st.booleans(), st.sampled_from([" to ", "-", " - "])
)
counts = whole.flatmap(lambda n: st.sampled_from([str(n), f"{n:,}"]).map(lambda text: (text, n)))


@st.composite
def told_runs(draw: Any) -> tuple[str, tuple[Any, ...]]:
    """A run as text, and what it says."""
    number, key = draw(st.integers(1, 9999)), draw(st.sampled_from(names()))
    device = draw(
        st.sampled_from([f"{number}x {key}", f"{number:,} x {key.upper()}", f"{number} X {key.replace('-', ' ')}"])
    )
    (epochs, n_epochs), (images, n_images) = draw(counts), draw(counts)
    parts = [device, f"{epochs} {draw(st.sampled_from(['epochs', 'epoch', 'Epochs']))}", f"{images} images"]
    (least, a), (most, b), unit, is_range, dash = draw(times)
    seconds = None
    if draw(st.booleans()):
        (least, a), (most, b) = sorted([(least, a), (most, b)], key=lambda amount: amount[1])
        parts.append(f"{least}{dash}{most} {unit}s" if is_range else f"{least} {unit}s")
        seconds = (a * SECONDS[unit], (b if is_range else a) * SECONDS[unit])
    dtype = draw(st.sampled_from([None, *DTYPES]))
    parts += [dtype] if dtype else []
    return ", ".join(draw(st.permutations(parts))), (number, key, n_epochs, n_images, dtype or "fp32", seconds)


@given(told_runs())
def test_runs_are_read_as_they_are_told(told: tuple[str, tuple[Any, ...]]) -> None:
    text, expected = told
    run = parse_run(text)
    assert (run.number, run.device.key, run.epochs, run.images, run.dtype) == expected[:5]
    assert run.seconds == (None if expected[5] is None else pytest.approx(expected[5]))


@given(st.text(st.sampled_from("0123456789x, .epochimagsdyt-KM\n\0é"), max_size=60))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    try:
        assert parse_run(text).number >= 1
    except UsageError as e:
        assert e.hint and "\n" not in e.message


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("224 seconds", (224, 224)),
        ("1.5 minutes", (90, 90)),
        ("1 hour", (3600, 3600)),
        ("5 to 6 days", (5 * 24 * 3600, 6 * 24 * 3600)),
        ("2-3 weeks", (14 * 24 * 3600, 21 * 24 * 3600)),
    ],
)
def test_times(time: str, seconds: tuple[float, float]) -> None:
    assert parse_run(f"v100, 1 epoch, 1 image, {time}").seconds == seconds


def test_the_dtype_is_the_reports_unless_the_run_names_one() -> None:
    assert parse_run("v100, 1 epoch, 1 image", "fp16").dtype == "fp16"
    assert parse_run("v100, 1 epoch, 1 image, fp32", "fp16").dtype == "fp32"


EXAMPLE = 'hint: write "2x gtx-580, 90 epochs, 1.2M images, 5 to 6 days"'
SLIPS = [
    ("2x gtx-58, 90 epochs, 1.2M images", "unknown device gtx-58\nhint: did you mean gtx-580 or gtx-580-3gb?"),
    ("k80, batch 128", f"batch 128 is no known device, nor epochs, images, a time or a dtype\n{EXAMPLE}"),
    ("2x k80 9 epochs", f"2x k80 9 epochs is no known device, nor epochs, images, a time or a dtype\n{EXAMPLE}"),
    ("90 epochs, 1.2M images", f"no devices\n{EXAMPLE}"),
    ("2x k80, 1.2M images", f"no epochs\n{EXAMPLE}"),
    ("2x k80, 90 epochs", f"no images\n{EXAMPLE}"),
    ("", f"it is empty\n{EXAMPLE}"),
    ("2x k80, , 3 days", f"nothing between two commas\n{EXAMPLE}"),
    ("2x k80, 90 epochs, 9 epochs", f"epochs given twice\n{EXAMPLE}"),
    ("k80, v100", f"devices given twice\n{EXAMPLE}"),
    ("k80, 90 eopchs", "90 eopchs is not understood\nhint: did you mean epochs?"),
    ("k80, 3 fortnights",
     "3 fortnights is not understood\nhint: known here: epochs, images, seconds, minutes, hours, days, weeks"),
    ("k80, 6 to 5 days", "6 to 5 days: the longer time comes first\nhint: write 5 to 6 days"),
    ("k80, 0 days", "0 days: not a time\nhint: write 224 seconds, 3 weeks, or 5 to 6 days"),
    ("k80, 1.2.3 days", "1.2.3 days: not a time\nhint: write 224 seconds, 3 weeks, or 5 to 6 days"),
    ("k80, 1.5 epochs", "1.5 epochs: not a whole number of at least 1\nhint: write 90, 1.2M or 1,281,167"),
    ("k80, 0 images", "0 images: not a whole number of at least 1\nhint: write 90, 1.2M or 1,281,167"),
    ("0x k80", "0x k80: not a number of devices\nhint: write 2x gtx-580"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), SLIPS, ids=[text or "empty" for text, _ in SLIPS])
def test_a_slip_in_a_run_is_one_message(text: str, message: str) -> None:
    with pytest.raises(UsageError) as e:
        parse_run(text)
    assert str(e.value) == f'training run "{text}": {message}'


def test_a_device_without_a_rate_for_the_dtype() -> None:
    with pytest.raises(UsageError) as e:
        training_cost(cnncost.load("lenet5"), "k80, 1 epoch, 1 image, fp16")
    assert str(e.value) == "Tesla K80 has no peak rate for fp16\nhint: its sheet has fp32, fp64"


# ---- testing -----------------------------------------------------------------------------------


def test_googlenet_with_144_crops_and_7_models() -> None:
    """Szegedy et al. 2015, table 3: 1008 passes an image."""
    graph = cnncost.load("googlenet", batch=4)
    cost = evaluation_cost(graph, 144, 7, "RTX 4090", "fp16")
    forward = cnncost.analyze("googlenet").total.macs
    assert (cost.passes, cost.macs, cost.flops) == (1008, 1008 * forward, 2 * 1008 * forward)
    assert cost.ideal_seconds == pytest.approx(2 * 1008 * forward / 165.2e12)
    assert evaluation_cost(graph).macs == forward
    assert evaluation_cost(graph).ideal_seconds is None
    with pytest.raises(UsageError, match="crops must be a whole number of at least 1, got 0"):
        evaluation_cost(graph, crops=0)


# ---- the report --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("report-training.txt", ["alexnet", "--train-run", RUN, "--crops", "10", "--by", "op"]),
        ("report-training.md", ["alexnet", "--train-run", RUN, "--by", "op", "--format", "markdown"]),
        ("report-published.txt", ["resnet50", "--train-run", "published", "--by", "op"]),
        ("report-testing.txt", ["googlenet", "--crops", "144", "--models", "7", "--device", "rtx-4090", "--dtype",
                                "fp16", "--by", "op"]),
    ],
)  # fmt: skip
def test_the_blocks_of_a_report(run, golden, name: str, arguments: list[str]) -> None:
    result = run("report", *arguments)
    assert (result.code, result.err) == (0, "")
    golden(name, result.out)


def test_blocks_fit_a_terminal() -> None:
    from cnncost.output.tables import Paper
    from cnncost.output.training import Extra

    graph = cnncost.load("alexnet")
    extra = Extra(training_cost(graph, RUN), evaluation_cost(graph, 144, 7, "ryzen 9 7950x"))
    text = Paper(width=80).print(*extra.renderables)
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "utilisation in 5 to 6 days" in text


def test_a_run_faster_than_its_devices_is_remarked_on() -> None:
    from cnncost.output.training import Extra

    graph = cnncost.load("alexnet")
    slow, fast = (
        Extra(training_cost(graph, RUN.replace("5 to 6 days", time)), None) for time in ("40 hours", "1 hour")
    )
    assert not any("More than 100%" in note for note in slow.blocks[0].notes)
    assert any("More than 100%" in note for note in fast.blocks[0].notes)
    [[exact, _]] = [cells for label, *cells in fast.blocks[0].rows if label.startswith("utilisation")]
    assert exact.startswith("3,9")  # 39.2 hours at peak in one


def test_json_has_the_costs_where_they_are_asked_for(run) -> None:
    plain = json.loads(run("report", "alexnet", "--format", "json").out)
    assert not {"training", "testing"} & set(plain)
    costs = ["--train-run", RUN, "--crops", "10", "--device", "v100"]
    report = json.loads(run("report", "alexnet", "--format", "json", "--batch", "128", *costs).out)
    jsonschema.validate(report, schema())
    cost = training_cost(cnncost.load("alexnet"), RUN)
    training, testing = report["training"], report["testing"]
    assert training["macs_per_image"] == cost.macs
    assert training["macs_per_image"] == sum(
        training[f"{part}_macs_per_image"] for part in ("forward", "weight_gradient", "data_gradient")
    )
    (told,) = training["runs"]
    assert told["macs"] == 90 * 1_200_000 * cost.macs
    assert told["utilisation"] == pytest.approx(cost.runs[0].utilisation)
    assert (told["device"], told["seconds"]) == ("gtx-580", [5 * 86_400, 6 * 86_400])
    assert (testing["passes"], testing["macs"], testing["device"]) == (10, 10 * cost.forward, "v100")
    assert testing["seconds_at_peak"] == pytest.approx(2 * 10 * cost.forward / 15.7e12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "csv", "--train-run", RUN],
         "--train-run has no effect on csv\nhint: csv has layers alone; choose another --format"),
        (["--format", "csv", "--crops", "3"],
         "--crops has no effect on csv\nhint: csv has layers alone; choose another --format"),
        (["--device", "v100"], "--device has no effect here\nhint: it goes with --crops, --models or --html"),
        (["--crops", "2", "--device", "v101"], "unknown device v101\nhint: did you mean v100?"),
        (["--train-run", ""], f'training run "": it is empty\n{EXAMPLE}'),
        (["--crops", "2", "--device", "k80", "--dtype", "int8"],
         "Tesla K80 has no peak rate for int8\nhint: its sheet has fp32, fp64"),
    ],
)  # fmt: skip
def test_slips_on_the_command_line(run, arguments: list[str], message: str) -> None:
    result = run("report", "alexnet", *arguments)
    assert (result.code, result.out, result.err) == (2, "", f"error: {message}\n")
