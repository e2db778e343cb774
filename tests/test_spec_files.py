"""Where specs come from, and how their YAML is read."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import cnncost
from cnncost.errors import SpecError, UsageError
from cnncost.spec import marks
from cnncost.spec.files import bundled_names

SPEC = "input: 3x8x8\nlayers: {a: {conv: 4}}\n"


def values(text: str) -> Any:
    return marks.plain(marks.read(text, "net.yaml"))


@pytest.mark.parametrize("name", ["alexnet", "alexnet.yaml", "alexnet.yml"])
def test_bundled_names_work_from_any_folder(name: str, folder: Path) -> None:
    graph = cnncost.load(name)
    assert (graph.name, graph.source, graph.about["bundled"]) == ("AlexNet", "alexnet.yaml", True)
    assert "alexnet" in bundled_names() == sorted(bundled_names())


def test_a_file_comes_before_a_bundled_network(folder: Path) -> None:
    Path("alexnet.yaml").write_text(SPEC)
    graph = cnncost.load("alexnet.yaml")
    assert (len(graph), graph.source, graph.about["bundled"]) == (1, "alexnet.yaml", False)
    assert len(cnncost.load("alexnet")) > 1  # the bare name is no file


def test_a_folder_does_not_hide_a_bundled_network(folder: Path) -> None:
    Path("alexnet").mkdir()
    assert cnncost.load("alexnet").name == "AlexNet"


def test_extends_looks_beside_the_file(folder: Path) -> None:
    Path("nets/deep").mkdir(parents=True)
    Path("base.yaml").write_text("input: 3x8x8\nlayers: {wrong: relu}\n")
    Path("nets/base.yaml").write_text(SPEC)
    Path("nets/a.yaml").write_text("extends: base\n")
    Path("nets/deep/b.yaml").write_text("extends: ../a.yaml\n")
    Path("nets/deep/c.yaml").write_text("extends: alexnet\n")
    for path in (Path("nets/a.yaml"), "nets/deep/b.yaml", Path("nets/deep/b.yaml").resolve()):
        assert [node.name for node in cnncost.load(path)] == ["a"]
    assert cnncost.load("nets/deep/c.yaml").nodes[0].name == "conv1"


def test_places_name_the_file_they_are_in(folder: Path) -> None:
    Path("sub").mkdir()
    Path("sub/base.yaml").write_text(SPEC)
    Path("sub/net.yaml").write_text("extends: base\nlayers:\n  b: relu\n")
    assert [str(node.where) for node in cnncost.load("sub/net.yaml")] == ["sub/base.yaml:2:10", "sub/net.yaml:3:3"]


def test_standard_input(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SPEC.encode())))
    graph = cnncost.load("-")
    assert (len(graph), graph.source, graph.name) == (1, "<stdin>", "<stdin>")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"extends: alexnet\nname: Mine\n")))
    assert cnncost.load("-").name == "Mine"


@pytest.mark.parametrize("folder_of_pipes", ["/dev/fd", "/proc/self/fd"])
def test_a_pipe_that_is_open(folder_of_pipes: str) -> None:
    """As a shell makes it of <(...)."""
    if not os.path.isdir(folder_of_pipes):
        pytest.skip(f"there is no {folder_of_pipes} here")
    end, other = os.pipe()
    os.write(other, SPEC.encode())
    os.close(other)
    assert len(cnncost.load(f"{folder_of_pipes}/{end}")) == 1
    os.close(end)


@pytest.mark.parametrize("piped", [True, False])
def test_dev_stdin(piped: bool, folder: Path) -> None:
    Path("net.yaml").write_text(SPEC)
    program = """import cnncost; print(len(cnncost.load("/dev/stdin")))"""
    command = f"{sys.executable} -c '{program}'"
    environment = {**os.environ, "PYTHONPATH": str(Path(cnncost.__file__).parent.parent)}
    shell = f"cat net.yaml | {command}" if piped else f"{command} < net.yaml"
    run = subprocess.run(shell, shell=True, capture_output=True, text=True, env=environment, check=False)
    assert (run.stdout, run.stderr) == ("1\n", "")


def test_standard_input_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        cnncost.load("-")


def test_letters_with_accents_are_the_same_however_they_are_written(folder: Path) -> None:
    one, two = "é", "e\u0301"
    text = (
        f"input: 3x8x8\nparameters: {{w{one}: 4}}\nlayers:\n  {two}: {{conv: w{two}}}\n  b: {{add: [{one}, {two}]}}\n"
    )
    Path("net.yaml").write_text(text, encoding="utf-8")
    graph = cnncost.load("net.yaml", set={f"w{two}": 5})
    assert graph.nodes[1].inputs == (one, one)
    assert graph.shapes[one] == (1, 5, 8, 8)


def test_byte_order_mark_and_windows_lines(folder: Path) -> None:
    Path("net.yaml").write_bytes(b"\xef\xbb\xbf" + SPEC.replace("\n", "\r\n").encode())
    assert len(cnncost.load("net.yaml")) == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("1_000", 1000),
        ("0", 0),
        ("3.5", 3.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1.5E-3", 0.0015),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("007", "007"),
        ("0x10", "0x10"),
        ("12:30", "12:30"),
        ("2012-01-01", "2012-01-01"),
        ("3x224x224", "3x224x224"),
        ("'3'", "3"),
        ('"true"', "true"),
        ("'null'", "null"),
        ('""', ""),
        ("[1, [2, a]]", [1, [2, "a"]]),
        ("{b: {c: 1}}", {"b": {"c": 1}}),
    ],
)
def test_values_are_what_they_look_like(text: str, value: Any) -> None:
    found = values(f"a: {text}\n")["a"]
    assert found == value
    assert type(found) is type(value)


def test_keys_are_text() -> None:
    assert list(values("{1: a, true: b, null: c, 2.50: d, no: e}")) == ["1", "true", "null", "2.50", "no"]


def test_anchors_and_aliases() -> None:
    assert values("a: &x {b: [1, 2]}\nc: *x\nd: &x 3\ne: *x\n") == {
        "a": {"b": [1, 2]},
        "c": {"b": [1, 2]},
        "d": 3,
        "e": 3,
    }


def test_places() -> None:
    root = marks.read("a: 1\nb:\n  c: [x, yy]\n", "net.yaml").value
    assert str(root["a"].at) == "net.yaml:1:4"
    assert str(root["a"].key_at) == "net.yaml:1:1"
    assert str(root["b"].value["c"].value[1].at) == "net.yaml:3:10"
    assert repr(root["a"]) == "Item(1 at 1:4)"


def test_without_libyaml_all_is_the_same(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    faulty = ["a: [1, 2", "a: 'b", "a: b: c", "a\nb: c", "\ta: b", "a: @b"]
    faulty += ["a: !t b", "- a\n b: c", "a: *x", "a: {b: c"]
    texts = [SPEC, *faulty]

    def outcome(text: str) -> Any:
        try:
            return values(text)
        except SpecError as e:
            return str(e)

    fast = [outcome(text) for text in texts]
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    assert [outcome(text) for text in texts] == fast
    assert sum(isinstance(result, str) for result in fast) == len(faulty)
