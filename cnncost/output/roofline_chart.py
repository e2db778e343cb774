"""The roofline drawn with characters: FLOP/s over FLOPs a byte, both logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from string import ascii_lowercase
from typing import NamedTuple

from rich.text import Text

from cnncost.analysis.roofline import Roof, Roofline
from cnncost.output.units import in_unit, percent, printable, rate

HEIGHT = 14
WIDTH_AT_LEAST, WIDTH, WIDTH_AT_MOST = 50, 80, 110
MARGIN = 8
"""Characters left of the axis."""
LARGE = 0.05
"""Share of the time from which on a mark is a capital."""
KINDS_AT_MOST = 8
GAP = 5
"""Characters before a label of the roof."""
OTHERS = "*"
"""Mark of kinds that have no letter."""
PER_BYTE = "FLOP/B"
BRAILLE = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Dots of a braille character: by column, from below."""
SLOPE = "_.-'"
"""A quarter of a line's height each, in ASCII."""
LEVELS = {True: "▁▂▃▄▅▆▇█", False: ".:-=+*%#"}
MARK = "bold cyan"
AXES = {True: ("│", "└", "─", "┴", "▴"), False: ("|", "+", "-", "+", "^")}
"""The vertical axis, the corner, the horizontal axis, its decades, the ridge."""


class Scale(NamedTuple):
    """A logarithmic axis from 10^low to 10^high over so many characters."""

    low: float
    high: float
    cells: int

    def at(self, value: float) -> float:
        """The place of a value, in characters from the beginning."""
        return (log10(value) - self.low) / (self.high - self.low) * self.cells

    def cell(self, value: float) -> int:
        return min(self.cells - 1, max(0, floor(self.at(value))))

    def value(self, place: float) -> float:
        return float(10 ** (self.low + place / self.cells * (self.high - self.low)))

    @property
    def decades(self) -> list[float]:
        return [10.0**n for n in range(ceil(self.low), floor(self.high) + 1)]


class Canvas:
    """Characters in rows from the top; marks among them."""

    def __init__(self, width: int, height: int = 1) -> None:
        self.rows = [[" "] * width for _ in range(height)]
        self.marks: set[tuple[int, int]] = set()

    def put(self, column: int, up: int, text: str) -> None:
        """Write text from a column on, so many rows up from the lowest; where it is within the canvas."""
        row = self.rows[len(self.rows) - 1 - up] if 0 <= up < len(self.rows) else []
        for i, character in enumerate(text, column):
            if 0 <= i < len(row):
                row[i] = character

    def line(self, number: int = 0) -> Text:
        """A row, its marks in their style."""
        row, up = self.rows[number], len(self.rows) - 1 - number
        text = Text("".join(row).rstrip(), no_wrap=True)
        for column, height in self.marks:
            if height == up:
                text.stylize(MARK, column, column + 1)
        return text


class Drawing(NamedTuple):
    """What is drawn: the rows that have a time, and the seconds that each weighs.

    Where times were measured, those rows alone, by these times.
    """

    roofline: Roofline
    rows: Sequence[Roof]
    unicode: bool
    x: Scale
    y: Scale

    @property
    def points(self) -> list[Roof]:
        """The rows with FLOPs: zero has no place on a logarithmic axis."""
        return [row for row in self.rows if row.intensity]

    @property
    def whole(self) -> float:
        return sum(map(weight, self.rows))


def weight(row: Roof) -> float:
    """Seconds, measured where they were."""
    return row.seconds if row.measured is None else row.measured


def chart(roofline: Roofline, width: int | None, unicode: bool = True) -> list[Text]:
    """The lines of the drawing; none where nothing has a place on it, or the width is too small."""
    measured = [row for row in roofline.layers if row.measured is not None]
    rows = measured or [row for row in roofline.layers if row.seconds]
    points = [row for row in rows if row.intensity]
    if not points or (width is not None and width < WIDTH_AT_LEAST):
        return []
    across = min(width or WIDTH, WIDTH_AT_MOST) - MARGIN - 1
    drawing = Drawing(roofline, rows, unicode, *_scales(roofline, across))
    canvas = Canvas(across, HEIGHT)
    letters = _letters(drawing)
    _roofs(canvas, drawing)
    _labels(canvas, drawing)
    _points(canvas, drawing, letters)
    return [*_framed(canvas, drawing), *_axis(drawing), _strip(drawing), Text(), *_legend(drawing, letters, width)]


