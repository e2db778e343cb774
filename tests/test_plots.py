"""What figures show is what was derived and measured, in every format, whatever networks are called."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import cnncost
from cnncost.analysis.bench import BenchRow, BenchTable
from cnncost.analysis.fold import fold
from cnncost.analysis.measurements import Setting
from cnncost.analysis.memory import inference_memory
from cnncost.analysis.samples import Timing
from cnncost.analysis.side_by_side import SideBySide, StepBeside
from cnncost.analysis.training_step import TrainingStep, memory_of
from cnncost.api.sweeps import space_of
from cnncost.cli.op_options import expanded
from cnncost.errors import ShapeError, UsageError
from cnncost.output import plots
from cnncost.output.plots import bench, compare, memory, report, roofline, sweep
from cnncost.output.units import readable_bytes

SUFFIXES = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
LARGEST = 9.3
"""Inches that no figure is higher than."""


@pytest.fixture(scope="module")
def alexnet() -> cnncost.analysis.report.Report:
    return cnncost.analyze("alexnet")


def network(folder: Path, layers: str, name: str = "Net", size: str = "3x16x16") -> Path:
    path = folder / "net.yaml"
    path.write_text(f"name: {name}\ninput: {size}\nlayers:\n{layers}", encoding="utf-8")
    return path


def texts(figure: Any) -> list[str]:
    """All that is written in a figure."""
    from matplotlib.text import Text

    with plots.style():
        figure.draw_without_rendering()
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


def written(figure: Any) -> str:
    return " ".join(" ".join(texts(figure)).split())


def with_gid(figure: Any, gid: str) -> list[Any]:
    return figure.findobj(lambda artist: artist.get_gid() == gid)


# ---- a report -------------------------------------------------------------------------------------


def lengths(ax: Any) -> dict[int, float]:
    """The length of each row's bars together."""
    found: dict[int, float] = {}
    for bar in ax.patches:
        place = round(bar.get_y() + bar.get_height() / 2)
        found[place] = found.get(place, 0.0) + bar.get_width()
    return found


def worth(label: str) -> int:
    """What one of the unit of an axis is worth."""
    unit = re.search(r"\((.*)\)", label)
    return {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}[
        unit[1] if unit else ""
    ]


def bars(figure: Any) -> list[tuple[str, list[float]]]:
    """Names of the rows, and the values of their bars, a quantity each."""
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    values = [[lengths(ax).get(n, 0.0) * worth(ax.get_xlabel()) for n in range(len(names))] for ax in figure.axes]
    return [(name, list(row)) for name, row in zip(names, zip(*values))]


def quantities(row: Any) -> list[float]:
    return [row.macs, row.params, row.activation_bytes]


def test_bars_of_a_report_are_its_layers(alexnet) -> None:
    drawn = bars(report.report_figure(alexnet))
    expected = [(layer.name, quantities(layer)) for layer in alexnet.layers if any(quantities(layer))]
    assert [name for name, _ in drawn] == [name for name, _ in expected]
    for (_, values), (_, wanted) in zip(drawn, expected):
        assert values == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("name", ["resnet50", "densenet201", "mobilenet_v2", "googlenet"])
def test_bars_of_many_layers_are_blocks_and_add_up(name: str) -> None:
    priced = cnncost.analyze(name)
    drawn = bars(report.report_figure(priced))
    assert len(drawn) <= report.ROWS_AT_MOST
    sums = [sum(values[n] for _, values in drawn) for n in range(3)]
    totals = [priced.total.macs, priced.total.params, priced.totals["activation_bytes"]]
    assert sums == pytest.approx(totals, rel=1e-9)


def test_rows_of_a_command_are_drawn_as_they_are(alexnet) -> None:
    rows = fold(alexnet, "op")
    drawn = dict(bars(report.report_figure(alexnet, rows, "op")))
    for row in rows:
        assert drawn.get(row.name, [0, 0, 0]) == pytest.approx(quantities(row), rel=1e-9)


