"""Two networks layer by layer: which layer of one stands for which of the other, and what differs.

A sequence alignment (Needleman & Wunsch 1970): layers stay in order, each stands for at most one of
the other network, and the pairs have the largest sum of `_likeness`. Which layers a layer takes is
not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from cnncost.analysis.compare import called
from cnncost.analysis.report import LayerReport, Report
from cnncost.cost import Cost
from cnncost.errors import UsageError

CELLS_AT_MOST = 25_000_000
"""Pairs of layers that are weighed, which takes 3 seconds; 1,000 layers against 1,000 are 1,000,000."""
EQUAL, CHANGED, ONLY_A, ONLY_B = "equal", "changed", "only_a", "only_b"
_MATCH, _SKIP_A, _SKIP_B = 0, 1, 2
_Match = tuple[Optional[LayerReport], Optional[LayerReport]]


class Pair(NamedTuple):
    """A layer of each network, or of one of them; what differs, by the names of columns."""

    a: LayerReport | None
    b: LayerReport | None
    differs: tuple[str, ...] = ()

    @property
    def change(self) -> str:
        """equal, changed, only_a or only_b."""
        if self.a is None or self.b is None:
            return ONLY_A if self.b is None else ONLY_B
        return CHANGED if self.differs else EQUAL

    @property
    def renamed(self) -> bool:
        return self.a is not None and self.b is not None and self.a.name != self.b.name

    def difference(self, figure: str) -> Any:
        """b's figure less a's: `params`, `macs`, or a field of Cost. A layer that is not there has none."""
        return _figure(self.b, figure) - _figure(self.a, figure)


def _figure(layer: LayerReport | None, figure: str) -> Any:
    return 0 if layer is None else getattr(layer.cost, figure)


@dataclass(frozen=True, repr=False)
class Alignment:
    """Two networks, their layers in pairs, in the order of both."""

    a: Report
    b: Report
    pairs: tuple[Pair, ...]

    @property
    def changes(self) -> tuple[Pair, ...]:
        """The pairs that are not equal."""
        return tuple(pair for pair in self.pairs if pair.change != EQUAL)

    @property
    def names(self) -> tuple[str, str]:
        """The short names of both; where these are one, the files."""
        names = called(self.a), called(self.b)
        return names if names[0] != names[1] else (self.a.source or self.a.name, self.b.source or self.b.name)

    def __repr__(self) -> str:
        return f"<Alignment of {' and '.join(self.names)}: {len(self.changes)} of {len(self.pairs)} rows differ>"

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict a pair, ready for pandas.DataFrame."""
        from cnncost.output.align import flat

        return [flat(pair) for pair in self.pairs]

    def __str__(self) -> str:
        """The differences as `cnncost compare --layers` prints them into a pipe."""
        from cnncost.output.align import alignment_table

        return alignment_table(self)

    def to_json(self) -> str:
        """The JSON alignment, a public format: `cnncost schema layers`."""
        from cnncost.output.align import to_json

        return to_json(self)


def align(a: Report, b: Report) -> Alignment:
    """Pair the layers of two networks. Raises UsageError where they are over arrays, or too many."""
    if a.swept or b.swept:
        raise UsageError("layers over arrays cannot be aligned", hint="compare one design point of each")
    return Alignment(a, b, pairs_of(a.layers, b.layers))


def pairs_of(first: Sequence[LayerReport], second: Sequence[LayerReport]) -> tuple[Pair, ...]:
    """The layers of two networks in pairs. Raises UsageError where they are too many."""
    # Equal ends pair up in the best alignment too, and most variants of a network share them.
    head = _equal(first, second)
    tail = _equal(first[head:][::-1], second[head:][::-1])
    middle = _aligned(first[head : len(first) - tail], second[head : len(second) - tail])
    ends = len(first) - tail, len(second) - tail
    pairs = [
        *zip(first[:head], second[:head]),
        *middle,
        *zip(first[ends[0] :], second[ends[1] :]),
    ]
    return tuple(Pair(x, y, _differs(x, y)) for x, y in pairs)


