"""Bad input: one clear message each, with its whole text pinned, in bounded time and memory.

The table is tests/bad_specs.txt: a name, a spec, and after `=>` what cnncost says.
`python tests/test_spec_errors.py` writes the messages anew; read them before you commit them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import cnncost
from cnncost.errors import did_you_mean

TABLE = Path(__file__).parent / "bad_specs.txt"


class Bad(NamedTuple):
    name: str
    spec: str
    message: str


def table() -> list[Bad]:
    entries = TABLE.read_text(encoding="utf-8").split("=== ")[1:]
    parts = [re.fullmatch(r"(.*?)\n(.*?)=>\n(.*?)\n*", entry, re.DOTALL) for entry in entries]
    return [Bad(*part.groups()) for part in parts if part]


def message(spec: str, **given: Any) -> str:
    with pytest.raises(cnncost.CnncostError) as caught:
        cnncost.load(spec, **given)
    return str(caught.value)


@pytest.mark.parametrize("bad", table(), ids=lambda bad: bad.name.replace(" ", "-"))
def test_message(bad: Bad, folder: Path) -> None:
    Path("net.yaml").write_text(bad.spec, encoding="utf-8")
    assert message("net.yaml") == bad.message


def test_every_message_has_a_place_and_a_hint() -> None:
    names = [bad.name for bad in table()]
    assert len(names) == len(set(names)) == TABLE.read_text(encoding="utf-8").count("\n=>\n")
    for bad in table():
        assert re.fullmatch(r"net\.yaml:\d+:\d+: [^\n]+\nhint: [^\n]+", bad.message), bad.name


FILES = {
    "binary": (bytes(range(256)), "net.yaml:2:118: not text: byte #x80 is not UTF-8"),
    "latin 1": ("input: 3x32x32\ntitle: é\n".encode("latin-1"), "net.yaml:2:8: not text: byte #xe9 is not UTF-8"),
    "latin 1 after UTF-8": ("title: é".encode() + b"\xe9", "net.yaml:1:9: not text: byte #xe9 is not UTF-8"),
    "UTF-16": ("input: 3x32x32\n".encode("utf-16-le"), "net.yaml:1:2: not text: character #x00"),
    "NUL": (b"input: 3x32x32\nlayers: {a\0: relu}\n", "net.yaml:2:11: not text: character #x00"),
    "escape": (b"input: \x1b[31m\n", "net.yaml:1:8: not text: character #x1b"),
}


@pytest.mark.parametrize("name", FILES)
def test_no_text(name: str, folder: Path) -> None:
    data, expected = FILES[name]
    Path("net.yaml").write_bytes(data)
    assert message("net.yaml") == f"{expected}\nhint: is this an architecture file? They are plain UTF-8 text"


BUNDLED = "cnncost list shows the bundled architectures"
FILE = "give a file, or the name of a bundled architecture"
NO_FILE = "no such file, and no bundled architecture of that name"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("zzzz.yaml", f"zzzz.yaml: {NO_FILE}\nhint: {BUNDLED}"),
        ("alexnt", f"alexnt: {NO_FILE}\nhint: did you mean alexnet?"),
        ("alexnt.yaml", f"alexnt.yaml: {NO_FILE}\nhint: did you mean alexnet?"),
        ("a/alexnet", f"a/alexnet: no such file\nhint: {BUNDLED}"),
        ("", f"'': {NO_FILE}\nhint: {BUNDLED}"),
        ("a\0b", f"a\\x00b: {NO_FILE}\nhint: {BUNDLED}"),
        ("x" * 5000, f"{'x' * 57}...: {NO_FILE}\nhint: {BUNDLED}"),
        ("sub", f"sub is a directory\nhint: {FILE}"),
        ("/dev/null", f"/dev/null is not a regular file\nhint: {FILE}"),
        ("/dev/zero", f"/dev/zero is not a regular file\nhint: {FILE}"),
        ("pipe", f"pipe is a named pipe\nhint: {FILE}"),
        ("round", f"round is reached through too many symbolic links\nhint: {FILE}"),
        ("nowhere", f"nowhere: {NO_FILE}\nhint: {BUNDLED}"),
        ("a\udcff\t", f"a\\xff\\t: {NO_FILE}\nhint: {BUNDLED}"),
        (
            "input: 3x8x8\nlayers: {a: relu}\n",
            "input: 3x8x8\\nlayers: {a: relu}\\n: no such file\n"
            "hint: give a path, or - for standard input; not the text of a spec",
        ),
        ("big.yaml", "big.yaml: larger than 4 MiB\nhint: is this an architecture file?"),
    ],
    ids=lambda value: value[:12],
)
def test_no_file(spec: str, expected: str, folder: Path) -> None:
    Path("sub").mkdir()
    Path("big.yaml").write_text("# words\n" * 2**20)
    Path("round").symlink_to("round")
    Path("nowhere").symlink_to("gone")
    os.mkfifo("pipe")
    assert message(spec) == expected


BASE = """\
input: 3x32x32
parameters: {width: 8, depths: [3, 4], act: relu}
blocks:
  unit: {parameters: [out], layers: {conv: {conv: out, kernel: 3}, act: {op: act}}}
