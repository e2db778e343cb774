"""The space of the axes, cut into tiles: each point once, in order, and no tile larger than it may be."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cnncost.analysis.sweep.axes import BATCH, Axis
from cnncost.analysis.sweep.grid import ROWS, TILE, Grid, Tile
from cnncost.analysis.sweep.walk import halves, runs

Point = tuple[Any, ...]


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Up to four axes, some structural, and the batch somewhere among them, or not."""
    names = draw(st.lists(st.sampled_from("abcd"), max_size=4, unique=True))
    axes = [Axis(name, tuple(range(draw(st.integers(1, 7))))) for name in names]
    structural = draw(st.lists(st.sampled_from(names), unique=True)) if names else []
    if draw(st.booleans()) or not axes:
        axes.insert(draw(st.integers(0, len(axes))), Axis(BATCH, tuple(range(1, 1 + draw(st.integers(1, 5))))))
    return Grid.of(axes, structural, 3)


def points(grid: Grid, tile: Tile) -> list[Point]:
    """Points of a tile: structural axes, open axes, the batch."""
    spans = [axis.values[start:stop] for axis, (start, stop) in zip(grid.open, tile.spans)]
    return [(*tile.fixed, *open_, batch) for *open_, batch in product(*spans, grid.batches)]


def whole(grid: Grid) -> list[Point]:
    """All points in the documented order: structural axes slowest, then as given, the batch fastest."""
    rest = [axis for axis in grid.given if axis.name != BATCH]
    slow = [axis for axis in rest if axis in grid.structural]
    fast = [axis for axis in rest if axis not in grid.structural]
    return [*product(*(axis.values for axis in (*slow, *fast)), grid.batches)]


@given(grids(), st.integers(1, 60), st.integers(1, 200))
def test_tiles_cover_every_point_once(grid: Grid, tile: int, rows: int) -> None:
    tiles = list(grid.tiles(tile, rows))
    found = [point for part in tiles for point in points(grid, part)]
    assert len(found) == grid.size
    assert sorted(found) == sorted(whole(grid))


@given(grids(), st.integers(1, 60), st.integers(1, 200))
def test_numbers_count_the_points_before(grid: Grid, tile: int, rows: int) -> None:
    number = 0
    for part in grid.tiles(tile, rows):
        assert part.number == number
        number += len(points(grid, part))
    assert number == grid.size


@given(grids(), st.integers(1, 60), st.integers(1, 200))
def test_no_tile_is_larger_than_it_may_be(grid: Grid, tile: int, rows: int) -> None:
    batches = len(grid.batches)
    for part in grid.tiles(tile, rows):
        assert len(part.shape) == len(grid.open)
        assert prod(part.shape) <= tile
        assert prod(part.shape) * batches <= max(rows, batches)


@given(grids())
def test_one_tile_is_enough_where_there_is_room(grid: Grid) -> None:
    parts = list(grid.tiles())
    assert len(parts) == prod(len(axis.values) for axis in grid.structural)
    assert [point for part in parts for point in points(grid, part)] == whole(grid)


@given(grids(), st.integers(1, 60))
def test_rows_of_a_tile_are_in_order(grid: Grid, tile: int) -> None:
    place = {point: n for n, point in enumerate(whole(grid))}
    for part in grid.tiles(tile):
        own = [place[point] for point in points(grid, part)]
        assert own == sorted(own)


@given(grids())
def test_axes_are_named_in_the_order_of_rows(grid: Grid) -> None:
    names = [axis.name for axis in grid.axes]
    assert sorted(names) == sorted(axis.name for axis in grid.given)
    assert names == [axis.name for axis in (*grid.structural, *grid.open)] + [BATCH] * (BATCH in names)
    given = [axis.name for axis in grid.given]
    for part in (grid.structural, grid.open):
        assert [axis.name for axis in part] == [name for name in given if name in {axis.name for axis in part}]


def test_a_batch_that_does_not_vary_is_no_axis() -> None:
    grid = Grid.of([Axis("a", (1, 2))], [], 32)
    assert grid.batches == (32,)
    assert [axis.name for axis in grid.axes] == ["a"]
    assert grid.size == 2
    assert list(grid.tiles()) == [Tile(0, (), ((0, 2),))]


def test_tiles_are_cut_along_slow_axes_first() -> None:
    grid = Grid.of([Axis("a", (1, 2, 3)), Axis("b", (1, 2, 3, 4)), Axis("s", ("x", "y"))], ["s"], 1)
    assert [(part.number, part.fixed, part.spans) for part in grid.tiles(8)] == [
        (0, ("x",), ((0, 2), (0, 4))),
        (8, ("x",), ((2, 3), (0, 4))),
        (12, ("y",), ((0, 2), (0, 4))),
        (20, ("y",), ((2, 3), (0, 4))),
    ]


def test_a_million_batches_are_one_point_a_tile() -> None:
    batches = Axis(BATCH, tuple(range(1, ROWS + 2)))
    parts = list(Grid.of([Axis("a", (1, 2, 3)), batches], [], 1).tiles())
    assert [part.shape for part in parts] == [(1,)] * 3
    assert [part.number for part in parts] == [0, ROWS + 1, 2 * (ROWS + 1)]
    assert TILE <= ROWS


# ---- parts of a tile ------------------------------------------------------------------------------


@given(grids())
def test_halves_are_the_tile(grid: Grid) -> None:
    for tile in grid.tiles(20):
        axis, parts = halves(tile, len(grid.batches))
        if prod(tile.shape) == 1:
            assert parts == []
            continue
        first, second = parts
        assert axis == next(a for a, n in enumerate(tile.shape) if n > 1)
        assert abs(first.shape[axis] - second.shape[axis]) <= 1
        assert [*points(grid, first), *points(grid, second)] == points(grid, tile)
        assert (first.number, second.number) == (tile.number, tile.number + len(points(grid, first)))


@given(grids(), st.data())
def test_runs_are_parts_in_which_a_choice_is_one(grid: Grid, data: st.DataObject) -> None:
    for tile in grid.tiles(50):
        shape = [data.draw(st.sampled_from([1, n])) for n in tile.shape]
        chosen = data.draw(st.lists(st.booleans(), min_size=prod(shape), max_size=prod(shape)))
        choice = np.array(chosen).reshape(1, *shape)
        if choice.all() or not choice.any():
            continue
        axis, parts = runs(tile, len(grid.batches), choice)
        assert len(parts) > 1
        assert [n for part in parts for n in range(*part.spans[axis])] == list(range(*tile.spans[axis]))
        start = tile.spans[axis][0]
        rows = np.moveaxis(choice, axis + 1, 0).reshape(shape[axis], -1).tolist()
        for part in parts:
            inside = [rows[n - start] for n in range(*part.spans[axis])]
            assert inside.count(inside[0]) == len(inside)
            after = part.spans[axis][1] - start
            assert after == len(rows) or rows[after] != inside[0]
            assert [s for a, s in enumerate(part.spans) if a != axis] == [
                s for a, s in enumerate(tile.spans) if a != axis
            ]
