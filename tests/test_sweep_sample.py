"""Points drawn at random: each is what a whole sweep says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from swept import check_point, points_of, sweep, written
from test_sweep_walk import CHOICES, MANY, PLAIN

from cnncost.analysis.sweep.sample import draws, priced_draw

SPACES = {
    **CHOICES,
    "plain": (PLAIN, {"kernel": [1, 3, 9, 12], "depths.1": [0, 2], "width": [0.5, 1, -1], "batch": MANY}),
    "words": (PLAIN, {"act": ["relu", "nothing", "gelu"], "input": [(3, 9, 9), (3, 2, 2)], "batch": [1, 4]}),
}


@pytest.mark.parametrize("count", [10**9, 25])
@pytest.mark.parametrize("name", SPACES)
def test_draws_are_points_of_the_space(tmp_path: Path, name: str, count: int) -> None:
    text, axes = SPACES[name]
    swept = sweep(written(tmp_path, text), axes)
    points = [point for tile in swept.tiles for point in points_of(swept.grid, tile.tile)]
    whole = {column: np.concatenate([tile.columns[column] for tile in swept.tiles]) for column in swept.wanted.columns}
    seen, reasons = [], swept.reasons
    for draw in draws(swept.grid, count, 7):
        drawn = priced_draw(swept.grid, draw, swept.source, swept.wanted)
        for row, number in enumerate(draw.numbers.tolist()):
            seen.append(number)
            reason, want = drawn.refused[row], reasons[number]
            got = {column: int(drawn.columns[column][row]) for column in whole}
            check_point(
                points[number],
                drawn.reasons[reason] if reason >= 0 else got,
                {column: int(values[number]) for column, values in whole.items()} if want is None else want,
                whole=False,
            )
    assert seen == sorted(set(seen))
    assert len(seen) == min(count, swept.grid.size)
