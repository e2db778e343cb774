"""Rules: which layer an operator of PyTorch is. A family a file; base.py says what a rule is."""

from __future__ import annotations

from cnncost.live.operators import (
    distances,
    moves,
    norms,
    pointwise,
    pools,
    products,
    reductions,
    regions,
    sources,
    transforms,
    views,
)
from cnncost.live.operators.base import RULES, Call, Rule


def rule_of(call: Call) -> Rule | None:
    """The rule of a call, or None where there is none."""
    for when, rule in RULES.get(call.name, ()):
        if when is None or when(call):
            return rule
    return None


FAMILIES = (
    distances, moves, norms, pointwise, pools, products, reductions, regions, sources, transforms, views,
)  # fmt: skip

__all__ = ["FAMILIES", "rule_of"]
