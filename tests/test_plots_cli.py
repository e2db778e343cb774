"""--plot of the commands: what is written beside the usual output, and every way in which it is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from documents import ROOT, blocks, commands, printed

COMMANDS = {
    "report": "report alexnet",
    "memory": "memory alexnet --train",
    "roofline": "roofline alexnet --device h100",
    "compare": "compare alexnet resnet18",
    "sweep": "sweep alexnet --vary batch=1,2,4,8",
}
NO_EFFECT = "-o FILE or --plot FILE"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_figure_beside_the_usual_output(run: Callable[..., Any], folder: Path, command: str, suffix: str) -> None:
    without = run(*command.split())
    result = run(*command.split(), "--plot", f"a.{suffix}")
    assert (result.code, result.out) == (0, without.out)
    assert result.err.startswith(f"wrote a.{suffix}: 7.16 x ")
    assert result.err.endswith(" inches\n")
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix]
    assert (folder / f"a.{suffix}").read_bytes().startswith(start)
    assert os.listdir(folder) == [f"a.{suffix}"]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_an_existing_figure_is_kept_unless_forced(run: Callable[..., Any], folder: Path, command: str) -> None:
    (folder / "a.svg").write_text("mine")
    result = run(*command.split(), "--plot", "a.svg")
    assert result == (2, "", "error: a.svg: exists already\nhint: --force replaces it\n")
    assert (folder / "a.svg").read_text() == "mine"
    assert run(*command.split(), "--plot", "a.svg", "--force").code == 0
    assert "<svg" in (folder / "a.svg").read_text()


WRONG = {
    "a.jpg": "error: --plot a.jpg: no picture has the suffix .jpg\nhint: write FILE.png, FILE.svg or FILE.pdf\n",
    "a": "error: --plot a: the name has no suffix\nhint: write FILE.png, FILE.svg or FILE.pdf\n",
    "-": "error: --plot -: the name has no suffix\nhint: write FILE.png, FILE.svg or FILE.pdf\n",
    "": "error: --plot '': the name has no suffix\nhint: write FILE.png, FILE.svg or FILE.pdf\n",
    "none/a.svg": "error: none/a.svg: No such file or directory\nhint: nothing was written\n",
    "a.svg/": "error: --plot a.svg/: the name has no suffix\nhint: write FILE.png, FILE.svg or FILE.pdf\n",
    "folder.svg": "error: folder.svg is no file name\nhint: give the name of a file to write\n",
}


@pytest.mark.parametrize("command", [*COMMANDS.values(), "bench alexnet"], ids=[*COMMANDS, "bench"])
@pytest.mark.parametrize("file", WRONG)
def test_files_that_cannot_be_are_refused_before_any_work(
    run: Callable[..., Any], folder: Path, command: str, file: str
) -> None:
    (folder / "folder.svg").mkdir()
    assert run(*command.split(), "--plot", file) == (2, "", WRONG[file])
    assert os.listdir(folder) == ["folder.svg"]


@pytest.mark.parametrize("command", [*COMMANDS.values(), "bench alexnet"], ids=[*COMMANDS, "bench"])
def test_without_matplotlib(run: Callable[..., Any], folder: Path, monkeypatch: Any, command: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "matplotlib" else found(name))
    assert run(*command.split(), "--plot", "a.svg") == (
        2, "", "error: matplotlib draws figures, and is not installed\nhint: pip install 'cnncost[plot]'\n"
    )  # fmt: skip
    assert not os.listdir(folder)


def test_a_folder_that_may_not_be_written(run: Callable[..., Any], folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    result = run("report", "alexnet", "--plot", "a.svg")
    assert result == (2, "", "error: a.svg: Permission denied\nhint: nothing was written\n")


def test_a_file_that_appears_meanwhile_is_kept(run: Callable[..., Any], folder: Path, monkeypatch: Any) -> None:
    from cnncost.output import plots

    def slow(figure: Any, format_: str) -> bytes:
        (folder / "a.svg").write_text("mine")
        return b"<svg/>"

    monkeypatch.setattr(plots, "to_bytes", slow)
    result = run("report", "alexnet", "--plot", "a.svg")
    assert (result.code, result.err) == (2, "error: a.svg: exists already\nhint: --force replaces it\n")
    assert "60,965,224" in result.out  # what was derived is not lost
    assert (folder / "a.svg").read_text() == "mine"


def test_one_file_for_two_things(run: Callable[..., Any], folder: Path) -> None:
    result = run("report", "alexnet", "--format", "json", "-o", "./a.svg", "--plot", "a.svg")
    assert result == (2, "", "error: a.svg: something else is written there\nhint: give another name\n")
    assert not os.listdir(folder)


def test_force_goes_with_plot(run: Callable[..., Any], folder: Path) -> None:
    assert run("report", "alexnet", "--plot", "a.svg", "--force").code == 0
    assert (
        run("memory", "alexnet", "--force").err
        == f"error: --force has no effect here\nhint: it goes with {NO_EFFECT}\n"
    )


def test_rows_are_those_that_were_asked_for(run: Callable[..., Any], folder: Path) -> None:
    assert run("report", "resnet50", "--sort", "macs", "--top", "3", "--plot", "a.svg").code == 0
    letters = list(ElementTree.parse(folder / "a.svg").getroot().itertext())
    assert "(the others)" in letters
    rows = json.loads(run("report", "resnet50", "--format", "json").out)["layers"]
    largest = max(rows, key=lambda row: row["macs"])
    assert largest["name"] in letters


def test_networks_that_are_not_drawn_are_named(run: Callable[..., Any], folder: Path) -> None:
    result = run("compare", "alexnet", "resnet18", "googlenet", "cifar_resnet20", "--plot", "a.svg")
    assert result.err.splitlines()[1:] == [
        "not drawn: googlenet: no top1_error",
        "not drawn: cifar_resnet20: tested on CIFAR-10 test",
    ]
    letters = "".join(ElementTree.parse(folder / "a.svg").getroot().itertext())
    assert "resnet18" in letters
    assert "googlenet" not in letters


def test_other_columns_of_a_map(run: Callable[..., Any], folder: Path) -> None:
    columns = ("--x", "year", "--y", "training_peak_bytes", "--area", "macs")
    result = run("compare", "alexnet", "resnet18", *columns, "--plot", "a.svg")
    assert (result.code, result.err.count("\n")) == (0, 1)
    letters = list(ElementTree.parse(folder / "a.svg").getroot().itertext())
    assert "year" in letters
    assert "training peak (MiB)" in letters


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("compare alexnet --x macs", "--x has no effect here\nhint: it goes with --plot FILE"),
        ("compare alexnet --plot a.svg --x mac", "--x: unknown column mac\nhint: did you mean macs?"),
        ("compare alexnet --plot a.svg --y error", "--y: unknown column error\nhint: did you mean top5_error?"),
        ("compare --layers alexnet vgg16 --plot a.svg",
         "--plot has no effect with --layers\nhint: it goes with a table of networks"),
        ("compare googlenet cifar_resnet20 --plot a.svg --y top5_error --x top1_error",
         "no network has top1_error and top5_error and params\nhint: choose other columns with --x, --y and --area"),
        ("sweep alexnet --vary batch=1,2 --quantity macs",
         "--quantity has no effect here\nhint: it goes with --plot FILE; --quantities are priced"),
        ("sweep alexnet --vary batch=1,2 --plot a.svg --quantity mac",
         "--quantity: mac is not priced\nhint: did you mean macs?"),
        ("sweep alexnet --vary batch=1,2 --plot a.svg --sample 1",
         "a figure shows all points of a space\nhint: leave --sample out, or --plot"),
        ("sweep alexnet --vary batch=1:1000 --vary input=100:1000 --plot a.svg",
         "a figure of 901,000 design points, more than 250,000\nhint: take larger steps"),
        ("bench --compare a.jsonl b.jsonl --plot a.svg",
         "--plot has no effect with --compare\nhint: draw each run by itself"),
        ("bench alexnet --batch 1,2,3,4,5 --plot a.svg",
         "a figure has bars a setting, at most 4, and 5 are asked for\n"
         "hint: give fewer batches, dtypes, layouts, passes or thread counts at once"),
    ],
)  # fmt: skip
def test_what_is_no_picture(run: Callable[..., Any], folder: Path, arguments: str, message: str) -> None:
    assert run(*arguments.split()) == (2, "", f"error: {message}\n")
    assert not os.listdir(folder)


def test_every_point_and_a_figure(run: Callable[..., Any], folder: Path) -> None:
    result = run("sweep", "alexnet", "--vary", "batch=1:5", "-o", "a.csv", "--plot", "a.svg")
    assert result.err == "a.csv: 5 design points\nwrote a.svg: 7.16 x 3.60 inches\n"
    assert sorted(os.listdir(folder)) == ["a.csv", "a.svg"]


def test_points_of_a_front_are_marked(run: Callable[..., Any], folder: Path) -> None:
    axes = ("--vary", "depths.2=4:8", "--vary", "width=32:64:8")
    result = run("sweep", "resnet50", *axes, "--pareto", "-macs,peak", "--plot", "a.svg", "--quantity", "peak")
    letters = " ".join(ElementTree.parse(folder / "a.svg").getroot().itertext())
    found = json.loads(run("sweep", "resnet50", *axes, "--pareto", "-macs,peak", "--format", "json").out)
    assert f"{len(found['rows'])} points that no other beats in -macs,peak" in letters
    assert result.code == 0


def test_a_figure_of_timings(run: Callable[..., Any], folder: Path) -> None:
    pytest.importorskip("torch")
    study = ("bench", "conv", "4,8,12", "--kernel", "3", "--input", "3x8x8", "--threads", "1", "--repetitions", "1")
    result = run(*study, "--plot", "a.svg")
    assert (result.code, result.err.splitlines()[-1]) == (0, "wrote a.svg: 7.16 x 3.00 inches")
    letters = list(ElementTree.parse(folder / "a.svg").getroot().itertext())
    assert "out" in letters
    assert any("FLOP/s" in each for each in letters)


# ---- the document ---------------------------------------------------------------------------------

DOCS = ROOT / "docs" / "plots.md"
LARGEST = 120_000


@pytest.mark.parametrize(("command", "shown"), commands(DOCS), ids=[c for c, _ in commands(DOCS)])
def test_commands_print_what_the_document_shows(command: str, shown: str) -> None:
    assert printed(command) == shown


@pytest.mark.parametrize("picture", sorted((ROOT / "docs").glob("plot-*.svg")), ids=lambda path: path.name)
def test_pictures_are_small_and_shown(picture: Path) -> None:
    assert picture.stat().st_size < LARGEST
    assert f"({picture.name})" in DOCS.read_text(encoding="utf-8")
    ElementTree.parse(picture)


def letters_of(path: Path) -> set[str]:
    return {text.strip() for text in ElementTree.parse(path).getroot().itertext() if text.strip()}


@pytest.mark.parametrize("command", [line.strip() for line in blocks(DOCS, "sh")])
def test_commands_draw_the_pictures_of_the_document(run: Callable[..., Any], folder: Path, command: str) -> None:
    assert run(*shlex.split(command)[1:]).code == 0
    (drawn,) = os.listdir(folder)
    here, shown = letters_of(folder / drawn), letters_of(ROOT / "docs" / drawn)
    assert len(here ^ shown) <= 0.1 * len(shown)  # where names have room depends on matplotlib's version


def test_the_python_example_draws_its_picture(folder: Path) -> None:
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    exec(blocks(DOCS, "python")[0], {})
    assert (folder / "alexnet.pdf").read_bytes().startswith(b"%PDF")
    assert letters_of(folder / "plot-bench.svg") == letters_of(DOCS.parent / "plot-bench.svg")
