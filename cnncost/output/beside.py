"""Memory derived and measured side by side: by parts at the peak, and by layers."""

from __future__ import annotations

from typing import Any

from cnncost.analysis.memory import Step, What
from cnncost.analysis.side_by_side import OnGpu, SideBySide
from cnncost.output.drawn import bytes_column, column
from cnncost.output.grid import Drawn
from cnncost.output.tables import NAME_AT_MOST
from cnncost.output.units import off, printable, readable_bytes, unit_for

MEASURED = "on fake tensors, operator by operator"
PARTS: dict[What, tuple[str, str]] = {
    "parameters": ("parameters", "what layers learn"),
    "buffers": ("buffers", "running statistics of norms"),
    "parameter gradient": ("gradients of parameters", "those computed so far"),
    "optimizer state": ("optimizer state", "kept from step to step"),
    "cast weights": ("cast weights", "copies in the dtype of autocast"),
    "input": ("input", "held by the caller"),
    "saved": ("saved activations", "held for the backward pass"),
    "activation": ("activations", "outputs that are still needed"),
    "gradient": ("gradients of activations", "on their way back"),
    "temporary": ("temporaries", "of the layer that runs"),
    "workspace": ("workspace", "of kernels"),
}
"""Parts of the bytes alive, in the order of tables: label, and what is meant."""


def beside_columns(beside: SideBySide, units: str) -> list[Drawn]:
    """A row a part of what is alive at the peak, derived and measured, with the difference."""
    derived, measured = beside.derived, beside.measured
    named = [(PARTS[what][0], derived.parts.get(what, 0), measured.parts.get(what, 0)) for what in PARTS]
    rows = [(label, int(here), int(there)) for label, here, there in named if here or there]
    rows += [("in all", int(derived.peak), int(measured.peak))]
    if hasattr(derived, "kept_bytes"):
        rows.append(("kept for the backward pass", int(derived.kept_bytes), beside.kept_bytes))
    unit = unit_for([max(here, there) for _, here, there in rows], True, units)
    return [
        column("part", "at the peak", "text", [label for label, _, _ in rows]),
        bytes_column("derived", [here for _, here, _ in rows], unit),
        bytes_column("measured", [there for _, _, there in rows], unit),
        column("bytes", "difference (B)", "count", [_signed(here - there) for _, here, there in rows]),
        column("share", "", "count", [_off(here, there) for _, here, there in rows]),
    ]


def _signed(difference: int) -> str:
    return "=" if difference == 0 else f"{difference:+,}"


def _off(here: int, there: int) -> str:
    """How far a derived figure is off, in percent, where one sees it."""
    text = off(here, there)
    return "" if text in ("+0.00%", "-0.00%") else text


def measured_lines(beside: SideBySide) -> list[str]:
    """Where the measured peak is, and what the allocator of a GPU says."""
    at = beside.measured.at
    assert at is not None  # something ran
    lines = [f"measured peak: {place(at)}; {MEASURED}"]
    gpu = beside.gpu
    if gpu is None:
        return lines
    far = off(int(beside.derived.peak), gpu.allocated)
    parts = (gpu.requested, gpu.tensors, gpu.requested - gpu.tensors, gpu.allocated - gpu.requested)
    asked, tensors, own, rounding = map(readable_bytes, parts)
    return [
        *lines,
        f"on {gpu.name}: max_memory_allocated {readable_bytes(gpu.allocated)}, derived {far}; "
        f"max_memory_reserved {readable_bytes(gpu.reserved)}",
        f"asked of the allocator {asked}: tensors {tensors}, workspace of kernels {own}; rounding adds {rounding}",
    ]


def place(at: Step) -> str:
    """The step of a peak, in words."""
    if at.phase == "update":
        return "the update"
    return f"{at.phase} pass of {printable(at.layer, NAME_AT_MOST) or 'the model itself'}"


def beside_step_columns(beside: SideBySide, units: str) -> list[Drawn]:
    """A row a layer and phase, derived and measured; of a PyTorch model a row a module."""
    rows = beside.steps
    unit = unit_for([int(beside.derived.peak)], True, units)
    both = [None if row.derived is None or row.measured is None else row.derived - row.measured for row in rows]
    drawn = [
        column("name", "layer", "text", [printable(row.layer) or "-" for row in rows]),
        column("phase", "phase", "text", [row.phase for row in rows]),
        bytes_column("derived", [row.derived for row in rows], unit),
        bytes_column("measured", [row.measured for row in rows], unit),
        column("bytes", "difference (B)", "count", ["-" if n is None else _signed(n) for n in both]),
    ]
    return drawn if len({row.phase for row in rows}) > 1 else [drawn[0], *drawn[2:]]


def measured_record(beside: SideBySide) -> dict[str, Any]:
    """What was measured."""
    measured = beside.measured
    at = measured.at
    return {
        "peak_bytes": measured.peak,
        "difference_bytes": beside.difference,
        "activation_peak_bytes": measured.activation_peak,
        "kept_bytes": beside.kept_bytes,
        "at": {"layer": at.layer, "phase": at.phase} if at else None,
        "parts": dict(measured.parts),
        "steps": [row._asdict() for row in beside.steps],
        "gpu": None if beside.gpu is None else _gpu_record(beside.gpu),
    }


def _gpu_record(gpu: OnGpu) -> dict[str, Any]:
    return {
        "name": gpu.name,
        "requested_bytes": gpu.requested,
        "allocated_bytes": gpu.allocated,
        "reserved_bytes": gpu.reserved,
        "workspace_bytes": gpu.requested - gpu.tensors,
    }


def measured_schema(at: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """The schema of the same."""
    from cnncost.output.schema import COUNT, object_

    text, some = {"type": "string"}, {"type": ["integer", "null"]}
    gpu = object_(
        {
            "name": text,
            "requested_bytes": {**COUNT, "description": "asked of the allocator"},
            "allocated_bytes": {**COUNT, "description": "torch.cuda.max_memory_allocated"},
            "reserved_bytes": {**COUNT, "description": "torch.cuda.max_memory_reserved"},
            "workspace_bytes": {"type": "integer", "description": "of requested_bytes what no tensor takes"},
        }
    )
    row = {"layer": text, "phase": text, "derived": some, "measured": some}
    return object_(
        {
            "peak_bytes": COUNT,
            "difference_bytes": {"type": "integer", "description": "of the peaks, derived - measured"},
            "activation_peak_bytes": COUNT,
            "kept_bytes": {
                **COUNT,
                "description": "alive at the end of the forward pass, beside what stays between runs",
            },
            "at": at,
            "parts": parts,
            "steps": {
                "type": "array",
                "items": object_(row),
                "description": "bytes alive; null where one side has none",
            },
            "gpu": {"anyOf": [gpu, {"type": "null"}], "description": "its allocator's peaks, by --device cuda"},
        }
    )