def test_a_report_says_what_is_not_drawn(alexnet) -> None:
    left = sum(not any(quantities(layer)) for layer in alexnet.layers)
    assert f"Not drawn: {left} layers with none of these." in written(report.report_figure(alexnet))


def test_shares_are_of_the_whole_network(alexnet) -> None:
    said = texts(report.report_figure(alexnet))
    share = 100 * alexnet["conv2"].macs / alexnet.total.macs
    assert f"{share:.1f}%" in said


def test_three_thousand_layers_stay_readable(tmp_path: Path) -> None:
    layers = "".join(f"  c{n}: {{conv: 4, kernel: 3, padding: 1}}\n" for n in range(3_000))
    priced = cnncost.analyze(network(tmp_path, layers))
    for figure in (
        report.report_figure(priced),
        memory.memory_figure(priced.graph, priced.memory),
        roofline.roofline_figure(cnncost.roofline(priced.graph, device="h100")),
    ):
        assert figure.get_figwidth() == plots.PAGE
        assert figure.get_figheight() <= LARGEST
        assert len(texts(figure)) < 200
        assert len(plots.to_bytes(figure, "svg")) < 200_000
    drawn = bars(report.report_figure(priced))
    assert len(drawn) == report.ROWS_AT_MOST
    assert [drawn[0][0], drawn[-1][0]] == ["c0 to c74", "c2925 to c2999"]
    assert sum(values[0] for _, values in drawn) == pytest.approx(priced.total.macs)


def test_networks_of_which_nothing_can_be_drawn(tmp_path: Path) -> None:
    priced = cnncost.analyze(network(tmp_path, "  d: dropout\n"))
    with pytest.raises(UsageError) as caught:
        report.report_figure(priced)
    assert str(caught.value) == (
        "no layer of Net has MACs, params or activations\nhint: dropout, views and what works in place have none"
    )
    with pytest.raises(UsageError) as caught:
        roofline.roofline_figure(cnncost.roofline(priced.graph, device="h100"))
    assert str(caught.value) == (
        "no layer of Net computes anything\nhint: views and copies have no place on a roofline"
    )


def test_quantities_that_a_network_has_not(tmp_path: Path) -> None:
    figure = report.report_figure(cnncost.analyze(network(tmp_path, "  r: relu\n")))
    assert bars(figure) == [("r", [0.0, 0.0, 3 * 16 * 16 * 4.0])]
    (line,) = with_gid(sweep.sweep_figure(space_of(tmp_path / "net.yaml", ["batch=1,2"]), "params"), "line")
    assert list(line.get_ydata()) == [0, 0]


# ---- memory ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "googlenet"])
@pytest.mark.parametrize("step", [None, TrainingStep.of("adam")], ids=["inference", "training"])
def test_stairs_are_the_bytes_of_every_step(name: str, step: TrainingStep | None) -> None:
    graph = cnncost.load(name, batch=2)
    taken = memory_of(graph, "fp32", step)
    figure = memory.memory_figure(graph, taken, step)
    unit = worth(figure.axes[0].get_ylabel())
    (stairs,) = with_gid(figure, "alive")
    assert [value * unit for value in stairs.get_data().values] == [each.alive for each in taken.steps]
    (peak,) = with_gid(figure, "peak")
    x, y = peak.get_xydata()[0]
    assert y * unit == taken.peak
    assert taken.steps[int(x)] is taken.at
    assert f"peak {readable_bytes(int(taken.peak))}, " in written(figure)
    assert taken.at is not None
    assert taken.at.layer in written(figure)


def test_what_is_always_there_is_said() -> None:
    graph = cnncost.load("resnet50")
    step = TrainingStep.of("adam")
    taken = memory_of(graph, "fp32", step)
    lasting = sum(taken.parts[what] for what in ("parameters", "buffers", "optimizer state"))
    figure = memory.memory_figure(graph, taken, step)
    assert f"parameters, buffers, optimizer state, {lasting / 2**20:.2f} MiB" in written(figure)
    assert [phase for phase in ("forward", "backward", "update") if phase in texts(figure)] == [
        "forward", "backward", "update"
    ]  # fmt: skip


