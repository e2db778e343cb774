"""The library as programs use it."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest

import cnncost


def test_everything_public_can_be_imported() -> None:
    for name in cnncost.__all__:
        assert getattr(cnncost, name).__doc__, name
        assert name in dir(cnncost)
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        cnncost.analyse  # noqa: B018


def test_a_graph_and_a_name_give_the_same_report() -> None:
    assert cnncost.analyze(cnncost.load("alexnet", batch=2)) == cnncost.analyze("alexnet", batch=2)


def test_paths_are_accepted() -> None:
    path = Path(__file__).parent.parent / "architectures" / "alexnet.yaml"
    assert cnncost.analyze(path).total == cnncost.analyze(str(path)).total


def test_a_graph_cannot_be_given_other_sizes() -> None:
    with pytest.raises(cnncost.UsageError, match="a graph has its input"):
        cnncost.analyze(cnncost.load("alexnet"), batch=2)


def test_rows_go_into_a_data_frame() -> None:
    report = cnncost.analyze("resnet50")
    frame = pandas.DataFrame(report.rows())
    assert len(frame) == len(report.layers)
    assert frame.macs.sum() == report.total.macs
    assert frame.params.sum() == report.total.params
    assert frame.groupby("op").macs.sum()["conv"] == sum(layer.macs for layer in report.layers if layer.op == "conv")


def test_notebooks_show_a_table_and_all_text_is_escaped(tmp_path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("name: <script>alert(1)</script>\ninput: 3x8x8\nlayers: {a: {conv: 4}}")
    html = cnncost.analyze(path)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<tr>") == 3  # header, one layer, total
    assert f"{4 * 3 * 64:,}" in html


def test_a_report_is_short_in_a_shell() -> None:
    report = cnncost.analyze("alexnet", batch=2)
    assert repr(report) == (
        f"<Report of AlexNet: 24 layers, batch=2, params={report.total.params}, macs={report.total.macs}, "
        f"flops={report.total.flops}>"
    )


def test_graphs_tell_what_they_are() -> None:
    graph = cnncost.load("alexnet")
    assert len(graph) == len(list(graph)) == len(graph.nodes)
    assert graph.outputs == (graph.nodes[-1].name,)
    assert "conv1" in repr(graph.nodes[0])
    assert "Conv(out=96, kernel=11, stride=4)" in repr(graph.nodes[0])
