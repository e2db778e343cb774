"""The roofline as a figure: FLOP/s over FLOPs a byte, layers as marks as large as their time."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10, sqrt
from typing import Any

from cnncost.analysis.roofline import Roof, Roofline, together
from cnncost.errors import UsageError
from cnncost.output import plots
from cnncost.output.plots import GREY, OTHER, OTHER_LOOK, PAGE, Look
from cnncost.output.plots.labels import Named, place
from cnncost.output.roofline_chart import weight
from cnncost.output.units import digits, duration, in_unit, percent, plural, printable, rate

HEIGHT = 3.9
KINDS_AT_MOST = 6
NAMED = 8
"""Layers that are named: those that take most."""
TELLING = 0.01
"""Layers with a smaller part of the time are not named."""
SMALLEST, LARGEST = 6.0, 700.0
"""Areas of marks, in square points: at the least, and what all of the time adds."""
FEW = 300
"""Times the least of an axis that its most is, below which there are ticks within decades."""
CELL = 0.05
"""Parts of a decade: layers of a kind that are so near to each other are one mark."""
NOTE = (
    "FLOPs: 2 x MACs; of layers without MACs their other operations. Bytes: each tensor once. Area of a mark: time; "
    "layers of a kind that are side by side are one mark."
)


def roofline_figure(roofline: Roofline, rows: Sequence[Roof] | None = None) -> Any:
    """A matplotlib Figure of a roofline: ceilings, the ridge, and layers where they are bound.

    Where times were measured, those layers alone: filled marks at the rate measured, hollow ones at the one attainable.
    rows: blocks or kinds in place of the layers. Raises UsageError where no layer has a place on it, over arrays, and
    where matplotlib is not installed.
    """
    if roofline.swept:
        raise UsageError("a figure shows one network", hint="draw a roofline without arrays of sizes")
    every = list(roofline.layers if rows is None else rows)
    timed = [row for row in every if row.measured is not None] or [row for row in every if row.seconds]
    points = marks([row for row in timed if row.intensity])
    if not points:
        hint = "views and copies have no place on a roofline"
        raise UsageError(f"no layer of {printable(roofline.name)} computes anything", hint=hint)
    with plots.style():
        figure = plots.new(PAGE, HEIGHT)
        ax = figure.subplots()
        ax.set_xscale("log")
        ax.set_yscale("log")
        _limits(ax, roofline, points)
        written = _ceilings(ax, roofline, points)
        looks = plots.looks(_kinds(points), KINDS_AT_MOST)
        _axes(ax, roofline)
        plots.title(figure, roofline.name, _conditions(roofline), *_legend(points, looks))
        plots.notes(figure, _notes(roofline, timed, points))
        _points(ax, roofline, points, timed, looks, written)
    return figure


def marks(points: Sequence[Roof]) -> list[Roof]:
    """The marks that are drawn: layers of a kind that would cover each other as one, with what they are together."""
    cells: dict[tuple[Any, ...], list[Roof]] = {}
    for row in points:
        rates = [row.intensity, row.rate, _rate(row)]
        cells.setdefault((row.op, *(floor(log10(rate) / CELL) for rate in rates)), []).append(row)
    return [
        rows[0] if len(rows) == 1 else together(f"{len(rows):,} {op}", rows, op) for (op, *_), rows in cells.items()
    ]


def _conditions(roofline: Roofline) -> str:
    roofs = roofline.ceilings
    passes = f"{roofline.passes}{', fused' if roofline.fused else ''}"
    return f"{passes}, {plots.sizes(roofline.inputs, roofline.batch, roofs.dtype)}, on {roofs.device.name}"


def _notes(roofline: Roofline, timed: Sequence[Roof], points: Sequence[Roof]) -> list[str]:
    whole = sum(map(weight, timed))
    measured = any(row.measured is not None for row in points)
    what = "measured" if measured else "at the least"
    lines = [NOTE, f"Time {what}: {duration(whole)} in all."]
    if measured:
        lines.append("Filled: measured; hollow: attainable.")
    hidden = [row for row in timed if not row.intensity]
    if hidden:
        taken = percent(sum(map(weight, hidden)), whole)
        lines.append(f"Not drawn: {plural(len(hidden), 'layer')} without FLOPs, {taken} of the time.")
    return lines


def _kinds(points: Sequence[Roof]) -> list[str]:
    """Ops, those that take most first."""
    times: dict[str, float] = {}
    for row in points:
        times[row.op] = times.get(row.op, 0.0) + weight(row)
    return sorted(times, key=lambda op: -times[op])


def _rate(row: Roof) -> float:
    """Where a mark is: at the rate that was measured, or is attainable."""
    return float(row.measured_rate or row.rate)


def _limits(ax: Any, roofline: Roofline, points: Sequence[Roof]) -> None:
    """All points, the ridge, and a little around."""
    roofs = roofline.ceilings
    across = [*(row.intensity for row in points), roofs.ridge]
    low, high = min(across) / 1.8, max(max(across) * 1.8, roofs.ridge * 4)
    rates = [*(_rate(row) for row in points), roofs.attainable(low * 1.8)]
    ax.set_xlim(low, high)
    ax.set_ylim(min(rates) / 1.8, max(roofs.macs.rate, *rates) * 3)


def _ceilings(ax: Any, roofline: Roofline, points: Sequence[Roof]) -> list[Any]:
    """The roof, the ceiling of other arithmetic where it is another, the ridge; returns what is written there."""
    roofs, (low, high) = roofline.ceilings, ax.get_xlim()
    ax.plot([low, roofs.ridge, high], [low * roofs.bandwidth, roofs.macs.rate, roofs.macs.rate], color="#222222",
            lw=1.1, gid="roof", zorder=1)  # fmt: skip
    ax.axvline(roofs.ridge, color=GREY, lw=0.5, ls=":", zorder=0)
    written = [_ceiling(ax, roofs.macs, above=True)]
    if roofs.others != roofs.macs:
        start = roofs.others.rate / roofs.bandwidth
        ax.plot([start, high], [roofs.others.rate] * 2, color="#222222", lw=0.8, ls="--", gid="others", zorder=1)
        written.append(_ceiling(ax, roofs.others))
    ridge = ax.annotate(f"ridge {digits(roofs.ridge)} FLOP/B", (roofs.ridge, 0.015), (3, 0),
                        xycoords=ax.get_xaxis_transform(), textcoords="offset points", fontsize=plots.SMALL,
                        color=GREY)  # fmt: skip
    written.append(ridge)
    written.append(_slope(ax, roofline, points))
    return written


def _ceiling(ax: Any, peak: Any, above: bool = False) -> Any:
    """What a ceiling is, away from the marks on it."""
    text = plots.word(f"{rate(peak.rate, peak.dtype)} {peak.dtype}, {peak.unit}", 60)
    return ax.annotate(text, (0.995, peak.rate), (0, 11 if above else -3), xycoords=ax.get_yaxis_transform(),
                       textcoords="offset points", ha="right", va="bottom" if above else "top",
                       fontsize=plots.SMALL)  # fmt: skip


def _slope(ax: Any, roofline: Roofline, points: Sequence[Roof]) -> Any:
    """The bandwidth above the slope, where marks are far."""
    roofs, (low, _) = roofline.ceilings, ax.get_xlim()
    bottom = ax.get_ylim()[0]
    start = max(low, bottom / roofs.bandwidth)
    places = [start * (roofs.ridge / start) ** (n / 20) for n in range(8, 19)]
    x = max(places, key=lambda place: min(abs(log10(place / row.intensity)) for row in points))
    text = f"{in_unit(roofs.bandwidth)}B/s"
    return ax.annotate(text, (x, x * roofs.bandwidth), (-4, 4), textcoords="offset points", ha="right", va="bottom",
                       fontsize=plots.SMALL)  # fmt: skip


def _axes(ax: Any, roofline: Roofline) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    unit = rate(1, roofline.ceilings.macs.dtype).lstrip("1")
    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < FEW else (1,), numticks=20))
        axis.set_major_formatter(FuncFormatter(lambda value, _: in_unit(value)))
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("arithmetic intensity (FLOP/B)")
    ax.set_ylabel(f"attainable and attained rate ({unit})" if _measured(roofline) else f"attainable rate ({unit})")
    ax.grid(which="major")


def _measured(roofline: Roofline) -> bool:
    return any(row.measured is not None for row in roofline.layers)


def _points(
    ax: Any,
    roofline: Roofline,
    points: Sequence[Roof],
    timed: Sequence[Roof],
    looks: dict[str, Look],
    written: Sequence[Any],
) -> None:
    """A mark a layer, larger ones below smaller ones; those that take most are named."""
    whole = sum(map(weight, timed))
    ordered = sorted(points, key=lambda row: -weight(row))
    named: list[Named] = []
    dots = _dots(ax, roofline)
    for row in ordered:
        area = SMALLEST + LARGEST * weight(row) / whole
        look = looks.get(row.op, OTHER_LOOK)
        if row.measured is not None and row.rate:
            dots.append((row.intensity, row.rate))
            ax.plot([row.intensity] * 2, [_rate(row), row.rate], color=look.colour, lw=0.4, zorder=2)
            ax.scatter([row.intensity], [row.rate], area / 3, marker=look.marker, facecolor="white",
                       edgecolor=look.colour, lw=0.6, zorder=2)  # fmt: skip
        ax.scatter([row.intensity], [_rate(row)], area, marker=look.marker, facecolor=look.colour, edgecolor="white",
                   lw=0.4, alpha=0.85, zorder=3, gid="layer")  # fmt: skip
        if len(named) < NAMED and weight(row) >= TELLING * whole:
            label = f"{plots.word(row.name, 24)} {percent(weight(row), whole)}"
            named.append(Named(row.intensity, _rate(row), label, sqrt(area) / 2))
        else:
            dots.append((row.intensity, _rate(row)))
    place(ax, named, plots.SMALL, written, dots)


def _dots(ax: Any, roofline: Roofline) -> list[tuple[float, float]]:
    """Places along the ceilings."""
    low, high = map(log10, ax.get_xlim())
    places = [10 ** (low + (high - low) * n / 200) for n in range(201)]
    roofs = roofline.ceilings
    others = [(x, roofs.others.rate) for x in places if x * roofs.bandwidth >= roofs.others.rate]
    return [*((x, roofs.attainable(x)) for x in places), *(others if roofs.others != roofs.macs else [])]


def _legend(points: Sequence[Roof], looks: dict[str, Look]) -> tuple[list[Any], list[str]]:
    """Marks and names of the kinds."""
    from matplotlib.lines import Line2D

    shown = {plots.label(kind): look for kind, look in looks.items()}
    if any(row.op not in looks for row in points):
        shown[OTHER] = OTHER_LOOK
    handles = [Line2D([], [], ls="none", marker=look.marker, color=look.colour, ms=5) for look in shown.values()]
    return handles, list(shown)
