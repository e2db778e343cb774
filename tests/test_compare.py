"""Networks side by side: which are compared, what is shown of them, and in which form.

`python tests/test_compare.py` writes the outputs in docs/compare.md anew.
"""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy
import pandas
import pytest

import cnncost
from cnncost.analysis.compare import NETWORK_COLUMNS, NETWORK_DEFAULT, error_rate
from cnncost.output.compare import comparison_table, times
from cnncost.output.tables import Paper
from cnncost.spec.files import bundled_names

ROOT = Path(__file__).parent.parent
NARROW = """\
name: Narrow
year: 2001
family: wedge
input: 3x7x9
parameters: {out: 5}
layers:
  conv: {conv: out, kernel: 3, bias: false}
  relu: relu
  pool: {global_avg_pool, keep: false}
  fc: {linear: 2, bias: false}
facts:
  - {top1_error: 31.5, top5_error: 9.25, dataset: ILSVRC-2012 validation, crops: 10, source: table 1}
  - {top1_error: 33, top5_error: 10.5, dataset: ILSVRC-2012 validation, source: table 1}
  - {top1_error: 28.1, top5_error: 8.0, dataset: ILSVRC-2012 validation, models: 7, crops: 144, source: table 2}
  - {training_time: 5 to 6 days, source: section 5}
"""
WIDE = """\
extends: narrow
name: Wide
year: 2003
parameters: {out: 50}
facts:
  - {error: 7.25, dataset: CIFAR-10 test, source: table 3}
"""
FIXED = "name: Fixed\ninput: 1x28x28\nlayers: {conv: {conv: 4, kernel: 5}}\n"


@pytest.fixture
def nets(folder: Path) -> Path:
    for name, text in (("narrow", NARROW), ("wide", WIDE), ("fixed", FIXED)):
        (folder / f"{name}.yaml").write_text(text)
    return folder


# ---- which networks ----------------------------------------------------------------------------


def test_each_network_counts_once(nets) -> None:
    assert [row.name for row in cnncost.compare(["wide.yaml", "*.yaml", "./wide.yaml"])] == ["wide", "fixed", "narrow"]


def test_files_of_one_name_are_told_apart(nets) -> None:
    Path("other").mkdir()
    Path("other/fixed.yaml").write_text(FIXED.replace("conv: 4", "conv: 8"))
    rows = list(cnncost.compare(["fixed.yaml", "other/fixed.yaml", "narrow.yaml"]))
    assert [row.name for row in rows] == ["fixed.yaml", "other/fixed.yaml", "narrow"]


def test_graphs_and_specs_mix(nets) -> None:
    graph = cnncost.load("narrow.yaml", set={"out": 7})
    comparison = cnncost.compare([graph, "alexnet", graph])
    assert [row.cost.params for row in comparison] == [7 * 3 * 9 + 7 * 2, cnncost.analyze("alexnet").total.params]
    assert len(cnncost.compare(graph)) == 1
    with pytest.raises(cnncost.UsageError, match="a graph has its input"):
        cnncost.compare([graph], batch=2)
    with pytest.raises(cnncost.UsageError, match="graphs of batch 1 and 2"):
        cnncost.compare([graph, cnncost.load("alexnet", batch=2)])


# ---- figures -----------------------------------------------------------------------------------


def test_rows_hold_what_reports_say() -> None:
    for row in cnncost.compare(["alexnet", "resnet50", "mobilenet_v2"], batch=3, dtype="fp16"):
        report = cnncost.analyze(row.name, batch=3, dtype="fp16")
        assert row.totals == report.totals
        assert (row.network, row.inputs, row.about) == (report.name, report.inputs, report.about)
        assert row.nodes == len(report.layers)
        assert row.moved_bytes == sum(layer.moved_bytes for layer in report.layers)


def test_rows_go_into_a_data_frame(nets) -> None:
    frame = pandas.DataFrame(cnncost.compare(["narrow.yaml", "wide.yaml"], relative_to="narrow.yaml").rows())
    assert list(frame.columns[: len(NETWORK_COLUMNS)]) == list(NETWORK_COLUMNS)
    assert frame.params_ratio.tolist() == [1, (50 * 27 + 50 * 2) / (5 * 27 + 5 * 2)]
    assert "params_ratio" not in pandas.DataFrame(cnncost.compare(["narrow.yaml"]).rows())


def test_sizes_given_are_those_of_all(nets) -> None:
    comparison = cnncost.compare(["narrow.yaml", "wide.yaml"], input="3x9x9", batch=2, set={"out": 3})
    assert {tuple(row.inputs.values()) for row in comparison} == {((2, 3, 9, 9),)}
    assert {row.cost.params for row in comparison} == {3 * 27 + 3 * 2}


