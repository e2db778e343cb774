"""Numbers and tables as text."""

from __future__ import annotations

import json

import numpy
import pytest

import cnncost
from cnncost.analysis.columns import COLUMNS, DEFAULT, chosen
from cnncost.analysis.fold import ranked, top
from cnncost.analysis.report import CONVENTIONS
from cnncost.errors import UsageError
from cnncost.output.records import plain
from cnncost.output.tables import Paper, report_table, shortened
from cnncost.output.units import Unit, bar, percent, plural, readable_bytes, unit_for


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (Unit("", 1), 1234567, "1,234,567"),
        (Unit("M", 10**6), 1234567, "1.235"),
        (Unit("M", 10**6), 1234567890, "1,234.568"),
        (Unit("M", 10**6), 0, "0"),
        (Unit("M", 10**6), 999, "<0.001"),
        (Unit("M", 10**6), 1000, "0.001"),
        (Unit("MiB", 2**20), 3 * 2**19, "1.500"),
    ],
)
def test_a_number_in_a_unit(unit, value, text) -> None:
    assert unit.show(value) == text


@pytest.mark.parametrize(
    ("values", "bytes_", "choice", "name"),
    [
        ([1, 10**9], False, "exact", ""),
        ([1, 10**9], False, "auto", "G"),
        ([1, 10**9 - 1], False, "auto", "M"),
        ([999], False, "auto", ""),
        ([], False, "auto", ""),
        ([None, 5], False, "auto", ""),
        ([5 * 2**20], True, "auto", "MiB"),
        ([2**20 - 1], True, "auto", "KiB"),
        ([1], True, "exact", "B"),
        ([1], True, "M", "MiB"),
        ([1], False, "K", "K"),
    ],
)
def test_the_unit_of_a_column(values, bytes_, choice, name) -> None:
    assert unit_for(values, bytes_, choice).name == name


def test_small_things() -> None:
    assert readable_bytes(1023) == "1,023 B"
    assert readable_bytes(1536) == "1.50 KiB"
    assert percent(1, 8) == "12.5%"
    assert percent(1, 0) == "-"
    assert bar(5, 10, 8) == "████"
    assert bar(0, 0, 8) == ""
    assert (plural(1, "layer"), plural(2000, "layer")) == ("1 layer", "2,000 layers")
    assert shortened("conv4.2.branch", 20) == "conv4.2.branch"
    assert shortened("conv4.2.branch1.conv", 11) == "conv4….conv"
    assert len(shortened("conv4.2.branch1.conv", 11, unicode=False)) == 11


def test_columns_by_name() -> None:
    assert [c.name for c in chosen(None)] == list(DEFAULT)
    assert [c.name for c in chosen("macs,name")] == ["macs", "name"]
    assert [c.name for c in chosen("+flops")] == [*DEFAULT, "flops"]
    assert [c.name for c in chosen("+macs,+flops")] == [*DEFAULT, "flops"]
    assert len(chosen("all")) == len(COLUMNS)
    with pytest.raises(UsageError, match="unknown column flop"):
        chosen("flop")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, None])
@pytest.mark.parametrize("colour", [True, False])
def test_no_width_cuts_a_number(width, colour) -> None:
    report = cnncost.analyze("inception_v3")
    text = report_table(report, report.layers, chosen("+flops,where"), paper=Paper(width, colour))
    for layer in report.layers:
        for number in (layer.params, layer.macs, layer.flops):
            assert f"{number:,}" in text


def test_names_with_markup_are_text(tmp_path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text("name: '[red]x[/red] :smile:'\nabout: '[bold]'\ninput: 3x8x8\nlayers: {a: {conv: 4}}")
    report = cnncost.analyze(path)
    assert "[red]x[/red] :smile:: [bold]" in report_table(report, report.layers, chosen(None))


def test_every_column_has_a_value_or_a_dash_for_every_layer() -> None:
    for layer in cnncost.analyze("resnet50").layers:
        for column in COLUMNS.values():
            value = column.value(layer)
            kinds = {"text": str, "count": int, "bytes": int, "peak": int, "share": int, "number": float}
            kind = kinds.get(column.kind, tuple)
            assert value is None or type(value) is kind, column.name


@pytest.mark.parametrize("width", [40, 60, 80])
def test_too_many_columns_become_several_tables_of_the_width(width) -> None:
    report = cnncost.analyze("alexnet")
    text = report_table(report, report.layers, chosen("all"), paper=Paper(width))
    assert max(map(len, text.splitlines())) <= max(width, 45)
    assert text.count("conv1 ") > 3
    for column in COLUMNS.values():
        assert column.header.split(" (")[0] in text or column.kind == "share"


def test_reports_show_themselves() -> None:
    report = cnncost.analyze("lenet5")
    assert str(report) == report_table(report, report.layers, chosen(None))
    assert json.loads(report.to_json())["name"] == "LeNet-5"
    assert "| C1 | conv 5x5 | 6x28x28 |" in report.to_markdown()
    assert report["C1"] is report.layers[0]
    with pytest.raises(KeyError):
        report["C9"]


def test_a_report_over_arrays_is_data_only() -> None:
    report = cnncost.analyze("lenet5", batch=numpy.array([1, 2]))
    assert report.swept
    assert len(report.rows()) == len(report.layers)
    assert report._repr_html_() is None
    assert str(report) == repr(report)
    for show in (cnncost.Report.to_json, cnncost.Report.to_markdown):
        with pytest.raises(UsageError, match="over arrays"):
            show(report)


def test_the_bar_is_scaled_to_the_rows_that_are_listed() -> None:
    report = cnncost.analyze("resnet50")
    rows = top(ranked(report.layers, lambda row: row.macs), 3)
    lines = report_table(report, rows, chosen(None)).splitlines()
    assert lines[4].endswith("█" * 16)
    assert "█" not in next(line for line in lines if line.startswith("(the others)"))


def test_values_for_programs() -> None:
    """Numbers as they are, nothing for nothing; a text keeps its dash."""
    (layer,) = cnncost.analyze("example_same_padding").layers
    named = layer._replace(name="-x")
    assert [plain(COLUMNS[name], named) for name in ("name", "macs", "shares")] == ["-x", layer.macs, ""]
    assert plain(COLUMNS["intensity"], layer) == layer.intensity
    assert plain(COLUMNS["output"], layer) == "x".join(map(str, layer.output_shape[1:]))


@pytest.mark.parametrize("command", ["report lenet5", "compare lenet5 alexnet", "compare --layers resnet18 resnet34"])
def test_the_legend_can_be_left_out(run, command) -> None:
    for format_ in ("table", "markdown"):
        whole = run(*command.split(), "--format", format_).out.splitlines()
        short = run(*command.split(), "--format", format_, "--no-legend").out.splitlines()
        bullet = "- " if format_ == "markdown" else ""
        legend = whole[len(short) :]
        assert whole[: len(short)] == short
        assert [line for line in legend if line] == [bullet + line for line in CONVENTIONS]
        assert short[-1] or bullet
    result = run(*command.split(), "--no-legend", "--format", "csv")
    assert result.err == "error: --no-legend has no effect on csv\nhint: it goes with --format table or markdown\n"


def test_a_terminal_is_told_of_legends_that_can_be_left_out() -> None:
    report, hint = cnncost.analyze("lenet5"), "--no-legend leaves these lines out."
    text = report_table(report, report.layers, chosen(None), paper=Paper(100))
    assert text.splitlines()[-1] == hint
    assert hint not in report_table(report, report.layers, chosen(None), paper=Paper())
    assert hint not in report_table(report, report.layers, chosen(None), paper=Paper(100, legend=False))
