"""Predicted times: synthetic measurements from a known rule, exact layers, near and far shapes, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log2, prod
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
import pytest
from made_up import BANDWIDTH, LAUNCH, PEAK, SETTING, SHEET, WHOLE, loaded, record, records, seconds, write

import cnncost
from cnncost.analysis.bench import distinct_layers
from cnncost.analysis.efficiency import FEW, SIZES, Model, Point, kind_of, sizes_of
from cnncost.analysis.known import Known, known, networks_of, setting_for
from cnncost.analysis.measurements import LAYER, Setting, layer_subject, together
from cnncost.analysis.predict import FITTED, MEASURED, NEAREST, ROOFLINE, Prediction, Predictor, predictor
from cnncost.devices import Device
from cnncost.devices.sheet import device as sheet_of
from cnncost.errors import UsageError
from cnncost.ops import find

ABACUS = sheet_of(SHEET, "abacus.yaml", "abacus", "")
NETWORKS = ("alexnet_torchvision", "vgg11", "googlenet_torchvision", "resnet18", "resnet50", "squeezenet1_1",
            "mobilenet_v1", "mobilenet_v2", "densenet121")  # fmt: skip


def made(lines: Sequence[dict[str, Any]], device: Device = ABACUS, setting: Setting = SETTING) -> Predictor:
    """A predictor from lines of a file."""
    measured = {"file": list(together(lines).values())}
    return Predictor(device, setting, known(measured, setting), networks_of(measured, setting))


def rows(prediction: Prediction) -> dict[str, Any]:
    return {row.names[0]: row for row in prediction.rows}


# ---- the model of a kind --------------------------------------------------------------------------


def points(count: int, rule: Any, noise: float = 0.0, seed: int = 1) -> list[Point]:
    """Points of layers with sizes by chance, of a few octaves."""
    chance = Random(seed)
    found = []
    for _ in range(count):
        sizes = [chance.uniform(20, 30), chance.uniform(15, 25), *(float(chance.randint(4, 9)) for _ in range(2)),
                 chance.uniform(4, 12), 0.0, log2(9), 0.0, 0.0]  # fmt: skip
        found.append(Point(tuple(sizes), rule(sizes) * exp(chance.gauss(0, noise))))
    return found


def power_law(sizes: Sequence[float]) -> float:
    return float(3 * 2 ** (-0.1 * (sizes[0] - 20) + 0.05 * (sizes[4] - 8)))


def saturating(sizes: Sequence[float]) -> float:
    """Small layers reach less of the peak."""
    return float(1.5 * (1 + 2 ** (23 - sizes[0])))


def test_one_point_says_that_all_are_alike() -> None:
    (point,) = points(1, lambda sizes: 2.5)
    other = tuple(size + 3 for size in point.sizes)
    assert Model([point]).guess(point.sizes).ratio == pytest.approx(2.5, rel=0.01)
    assert Model([point]).guess(other).ratio == pytest.approx(2.5, rel=0.01)
    assert Model([point]).guess(other).low < 2.5 / 1.5 < 2.5 * 1.5 < Model([point]).guess(other).high


def test_no_points_are_no_model() -> None:
    with pytest.raises(ValueError, match="no points"):
        Model([])


@pytest.mark.parametrize(("rule", "within"), [(power_law, 0.02), (saturating, 0.12)])
def test_a_rule_is_found_again_at_other_shapes(rule: Any, within: float) -> None:
    model = Model(points(80, rule))
    for point in points(40, rule, seed=2):
        assert model.guess(point.sizes).ratio == pytest.approx(point.ratio, rel=within)


def test_a_measured_shape_is_met_where_nothing_is_left_to_chance() -> None:
    given = points(40, saturating)
    model = Model(given)
    assert [model.guess(p.sizes).ratio for p in given] == pytest.approx([p.ratio for p in given], rel=0.02)


@pytest.mark.parametrize("noise", [0.05, 0.2])
def test_nine_in_ten_of_new_times_lie_in_their_intervals(noise: float) -> None:
    model = Model(points(120, power_law, noise))
    new = points(200, power_law, noise, seed=3)
    guesses = [(model.guess(p.sizes), p.ratio) for p in new]
    covered = sum(g.low <= ratio <= g.high for g, ratio in guesses) / len(new)
    assert 0.82 <= covered <= 0.97
    width = median(float(np.log(g.high / g.low)) for g, _ in guesses)
    assert 2 * 1.645 * noise * 0.8 < width < 2 * 1.645 * noise * 1.6, "as wide as chance, and not much wider"


def test_leaving_one_out_is_the_model_without_it() -> None:
    given = points(12, power_law, 0.1)
    model = Model(given)
    _, _, _, scale, standard = model._left_out(model.length, model.noise, slice(None))
    for i, point in enumerate(given):
        rest = Model(given[:i] + given[i + 1 :])
        rest.length, rest.noise, rest.slope, rest.middle = model.length, model.noise, model.slope, model.middle
        _, rest.inverse, rest.weights, _, _ = rest._left_out(model.length, model.noise, slice(None))
        rest.scale = scale
        mean, covariance = rest.log_ratios([point.sizes])
        residual = float(np.log(point.ratio) - mean[0]) / float(covariance[0, 0]) ** 0.5
        assert residual == pytest.approx(float(standard[i]), rel=1e-4)


def test_leaving_several_out_is_the_model_without_them() -> None:
    given = points(20, power_law, 0.1)
    model = Model(given)
    left = [3, 4, 11]
    mean, covariance = model.without(left)
    rest = Model([point for i, point in enumerate(given) if i not in left])
    rest.length, rest.noise, rest.slope, rest.middle = model.length, model.noise, model.slope, model.middle
    _, rest.inverse, rest.weights, _, _ = rest._left_out(model.length, model.noise, slice(None))
    rest.scale = model.scale
    there, spread = rest.log_ratios([given[i].sizes for i in left])
    assert list(mean) == pytest.approx(list(there), rel=1e-4)
    assert covariance.ravel().tolist() == pytest.approx(spread.ravel().tolist(), rel=1e-3, abs=1e-6)


def test_near_shapes_are_counted_and_far_ones_named() -> None:
    base = points(1, power_law)[0].sizes
    given = [Point(tuple(size + shift for size in base), 1.0) for shift in (0.0, 0.9, 1.1, -3.0)]
    model = Model(given)
    assert model.near(base) == 2
    assert list(model.outside(base)) == []
    beyond = (base[0] + 1.1 + 2, base[1] - 3 - 1, *base[2:8], 2.0)
    assert list(model.outside(beyond)) == ["arithmetic 4x above", "bytes 2x below"]


@pytest.mark.parametrize(
    ("op", "options", "kind"),
    [
        ("conv", {"out": 8, "kernel": 3}, "conv"),
        ("conv", {"out": 8, "kernel": (1, 1)}, "pointwise conv"),
        ("conv", {"out": 8, "kernel": (1, 3)}, "conv"),
        ("conv", {"out": 8, "kernel": 3, "groups": 2}, "grouped conv"),
        ("conv", {"out": 8, "kernel": 3, "groups": 4}, "depthwise conv"),
        ("depthwise_conv", {"kernel": 3}, "depthwise conv"),
        ("relu6", {}, "rectifier"),
        ("max_pool", {"kernel": 2}, "max_pool"),
    ],
)
def test_kinds_are_layers_that_run_alike(op: str, options: dict[str, Any], kind: str) -> None:
    assert kind_of(find(op)(**options), [(2, 4, 9, 7)]) == kind


def test_sizes_are_octaves_of_what_tells_layers_apart() -> None:
    op = find("conv")(out=32, kernel=(3, 5), stride=2, groups=4)
    x = (2, 16, 64, 32)
    y = op.shape(x)
    sizes = dict(zip(SIZES, sizes_of(op, y, [x], 2**20, 2**12)))
    assert sizes == pytest.approx(
        {"arithmetic": 20, "bytes": 12, "channels in": log2(16 / 4), "channels out": log2(32 / 4),
         "positions": log2(prod(y[2:])), "batch": 1, "kernel": log2(15), "stride": 2, "in place": 0}
    )  # fmt: skip


# ---- networks -------------------------------------------------------------------------------------


def test_by_the_sheet_alone_it_is_the_roofline_and_the_launches() -> None:
    graph = cnncost.load("vgg11", batch=2)
    found = cnncost.predict("vgg11", ABACUS, batch=2)
    conv = rows(found)["conv1_1"] if "conv1_1" in rows(found) else found.rows[0]
    macs, moved = 2 * 64 * 224 * 224 * 3 * 9, 4 * (2 * (3 + 64) * 224 * 224 + 64 * 3 * 9 + 64)
    assert conv.seconds == conv.least == pytest.approx(LAUNCH + max(2 * macs / PEAK, moved / BANDWIDTH))
    launches = LAUNCH * sum(row.instances for row in found.rows)
    least = cnncost.analysis.roofline.roofline(graph, ABACUS).total.seconds
    assert found.seconds == found.roofline == pytest.approx(least + launches, rel=1e-6)
    assert found.low is None and found.high is None and {row.source for row in found.rows} == {ROOFLINE}


def test_layers_that_were_measured_are_taken_exactly() -> None:
    (graph,) = loaded("resnet18")
    lines = records([graph], whole=False)
    found = made(lines).predict(graph)
    assert {row.source for row in found.rows} == {MEASURED}
    for layer, row in zip(distinct_layers(graph)[0], found.rows):
        assert row.seconds == seconds(layer.op, layer.inputs)
    total = sum(len(layer.names) * seconds(layer.op, layer.inputs) for layer in distinct_layers(graph)[0])
    assert found.seconds == found.layers_seconds == pytest.approx(total) and found.networks == 0
    assert found.low is not None and found.high is not None
    assert total / 1.02 < found.low < total < found.high < 1.02 * total, "as far as a machine is steady at all"


def test_left_out_networks_are_predicted_within_a_tenth() -> None:
    graphs = loaded(*NETWORKS)
    errors, roofline, covered, widenings = [], [], 0, []
    for graph in graphs:
        rest = [each for each in graphs if each is not graph]
        predict = made(records(rest, noise=0.03))
        found = predict.predict(graph)
        widenings.append(predict.widening)
        truth = WHOLE * sum(len(each.names) * seconds(each.op, each.inputs) for each in distinct_layers(graph)[0])
        errors.append(abs(found.seconds / truth - 1))
        roofline.append(abs(found.roofline / truth - 1))
        assert found.low is not None and found.high is not None
        covered += found.low <= truth <= found.high
        assert found.networks == len(rest) and found.measured is None
    assert median(errors) < 0.03 and max(errors) < 0.10
    assert median(roofline) > 0.2, "which the roofline alone is not"
    assert covered >= 0.75 * len(graphs)
    assert min(widenings) >= 1 and max(widenings) > 1, "networks are farther from each other than their layers"


def test_what_networks_take_beyond_their_layers_is_learned() -> None:
    graphs = loaded("vgg11", "resnet18", "squeezenet1_1")
    found = made(records(graphs)).predict(graphs[0])
    assert found.whole == pytest.approx(WHOLE, rel=1e-3) and found.networks == 3
    assert found.seconds == pytest.approx(WHOLE * found.layers_seconds, rel=1e-3)
    assert found.measured == pytest.approx(found.seconds, rel=1e-3), "this very network"


def test_a_network_that_has_changed_since_is_not_taken_for_it() -> None:
    (graph,) = loaded("vgg11")
    lines = records([graph])
    lines[-1]["subject"]["digest"] = "0" * 16
    found = made(lines).predict(graph)
    assert (found.networks, found.whole, found.measured) == (0, 1.0, None)


def test_near_and_far_layers_say_so() -> None:
    conv = find("conv")
    channels = (16, 32, 64, 128)
    lines = [record(LAYER, layer_subject(op, x), seconds(op, x)) for c in channels
             for op, x in [(conv(out=c, kernel=3, padding=1), ((1, c, 28, 28),))]]  # fmt: skip
    predict = made(lines)
    spec = "layers:\n  near: {conv: 48, kernel: 3, padding: 1}\n  far: {conv: 4096, kernel: 3, padding: 1}\n"
    found = rows(predict.predict(_graph(f"name: Two\ninput: 32x28x28\n{spec}")))
    assert (found["near"].source, found["near"].outside) == (NEAREST, ())
    macs = 32 * 48  # times what is alike
    assert found["near"].near == len([c for c in channels if 16 <= c <= 64 and macs / 2 <= c * c <= 2 * macs]) == 1
    assert found["far"].source == FITTED and found["far"].near == 0
    assert f"channels out {4096 / 128:g}x above" in found["far"].outside
    assert found["far"].high / found["far"].low > found["near"].high / found["near"].low


def test_kinds_never_measured_fall_back_to_the_roofline_and_are_named() -> None:
    (graph,) = loaded("mobilenet_v2")
    lines = [line for line in records([graph], whole=False) if line["subject"]["op"] != "depthwise_conv"
             and line["subject"]["options"].get("groups", 1) == 1]  # fmt: skip
    found = made(lines).predict(graph)
    left = [row for row in found.rows if row.source == ROOFLINE]
    assert left and found.unknown_kinds == tuple(dict.fromkeys(row.kind for row in left))
    assert all("depthwise" in row.kind or "conv" in row.kind for row in left)
    for row in left:
        assert row.low is not None and row.high is not None and row.low < row.seconds < row.high
        assert row.high / row.low > 4, "next to nothing is known of them"
    assert found.seconds_of(MEASURED) + found.seconds_of(ROOFLINE) == pytest.approx(found.layers_seconds)


def test_on_a_gpu_launching_the_layers_is_the_least() -> None:
    sheet = SHEET.replace("kind: cpu", "kind: gpu").replace("threads: 2\n", "")
    sheet = sheet.replace("launch_overhead: 2 us", "launch_overhead: 50 us\nshortest_kernel: 3 us")
    gpu = sheet_of(sheet, "gpu.yaml", "gpu", "")
    found = Predictor(gpu, Setting(gpu.name)).predict(cnncost.load("lenet5"))
    count = sum(row.instances for row in found.rows)
    assert found.layers_seconds < found.seconds == pytest.approx(count * 50e-6)
    assert all(row.least >= 3e-6 for row in found.rows)
    large = Predictor(gpu, Setting(gpu.name)).predict(cnncost.load("vgg11"))
    assert large.seconds == large.layers_seconds > 50e-6 * sum(row.instances for row in large.rows)


def test_doubts_are_counted() -> None:
    (graph,) = loaded("lenet5")
    lines = records([graph], whole=False)
    lines[0]["doubts"] = ["other load"]
    found = made(lines).predict(graph)
    assert (found.doubtful, found.known) == (1, len(lines))


def _graph(text: str) -> Any:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.yaml"
        path.write_text(text)
        return cnncost.load(path)


# ---- which results are meant ----------------------------------------------------------------------


def settings(*changes: dict[str, Any]) -> dict[str, list[Any]]:
    """A file of one layer, measured in several settings."""
    (graph,) = loaded("lenet5")
    lines = [line for change in changes for line in records([graph], SETTING._replace(**change), whole=False)[:1]]
    return {"file.jsonl": list(together(lines).values())}


def test_the_device_is_known_by_any_of_its_names_and_threads_by_the_sheet() -> None:
    for name in ("Acme Abacus 9 CPU", "acme abacus-9", "Abacus 9"):
        found = setting_for(ABACUS, settings({"device": name}), Setting(ABACUS.name))
        assert (found.device, found.threads) == (name, 2)
    without = sheet_of(SHEET.replace("threads: 2\n", ""), "abacus.yaml", "abacus", "")
    assert setting_for(without, settings({"threads": 4}), Setting(ABACUS.name)).threads == 4
    assert setting_for(without, settings({"threads": 4}, {"threads": 1}), Setting("", threads=1)).threads == 1
    with pytest.raises(UsageError, match=r"^measured with 1, 4 threads\nhint: choose: --threads 1$"):
        setting_for(without, settings({"threads": 4}, {"threads": 1}), Setting(ABACUS.name))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "bf16"}, "measured with dtype bf16, and not fp32\n"
         "hint: predict that with --dtype bf16, or measure with cnncost bench --dtype fp32"),
        ({"threads": 1}, "measured with threads 1, and not 2\n"
         "hint: predict that with --threads 1, or measure with cnncost bench --threads 2"),
        ({"direction": "train"}, "measured with pass train, and not forward\n"
         "hint: predict that with --pass train, or measure with cnncost bench --pass forward"),
        ({"cache": "warm"}, "measured with cache warm, and not chain\n"
         "hint: measure in the usual form: cnncost bench NETWORK --results FILE"),
    ],
)  # fmt: skip
def test_results_in_another_setting_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as e:
        known(settings(change), SETTING)
    assert str(e.value) == f"file.jsonl: {message}"
    assert isinstance(known(settings(change, {}), SETTING), Known), "but not where the right one is there too"


def test_files_go_together_and_each_must_tell_something(tmp_path: Path) -> None:
    a, b = loaded("lenet5", "alexnet_torchvision")
    files = [write(tmp_path / "a.jsonl", records([a])), write(tmp_path / "b.jsonl", records([b]))]
    predict = predictor(ABACUS, files)
    assert predict.networks == 2
    assert {row.source for g in (a, b) for row in predict.predict(g).rows} == {MEASURED}
    only_whole = write(tmp_path / "c.jsonl", records([a])[-1:])
    with pytest.raises(UsageError, match=r"c.jsonl: no layer was measured"):
        predictor(ABACUS, [only_whole])


def test_few_points_have_no_slope() -> None:
    given = points(FEW - 1, power_law)
    assert Model(given).slope == 0
    assert Model(points(FEW, power_law)).slope > 0
