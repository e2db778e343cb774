"""`cnncost explain` as people read it: lectures' examples, whole outputs, ops and files, docs.

`python tests/test_explain_output.py` writes the outputs in docs/explain.md anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from documents import ROOT, blocks, commands, filled
from formulas import check_true, lines_of, value_of

import cnncost
from cnncost.cli import cli
from cnncost.ops import MENU, find
from cnncost.output.explain import explanation_text, times
from cnncost.output.tables import Paper
from cnncost.spec.files import bundled_names

DOCS = ROOT / "docs" / "explain.md"

# ---- as a lecture would -----------------------------------------------------------------------


def test_alexnets_second_convolution_as_a_lecture_prints_it() -> None:
    lines = lines_of(cnncost.explain("alexnet", "conv2")["conv2"])
    for quantity, symbols, numbers in (
        ("height', width'", "(height + 2 x padding - kernel)/stride + 1", "(27 + 2x2 - 5)/1 + 1"),
        ("weights", "out x (channels/groups x kernel x kernel)", "256 x (96/2 x 5 x 5)"),
        ("biases", "out", "256"),
        ("MACs", "weights x height' x width'", "307,200 x 27 x 27"),
        ("receptive field", "previous + (kernel - 1) x jump", "19 + (5 - 1) x 8"),
    ):
        assert (lines[quantity].symbols, lines[quantity].numbers) == (symbols, numbers)


def test_worked_examples() -> None:
    lines = lines_of(cnncost.explain("conv", input="3x32x32", out=10, kernel=5, padding=2)["conv"])
    assert lines["params"].value == 760 == 10 * (3 * 5 * 5) + 10
    assert lines["neurons"].numbers == "10 x 32 x 32"
    explained = cnncost.explain("conv", 1, input=(1, 7, 7), kernel=3, stride=3)["conv"]
    assert lines_of(explained)["unseen rows, columns"].value == 1
    assert explained.notes[0].startswith("(7 - 3)/3 + 1 = 7/3, about 2.33, is not whole: along height and width")
    explained = cnncost.explain("conv", 1, input="1x280x320", kernel=(1, 2), bias=False)["conv"]
    assert lines_of(explained)["plain sums"].value == 319 * 280 * 3
    assert {b.name: b.weights for b in explained.beside}["dense"] == 320 * 280 * 319 * 280


def test_layers_beside_are_the_ops_of_these_connections() -> None:
    beside = {b.name: b for b in cnncost.explain("alexnet", "conv2")["conv2"].beside}
    weights, places = 256 * 48 * 25, 27 * 27
    assert (beside["this layer"].weights, beside["this layer"].macs) == (weights, weights * places)
    assert (beside["not grouped"].weights, beside["not grouped"].macs) == (2 * weights, 2 * weights * places)
    assert (beside["locally connected"].weights, beside["locally connected"].macs) == (weights * places,) * 2
    assert beside["dense"].weights == beside["dense"].macs == 96 * places * 256 * places
    assert cnncost.explain("alexnet", "fc6")["fc6"].beside == ()
    assert cnncost.explain("alexnet", "relu1")["relu1"].beside == ()


def test_every_place_has_one_kernel_and_an_output_few_inputs() -> None:
    notes = cnncost.explain("alexnet", "conv2")["conv2"].notes
    assert notes == (
        f"An output is connected to {48 * 25:,} of {96 * 27 * 27:,} inputs (sparse connections), "
        f"and {27 * 27} places have one kernel (shared weights).",
    )


@pytest.mark.parametrize(
    ("size", "options", "note"),
    [
        ("4x1x1", {}, ()),
        ("4x1x1", {"kernel": 3, "padding": 1}, ()),
        ("4x1x1", {"groups": 2}, ("An output is connected to 2 of 4 inputs (sparse connections).",)),
        ("4x2x2", {"kernel": 3, "padding": 1}, ("4 places have one kernel (shared weights).",)),
    ],
)
def test_nothing_is_said_of_connections_that_are_neither_sparse_nor_shared(size: str, options: Any, note: Any) -> None:
    explained = cnncost.explain("conv", 6, input=size, **options)["conv"]
    assert explained.notes == note


def test_a_planted_fault_shows(monkeypatch) -> None:
    from cnncost.ops.conv import Conv

    monkeypatch.setattr(Conv, "fan_in", lambda self, x: x[1] // self.groups * self.taps(x) + 1)
    explained = cnncost.explain("alexnet", "conv2")["conv2"]
    assert lines_of(explained)["weights"].numbers == "256 x (96/2 x 5 x 5 + 1)"
    check_true(explained)


def test_a_layer_that_shares_parameters_says_whose(folder) -> None:
    Path("net.yaml").write_text("input: 3x9x9\nlayers:\n  a: {conv: 3}\n  b: {reuse: a}\n")
    explanation = cnncost.explain("net.yaml", "*")
    assert any("those of a" in note for note in explanation["b"].notes)
    assert {e.quantity: e.value for e in explanation.sums}["params"] == 3 * 3 + 3


def test_in_place_and_views_take_nothing() -> None:
    explanation = cnncost.explain("resnet50", "relu")
    assert any("In place" in note for note in explanation["relu"].notes)
    assert "activation bytes" not in lines_of(explanation["relu"])
    assert any("nothing moves" in note for note in cnncost.explain("resnet50", "flatten")["flatten"].notes)


def test_times() -> None:
    assert [times(729, 1), times(3, 2), times(85, 2), times(1, 0)] == ["729 x", "~1.5 x", "~42 x", "-"]


def test_axes_keep_their_names_where_permute_puts_them(folder) -> None:
    Path("net.yaml").write_text(
        "input: 3x9x7\nlayers: {conv: {conv: 4}, last: {permute: [0, 2, 3, 1]}, norm: layer_norm, "
        "first: {permute: [0, 3, 1, 2]}, act: relu, flat: flatten}\n"
    )
    outputs = {e.layer.name: lines_of(e)["outputs"].symbols for e in cnncost.explain("net.yaml", "[lfna]*")}
    assert outputs == {
        "last": "height x width x channels",
        "norm": "height x width x channels",
        "first": "channels x height x width",
        "act": "channels x height x width",
        "flat": "features'",
    }


def test_a_field_that_grows_between_places_says_how() -> None:
    def note(op: str, **options: Any) -> str:
        return lines_of(cnncost.explain(op, input="3x9x7", **options)[op])["receptive field"].note

    assert note("transposed_conv", out=4, kernel=4, stride=2) == "1 + 3/2 x 1, rounded down"
    assert note("transposed_conv", out=4, kernel=5, stride=2) == "1 + 2 x 1"
    assert note("upsample", factor=2, mode="bilinear") == "1 + 3/2 x 1, rounded down"
    assert note("transposed_conv", out=4, kernel=[4, 3], stride=2) == ""
    text = str(cnncost.explain("fcn8s", "upscore2.conv"))
    before, after = (cnncost.analyze("fcn8s")[name].receptive_field for name in ("score_fr", "upscore2.conv"))
    assert f"{after.size[0]}  {before.size[0]} + 3/2 x 32\n" in text
    assert after.size[0] == before.size[0] + 48


def test_additions_of_biases_say_so(folder) -> None:
    def note(**options: Any) -> str:
        return lines_of(cnncost.explain("conv", 4, input="3x9x7", **options)["conv"])["additions"].note

    assert note() == "a bias to each"
    assert "additions" not in lines_of(cnncost.explain("conv", 4, input="3x9x7", bias=False)["conv"])
    assert lines_of(cnncost.explain("add", input=["3x9x7"] * 2)["add"])["additions"].note == ""


# ---- whole outputs ----------------------------------------------------------------------------

NET = """\
input: {left: 4x9x12, right: 4x9x12}
layers:
  dilated: {conv: 6, kernel: [3, 5], dilation: 2, padding: same_tf, from: left}
  up: {transposed_conv: 3, kernel: 4, stride: 2, padding: 1}
  pool: {max_pool: 3, stride: 2, ceil_mode: true, from: right}
  again: {reuse: dilated, from: right}
  both: {add: [dilated, again]}