def test_measured_steps_stand_beside_derived_ones() -> None:
    graph = cnncost.load("alexnet")
    taken = inference_memory(graph)
    steps = tuple(
        StepBeside(step.layer, step.phase, int(step.alive), int(step.alive) + n if n else None)
        for n, step in enumerate(taken.steps)
    )
    figure = memory.memory_figure(graph, taken, None, SideBySide(taken, taken, 0, steps))
    (dots,) = with_gid(figure, "measured")
    unit = worth(figure.axes[0].get_ylabel())
    assert [(x, y * unit) for x, y in dots.get_xydata()] == [
        (n + 0.5, step.measured) for n, step in enumerate(steps) if step.measured is not None
    ]
    assert f"measured; peak {readable_bytes(int(taken.peak))}" in written(figure)


def test_an_axis_that_does_not_begin_at_zero_says_so() -> None:
    graph = cnncost.load("alexnet")
    cut = memory.memory_figure(graph, inference_memory(graph))
    assert "and not at 0" in written(cut)
    assert cut.axes[0].get_ylim()[0] > 0
    graph = cnncost.load("alexnet", batch=256)
    whole = memory.memory_figure(graph, inference_memory(graph))
    assert "and not at 0" not in written(whole)
    assert whole.axes[0].get_ylim()[0] == 0


# ---- the roofline ---------------------------------------------------------------------------------


def offsets(figure: Any, gid: str) -> list[tuple[float, float]]:
    return [tuple(artist.get_offsets()[0]) for artist in with_gid(figure, gid)]


@pytest.mark.parametrize("passes", ["forward", "train"])
def test_marks_are_the_layers_of_the_roofline(passes: str) -> None:
    priced = cnncost.roofline("resnet50", device="h100", dtype="bf16", passes=passes, batch=32)
    figure = roofline.roofline_figure(priced)
    drawn = roofline.marks([layer for layer in priced.layers if layer.intensity])
    assert sorted(offsets(figure, "layer")) == sorted((row.intensity, row.rate) for row in drawn)
    assert sum(len(row.layers) for row in drawn) == sum(len(row.layers) for row in priced.layers if row.intensity)
    assert sum(row.seconds for row in drawn) == pytest.approx(sum(r.seconds for r in priced.layers if r.intensity))


def test_layers_of_one_mark_are_side_by_side() -> None:
    priced = cnncost.roofline("densenet201", device="h100", batch=32)
    for mark in roofline.marks([layer for layer in priced.layers if layer.intensity]):
        inside = [priced[name] for name in mark.layers]
        assert {row.op for row in inside} == {mark.op}
        intensities = [row.intensity for row in inside]
        assert max(intensities) / min(intensities) <= 10**roofline.CELL * (1 + 1e-9)


def test_the_roof_is_that_of_the_device() -> None:
    priced = cnncost.roofline("alexnet", device="h100", dtype="bf16")
    (roof,) = with_gid(roofline.roofline_figure(priced), "roof")
    roofs = priced.ceilings
    for x, y in roof.get_xydata():
        assert y == pytest.approx(roofs.attainable(x))
    assert roofs.ridge in [x for x, _ in roof.get_xydata()]


def test_measured_layers_stand_where_they_were_measured() -> None:
    graph = cnncost.load("alexnet")
    priced = cnncost.roofline(graph, device="h100", measured={"conv1": 1e-3, "fc6": 2e-3})
    figure = roofline.roofline_figure(priced)
    expected = [(row.intensity, row.flops / row.measured) for row in priced.layers if row.measured]
    assert np.array(sorted(offsets(figure, "layer"))) == pytest.approx(np.array(sorted(expected)))
    assert "Time measured: 3 ms in all." in written(figure)


def test_areas_are_times() -> None:
    priced = cnncost.roofline("alexnet", device="h100")
    figure = roofline.roofline_figure(priced)
    drawn = roofline.marks([layer for layer in priced.layers if layer.intensity])
    whole = sum(row.seconds for row in priced.layers)
    areas = {tuple(a.get_offsets()[0]): a.get_sizes()[0] for a in with_gid(figure, "layer")}
    for row in drawn:
        share = (areas[row.intensity, row.rate] - roofline.SMALLEST) / roofline.LARGEST
        assert share == pytest.approx(row.seconds / whole)


