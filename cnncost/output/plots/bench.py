"""Timings as a figure: a bar a distinct layer; of one op at several sizes, lines over what varies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from cnncost.analysis.bench import BenchRow, BenchTable
from cnncost.analysis.samples import Timing
from cnncost.errors import UsageError
from cnncost.graph import Graph
from cnncost.output import plots
from cnncost.output.bench import BEYOND, CACHE_TEXTS, setting_words
from cnncost.output.plots import COLOURS, GREY, MARKERS, OTHER, OTHER_LOOK, PAGE, Look
from cnncost.output.tables import shortened
from cnncost.output.units import milliseconds, plural, shape, time_unit, unit_for

TABLES_AT_MOST = 4
"""Settings of a network in one figure."""
LINES_AT_MOST = 6
ROWS_AT_MOST = 40
KINDS_AT_MOST = 6
ROW = 0.145
NOTE = (
    "Time: median of one run of one layer, times the layers that are the same; the line at its end: the spread of the "
    "repetitions."
)
ROOF = "Of the roofline: the least time by the device's sheet over the time."


class Bar(NamedTuple):
    """A distinct layer, in each table that has it."""

    name: str
    op: str
    rows: tuple[BenchRow | None, ...]


class Along(NamedTuple):
    """What varies in a study of one op: its name, and the value of each row."""

    name: str
    values: tuple[float, ...]


def require_drawable(tables: int, single: bool) -> None:
    """Raise UsageError where so many settings are no picture. single: of one op, and not of a network."""
    most = LINES_AT_MOST if single else TABLES_AT_MOST
    if tables > most:
        what = "a line a setting" if single else "bars a setting"
        message = f"a figure has {what}, at most {most}, and {tables:,} are asked for"
        raise UsageError(message, hint="give fewer batches, dtypes, layouts, passes or thread counts at once")


def bench_figure(tables: Sequence[BenchTable], graphs: Sequence[Graph] = ()) -> Any:
    """A matplotlib Figure of timings: time and, where it is known, the part of the roofline, by layer.

    graphs: of a study of one op, its points in the order of rows; where one size varies, time and rate are drawn over
    it. Raises UsageError for more tables than one figure has room for, where nothing was timed, and where matplotlib
    is not installed.
    """
    single = all(table.batch is None for table in tables)
    require_drawable(len(tables), single)
    if not any(row.timing for table in tables for row in table.rows):
        raise UsageError("nothing was timed that could be drawn", hint="the table says why")
    along = along_of(graphs) if single else None
    with plots.style():
        if along is not None and all(len(table.rows) == len(along.values) for table in tables):
            return _study(tables, along)
        return _bars(tables)


# ---- layers ---------------------------------------------------------------------------------------


def _bars(tables: Sequence[BenchTable]) -> Any:
    """Bars of the layers that take most, in the order in which they run."""
    bars, rest = _rows(tables)
    single = tables[0].batch is None
    looks = plots.looks(_kinds(bars), KINDS_AT_MOST)
    roofs = any(row.efficiency for table in tables for row in table.rows)
    height = ROW * len(tables) ** 0.5
    figure = plots.new(PAGE, 1.3 + height * len(bars))
    axes = list(figure.subplots(1, 1 + roofs, sharey=True, squeeze=False)[0])
    unit, worth = time_unit([row.seconds for bar in bars for row in bar.rows if row])
    _times(axes[0], tables, bars, looks, worth)
    axes[0].set_xlabel(f"time ({unit})")
    if roofs:
        _parts(axes[1], tables, bars, looks)
    names = [plots.word(bar.name, 34) for bar in bars]
    axes[0].set_yticks(range(len(bars)), names)
    axes[0].set_ylim(len(bars) - 0.4, -0.6)
    handles, labels = _legend(tables, bars, looks)
    plots.title(figure, tables[0].name, _conditions(tables), handles, labels)
    lines = [*([] if single else [NOTE]), *([ROOF] if roofs else []), _wholes(tables)]
    lines += [BEYOND] if any((row.efficiency or 0) > 1 for table in tables for row in table.rows) else []
    lines += [f"Not drawn: {plural(rest, 'layer')} that take least."] if rest else []
    failed = sum(row.timing is None for table in tables for row in table.rows)
    lines += [f"Not timed: {plural(failed, 'layer')} that failed."] if failed else []
    plots.notes(figure, [line for line in lines if line])
    return figure


def _rows(tables: Sequence[BenchTable]) -> tuple[list[Bar], int]:
    """The bars, and how many distinct layers are left out."""
    found: dict[Any, list[BenchRow | None]] = {}
    for number, table in enumerate(tables):
        for row in table.rows:
            key = (row.kind, tuple(each if table.batch is None else each[1:] for each in row.inputs), row.names)
            found.setdefault(key, [None] * len(tables))[number] = row
    bars = [_bar(rows, tables[0].batch is None) for rows in found.values() if any(row and row.timing for row in rows)]
    kept = sorted(range(len(bars)), key=lambda n: -_most(bars[n]))[:ROWS_AT_MOST]
    return [bars[n] for n in sorted(kept)], len(bars) - len(kept)


def _bar(rows: Sequence[BenchRow | None], single: bool) -> Bar:
    """A layer by its name, with how often it is there; one of a study by its sizes."""
    first = next(row for row in rows if row is not None)
    name = f"{first.kind} on {', '.join(map(shape, first.inputs))}" if single else first.names[0]
    times = f" ({first.instances:,} times)" if first.instances > 1 and not single else ""
    return Bar(f"{shortened(name, 34 - len(times))}{times}", first.op, tuple(rows))


def _most(bar: Bar) -> float:
    return max(row.seconds for row in bar.rows if row is not None)


def _kinds(bars: Sequence[Bar]) -> list[str]:
    """Ops, those that take most first."""
    times: dict[str, float] = {}
    for bar in bars:
        times[bar.op] = times.get(bar.op, 0.0) + _most(bar)
    return sorted(times, key=lambda op: -times[op])


def _place(number: int, table: int, tables: int) -> float:
    """Where the bar of a table is in the row of a layer."""
    return number + 0.8 * ((table + 0.5) / tables - 0.5)


def _look(bar: Bar, table: int, tables: int, looks: dict[str, Look]) -> dict[str, Any]:
    """How a bar is drawn: by kind of layer; where there are several tables, by table."""
    look = (
        looks.get(bar.op, OTHER_LOOK)
        if tables == 1
        else list(plots.looks([str(n) for n in range(tables)]).values())[table]
    )
    return {"color": look.colour, "hatch": look.hatch, "edgecolor": "white", "lw": 0}


def _of_tables(count: int) -> list[Look]:
    """A look for each of several tables."""
    return list(plots.looks([str(n) for n in range(count)]).values())


def _times(ax: Any, tables: Sequence[BenchTable], bars: Sequence[Bar], looks: dict[str, Look], worth: float) -> None:
    """Seconds of each layer, all that are the same together, with their spread and the share of the sum."""
    most = max(map(_most, bars)) / worth
    for number, bar in enumerate(bars):
        for table, row in enumerate(bar.rows):
            if row is None or row.timing is None:
                continue
            place, value = _place(number, table, len(tables)), row.seconds / worth
            ax.barh(place, value, 0.74 / len(tables), **_look(bar, table, len(tables), looks))
            low, high = (row.instances * each / worth for each in (row.timing.low, row.timing.high))
            ax.plot([low, high], [place, place], color="#222222", lw=0.7, solid_capstyle="butt", gid="spread")
            whole = tables[table].sum_seconds
            if whole and len(tables) == 1:
                ax.text(max(value, high) + most * 0.015, place, plots.share(row.seconds, whole), va="center",
                        fontsize=plots.SMALL - 0.5, color=GREY)  # fmt: skip
    ax.set_xlim(0, max(most, *ax.get_xlim()) * (1.12 if len(tables) == 1 else 1))
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def _parts(ax: Any, tables: Sequence[BenchTable], bars: Sequence[Bar], looks: dict[str, Look]) -> None:
    """The part of the roofline that each layer reaches."""
    for number, bar in enumerate(bars):
        for table, row in enumerate(bar.rows):
            if row is not None and row.efficiency:
                place = _place(number, table, len(tables))
                ax.barh(place, 100 * row.efficiency, 0.74 / len(tables), **_look(bar, table, len(tables), looks))
    ax.axvline(100, color="#222222", lw=0.8, ls="--")
    ax.set_xlim(0, max(105, *ax.get_xlim()))
    ax.set_xlabel("of the roofline (%)")
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")


def _legend(tables: Sequence[BenchTable], bars: Sequence[Bar], looks: dict[str, Look]) -> tuple[list[Any], list[str]]:
    from matplotlib.patches import Patch

    if len(tables) > 1:
        shown = dict(zip(_apart(tables), _of_tables(len(tables))))
    else:
        shown = {plots.label(kind): look for kind, look in looks.items()}
        if any(bar.op not in looks for bar in bars):
            shown[OTHER] = OTHER_LOOK
    handles = [Patch(facecolor=look.colour, hatch=look.hatch, edgecolor="white", lw=0) for look in shown.values()]
    return handles, list(shown)


def _apart(tables: Sequence[BenchTable]) -> list[str]:
    """What tells tables from each other, in words."""
    told = [[*setting_words(t.setting, t.batch).split(", "), t.setting.cache] for t in tables]
    if len({len(words) for words in told}) > 1:
        return [plots.label(", ".join(words), 60) for words in told]
    places = [n for n, words in enumerate(zip(*told)) if len(set(words)) > 1]
    return [plots.label(", ".join(words[n] for n in places) or f"setting {i + 1}", 60) for i, words in enumerate(told)]


def _conditions(tables: Sequence[BenchTable]) -> str:
    """What all tables have in common."""
    told = [setting_words(t.setting, t.batch).split(", ") for t in tables]
    same = [word for word in told[0] if all(word in words for words in told)]
    caches = {t.setting.cache for t in tables}
    same += [CACHE_TEXTS[caches.pop()]] if len(caches) == 1 else []
    devices = list(dict.fromkeys(t.setting.device for t in tables))
    return f"{', '.join(same)}, on {' and '.join(devices)}"


def _wholes(tables: Sequence[BenchTable]) -> str:
    """The whole network beside the sum of its layers."""
    if len(tables) != 1 or tables[0].whole is None:
        return ""
    total = tables[0].sum_seconds
    beside = f" Sum of its layers: {milliseconds(total)}." if total else ""
    return f"Whole network: {milliseconds(tables[0].whole.median)}.{beside}"


# ---- a study of one op ----------------------------------------------------------------------------


def along_of(graphs: Sequence[Graph]) -> Along | None:
    """The one size that varies among layers of one op: an option, or a side of the input; None where several do."""
    if len(graphs) < 2 or any(len(graph.nodes) != 1 for graph in graphs):
        return None
    found: dict[str, list[Any]] = {}
    for graph in graphs:
        op: Any = graph.nodes[0].op
        sizes = [graph.shapes[name] for name in graph.nodes[0].inputs]
        told = {field.name: getattr(op, field.name) for field in fields(op)}
        names = ("batch", "input channels", "input height", "input width")
        told |= dict(zip(names, sizes[0]))
        told |= {f"input {n}": size for n, size in enumerate(sizes[1:], 2)}
        for name, value in told.items():
            found.setdefault(name, []).append(value)
    varied = {name: values for name, values in found.items() if len(set(map(repr, values))) > 1}
    if {"input height", "input width"} == set(varied) and varied["input height"] == varied["input width"]:
        varied = {"input height and width": varied["input height"]}
    if len(varied) != 1:
        return None
    ((name, values),) = varied.items()
    if any(type(value) not in (int, float) for value in values) or len(set(values)) < len(values):
        return None
    return Along(name.replace("_", " "), tuple(map(float, values)))


def _study(tables: Sequence[BenchTable], along: Along) -> Any:
    """Time, and FLOP/s where there are MACs, over what varies; a line a setting."""
    timed = [row for table in tables for row in table.rows if row.timing]
    rates = any(row.flops_per_second for row in timed)
    figure = plots.new(PAGE, 3.0)
    axes = list(figure.subplots(1, 1 + rates, squeeze=False)[0])
    unit, worth = time_unit([row.timing.median for row in timed if row.timing])
    scale = unit_for([round(max((row.flops_per_second or 0) for row in timed))], False, "auto")
    handles = []
    for number, table in enumerate(tables):
        style = {"color": COLOURS[number], "marker": MARKERS[number], "ms": 3 if len(along.values) <= 60 else 1.6}
        rows = sorted(((x, row) for x, row in zip(along.values, table.rows)), key=lambda pair: pair[0])
        handles += _line(axes[0], [(x, row.timing) for x, row in rows], worth, style)
        if rates:
            points = [(x, row.flops_per_second / scale.worth) for x, row in rows if row.flops_per_second]
            axes[1].plot(*zip(*points), lw=0.8, gid="rate", **style)
    axes[0].set_ylabel(f"time ({unit})")
    if rates:
        axes[1].set_ylabel(f"rate ({scale.name}FLOP/s)")
    for ax in axes:
        ax.set_xlabel(plots.word(along.name))
        ax.set_ylim(0, None)
        ax.grid()
    labels = _apart(tables) if len(tables) > 1 else []
    first = tables[0].rows[0]
    same = len({row.inputs for table in tables for row in table.rows}) == 1
    sizes = f"{', '.join(map(shape, first.inputs))}{'' if same else ' and others'}"
    conditions = _conditions(tables)
    plots.title(figure, f"{first.kind} on {sizes}", conditions, handles if labels else [], labels)
    failed = sum(row.timing is None for table in tables for row in table.rows)
    lines = ["Time: median of one run; band: the spread of the repetitions.", *(["Rate: 2 x MACs over time."] * rates)]
    plots.notes(figure, [*lines, *([f"Not timed: {plural(failed, 'layer')} that failed."] if failed else [])])
    return figure


def _line(ax: Any, points: Sequence[tuple[float, Timing | None]], worth: float, style: dict[str, Any]) -> list[Any]:
    """A line with its spread behind it."""
    told = [(x, timing) for x, timing in points if timing is not None]
    if not told:
        return list(ax.plot([], [], **style))
    xs = [x for x, _ in told]
    ax.fill_between(xs, [t.low / worth for _, t in told], [t.high / worth for _, t in told], color=style["color"],
                    alpha=0.25, lw=0)  # fmt: skip
    return list(ax.plot(xs, [t.median / worth for _, t in told], lw=0.8, gid="time", **style))
