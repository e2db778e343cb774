"""What the README shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import cnncost

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.S | re.M)


def commands() -> list[tuple[str, str]]:
    """(command, output as shown) of every console block."""
    pairs = []
    for block in blocks("console"):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            pairs.append((command, output))
    return pairs


def test_it_opens_with_a_command_and_its_output() -> None:
    first = README.index("```")
    assert README[first:].startswith("```console\n$ cnncost report alexnet\n")
    assert README[:first].count("\n") < 10


@pytest.mark.parametrize(("command", "shown"), commands(), ids=[c for c, _ in commands()])
def test_commands_print_what_the_readme_shows(command: str, shown: str) -> None:
    # `cnncost` is the one of this interpreter, whatever the PATH holds.
    line = command.replace("cnncost", f"{sys.executable} -m cnncost", 1)
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "FORCE_COLOR")}
    result = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    assert result.stdout + result.stderr == shown


def test_the_example_file_loads_and_is_what_the_text_says(tmp_path) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(blocks("yaml")[0])
    report = cnncost.analyze(path)
    # He et al. 2016, section 4.2: 6 n + 2 layers, and here n = depth = 3.
    assert report.depth == 6 * 3 + 2
    assert yaml.safe_load(blocks("yaml")[0])["parameters"]["depth"] == 3
    projections = [layer.name for layer in report.layers if layer.name.endswith("shortcut.conv")]
    assert projections == ["stage2.0.shortcut.conv", "stage3.0.shortcut.conv"]


def test_the_python_example_runs(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_net.yaml").write_text("parameters: {width: 1.0}\ninput: 3x8x8\nlayers: {a: {conv: 8 * width}}")
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)
    assert names["graph"].nodes[0].shape == (1, 4, 8, 8)  # type: ignore[attr-defined]
    assert len(names["rows"]) == len(names["report"].layers)  # type: ignore[arg-type, attr-defined]


def test_linked_files_are_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