# ---- networks side by side ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def several() -> Any:
    return cnncost.compare(["alexnet", "vgg16", "resnet*", "googlenet", "cifar_resnet20"])


def test_points_are_the_networks(several) -> None:
    found = compare.network_map(several)
    figure = compare.compare_figure(several, found)
    expected = [
        (row.cost.macs, row.error_rate.top1)
        for row in several
        if row.error_rate and row.error_rate.top1 is not None and row.name != "cifar_resnet20"
    ]
    assert sorted(offsets(figure, "network")) == sorted(expected)
    areas = {tuple(a.get_offsets()[0]): a.get_sizes()[0] for a in with_gid(figure, "network")}
    largest = max(point.area for point in found.points)
    for point in found.points:
        expected_area = max(compare.SMALLEST, compare.LARGEST * point.area / largest)
        assert areas[point.x, point.y] == pytest.approx(expected_area)


def test_networks_that_are_not_drawn_are_said(several) -> None:
    found = compare.network_map(several)
    assert found.said == [
        "not drawn: googlenet: no top1_error",
        "not drawn: cifar_resnet20: tested on CIFAR-10 test",
    ]
    assert "Not drawn: 2 networks without these figures." in written(compare.compare_figure(several, found))


def test_the_front_is_that_of_all_pairs(several) -> None:
    found = compare.network_map(several, y="params", x="macs")
    front = compare.front(found)
    unbeaten = [
        p for p in found.points if not any(q.x <= p.x and q.y <= p.y and (q.x, q.y) != (p.x, p.y) for q in found.points)
    ]
    assert {(p.x, p.y) for p in front} == {(p.x, p.y) for p in unbeaten}
    figure = compare.compare_figure(several, found)
    (line,) = with_gid(figure, "front")
    assert [tuple(each) for each in line.get_xydata()] == [(p.x, p.y) for p in front]


def test_errors_of_several_crops_are_not_on_the_front(several) -> None:
    found = compare.network_map(several)
    crops = {point.row.name for point in found.points if not point.single}
    assert "alexnet" in crops
    assert not crops & {point.row.name for point in compare.front(found)}


def test_nothing_is_better_where_less_is_no_better(several) -> None:
    assert compare.front(compare.network_map(several, x="year", y="macs")) == []


def test_networks_of_other_images_are_compared_on_theirs() -> None:
    found = compare.network_map(cnncost.compare("cifar_resnet*"))
    assert found.dataset == "CIFAR-10 test"
    assert not found.left_out


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": "mac"}, "--x: unknown column mac\nhint: did you mean macs?"),
        ({"y": "memory"}, "--y: unknown column memory\nhint: did you mean peak_bytes?"),
        ({"area": "family"}, "--area: family is no number\nhint: choose one of year, layers, nodes, params, weights, "
         "biases, other_params, buffers, macs, flops, operations, neurons, activation_bytes, weight_bytes, peak_bytes, "
         "training_peak_bytes, moved_bytes, intensity, top1_error, top5_error"),
    ],
)  # fmt: skip
def test_columns_that_are_none(several, columns: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        compare.network_map(several, **columns)
    assert str(caught.value).startswith(message)


def test_no_network_has_an_error(tmp_path: Path) -> None:
    path = network(tmp_path, "  c: {conv: 4}\n")
    with pytest.raises(UsageError, match="no network has macs and top1_error and params"):
        compare.network_map(cnncost.compare([path]))


def test_names_do_not_cover_each_other(several) -> None:
    figure = compare.compare_figure(several, compare.network_map(several))
    ax = figure.axes[0]
    from matplotlib.text import Annotation, Text

    with plots.style():
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        names = [child for child in ax.get_children() if isinstance(child, Annotation)]
        boxes = [Text.get_window_extent(name, renderer) for name in names]
    assert len(names) > 10
    inside = ax.get_window_extent(renderer)
    for n, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:n]), names[n].get_text()
        assert inside.x0 - 1 <= box.x0
        assert box.x1 <= inside.x1 + 1


