"""Networks side by side: what is shown of them, and in which form.

`python tests/test_compare_output.py` writes the outputs in docs/compare.md anew.
"""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import jsonschema
import pytest
from compared import FIXED, NARROW, written
from documents import ROOT, blocks, commands, filled

import cnncost
from cnncost.analysis.compare import NETWORK_COLUMNS, NETWORK_DEFAULT
from cnncost.output.compare import comparison_table, times
from cnncost.output.tables import Paper
from cnncost.spec.files import bundled_names


@pytest.fixture
def nets(folder: Path) -> Path:
    return written(folder)


# ---- as shown ----------------------------------------------------------------------------------


BYTES = ["activations (KiB)", "parameters (B)", "peak (KiB)"]
FIGURES = "name,input,layers,params,macs,flops,activation_bytes,weight_bytes"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("compare-files.txt", "compare narrow.yaml wide.yaml fixed.yaml"),
        ("compare-files-relative.txt", "compare wide.yaml fixed.yaml --relative-to narrow.yaml --units exact"),
        ("compare-files.json", "compare wide.yaml --relative-to narrow.yaml --batch 2 --format json"),
        ("compare-files.csv", "compare narrow.yaml wide.yaml fixed.yaml --format csv"),
        ("compare-files.md", "compare wide.yaml fixed.yaml --relative-to narrow.yaml --format markdown"),
        ("compare-files-all.txt", "compare narrow.yaml wide.yaml --columns all"),
        ("compare-bundled.txt", f"compare alexnet vgg16 resnet50 --columns {FIGURES} --relative-to alexnet"),
        ("compare-sorted.txt", f"compare alexnet vgg16 resnet50 --columns {FIGURES} --sort macs --top 2"),
        ("compare-columns.txt", "compare --list-columns"),
        ("help-compare.txt", "compare --help"),
    ],
)
def test_whole_output(nets, run, golden, name, arguments, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = run(*arguments.split())
    assert (result.code, result.err) == (0, "")
    golden(name, result.out.replace(cnncost.__version__, "VERSION") if name.endswith("json") else result.out)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal_shows_the_columns_that_fit(nets, golden, width, colour) -> None:
    comparison = cnncost.compare(["narrow.yaml", "wide.yaml", "alexnet"], relative_to="narrow.yaml")
    text = comparison_table(comparison, paper=Paper(width, colour))
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert (text == plain) is not colour
    assert max(map(len, plain.splitlines())) <= width
    for row in comparison:
        ratio = re.escape(times(row.cost.params / comparison["narrow"].cost.params))
        assert re.search(rf"^{row.name} .*{ratio}", plain, re.M)
    left_out = re.search(rf"Not shown in {width}\s+columns: (.*?);\s+--columns\s+chooses", plain, re.S)
    assert left_out
    shown = plain.splitlines()[3]
    missing = re.split(r",\s+", left_out[1])
    for name in NETWORK_DEFAULT:
        header = NETWORK_COLUMNS[name].header
        assert (header in shown) is not (name in missing), name
    assert ("tested" in shown) is ("top-5" in shown)
    if not colour:
        golden(f"compare-{width}-columns.txt", text)


def test_an_error_stands_only_beside_how_it_was_measured(nets) -> None:
    Path("bare.yaml").write_text(re.sub(r"^(year|family):.*\n", "", NARROW, flags=re.M))
    headers = [
        comparison_table(cnncost.compare(names), paper=Paper(width)).splitlines()[3]
        for names in (["bare.yaml"], ["narrow.yaml", "wide.yaml", "alexnet"])
        for width in range(20, 160)
    ]
    assert all(("tested" in header) is ("top-5" in header) for header in headers)
    assert all("top-5" in header for header in headers if "top-1" in header)
    assert "tested" not in headers[0]
    assert "top-1" in headers[-1]


def test_columns_that_are_named_are_all_shown(nets) -> None:
    comparison = cnncost.compare(["narrow.yaml", "wide.yaml"])
    columns = list(NETWORK_COLUMNS.values())
    text = comparison_table(comparison, columns=columns, paper=Paper(80))
    assert max(map(len, text.splitlines())) <= 80
    for column in columns:
        assert column.header in text
    assert "Not shown" not in text


def test_usual_columns_without_any_value_are_left_out(nets, run) -> None:
    header = run("compare", "fixed.yaml").out.splitlines()[3]
    assert re.split(r"  +", header) == ["name", "input", "layers", "params", "MACs (K)", "FLOPs (K)", *BYTES]


def test_long_tables_have_their_headers_below_too(nets, run) -> None:
    lines = run("compare", "all", "--columns", "name,macs,top1_error").out.splitlines()
    header = lines[3]
    assert header.split()[0] == "name"
    assert lines[3 + 1 + len(bundled_names())] == header
    assert lines.count(header) == 2
    assert run("compare", "narrow.yaml").out.count("MACs (K)") == 1


def test_errors_keep_the_digits_that_their_source_printed(nets, run) -> None:
    printed = ("16.0", "9.20", "8.125", "33")
    for text in printed:
        Path(f"e{text.replace('.', '_')}.yaml").write_text(NARROW.replace("top1_error: 33", f"top1_error: {text}"))
    rows = list(cnncost.compare("e*.yaml"))
    columns = ("--columns", "name,top1_error")
    shown = [line.split()[1] for line in run("compare", "e*.yaml", *columns).out.splitlines()[4:8]]
    assert sorted(shown) == sorted(printed)
    assert [type(row.error_rate.top1) for row in rows if row.error_rate].count(int) == 1
    record = json.loads(run("compare", "e16_0.yaml", "--format", "json").out)["networks"][0]
    assert (record["error"]["top1"], record["facts"][1]["top1_error"]) == (16.0, 16.0)
    assert "| 16.0 |" in run("compare", "e16_0.yaml", *columns, "--format", "markdown").out


def test_points_of_errors_are_below_each_other(nets, run) -> None:
    lines = run("compare", "narrow.yaml", "wide.yaml", "--columns", "name,top1_error").out.splitlines()[3:6]
    assert lines == ["name    top-1 (%)", "narrow      33", "wide         7.25"]


def test_errors_are_never_shown_without_a_word_on_how_they_were_measured(nets, run) -> None:
    columns = "name,top1_error"
    assert "unless `tested` names other images." in run("compare", "narrow.yaml", "--columns", f"{columns},tested").out
    assert "the column `tested` tells them apart." in run("compare", "narrow.yaml", "--columns", columns).out
    assert "published errors" not in run("compare", "fixed.yaml").out


def test_a_giant_leaves_the_others_readable(nets, run) -> None:
    arguments = ["narrow.yaml", "fixed.yaml", "vgg16", "--columns", "name,macs"]
    values = [3 * 9 * 5 * 5 * 7 + 5 * 2, 4 * 25 * 24 * 24, cnncost.analyze("vgg16").total.macs]
    lines = run("compare", *arguments).out.splitlines()[3:7]
    assert lines[0].split() == ["name", "MACs", "(K)"]
    assert [line.split()[-1] for line in lines[1:]] == [f"{value / 1000:,.3f}" for value in values]


def test_long_names_are_cut_before_figures(folder) -> None:
    name = "a_network_with_a_name_that_is_longer_than_any_other"
    (folder / f"{name}.yaml").write_text(NARROW)
    text = comparison_table(cnncost.compare(["*.yaml"]), paper=Paper(50))
    assert max(map(len, text.splitlines())) <= 50
    assert f"{name[:8]}" in text
    assert name not in text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1, "x1.00"), (0.417, "x0.42"), (99.994, "x99.99"), (1234.5, "x1,234"), (0.001, "<x0.01"), (0, "x0.00")],
)
def test_a_ratio_in_words(ratio, text) -> None:
    assert times(ratio) == text
    assert times(None) == "-"


