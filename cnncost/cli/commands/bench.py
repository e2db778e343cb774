"""cnncost bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cnncost.analysis.samples import SAME_WITHIN
from cnncost.cli.common import DeviceParam, SpecOrOpParam, deliver, paper, parse_inputs, parse_settings
from cnncost.cli.options import INPUT, SET, format_of, html_option, no_effect, output_options
from cnncost.cli.pages import BenchHtml
from cnncost.cli.plots import Plotted, plot_option
from cnncost.errors import UsageError

if TYPE_CHECKING:
    from cnncost.analysis.bench import BenchTable
    from cnncost.analysis.measurements import Setting
    from cnncost.devices import Device
    from cnncost.graph import Graph

CHOICES = {
    "dtype": ("fp32", "tf32", "bf16", "fp16"),
    "layout": ("nchw", "nhwc"),
    "pass": ("forward", "backward", "train"),
    "cache": ("chain", "cold", "warm"),
    "algorithms": ("default", "search"),
    "heap": ("kept", "default"),
}
EXAMPLES = """\b
Examples:
  cnncost bench alexnet --threads 1
  cnncost bench resnet50 --batch 1,8 --dtype fp32,bf16 --results resnet50.jsonl
  cnncost bench vgg16 --device cuda --layout nchw,nhwc --pass forward,train
  cnncost bench conv 64 --kernel 3 --input 64x56x56
  cnncost bench conv 16:512:16 --kernel 3 --input 64x56x56 --format csv
  cnncost bench conv 16:512:16 --kernel 3 --input 64x56x56 --plot conv.svg
  cnncost bench alexnet --results alexnet.jsonl --roofline machine.yaml --html alexnet.html
  cnncost bench --compare old.jsonl new.jsonl
"""


class Words(click.ParamType):  # type: ignore[type-arg]  # generic only in the newest click
    """One or more of some words, comma-separated."""

    name = "list"

    def __init__(self, what: str) -> None:
        self.what = what

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from cnncost.errors import did_you_mean

        words = tuple(dict.fromkeys(word.strip() for word in value.split(",")))
        for word in words:
            if word not in CHOICES[self.what]:
                raise UsageError(
                    f"--{self.what}: unknown {self.what} {word}", hint=did_you_mean(word, CHOICES[self.what])
                )
        return words


class Numbers(click.ParamType):  # type: ignore[type-arg]
    """One or more whole numbers of at least 1, comma-separated."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        words = [word.strip() for word in value.split(",")]
        option = param.opts[0] if param else "option"
        for word in words:
            if not word.isdecimal() or int(word) < 1:
                raise UsageError(f"{option}: {word or 'nothing'} is no whole number of at least 1", hint="write 1,8,32")
        return tuple(dict.fromkeys(map(int, words)))


@click.command("bench", epilog=EXAMPLES, context_settings={"ignore_unknown_options": True})
@click.argument("spec", type=SpecOrOpParam())
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF AN OP]")
@INPUT
@SET
@click.option("--device", default="cpu", metavar="NAME", help="cpu, cuda or cuda:1.  [cpu]")
@click.option("--batch", "-b", "batches", type=Numbers(), default="1", help="Images in a batch; several: 1,8.  [1]")
@click.option("--dtype", "dtypes", type=Words("dtype"), default="fp32", help="fp32,tf32,bf16,fp16.  [fp32]")
@click.option("--layout", "layouts", type=Words("layout"), default="nchw", help="nchw,nhwc.  [nchw]")
@click.option("--pass", "passes", type=Words("pass"), default="forward", help="forward,backward,train.  [forward]")
@click.option("--cache", "caches", type=Words("cache"), default="chain", help="Where data is when a layer begins: "
              "chain (weights in memory, as in a network), cold, warm.  [chain]")  # fmt: skip
@click.option("--algorithms", type=Words("algorithms"), default="default", help="cuDNN's choice: default,search.")
@click.option("--threads", type=Numbers(), help="Of the CPU; several: 1,2.  [PyTorch's own]")
@click.option("--heap", type=click.Choice(CHOICES["heap"]), default="kept", help="Memory that is freed: kept by the "
              "process, or as the C library has it.  [kept]")  # fmt: skip
