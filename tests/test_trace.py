"""PyTorch models as graphs."""

from __future__ import annotations

from cnncost import analyze, load
from cnncost.live.models import traced


def test_a_traced_resnet50_costs_what_the_spec_costs() -> None:
    assert analyze(traced("torchvision:resnet50")).total == analyze(load("resnet50")).total
