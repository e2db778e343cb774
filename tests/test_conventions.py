"""How other tools count: their rules against the tools themselves."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import cnncost
from cnncost.analysis.conventions import counted
from cnncost.live.build import build

NETWORKS = {"resnet18": "3x65x73", "mobilenet_v2": "3x65x73", "lenet5": "1x32x32", "squeezenet1_1": "3x65x73"}


@pytest.mark.parametrize("name", NETWORKS)
def test_rules_are_the_tools(name: str) -> None:
    graph = cnncost.load(name, input=NETWORKS[name])
    module = build(graph).eval()
    x = torch.randn(*next(iter(graph.inputs.values())))
    logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(x)
    counts = {tool: sum(counted(graph, tool).layers.values()) for tool in ("fvcore", "torch")}
    assert counts["torch"] == counter.get_total_flops() // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore goes by functions that torch has deprecated
        from fvcore.nn import FlopCountAnalysis

        assert counts["fvcore"] == FlopCountAnalysis(module, x).total()
