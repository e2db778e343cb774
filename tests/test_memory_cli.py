"""cnncost memory: the peak and its parts, the chart, the tables, the formats, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from documents import ROOT, commands, printed
from hypothesis import given
from hypothesis import strategies as st

import cnncost
from cnncost.analysis.memory import Held, Memory, Step
from cnncost.analysis.training_step import TrainingStep
from cnncost.cli.memory_options import Asked
from cnncost.live.measure import measure
from cnncost.output.memory import Shown, largest, memory_record, memory_schema, memory_table, tensor_columns
from cnncost.output.tables import Paper
from cnncost.output.timeline import ROWS, timeline

NET = """\
name: Small
input: 3x16x12
layers:
  conv: {conv: 8, kernel: 3, padding: 1, bias: true}
  bn: batch_norm
  relu: {relu, inplace: true}
  down: {conv: 8, kernel: 1, from: relu}
  sum: {add: [relu, down]}
  pool: {max_pool: 2}
  flat: flatten
  fc: {linear: 5}
"""
FP32 = 4
IMAGE = 3 * 16 * 12 * FP32
MAP = 8 * 16 * 12 * FP32
"""Bytes of a map of eight channels of one image."""
PARAMETERS = ((8 * 27 + 8) + 2 * 8 + (8 * 8 + 8) + (5 * 8 * 8 * 6 + 5)) * FP32
BUFFERS = 2 * 8 * FP32 + 8


@pytest.fixture
def net(folder: Path) -> str:
    (folder / "small.yaml").write_text(NET)
    return "small.yaml"


# ---- figures --------------------------------------------------------------------------------------


def test_the_peak_is_the_sum_of_its_parts_and_of_what_is_held(net: str, run: Any) -> None:
    record = json.loads(run("memory", net, "--batch", "4", "--format", "json").out)
    alive = [PARAMETERS + BUFFERS + 4 * (IMAGE + maps * MAP) for maps in (1, 2, 1, 2, 3)]
    assert [step["alive_bytes"] for step in record["steps"][:5]] == alive
    assert record["peak_bytes"] == alive[4] == sum(record["parts"].values()) == sum(h["bytes"] for h in record["held"])
    assert record["at"] == {"layer": "sum", "phase": "forward"}
    parts = {"parameters": PARAMETERS, "buffers": BUFFERS, "input": 4 * IMAGE, "activation": 4 * 3 * MAP}
    assert record["parts"] == parts


@pytest.mark.parametrize("options", ["", "--train", "--train --optimizer adam --autocast bf16", "--dtype fp16"])
def test_the_command_shows_what_the_library_says(net: str, run: Any, options: str) -> None:
    record = json.loads(run("memory", net, "--batch", "3", *options.split(), "--format", "json").out)
    step: dict[str, Any] = {"train": True} if "--train" in options else {}
    step |= {"optimizer": "adam", "autocast": "bf16"} if "adam" in options else {}
    memory = cnncost.memory(net, batch=3, dtype="fp16" if "fp16" in options else "fp32", **step)
    assert record["peak_bytes"] == memory.peak == max(row["alive_bytes"] for row in record["steps"])
    assert [row["layer"] for row in record["steps"]] == [row.layer for row in memory.steps]
    assert [row["left_bytes"] for row in record["steps"]] == [row.left for row in memory.steps]


def test_training_holds_more_the_more_state_an_optimizer_has(net: str) -> None:
    peaks = [cnncost.memory(net, train=True, optimizer=name).parts for name in ("sgd", "momentum", "adam")]
    states = [parts.get("optimizer state", 0) for parts in peaks]
    tensors = 2 + 2 + 2 + 2
    assert states == [0, PARAMETERS, 2 * PARAMETERS + tensors * FP32]


def test_a_frozen_layer_and_added_gradients(net: str) -> None:
    plain, frozen = (cnncost.memory(net, train=True, freeze=freeze) for freeze in ([], ["conv", "bn"]))
    added = cnncost.memory(net, train=True, accumulate=4)
    learned = PARAMETERS - ((8 * 27 + 8) + 2 * 8) * FP32
    assert frozen.parts["optimizer state"] == learned
    assert added.parts["parameter gradient"] >= PARAMETERS > plain.parts["parameter gradient"]


def test_modules_and_names_of_models_are_measured_as_they_train(net: str) -> None:
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(6, 6), torch.nn.Dropout())
    shapes = (2, 6)
    inference, training = cnncost.memory(model, shapes), cnncost.memory(model, shapes, train=True)
    assert [step.layer for step in inference.steps] == ["0"], "dropout is nothing here"
    assert [step.layer for step in training.steps if step.phase == "forward"] == ["0", "1", "loss"]


def test_a_name_of_a_model_is_traced_as_in_training(folder: Path, run: Any) -> None:
    text = "from torch import nn\ndef net():\n    return nn.Sequential(nn.Linear(6, 6), nn.Dropout())\n"
    (folder / "dropping.py").write_text(text)
    asked = ("memory", "dropping.py:net", "--input", "6", "--format", "json")
    layers = [row["layer"] for row in json.loads(run(*asked).out)["steps"]]
    trained = json.loads(run(*asked, "--train").out)["steps"]
    assert layers == ["0"]
    assert [row["layer"] for row in trained if row["phase"] == "forward"] == ["0", "1", "loss"]


# ---- measured -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--dtype bf16",
        "--train",
        "--train --optimizer adamw --accumulate 3",
        "--train --freeze conv,bn --foreach --optimizer adam",
        "--train --autocast bf16",
    ],
)
def test_derived_is_what_is_measured(net: str, run: Any, options: str) -> None:
    result = run("memory", net, "--batch", "4", "--measure", "--format", "json", *options.split())
    record = json.loads(result.out)
    jsonschema.validate(record, memory_schema())
    measured = record["measured"]
    assert measured["peak_bytes"] == record["peak_bytes"] > 0
    assert measured["difference_bytes"] == 0
    assert measured["at"] == record["at"]
    both = [(row["derived"], row["measured"]) for row in measured["steps"] if None not in row.values()]
    assert len(both) >= 8
    assert all(derived == seen for derived, seen in both)


def test_what_is_checkpointed_and_measured() -> None:
    graph = cnncost.load("resnet18", input="3x64x64", batch=4)
    for blocks in ([], ["conv2_x", "conv3_x.0"]):
        step = TrainingStep.of(checkpoint=blocks)
        beside = measure("resnet18", graph, step.memory(graph), step, "fp32", "cpu")
        assert beside.difference == 0
        assert beside.derived.kept_bytes == beside.kept_bytes
        assert beside.gpu is None
        assert blocks or [row[:2] for row in beside.steps] == [step[:2] for step in beside.derived.steps]
    assert beside.derived.kept_bytes < cnncost.memory(graph, train=True).kept_bytes


def test_what_no_layer_uses_is_held(folder: Path, run: Any) -> None:
    text = "from torch import nn\nnet = nn.Linear(6, 6)\nnet.aside = nn.Linear(6, 5)\n"
    (folder / "aside.py").write_text(text)
    record = json.loads(run("memory", "aside.py:net", "--input", "6", "--format", "json").out)
    assert {"name": "(not used)", "what": "parameters", "bytes": 5 * (6 + 1) * FP32} in record["held"]
    assert record["notes"] == [f"{5 * (6 + 1)} parameters of the model are not used, but held: aside."]
    assert record["notes"][0] in run("memory", "aside.py:net", "--input", "6").out


def test_a_difference_is_shown(net: str, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnncost.ops import find

    cls = find("batch_norm")
    monkeypatch.setattr(cls, "buffers", lambda self, x: 3 * x[1])
    out = run("memory", net, "--measure", "--units", "exact").out
    (line,) = (line for line in out.splitlines() if line.startswith("buffers"))
    wrong = BUFFERS + 8 * FP32
    assert line.split() == ["buffers", str(wrong), str(BUFFERS), f"+{8 * FP32}", f"+{100 * 8 * FP32 / BUFFERS:.2f}%"]


def test_models_are_measured_module_by_module(folder: Path, run: Any) -> None:
    (folder / "mine.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n")
    record = json.loads(run("memory", "mine.py:net", "-i", "3x8x8", "--measure", "--format", "json").out)
    assert [row["layer"] for row in record["measured"]["steps"]] == ["0", "1"]
    assert record["measured"]["difference_bytes"] == 0


# ---- the chart ------------------------------------------------------------------------------------

MIB = 2**20


def drawn(phases: dict[str, list[int]], width: int | None = 80, unicode: bool = True, always: int = 0) -> list[str]:
    """The chart of steps with so many bytes."""
    steps = tuple(Step(f"l{i}", phase, n, n) for phase, alive in phases.items() for i, n in enumerate(alive))
    peak = max(step.alive for step in steps)
    at = next(step for step in steps if step.alive == peak)
    memory = Memory("fp32", peak, peak, at, steps, (), {"parameters": always} if always else {})
    return [line for text in timeline(memory, width, unicode) for line in str(text).split("\n")]


def columns(lines: list[str], blank: str = " ") -> list[str]:
    """The columns of a chart's body, from the top."""
    margin = max(line.find("┤") for line in lines) + 1
    body = [line[margin:] for line in lines[1 : 1 + ROWS]]
    wide = max(map(len, body))
    return ["".join(line.ljust(wide, blank)[i] for line in body) for i in range(wide)]


