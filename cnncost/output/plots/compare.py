"""Networks as a map: one figure over another, a third as area, and the front that no network beats."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import log10, sqrt
from typing import Any, NamedTuple

from cnncost.analysis.columns import Column
from cnncost.analysis.compare import (
    NETWORK_COLUMNS,
    NETWORK_SYNONYMS,
    VALIDATION,
    Comparison,
    NetworkRow,
)
from cnncost.errors import UsageError, did_you_mean
from cnncost.output import plots
from cnncost.output.plots import COLOURS, GREY, PAGE
from cnncost.output.plots.labels import Named, place
from cnncost.output.tables import named
from cnncost.output.units import Unit, alike, in_unit, plural, printable, short_bytes, unit_for

HEIGHT, TALL = 4.4, 5.8
MANY = 60
"""Networks from which on the figure is taller and names are smaller."""
X, AREA = "macs", "params"
ERRORS = ("top1_error", "top5_error")
KINDS = ("count", "bytes", "number", "percent", "year")
"""Columns of numbers, which can be drawn."""
SMALLER_IS_BETTER = ("count", "bytes", "percent")
SMALLEST, LARGEST = 8.0, 420.0
"""Areas of marks, in square points."""
WIDE = 8.0
"""A span from which on an axis is logarithmic."""
FEW, DECADES = 3.2, 5.0
"""Decades below which an axis has ticks between them, and one unit."""
SINGLE = 1
SAMPLE = 80.0
"""The largest mark of the legend, in square points."""


class Point(NamedTuple):
    """A network that is drawn. single: by one model and one crop, or not by an error at all."""

    row: NetworkRow
    x: float
    y: float
    area: float
    single: bool


class Map(NamedTuple):
    """What is drawn. left_out: networks by the reason why they are not. dataset: what errors are on."""

    x: Column
    y: Column
    area: Column
    points: tuple[Point, ...]
    left_out: dict[str, list[str]]
    dataset: str | None

    @property
    def said(self) -> list[str]:
        """Who is not drawn, and why, a line a reason."""
        return [f"not drawn: {named(names)}: {reason}" for reason, names in self.left_out.items()]


def column_of(name: str, option: str) -> Column:
    """A column of numbers by its name. Raises UsageError."""
    known = [each.name for each in NETWORK_COLUMNS.values() if each.kind in KINDS]
    if name not in NETWORK_COLUMNS:
        raise UsageError(
            f"{option}: unknown column {printable(name)}", hint=did_you_mean(name, known, NETWORK_SYNONYMS)
        )
    if name not in known:
        raise UsageError(f"{option}: {name} is no number", hint=f"choose one of {', '.join(known)}")
    return NETWORK_COLUMNS[name]


def network_map(
    comparison: Comparison,
    rows: Sequence[NetworkRow] | None = None,
    x: str | None = None,
    y: str | None = None,
    area: str | None = None,
) -> Map:
    """The points of a map: by default errors over MACs, with parameters as area.

    rows: those that are shown, all if left out. Without `y`, the error that more networks have. Errors are compared
    on one set of images: ILSVRC-2012 validation, or the one that most networks were tested on. Raises UsageError for
    a column that is none, and where no network has all three.
    """
    rows = comparison.networks if rows is None else rows
    told = {name: sum(NETWORK_COLUMNS[name].value(row) is not None for row in rows) for name in ERRORS}
    named_ = (x or X, y or max(ERRORS, key=lambda name: told[name]), area or AREA)
    columns = tuple(column_of(name, option) for name, option in zip(named_, ("--x", "--y", "--area")))
    across, up, size = columns
    shows_error = any(column.name in ERRORS for column in columns)
    dataset = _dataset(rows) if shows_error else None
    left: dict[str, list[str]] = {}
    points = []
    for row in rows:
        missing = next((column for column in columns if column.value(row) is None), None)
        error = row.error_rate
        if missing is not None:
            left.setdefault(f"no {missing.name}", []).append(row.name)
        elif dataset is not None and error is not None and error.dataset != dataset:
            left.setdefault(f"tested on {printable(error.dataset or 'unknown images')}", []).append(row.name)
        else:
            single = not shows_error or error is None or error.models * error.crops == SINGLE
            values = (float(column.value(row)) for column in columns)
            points.append(Point(row, next(values), next(values), next(values), single))
    if not points:
        names = " and ".join(dict.fromkeys(column.name for column in columns))
        raise UsageError(f"no network has {names}", hint="choose other columns with --x, --y and --area")
    return Map(across, up, size, tuple(points), left, dataset)


def _dataset(rows: Sequence[NetworkRow]) -> str | None:
    """The images that errors are compared on."""
    found = Counter(row.error_rate.dataset for row in rows if row.error_rate is not None)
    return VALIDATION if VALIDATION in found or not found else found.most_common(1)[0][0]


def front(map_: Map) -> list[Point]:
    """The points that no other beats in both axes, from left to right; none where less is not better.

    Errors of one model and one crop alone: several take as many times the MACs.
    """
    if not all(column.kind in SMALLER_IS_BETTER for column in (map_.x, map_.y)) or map_.x == map_.y:
        return []
    found: list[Point] = []
    for point in sorted((p for p in map_.points if p.single), key=lambda p: (p.x, p.y)):
        if not found or point.y < found[-1].y:
            found.append(point)
    return found


def compare_figure(comparison: Comparison, map_: Map) -> Any:
    """A matplotlib Figure of a map: marks, names as far as there is room, and the front.

    Raises UsageError where matplotlib is not installed.
    """
    with plots.style():
        many = len(map_.points) > MANY
        figure = plots.new(PAGE, TALL if many else HEIGHT)
        ax = figure.subplots()
        _axis(ax.xaxis, map_.x, [p.x for p in map_.points], None)
        _axis(ax.yaxis, map_.y, [p.y for p in map_.points], map_.dataset)
        ax.grid()
        areas = _areas(map_)
        best = front(map_)
        ax.plot([p.x for p in best], [p.y for p in best], color=GREY, lw=0.8, ls="--", zorder=1, gid="front")
        for point, area in zip(map_.points, areas):
            filled = COLOURS[0] if point.single else "white"
            ax.scatter([point.x], [point.y], area, facecolor=filled, edgecolor="white" if point.single else COLOURS[0],
                       alpha=0.75 if point.single else 1, lw=0.5 if point.single else 0.8, zorder=2,
                       gid="network")  # fmt: skip
        plots.title(figure, plural(len(map_.points), "network"), _conditions(comparison, map_), *_legend(map_, best))
        _names(figure, ax, map_, areas, best)
    return figure


def _names(figure: Any, ax: Any, map_: Map, areas: Sequence[float], best: Sequence[Point]) -> None:
    """Names, those of the front first, then of the largest; and the notes, whose room is kept before."""
    ahead = {id(point.row) for point in best}
    order = sorted(zip(map_.points, areas), key=lambda pair: (id(pair[0].row) not in ahead, -pair[1]))
    names = [Named(p.x, p.y, plots.word(p.row.name, 26), sqrt(area) / 2) for p, area in order]
    lines = _notes(map_)
    plots.notes(figure, [*lines, _unnamed(len(names))])
    dots = [dot for a, b in pairwise(best) for dot in _between(ax, a, b)]
    left = place(ax, names, plots.SMALL - (0.6 if len(names) > MANY else 0), dots=dots)
    plots.notes(figure, [*lines, *([_unnamed(len(left))] if left else [])])


def _unnamed(count: int) -> str:
    return f"No room for the names of {plural(count, 'network')}."


def _between(ax: Any, one: Point, other: Point) -> list[tuple[float, float]]:
    """Places along a line that is straight on the screen."""
    start, end = ax.transData.transform([(one.x, one.y), (other.x, other.y)])
    count = max(2, int(max(abs(end - start)) / 6))
    back = ax.transData.inverted()
    return [tuple(back.transform(start + (end - start) * n / count)) for n in range(1, count)]


def _axis(axis: Any, column: Column, values: Sequence[float], dataset: str | None) -> None:
    """Scale, limits, ticks and the label of an axis."""
    from matplotlib.ticker import FuncFormatter

    low, high = min(values), max(values)
    logarithmic = low > 0 and high / low > WIDE and column.kind != "percent"
    limits = axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim
    if logarithmic:
        margin = (high / low) ** 0.07
        (axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale)("log")
        limits(low / margin, high * margin)
    else:
        margin = 0.07 * (high - low) or abs(low) * 0.1 or 1
        limits(low - margin, high + margin)
    unit = _unit(column, values) if not logarithmic or log10(high / low) < DECADES else None
    if logarithmic:
        _decades(axis, column.kind == "bytes", high / low)
    if unit is None or (logarithmic and column.kind == "bytes"):
        show = short_bytes if column.kind == "bytes" else in_unit
        axis.set_major_formatter(FuncFormatter(lambda value, _: show(round(value) if value >= 1 else value)))
        unit = None
    else:
        worth = unit.worth
        comma = "" if column.kind == "year" else ","
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / worth:{comma}g}"))
    images = f" on {printable(dataset)}" if dataset and column.name in ERRORS else ""
    what = f"{column.header} error" if column.name in ERRORS else column.header
    axis.set_label_text(plots.word(f"{what}{images} ({unit.name})" if unit and unit.name else f"{what}{images}", 90))


def _decades(axis: Any, bytes_: bool, ratio: float) -> None:
    """Ticks of a logarithmic axis: 1, 2, 5 of every decade while there are few; powers of two for bytes."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    few = log10(ratio) < FEW
    if bytes_:
        axis.set_major_locator(LogLocator(base=4 if few else 32 if ratio < 2.0**30 else 1024))
        axis.set_minor_locator(NullLocator())
    else:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,), numticks=20))
        axis.set_minor_formatter(NullFormatter())


