"""Layers of a report by what people call them: a path, a block, a glob, the end of a path."""

from __future__ import annotations

from collections.abc import Sequence

from cnncost.analysis.quantities import chosen_layers, covers
from cnncost.analysis.report import LayerReport, Report
from cnncost.errors import UsageError, counted, did_you_mean
from cnncost.options import spelled

LISTED_AT_MOST, CHOICES_AT_MOST = 60, 9


def select(report: Report, wanted: str | None) -> list[LayerReport]:
    """Layers by a path, a block, a glob, or the end of a path that only one layer or block has. Raises UsageError."""
    names = [layer.name for layer in report.layers]
    if wanted is None:
        raise UsageError(f"which layer of {report.name}?", hint=_listed(names))
    if any(covers(wanted, name) for name in names):
        return list(chosen_layers(report, [wanted]))
    ends = {path for name in names for path in _paths(name) if path.endswith(f".{wanted}")}
    if len(ends) == 1:
        return list(chosen_layers(report, list(ends)))
    if ends:
        every = sorted(ends, key=lambda end: next(i for i, name in enumerate(names) if covers(end, name)))
        hint = f"'*.{spelled(wanted)}' takes all; or choose one: {_some(every, CHOICES_AT_MOST)}"
        raise UsageError(f"{counted(len(ends), 'layer')} end in .{spelled(wanted)}", hint=hint)
    known = dict.fromkeys(path for name in names for path in (*_paths(name), name.rsplit(".", 1)[-1]))
    near = did_you_mean(wanted, known)
    raise UsageError(f"no layer {spelled(wanted)} in {report.name}", hint=near if near[:3] == "did" else _listed(names))


def _paths(name: str) -> list[str]:
    """A layer's path and those of the blocks that it is in."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def _listed(names: Sequence[str]) -> str:
    """All layers where they are few, else the blocks."""
    if len(names) > LISTED_AT_MOST:
        names = list(dict.fromkeys(name.split(".")[0] for name in names))
    return f"layers: {_some(names)}" if names else "there are none"


def _some(names: Sequence[str], most: int = LISTED_AT_MOST) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
