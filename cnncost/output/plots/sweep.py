"""A design space as a figure: a line, a map, or several of them beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cnncost.analysis.choice import POINT
from cnncost.analysis.sweep.arrays import Swept, gathered
from cnncost.analysis.sweep.axes import INPUT, SIDES, Axis, shown_value
from cnncost.analysis.sweep.space import Space
from cnncost.analysis.sweep.walk import SECONDS
from cnncost.errors import UsageError, did_you_mean
from cnncost.output import plots
from cnncost.output.plots import COLOURS, MARKERS, PAGE
from cnncost.output.sweep import HEADERS, conditions, key
from cnncost.output.units import plural, printable, time_unit, unit_for

Array = npt.NDArray[Any]
POINTS_AT_MOST = 250_000
"""More points are no sharper picture."""
LINES_AT_MOST = 6
"""Lines of a chart, and charts beside each other."""
MAP_FROM = 4
"""Values of each of two axes from which on they are a map."""
LEVELS = 9
WIDE = 30
"""Times the least that the most is, from which on lines are on a logarithmic axis."""
MARKED_AT_MOST = 40
"""Points of a line that have a mark each."""
CELLS = 500
"""More cells of a map are dots, also in SVG and PDF."""
MAP_COLOURS = "cividis"
"""Told apart by those who do not see all colours, and lighter where there is more in grey print, too."""
COMMON = {
    "macs": "MACs: multiply-accumulates of the whole batch.",
    "flops": "FLOPs: 2 x MACs + all other operations, of the whole batch.",
    "params": "params: weights + biases + other learned numbers.",
    "activation_bytes": "activations: storage of all outputs, of the whole batch.",
    "peak_bytes": "peak: the most bytes alive at once at inference.",
    "training_peak_bytes": "training peak: the most bytes alive at once in a step of SGD with momentum.",
}


class Chart(NamedTuple):
    """What is drawn of a space. across: the axis below. up: the other axis of a map. lines: that with a line a value.
    beside: that with a chart a value. Those are None where they are not needed.
    """

    across: Axis
    up: Axis | None
    lines: Axis | None
    beside: Axis | None


def chart_of(space: Space) -> Chart:
    """How a space is drawn. Raises UsageError for one that is no picture.

    One axis that varies is a line; two are a map, or lines where one has few values or words; a third with few values
    stands beside.
    """
    if space.sample is not None:
        raise UsageError("a figure shows all points of a space", hint="leave --sample out, or --plot")
    axes = [axis for axis in space.grid.given if len(axis.values) > 1]
    if not axes:
        raise UsageError("nothing varies that could be drawn", hint="give an axis several values: --vary batch=1,2,4,8")
    if len(axes) > 3:
        hint = f"give all but three of {', '.join(axis.name for axis in axes)} one value"
        raise UsageError(f"a figure shows at most 3 axes, and {len(axes)} vary", hint=hint)
    if space.grid.size > POINTS_AT_MOST:
        message = f"a figure of {space.grid.size:,} design points, more than {POINTS_AT_MOST:,}"
        raise UsageError(message, hint="take larger steps")
    beside = None
    if len(axes) == 3:
        beside = min(axes, key=lambda axis: (len(axis.values), axis.numeric))
        if len(beside.values) > LINES_AT_MOST:
            message = f"a figure of 3 axes has a chart a value of one of them, and {beside.name} has the fewest: "
            hint = f"give one of the axes at most {LINES_AT_MOST} values"
            raise UsageError(f"{message}{len(beside.values):,}", hint=hint)
        axes = [axis for axis in axes if axis is not beside]
    return Chart(*_two(axes), beside)


def _two(axes: list[Axis]) -> tuple[Axis, Axis | None, Axis | None]:
    """How one or two axes are drawn: across, up, lines."""
    if len(axes) == 1:
        return axes[0], None, None
    first, second = axes
    if all(axis.numeric and len(axis.values) >= MAP_FROM for axis in axes):
        return second, first, None
    few = min(axes, key=lambda axis: (axis.numeric, len(axis.values)))
    if len(few.values) > LINES_AT_MOST:
        few = min(axes, key=lambda axis: len(axis.values))
    if len(few.values) > LINES_AT_MOST:
        names = ", ".join(f"{axis.name} {len(axis.values):,}" for axis in axes)
        hint = f"give words, or one of the axes, at most {LINES_AT_MOST} values"
        raise UsageError(f"a figure has a line a value of words, and there are too many: {names}", hint=hint)
    return (second if few is first else first), None, few


def quantity_of(space: Space, name: str | None, ranges: Mapping[str, tuple[Any, Any]]) -> str:
    """The column that is drawn: the one named, or the first that is not the same everywhere. Raises UsageError."""
    columns = space.wanted.columns
    if name is None:
        return next((each for each in columns if each in ranges and ranges[each][0] != ranges[each][1]), columns[0])
    known = {short: each for short, each in space.names.items() if each in columns}
    if name not in known:
        hint = did_you_mean(name, known)
        raise UsageError(f"--quantity: {printable(name)} is not priced", hint=hint)
    return known[name]


def sweep_figure(
    space: Space, quantity: str | None = None, chosen: Mapping[str, Any] | None = None, told: str = ""
) -> Any:
    """A matplotlib Figure of a quantity over a space, whose points are priced for it.

    quantity: a column; left out, the first that varies. chosen: columns of points that are marked, as of a Pareto
    front; told: what these are. Impossible points, and those that do not meet the condition, are blank. Raises
    UsageError for a space that is no picture, a quantity that is not priced, where no point is possible, and where
    matplotlib is not installed.
    """
    chart = chart_of(space)
    plots.require_matplotlib()
    swept = gathered(space)
    if not swept.kept.any():
        what = "meets the condition" if swept.possible.any() else "is possible"
        raise UsageError(f"no point {what}: there is nothing to draw", hint="cnncost sweep without --plot says why")
    name = quantity_of(space, quantity, swept.summary.ranges)
    with plots.style():
        figure, handles, labels = _draw(space, chart, swept, name, chosen or {})
        marked = len(chosen[POINT]) if chosen else 0
        if marked:
            handles.append(_chosen_mark())
            labels.append(plots.label(f"{plural(marked, 'point')} {told}".strip(), 90))
        plots.title(figure, space.source.name, _conditions(space, chart), handles, labels)
        plots.notes(figure, _notes(space, swept, name))
    return figure


def _conditions(space: Space, chart: Chart) -> str:
    """What does not vary."""
    one = [axis for axis in space.grid.given if len(axis.values) == 1]
    parts = [conditions(space), *(f"{axis.name} {shown_value(axis.values[0])}" for axis in one)]
    parts += [f"{name} {shown_value(value)}" for name, value in space.source.fixed.items()]
    return ", ".join(parts)


def _notes(space: Space, swept: Swept, name: str) -> list[str]:
    lines = []
    if name in COMMON:
        lines.append(COMMON[name])
    if name.startswith(SECONDS):
        lines.append("Time: the least by the device's roofline, layer by layer. A bound, and no prediction.")
    impossible = int((~swept.possible).sum())
    if impossible:
        lines.append(f"Blank: {plural(impossible, 'impossible point')}.")
    other = int((swept.possible & ~swept.kept).sum())
    if other and space.where is not None:
        lines.append(f"Blank: {plural(other, 'point')} for which {plots.word(space.where.text, 120)} does not hold.")
    return lines


class _Scale(NamedTuple):
    """A quantity in a unit: what it is divided by, and how its axis is called."""

    worth: float
    label: str


def _scale(name: str, values: Array) -> _Scale:
    header = HEADERS.get(name, name)
    if name.startswith(SECONDS):
        unit, worth = time_unit(values.tolist())
        return _Scale(worth, plots.word(f"least time on {key(name)} ({unit})", 60))
    found = unit_for([values.max().item()], name.endswith("_bytes"), "auto")
    return _Scale(found.worth, plots.word(f"{header} ({found.name})" if found.name else header, 60))


def _draw(
    space: Space, chart: Chart, swept: Swept, name: str, chosen: Mapping[str, Any]
) -> tuple[Any, list[Any], list[str]]:
    """The charts beside each other; what lines mean."""
    values = np.ma.MaskedArray(swept[name].astype(float), ~swept.kept)
    scale = _scale(name, values.compressed())
    beside = chart.beside.values if chart.beside else (None,)
    columns = min(len(beside), 3)
    rows = -(-len(beside) // columns)
    figure = plots.new(PAGE, 1.1 + 2.5 * rows if len(beside) > 1 or chart.up is None else 3.8)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    names = list(swept.axes)
    shared: Any = None
    handles: list[Any] = []
    for number, (ax, value) in enumerate(zip(panels, beside)):
        fixed = {chart.beside.name: number} if chart.beside else {}
        here = values[tuple(fixed.get(each, slice(None) if len(swept.axes[each]) > 1 else 0) for each in names)]
        left = [each for each in names if each not in fixed and len(swept.axes[each]) > 1]
        points = _chosen_in(chosen, chart, value)
        if chart.up is not None:
            table = here if left[0] == chart.up.name else here.T
            shared = _map(ax, chart, table / scale.worth, values / scale.worth)
        else:
            table = here[None] if chart.lines is None else here if left[0] == chart.lines.name else here.T
            handles = _lines(ax, chart, table / scale.worth)
        _mark_chosen(ax, chart, points, name, scale)
        if chart.beside is not None:
            ax.set_title(plots.word(f"{chart.beside.name} {shown_value(value)}", 30))
    for ax in panels[len(beside) :]:
        ax.remove()
    if chart.up is None:
        _heights(panels[: len(beside)], values / scale.worth)
    _labels(figure, panels[: len(beside)], columns, chart, scale, shared)
    labels = [plots.label(f"{chart.lines.name} {shown_value(v)}") for v in chart.lines.values] if chart.lines else []
    return figure, (handles if chart.lines else []), labels


def _places(axis: Axis) -> list[float]:
    """Where the values of an axis are: numbers where they are, words one behind the other."""
    return [float(v) for v in axis.values] if axis.numeric else [float(n) for n in range(len(axis.values))]


def _doubling(axis: Axis) -> bool:
    """Whether an axis is drawn logarithmically: its values grow by factors rather than by steps."""
    if not axis.numeric or min(axis.values) <= 0 or len(axis.values) < 3:
        return False
    pairs = list(pairwise(sorted(axis.values)))
    factors, steps = [b / a for a, b in pairs], [b - a for a, b in pairs]
    return bool(max(factors) / min(factors) < max(steps) / min(steps))


def _edges(axis: Axis) -> Array:
    """Where the cells of a map end: half-way between values, as the axis is drawn."""
    places = np.sort(np.array(_places(axis)))
    at = np.log(places) if _doubling(axis) else places
    inner = (at[1:] + at[:-1]) / 2
    ends = np.concatenate(([2 * at[0] - inner[0]], inner, [2 * at[-1] - inner[-1]]))
    found: Array = np.exp(ends) if _doubling(axis) else ends
    return found


def _lines(ax: Any, chart: Chart, table: Any) -> list[Any]:
    """A line a value of `lines`, with gaps where points are blank."""
    xs = _places(chart.across)
    order = np.argsort(xs)
    few = len(xs) <= MARKED_AT_MOST
    handles = []
    for number, row in enumerate(table):
        style = {"marker": MARKERS[number % len(MARKERS)], "ms": 3.2} if few else {}
        if not chart.across.numeric:
            style["ls"] = "none"
        dash = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))[number % 6]
        handles += ax.plot(np.array(xs)[order], row[order], **{"ls": dash, "color": COLOURS[number % 6], "gid": "line",
                                                               **style})  # fmt: skip
    _ticks(ax.xaxis, chart.across)
    ax.grid()
    return handles


def _heights(panels: Sequence[Any], values: Any) -> None:
    """The upward axis of lines, which all charts share: from 0, or logarithmic where values are far apart."""
    told = values.compressed()
    low, high = told.min(), told.max()
    for ax in panels:
        if low > 0 and high / low > WIDE:
            ax.set_yscale("log")
            _plain(ax.yaxis, True)
        else:
            ax.set_ylim(0, high * 1.06 or 1)


def _map(ax: Any, chart: Chart, table: Any, everywhere: Any) -> Any:
    """A filled map with labelled lines of equal value; its colours are those of all charts."""
    from matplotlib.colors import LogNorm, Normalize

    assert chart.up is not None
    xs, ys = _places(chart.across), _places(chart.up)
    table = table[np.argsort(ys)][:, np.argsort(xs)]
    xs, ys = sorted(xs), sorted(ys)
    low, high = everywhere.min(), everywhere.max()
    wide = low > 0 and high / low > 10
    norm = LogNorm(low, high) if wide else Normalize(low, high if high > low else low + 1)
    found = ax.pcolormesh(_edges(chart.across), _edges(chart.up), table, cmap=MAP_COLOURS, norm=norm,
                          rasterized=table.size > CELLS)  # fmt: skip
    levels = _levels(low, high, wide)
    if table.min() < table.max():
        lines = ax.contour(xs, ys, table, levels=levels, colors="white", linewidths=0.7)
        lines.set_path_effects(_halo())
        shown = ax.clabel(lines, fontsize=plots.SMALL, fmt=lambda value: f"{value:,g}")
        for text in shown or ():
            text.set_path_effects(_halo())
    for axis, of in ((ax.xaxis, chart.across), (ax.yaxis, chart.up)):
        _ticks(axis, of)
    ax.set_xlim(*_edges(chart.across)[[0, -1]])
    ax.set_ylim(*_edges(chart.up)[[0, -1]])
    return found


def _halo() -> list[Any]:
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=1.2, foreground="#00000066")]


def _levels(low: float, high: float, wide: bool) -> list[float]:
    """Round values between the least and the most."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    locator: Any = LogLocator(subs=(1, 2, 5)) if wide else MaxNLocator(LEVELS)
    return [float(value) for value in locator.tick_values(low, high) if low < value < high] or [(low + high) / 2]