"""

PINNED = {
    "alexnet-conv1": "alexnet conv1",
    "alexnet-conv2": "alexnet conv2",
    "alexnet-pool1": "alexnet pool1",
    "alexnet-fc6": "alexnet fc6 --batch 128 --dtype fp16",
    "alexnet-softmax": "alexnet softmax",
    "resnet50-bn": "resnet50 conv2_x.0.conv1.bn",
    "resnet50-shortcut": "resnet50 conv3_x.0.shortcut",
    "googlenet-concat": "googlenet 3a.concat",
    "googlenet-block": "googlenet 3a",
    "mobilenet-depthwise": "mobilenet_v2 stage2.block.0.depthwise.conv",
    "net-dilated": "net.yaml dilated",
    "net-up": "net.yaml up",
    "net-pool": "net.yaml pool",
    "net-again": "net.yaml again",
    "net-both": "net.yaml both",
    "conv-same": "conv --input 3x32x32 --out 10 --kernel 5 --padding 2",
    "conv-uneven": "conv 1 --input 1x7x7 --kernel 3 --stride 3",
    "conv-edges": "conv 1 --input 1x280x320 --kernel 1x2 --no-bias",
    "local-conv": "local_conv 10 --input 3x32x32 --kernel 5 --padding 2",
    "max-pool": "max_pool 3 --input 96x55x55 --stride 2",
    "concat": "concat --input 64x28x28 --input 128x28x28",
    "partial-conv": "partial_conv --input 6x14x14 --maps [[0,1,2],[1,2,3]] --kernel=5",
}


@pytest.mark.parametrize("name", PINNED)
def test_whole_output(folder, run, golden, name: str) -> None:
    Path("net.yaml").write_text(NET)
    result = run("explain", *PINNED[name].split())
    assert (result.code, result.err) == (0, "")
    golden(f"explain/{name}.txt", result.out)


@pytest.mark.parametrize("width", [80, 120])
def test_on_a_terminal_nothing_is_wider_than_it_is(golden, width: int) -> None:
    explanation = cnncost.explain("alexnet", "conv2")
    shown = explanation_text(explanation, Paper(width=width))
    golden(f"explain/alexnet-conv2-{width}.txt", shown)
    assert max(map(len, shown.splitlines())) <= width
    for e in explanation["conv2"].equations:
        assert f"{e.value:,}" in shown


def test_help(run, golden, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = run("explain", "--help")
    assert (result.code, result.err) == (0, "")
    assert max(map(len, result.out.splitlines())) <= 100
    golden("help-explain.txt", result.out)


def test_json_follows_its_schema_and_holds_the_report(run) -> None:
    schema = json.loads(run("schema", "explain").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    for arguments in ("alexnet conv2", "googlenet 3a", "resnet50 relu", "concat --input 2x3x3 --input 1x3x3"):
        told_ = json.loads(run("explain", *arguments.split(), "--format", "json").out)
        jsonschema.validate(told_, schema)
        for layer in told_["layers"]:
            for e in layer["equations"]:
                assert value_of(e["numbers"]) == e["value"]
                assert not e["symbols"] or value_of(e["symbols"], layer["names"]) == e["value"]
    report = cnncost.analyze("alexnet")
    told_ = json.loads(run("explain", "alexnet", "conv2", "--format", "json").out)
    assert told_["schema"] == 1
    assert told_["layers"][0]["weights"] == report["conv2"].cost.weights


def test_an_explanation_shows_itself() -> None:
    explanation = cnncost.explain(cnncost.load("alexnet"), "conv2", dtype="fp16")
    assert repr(explanation) == "<Explanation of conv2 of AlexNet>"
    assert "MACs = 307,200 x 27 x 27 = 223,948,800;" in repr(explanation["conv2"])
    assert "307,200 x 27 x 27 = 223,948,800" in str(explanation)
    assert "(27 + 2x2 - 5)/1 + 1 = 27" in explanation._repr_html_()
    assert "<pre>" in explanation._repr_html_()
    assert json.loads(explanation.to_json())["layers"][0]["name"] == "conv2"
    assert lines_of(explanation["conv2"])["activation bytes"].value == 256 * 27 * 27 * 2
    with pytest.raises(KeyError):
        explanation["conv3"]


# ---- ops and files ----------------------------------------------------------------------------


def test_options_of_ops_as_the_command_line_writes_them(run) -> None:
    shown = run("explain", "conv", "--out=4", "--kernel", "3x5", "--no-bias", "-i", "2x9x9", "--padding", "[1, 2]").out
    assert "conv 3x5" in shown
    assert "biases" not in shown
    assert "(9 + 2x1 - 3)/1 + 1 = 9" in shown
    shown = run("explain", "max_pool", "3", "-i", "2x8x8", "--stride=2", "--ceil-mode").out
    assert "ceil((8 - 3)/2) + 1 = 4" in shown
    assert "4 x 3 x 3" in run("explain", "conv", "4", "--bias", "false", "-i", "1x5x5", "--kernel", "3").out


def test_a_file_comes_before_an_op(folder, run) -> None:
    Path("conv").write_text("input: 3x9x9\nlayers: {only: {conv: 2}}\n")
    assert "only" in run("explain", "conv", "only").out
    assert run("explain", "conv", "--input", "3x9x9", "--out", "2").code == 2
    Path("conv").unlink()
    assert run("explain", "conv", "--input", "3x9x9", "--out", "2").code == 0


def test_no_network_has_the_name_of_an_op_and_no_option_that_of_the_command() -> None:
    assert not set(bundled_names()) & set(MENU)
    command = cli.get_command(None, "explain")  # type: ignore[arg-type, attr-defined]
    own = {name.lstrip("-") for p in command.params for name in p.opts}
    options = {name for key in MENU for name in find(key).options}
    assert not options & own
    assert "input" in own


WRONG = {
    "alexnet": None,
    "resnet152": None,
    "alexnet conv9": "error: no layer conv9 in AlexNet\nhint: did you mean conv5?\n",
    "googlenet 1x1": None,
    "alexnet conv1 conv2": None,
    "alexnet conv2 --out 3": None,
    "alexnett conv2": "error: alexnett: no such file, and no bundled architecture of that name\n"
    "hint: did you mean alexnet?\n",
    "conv2d --input 3x9x9 --out 3": "error: conv2d is neither a network nor an op\nhint: did you mean conv?\n",
    "Conv 3 --input 3x9x9": "error: Conv is neither a network nor an op\nhint: did you mean conv?\n",
    "bn x": "error: bn is neither a network nor an op\nhint: did you mean batch_norm?\n",
    "convv 3 --kernel 3 --input 3x9x9": "error: convv is neither a network nor an op\nhint: did you mean conv?\n",
    "conv --out 3": None,
    "conv --input 3x9x9": "error: conv needs out\nhint: such as 64\n",
    "conv --input 3x9x9 --out three": None,
    "conv --input 3x9x9 3 --out 3": None,
    "conv --input 3x9x9 3 4": None,
    "conv --input 3x9x9 --out": "error: --out has no value\nhint: write --out VALUE\n",
    "conv --input 3x9x9 3 --no-kernel": "error: conv has no option no_kernel\nhint: did you mean kernel?\n",
    "conv --input 3x9x9 --out 3 --out 4": None,
    "conv --input 3x9x9 --out 3 --filters 4": "error: conv has no option filters\nhint: did you mean out?\n",
    "max_pool --input 3x9x9 --size 3": "error: max_pool has no option size\nhint: did you mean kernel?\n",
    "conv --input 3x9 --out 3 --kernel 3x3": None,
    "conv --input 3xax9 --out 3": None,
    "conv --input 3x9x9 --out 3 --kernel 11": None,
    "conv --input 3x9x9 --out 3 --set a=1": None,
    "conv --input 3x9x9 --input 3x9x9 --out 3": None,
    "conv --input 3x9x9 --out 3 --batch 0": None,
    "relu 3 --input 3x9x9": "error: relu takes no value of its own: 3\nhint: options of relu: inplace\n",
    "add --input 3x9x9": None,
    "--out 3 conv": None,
}


@pytest.mark.parametrize("arguments", WRONG)
def test_bad_input_is_one_message_and_exit_2(folder, run, golden, arguments: str) -> None:
    result = run("explain", *arguments.split())
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err
    if WRONG[arguments] is None:
        golden(f"wrong/explain_{arguments.replace(' ', '_')}.txt", result.err)
    else:
        assert result.err == WRONG[arguments]


@pytest.mark.parametrize("size", ["3X9X7", "3×9×7", "3 x 9 x 7", " 3 × 9 x7"])
def test_a_shape_may_be_copied_from_a_paper(run, size: str) -> None:
    assert run("explain", "conv", "2", "--input", size).out == run("explain", "conv", "2", "--input", "3x9x7").out
    assert "input 3x225x227," in run("report", "alexnet", "--input", size.replace("9", "225").replace("7", "227")).out


def test_arguments_that_have_no_effect_are_refused() -> None:
    with pytest.raises(cnncost.UsageError, match="a network takes no out"):
        cnncost.explain("alexnet", "conv2", out=3)
    with pytest.raises(cnncost.UsageError, match="no parameters to set"):
        cnncost.explain("conv", 3, input="3x9x9", set={"a": 1})
    with pytest.raises(cnncost.UsageError, match="which layer"):
        cnncost.explain("alexnet")


def test_arrays_are_refused() -> None:
    import numpy as np

    with pytest.raises(cnncost.UsageError, match="no one number"):
        cnncost.explain("alexnet", "conv2", batch=np.array([1, 2]))


# ---- docs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "shown"), commands(DOCS), ids=[c for c, _ in commands(DOCS)])
def test_docs_show_what_happens(folder, run, command: str, shown: str) -> None:
    import shlex

    words = shlex.split(command)
    assert words[0] == "cnncost"
    result = run(*words[1:])
    assert result.out + result.err == shown


def test_the_docs_show_all_that_there_is_to_see() -> None:
    shown = "".join(output for _, output in commands(DOCS))
    for word in ("locally connected", "dense", "not grouped", "unseen", "receptive field", "jump'", "sum of"):
        assert word in shown


def test_the_python_of_the_docs_runs() -> None:
    names: dict[str, Any] = {}
    exec(blocks(DOCS, "python")[0], names)
    assert names["conv2"].layer.name == "conv2"


if __name__ == "__main__":
    DOCS.write_text(filled(DOCS), encoding="utf-8")
