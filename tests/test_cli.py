"""The command line as people and programs meet it."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from specs import TINY

import cnncost
from cnncost.cli import COMMANDS


@pytest.fixture
def tiny(folder: Path) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(TINY)
    return path


# ---- colour, pipes, terminals -----------------------------------------------------------------


def on_a_terminal(arguments: list[str], **environment: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **environment}
    if not environment:
        env.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "cnncost", *arguments], stdout=slave, stderr=slave, stdin=slave, env=env
    )
    os.close(slave)
    text = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:  # Linux says so when the other side has closed
            break
        if not part:
            break
        text += part
    os.close(master)
    assert process.wait() == 0
    return text.decode().replace("\r\n", "\n")


def test_a_terminal_has_colour_and_no_color_takes_it_away() -> None:
    assert "\x1b[" in on_a_terminal(["report", "lenet5"])
    plain = on_a_terminal(["report", "inception_v3"], NO_COLOR="1")
    assert "\x1b[" not in plain
    assert "…" not in plain


def test_a_pipe_has_neither_colour_nor_cut_names(run) -> None:
    result = run("report", "inception_v3")
    assert "\x1b[" not in result.out
    assert "…" not in result.out
    for layer in cnncost.analyze("inception_v3").layers:
        assert f"{layer.name} " in result.out


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = f"{sys.executable} -m cnncost report resnet152 --columns all | head -2; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(result.stdout.splitlines()) == 2


def test_ascii_only_output_still_draws_bars() -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "cnncost", "report", "alexnet"]
    result = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "####" in result.stdout


# ---- sources and overrides ---------------------------------------------------------------------


def test_a_bundled_name_with_and_without_suffix_and_the_header_says_so(folder, run) -> None:
    for spec in ("alexnet", "alexnet.yaml"):
        assert "from alexnet.yaml (bundled)" in run("report", spec).out


def test_a_file_here_comes_before_the_bundled_one(tiny, run) -> None:
    tiny.rename("alexnet.yaml")
    result = run("report", "alexnet.yaml")
    assert "from alexnet.yaml\n" in result.out
    assert "(bundled)" not in result.out
    # Without the suffix it is no file here, so the bundled network is meant.
    assert "(bundled)" in run("report", "alexnet").out


def test_standard_input(tiny) -> None:
    command = [sys.executable, "-m", "cnncost", "report", "-", "--format", "csv", "--columns", "name,params"]
    result = subprocess.run(command, input=TINY, capture_output=True, text=True, check=True)
    expected = [["first.conv", str(5 * 3 * 9 + 5)], ["first.relu", "0"], ["pool", "0"], ["fc", str(5 * 2 + 2)]]
    assert list(csv.reader(io.StringIO(result.stdout)))[1:] == expected


def test_overrides_reach_the_graph(tiny, run) -> None:
    options = ["--input", "3x10x9", "--batch", "32", "--set", "out=7", "--dtype", "bf16", "--format", "json"]
    report = json.loads(run("report", "tiny.yaml", *options).out)
    assert report["input"] == [32, 3, 10, 9]
    assert report["layers"][0]["output_shape"] == [32, 7, (10 - 3) // 3 + 1, 3]
    assert report["totals"]["weight_bytes"] == 2 * report["totals"]["params"]
    assert report["totals"]["params"] == 7 * 27 + 7 + 7 * 2 + 2


def test_strict_names_the_window_that_does_not_fit(tiny, run) -> None:
    assert run("report", "tiny.yaml").code == 0
    result = run("report", "tiny.yaml", "--strict")
    assert result.code == 2
    assert result.err == (
        "error: tiny.yaml:8:7: layer first.conv: (7 + 0 + 0 - 3) / 3 + 1 is not whole (height): the window does not "
        "fit evenly\n"
        "hint: 1 of the padded input is left over; without --strict it is dropped, as PyTorch does\n"
    )


# ---- bad input ---------------------------------------------------------------------------------

WRONG = {
    "report alexnet vgg16": (
        "error: got unexpected extra argument (vgg16)\nhint: cnncost compare takes several networks\n"
    ),
    "report alexnet --sort": "error: option '--sort' requires an argument\nhint: cnncost report --help\n",
    "completion": (
        "error: missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish\nhint: cnncost completion --help\n"
    ),
    "report": "error: missing argument 'SPEC'\nhint: cnncost report --help\n",
    "report alexnett": (
        "error: alexnett: no such file, and no bundled architecture of that name\nhint: did you mean alexnet?\n"
    ),
    "report no/such.yaml": "error: no/such.yaml: no such file\nhint: cnncost list shows the bundled architectures\n",
    "rpeort alexnet": "error: unknown command rpeort\nhint: did you mean report?\n",
    "tiny.yaml": "error: unknown command tiny.yaml\nhint: write cnncost report tiny.yaml\n",
    "report alexnet --batsh 3": (
        "error: no such option '--batsh'. Did you mean '--batch'?\nhint: cnncost report --help\n"
    ),
    "report alexnet --batch many": (
        "error: invalid value for '--batch' / '-b': 'many' is not a valid integer\nhint: cnncost report --help\n"
    ),
    "report alexnet --batch 0": None,
    "report alexnet --batch -3": None,
    "report alexnet --columns name,mac": "error: unknown column mac\nhint: did you mean macs?\n",
    "report alexnet --sort mac": None,
    "report alexnet --sort macs,params": None,
    "report alexnet --set widht=2": "error: no parameter widht to set\nhint: known here: classes\n",
    "report alexnet --set classes": (
        "error: --set classes: no name=value\nhint: write --set width=0.5 or --set depths.2=36\n"
    ),
    "report alexnet --input 3x22": None,
    "report alexnet --input 3xax9": None,
    "report alexnet --input a=3x9x9": None,
    "report alexnet -o .": "error: . is no file name\nhint: give the name of a file to write\n",
    "report alexnet -o new/": None,
    "report alexnet -o report.xlsx": None,
    "report alexnet -o alexnet.yaml": None,
    "report alexnet --depth 2": None,
    "report alexnet --force": None,
    "report alexnet --format json --columns macs": None,
    "report alexnet --format csv --units M": None,
    "report alexnet --columns ,": None,
    "report alexnet --dtype fp12": None,
    "report alexnet -i a=3x9x9 -i a=3x8x8": None,
    "ops conv2d": "error: unknown op conv2d\nhint: did you mean conv?\n",
    "alexnet": "error: unknown command alexnet\nhint: write cnncost report alexnet\n",
    "report alexnet -o no/such/folder.json": None,
    "report alexnet --format xml": None,
    "schema specs": None,
}


@pytest.mark.parametrize("arguments", WRONG)
def test_bad_input_is_one_message_and_exit_2(tiny, run, golden, arguments) -> None:
    result = run(*arguments.split())
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err
    if WRONG[arguments] is None:
        golden(f"wrong/{arguments.replace('/', '_').replace(' ', '_')}.txt", result.err)
    else:
        assert result.err == WRONG[arguments]


def test_debug_shows_the_traceback(folder) -> None:
    command = [sys.executable, "-m", "cnncost", "report", "alexnett", "--debug"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "Traceback" in result.stderr
    assert "UsageError" in result.stderr


def test_a_fault_of_our_own_says_so(run, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise AssertionError("planted")

    monkeypatch.setattr("cnncost.cli.commands.report.analyze", broken)
    result = run("report", "alexnet")
    assert result.code == 70
    assert result.err.startswith("error: cnncost failed on this input (AssertionError: planted)\nhint: this is a fault")


def test_interrupting_is_quiet() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cnncost", "report", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdin and process.stderr
    process.stdin.write("name: waiting\n")
    process.stdin.flush()
    # It waits for the rest of the spec; give it time to come so far.
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (130, "\ninterrupted\n")  # the first line ends what the terminal echoed: ^C


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", [20, 40, 200])
def test_long_messages_break_at_blanks_on_a_terminal(run, monkeypatch, columns) -> None:
    whole = run("report", "no/such-network.yaml", "--input", "3x224x224").err
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run("report", "no/such-network.yaml", "--input", "3x224x224").code == 2
    shown = terminal.getvalue()
    assert shown.split() == whole.split()
    assert all(len(line) <= columns or " " not in line for line in shown.splitlines())
    assert (shown == whole) is (columns == 200)


# ---- the rest ----------------------------------------------------------------------------------


def test_list_names_every_bundled_architecture(run) -> None:
    listed = json.loads(run("list", "--format", "json").out)["architectures"]
    folder = Path(__file__).parent.parent / "architectures"
    assert [entry["file"] for entry in listed] == sorted(p.name for p in folder.glob("*.yaml"))
    for entry in listed:
        assert set(entry) >= {"name", "title", "year", "family", "file"}
        assert entry["name"] in run("list").out


def test_version(run) -> None:
    assert run("--version").out == f"cnncost {cnncost.__version__}\n"


def test_every_command_has_help_with_an_example(run) -> None:
    for name in COMMANDS:
        out = run(name, "--help").out
        assert "Examples:" in out
        assert "cnncost" in out.split("Examples:")[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_us(run, shell) -> None:
    assert "_CNNCOST_COMPLETE" in run("completion", shell).out


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ("report alexnet_d", {"alexnet_dense_conv4"}),
        ("compare vgg16 resnet15", {"resnet152", "resnet152_v1"}),
        ("report alexnet --device rtx-30", {"rtx-3090"}),
        ("report alexnet --sort ma", {"macs"}),
        ("ops global", {"global_avg_pool", "global_max_pool"}),
        ("list --family rc", {"rcnn"}),
        ("explain co", {"conv", "concat", "convnext_tiny"}),
        ("explain alexnet fc", {"fc6", "fc7", "fc8"}),
        ("explain googlenet 3b", {"3b", "3b.concat"}),
        ("explain no_such_network c", set()),
        ("explain conv --k", {"--kernel"}),
        ("explain conv 10 --input 3x9x9 --", {"--kernel", "--padding-mode", "--no-bias", "--batch"}),
        ("explain alexnet --", {"--batch"}),
        ("compare vgg16 family:rc", {"family:rcnn"}),
        ("verify fam", {"family:vgg", "family:rcnn"}),
        ("compare vgg16 family : rc", {"rcnn"}),  # bash ends words at colons
        ("report ./no_such", set()),
    ],
)
def test_bash_completes(run, tmp_path, line, some) -> None:
    """In bash itself: what its completion function hands back."""
    command = tmp_path / "cnncost"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m cnncost "$@"\n')
    command.chmod(0o755)
    words = ["cnncost", *line.split()]
    script = [
        run("completion", "bash").out,
        "compopt() { :; }",  # it works only while bash completes
        f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}",
        f"_cnncost_completion {command}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    ]
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    result = subprocess.run(["bash", "-c", "\n".join(script)], capture_output=True, text=True, env=env, check=True)
    assert some <= set(result.stdout.split())
    assert all(word.startswith(words[-1]) for word in result.stdout.split())
    assert not result.stderr


def test_completion_offers_networks(monkeypatch) -> None:
    env = {**os.environ, "_CNNCOST_COMPLETE": "bash_complete", "COMP_WORDS": "cnncost report resnet", "COMP_CWORD": "2"}
    code = "import sys; sys.argv = ['cnncost']; from cnncost.cli import main; main()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert {"plain,resnet18", "plain,resnet50", "plain,resnet152"} <= set(result.stdout.split())
