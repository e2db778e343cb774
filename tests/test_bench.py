"""cnncost bench: what is timed and on which data, rows, files, and the command, on a clock that is wound by hand."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import time
from itertools import count
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import jsonschema
import pytest
import torch
from cases import CASES
from clocks import Once, Quiet, Wound

import cnncost
from cnncost.analysis.bench import distinct_layers, is_free, network_subject, tables
from cnncost.analysis.measurements import LAYER, NETWORK, Measurement, Setting, key_of, layer_subject, read
from cnncost.analysis.storage import out_of_place
from cnncost.analysis.traffic import PASSES
from cnncost.api.networks import graph_of
from cnncost.errors import UsageError
from cnncost.live import bench as live
from cnncost.live import machine, subjects
from cnncost.live.bench import OUT_OF_MEMORY, Bench, configured, is_out_of_memory, tasks
from cnncost.live.build import build
from cnncost.live.subjects import CHAIN, COLD, LAYOUTS, WARM, Point, copies, subject
from cnncost.live.timing import Method
from cnncost.live.within import seconds_within
from cnncost.output.bench import bench_schema, bench_table

NET = """\
name: Small
input: 3x13x9
layers:
  conv1: {conv: 4, kernel: 3, padding: 1}
  relu1: {relu, inplace: true}
  conv2: {conv: 4, kernel: 3, padding: 1}
  relu2: {relu, inplace: true}
  conv3: {conv: 4, kernel: 3, padding: 1}
  sum: {add: [relu2, conv3]}
  pool: global_avg_pool
  flat: flatten
  drop: dropout
  fc: {linear: 5}