def _differs(a: LayerReport | None, b: LayerReport | None) -> tuple[str, ...]:
    """The columns in which two layers differ. A name alone is no difference."""
    if a is None or b is None:
        return ()
    kind = ("kind",) if (a.op, a.kind) != (b.op, b.kind) else ()
    output = ("output",) if a.output_shape != b.output_shape else ()
    sums = tuple(name for name in ("params", "macs") if getattr(a, name) != getattr(b, name))
    parts = tuple(name for name, x, y in zip(Cost._fields, a.cost, b.cost) if x != y and name not in sums)
    return kind + output + sums + parts


def _look(layer: LayerReport) -> tuple[Any, ...]:
    """All by which two layers are compared, but the name."""
    return layer.op, layer.kind, layer.output_shape, layer.cost


def _equal(first: Sequence[LayerReport], second: Sequence[LayerReport]) -> int:
    """How many layers at the beginning are the same in name and look."""
    count = 0
    for a, b in zip(first, second):
        if a.name != b.name or _look(a) != _look(b):
            break
        count += 1
    return count


def _likeness(a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
    """How well two looks agree, 0 to 6: the op 1, its options 2, the output's shape 2, the cost 1.

    Of different ops nothing is alike; neither is of one op where options and shape both differ.
    """
    alike = 2 * (a[1] == b[1]) + 2 * (a[2] == b[2])
    return 1 + alike + (a[3] == b[3]) if a[0] == b[0] and alike else 0


SAME_NAME = 3
"""What the same name adds for layers of one op; of different ops it adds 1, and 2 where the shapes agree."""


def _named(a: LayerReport, b: LayerReport, likeness: int) -> int:
    """The likeness of two layers of one name."""
    if a.op == b.op:
        return (likeness or 1) + SAME_NAME
    return 3 if a.output_shape == b.output_shape else 1


def _aligned(first: Sequence[LayerReport], second: Sequence[LayerReport]) -> list[_Match]:
    """Pairs of the largest likeness together; a layer that has no other stands alone."""
    if len(first) * len(second) > CELLS_AT_MOST:
        raise UsageError(
            f"{len(first):,} layers against {len(second):,} are too many to align",
            hint="compare parts of them, or their totals: without --layers",
        )
    moves = _moves(first, second)
    i, j = len(first), len(second)
    pairs: list[_Match] = []
    while i or j:
        move = _SKIP_A if not j else _SKIP_B if not i else moves[i - 1][j - 1]
        i, j = i - (move != _SKIP_B), j - (move != _SKIP_A)
        pairs.append((None if move == _SKIP_B else first[i], None if move == _SKIP_A else second[j]))
    return pairs[::-1]


def _moves(first: Sequence[LayerReport], second: Sequence[LayerReport]) -> list[bytearray]:
    """For each two layers the last step of the best alignment up to them."""
    looks = [_look(layer) for layer in second]
    place = {layer.name: j for j, layer in enumerate(second)}
    known: dict[tuple[Any, ...], list[int]] = {}  # equal layers abound
    best = [0] * (len(second) + 1)
    moves = []
    for a in first:
        look = _look(a)
        if look not in known:
            row = {other: _likeness(look, other) for other in set(looks)}
            known[look] = [row[other] for other in looks]
        likeness = known[look]
        if a.name in place:
            j = place[a.name]
            likeness = [*likeness[:j], _named(a, second[j], likeness[j]), *likeness[j + 1 :]]
        before, best, steps = best, [0], bytearray()
        left = diagonal = 0
        for above, like in zip(before[1:], likeness):
            # Of equal alignments the one whose pairs come early, and whose layers of a come before those of b.
            here, move = diagonal + like, _MATCH
            if above >= here:
                here, move = above, _SKIP_A
            if left >= here:
                here, move = left, _SKIP_B
            best.append(here)
            steps.append(move)
            left, diagonal = here, above
        moves.append(steps)
    return moves
