"""What a convolutional network costs: shapes, parameters, MACs, memory. No framework needed.

    import cnncost
    report = cnncost.analyze("alexnet")
    report.total.macs

Names are imported when first used, so that `import cnncost` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from cnncost.analysis.claims import Verdict, Verification
    from cnncost.analysis.report import LayerReport, Report
    from cnncost.api import analyze, load, verify
    from cnncost.cost import Cost
    from cnncost.errors import CnncostError, ShapeError, SpecError, UsageError
    from cnncost.graph import Graph, Node

_PUBLIC = {
    "CnncostError": "cnncost.errors",
    "Cost": "cnncost.cost",
    "Graph": "cnncost.graph",
    "LayerReport": "cnncost.analysis.report",
    "Node": "cnncost.graph",
    "Report": "cnncost.analysis.report",
    "ShapeError": "cnncost.errors",
    "SpecError": "cnncost.errors",
    "UsageError": "cnncost.errors",
    "analyze": "cnncost.api",
    "Verdict": "cnncost.analysis.claims",
    "Verification": "cnncost.analysis.claims",
    "load": "cnncost.api",
    "verify": "cnncost.api",
}

__all__ = [
    "CnncostError",
    "Cost",
    "Graph",
    "LayerReport",
    "Node",
    "Report",
    "ShapeError",
    "SpecError",
    "UsageError",
    "Verdict",
    "Verification",
    "analyze",
    "load",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cnncost' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
