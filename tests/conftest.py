"""Shared by all tests: golden texts, and a runner of the command line."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""PyTorch's threads: the tensors of tests are so small that several take longer than one."""

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in the background of a script: programs would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("cnncost", deadline=None)  # how long an example takes says what else the machine does
settings.load_profile("cnncost")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="write what commands print to tests/golden")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("PyTorch finds no GPU")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name under tests/golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--write-golden"):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.exists(), f"{path} is missing: pytest --write-golden writes it; read it before you commit it"
        assert text == path.read_text(encoding="utf-8")

    return compare


class Result(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command line in this process; its exit code, standard output and standard error."""
    from cnncost.cli import main

    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments: str) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        gc.enable()  # main() runs once a process, and goes without
        out, err = capfd.readouterr()
        return Result(int(stop.value.code or 0), out, err)

    return command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    assert not os.listdir(tmp_path)
    return tmp_path
