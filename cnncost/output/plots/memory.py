"""What a network holds in memory, step by step, as a figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from cnncost.analysis.memory import Memory, Step
from cnncost.errors import UsageError
from cnncost.output import plots
from cnncost.output.beside import PARTS, place
from cnncost.output.memory import notes
from cnncost.output.plots import COLOURS, PAGE
from cnncost.output.timeline import ALWAYS
from cnncost.output.units import Unit, readable_bytes, unit_for

if TYPE_CHECKING:
    from cnncost.analysis.side_by_side import SideBySide
    from cnncost.analysis.training_step import TrainingStep
    from cnncost.graph import Graph

HEIGHT = 2.9
LABELS_AT_MOST = 44
"""Steps that are named; so many names stand beside each other without touching."""
NAME = 18
SHADES = {"forward": "#ffffff", "backward": "#f1f1f1", "update": "#e2e2e2"}
FLOOR = "#dedede"
MOSTLY = 0.75
"""Part of the peak that is always there, from which on the axis begins shortly below it."""
NOTE = (
    "Bytes as tensors hold them in eager PyTorch, without an allocator's rounding, workspace of kernels, or the CUDA "
    "context."
)


class Floor(NamedTuple):
    """What is alive at every step, in bytes, and what that is."""

    bytes: int
    parts: tuple[str, ...]


def memory_figure(
    graph: Graph, memory: Memory, step: TrainingStep | None = None, beside: SideBySide | None = None
) -> Any:
    """A matplotlib Figure of the bytes alive at every step, with the peak, and the phases of training.

    step: the step of training, None for inference. beside: what was measured, drawn as a line. Raises UsageError over
    arrays and where matplotlib is not installed.
    """
    if memory.at is None:
        raise UsageError("a figure shows one network", hint="draw a memory without arrays of sizes")
    unit = unit_for([int(memory.peak)], True, "auto")
    with plots.style():
        from matplotlib.patches import Patch

        figure = plots.new(PAGE, HEIGHT)
        ax = figure.subplots()
        _phases(ax, memory.steps)
        floor = _alive(ax, memory, unit)
        handles: list[Any] = [Patch(facecolor=COLOURS[4], edgecolor=COLOURS[0], lw=0.6)]
        labels = ["alive while a layer runs"]
        if floor.bytes:
            handles.append(Patch(facecolor=FLOOR))
            labels.append(f"always there: {', '.join(floor.parts)}, {readable_bytes(floor.bytes)}")
        if beside is not None:
            handles += _measured(ax, memory, beside, unit)
            labels.append(f"measured; peak {readable_bytes(int(beside.measured.peak))}")
        _peak(ax, memory, unit)
        _names(ax, memory.steps)
        ax.set_ylabel(f"alive ({unit.name})")
        runs = "inference" if step is None else f"training ({step.words})"
        plots.title(
            figure, graph.name, f"{runs}, {plots.sizes(graph.inputs, graph.batch, memory.dtype)}", handles, labels
        )
        cut = _cut(floor.bytes, int(memory.peak))
        begins = [f"The axis begins at {readable_bytes(cut)}, and not at 0."] if cut else []
        plots.notes(figure, [*begins, NOTE, *(plots.word(note, 300) for note in notes(graph))])
    return figure


def _alive(ax: Any, memory: Memory, unit: Unit) -> Floor:
    """The bytes of each step as a stair, and under them what is always there."""
    edges = range(len(memory.steps) + 1)
    alive = [int(step.alive) / unit.worth for step in memory.steps]
    ax.stairs(alive, edges, fill=True, color=COLOURS[4], lw=0, gid="alive")
    ax.stairs(alive, edges, color=COLOURS[0], lw=0.7, baseline=None)
    lasting = [what for what in ALWAYS if memory.parts.get(what)]
    floor = sum(int(memory.parts[what]) for what in lasting)
    if floor:
        ax.fill_between([0, len(alive)], floor / unit.worth, color=FLOOR, lw=0)
    ax.set_xlim(0, len(alive))
    low, high = _cut(floor, int(memory.peak)) / unit.worth, max(alive)
    ax.set_ylim(low, high + 0.22 * (high - low))
    return Floor(floor, tuple(PARTS[what][0] for what in lasting))


def _cut(floor: int, peak: int) -> int:
    """Where the axis begins: at 0, or where nearly all is always there, so that the rest can be seen."""
    return floor - (peak - floor) // 4 if floor > MOSTLY * peak else 0


def _measured(ax: Any, memory: Memory, beside: SideBySide, unit: Unit) -> list[Any]:
    """The measured bytes of the same steps; nothing where one was not measured."""
    found = {(each.layer, each.phase): each.measured for each in beside.steps}
    values = [found.get((step.layer, step.phase)) for step in memory.steps]
    places = [number + 0.5 for number, value in enumerate(values) if value is not None]
    told = [value / unit.worth for value in values if value is not None]
    return list(ax.plot(places, told, color=plots.INK, ls="none", marker=".", ms=1.8, gid="measured"))


def _phases(ax: Any, steps: Sequence[Step]) -> None:
    """The phases of training behind it, with their names."""
    groups = [(phase, len(list(group))) for phase, group in groupby(steps, key=lambda step: step.phase)]
    if len(groups) < 2:
        return
    start = 0
    for phase, count in groups:
        ax.axvspan(start, start + count, color=SHADES[phase], lw=0, zorder=0)
        narrow = count < len(steps) / 12
        ax.text(start + (count if narrow else count / 2), 1.01, phase, transform=ax.get_xaxis_transform(),
                ha="right" if narrow else "center", va="bottom", fontsize=plots.SMALL, color=plots.GREY)  # fmt: skip
        if start:
            ax.axvline(start, color=plots.GREY, lw=0.5, ls=":")
        start += count


def _peak(ax: Any, memory: Memory, unit: Unit) -> None:
    """A mark at the peak, and what and where it is."""
    assert memory.at is not None
    x, y = memory.steps.index(memory.at) + 0.5, int(memory.peak) / unit.worth
    ax.plot([x], [y], ls="none", marker="v", ms=5, color=COLOURS[5], mec="white", mew=0.5, gid="peak", zorder=4)
    right = x > len(memory.steps) / 2
    text = f"peak {readable_bytes(int(memory.peak))}, {plots.word(place(memory.at), 60)}"
    ax.annotate(
        text, (x, y), (-2 if right else 2, 6), textcoords="offset points", ha="right" if right else "left", va="bottom"
    )


def _names(ax: Any, steps: Sequence[Step]) -> None:
    """The layers below the axis; where they are too many, the blocks where they begin, the longest first."""
    kept = [(number, step.layer) for number, step in enumerate(steps)]
    if len(steps) > LABELS_AT_MOST:
        kept = _blocks([step.layer for step in steps])
    names = [plots.word(name, NAME) for _, name in kept]
    ax.set_xticks([number + 0.5 for number, _ in kept], names, rotation=90, fontsize=plots.SMALL)
    told = "layers" if len(kept) == len(steps) else f"{len(steps):,} steps"
    ax.set_xlabel(f"{told} in the order in which they run")


def _blocks(layers: Sequence[str]) -> list[tuple[int, str]]:
    """Blocks and their first steps, as many as there is room for, the longest before others."""
    found, start = list[tuple[int, int, str]](), 0
    for name, group in groupby(layers, key=lambda layer: layer.split(".")[0]):
        length = len(list(group))
        found.append((length, start, name))
        start += length
    apart = len(layers) / LABELS_AT_MOST
    kept: list[tuple[int, str]] = []
    for _, first, name in sorted(found, key=lambda block: (-block[0], block[1])):
        if all(abs(first - other) >= apart for other, _ in kept):
            kept.append((first, name))
    return sorted(kept)