def _ticks(axis: Any, of: Axis) -> None:
    """Words, or numbers at their places."""
    from matplotlib.ticker import NullFormatter, NullLocator

    if _doubling(of):
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        values = sorted(of.values)
        values = values[:: -(-len(values) // 9)]
        axis.set_ticks([float(v) for v in values], [f"{v:,g}" for v in values])
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
    elif not of.numeric:
        axis.set_ticks(_places(of), [plots.word(shown_value(v), 18) for v in of.values])
        axis.axes.margins(**{axis.axis_name: 0.08})
        if axis.axis_name == "x" and sum(len(shown_value(v)) for v in of.values) > 60:
            axis.set_tick_params(rotation=90)


def _plain(axis: Any, logarithmic: bool) -> None:
    """Numbers as they are, 1, 2, 5 of every decade where it is logarithmic."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if logarithmic:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def _called(axis: Axis) -> str:
    """The name of an axis, and its unit where it has one."""
    pixels = axis.numeric and axis.name in (INPUT, *(f"{INPUT}.{side}" for side in SIDES[1:]))
    return plots.word(f"{axis.name} (px)" if pixels else axis.name)


def _labels(figure: Any, panels: Sequence[Any], columns: int, chart: Chart, scale: _Scale, shared: Any) -> None:
    """What axes are; the scale of a map's colours."""
    for number, ax in enumerate(panels):
        if number + columns >= len(panels):
            ax.set_xlabel(_called(chart.across))
            ax.tick_params(labelbottom=True)
        if number % columns == 0:
            ax.set_ylabel(scale.label if chart.up is None else _called(chart.up))
    if shared is not None:
        bar = figure.colorbar(shared, ax=list(panels), pad=0.015, aspect=30)
        bar.set_label(scale.label)
        bar.outline.set_visible(False)
        _plain(bar.ax.yaxis, bar.ax.get_yscale() == "log")


# ---- points that were chosen ----------------------------------------------------------------------


def _chosen_in(chosen: Mapping[str, Any], chart: Chart, value: Any) -> dict[str, list[Any]]:
    """The chosen points of one chart, by column."""
    columns = {name: list(np.asarray(column).tolist()) for name, column in chosen.items()}
    if not columns or chart.beside is None:
        return columns
    wanted = value if chart.beside.numeric else shown_value(value)
    here = [n for n, own in enumerate(columns[chart.beside.name]) if own == wanted]
    return {name: [column[n] for n in here] for name, column in columns.items()}


def _at(axis: Axis, values: Sequence[Any]) -> list[float]:
    """Where values of an axis are, as columns of rows have them."""
    if axis.numeric:
        return [float(value) for value in values]
    places = {shown_value(value): float(n) for n, value in enumerate(axis.values)}
    return [places[str(value)] for value in values]


def _mark_chosen(ax: Any, chart: Chart, points: Mapping[str, Sequence[Any]], name: str, scale: _Scale) -> None:
    if not points or not len(points[POINT]):
        return
    xs = _at(chart.across, points[chart.across.name])
    ys = _at(chart.up, points[chart.up.name]) if chart.up else [value / scale.worth for value in points[name]]
    ax.plot(xs, ys, ls="none", marker="o", ms=4.6, mfc="white", mec=COLOURS[5], mew=1.1, gid="chosen", zorder=4,
            clip_on=False)  # fmt: skip


def _chosen_mark() -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], ls="none", marker="o", ms=4.6, mfc="white", mec=COLOURS[5], mew=1.1)