layers:
  conv1: {conv: width}
  relu1: relu
  a: {unit: 16}
"""
WINDOW = "use a larger input, more padding, or a smaller kernel or dilation"
EXTENDING = {
    "missing": (
        "extends: nowhere\n",
        f"net.yaml:1:10: extends nowhere: {NO_FILE}\nhint: {BUNDLED}",
    ),
    "misspelt": (
        "extends: alexnt\n",
        f"net.yaml:1:10: extends alexnt: {NO_FILE}\nhint: did you mean alexnet?",
    ),
    "itself": (
        "extends: net.yaml\n",
        "net.yaml:1:10: extends in a circle: net.yaml -> net.yaml\n"
        "hint: give the file another name than the network it extends",
    ),
    "itself by its bare name": (
        "extends: net\n",
        "net.yaml:1:10: extends in a circle: net.yaml -> net.yaml\n"
        "hint: give the file another name than the network it extends",
    ),
    "a circle": (
        "extends: sub/other.yaml\n",
        "sub/other.yaml:1:10: extends in a circle: net.yaml -> other.yaml -> net.yaml\n"
        "hint: give the file another name than the network it extends",
    ),
    "a list": (
        "extends: [a, b]\n",
        "net.yaml:1:10: extends must name a file or a bundled network, got a list\n"
        "hint: write `extends: resnet50`, or a path from this file's folder",
    ),
    "standard input": (
        "extends: '-'\n",
        "net.yaml:1:10: extends must name a file or a bundled network, got the text -\n"
        "hint: write `extends: resnet50`, or a path from this file's folder",
    ),
    "a directory": (
        "extends: sub\n",
        "net.yaml:1:10: extends sub is a directory\nhint: give a file, or the name of a bundled architecture",
    ),
    "no text": (
        "extends: sub/latin.yaml\n",
        "sub/latin.yaml:1:8: not text: byte #xe9 is not UTF-8\n"
        "hint: is this an architecture file? They are plain UTF-8 text",
    ),
    "a fault in the base": (
        "extends: sub/faulty\n",
        "sub/faulty.yaml:3:16: layer a: conv has no option kernal\nhint: did you mean kernel?",
    ),
    "an unknown option": (
        "extends: base\nlayers:\n  conv1: {kernal: 3}\n",
        "net.yaml:3:11: layer conv1: conv has no option kernal\nhint: did you mean kernel?",
    ),
    "a wrong option": (
        "extends: base\nlayers:\n  conv1: {kernel: 0}\n",
        "net.yaml:3:19: layer conv1: kernel must be a whole number of at least 1, or a list with one an axis, got 0\n"
        "hint: write 3, or [3, 3]",
    ),
    "an option that does not suit": (
        "extends: base\nlayers:\n  conv1: {kernel: 50}\n",
        "base.yaml:6:3: layer conv1: a window of 50 is larger than its input of 32 (height)\n"
        f"hint: with 0 + 0 of padding the window reaches 50: {WINDOW}",
    ),
    "an option in a block": (
        "extends: base\nblocks: {unit: {layers: {conv: {kernel: 99}}}}\n",
        "base.yaml:4:38: layer a.conv: a window of 99 is larger than its input of 32 (height)\n"
        f"hint: with 0 + 0 of padding the window reaches 99: {WINDOW}",
    ),
    "a removed layer that is not there": (
        "extends: base\nlayers:\n  conv2: null\n",
        "net.yaml:3:3: null removes layer conv2, which is not there\nhint: did you mean conv1?",
    ),
    "a removed layer that another one takes": (
        "extends: base\nlayers:\n  conv1: null\n  relu1: {from: conv1}\n",
        "net.yaml:4:17: layer relu1: takes unknown layer conv1\nhint: known here: input",
    ),
    "after an unknown layer": (
        "extends: base\nlayers:\n  b: {conv: 3, after: convl}\n",
        "net.yaml:3:23: layer b: after names no layer: convl\nhint: did you mean conv1?",
    ),
    "after itself": (
        "extends: base\nlayers:\n  b: {conv: 3, after: b}\n",
        "net.yaml:3:23: layer b: after names no layer: b\nhint: known here: conv1, relu1, a",
    ),
    "after a list": (
        "extends: base\nlayers:\n  b: {conv: 3, after: [a]}\n",
        "net.yaml:3:23: layer b: after takes a layer's name, got a list\nhint: write `after: relu1`",
    ),
    "a misspelt parameter": (
        "extends: base\nparameters: {widht: 3}\n",
        "net.yaml:2:14: the extended spec has no parameter widht\nhint: did you mean width?",
    ),
    "a parameter that the base cannot use": (
        "extends: base\nparameters: {act: rleu}\n",
        "base.yaml:4:78: layer a.act: op rleu is neither an op nor a block\nhint: did you mean relu?",
    ),
    "a number for a layer": (
        "extends: base\nlayers: {conv1: 8}\n",
        "net.yaml:2:10: layer conv1: a layer is an op or a mapping with one, got 8\n"
        "hint: write `relu1: relu` or `conv1: {conv: 64, kernel: 3}`",
    ),
}


@pytest.mark.parametrize("name", EXTENDING)
def test_extends(name: str, folder: Path) -> None:
    text, expected = EXTENDING[name]
    Path("net.yaml").write_text(text)
    Path("base.yaml").write_text(BASE)
    Path("sub").mkdir()
    Path("sub/other.yaml").write_text("extends: ../net.yaml\n")
    Path("sub/faulty.yaml").write_text("input: 3x32x32\nlayers:\n  a: {conv: 8, kernal: 3}\n")
    Path("sub/latin.yaml").write_bytes(b"title: \xe9\n")
    assert message("net.yaml") == expected


def test_a_long_chain_of_extends(folder: Path) -> None:
    Path("0.yaml").write_text(BASE)
    for i in range(1, 30):
        Path(f"{i}.yaml").write_text(f"extends: {i - 1}.yaml\n")
    assert len(cnncost.load("15.yaml")) == 4
    assert message("29.yaml") == (
        "10.yaml:1:10: extends a chain of more than 20 files\nhint: extend an earlier one of them"
    )


SHAPE = "hint: write channels x height x width, without the batch: 3x224x224"
WHOLE = "must be a whole number of at least 1, got"
KIND = "hint: give a value of the same kind: a number, a list, a word, true or false"
LARGE = "too large a number\nhint: numbers end at 2^63"
POINTS = "hint: give arrays of one length, or of shapes that broadcast: (n, 1) and (m,)"
GIVEN: list[tuple[dict[str, Any], str]] = [
    ({"set": {"widht": 3}}, "no parameter widht to set\nhint: did you mean width?"),
    ({"set": {"i": 3}}, "no parameter i to set\nhint: known here: width, depths, act"),
    ({"set": {3: 3}}, "no parameter 3 to set\nhint: known here: width, depths, act"),
    ({"set": {"width": "wide"}}, f"cannot set width to wide: it is 8 in the spec\n{KIND}"),
    ({"set": {"width": True}}, f"cannot set width to true: it is 8 in the spec\n{KIND}"),
    ({"set": {"width": None}}, f"cannot set width to nothing: it is 8 in the spec\n{KIND}"),
    ({"set": {"width": [8]}}, f"cannot set width to [8]: it is 8 in the spec\n{KIND}"),
    ({"set": {"width": {}}}, f"cannot set width to a mapping: it is 8 in the spec\n{KIND}"),
    ({"set": {"width": float("nan")}}, f"cannot set width to nan: it is 8 in the spec\n{KIND}"),
    ({"set": {"width": float("inf")}}, f"cannot set width to inf: {LARGE}"),
    ({"set": {"width": 1e99}}, f"cannot set width to 1e+99: {LARGE}"),
    ({"set": {"depths.0": -1e99}}, f"cannot set depths.0 to -1e+99: {LARGE}"),
    ({"set": {"width": 10**5000}}, f"cannot set width to a number of over 4000 digits: {LARGE}"),
    ({"set": {"depths": 3}}, f"cannot set depths to 3: it is [3, 4] in the spec\n{KIND}"),
    ({"set": {"act": 3}}, f"cannot set act to 3: it is relu in the spec\n{KIND}"),
    ({"set": {"depths.2": 3}}, "depths has no entry 2\nhint: its entries are 0 to 1"),
    ({"set": {"depths.-1": 3}}, "depths has no entry -1\nhint: its entries are 0 to 1"),
    ({"set": {"depths.": 3}}, "depths has no entry ''\nhint: its entries are 0 to 1"),
    ({"set": {"depths.0.1": 3}}, "cannot set entry 1 of depths.0: it is 3, not a list\nhint: set depths.0 itself"),
    ({"set": {"width.0": 3}}, "cannot set entry 0 of width: it is 8, not a list\nhint: set width itself"),
    (
        {"set": {"width": 0}},
        f"base.yaml:6:17: layer conv1: out {WHOLE} 0\nhint: write a number, or an expression over parameters",
    ),
    (
        {"set": {"width": 2.5}},
        f"base.yaml:6:17: layer conv1: out {WHOLE} 2.5\n"
        "hint: write a whole number, or round: floor(...), ceil(...), round_to(..., 8)",
    ),
    (
        {"set": {"width": np.array([8, -8])}},
        f"base.yaml:6:17: layer conv1: out {WHOLE} -8\nhint: write a number, or an expression over parameters",
    ),
    (
        {"set": {"act": "rleu"}},
        "base.yaml:4:78: layer a.act: op rleu is neither an op nor a block\nhint: did you mean relu?",
    ),
    ({"input": "3x"}, f"3x is no input shape\n{SHAPE}"),
    ({"input": ""}, f"'' is no input shape\n{SHAPE}"),
    ({"input": "3x-2x2"}, f"3x-2x2 is no input shape\n{SHAPE}"),
    ({"input": "3x1e9"}, f"3x1e9 is no input shape\n{SHAPE}"),
    ({"input": "9" * 5000}, f"{'9' * 57}... is no input shape\n{SHAPE}"),
    ({"input": 3}, f"3 is no input shape\n{SHAPE}"),
    ({"input": []}, f"[] is no input shape\n{SHAPE}"),
    ({"input": "3x0x2"}, f"each size of an input {WHOLE} 0\n{SHAPE}"),
    ({"input": [3, None]}, f"each size of an input {WHOLE} nothing\n{SHAPE}"),
    ({"input": [3, 2.5, 3]}, f"each size of an input {WHOLE} 2.5\n{SHAPE}"),
    ({"input": [True, 3, 3]}, f"each size of an input {WHOLE} true\n{SHAPE}"),
    (
        {"input": {"x": "3x3"}},
        "the spec has the inputs input, and x is given\nhint: give each by name: input=3x224x224",
    ),
    (
        {"input": {}},
        "the spec has the inputs input, and no input is given\nhint: give each by name: input=3x224x224",
    ),
    (
        {"input": "1x3x224x224"},
        "input 1x3x224x224 has 4 sizes, and the spec's input 3x32x32 has 3\n"
        "hint: leave the batch out: it is given by itself (--batch)",
    ),
    (
        {"input": 2 * (3,)},
        "input 3x3 has 2 sizes, and the spec's input 3x32x32 has 3\nhint: give a size for each of 3x32x32",
    ),
    (
        {"input": "9"},
        "input 9 has 1 size, and the spec's input 3x32x32 has 3\nhint: give a size for each of 3x32x32",
    ),
    (
        {"input": (3, np.array([8, 9]))},
        "input [3, [8 9]] has 2 sizes, and the spec's input 3x32x32 has 3\nhint: give a size for each of 3x32x32",
    ),
    (
        {"input": "1x1x1"},
        "base.yaml:4:38: layer a.conv: a window of 3 is larger than its input of 1 (height)\n"
        f"hint: with 0 + 0 of padding the window reaches 3: {WINDOW}",
    ),
    ({"batch": 0}, f"batch {WHOLE} 0\nhint: give the number of images, like 32"),
    ({"batch": "2"}, f'batch {WHOLE} "2"\nhint: give the number of images, like 32'),
    ({"batch": None}, f"batch {WHOLE} nothing\nhint: give the number of images, like 32"),
    ({"batch": 1.5}, f"batch {WHOLE} 1.5\nhint: give the number of images, like 32"),
    (
        {"batch": 10**12},
        "batch must be at most 2147483647, got 1000000000000\nhint: give the number of images, like 32",
    ),
    ({"batch": np.array([])}, f"batch {WHOLE} []\nhint: give the number of images, like 32"),
    ({"input": "3x9999999999x2"}, f"each size of an input must be at most 2147483647, got 9999999999\n{SHAPE}"),
    ({"set": {"width": "8"}}, f'cannot set width to "8": it is 8 in the spec\n{KIND}'),
    ({"set": {"depths[2]": 3}}, "depths has no entry 2\nhint: its entries are 0 to 1"),
    ({"set": {"depths[0][1]": 3}}, "cannot set entry 1 of depths.0: it is 3, not a list\nhint: set depths.0 itself"),
    ({"set": "width=3"}, 'set must be a mapping, got the text width=3\nhint: write set={"width": 0.5}'),
    ({"set": [("width", 3)]}, 'set must be a mapping, got a list\nhint: write set={"width": 0.5}'),
    ({"set": []}, 'set must be a mapping, got an empty list\nhint: write set={"width": 0.5}'),
    (
        {"batch": np.array([1, 2, 3]), "set": {"width": np.array([8, 9])}},
        f"width has 2 design points, and what is given before it 3\n{POINTS}",
    ),
    (
        {
            "input": {"input": (3, np.array([8, 9]), 8)},
            "set": {"depths": [1, np.array([[8], [9], [10]])], "width": np.zeros(4)},
        },
        f"width has 4 design points, and what is given before it 3x2\n{POINTS}",
    ),
]


@pytest.mark.parametrize(("given", "expected"), GIVEN, ids=map(str, range(len(GIVEN))))
def test_arguments(given: dict[str, Any], expected: str, folder: Path) -> None:
    Path("base.yaml").write_text(BASE)
    assert message("base.yaml", **given) == expected


@pytest.mark.parametrize(
    ("spec", "what"), [({"layers": {}}, "a mapping"), (None, "nothing"), (3, "3")], ids=["mapping", "None", "number"]
)
def test_no_path(spec: Any, what: str) -> None:
    hint = "give a path, the name of a bundled architecture, or - for standard input"
    assert message(spec) == f"a spec is a file, got {what}\nhint: {hint}"


def test_a_fault_in_a_file_whose_name_is_no_text(folder: Path) -> None:
    try:
        Path("a\udcff.yaml").write_text("input: 3x8x8\nlayers: {a: magic}\n")
    except OSError:
        pytest.skip("this file system has no such names")
    assert message("a\udcff.yaml").startswith("a\\xff.yaml:2:13: ")


def test_a_spec_without_parameters_says_so(folder: Path) -> None:
    Path("net.yaml").write_text("input: 3x8x8\nlayers: {a: relu}\n")
    assert message("net.yaml", set={"width": 2}) == "no parameter width to set\nhint: net.yaml declares none"


def test_inputs_with_other_axes_than_the_spec_has(folder: Path) -> None:
    Path("net.yaml").write_text("input: {a: 3x8x8, b: [n, 2 * n]}\nparameters: {n: 4}\nlayers: {c: relu}\n")
    assert len(cnncost.load("net.yaml", input={"a": "1x2x3", "b": "5x6"})) == 1
    assert message("net.yaml", input={"a": "1x2x3", "b": "5x6x7"}) == (
        "input b 5x6x7 has 3 sizes, and the spec's input [n, 2 * n] has 2\n"
        "hint: leave the batch out: it is given by itself (--batch)"
    )


def test_long_words_and_lists_are_not_compared() -> None:
    assert did_you_mean("convv", ["conv", "relu"]) == "did you mean conv?"
    assert did_you_mean("conv" * 100, ["conv" * 100 + "1"]).startswith("known here")
    assert did_you_mean("convv", [f"conv{i}" for i in range(5_000)]).startswith("known here")


if __name__ == "__main__":
    import tempfile

    bad_specs = table()
    os.chdir(tempfile.mkdtemp())
    written = []
    for bad in bad_specs:
        Path("net.yaml").write_text(bad.spec, encoding="utf-8")
        try:
            cnncost.load("net.yaml")
            said = "loads"
        except cnncost.CnncostError as e:
            said = str(e)
        written.append(f"=== {bad.name}\n{bad.spec}=>\n{said}\n\n")
    TABLE.write_text("".join(written), encoding="utf-8")