def _scales(roofline: Roofline, width: int) -> tuple[Scale, Scale]:
    """The axes: all layers, the ridge, and room above for what is written there."""
    roofs = roofline.ceilings
    intensities = [row.intensity for row in roofline.layers if row.intensity]
    low, high = log10(min(*intensities, roofs.ridge / 10)) - 0.1, log10(max(*intensities, roofs.ridge * 4)) + 0.1
    rates = [row.measured_rate for row in roofline.layers if row.measured_rate]
    bottom = log10(min([roofs.attainable(10**low), *rates]))
    top = log10(max([roofs.macs.rate, *rates]))
    room = 1.5 * (top - bottom) / (HEIGHT - 2)
    return Scale(low, high, width), Scale(bottom, top + room, HEIGHT)


def _roofs(canvas: Canvas, drawing: Drawing) -> None:
    """The roof as a line; the ceiling of other arithmetic, where it is another one, dotted."""
    roofs, x, y = drawing.roofline.ceilings, drawing.x, drawing.y
    if roofs.others != roofs.macs:
        first = ceil(x.at(roofs.others.rate / roofs.bandwidth))
        for column in range(max(0, first), x.cells, 2):
            canvas.put(column, y.cell(roofs.others.rate), "·" if drawing.unicode else ".")
    halves = 2 if drawing.unicode else 1
    ups = [floor(4 * y.at(roofs.attainable(x.value((n + 0.5) / halves)))) for n in range(halves * x.cells)]
    if drawing.unicode:
        _braille(canvas, ups)
        return
    for column, (before, up) in enumerate(zip([ups[0], *ups], ups)):
        for between in range(before // 4 + 1, up // 4):
            canvas.put(column, between, "/")
        canvas.put(column, up // 4, SLOPE[up % 4])


def _braille(canvas: Canvas, ups: Sequence[int]) -> None:
    """A line of dots: two columns and four rows of them a character."""
    dots: dict[tuple[int, int], int] = {}
    for place, (before, up) in enumerate(zip([ups[0], *ups], ups)):
        for dot in range(min(before + 1, up), up + 1):
            cell = place // 2, dot // 4
            dots[cell] = dots.get(cell, 0) | BRAILLE[place % 2][dot % 4]
    for (column, up), bits in dots.items():
        canvas.put(column, up, chr(0x2800 + bits))


def _letters(drawing: Drawing) -> dict[str, tuple[str, float]]:
    """A letter for each of the kinds that take most, and the time that these take."""
    times: dict[str, float] = {}
    for point in drawing.points:
        times[point.op] = times.get(point.op, 0) + weight(point)
    letters: dict[str, tuple[str, float]] = {}
    for op in sorted(times, key=lambda op: -times[op])[:KINDS_AT_MOST]:
        taken = {letter for letter, _ in letters.values()}
        letters[op] = (
            next(c for c in op.lower() + ascii_lowercase if c in ascii_lowercase and c not in taken),
            times[op],
        )
    return letters


def _points(canvas: Canvas, drawing: Drawing, letters: dict[str, tuple[str, float]]) -> None:
    """A mark for the layers in a cell: the letter of the kind that takes most there."""
    cells: dict[tuple[int, int], dict[str, float]] = {}
    for point in drawing.points:
        place = drawing.x.cell(point.intensity), drawing.y.cell(point.measured_rate or point.rate)
        kinds = cells.setdefault(place, {})
        kinds[point.op] = kinds.get(point.op, 0) + weight(point)
    for place, kinds in cells.items():
        op = max(kinds, key=lambda op: kinds[op])
        mark = letters[op][0] if op in letters else OTHERS
        canvas.put(*place, mark.upper() if sum(kinds.values()) >= LARGE * drawing.whole else mark)
        canvas.marks.add(place)


def _labels(canvas: Canvas, drawing: Drawing) -> None:
    """The figures of the ceilings: the roof's above it, the other one's below, the bandwidth left of the slope."""
    roofs, x, y = drawing.roofline.ceilings, drawing.x, drawing.y
    top, other = y.cell(roofs.macs.rate), y.cell(roofs.others.rate)
    labels = [
        printable(f"{rate(peak.rate, peak.dtype)} {peak.dtype}, {peak.unit}", x.cells - 2 * GAP)
        for peak in (roofs.macs, roofs.others)
    ]
    above, below = (x.cells - len(label) for label in labels)
    canvas.put(above, top + 1, labels[0])
    if roofs.others != roofs.macs:
        # Lower down the slope is further left: there is room from where it is left of the label.
        room = (up for up in range(other - 1, 0, -1) if x.cell(y.value(up + 1) / roofs.bandwidth) + 1 < below)
        canvas.put(below, next(room, 0), labels[1])
    slope = f"{in_unit(roofs.bandwidth)}B/s"
    left = x.cell(y.value(top - 2) / roofs.bandwidth) - 2 - len(slope)
    right = x.cell(y.value(top - 1) / roofs.bandwidth) + 3
    canvas.put(left if left >= 0 else right, top - 2, slope)


def _framed(canvas: Canvas, drawing: Drawing) -> list[Text]:
    """The canvas behind its vertical axis, with the decades of FLOP/s."""
    ticks = {drawing.y.cell(value): in_unit(value) for value in drawing.y.decades}
    unit = rate(1, drawing.roofline.ceilings.macs.dtype).lstrip("1")
    labels = [unit, *(ticks.get(HEIGHT - 1 - number, "") for number in range(1, HEIGHT))]
    axis = AXES[drawing.unicode][0]
    return [Text(f"{label:>{MARGIN - 1}} {axis}") + canvas.line(number) for number, label in enumerate(labels)]


def _axis(drawing: Drawing) -> list[Text]:
    """The horizontal axis with its decades, and which side of the ridge is whose."""
    x, (_, corner, line, tick, here) = drawing.x, AXES[drawing.unicode]
    ridge = x.cell(drawing.roofline.ceilings.ridge)
    axis, labels, sides = Canvas(x.cells), Canvas(x.cells), Canvas(x.cells)
    axis.put(0, 0, line * x.cells)
    free = 0
    for value in x.decades:
        text = in_unit(value)
        start = max(0, x.cell(value) - len(text) // 2)
        axis.put(x.cell(value), 0, tick)
        if free <= start < x.cells - len(PER_BYTE) - len(text):
            labels.put(start, 0, text)
            free = start + len(text) + 1
    axis.put(ridge, 0, here)
    labels.put(x.cells - len(PER_BYTE), 0, PER_BYTE)
    left, middle, right = "bound by memory < ", f"ridge {drawing.roofline.ceilings.ridge:,.4g}", " > by arithmetic"
    if len(left + middle + right) > x.cells:
        left = right = ""
    start = ridge - len(middle) // 2 - len(left)
    sides.put(max(0, min(start, x.cells - len(left + middle + right))), 0, left + middle + right)
    indent = Text(" " * (MARGIN + 1))
    return [Text(" " * MARGIN + corner) + axis.line(), indent + labels.line(), indent + sides.line()]


def _strip(drawing: Drawing) -> Text:
    """Under the axis, where the time goes: a bar a column, as high as its layers take."""
    times, levels = [0.0] * drawing.x.cells, LEVELS[drawing.unicode]
    for point in drawing.points:
        times[drawing.x.cell(point.intensity)] += weight(point)
    largest = max(times)
    bars = "".join(levels[max(0, ceil(t / largest * len(levels)) - 1)] if t else " " for t in times)
    return Text(f"{'time':>{MARGIN - 1}}  {bars}".rstrip(), no_wrap=True)


def _legend(drawing: Drawing, letters: dict[str, tuple[str, float]], width: int | None) -> list[Text]:
    """What marks stand for, with the share of the time; and what is not on the chart."""
    whole = drawing.whole
    marks = [f"{letter} {printable(op)} {percent(seconds, whole)}" for op, (letter, seconds) in letters.items()]
    rest = [weight(row) for row in drawing.points if row.op not in letters]
    hidden = [weight(row) for row in drawing.rows if not row.intensity]
    if rest:
        marks.append(f"{OTHERS} others {percent(sum(rest), whole)}")
    if hidden:
        marks.append(f"no FLOPs, not drawn {percent(sum(hidden), whole)}")
    notes = [f"Capitals: {percent(LARGE, 1, 0)} of the time or more in one place.", "Bars: where the time goes."]
    return [*_wrapped(marks, "   ", width or WIDTH), *_wrapped(notes, " ", width or WIDTH)]


def _wrapped(parts: Sequence[str], between: str, width: int) -> list[Text]:
    """Parts beside each other, as many in a line as fit."""
    lines = list(parts[:1])
    for part in parts[1:]:
        joined = f"{lines[-1]}{between}{part}"
        lines = [*lines[:-1], joined] if len(joined) <= width else [*lines, part]
    return [Text(line) for line in lines]
