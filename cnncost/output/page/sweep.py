"""The page of a design space: quantities over two axes and over one, any two of them against each other."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from cnncost.analysis.choice import POINT
from cnncost.analysis.sweep.axes import BATCH, INPUT, SIDES, Axis, is_input, shown_value
from cnncost.analysis.sweep.points import Points
from cnncost.analysis.sweep.space import Space
from cnncost.analysis.sweep.walk import SECONDS
from cnncost.errors import UsageError
from cnncost.output.grid import Drawn
from cnncost.output.page import page
from cnncost.output.sweep import (
    HEADERS,
    Swept,
    alone,
    conventions,
    heading,
    impossible,
    key,
    range_columns,
    row_columns,
    those,
)
from cnncost.output.units import printable, time_unit, unit_for

POINTS_AT_MOST = 50_000
"""A page holds the figures of every point, in about 3 MB."""
FIRST = ("macs", "peak_bytes", "params", "training_peak_bytes", "flops", "activation_bytes")
"""What is shown at first, of what there is."""


class SweepPage(NamedTuple):
    """What the page of a sweep shows.

    points: all of the space. aims: columns of --pareto, and whether more is better.
    """

    swept: Swept
    points: Points
    aims: tuple[tuple[str, bool], ...] = ()
    units: str = "auto"


def require_few(space: Space) -> None:
    """Raise UsageError for a space with more points than a page holds."""
    if space.size > POINTS_AT_MOST:
        message = f"a page holds the figures of {POINTS_AT_MOST:,} points, and these are {space.size:,}"
        raise UsageError(message, hint=f"draw some at random: --sample {POINTS_AT_MOST}; or vary less")


def sweep_page(shown: SweepPage) -> str:
    """The page as text."""
    swept, space = shown.swept, shown.swept.space
    quantities = [_quantity(name, shown.points) for name in space.wanted.columns]
    axes = [_axis(axis) for axis in space.axes]
    data = {
        "axes": axes,
        "quantities": quantities,
        "points": len(shown.points.numbers),
        "kept": swept.summary.kept,
        "where": space.where and space.where.text,
        "sampled": space.sample is not None,
        "first": _first(shown),
        "chosen": swept.title,
        "aims": {name: "more" if largest else "less" for name, largest in shown.aims},
        "command": command(space),
    }
    rows = _rows(shown)
    data["ringed"] = [place for place, _, _ in rows] if len(shown.aims) > 2 else []
    title, *lines = (str(line) for line in heading(swept))
    numeric = [axis for axis in axes if axis["numeric"]]
    return page(
        "sweep",
        title,
        data,
        {"points": _packed(shown.points, space)},
        heading=title,
        lines=lines,
        axes=axes,
        quantities=quantities,
        amounts=[*quantities, *numeric],
        chosen=swept.title if swept.count else "",
        columns=[_header(column) for column in row_columns(swept, shown.units)] if swept.count else [],
        rows=rows,
        ranges=[_header(column) for column in range_columns(swept, shown.units)] if swept.summary.kept > 1 else [],
        those=those(swept),
        impossible=impossible(swept.summary),
        conventions=conventions(space),
    )


def _axis(axis: Axis) -> dict[str, Any]:
    """An axis for the script. values: None where they are no numbers. quoted: as a shell wants them."""
    texts = [printable(shown_value(value), 60) for value in axis.values]
    return {"key": f"axis {axis.name}", "name": printable(axis.name), "numeric": axis.numeric, "texts": texts,
            "values": list(axis.values) if axis.numeric else None,
            "quoted": [shlex.quote(shown_value(value)) for value in axis.values]}  # fmt: skip


def _quantity(name: str, points: Points) -> dict[str, Any]:
    """A quantity for the script. worth: of one of its unit."""
    seconds = name.startswith(SECONDS)
    values = points.columns[name][points.reason < 0].tolist() or [0]
    middle = sorted(values)[len(values) // 2]
    unit = time_unit([middle]) if seconds else unit_for([middle], name.endswith("_bytes"), "auto")
    label = f"least time on {key(name)}" if seconds else HEADERS.get(name, name)
    return {"key": name, "name": label, "label": f"{label} ({unit[0]})" if unit[0] else label, "worth": unit[1]}


def _first(shown: SweepPage) -> dict[str, str]:
    """What is shown at first: axes of the surface, the quantity, and the two that are against each other."""
    names = list(shown.swept.space.wanted.columns)
    ordered = [name for name in FIRST if name in names] + [name for name in names if name not in FIRST]
    numeric = {axis.name for axis in shown.swept.space.axes if axis.numeric}
    aims = [name if name in names else f"axis {name}" for name, _ in shown.aims if name in names or name in numeric]
    across, up = [*aims, *(name for name in ordered if name not in aims), *ordered][:2]
    return {"quantity": ordered[0], "across": across, "up": up}


def _packed(points: Points, space: Space) -> dict[str, Any]:
    """The figures of every point. state: -2 where it counts, -1 where the condition leaves it out, or its reason."""
    state = points.reason.copy()
    state[points.reason < 0] = -1
    state[points.kept] = -2
    possible = (points.reason < 0).tolist()
    columns = {}
    for name in space.wanted.columns:
        values = [value if real else None for value, real in zip(points.columns[name].tolist(), possible)]
        texts = ["" if value is None else alone(name, value, "auto") for value in values]
        columns[name] = {"values": values, "texts": texts}
    return {
        "numbers": points.numbers.tolist(),
        "places": [place.tolist() for place in points.places],
        "state": state.tolist(),
        "reasons": [printable(reason, 200) for reason in points.reasons],
        "columns": columns,
    }


def _header(column: Drawn) -> dict[str, Any]:
    return {"name": printable(column.header), "right": column.right, "lines": column.lines}


def _rows(shown: SweepPage) -> list[tuple[int, list[str], list[Any]]]:
    """The chosen points: which of all, their cells, and what these are sorted by."""
    swept = shown.swept
    if not swept.count:
        return []
    places = {number: place for place, number in enumerate(shown.points.numbers.tolist())}
    drawn = row_columns(swept, shown.units)
    ranks = zip(*(swept.rows[column.about.name].tolist() for column in drawn))
    cells = zip(*(column.lines for column in drawn))
    numbers: Sequence[int] = swept.rows[POINT].tolist()
    return [(places[number], list(texts), list(rank)) for number, texts, rank in zip(numbers, cells, ranks)]


def command(space: Space) -> list[Any]:
    """What prints the report of a point: texts, and numbers of axes, whose value stands there."""
    source, places = space.source, {axis.name: place for place, axis in enumerate(space.axes)}
    parts: list[Any] = [f"cnncost report {shlex.quote(str(source.spec))}"]
    for name, value in source.fixed.items():
        parts.append(f" --set {shlex.quote(f'{name}={shown_value(value)}')}")
    for name, place in places.items():
        if name != BATCH and not is_input(name):
            parts += [f" --set {shlex.quote(name)}=", place]
    if BATCH in places or source.batch != 1:
        parts += [" --batch ", places.get(BATCH, f"{source.batch}")]
    parts += _input(space, places)
    return [*parts, *([f" --dtype {space.wanted.dtype}"] if space.wanted.dtype != "fp32" else [])]


def _input(space: Space, places: dict[str, int]) -> list[Any]:
    """The input of a point, where it is given or varies."""
    source = space.source
    if not any(map(is_input, places)):
        if source.given is None:
            return []
        several = len(source.inputs) > 1
        sizes = {name: "x".join(map(str, shape)) for name, shape in source.inputs.items()}
        return [f" --input {shlex.quote(f'{name}={text}' if several else text)}" for name, text in sizes.items()]
    whole = next((axis for axis in space.axes if axis.name == INPUT and not axis.numeric), None)
    if whole is not None:
        return [" --input ", places[INPUT]]
    parts: list[Any] = [" --input "]
    for number, size in enumerate(next(iter(source.inputs.values()))):
        side = f"{INPUT}.{SIDES[number]}" if number < len(SIDES) else ""
        own = places.get(side, places.get(INPUT) if number else None)
        parts += ["x"] * bool(number) + [f"{size}" if own is None else own]
    return parts
