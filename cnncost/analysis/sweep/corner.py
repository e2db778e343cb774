"""The largest point of a space in Python's ints, which have no limit, before any is priced in int64, which has."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product
from math import prod
from typing import TYPE_CHECKING, Any

from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.memory import inference_memory
from cnncost.analysis.report import LARGEST_COUNT, UncountableError, figures
from cnncost.analysis.sweep.axes import BATCH, Axis, is_input, shown_value
from cnncost.analysis.training_memory import training_memory
from cnncost.cost import total
from cnncost.errors import CnncostError, TooLargeError

if TYPE_CHECKING:
    from cnncost.analysis.sweep.space import Space

CORNERS_AT_MOST = 16
"""Of words and switches, which have no largest, so many combinations are looked at."""


def require_countable(space: Space) -> None:
    """Raise UncountableError where a count is too large for a sweep at the largest values of all axes.

    Where that point is impossible nothing is said: every tile is looked at again when it is priced.
    """
    for values in islice(_corners(space), CORNERS_AT_MOST):
        try:
            found = _counts(space, values)
        except TooLargeError as e:
            raise _refused(e.message, values) from None
        except CnncostError:
            continue
        for name, count in found.items():
            if count >= LARGEST_COUNT:
                raise _refused(f"too many {name}, {count:.2g}", values)


def _refused(what: str, values: dict[str, Any]) -> UncountableError:
    at = ", ".join(f"{name} {shown_value(value)}" for name, value in values.items())
    return UncountableError(f"{what}, at the largest point: {at}", hint="take smaller values: a sweep counts to 2^62")


def _corners(space: Space) -> Iterator[dict[str, Any]]:
    """The largest value of each axis, and each of those that have no size."""
    yield from (dict(zip((a.name for a in space.axes), row)) for row in product(*map(_largest, space.axes)))


def _largest(axis: Axis) -> tuple[Any, ...]:
    if axis.numeric:
        return (max(axis.values),)
    if all(isinstance(value, tuple) for value in axis.values):
        return (max(axis.values, key=prod),)
    return axis.values


def _counts(space: Space, values: dict[str, Any]) -> dict[str, int]:
    """FLOPs, and the quantities that are wanted, at one point. Raises CnncostError where it is impossible."""
    source, wanted = space.source, space.wanted
    settings = {name: value for name, value in values.items() if name != BATCH and not is_input(name)}
    graph = source.graph(batch=values.get(BATCH), input=source.input(values), set=settings)
    shapes = graph.shapes
    costs = [node.op.cost(node.shape, *(shapes[i] for i in node.inputs)) for node in graph.nodes]
    found = figures(total(costs), DTYPES[wanted.dtype])
    counts = {name: found[name] for name in ("flops", *wanted.quantities) if name in found}
    if "peak_bytes" in wanted.quantities:
        counts["peak_bytes"] = inference_memory(graph, wanted.dtype).peak
    if "training_peak_bytes" in wanted.quantities:
        counts["training_peak_bytes"] = training_memory(graph, precision=wanted.dtype).peak
    return counts
