"""Networks side by side: which are compared, at which sizes, and their figures."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy
import pandas
import pytest
from compared import FIXED, written

import cnncost
from cnncost.analysis.compare import NETWORK_COLUMNS, error_rate
from cnncost.spec.files import bundled_names


@pytest.fixture
def nets(folder: Path) -> Path:
    return written(folder)


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
        (
            "compare narrow.yaml --force",
            "error: --force has no effect here\nhint: it goes with -o FILE, --html FILE or --plot FILE\n",
        ),
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