"""
METHOD = Method(samples=3, fewest=2, warm_up=0.0, window=2)


def clock() -> Once:
    """The n-th sample takes n microseconds more than a millisecond a run."""
    return Once(lambda n: 1e-3 + 1e-6 * (n % 5))


@pytest.fixture
def net(folder: Path) -> str:
    (folder / "small.yaml").write_text(NET)
    return "small.yaml"


@pytest.fixture
def wound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "CpuClock", clock)
    monkeypatch.setattr(live, "CpuLoad", Quiet)
    monkeypatch.setattr(live, "Method", lambda: METHOD)
    monkeypatch.setattr(live, "last_cache", lambda device: 2**16)
    monkeypatch.setattr(machine, "name_of", lambda device: "a processor")
    monkeypatch.setattr(live, "name_of", lambda device: "a processor")


# ---- what is timed ----------------------------------------------------------------------------------


def test_equal_layers_are_one_and_free_ones_none(net: str) -> None:
    layers, untimed = distinct_layers(cnncost.load(net))
    assert [layer.names for layer in layers] == [
        ("conv1",),
        ("relu1", "relu2"),
        ("conv2", "conv3"),
        ("sum",),
        ("pool",),
        ("fc",),
    ]
    assert untimed == []


def test_every_layer_is_timed_free_or_part_of_the_model() -> None:
    for name in ("resnet50", "torchvision:resnet18", "mobilenet_v2"):
        graph = graph_of(name)
        layers, untimed = distinct_layers(graph)
        timed = {name for layer in layers for name in layer.names}
        free = [node for node in graph if node.name not in timed and node.name not in untimed]
        assert len(timed) + len(untimed) + len(free) == len(graph)
        assert all(is_free(n.op, n.shape, [graph.shapes[i] for i in n.inputs]) for n in free)
        assert sum(node.op.macs(node.shape, *(graph.shapes[i] for i in node.inputs)) for node in free) == 0


def test_tasks_come_in_turns(net: str) -> None:
    settings = [Setting("x"), Setting("x", dtype="bf16")]
    every = tasks(cnncost.load(net), settings, 2)
    assert [task.repetition for task in every] == [0] * 14 + [1] * 14
    assert [task.what for task in every[:7]] == [LAYER] * 6 + [NETWORK]
    assert len({task.key for task in every}) == 14


def test_a_changed_network_is_another_one(net: str) -> None:
    first = network_subject(cnncost.load(net))
    assert first == network_subject(cnncost.load(net))
    Path(net).write_text(NET.replace("conv3: {conv: 4, kernel: 3, padding: 1}", "conv3: {conv: 4, kernel: 1}"))
    assert first != network_subject(cnncost.load(net))


# ---- on which data ------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", PASSES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_layer_can_be_timed(case: Any, direction: str) -> None:
    graph = cnncost.graph.GraphBuilder()
    names = tuple(f"x{i}" for i in range(len(case.shapes)))
    for name, shape in zip(names, case.shapes):
        graph.add_input(name, shape)
    graph.add("layer", case.op(), names)
    op = out_of_place(cnncost.Graph("one", graph.inputs, tuple(graph.nodes))).nodes[0].op
    module = op.module(torch, *case.shapes)
    run = subject(module, case.shapes, Point(direction=direction), "cpu", 2**12)
    run(0)
    assert run(1) is None


@pytest.mark.parametrize(("cache", "modules", "inputs"), [(COLD, 3, 3), (CHAIN, 5, 1), (WARM, 1, 1)])
def test_data_is_in_the_caches_or_not(cache: str, modules: int, inputs: int) -> None:
    seen: list[tuple[int, int]] = []
    conv = torch.nn.Conv2d(8, 16, 3, bias=False)
    conv.register_forward_hook(lambda m, args, out: seen.append((id(m), args[0].data_ptr())))
    weights, data = 4 * 16 * 8 * 9, 4 * 8 * 20 * 25
    caches = {COLD: (weights + data) * 3 // 2 - 1, CHAIN: weights * 5 // 2, WARM: 10**6}[cache]
    run = subject(conv, [(1, 8, 20, 25)], Point(cache=cache), "cpu", caches)
    for i in range(20):
        run(i)
    assert len({module for module, _ in seen}) == modules
    assert len({pointer for _, pointer in seen}) == inputs
    assert [module for module, _ in seen] == [module for module, _ in seen[:modules]] * (20 // modules) + [
        module for module, _ in seen[: 20 % modules]
    ], "in turns"


def test_data_is_random_and_weights_keep_its_size() -> None:
    seen: list[torch.Tensor] = []
    model = torch.nn.Sequential(*(torch.nn.Conv2d(16, 16, 3, padding=1, bias=False) for _ in range(12)))
    for part in model:
        part.register_forward_hook(lambda m, args, out: seen.extend([args[0], out]))
    subject(model, [(2, 16, 20, 21)], Point(cache=WARM), "cpu", 0)(0)
    assert all(0.05 < tensor.std() < 100 for tensor in seen)
    assert all((tensor == 0).float().mean() < 0.01 for tensor in seen)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_layout_and_dtype_are_those_asked_for(layout: str, dtype: str) -> None:
    seen: list[torch.Tensor] = []
    conv = torch.nn.Conv2d(8, 16, 3)
    conv.register_forward_hook(lambda m, args, out: seen.extend([args[0], m.weight, out]))
    subject(conv, [(2, 8, 7, 9)], Point(dtype=dtype, layout=layout, cache=WARM), "cpu", 0)(0)
    last = layout == "nhwc"
    assert all(tensor.is_contiguous(memory_format=torch.channels_last) == last for tensor in seen)
    assert {tensor.dtype for tensor in seen} == {subjects.TYPES[dtype]}


def test_forward_takes_no_gradients_and_training_takes_all() -> None:
    calls: list[tuple[bool, bool]] = []
    conv = torch.nn.Conv2d(3, 5, 3)
    conv.register_forward_hook(lambda m, args, out: calls.append((out.requires_grad, m.training)))
    subject(conv, [(2, 3, 7, 9)], Point(), "cpu", 0)(0)
    assert calls == [(False, False)]
    subject(conv, [(2, 3, 7, 9)], Point(direction="train", cache=WARM), "cpu", 0)(0)
    assert calls[1:] == [(True, True)] * 2, "once to know the output, once to time"


def test_switches_are_as_asked_and_then_as_before() -> None:
    flags = torch.backends.cudnn
    before = (torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32, flags.allow_tf32, flags.benchmark)
    tiny = torch.tensor(1e-39)
    with configured(Setting("x", dtype="tf32", algorithms="search", threads=1), torch.device("cpu")):
        assert torch.get_num_threads() == 1
        assert torch.backends.cuda.matmul.allow_tf32
        assert flags.allow_tf32
        assert flags.benchmark
        assert (tiny * torch.ones(1)).item() == 0, "denormals are flushed"
    with configured(Setting("x", dtype="fp32"), torch.device("cpu")):
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not flags.allow_tf32
    after = (torch.get_num_threads(), torch.backends.cuda.matmul.allow_tf32, flags.allow_tf32, flags.benchmark)
    assert after == before
    assert (tiny * torch.ones(1)).item() != 0


# ---- measuring --------------------------------------------------------------------------------------


def measured(net: str, setting: Setting, repetitions: int = 2) -> dict[str, Measurement]:
    from cnncost.analysis.measurements import together

    bench = Bench(torch.device("cpu"), METHOD, clock(), Quiet())
    return together(bench.measure(task) for task in tasks(cnncost.load(net, batch=2), [setting], repetitions))


def test_rows_have_the_figures_of_their_layers(net: str) -> None:
    setting = Setting("x", threads=1)
    graph = cnncost.load(net, batch=2)
    (table,) = tables([graph], [setting], measured(net, setting))
    rows = {row.names[0]: row for row in table.rows}
    conv = rows["conv2"]
    assert conv.instances == 2
    assert conv.macs == 2 * 4 * 13 * 9 * 4 * 9
    assert conv.bytes_moved == 4 * (2 * prod((2, 4, 13, 9)) + 4 * 4 * 9 + 4)
    assert conv.timing is not None
    assert conv.timing.samples == 2 * METHOD.samples
    assert conv.flops_per_second == 2 * conv.macs / conv.timing.median
    assert conv.bytes_per_second == conv.bytes_moved / conv.timing.median
    assert table.sum_seconds == pytest.approx(sum(row.instances * row.timing.median for row in table.rows))
    assert (table.free, table.untimed) == (2, ())


@pytest.mark.parametrize(("direction", "times"), [("forward", 1), ("backward", 2), ("train", 3)])
def test_gradients_are_as_many_macs_again(net: str, direction: str, times: int) -> None:
    setting = Setting("x", direction=direction, threads=1)
    (table,) = tables([cnncost.load(net, batch=2)], [setting], measured(net, setting, 1))
    conv = next(row for row in table.rows if row.names[0] == "conv2")
    assert conv.macs == times * 2 * 4 * 13 * 9 * 4 * 9
    weights, biases, data = 4 * 4 * 9, 4, prod((2, 4, 13, 9))
    forward = 2 * data + weights + biases
    backward = (data + data + weights) + (data + weights + biases)  # gradient, input, weights; and three gradients
    assert conv.bytes_moved == 4 * {"forward": forward, "backward": backward, "train": forward + backward}[direction]


def test_what_is_attainable_is_the_roofline(net: str) -> None:
    setting, device = Setting("x", threads=1), cnncost.load_device("rtx-4090")
    (table,) = tables([cnncost.load(net, batch=2)], [setting], measured(net, setting, 1), device)
    conv = next(row for row in table.rows if row.names[0] == "conv2")
    assert conv.timing is not None
    assert conv.attainable == conv.bytes_moved / 1008e9, "memory bounds it"
    assert conv.efficiency == conv.attainable / conv.timing.median
    with pytest.raises(UsageError, match="no peak rate for bf16"):
        tables([cnncost.load(net)], [Setting("x", dtype="bf16")], {}, cnncost.load_device("gtx-580"))


def test_without_all_layers_there_is_no_sum(net: str) -> None:
    setting, graph = Setting("x", threads=1), cnncost.load(net, batch=2)
    found = measured(net, setting, 1)
    conv = graph.nodes[0]
    del found[key_of(LAYER, layer_subject(conv.op, [graph.shapes["input"]]), setting)]
    (table,) = tables([graph], [setting], found)
    assert table.sum_seconds is None
    assert not table.complete


def test_what_the_whole_takes_more_is_told_by_kind(net: str) -> None:
    setting, graph = Setting("x", threads=1), cnncost.load(net, batch=2)
    found = measured(net, setting)
    whole = found[key_of(NETWORK, network_subject(graph), setting)]
    for each in found.values():
        each.page_faults[:] = [3, 5, 4]
    whole.page_faults[:], whole.machine["page_fault_seconds"] = [100, 104, 500], 2e-5
    times = {node.name: 1e-3 * number for number, node in enumerate(graph, 1)}
    whole.within[:] = [[factor * seconds for seconds in times.values()] for factor in (1, 0.5, 9)]
    (table,) = tables([graph], [setting], found)
    rows = {row.op: row for row in table.rows}
    assert table.difference is not None
    assert table.whole is not None
    assert table.difference.total == table.whole.median - table.sum_seconds
    convs = sum(times[name] for name in ("conv1", "conv2", "conv3"))
    alone = sum(row.seconds for row in table.rows if row.op == "conv")
    kinds = dict(table.difference.kinds)
    assert kinds["conv"] == pytest.approx(convs - alone)
    assert kinds["relu"] == pytest.approx(times["relu1"] + times["relu2"] - rows["relu"].seconds)
    assert kinds.keys() == {"conv", "relu", "add", "global_avg_pool", "linear"}
    assert [abs(n) for n in kinds.values()] == sorted((abs(n) for n in kinds.values()), reverse=True)
    assert table.difference.page_faults == 104 - 8 * 4, "medians of repetitions, and eight layers"
    assert table.difference.page_fault_seconds == pytest.approx((104 - 8 * 4) * 2e-5)
    text = bench_table([table])
    assert f"linear {1e3 * kinds['linear']:+.3f} ms" in text
    assert "A run takes 72 more pages of memory from the system than its layers alone, 20.00 us each: 1.440 ms." in text


def test_layers_are_timed_within_the_network(net: str) -> None:
    network = build(cnncost.load(net))
    hand = Wound()

    def wind(seconds: float) -> Any:
        def hook(*_: Any) -> None:
            hand.at += seconds

        return hook

    for number, layer in enumerate(network.layers, 1):
        layer.register_forward_hook(wind(1e-3 * number))
    ready = copies(network, [(1, 3, 13, 9)], Point(cache=WARM), "cpu", 0)
    assert seconds_within(ready, hand) == pytest.approx([1e-3 * n for n in range(1, len(network.layers) + 1)])


def test_only_a_forward_pass_is_timed_layer_by_layer(net: str) -> None:
    graph = cnncost.load(net)
    for direction, within in (("forward", True), ("backward", False), ("train", False)):
        every = tasks(graph, [Setting("x", direction=direction, threads=1)], 1)
        bench = Bench(torch.device("cpu"), METHOD, clock(), Quiet())
        whole = bench.measure(next(task for task in every if task.layer is None))
        assert ("within" in whole) == within
        assert "within" not in bench.measure(every[0])


def test_out_of_memory_is_a_row_and_the_run_goes_on(net: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "needed_bytes", lambda task: 10**18 if task.layer and task.layer.op.key == "conv" else 0)
    setting = Setting("x", threads=1)
    (table,) = tables([cnncost.load(net, batch=2)], [setting], measured(net, setting, 1))
    failures = {row.names[0]: row.failure for row in table.rows}
    assert failures["conv1"] == failures["conv2"] == OUT_OF_MEMORY
    assert failures["fc"] is None
    assert table.sum_seconds is None
    assert table.whole is not None


def test_what_is_out_of_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_the_needed_bytes_are_a_lower_bound(net: str) -> None:
    graph = cnncost.load(net, batch=2)
    whole = next(task for task in tasks(graph, [Setting("x")], 1) if task.layer is None)
    params = cnncost.analyze(graph).total.params
    assert live.needed_bytes(whole) == 4 * (params + 3 * prod((2, 4, 13, 9)))
    half = whole._replace(setting=Setting("x", dtype="bf16"))
    assert live.needed_bytes(half) * 2 == live.needed_bytes(whole)


def test_a_record_says_where_it_was_taken(net: str) -> None:
    task = tasks(cnncost.load(net), [Setting("x", threads=1)], 1)[0]
    record = Bench(torch.device("cpu"), METHOD, clock(), Quiet()).measure(task)
    assert json.loads(json.dumps(record)) == record
    assert record["machine"]["torch"] == str(torch.__version__)
    assert record["machine"]["threads"] == 1
    assert record["loops"] * 1e-3 >= METHOD.sample


# ---- the command --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("bench.txt", "bench small.yaml --threads 1 --repetitions 2"),
        ("bench-several.txt", "bench small.yaml --threads 1 --repetitions 1 --batch 1,2 --pass forward,train"),
        ("bench-op.txt", "bench conv 4:12:4 --kernel 3 --groups 1,4 --input 4x9x7 --threads 1 --repetitions 1"),
        ("bench-roofline.txt", "bench small.yaml --threads 1 --repetitions 1 --roofline rtx-4090"),
        ("bench.md", "bench small.yaml --threads 1 --repetitions 1 --format markdown"),
        ("bench.csv", "bench small.yaml --threads 1 --repetitions 1 --format csv"),
    ],
)
def test_whole_output(net: str, wound: None, run: Any, golden: Any, name: str, arguments: str) -> None:
    result = run(*arguments.split())
    assert result.err == ""
    assert result.code == 0
    golden(name, result.out)


def test_json_keeps_its_schema(net: str, wound: None, run: Any) -> None:
    arguments = ("--repetitions", "1", "--threads", "1,2", "--format", "json")
    record = json.loads(run("bench", net, *arguments).out)
    jsonschema.validate(record, bench_schema())
    assert [table["setting"]["threads"] for table in record["tables"]] == [1, 2]


def test_csv_has_a_line_a_layer_and_one_for_the_whole(net: str, wound: None, run: Any) -> None:
    text = run("bench", net, "--repetitions", "1", "--threads", "1", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["layer"] for row in rows] == ["conv1", "relu1", "conv2", "sum", "pool", "fc", "(network)"]
    assert all(float(row["median_seconds"]) > 0 for row in rows)


def test_the_same_command_goes_on_from_what_is_on_file(net: str, wound: None, run: Any) -> None:
    arguments = ("bench", net, "--threads", "1", "--repetitions", "2", "--results", "r.jsonl")
    first = run(*arguments)
    lines = Path("r.jsonl").read_text().splitlines(keepends=True)
    assert len(lines) == 2 * 7
    assert run(*arguments).out == first.out
    assert Path("r.jsonl").read_text() == "".join(lines), "nothing is measured again"
    Path("r.jsonl").write_text("".join(lines[:9]) + lines[9][:20])
    assert run(*arguments).code == 0
    assert len(read("r.jsonl")) == 7
    assert len(Path("r.jsonl").read_text().splitlines()) == 14
    run("bench", net, "--threads", "1", "--repetitions", "3", "--results", "r.jsonl")
    assert len(Path("r.jsonl").read_text().splitlines()) == 21, "one repetition more"


def test_interrupted_it_shows_what_there_is(net: str, wound: None, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    right, calls = Bench.measure, count()

    def interrupted(self: Bench, task: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return right(self, task)

    monkeypatch.setattr(Bench, "measure", interrupted)
    result = run("bench", net, "--threads", "1", "--repetitions", "1", "--results", "r.jsonl")
    assert result.code == 130
    assert "conv2" in result.out
    assert "sum of" not in result.out
    assert "interrupted" in result.err
    assert len(read("r.jsonl")) == 3


def test_killed_at_any_moment_the_command_goes_on(net: str, tmp_path: Path) -> None:
    path, rng, before = tmp_path / "r.jsonl", Random(20240607), 0
    command = [sys.executable, "-m", "cnncost", "bench", net, "--threads", "1", "--repetitions", "10000"]
    for _ in range(20):
        process = subprocess.Popen(
            [*command, "--results", str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        begun = time.monotonic()
        while lines_of(path) <= before and time.monotonic() - begun < 60:
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.3))
        process.kill()
        process.wait()
        assert lines_of(path) > before, "it went on"
        records = [json.loads(line) for line in path.read_text().splitlines()[: lines_of(path)]]
        assert len(read(str(path))) == min(7, len(records))
        taken = [(record["repetition"], json.dumps(record["subject"])) for record in records]
        assert len(set(taken)) == len(taken), "nothing is measured twice"
        assert [number for number, _ in taken] == sorted(number for number, _ in taken)
        before = len(records)


def lines_of(path: Path) -> int:
    """Whole lines of a file."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_two_runs_are_compared(net: str, wound: None, run: Any, golden: Any) -> None:
    run("bench", net, "--threads", "1", "--repetitions", "1", "--results", "old.jsonl")
    slower = []
    for text in Path("old.jsonl").read_text().splitlines():
        record = json.loads(text)
        factor = 1.5 if record["subject"].get("op") == "linear" else 1.0
        machine = {**record["machine"], "torch": "3.0", "page_fault_seconds": 1.0}
        samples = [factor * sample for sample in record["samples"]]
        slower.append(json.dumps({**record, "samples": samples, "machine": machine}))
    Path("new.jsonl").write_text("\n".join(slower) + "\n")
    result = run("bench", "--compare", "old.jsonl", "new.jsonl")
    assert result.code == 1
    golden("bench-compare.txt", result.out.replace(str(torch.__version__), "2.0"))
    same = run("bench", "--compare", "old.jsonl", "old.jsonl")
    assert same.code == 0
    assert "not measured with the same" not in same.out
    assert run("bench", "--compare", "old.jsonl", "new.jsonl", "--tolerance", "0.6").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "missing argument 'SPEC'"),
        ("small.yaml --device tpu", "--device tpu: unknown device\nhint: write cpu, cuda or cuda:1"),
        ("small.yaml --dtype fp23", "--dtype: unknown dtype fp23\nhint: did you mean fp32?"),
        ("small.yaml --dtype tf32", "a CPU has no tf32"),
        ("small.yaml --layout nhcw", "--layout: unknown layout nhcw\nhint: did you mean nhwc"),
        ("small.yaml --batch 1,0", "--batch: 0 is no whole number of at least 1"),
        ("small.yaml --threads many", "--threads: many is no whole number of at least 1"),
        ("small.yaml --algorithms search", "--algorithms search is of cuDNN"),
        ("small.yaml --heap sbrk", "'sbrk' is not one of 'kept', 'default'"),
        ("small.yaml --tolerance 0.1", "--tolerance has no effect here"),
        ("small.yaml --results .", ". is no regular file"),
        ("small.yaml --results none/r.jsonl", "none/r.jsonl: No such file or directory"),
        ("small.yaml --roofline gtx-581", "unknown device gtx-581\nhint: did you mean gtx-580"),
        ("small.yaml --roofline gtx-580 --dtype bf16", "GeForce GTX 580 has no peak rate for bf16"),
        ("small.yaml fast", "unknown argument fast"),
        ("conv 8 --kernel 3", "conv alone needs --input"),
        ("conv 8:4 --input 3x9x9", "conv 8:4: it ends before it begins"),
        ("conv 8 --kernel 1:9:0 --input 3x9x9", "--kernel 1:9:0: a step of 0"),
        ("conv 1:100000 --input 3x9x9", "more than 10,000 values"),
        ("conv 1:200 --groups 1:200 --input 3x9x9", "40,000 layers to time"),
        ("conv 8 --colour 3 --input 3x9x9", "conv has no option colour"),
        ("--compare small.yaml", "--compare takes two files of results"),
        ("--compare none.jsonl small.yaml", "none.jsonl: No such file or directory"),
        ("--compare small.yaml small.yaml", "small.yaml:1: no measurement (no JSON)"),
    ],
)
def test_bad_arguments(net: str, wound: None, run: Any, arguments: str, message: str) -> None:
    result = run("bench", *arguments.split())
    assert result.code == 2
    assert message in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(net: str, run: Any) -> None:
    result = run("bench", net, "--device", "cuda")
    assert result.code == 2
    assert "--device cuda: " in result.err
    assert "hint: --device cpu is always there" in result.err


