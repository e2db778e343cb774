"""What the README shows is what happens."""

from __future__ import annotations

import re

import pytest
import yaml
from documents import ROOT, blocks, commands, printed

import cnncost

FILE = ROOT / "README.md"
README = FILE.read_text(encoding="utf-8")


def test_it_opens_with_a_command_and_its_output() -> None:
    first = README.index("```")
    assert README[first:].startswith("```console\n$ cnncost report alexnet\n")
    assert README[:first].count("\n") < 10


@pytest.mark.parametrize(("command", "shown"), commands(FILE), ids=[c for c, _ in commands(FILE)])
def test_commands_print_what_the_readme_shows(command: str, shown: str) -> None:
    assert printed(command) == shown


def test_the_example_file_loads_and_is_what_the_text_says(tmp_path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(blocks(FILE, "yaml")[0])
    report = cnncost.analyze(path)
    # He et al. 2016, section 4.2: 6 n + 2 layers, and here n = depth = 3.
    assert report.depth == 6 * 3 + 2
    assert yaml.safe_load(blocks(FILE, "yaml")[0])["parameters"]["depth"] == 3
    projections = [layer.name for layer in report.layers if layer.name.endswith("shortcut.conv")]
    assert projections == ["stage2.0.shortcut.conv", "stage3.0.shortcut.conv"]


def test_the_python_example_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_net.yaml").write_text("parameters: {width: 1.0}\ninput: 3x8x8\nlayers: {a: {conv: 8 * width}}")
    names: dict[str, object] = {}
    exec(blocks(FILE, "python")[0], names)
    assert names["graph"].nodes[0].shape == (1, 4, 8, 8)  # type: ignore[attr-defined]
    assert len(names["rows"]) == len(names["report"].layers)  # type: ignore[arg-type, attr-defined]


def test_linked_files_are_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
