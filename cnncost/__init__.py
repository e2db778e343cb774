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
    from cnncost.analysis.align import Alignment
    from cnncost.analysis.budget import BudgetCheck
    from cnncost.analysis.checks import Checked
    from cnncost.analysis.claims import Verdict, Verification
    from cnncost.analysis.compare import Comparison
    from cnncost.analysis.explain import Explanation, LayerExplanation
    from cnncost.analysis.fit import Fit
    from cnncost.analysis.memory import Memory
    from cnncost.analysis.predict import Prediction
    from cnncost.analysis.report import LayerReport, Report
    from cnncost.analysis.roofline import Roof, Roofline
    from cnncost.analysis.training import EvaluationCost, TrainingCost
    from cnncost.api import align, analyze, check, compare, explain, load, trace, verify
    from cnncost.api.budgets import budget
    from cnncost.api.pages import page
    from cnncost.api.running import evaluation_cost, fit, load_device, memory, predict, roofline, training_cost
    from cnncost.api.sweeps import sweep
    from cnncost.cost import Cost
    from cnncost.devices import Device
    from cnncost.errors import CnncostError, ShapeError, SpecError, UsageError
    from cnncost.graph import Graph, Node
    from cnncost.onnx.load import load_onnx
    from cnncost.spec.writing import to_yaml

_PUBLIC = {
    "Alignment": "cnncost.analysis.align",
    "BudgetCheck": "cnncost.analysis.budget",
    "Checked": "cnncost.analysis.checks",
    "CnncostError": "cnncost.errors",
    "Comparison": "cnncost.analysis.compare",
    "Cost": "cnncost.cost",
    "Device": "cnncost.devices",
    "EvaluationCost": "cnncost.analysis.training",
    "Explanation": "cnncost.analysis.explain",
    "Fit": "cnncost.analysis.fit",
    "Graph": "cnncost.graph",
    "LayerExplanation": "cnncost.analysis.explain",
    "LayerReport": "cnncost.analysis.report",
    "Memory": "cnncost.analysis.memory",
    "Node": "cnncost.graph",
    "Prediction": "cnncost.analysis.predict",
    "Report": "cnncost.analysis.report",
    "Roof": "cnncost.analysis.roofline",
    "Roofline": "cnncost.analysis.roofline",
    "ShapeError": "cnncost.errors",
    "SpecError": "cnncost.errors",
    "TrainingCost": "cnncost.analysis.training",
    "UsageError": "cnncost.errors",
    "align": "cnncost.api",
    "analyze": "cnncost.api",
    "budget": "cnncost.api.budgets",
    "check": "cnncost.api",
    "compare": "cnncost.api",
    "evaluation_cost": "cnncost.api.running",
    "explain": "cnncost.api",
    "fit": "cnncost.api.running",
    "Verdict": "cnncost.analysis.claims",
    "Verification": "cnncost.analysis.claims",
    "load": "cnncost.api",
    "load_device": "cnncost.api.running",
    "load_onnx": "cnncost.onnx.load",
    "memory": "cnncost.api.running",
    "page": "cnncost.api.pages",
    "predict": "cnncost.api.running",
    "roofline": "cnncost.api.running",
    "sweep": "cnncost.api.sweeps",
    "to_yaml": "cnncost.spec.writing",
    "trace": "cnncost.api",
    "training_cost": "cnncost.api.running",
    "verify": "cnncost.api",
}

__all__ = [
    "Alignment",
    "BudgetCheck",
    "Checked",
    "CnncostError",
    "Comparison",
    "Cost",
    "Device",
    "EvaluationCost",
    "Explanation",
    "Fit",
    "Graph",
    "LayerExplanation",
    "LayerReport",
    "Memory",
    "Node",
    "Prediction",
    "Report",
    "Roof",
    "Roofline",
    "ShapeError",
    "SpecError",
    "TrainingCost",
    "UsageError",
    "Verdict",
    "Verification",
    "align",
    "analyze",
    "budget",
    "check",
    "compare",
    "evaluation_cost",
    "explain",
    "fit",
    "load",
    "load_device",
    "load_onnx",
    "memory",
    "page",
    "predict",
    "roofline",
    "sweep",
    "to_yaml",
    "trace",
    "training_cost",
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
