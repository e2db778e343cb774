"""Least times on devices, and the roofline, as the page of a network has them."""

from __future__ import annotations

from typing import Any

from cnncost.analysis.roofline import Roof, Roofline, fold, together
from cnncost.output.page.tree import Tree
from cnncost.output.units import digits, duration, in_unit, percent, rate, rate_unit, unit_for


def device(priced: Roofline, tree: Tree) -> dict[str, Any]:
    """A device for the script. Rates are in `unit`.

    layers, blocks: by number seconds, what they are as text, and what bounds them. kinds: by op its share of
    the time. points: of layers that compute something number, intensity, attainable rate and its text; and of
    those that were measured rate and text, else None.
    """
    roofs = priced.ceilings
    rows = {roof.name: roof for roof in priced.layers}
    unit = unit_for([roofs.macs.rate], False, "auto")
    total = priced.total
    return {
        "name": roofs.device.name,
        "note": note(priced),
        "total": duration(total.seconds) if total.seconds else "",
        "operations": operations(roofs.dtype),
        "ridge": roofs.ridge,
        "rate": roofs.macs.rate / unit.worth,
        "unit": f"{unit.name}{rate_unit(roofs.dtype)}",
        "layers": [_time(rows[item.name]) if item.row else None for item in tree.items],
        "blocks": [_time(together(block.name, [rows[row.name] for row in block.layers])) for block in tree.blocks],
        "kinds": {
            row.op: (_part(row.seconds, total.seconds), percent(row.seconds, total.seconds))
            for row in fold(priced, "op")
            if row.seconds
        },
        "points": [
            _point(tree.numbers[roof.name], roof, roofs.dtype, unit.worth) for roof in priced.layers if roof.rate
        ],
    }


def operations(dtype: str) -> str:
    """What is counted under a peak of this dtype."""
    return "operations" if dtype.startswith("int") else "FLOPs"


def note(priced: Roofline) -> str:
    """The ceilings, and the least time under them."""
    roofs, total = priced.ceilings, priced.total
    peak = f"{rate(roofs.macs.rate, roofs.dtype)} ({roofs.macs.unit})"
    moved = (
        f"{in_unit(roofs.bandwidth)}B/s, so {digits(roofs.ridge)} {operations(roofs.dtype)} a byte where the two meet"
    )
    least = f"Least time of all layers: {duration(total.seconds)}" if total.seconds else "No layer takes any time"
    bound = f", {percent(total.memory_bound, total.seconds)} of it bound by memory" if total.seconds else ""
    measured = ""
    if total.measured is not None:
        measured = f" Measured: {duration(total.measured)}, of which the least time is {percent(total.attained, 1)}."
        measured += " Circles: attainable; diamonds: measured."
    undrawn = sum(roof.seconds for roof in priced.layers if not roof.rate)
    without = ""
    if undrawn:
        without = f" Without {operations(roofs.dtype)}, and not drawn: {percent(undrawn, total.seconds)}."
    return f"{roofs.dtype}: {peak}, {moved}. {least}{bound}.{without}{measured}"


def _time(roof: Roof) -> tuple[float, str, str]:
    """Seconds, the same as text, and what bounds them in words."""
    if not roof.seconds:
        return 0.0, "", ""
    share, _, what = str(roof.bound).rpartition(" ")  # memory, arithmetic, 51% memory
    return roof.seconds, duration(roof.seconds), f"{f'{share} of it ' if share else ''}bound by {what}"


def _part(value: float, whole: float) -> float:
    return 100 * value / whole if whole else 0


def _point(number: int, roof: Roof, dtype: str, worth: int) -> tuple[Any, ...]:
    measured = roof.measured_rate
    return (
        number,
        roof.intensity,
        roof.rate / worth,
        rate(roof.rate, dtype),
        None if measured is None else measured / worth,
        None if measured is None or roof.measured is None else f"{rate(measured, dtype)}, {duration(roof.measured)}",
    )