def test_runs_on_the_real_clock(net: str, run: Any) -> None:
    result = run("bench", net, "--threads", "1", "--repetitions", "1")
    assert result.code == 0
    assert "whole network: " in result.out


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", ["fp32", "tf32", "bf16", "fp16"])
def test_on_a_gpu(net: str, run: Any, dtype: str) -> None:
    result = run("bench", net, "--device", "cuda", "--dtype", dtype, "--layout", "nchw,nhwc", "--repetitions", "1")
    assert result.code == 0
    assert result.out.count("whole network: ") == 2


@pytest.mark.cuda
def test_every_setting_on_a_gpu(net: str, run: Any) -> None:
    settings = ("--pass", "forward,backward,train", "--cache", "chain,cold,warm", "--algorithms", "default,search")
    result = run("bench", net, "--device", "cuda:0", *settings, "--repetitions", "1", "--format", "json")
    assert result.code == 0
    for table in json.loads(result.out)["tables"]:
        assert table["whole"]["median_seconds"] > 0
        assert all(layer["timing"]["median_seconds"] > 0 for layer in table["layers"])
        within = [layer["within_seconds"] for layer in table["layers"]]
        assert all(seconds > 0 for seconds in within) if table["setting"]["pass"] == "forward" else not any(within)


@pytest.mark.cuda
def test_a_gpu_runs_out_of_memory_and_goes_on(run: Any) -> None:
    channels = torch.cuda.get_device_properties(0).total_memory // (4 * 1024**2)
    options = ("--kernel", "1", "--input", "1x1024x1024", "--device", "cuda", "--repetitions", "1", "--format", "json")
    result = run("bench", "conv", f"8,{channels}", *options)
    (table,) = json.loads(result.out)["tables"]
    assert [layer["failure"] for layer in table["layers"]] == [None, "out of memory"]


