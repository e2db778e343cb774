"""A made-up device on which times follow a known rule, and results files of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path
from random import Random
from typing import Any

import cnncost
from cnncost.analysis.bench import distinct_layers, network_subject
from cnncost.analysis.measurements import LAYER, NETWORK, SCHEMA_VERSION, Setting, layer_subject
from cnncost.graph import Graph

PEAK, BANDWIDTH, LAUNCH = 100e9, 20e9, 2e-6
SHEET = """\
name: Abacus 9
maker: Acme
year: 2026
kind: cpu
aliases: [Acme Abacus 9 CPU]
sources: {page: {title: a page}}
threads: 2
bandwidth: 20 GB/s
launch_overhead: 2 us
peaks:
  - {dtype: fp32, unit: cores, rate: 100 GFLOP/s}
  - {dtype: bf16, unit: cores, rate: 400 GFLOP/s}
"""
SETTING = Setting("Acme Abacus 9 CPU", threads=2)
WHOLE = 1.08
"""What networks take over the sum of their layers."""
SLOW = {"conv": 0.7, "depthwise_conv": 0.2, "linear": 0.4, "batch_norm": 0.5}
"""The part of its bandwidth and peak that the device comes to at the most, by op; elsewhere 0.8."""


def seconds(op: Any, x: tuple[Any, ...]) -> float:
    """The rule: a launch, then arithmetic that small layers do slowly, then all data once more."""
    y = op.shape(*x)
    part = SLOW.get(op.key, 0.8)
    macs = op.macs(y, *x)
    flops = 2 * macs if macs else sum(op.operations(y, *x))
    moved = 4 * (sum(map(prod, x)) + prod(y) + op.weights(*x) + op.biases(*x) + op.other_params(*x))
    saturated = flops / (flops + 2e6) if flops else 1.0
    return LAUNCH + flops / (part * saturated * PEAK) + moved / (part * BANDWIDTH)


def record(
    what: str, subject: Mapping[str, Any], took: float, setting: Setting = SETTING, **more: Any
) -> dict[str, Any]:
    """A line of a results file."""
    line = {"schema": SCHEMA_VERSION, "what": what, "subject": subject, "setting": setting.record(), "repetition": 0,
            "samples": [took] * 3, "failure": None, "doubts": [], "machine": {}, "date": "2026-02-03"}  # fmt: skip
    return {**line, **more}


def records(
    networks: Iterable[Graph], setting: Setting = SETTING, noise: float = 0.0, whole: bool = True
) -> list[dict[str, Any]]:
    """Lines of all layers of networks, and of the networks. noise: standard deviation of the logarithm of each."""
    chance = Random(1)
    lines: dict[str, dict[str, Any]] = {}
    for graph in networks:
        total = 0.0
        for layer in distinct_layers(graph)[0]:
            subject = layer_subject(layer.op, layer.inputs)
            key = json.dumps(subject, sort_keys=True)
            if key not in lines:
                took = seconds(layer.op, layer.inputs) * 2 ** (chance.gauss(0, noise) / 0.6931)
                lines[key] = record(LAYER, subject, took, setting)
            total += len(layer.names) * lines[key]["samples"][0]
        if whole:
            lines[graph.name + str(graph.batch)] = record(NETWORK, network_subject(graph), WHOLE * total, setting)
    return list(lines.values())


def write(path: Path, lines: Iterable[Mapping[str, Any]]) -> str:
    """A results file."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def loaded(*names: str, batch: int = 1) -> list[Graph]:
    return [cnncost.load(name, batch=batch) for name in names]