# ---- design spaces --------------------------------------------------------------------------------


def test_a_line_is_the_sweep() -> None:
    space = space_of("alexnet", ["batch=1,2,4,8"])
    figure = sweep.sweep_figure(space, "peak")
    (line,) = with_gid(figure, "line")
    unit = worth(figure.axes[0].get_ylabel())
    expected = [(b, cnncost.analyze("alexnet", batch=b).peak_bytes) for b in (1, 2, 4, 8)]
    assert line.get_xydata() * [1, unit] == pytest.approx(np.array(expected))


def test_a_map_is_the_sweep_and_impossible_points_are_blank() -> None:
    space = space_of("alexnet", ["input=31:255:32", "batch=1:5"])
    figure = sweep.sweep_figure(space, "macs")
    (mesh,) = [artist for artist in figure.axes[0].collections if type(artist).__name__ == "QuadMesh"]
    table = mesh.get_array().reshape(8, 5) * worth(figure.axes[1].get_ylabel())
    assert figure.axes[0].get_ylabel() == "input (px)"
    for row, size in enumerate(range(31, 256, 32)):
        for column, batch in enumerate(range(1, 6)):
            try:
                one = cnncost.analyze("alexnet", input=f"3x{size}x{size}", batch=batch)
            except ShapeError:
                assert table.mask[row, column]
            else:
                assert table[row, column] == pytest.approx(one.total.macs)
    blank = int(table.mask.sum())
    assert 0 < blank < 40
    assert f"Blank: {blank} impossible points." in written(figure)


def test_lines_of_a_second_axis_and_charts_of_a_third() -> None:
    space = space_of("resnet50", ["batch=1,8", "depths.2=4:12:4", "width=32,64,96,128,160"])
    figure = sweep.sweep_figure(space, "params")
    lines = with_gid(figure, "line")
    assert len(figure.axes) == 2
    assert len(lines) == 6
    unit = worth(figure.axes[0].get_ylabel())
    first = [round(y * unit) for y in lines[0].get_ydata()]
    wanted = [cnncost.analyze("resnet50", set={"depths.2": 4, "width": w}).total.params for w in (32, 64, 96, 128, 160)]
    assert first == pytest.approx(wanted)


def test_points_that_were_chosen_are_marked() -> None:
    space = space_of("resnet50", ["depths.2=4:8", "width=32:64:8"])
    chosen = {"point": np.array([0, 1]), "depths.2": np.array([4, 5]), "width": np.array([32, 40])}
    figure = sweep.sweep_figure(space, "macs", chosen, "that no other beats in macs")
    (marks,) = with_gid(figure, "chosen")
    assert marks.get_xydata().tolist() == [[32, 4], [40, 5]]
    assert "2 points that no other beats in macs" in written(figure)


def test_the_quantity_left_out_is_the_first_that_varies() -> None:
    assert sweep.sweep_figure(space_of("alexnet", ["batch=1,2,4"])).axes[0].get_ylabel() == "MACs (G)"


def test_words_are_no_line() -> None:
    figure = sweep.sweep_figure(space_of("alexnet", ["input=3x227x227,3x227x454"]), "macs")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["3x227x227", "3x227x454"]