def test_the_error_shown_is_of_one_model_and_the_fewest_crops(nets) -> None:
    narrow, wide, fixed = cnncost.compare(["narrow.yaml", "wide.yaml", "fixed.yaml"])
    assert narrow.error_rate is not None
    assert (narrow.error_rate.top1, narrow.error_rate.top5, narrow.error_rate.how) == (33, 10.5, "1 crop")
    assert wide.error_rate is not None
    assert (wide.error_rate.top1, wide.error_rate.top5, wide.error_rate.how) == (7.25, None, "CIFAR-10 test")
    assert fixed.error_rate is None


@pytest.mark.parametrize(
    ("fact", "how"),
    [
        ({"dataset": "ILSVRC-2012 validation"}, "1 crop"),
        ({"dataset": "ILSVRC-2012 validation", "crops": 10}, "10 crops"),
        ({"dataset": "ILSVRC-2012 validation", "models": 7, "crops": 144}, "7 models x 144 crops"),
        ({"dataset": "ILSVRC-2012 test", "models": 7}, "ILSVRC-2012 test, 7 models x 1 crop"),
        ({"dataset": "CIFAR-10 test"}, "CIFAR-10 test"),
        ({}, "not said on what"),
    ],
)
def test_how_an_error_was_measured_in_words(fact, how) -> None:
    result = error_rate([{"training_time": "2 days"}, {"top5_error": 8.0, "source": "table 1", **fact}])
    assert result is not None
    assert result.how == how


def test_errors_on_the_usual_images_come_before_others() -> None:
    other = {"top5_error": 6.0, "dataset": "ILSVRC-2012 test", "source": "a"}
    usual = {"top5_error": 9.0, "dataset": "ILSVRC-2012 validation", "models": 2, "source": "b"}
    assert error_rate([other, usual]) == error_rate([usual])
    assert error_rate([other]) is not None
    assert error_rate([{"map": 70.0, "source": "c"}]) is None


def test_one_model_of_many_crops_comes_before_several_of_one() -> None:
    many = {"top5_error": 7.9, "dataset": "ILSVRC-2012 validation", "crops": 144, "source": "a"}
    several = {"top5_error": 8.1, "dataset": "ILSVRC-2012 validation", "models": 7, "source": "b"}
    assert error_rate([several, many]) == error_rate([many])


def test_an_error_at_the_size_that_is_priced_comes_before_others(folder: Path) -> None:
    fact = "top1_error: {}, dataset: ILSVRC-2012 validation, crop_size: {}, source: table 1"
    facts = "".join(f"  - {{{fact.format(error, size)}}}\n" for error, size in ((12, 32), (14, 24)))
    (folder / "net.yaml").write_text(f"input: 3x24x24\nlayers: {{conv: {{conv: 4}}}}\nfacts:\n{facts}")

    def shown(**sizes: str) -> tuple[float | None, str | None]:
        (row,) = cnncost.compare("net.yaml", **sizes)
        assert row.error_rate is not None
        return row.error_rate.top1, row.tested

    assert shown() == (14, "1 crop")
    assert shown(input="3x32x32") == (12, "1 crop")
    assert shown(input="3x40x40") == (12, "1 crop, 32 px"), "no error is known at this size"


def test_ratios_are_to_the_one_that_is_named(nets) -> None:
    comparison = cnncost.compare(["wide.yaml"], relative_to="narrow.yaml")
    assert [row.name for row in comparison] == ["narrow", "wide"]  # it is added, in front
    assert comparison.base == comparison["narrow"]
    column = NETWORK_COLUMNS["params"]
    assert comparison.ratio(comparison["wide"], column) == 10
    assert comparison.ratio(comparison["wide"], NETWORK_COLUMNS["layers"]) is None
    assert comparison.ratio(comparison["wide"], NETWORK_COLUMNS["buffers"]) is None  # of nothing
    assert [row.name for row in cnncost.compare(["wide.yaml", "narrow.yaml"], relative_to="./narrow.yaml")] == [
        "wide",
        "narrow",
    ]


def test_unknown_names_have_a_hint() -> None:
    with pytest.raises(KeyError, match="did you mean alexnet"):
        cnncost.compare(["alexnet"])["alexnett"]


def test_arrays_have_no_place_in_a_table() -> None:
    with pytest.raises(cnncost.UsageError, match="one number a cell"):
        cnncost.compare(["alexnet"], batch=numpy.array([1, 2]))


def test_progress_is_told() -> None:
    steps: list[tuple[int, int]] = []
    cnncost.compare(["alexnet", "vgg16", "lenet5"], watch=lambda done, total: steps.append((done, total)))
    assert steps == [(0, 3), (1, 3), (2, 3)]


# ---- what cannot take the sizes given -----------------------------------------------------------