def test_a_read_only_file_is_refused(net: str, wound: None, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    right = os.open

    def refused(path: Any, flags: int, *mode: Any) -> int:
        if str(path) == "r.jsonl":
            raise PermissionError(13, "Permission denied")
        return right(path, flags, *mode)

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(UsageError, match=r"r\.jsonl: Permission denied"):
        from cnncost.analysis.measurements import Lines

        Lines("r.jsonl")
    assert run("bench", net, "--results", "r.jsonl").code == 2


# ---- under the roofline -------------------------------------------------------------------------------


def test_measured_layers_stand_under_the_roofline(net: str, wound: None, run: Any, golden: Any) -> None:
    run("bench", net, "--threads", "1", "--repetitions", "1", "--results", "r.jsonl")
    seconds = {row.names: row for row in read_rows(net)}
    record = json.loads(run("roofline", net, "--device", "epyc-7763", "--results", "r.jsonl", "--format", "json").out)
    for layer in record["layers"]:
        row = next((row for names, row in seconds.items() if layer["name"] in names), None)
        assert layer["measured_seconds"] == (row.timing.median if row and row.timing else None)
    golden("roofline-measured.txt", run("roofline", net, "--device", "epyc-7763", "--results", "r.jsonl").out)


def read_rows(net: str) -> list[Any]:
    from cnncost.analysis.bench import rows

    found = {measured.key: measured for measured in read("r.jsonl")}
    return rows(cnncost.load(net), next(iter(found.values())).setting, found)


def test_settings_of_results_are_told_apart(net: str, wound: None, run: Any) -> None:
    run("bench", net, "--threads", "1,2", "--repetitions", "1", "--results", "r.jsonl")
    common = ("roofline", net, "--device", "epyc-7763", "--results", "r.jsonl")
    several = run(*common)
    assert several.code == 2
    assert "Small was measured in 2 settings that differ in threads" in several.err
    assert "hint: choose one of 1, 2: --where threads=1" in several.err
    assert run(*common, "--where", "threads=2").code == 0
    assert "no layer of Small at these sizes was measured in fp32, train" in run(*common, "--pass", "train").err
    assert "no layer of Small" in run(*common, "--batch", "2").err
    assert "a setting has no thread\nhint: did you mean threads?" in run(*common, "--where", "thread=2").err
    assert "--where has no effect here" in run(*common[:4], "--where", "threads=2").err


def test_more_than_the_roofline_is_told(net: str) -> None:
    from cnncost.output.bench import BEYOND, bench_table

    setting, device = Setting("x", threads=1), cnncost.load_device("gtx-580")
    (table,) = tables([cnncost.load(net, batch=2)], [setting], measured(net, setting, 1), device)
    fast = tuple(row._replace(attainable=1.0) for row in table.rows)
    assert BEYOND not in bench_table([table])
    assert BEYOND in bench_table([table._replace(rows=fast)])