def test_a_column_is_as_high_as_its_step() -> None:
    parts = columns(drawn({"forward": [9 * MIB, 3 * MIB, 1 * MIB, 4 * MIB + MIB // 2]}, width=60))
    shapes = list(dict.fromkeys(parts))
    assert shapes == ["█" * 9, " " * 6 + "█" * 3, " " * 8 + "█", " " * 4 + "▄" + "█" * 4]
    assert len({parts.count(shape) for shape in shapes}) == 1, "all steps are equally wide"


def test_what_is_always_there_is_drawn_lighter() -> None:
    lines = drawn({"forward": [9 * MIB, 6 * MIB]}, always=4 * MIB)
    assert set(columns(lines)) == {"█" * 5 + "░" * 4, " " * 3 + "██" + "░" * 4}
    assert lines[-1] == "░ always there: parameters"


def test_the_mark_stands_below_the_peak_and_tells_it() -> None:
    lines = drawn({"forward": [MIB, 2 * MIB], "backward": [7 * MIB, MIB], "update": [MIB]})
    mark = next(line for line in lines if "▲" in line)
    body = [line.ljust(len(mark)) for line in lines[1 : 1 + ROWS]]
    assert body[0][mark.index("▲")] == "█"
    assert "peak 7.00 MiB at l0" in mark
    names = next(line for line in lines if "forward" in line)
    assert names.index("backward") < mark.index("▲") < names.index("update")
    assert lines[1 + ROWS].count("┴") == 2


@given(
    st.lists(st.integers(0, 10**12), min_size=1, max_size=400),
    st.lists(st.integers(0, 10**12), max_size=400),
    st.integers(40, 200),
    st.booleans(),
)
def test_a_chart_fits_any_network_and_any_terminal(
    forward: list[int], backward: list[int], width: int, unicode: bool
) -> None:
    phases = {"forward": [*forward, 1], **({"backward": backward, "update": [1]} if backward else {})}
    lines = drawn(phases, width, unicode)
    assert max(map(len, lines)) <= width
    assert all(any(phase in line for line in lines) for phase in phases)
    assert len(lines) >= ROWS + 4
    assert unicode or "".join(lines).isascii()


# ---- what people see ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("memory.txt", "memory small.yaml --batch 4"),
        ("memory-steps.txt", "memory small.yaml --batch 4 --steps"),
        ("memory-training.txt", "memory small.yaml --batch 4 --train --optimizer adam"),
        ("memory-training-steps.txt", "memory small.yaml --batch 4 --train --layers --units exact"),
        ("memory-measured.txt", "memory small.yaml --batch 4 --train --measure --no-legend"),
        ("memory-measured-steps.txt", "memory small.yaml --batch 4 --train --measure --no-legend --steps"),
        ("memory-alexnet.txt", "memory alexnet --train --batch 128"),
        ("memory.md", "memory small.yaml --batch 4 --train --format markdown"),
        ("memory-steps.md", "memory small.yaml --steps --format markdown --no-legend"),
        ("memory.csv", "memory small.yaml --batch 4 --train --format csv"),
    ],
)
def test_whole_output(net: str, run: Any, golden: Any, name: str, arguments: str) -> None:
    result = run(*arguments.split())
    assert result.code == 0
    assert result.err == ""
    golden(name, result.out)


@pytest.mark.parametrize("unicode", [True, False])
@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_a_terminal(golden: Any, width: int, unicode: bool) -> None:
    step = TrainingStep.of(optimizer="adamw", autocast="bf16")
    graph = cnncost.load("resnet50", batch=32)
    text = memory_table(Shown(graph, step.memory(graph), step), paper=Paper(width, unicode=unicode))
    assert max(map(len, text.splitlines())) <= width
    assert unicode or text.isascii()
    golden(f"memory-{width}{'' if unicode else '-ascii'}.txt", text)


def test_the_largest_are_shown_with_their_shapes(net: str) -> None:
    graph = cnncost.load(net, batch=4)
    held = (
        Held("conv", "activation", 4 * MAP),
        Held("pool", "saved", 4 * 8 * 8 * 6 * 8),
        Held("relu", "saved", 4 * 8 * 16 * 12),
        Held("fc", "parameters", (5 * 8 * 8 * 6 + 5) * FP32),
        Held("bn", "buffers", BUFFERS),
        Held("fc", "temporary", 77),
        Held("loss", "saved", FP32),
    )
    memory = Memory("fp32", 1, 1, Step("conv", "forward", 1, 1), (), held, {})
    shown = {(held.name, held.what): held.bytes for held in largest(memory)}
    assert list(shown.values()) == sorted(shown.values(), reverse=True)
    by_name = {column.about.name: column.lines for column in tensor_columns(Shown(graph, memory), "exact")}
    shapes = dict(zip(zip(by_name["name"], by_name["what"]), by_name["shape"]))
    assert shapes == {
        ("conv", "activation"): "4x8x16x12",
        ("pool", "saved"): "4x8x8x6",
        ("relu", "saved"): "4x8x16x12",
        ("fc", "parameters"): f"{5 * 8 * 8 * 6:,} + 5",
        ("bn", "buffers"): "-",
        ("fc", "temporary"): "-",
        ("loss", "saved"): "-",
    }


def test_only_the_ten_largest_are_named() -> None:
    graph = cnncost.load("resnet18")
    memory = cnncost.memory(graph)
    found = largest(memory)
    assert len(found) == 10 < len(memory.held)
    assert min(held.bytes for held in found) >= max(held.bytes for held in memory.held if held not in found)


# ---- for programs ---------------------------------------------------------------------------------


@pytest.mark.parametrize("options", ["", "--train --optimizer adamw --autocast fp16", "--train --freeze conv"])
def test_json_keeps_its_schema(net: str, run: Any, options: str) -> None:
    record = json.loads(run("memory", net, "--format", "json", *options.split()).out)
    jsonschema.validate(record, memory_schema())
    assert record["cnncost"] == cnncost.__version__
    if not options:
        assert record["training"] is None
    else:
        assert record["training"]["peak_bytes"].keys() == {"forward", "backward", "update"}
        assert max(record["training"]["peak_bytes"].values()) == record["peak_bytes"]


def test_csv_has_a_line_a_step(net: str, run: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(run("memory", net, "--train", "--format", "csv").out)))
    memory = cnncost.memory(net, train=True)
    assert [(row["layer"], row["phase"]) for row in rows] == [(step.layer, step.phase) for step in memory.steps]
    assert max(int(row["alive_bytes"]) for row in rows) == memory.peak


# ---- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("memory", "error: missing argument 'SPEC'\nhint: cnncost memory --help\n"),
        ("memory small.yaml --optimizer adam", "error: --optimizer has no effect here\nhint: it goes with --train\n"),
        (
            "memory small.yaml --master-copies",
            "error: --master-copies has no effect here\nhint: it goes with --train\n",
        ),
        ("memory small.yaml --train --optimizer adan", "error: unknown optimizer adan\nhint: did you mean adam?\n"),
        ("memory small.yaml --train --freeze con", "error: no layer con in Small\nhint: did you mean conv?\n"),
        (
            "memory small.yaml --train --freeze conv,,bn",
            "error: --freeze: a name is empty\nhint: write stage1,stage2\n",
        ),
        (
            "memory small.yaml --train --dtype int8",
            "error: int8 is no dtype to train in\nhint: those are fp64, fp32, tf32, fp16, bf16\n",
        ),
        (
            "memory small.yaml --train --dtype fp16 --autocast bf16",
            "error: autocast keeps parameters in fp32, and the dtype is fp16\nhint: leave the dtype out, or autocast\n",
        ),
        ("memory small.yaml --train --accumulate 0", "invalid value for '--accumulate': 0 is not in the range x>=1"),
        ("memory small.yaml --device cuda", "error: --device has no effect here\nhint: it goes with --measure\n"),
        (
            "memory small.yaml --train --measure --master-copies --dtype bf16",
            "error: --master-copies is not measured\nhint: leave --measure out\n",
        ),
        ("memory small.yaml --steps --format csv", "error: --steps has no effect on csv\nhint: all steps are in it\n"),
        ("memory small.yaml --format json --units M", "--units has no effect on json"),
        ("memory small.yaml --batch 0", "batch must be a whole number of at least 1, got 0"),
        ("memory resnet999", "resnet999: no such file, and no bundled architecture of that name"),
        ("memory small.yaml --format json -o small.yaml", "a report over a spec would lose the spec"),
        ("memory small.yaml -o nowhere/memory.txt", "error: nowhere/memory.txt: No such file or directory"),
    ],
)
def test_bad_arguments(net: str, run: Any, arguments: str, message: str) -> None:
    result = run(*arguments.split())
    assert result.code == 2
    assert message in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "optimizer has no effect here"),
        ({"train": True, "optimiser": "adam"}, "unknown argument optimiser"),
        ({"train": True, "autocast": "fp32"}, "no autocast to fp32"),
        ({"train": True, "accumulate": 0}, "accumulate must be a whole number of at least 1, got 0"),
        ({"train": True, "freeze": "conv"}, "checkpoint and freeze are lists of names"),
        ({"dtype": "fp7"}, "unknown dtype fp7"),
    ],
)
def test_bad_calls(net: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(cnncost.UsageError, match=message):
        cnncost.memory(net, **options)


def test_without_a_gpu_there_is_one_message(net: str, run: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    result = run("memory", net, "--measure", "--device", "cuda")
    assert result.code == 2
    assert result.err.startswith("error: PyTorch finds no GPU\nhint: ")


def test_the_allocator_of_a_gpu_is_told_apart(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cnncost.live import measure as live
    from cnncost.live.allocator import Allocated

    def allocator(model: Any, inputs: Any, **options: Any) -> Allocated:
        asked.append((inputs, options))
        return Allocated("GPU", live.measure_beside(graph, memory, model).measured, peak + 1000, peak + 2024, 2 * peak)

    asked: list[Any] = []
    monkeypatch.setattr(live, "require_gpu", lambda: None)
    monkeypatch.setattr(live, "measure_allocator", allocator)
    graph = cnncost.load(net, batch=4)
    memory, peak = cnncost.memory(graph), int(cnncost.memory(graph).peak)
    beside = live.measure(net, graph, memory, None, "fp32", "cuda")
    assert asked == [
        ([(4, 3, 16, 12)], {"train": False, "optimizer": "sgd-momentum", "autocast": None, "device": "cuda"})
    ]
    shown = Shown(graph, memory, None, beside)
    record = memory_record(shown)
    jsonschema.validate(record, memory_schema())
    assert record["measured"]["gpu"] == {
        "name": "GPU",
        "requested_bytes": peak + 1000,
        "allocated_bytes": peak + 2024,
        "reserved_bytes": 2 * peak,
        "workspace_bytes": 1000,
    }
    text = memory_table(shown)
    assert f"derived {-100 * 2024 / (peak + 2024):.2f}%" in text
    assert "workspace of kernels 1,000 B; rounding adds 1.00 KiB" in text


@pytest.mark.parametrize(
    ("step", "dtype", "device", "message"),
    [
        (None, "fp16", "cuda", "--dtype fp16 is not measured on a GPU"),
        (TrainingStep.of(accumulate=2), "fp32", "cuda", "--accumulate is not measured on a GPU"),
        (TrainingStep.of(freeze=["conv"]), "fp32", "cuda:1", "--freeze is not measured on a GPU"),
        (None, "fp32", "tpu", "--device tpu: nothing is measured there"),
    ],
)
def test_what_is_not_measured_on_a_gpu(
    net: str, monkeypatch: pytest.MonkeyPatch, step: Any, dtype: str, device: str, message: str
) -> None:
    from cnncost.live import measure as live

    monkeypatch.setattr(live, "require_gpu", lambda: None)
    graph = cnncost.load(net)
    with pytest.raises(cnncost.UsageError, match=message):
        live.measure(net, graph, cnncost.memory(graph), step, dtype, device)


def test_on_a_gpu_all_parameters_are_updated_at_once() -> None:
    sizes = {"inputs": (), "batch": 1, "dtype": "fp32", "settings": ()}
    given = {"optimizer": "adam", "checkpoint": (), "freeze": ()}
    asked = Asked.of({**sizes, **given, "train": True})
    assert asked.on("cpu") == asked
    assert asked.on("cuda").step == TrainingStep.of(optimizer="adam", foreach=True)


def test_without_torch_it_says_how_to_get_it(net: str) -> None:
    hidden = "import sys; sys.modules['torch'] = None; from cnncost.cli import main; main(sys.argv[1:])"
    line = [sys.executable, "-c", hidden, "memory", net]
    derived = subprocess.run(line, capture_output=True, text=True, check=True)
    measured = subprocess.run([*line, "--measure"], capture_output=True, text=True, check=False)
    assert derived.stdout.startswith("Small\ninference: input 3x16x12")
    assert measured.returncode == 2
    assert measured.stderr == "error: PyTorch is not installed\nhint: pip install 'cnncost[torch]'\n"


CALLS = """
import sys
from cnncost.cli import main
calls = 0
def count(frame, event, argument):
    global calls
    calls += event in ("call", "c_call")
sys.setprofile(count)
try:
    main(sys.argv[1:])
finally:
    sys.setprofile(None)
    heavy = {"torch", "numpy", "jsonschema"} & sys.modules.keys()
    print(calls, *heavy, file=sys.stderr)
"""


def calls(*arguments: str) -> int:
    """Functions that a command calls, counted in a process of its own, which loads nothing heavy."""
    done = subprocess.run([sys.executable, "-c", CALLS, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1)
    assert len(done.stderr.split()) == 1, f"{done.stderr} is loaded"
    return int(done.stderr)


def test_it_takes_no_longer_than_a_report() -> None:
    report = calls("report", "resnet152")
    assert calls("memory", "resnet152") < 1.5 * report
    assert calls("memory", "resnet152", "--train", "--optimizer", "adam") < 1.5 * report


# ---- docs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("command", "shown"), commands(ROOT / "docs/memory.md"), ids=lambda text: text.split("\n")[0])
def test_the_docs_show_what_happens(command: str, shown: str) -> None:
    assert printed(command) == shown