def test_of_a_pattern_what_cannot_take_the_sizes_is_left_out(nets) -> None:
    comparison = cnncost.compare("*.yaml", input="3x4x4")
    assert [row.name for row in comparison] == ["narrow", "wide"]
    ((name, reason),) = comparison.left_out
    assert (name, reason) == ("fixed.yaml", "a window of 5 is larger than its input of 4 (height)")
    assert f"Left out: {name}: {reason}." in str(comparison).splitlines()
    assert f"- Left out: {name}: {reason}." in comparison.to_markdown().splitlines()
    assert cnncost.compare("*.yaml").left_out == ()


def test_networks_left_out_for_one_reason_share_a_line() -> None:
    lines = str(cnncost.compare(["all"], set={"width": 0.35})).splitlines()
    (line,) = [line for line in lines if line.endswith("no parameter width to set.")]
    assert re.fullmatch(r"Left out: (\w+, ){3}\w+ and \d+ more: no parameter width to set\.", line)


def test_a_network_that_is_named_must_take_the_sizes(nets) -> None:
    for networks in (["*.yaml", "fixed.yaml"], ["fixed.yaml", "*.yaml"]):
        with pytest.raises(cnncost.ShapeError, match=r"fixed.yaml:3:10: layer conv: a window of 5"):
            cnncost.compare(networks, input="3x4x4")
    with pytest.raises(cnncost.ShapeError, match="a window of 5"):
        cnncost.compare("*.yaml", relative_to="fixed.yaml", input="3x4x4")


def test_a_faulty_spec_is_no_network_to_leave_out(nets) -> None:
    Path("fixed.yaml").write_text(FIXED.replace("kernel: 5", "kernel: 50"))
    with pytest.raises(cnncost.ShapeError, match="a window of 50"):
        cnncost.compare("*.yaml", input="3x14x14")


def test_where_nothing_is_left_it_is_an_error(nets) -> None:
    with pytest.raises(cnncost.UsageError, match="has 1 size"):
        cnncost.compare("*.yaml", input="3")


def test_programs_are_told_what_is_left_out(nets, run) -> None:
    result = run("compare", "*.yaml", "--input", "3x4x4", "--format", "json")
    (left_out,) = json.loads(result.out)["left_out"]
    assert (result.code, result.err, left_out["name"]) == (0, "", "fixed.yaml")
    result = run("compare", "*.yaml", "--input", "3x4x4", "--format", "csv")
    assert (result.code, result.err) == (0, f"Left out: fixed.yaml: {left_out['reason']}.\n")
    assert [line.split(",")[0] for line in result.out.splitlines()] == ["name", "narrow", "wide"]


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


# ---- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("compare", "error: missing argument 'SPECS...'\nhint: cnncost compare --help\n"),
        (
            "compare narrow.yaml no/such.yaml",
            "error: no/such.yaml: no such file\nhint: cnncost list shows the bundled architectures\n",
        ),
        (
            "compare alexnet alexnett",
            "error: alexnett: no such file, and no bundled architecture of that name\nhint: did you mean alexnet?\n",
        ),
        (
            "compare zz*",
            "error: no file and no bundled architecture fits zz*\n"
            "hint: quote it for bundled names: 'zz*'; cnncost list shows them\n",
        ),
        ("compare family:resnets", "error: no family resnets\nhint: did you mean resnet?\n"),
        (
            "compare narrow.yaml fixed.yaml --set out=3",
            "error: fixed.yaml: no parameter out to set\nhint: fixed.yaml declares none\n",
        ),
        (
            "compare narrow.yaml fixed.yaml --input 3x2",
            "error: narrow.yaml: input 3x2 has 2 sizes, and the spec's input 3x7x9 has 3\n"
            "hint: give a size for each of 3x7x9\n",
        ),
        (
            "compare wide.yaml --input 3x2x9",
            "error: narrow.yaml:7:3: layer conv: a window of 3 is larger than its input of 2 (height) (in wide.yaml)\n"
            "hint: with 0 + 0 of padding the window reaches 3: use a larger input, more padding, or a smaller kernel "
            "or dilation\n",
        ),
        (
            "compare narrow.yaml --relative-to vgg1[16]",
            "error: vgg1[16] means 2 networks\nhint: ratios are to one network\n",
        ),
        (
            "compare narrow.yaml --sort memory",
            "error: --sort: unknown column memory\nhint: did you mean peak_bytes?\n",
        ),
        ("compare narrow.yaml --columns depth", "error: unknown column depth\nhint: did you mean layers?\n"),
        (
            "compare narrow.yaml --format json --columns name",
            "error: --columns has no effect on JSON\nhint: JSON has all of them; choose with --format csv\n",
        ),
        (
            "compare narrow.yaml --format csv --units M",
            "error: --units has no effect on csv\nhint: programs get whole numbers\n",
        ),
        ("compare narrow.yaml --force", "error: --force has no effect here\nhint: it goes with -o FILE\n"),
        (
            "compare narrow.yaml --all",
            "error: --all has no effect here\nhint: it goes with --layers; for all networks write all\n",
        ),
        (
            "compare --layers narrow.yaml",
            "error: --layers compares two networks, got 1\nhint: write --layers alexnet vgg16\n",
        ),
        (
            "compare --layers narrow.yaml wide.yaml fixed.yaml",
            "error: --layers compares two networks, got 3\nhint: write --layers alexnet vgg16\n",
        ),
        (
            "compare --layers narrow.yaml wide.yaml --top 3",
            "error: --top has no effect with --layers\nhint: it goes with a table of networks\n",
        ),
        (
            "compare --layers narrow.yaml wide.yaml --all --format csv",
            "error: --all has no effect on csv\nhint: programs get equal layers too\n",
        ),
        (
            "compare --layers narrow.yaml vgg1[16]",
            "error: vgg1[16] means 2 networks\nhint: layers are compared with those of one network\n",
        ),
        (
            "compare --layers narrow.yaml fixed.yaml --set out=3",
            "error: fixed.yaml: no parameter out to set\nhint: fixed.yaml declares none\n",
        ),
    ],
)
def test_bad_input_is_one_message_and_exit_2(nets, run, arguments, message) -> None:
    result = run(*arguments.split())
    assert (result.code, result.out, result.err) == (2, "", message)


