"""Bytes alive over the steps of a run, drawn in characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from rich.text import Text

from cnncost.analysis.memory import Memory, Step, What
from cnncost.output.units import Unit, printable, readable_bytes, unit_for

ROWS = 9
WIDE, NARROW = 120, 80
"""Widest chart; width where the paper has none."""
EIGHTHS = " ▁▂▃▄▅▆▇█"
ALWAYS: tuple[What, ...] = ("parameters", "buffers", "optimizer state")
"""What is alive at every step."""
NAME_AT_MOST = 40


class Strip(NamedTuple):
    """The steps of one phase, as columns. first, steps: its first step, by index, and how many it has."""

    phase: str
    first: int
    steps: int
    columns: int

    def of(self, column: int) -> tuple[int, int]:
        """The steps that a column shows: from this one to before that one, by index in the phase."""
        start = column * self.steps // self.columns
        return start, max((column + 1) * self.steps // self.columns, start + 1)


def timeline(memory: Memory, width: int | None = None, unicode: bool = True) -> list[Text]:
    """A chart of the bytes alive at each step, phases side by side, with a mark at the peak."""
    at = memory.at
    if at is None:
        return []
    most = int(memory.peak)
    unit = unit_for([most], True, "auto")
    labels = _labels(most, unit)
    margin = max(map(len, labels)) + 2
    columns = min(width or NARROW, WIDE) - margin
    strips = _strips(memory.steps, columns)
    heights = [height for strip in strips for height in _heights(strip, memory.steps)]
    peak = _column(strips, memory.steps.index(at))
    lasting = [what for what in ALWAYS if memory.parts.get(what)]
    always = sum(int(memory.parts[what]) for what in lasting)
    lines = [Text(f"alive at each step ({unit.name})", style="bold")]
    for row in range(ROWS):
        label = {0: labels[0], ROWS // 2: labels[1]}.get(row, "")
        line = Text(f"{label:>{margin - 2}} {_axis(bool(label), unicode)}", no_wrap=True)
        cells = [_cell(height, always, most, ROWS - 1 - row, unicode) for height in heights]
        line.append("".join(cells[:peak]), style="cyan")
        line.append(cells[peak], style="bold red")
        line.append("".join(cells[peak + 1 :]), style="cyan")
        lines.append(line)
    floor = "─" if unicode else "-"
    corner = "┼" if unicode else "+"
    lines.append(Text(f"{'0':>{margin - 2}} {corner}{_floor(strips, floor, '┴' if unicode else '+')}", no_wrap=True))
    lines.append(_names(strips, margin))
    lines.append(_mark(memory, at, margin + peak, margin + columns, unicode))
    shade = "░" if unicode else "."
    return [*lines, *([Text(f"{shade} always there: {', '.join(lasting)}", style="dim")] if lasting else [])]


def _labels(peak: float, unit: Unit) -> list[str]:
    """The peak, and half of it."""
    number = peak / unit.worth
    decimals = 0 if unit.worth == 1 or number >= 100 else 1 if number >= 10 else 2
    return [f"{value:,.{decimals}f}" for value in (number, number / 2)]


def _axis(labelled: bool, unicode: bool) -> str:
    if not unicode:
        return "+" if labelled else "|"
    return "┤" if labelled else "│"


def _strips(steps: Sequence[Step], columns: int) -> list[Strip]:
    """The phases, each as wide as its share of the steps, and at least as its name."""
    groups = [(phase, list(group)) for phase, group in groupby(steps, key=lambda step: step.phase)]
    least = [len(phase) + 1 for phase, _ in groups] if len(groups) > 1 else [1]
    free, total = columns - sum(least), len(steps)
    strips, first = [], 0
    for (phase, group), name in zip(groups, least):
        room = name + max(free, 0) * len(group) // total
        if room > 2 * len(group):
            room -= room % len(group)  # all steps equally wide
        strips.append(Strip(phase, first, len(group), max(room, name)))
        first += len(group)
    return strips


def _heights(strip: Strip, steps: Sequence[Step]) -> list[int]:
    """The bytes of each column: the most of its steps."""
    alive = [int(step.alive) for step in steps[strip.first : strip.first + strip.steps]]
    return [max(alive[slice(*strip.of(column))]) for column in range(strip.columns)]


def _column(strips: Sequence[Strip], step: int) -> int:
    """The middle one of the columns that show a step, from 0."""
    before, found = 0, []
    for strip in strips:
        for column in range(strip.columns):
            start, end = strip.of(column)
            if start <= step - strip.first < end:
                found.append(before + column)
        before += strip.columns
    return found[(len(found) - 1) // 2]


def _cell(height: int, always: int, peak: int, row: int, unicode: bool) -> str:
    """One character of a column; row: from 0 at the bottom. What is always there is drawn lighter."""
    full = 8 * ROWS * height // peak - 8 * row
    if full <= 0:
        return " "
    if 2 * ROWS * always >= peak * (2 * row + 1):
        return "░" if unicode else "."
    if not unicode:
        return "#" if full >= 4 else " "
    return EIGHTHS[min(full, 8)]


def _floor(strips: Sequence[Strip], line: str, joint: str) -> str:
    """The axis below the columns, with a joint where a phase begins."""
    parts = [line * strip.columns for strip in strips]
    return "".join([parts[0], *(joint + part[1:] for part in parts[1:])])


def _names(strips: Sequence[Strip], margin: int) -> Text:
    """The phases below the axis."""
    return Text(" " * margin + "".join(f"{strip.phase:<{strip.columns}}" for strip in strips).rstrip(), no_wrap=True)


def _mark(memory: Memory, at: Step, column: int, width: int, unicode: bool) -> Text:
    """An arrow at the peak's column, with the figure and the layer on the side that has room."""
    arrow = "▲" if unicode else "^"
    text = f"peak {readable_bytes(int(memory.peak))} at {printable(at.layer, NAME_AT_MOST)}"
    if column + 2 + len(text) <= width:
        line = f"{'':{column}}{arrow} {text}"
    elif len(text) + 1 <= column:
        line = f"{'':{column - len(text) - 1}}{text} {arrow}"
    else:
        line = f"{'':{column}}{arrow}\n{text}"
    return Text(line, style="bold red")