@click.option("--compile", "compiled", is_flag=True, help="Through torch.compile.")
@click.option("--repetitions", type=click.IntRange(1), default=3, help="How often each is timed anew.  [3]")
@click.option("--results", metavar="FILE", help="Append each measurement to this file (JSON lines), and go on from it.")
@click.option("--roofline", type=DeviceParam(), metavar="DEVICE", help="Beside times, the part of what is attainable "
              "by this device's sheet: a name (cnncost devices), or a file of cnncost machine.")  # fmt: skip
@click.option(
    "--compare", "comparing", is_flag=True, help="Compare two files of results; exit code 1 if any is slower."
)
@click.option("--tolerance", type=click.FloatRange(0, 1), help=f"With --compare: part that is no difference.  "
              f"[{SAME_WITHIN}]")  # fmt: skip
@plot_option("times by layer, or over a size that varies")
@html_option("times and parts of the roofline by layer, the sum beside the whole")
@output_options()
def command(
    spec: str,
    words: tuple[str, ...],
    inputs: tuple[str, ...],
    settings: tuple[str, ...],
    device: str,
    batches: tuple[int, ...],
    dtypes: tuple[str, ...],
    layouts: tuple[str, ...],
    passes: tuple[str, ...],
    caches: tuple[str, ...],
    algorithms: tuple[str, ...],
    threads: tuple[int, ...] | None,
    heap: str,
    compiled: bool,
    repetitions: int,
    results: str | None,
    roofline: str | None,
    comparing: bool,
    tolerance: float | None,
    plot: str | None,
    html: str | None,
    format_: str | None,
    output: str | None,
    force: bool,
) -> int:
    """What every distinct layer of a network takes on this machine, and the whole, by the clock.

    SPEC is a YAML file, the name of a bundled architecture, a PyTorch model, or an op with its
    options; a list (16,32) or a range (16:512:16) as an option's value times each. Equal layers are
    timed once. benchmarks/README.md has the method.
    """
    chosen_format = format_ or format_of(output)
    no_effect(None, None, chosen_format, output, force, others={"--html": html, "--plot": plot})
    paged = BenchHtml(html, force, (spec, *words))
    paged.check(comparing, output, results)
    plotted = Plotted(plot, force, (spec, *words))
    if comparing and plot is not None:
        raise UsageError("--plot has no effect with --compare", hint="draw each run by itself")
    plotted.check(output, results, html)
    if comparing:
        return _compare(spec, words, SAME_WITHIN if tolerance is None else tolerance, output, force)
    if tolerance is not None:
        raise UsageError("--tolerance has no effect here", hint="it goes with --compare")
    from cnncost.analysis.roofline import ceilings
    from cnncost.devices import load as load_device
    from cnncost.live import machine
    from cnncost.spec.single import is_op

    where = machine.device(device)
    name = machine.name_of(where)
    sheet = None if roofline is None else load_device(roofline)
    if sheet is not None:
        for dtype in dtypes:
            ceilings(sheet, dtype)  # an error now, and not after all has been measured
    every = _settings(name, where.type, dtypes, layouts, passes, caches, algorithms, threads, heap, compiled)
    graphs = _graphs(spec, words, inputs, settings, batches)
    if plot is not None:
        from cnncost.output.plots.bench import require_drawable

        require_drawable(len(every) * (1 if is_op(spec) else len(graphs)), is_op(spec))
    tables, interrupted, told = _measured(graphs, every, where, repetitions, results, is_op(spec), sheet)
    deliver(_text(tables, chosen_format, output), output, force, spec)
    plotted.write(lambda: _figure(tables, graphs))
    paged.write(tables, graphs, told)
    if interrupted:
        raise KeyboardInterrupt
    return 0


def _settings(name: str, kind: str, dtypes: Any, layouts: Any, passes: Any, caches: Any, algorithms: Any,
              threads: tuple[int, ...] | None, heap: str, compiled: bool) -> list[Setting]:  # fmt: skip
    """Every combination. Raises UsageError for what the device does not have."""
    from cnncost.analysis.measurements import Setting
    from cnncost.live import machine

    if kind == "cpu" and "tf32" in dtypes:
        raise UsageError("a CPU has no tf32, which is a dtype of NVIDIA's tensor cores", hint="take fp32 or bf16")
    if kind == "cpu" and "search" in algorithms:
        raise UsageError("--algorithms search is of cuDNN, and has no effect on a CPU", hint="leave it out")
    if kind != "cpu" and threads is not None:
        raise UsageError("--threads has no effect on a GPU", hint="leave it out")
    if kind != "cpu" and heap != "kept":
        raise UsageError("--heap has no effect on a GPU, whose memory PyTorch keeps itself", hint="leave it out")
    counts: tuple[int | None, ...] = (threads or (machine.threads(),)) if kind == "cpu" else (None,)
    return [
        Setting(name, dtype, layout, direction, cache, compiled, algorithm, count, heap)
        for dtype in dtypes
        for layout in layouts
        for direction in passes
        for cache in caches
        for algorithm in algorithms
        for count in counts
    ]


