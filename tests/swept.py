"""Points of a sweep held against the walk of one network at each: the same to the last digit, or the same refusal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import cnncost
from cnncost.analysis.report import analyze
from cnncost.analysis.sweep.axes import BATCH, INPUT, SIDES, Axis, axes_of, is_input
from cnncost.analysis.sweep.grid import Grid, Tile
from cnncost.analysis.sweep.source import Source
from cnncost.analysis.sweep.walk import QUANTITIES, Priced, Wanted, priced, seconds_on, text_of
from cnncost.devices import Device
from cnncost.errors import CnncostError

Point = dict[str, Any]


class Swept(NamedTuple):
    """A space, priced. points: of all tiles, in the order of their numbers; batches too, where they vary."""

    source: Source
    grid: Grid
    tiles: list[Priced]
    wanted: Wanted

    @property
    def rows(self) -> Iterator[tuple[Point, Priced, int]]:
        """Every point, the tile that it is of, and its row there."""
        for tile in self.tiles:
            for row, point in enumerate(points_of(self.grid, tile.tile)):
                yield point, tile, row

    def at(self, **point: Any) -> dict[str, Any] | str:
        """A point's quantities, or why it cannot be."""
        tile, row = next((tile, row) for at, tile, row in self.rows if at == point)
        return answer(tile, row)

    @property
    def reasons(self) -> list[str | None]:
        """Why points are impossible, in order; None where they are possible."""
        return [tile.reasons[tile.refused[row]] if tile.refused[row] >= 0 else None for _, tile, row in self.rows]


def points_of(grid: Grid, tile: Tile) -> Iterator[Point]:
    """Points of a tile as names and values, in the order of its rows."""
    fixed = {axis.name: value for axis, value in zip(grid.structural, tile.fixed)}
    values = [axis.values[start:stop] for axis, (start, stop) in zip(grid.open, tile.spans)]
    varies = [axis.name for axis in grid.given if axis.name == BATCH]
    names = [*(axis.name for axis in grid.open), *varies]
    for chosen in product(*values, *([grid.batches] if varies else [])):
        yield {**fixed, **dict(zip(names, chosen))}


def sweep(
    spec: Any,
    given: Sequence[str] | Mapping[str, Any],
    *,
    devices: tuple[Device, ...] = (),
    dtype: str = "fp32",
    tile: int = 4096,
    **base: Any,
) -> Swept:
    """All points of a space. base: what does not vary."""
    source = Source(spec, **base)
    axes: tuple[Axis, ...] = axes_of(given, source.parameters)
    grid = Grid.of(axes, source.structural(axes), source.batch)
    wanted = Wanted(QUANTITIES, dtype, devices)
    return Swept(source, grid, [priced(grid, part, source, wanted) for part in grid.tiles(tile)], wanted)


def answer(tile: Priced, row: int) -> dict[str, Any] | str:
    """What a sweep says of a point: its quantities, or why it cannot be."""
    if tile.refused[row] >= 0:
        return tile.reasons[tile.refused[row]]
    return {name: column.tolist()[row] for name, column in tile.columns.items()}


def alone(swept: Swept, point: Point) -> dict[str, Any] | str:
    """What the walk of one network says of a point."""
    source, dtype = swept.source, swept.wanted.dtype
    given = {name: value for name, value in point.items() if not is_input(name) and name != BATCH}
    try:
        graph = cnncost.load(
            source.spec,
            batch=point.get(BATCH, source.batch),
            input=shape_of(source, point),
            set={**source.fixed, **given},
        )
        totals = analyze(graph, dtype, fields=False).totals
        peak = cnncost.memory(graph, train=True, dtype=dtype).peak
        return {
            **{name: totals[name] for name in QUANTITIES if name in totals},
            "training_peak_bytes": peak,
            **{seconds_on(d): cnncost.roofline(graph, d, dtype=dtype).total.seconds for d in swept.wanted.devices},
        }
    except CnncostError as e:
        return text_of(e)


def shape_of(source: Source, point: Point) -> Any:
    """The input at a point: an image of that height and width, or that shape, or the spec's with other sides."""
    shape = list(next(iter(source.inputs.values())))
    given = {name: value for name, value in point.items() if is_input(name)}
    for name, value in given.items():
        if isinstance(value, tuple):
            shape = list(value)
        elif name == INPUT:
            shape = [shape[0], *[value] * (len(shape) - 1)]
        else:
            shape[SIDES.index(name.removeprefix("input."))] = value
    return tuple(shape) if given else source.given


def check(
    spec: Any, given: Sequence[str] | Mapping[str, Any], *, count: int | None = None, seed: int = 0, **more: Any
) -> Swept:
    """Hold points of a sweep against the walk of one network: all, or so many drawn by chance.

    Where several points share a reason its numbers are those of the first; of the others the layer and the beginning
    of the sentence are the same.
    """
    swept = sweep(spec, given, **more)
    rows = list(swept.rows)
    assert len(rows) == swept.grid.size
    assert len({tuple(sorted((k, str(v)) for k, v in point.items())) for point, _, _ in rows}) == len(rows)
    first = firsts(swept)
    chosen = rows if count is None or count >= len(rows) else Random(seed).sample(rows, count)
    for point, tile, row in chosen:
        check_point(point, answer(tile, row), alone(swept, point), (id(tile), row) in first)
    return swept


def firsts(swept: Swept) -> set[tuple[int, int]]:
    """Tiles and rows of points that are the only ones of their tile with their reason."""
    found = set()
    for tile in swept.tiles:
        refused = tile.refused.tolist()
        found |= {(id(tile), row) for row, reason in enumerate(refused) if reason >= 0 and refused.count(reason) == 1}
    return found


def check_point(point: Point, got: Any, want: Any, whole: bool = True) -> None:
    """What a sweep says of a point is what the walk of one network says."""
    if isinstance(want, str) or isinstance(got, str):
        assert isinstance(want, str) and isinstance(got, str), f"{point}: {got}, alone {want}"
        same = got == want if whole else beginning(got) == beginning(want)
        assert same, f"{point}: {got!r}, alone {want!r}"
        return
    for name, value in got.items():
        exact = isinstance(value, int)
        alike = value == want[name] if exact else math.isclose(value, want[name], rel_tol=1e-12)
        assert alike, f"{point}: {name} {value}, alone {want[name]}"
        assert type(want[name]) is type(value)


def beginning(reason: str) -> list[str]:
    """The layer and the words of a sentence up to its first number."""
    layer, _, message = reason.partition(": ") if reason.startswith("layer ") else ("", "", reason)
    words = message.split()
    number = next((n for n, word in enumerate(words) if any(c.isdigit() for c in word)), len(words))
    return [layer, *words[:number]]


def written(folder: Path, text: str, name: str = "net") -> str:
    """A spec in a file."""
    path = folder / f"{name}.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)