@pytest.mark.parametrize(
    ("vary", "options", "quantity", "message"),
    [
        (["batch=4"], {}, None, "nothing varies that could be drawn\n"
         "hint: give an axis several values: --vary batch=1,2,4,8"),
        (["batch=1,2", "input=200:300:50", "depths.2=4,5", "width=32,64"], {}, None,
         "a figure shows at most 3 axes, and 4 vary\n"
         "hint: give all but three of batch, input, depths.2, width one value"),
        (["batch=1:8", "depths.2=4:12", "width=32:128:8"], {}, None,
         "a figure of 3 axes has a chart a value of one of them, and batch has the fewest: 8\n"
         "hint: give one of the axes at most 6 values"),
        (["batch=1:1000", "input=128:512"], {}, None,
         "a figure of 385,000 design points, more than 250,000\nhint: take larger steps"),
        (["batch=1,2"], {"sample": 1}, None,
         "a figure shows all points of a space\nhint: leave --sample out, or --plot"),
        (["batch=1,2"], {}, "maccs", "--quantity: maccs is not priced\nhint: did you mean macs?"),
        (["batch=1,2"], {"where": "macs < 1"}, None,
         "no point meets the condition: there is nothing to draw\nhint: cnncost sweep without --plot says why"),
    ],
)  # fmt: skip
def test_spaces_that_are_no_picture(
    vary: list[str], options: dict[str, Any], quantity: str | None, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        sweep.sweep_figure(space_of("resnet50", vary, **options), quantity)
    assert str(caught.value) == message


# ---- timings --------------------------------------------------------------------------------------


def timing(median: float) -> Timing:
    return Timing(median, 0.9 * median, 1.2 * median, 9, ())


def row(name: str, seconds: float | None, op: str = "conv", instances: int = 1, **more: Any) -> BenchRow:
    names = tuple(f"{name}.{n}" if n else name for n in range(instances))
    taken = None if seconds is None else timing(seconds)
    failure = "out of memory" if seconds is None else None
    inputs, output = more.pop("inputs", ((1, 3, 8, 8),)), (1, 4, 8, 8)
    return BenchRow(names, op, f"{op} 3x3", inputs, output, 1_000, 2_000, taken, failure, more.pop("attainable", None))


def table(*rows: BenchRow, setting: Setting | None = None, batch: int | None = 1) -> BenchTable:
    return BenchTable("Net", setting or Setting("Some CPU", threads=1), batch, rows, timing(0.02), None, 0, ())


def test_bars_of_timings_are_all_layers_that_are_the_same() -> None:
    figure = bench.bench_figure([table(row("a", 0.001, attainable=0.0005), row("b", 0.002, "linear", 3))])
    times, parts = figure.axes
    assert times.get_xlabel() == "time (ms)"
    assert lengths(times) == pytest.approx({0: 1.0, 1: 6.0})
    assert lengths(parts) == pytest.approx({0: 50.0})
    assert [label.get_text() for label in times.get_yticklabels()] == ["a", "b (3 times)"]
    spreads = [line.get_xdata().tolist() if hasattr(line.get_xdata(), "tolist") else list(line.get_xdata())
               for line in with_gid(figure, "spread")]  # fmt: skip
    assert spreads == [pytest.approx([0.9, 1.2]), pytest.approx([5.4, 7.2])]
    assert "Whole network: 20.00 ms. Sum of its layers: 7.000 ms." in written(figure)


def test_several_settings_stand_beside_each_other() -> None:
    other = Setting("Some CPU", dtype="bf16", threads=1)
    figure = bench.bench_figure([table(row("a", 0.001)), table(row("a", 0.003), setting=other)])
    assert [bar.get_width() for bar in figure.axes[0].patches] == pytest.approx([1.0, 3.0])
    assert {"fp32", "bf16"} <= set(texts(figure))


def test_a_study_is_a_line_over_what_varies() -> None:
    graphs = expanded("conv", ["16:64:16", "--kernel", "3"], ["3x8x8"], 1)
    rows = [row("conv", 0.001 * n) for n in (1, 2, 3, 4)]
    figure = bench.bench_figure([table(*rows, batch=None)], graphs)
    (line,) = with_gid(figure, "time")
    (rate,) = with_gid(figure, "rate")
    assert line.get_xydata().tolist() == pytest.approx(np.array([[16, 1], [32, 2], [48, 3], [64, 4]]))
    assert rate.get_ydata() == pytest.approx([2 * 1_000 / (0.001 * n) / 1e6 for n in (1, 2, 3, 4)])
    assert figure.axes[0].get_xlabel() == "out"


def test_a_study_of_several_sizes_is_bars() -> None:
    graphs = expanded("conv", ["16,32", "--kernel", "3,5"], ["3x8x8"], 1)
    rows = [row("conv", 0.001 * n, inputs=((1, n, 8, 8),)) for n in (1, 2, 3, 4)]
    figure = bench.bench_figure([table(*rows, batch=None)], graphs)
    assert lengths(figure.axes[0]) == pytest.approx({0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0})
    assert bench.along_of(graphs) is None


def test_an_input_whose_sides_vary_together_is_one_size() -> None:
    graphs = expanded("conv", ["16", "--kernel", "3"], ["3x8x8", "3x16x16"], 1)
    found = bench.along_of(graphs)
    assert found == ("input height and width", (8.0, 16.0))


def test_layers_that_failed_are_said() -> None:
    figure = bench.bench_figure([table(row("a", 0.001), row("b", None))])
    assert "Not timed: 1 layer that failed." in written(figure)
    with pytest.raises(UsageError, match="nothing was timed that could be drawn"):
        bench.bench_figure([table(row("b", None))])


def test_too_many_settings() -> None:
    with pytest.raises(UsageError) as caught:
        bench.bench_figure([table(row("a", 0.001))] * 5)
    assert str(caught.value) == (
        "a figure has bars a setting, at most 4, and 5 are asked for\n"
        "hint: give fewer batches, dtypes, layouts, passes or thread counts at once"
    )


# ---- files ----------------------------------------------------------------------------------------


FIGURES: dict[str, Callable[[], Any]] = {
    "report": lambda: report.report_figure(cnncost.analyze("alexnet")),
    "memory": lambda: memory.memory_figure(
        graph := cnncost.load("alexnet"), memory_of(graph, "fp32", TrainingStep.of()), TrainingStep.of()
    ),
    "roofline": lambda: roofline.roofline_figure(cnncost.roofline("alexnet", device="h100")),
    "compare": lambda: compare.compare_figure(
        nets := cnncost.compare(["alexnet", "resnet18"]), compare.network_map(nets)
    ),
    "map": lambda: sweep.sweep_figure(space_of("alexnet", ["batch=1:5", "input=200:300:25"])),
    "lines": lambda: sweep.sweep_figure(space_of("alexnet", ["batch=1:5"])),
    "bench": lambda: bench.bench_figure([table(row("a", 0.001), row("b", 0.002))]),
}


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_figure_opens_and_is_the_same_twice(name: str, suffix: str) -> None:
    data = plots.to_bytes(FIGURES[name](), suffix)
    assert data.startswith(SUFFIXES[suffix])
    assert data == plots.to_bytes(FIGURES[name](), suffix)
    if suffix == "png":
        from matplotlib.image import imread

        pixels = imread(io.BytesIO(data))
        assert pixels.shape[1] == round(plots.PAGE * plots.DOTS)
        assert len(np.unique(pixels[::7, ::7, 2])) > 10
    if suffix == "svg":
        assert data.count(b"'DejaVu Sans', 'Verdana', sans-serif") == data.count(b"font-family")
        letters = "".join(ElementTree.fromstring(data).itertext())
        assert ("Net" if name == "bench" else "2 networks" if name == "compare" else "AlexNet") in letters
    if suffix == "pdf":
        assert data.rstrip().endswith(b"%%EOF")
        assert b"CreationDate" not in data


def beyond(figure: Any) -> set[int]:
    """Labels of ticks that are not drawn, for they are outside of their axis."""
    found = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            found |= {id(each) for t in ticks if not low <= t.get_loc() <= high for each in (t.label1, t.label2)}
    return found


@pytest.mark.parametrize("name", FIGURES)
def test_nothing_that_is_written_is_cut_off(name: str) -> None:
    from matplotlib.text import Text

    figure = FIGURES[name]()
    with plots.style():
        figure.draw_without_rendering()
        renderer = figure.canvas.get_renderer()
        page = figure.bbox
        unseen = beyond(figure)
        for text in figure.findobj(Text):
            if text.get_visible() and text.get_text().strip() and id(text) not in unseen:
                box = text.get_window_extent(renderer)
                assert box.x0 >= page.x0 - 1, text
                assert box.x1 <= page.x1 + 1, text
                assert box.y0 >= page.y0 - 1, text
                assert box.y1 <= page.y1 + 1, text


@pytest.mark.parametrize("name", FIGURES)
def test_settings_of_the_program_stay_as_they_are(name: str) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.to_bytes(FIGURES[name](), "png")
    assert dict(matplotlib.rcParams) == before


HOSTILE = {
    "tags": "<script>alert(1)</script>",
    "formula": "$x^$ and $\\\\frac{1}{$",
    "long": "x" * 300,
    "arabic": "شبكة",
    "chinese": "网络",
    "lines": "two\\nlines",
    "underscore": "_hidden",
    "percent": "100% \\\\undefined{",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_names_that_are_hard_to_write(tmp_path: Path, name: str, suffix: str) -> None:
    path = network(tmp_path, "  c: {conv: 4, kernel: 3}\n  f: {linear: 10}\n", f'"{name}"')
    priced = cnncost.analyze(path)
    compared = cnncost.compare([path, "alexnet"])
    space = space_of(path, ["batch=1,2,4"])
    figures = [
        lambda: report.report_figure(priced),
        lambda: compare.compare_figure(compared, compare.network_map(compared, y="params")),
        lambda: memory.memory_figure(priced.graph, priced.memory),
        lambda: roofline.roofline_figure(cnncost.roofline(priced.graph, device="h100")),
        lambda: sweep.sweep_figure(space),
    ]
    for draw in figures if suffix == "svg" else figures[:1]:
        figure = draw()
        data = plots.to_bytes(figure, suffix)
        assert data.startswith(SUFFIXES[suffix])
        if suffix == "svg":
            assert b"<script>" not in data
            ElementTree.fromstring(data)


def test_layers_with_hard_names_are_drawn_as_they_are_called() -> None:
    rows = [row(name, 0.001) for name in ("a$b$", "_under", "<b>", "y" * 300)]
    data = plots.to_bytes(bench.bench_figure([table(*rows)]), "svg")
    letters = "".join(ElementTree.fromstring(data).itertext())
    assert "a$b$" in letters
    assert "_under" in letters
    assert "<b>" in letters
    assert "y" * 40 not in letters


def test_letters_that_no_font_has_are_escaped() -> None:
    assert plots.word("ok \U000e0041") == "ok \\U000e0041"
    assert plots.word("$") == r"\$"


def test_a_suffix_decides(tmp_path: Path) -> None:
    figure = FIGURES["lines"]()
    plots.save(figure, tmp_path / "a.PNG")
    assert (tmp_path / "a.PNG").read_bytes().startswith(SUFFIXES["png"])
    with pytest.raises(UsageError) as caught:
        plots.save(figure, tmp_path / "a.jpg")
    assert str(caught.value) == (
        f"--plot {tmp_path}/a.jpg: no picture has the suffix .jpg\nhint: write FILE.png, FILE.svg or FILE.pdf"
    )
    with pytest.raises(UsageError, match="a figure is no jpg"):
        plots.to_bytes(figure, "jpg")


def test_arrays_of_sizes_are_no_figure() -> None:
    graph = cnncost.load("alexnet", batch=np.array([1, 2]))
    for draw in (
        lambda: report.report_figure(cnncost.analyze(graph)),
        lambda: memory.memory_figure(graph, inference_memory(graph)),
        lambda: roofline.roofline_figure(cnncost.roofline(graph, device="h100")),
    ):
        with pytest.raises(UsageError, match="a figure shows one network"):
            draw()


@pytest.mark.parametrize(
    ("arguments", "loaded"), [([], "False False False"), (["--plot", "a.png"], "True True False")], ids=["no", "yes"]
)
def test_only_a_figure_imports_matplotlib_and_none_pyplot(tmp_path: Path, arguments: list[str], loaded: str) -> None:
    code = (
        "from cnncost.cli import main\n"
        f"try: main(['report', 'alexnet', *{arguments}])\n"
        "except SystemExit: pass\n"
        "import sys\nprint(*(name in sys.modules for name in ('matplotlib', 'numpy', 'matplotlib.pyplot')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == loaded