def _unit(column: Column, values: Sequence[float]) -> Unit:
    if column.kind not in ("count", "bytes"):
        return Unit("%" if column.kind == "percent" else "", 1)
    return unit_for(values, column.kind == "bytes", "auto")


def _areas(map_: Map) -> list[float]:
    """Square points, in proportion to the third column; no mark is too small to be seen."""
    most = max(point.area for point in map_.points)
    return [max(SMALLEST, LARGEST * point.area / most) if most > 0 else SMALLEST for point in map_.points]


def _conditions(comparison: Comparison, map_: Map) -> str:
    inputs = {tuple(point.row.inputs.values()) for point in map_.points}
    same = len(inputs) == 1 and len(next(iter(inputs))) == 1
    at = "x".join(map(str, next(iter(inputs))[0][1:])) if same else ""
    return f"{f'input {at}' if same else 'each at its own input'}, batch {comparison.batch:,}, {comparison.dtype}"


def _notes(map_: Map) -> list[str]:
    lines = [f"{column.header}: {column.about}." for column in dict.fromkeys((map_.x, map_.y, map_.area))]
    left = sum(map(len, map_.left_out.values()))
    return [*lines, *([f"Not drawn: {plural(left, 'network')} without these figures."] if left else [])]


def _legend(map_: Map, best: Sequence[Point]) -> tuple[list[Any], list[str]]:
    """What marks, areas and the line mean."""
    from matplotlib.lines import Line2D

    most = max(point.area for point in map_.points)
    handles: list[Any] = []
    labels: list[str] = []
    if most > 0 and map_.area.kind in ("count", "bytes"):
        unit = unit_for([most], map_.area.kind == "bytes", "auto")
        most_shown = most * SAMPLE / LARGEST
        sizes = _round([size for size in (most_shown, most_shown / 10) if size >= 1])
        for size, text in zip(sizes, alike(sizes, unit.worth)):
            handles.append(_mark(COLOURS[0], sqrt(max(SMALLEST, LARGEST * size / most)), "white"))
            labels.append(" ".join(f"{_short(text)} {unit.name} {map_.area.header}".split()))
    if any(not point.single for point in map_.points):
        handles.append(_mark("white", 5.0, COLOURS[0]))
        labels.append("error of several crops or models")
    if len(best) > 1:
        handles.append(Line2D([], [], color=GREY, lw=0.8, ls="--"))
        labels.append("no network is better in both")
    return handles, labels


def _mark(face: str, size: float, edge: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], ls="none", marker="o", ms=size, mfc=face, mec=edge, mew=0.8, alpha=0.85)


def _short(text: str) -> str:
    """Without zeros behind the point."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def _round(values: Sequence[float]) -> list[float]:
    """Round numbers no larger than these, which are at least 1."""
    found = []
    for value in values:
        power = 10 ** int(log10(value))
        found.append(float(max(n for n in (1, 2, 5) if n * power <= value) * power))
    return found