def _graphs(
    spec: str, words: tuple[str, ...], inputs: tuple[str, ...], settings: tuple[str, ...], batches: tuple[int, ...]
) -> list[Graph]:
    """The networks, or the layers as networks of their own, at every batch."""
    from cnncost.api.networks import graph_of
    from cnncost.cli.op_options import expanded
    from cnncost.spec.single import is_op, no_such_op

    if is_op(spec):
        if settings:
            raise UsageError("--set has no effect on an op", hint="give its options by name: --kernel 3")
        return [graph for batch in batches for graph in expanded(spec, words, inputs, batch)]
    no_such_op(spec, words)
    if words:
        raise UsageError(f"unknown argument {words[0]}", hint="cnncost bench --help; options of layers go with an op")
    return [graph_of(spec, parse_inputs(inputs), batch, parse_settings(settings)) for batch in batches]


def _measured(
    graphs: list[Graph],
    settings: list[Setting],
    where: Any,
    repetitions: int,
    results: str | None,
    single: bool,
    sheet: Device | None,
) -> tuple[list[BenchTable], bool, dict[str, str]]:
    """Take what is not on file yet, and read all: the tables, whether it was interrupted, what is told of the machine.

    single: each graph is one layer, and there is no whole to time.
    """
    from contextlib import nullcontext

    from cnncost.analysis.bench import tables, told_of
    from cnncost.analysis.measurements import Lines, together
    from cnncost.cli.progress import Progress
    from cnncost.live.bench import Bench, tasks

    interrupted = False
    with Lines(results) if results else nullcontext() as lines:
        records = list(lines.before) if lines else []
        done = {(key, record["repetition"]) for record in records for key in together([record])}
        todo = [
            t
            for graph in graphs
            for t in tasks(graph, settings, repetitions, whole=not single)
            if (t.key, t.repetition) not in done
        ]
        todo.sort(key=lambda task: task.repetition)
        bench = Bench(where)
        with Progress("measurements") as watch:
            try:
                for number, task in enumerate(todo):
                    watch(number, len(todo))
                    record = bench.measure(task)
                    if lines:
                        lines.append(record)
                    records.append(record)
            except KeyboardInterrupt:
                if not records:
                    raise
                interrupted = True
    found = together(records)
    told = told_of(each for each in found.values() if each.setting in settings)
    return tables(graphs, settings, found, sheet, single), interrupted, told


def _text(tables: list[BenchTable], format_: str, output: str | None) -> str:
    """The tables in a format."""
    from cnncost.output import bench as write

    if format_ == "table":
        return write.bench_table(tables, paper(output))
    if format_ == "markdown":
        return write.bench_markdown(tables)
    return {"json": write.bench_json, "csv": write.bench_csv}[format_](tables)


def _figure(tables: list[BenchTable], graphs: list[Graph]) -> Any:
    """The tables as a figure."""
    from cnncost.output.plots.bench import bench_figure

    return bench_figure(tables, graphs)


def _compare(old: str, words: tuple[str, ...], tolerance: float, output: str | None, force: bool) -> int:
    """Two files of results: ratios, and 1 where any is slower."""
    from cnncost.analysis.bench import regression
    from cnncost.analysis.measurements import read
    from cnncost.output.bench import regression_table

    if len(words) != 1:
        raise UsageError("--compare takes two files of results", hint="write --compare old.jsonl new.jsonl")
    found = regression(read(old), read(words[0]), tolerance)
    if not found.changes:
        raise UsageError(f"{old} and {words[0]} have no measurement in common", hint="measure the same in both")
    deliver(regression_table(found, tolerance, paper(output)), output, force, old, words[0])
    return 1 if found.slower else 0