def test_nothing_is_written_where_one_network_fails(nets, run) -> None:
    result = run("compare", "narrow.yaml", "fixed.yaml", "--set", "out=3", "-o", "table.csv")
    assert result.code == 2
    assert not Path("table.csv").exists()


def test_no_networks_are_an_error() -> None:
    with pytest.raises(cnncost.UsageError, match="no network to compare"):
        cnncost.compare([])
    with pytest.raises(cnncost.UsageError, match="a network is a file or a graph, got 5"):
        cnncost.compare([5])  # type: ignore[list-item]


# ---- the process -------------------------------------------------------------------------------


def test_comparing_all_loads_neither_torch_nor_numpy() -> None:
    code = """
import sys
from cnncost.cli import main
try:
    main(["compare", "all", "--format", "csv"])
except SystemExit as e:
    assert e.code == 0
heavy = {m.split(".")[0] for m in sys.modules} & {"torch", "numpy", "pandas", "jsonschema", "glob"}
print(*heavy, file=sys.stderr)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stderr.split() == []
    assert len(result.stdout.splitlines()) == 1 + len(bundled_names())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_is_shown_after_a_second_and_only_in_a_terminal(monkeypatch, run) -> None:
    from cnncost.cli import progress

    monkeypatch.setattr(progress, "PATIENCE", 0)
    assert run("compare", "alexnet", "vgg16").err == ""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.Progress() as watch:
        watch(0, 3)
        watch(2, 3)
    assert "networks" in sys.stderr.getvalue()  # type: ignore[attr-defined]
    monkeypatch.setattr(progress, "PATIENCE", 1000)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with progress.Progress() as watch:
        watch(0, 3)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]


def test_interrupting_is_quiet() -> None:
    command = [sys.executable, "-m", "cnncost", "compare", "alexnet", "-"]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)  # it waits for the rest of the spec
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert (process.returncode, out, err.strip()) == (130, "", "interrupted")


# ---- docs --------------------------------------------------------------------------------------


DOCS = ROOT / "docs" / "compare.md"


def examples() -> list[tuple[str, str]]:
    """(command, output as shown) of every console block of docs/compare.md."""
    return re.findall(r"^```console\n\$ (.*?)\n(.*?)^```", DOCS.read_text(), flags=re.S | re.M)


@pytest.mark.parametrize(("command", "shown"), examples(), ids=[command for command, _ in examples()])
def test_docs_show_what_happens(folder, run, command, shown) -> None:
    result = run(*command.split()[1:])
    assert result.out + result.err == shown


def test_the_python_of_the_docs_runs(capsys) -> None:
    values: dict[str, object] = {}
    exec(re.findall(r"^```python\n(.*?)^```", DOCS.read_text(), flags=re.S | re.M)[0], values)
    assert len(values["rows"]) == len(values["table"]) > 2  # type: ignore[arg-type]
    difference = cnncost.analyze("resnet50_v1").total.macs - cnncost.analyze("resnet50").total.macs
    assert capsys.readouterr().out == f"{difference}\n"


def with_outputs(document: str) -> str:
    """The document with what its commands print."""

    def shown(match: re.Match[str]) -> str:
        command = [sys.executable, "-m", *match[1].split()]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return f"```console\n$ {match[1]}\n{output}```"

    return re.sub(r"```console\n\$ (.*?)\n.*?```", shown, document, flags=re.S)


if __name__ == "__main__":
    DOCS.write_text(with_outputs(DOCS.read_text()))
