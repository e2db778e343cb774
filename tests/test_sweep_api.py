"""cnncost.sweep: labelled arrays, the same as single networks at each of their points."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_sweep_cli import NET

import cnncost

COUNTS = ("params", "macs", "flops", "activation_bytes", "weight_bytes", "neurons")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.yaml"
    path.write_text(NET, encoding="utf-8")
    return path


def test_axes_stand_in_the_order_given(net: Path) -> None:
    found = cnncost.sweep(net, {"width": [4, 8, 12], "depth": range(1, 3), "batch": "1,2,4:16:4"})
    assert found.axes == {"width": (4, 8, 12), "depth": (1, 2), "batch": (1, 2, 4, 8, 12, 16)}
    assert found.name == "net"
    assert found.shape == found["macs"].shape == found.kept.shape == found.possible.shape == (3, 2, 6)
    assert list(found) == ["params", "macs", "flops", "activation_bytes", "peak_bytes", "training_peak_bytes"]
    assert {found[name].dtype for name in found} == {np.dtype(np.int64)}
    assert (found["macs"] == found["macs"][..., :1] * np.array([1, 2, 4, 8, 12, 16])).all()
    turned = cnncost.sweep(net, {"batch": "1,2,4:16:4", "depth": [1, 2], "width": np.array([4, 8, 12])})
    assert turned.shape == (6, 2, 3)
    for name in found:
        assert (turned[name] == found[name].transpose()).all()


def test_batch_and_input_as_lists_are_axes(net: Path) -> None:
    found = cnncost.sweep(net, batch=[1, 8], input=[8, 16], width=[4, 8], depth=1)
    assert found.axes == {"input": (8, 16), "batch": (1, 8), "width": (4, 8), "depth": (1,)}
    assert cnncost.sweep(net, batch="1,8").axes == {"batch": (1, 8)}
    assert cnncost.sweep(net, input="8:16:4", batch=4)["macs"].tolist() == [
        0 if size < 12 else 4 * cnncost.analyze(net, input=(3, size, size)).total.macs for size in (8, 12, 16)
    ]
    shapes = cnncost.sweep(net, input=[(3, 16, 16), (1, 32, 24)])
    assert shapes.axes == {"input": ((3, 16, 16), (1, 32, 24))}
    assert shapes["params"].tolist() == [3882, 3738]


def test_what_does_not_vary(net: Path) -> None:
    found = cnncost.sweep(net, {"width": [4, 8]}, input=(3, 32, 20), batch=8, set={"depth": 1}, dtype="fp16")
    for width, macs, peak in zip((4, 8), found["macs"], found["peak_bytes"]):
        given: dict[str, Any] = {"input": (3, 32, 20), "batch": 8, "set": {"depth": 1, "width": width}}
        assert macs == cnncost.analyze(net, **given).total.macs
        assert peak == cnncost.memory(net, dtype="fp16", **given).peak


@pytest.mark.parametrize("network", ["net", "resnet50", "mobilenet_v2", "googlenet"])
def test_every_point_is_the_network_there(net: Path, network: str) -> None:
    """At random points: counts, peaks at inference and in training, and least times are those of one network."""
    spec: Any = net if network == "net" else network
    axes: dict[str, Any] = {"batch": [1, 2, 3, 8, 32, 100], "input": [8, 31, 64, 97, 224]}
    if network == "net":
        axes |= {"depth": [1, 2, 3], "act": ["relu", "gelu"], "width": [4, 6, 9]}
    if network == "resnet50":
        axes |= {"depths.2": [1, 5], "width": [8, 64]}
    if network == "mobilenet_v2":
        axes |= {"width": [0.5, 1.0, 1.4]}
    quantities = (*COUNTS, "peak_bytes", "training_peak_bytes")
    found = cnncost.sweep(spec, axes, quantities=quantities, devices=["h100"])
    chance = random.Random(network)
    compared = 0
    for _ in range(12):
        place = tuple(chance.randrange(size) for size in found.shape)
        point = {name: values[n] for (name, values), n in zip(found.axes.items(), place)}
        given: dict[str, Any] = {"batch": point.pop("batch"), "set": {k: v for k, v in point.items() if k != "input"}}
        given["input"] = (3, point["input"], point["input"])
        try:
            report = cnncost.analyze(spec, **given)
        except cnncost.SpecError as e:
            assert not found.possible[place]
            assert e.message in found.reasons[found.reason[place]]
            assert all(found[name][place] == 0 for name in found)
            continue
        assert found.possible[place]
        assert found.reason[place] == -1
        figures = {**report.totals, "training_peak_bytes": report.training_peak_bytes}
        assert {name: int(found[name][place]) for name in quantities} == {name: figures[name] for name in quantities}
        seconds = cnncost.roofline(spec, "h100", **given).total.seconds
        assert found["seconds_h100"][place] == pytest.approx(seconds, rel=1e-12)
        compared += 1
    assert compared > 3


def test_conditions_say_which_points_are_kept(net: Path) -> None:
    found = cnncost.sweep(net, {"input": [4, 12, 16], "width": [4, 8]}, where="macs < 50K and width == 8")
    assert found.possible.tolist() == [[False, False], [True, True], [True, True]]
    assert found.kept.tolist() == [[False, False], [False, True], [False, False]]
    assert (found.summary.points, found.summary.kept) == (6, 1)
    assert found["macs"][2, 0] > 0  # what is not kept is there, too
    assert cnncost.sweep(net, {"width": [4, 8]}).kept.all()


def test_reasons_are_told_and_numbered(net: Path) -> None:
    found = cnncost.sweep(net, {"depth": [1, 4], "input": [4, 8, 16]})
    assert found.reason.tolist() == [[0, -1, -1], [0, 1, 2]]
    assert found.reasons == tuple(
        f"layer body.{n}.conv: a window of 3 is larger than its input of 2 (height)" for n in (0, 1, 3)
    )
    assert found.summary.impossible == dict(zip(found.reasons, (2, 1, 1)))


def test_it_tells_of_itself(net: Path) -> None:
    found = cnncost.sweep(net, width=[4, 8], batch=[1, 2], quantities=["params", "peak"])
    assert repr(found) == "<Swept of net: 4 points (batch=2, width=2); params, peak_bytes>"
    with pytest.raises(KeyError):
        found["macs"]


def test_a_frame_has_a_row_for_each_kept_point(net: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    found = cnncost.sweep(net, {"input": [4, 12, 16], "act": ["relu", "gelu"], "batch": [1, 2]}, where="batch == 2")
    frame = found.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == ["input", "act", "batch", *found]
    assert frame[["input", "act", "batch"]].values.tolist() == [
        [12, "relu", 2], [12, "gelu", 2], [16, "relu", 2], [16, "gelu", 2]
    ]  # fmt: skip
    assert frame["macs"].tolist() == found["macs"][found.kept].tolist()
    assert int(frame.loc[frame["act"] == "relu", "macs"].max()) == cnncost.analyze(net, batch=2).total.macs


def test_a_dataset_has_axes_as_coordinates(net: Path) -> None:
    xarray = pytest.importorskip("xarray", reason="xarray is not installed")
    found = cnncost.sweep(net, {"input": [4, 12, 16], "act": ["relu", "gelu"], "batch": [1, 2]}, where="batch == 2")
    dataset = found.to_xarray()
    assert isinstance(dataset, xarray.Dataset)
    assert dict(dataset.sizes) == {"input": 3, "act": 2, "batch": 2}
    assert int(dataset["macs"].sel(input=16, act="gelu", batch=1)) == cnncost.analyze(net).total.macs
    assert not dataset["possible"].sel(input=4).any()
    assert dataset["kept"].values.tolist() == found.kept.tolist()


# ---- networks ---------------------------------------------------------------------------------------


def test_a_graph_that_was_loaded_is_its_spec(net: Path) -> None:
    found = cnncost.sweep(cnncost.load(net), width=[4, 8])
    assert (found["macs"] == cnncost.sweep(net, width=[4, 8])["macs"]).all()
    assert cnncost.sweep(cnncost.load("lenet5"), batch=[1, 2]).name == "LeNet-5"


def test_a_traced_graph_has_no_spec() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    graph = cnncost.trace(torch.nn.Conv2d(3, 4, 3), (3, 8, 8))
    with pytest.raises(cnncost.UsageError, match="comes from no spec") as caught:
        cnncost.sweep(graph, batch=[1, 2])
    assert caught.value.hint == "give the path of a spec, or a bundled name"


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"batch": [1, 2], "vary": {"batch": [1]}}, "batch is given twice"),
    ({"input": [8, 16], "vary": {"input": [8]}}, "input is given twice"),
    ({"width": [8, 16], "vary": {"width": [8]}}, "width is given twice"),
    ({"batch": 4, "vary": {"batch": [1, 2]}}, "the batch varies, and is 4"),
    ({"input": (3, 16, 16), "vary": {"input": [(3, 8, 8)]}}, "the input varies, and is given"),
    ({"set": {"width": 4}, "width": [1, 2]}, "width varies, and width is set"),
    ({}, "nothing varies"),
    ({"widht": [1, 2]}, "unknown axis widht"),
    ({"width": []}, "--vary width: no values"),
    ({"width": [4, 4]}, "--vary width: 4 is given twice"),
    ({"batch": [0]}, "--vary batch: 0 is no whole number of at least 1"),
    ({"width": [4], "quantities": ["mac"]}, "unknown quantity mac"),
    ({"width": [4], "where": "mac < 3"}, "unknown name mac"),
    ({"width": [4], "devices": ["h1000"]}, "unknown device h1000"),
    ({"width": [4], "dtype": "fp9"}, "unknown dtype fp9"),
    ({"width": range(1, 10_001), "batch": range(1, 10_001)}, "100,000,000 design points are too many for arrays"),
]


@pytest.mark.parametrize(("given", "said"), FAULTS, ids=[said for _, said in FAULTS])
def test_bad_input(net: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(cnncost.UsageError) as caught:
        cnncost.sweep(net, **given)
    assert caught.value.message.startswith(said)
    assert caught.value.hint