def test_comparisons_show_themselves(nets) -> None:
    comparison = cnncost.compare(["narrow.yaml", "wide.yaml"], relative_to="wide.yaml")
    assert str(comparison) == comparison_table(comparison)
    assert repr(comparison) == "<Comparison of narrow, wide>"
    assert "| narrow | 2001 |" in comparison.to_markdown()
    html = comparison._repr_html_()
    assert html.count("<tr>") == 1 + len(comparison)
    assert "x0.10" in html


# ---- for programs ------------------------------------------------------------------------------


def test_json_follows_its_schema(nets, run) -> None:
    schema = json.loads(run("schema", "compare").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    for arguments in (["narrow.yaml", "wide.yaml", "fixed.yaml"], ["alexnet", "vgg16", "--relative-to", "lenet5"]):
        value = json.loads(run("compare", *arguments, "--format", "json").out)
        jsonschema.validate(value, schema)
        for network in value["networks"]:
            totals = network["totals"]
            assert totals["params"] == totals["weights"] + totals["biases"] + totals["other_params"]
    assert value["relative_to"] == "lenet5"
    assert value["networks"][0]["ratios"]["macs"] == 1


def test_csv_holds_whole_numbers_and_nothing_for_nothing(nets, run) -> None:
    out = run("compare", "narrow.yaml", "fixed.yaml", "--format", "csv", "--columns", "name,year,macs,top1_error").out
    macs = [3 * 9 * 5 * 5 * 7 + 5 * 2, 4 * 25 * 24 * 24]
    assert list(csv.reader(io.StringIO(out)))[1:] == [
        ["narrow", "2001", str(macs[0]), "33"],
        ["fixed", "", str(macs[1]), ""],
    ]


def test_sort_and_top(nets, run) -> None:
    def order(*options: str) -> list[str]:
        out = run("compare", "*.yaml", "--format", "csv", "--columns", "name", *options).out
        return [line[0] for line in csv.reader(io.StringIO(out))][1:]

    assert order("--sort", "macs") == ["fixed", "wide", "narrow"]
    assert order("--sort", "top1_error") == ["wide", "narrow", "fixed"]  # the smaller the better; none is last
    assert order("--sort", "name") == ["fixed", "narrow", "wide"]
    assert order("--sort", "year") == ["wide", "narrow", "fixed"]
    assert order("--sort", "macs", "--top", "1") == ["fixed"]
    assert order("--sort", "macs", "--top", "1", "--relative-to", "narrow.yaml") == ["fixed", "narrow"]


def test_output_goes_to_a_file_in_the_format_of_its_suffix(nets, run) -> None:
    assert run("compare", "alexnet", "vgg16", "-o", "a.json").code == 0
    assert len(json.loads(Path("a.json").read_text())["networks"]) == 2
    assert run("compare", "alexnet", "-o", "a.json").code == 2
    assert run("compare", "alexnet", "-o", "a.json", "--force").code == 0
    assert len(json.loads(Path("a.json").read_text())["networks"]) == 1
    Path("net").write_text(FIXED)
    assert "would lose the spec" in run("compare", "alexnet", "net", "-o", "net", "--force").err


# ---- docs --------------------------------------------------------------------------------------


DOCS = ROOT / "docs" / "compare.md"


@pytest.mark.parametrize(("command", "shown"), commands(DOCS), ids=[command for command, _ in commands(DOCS)])
def test_docs_show_what_happens(folder, run, command, shown) -> None:
    result = run(*command.split()[1:])
    assert result.out + result.err == shown


def test_the_python_of_the_docs_runs(capsys) -> None:
    values: dict[str, object] = {}
    exec(blocks(DOCS, "python")[0], values)
    assert len(values["rows"]) == len(values["table"]) > 2  # type: ignore[arg-type]
    difference = cnncost.analyze("resnet50_v1").total.macs - cnncost.analyze("resnet50").total.macs
    assert capsys.readouterr().out == f"{difference}\n"


if __name__ == "__main__":
    DOCS.write_text(filled(DOCS), encoding="utf-8")
