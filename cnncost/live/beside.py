"""Memory derived and measured side by side, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch

from cnncost.analysis.dtypes import dtype_name
from cnncost.analysis.memory import Memory, Phase
from cnncost.analysis.quantities import covers
from cnncost.analysis.training_memory import AUTOCAST, LOSS, UPDATE, chosen
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph
from cnncost.live.build import Network, build
from cnncost.live.checkpoint import build_checkpointed
from cnncost.live.memory import Measured, measure_inference, measure_training
from cnncost.live.stage import DTYPES, OPTIMIZERS
from cnncost.live.storages import above

NUMBERED = re.compile(r"_\d+$")
"""What the name of a traced layer ends with where the same place runs again."""


class Row(NamedTuple):
    """The most bytes alive in one layer and phase; None where the one side does not tell that layer."""

    layer: str
    phase: Phase
    derived: int | None
    measured: int | None


@dataclass(frozen=True)
class Beside:
    """rows: in the order in which they were measured. difference: of the peaks, derived above measured."""

    derived: Memory
    measured: Measured
    rows: tuple[Row, ...]

    @property
    def difference(self) -> int:
        return int(self.derived.peak) - int(self.measured.peak)


def measure_beside(
    graph: Graph,
    derived: Memory,
    model: torch.nn.Module | None = None,
    *,
    inputs: Any = None,
    train: bool = False,
    optimizer: str = "sgd-momentum",
    precision: str = "fp32",
    accumulate: int = 1,
    checkpoint: Sequence[str] = (),
    frozen: Sequence[str] = (),
    foreach: bool = False,
    device: str = "cpu",
) -> Beside:
    """A network measured as it was derived. The options are those of training_memory, and of inference_memory.

    model: what the graph was traced from; None builds the graph. inputs: those of the model, where the
    shapes of the graph's are not enough. Of a traced model a row is a module, which may be several
    layers of the graph. Raises UsageError for what cannot be measured.
    """
    if checkpoint:
        if model is not None and not isinstance(model, Network):
            raise UsageError("checkpointed blocks of a traced model are not measured", hint="leave checkpoint out")
        model = build_checkpointed(graph, checkpoint)
    subject = build(graph, device="meta") if model is None else model
    given = list(graph.inputs.values()) if inputs is None else inputs
    options: dict[str, Any] = {**dtypes(precision), "device": device}
    if not train:
        return beside(derived, measure_inference(subject, given, **options), subject)
    make = OPTIMIZERS.get(optimizer)
    options["optimizer"] = partial(make, foreach=True) if foreach and make is not None else optimizer
    with_gradient = [p.requires_grad for p in subject.parameters()]
    try:
        freeze(graph, subject, frozen)
        measured = measure_training(subject, given, accumulate=accumulate > 1, **options)
    finally:
        for parameter, requires in zip(subject.parameters(), with_gradient):
            parameter.requires_grad_(requires)
    return beside(derived, measured, subject)


def dtypes(precision: str) -> dict[str, torch.dtype | None]:
    """The dtype of parameters, and that of autocast, of a precision: fp32, bf16, autocast-bf16 ..."""
    torch_dtypes = {name: dtype for dtype, name in DTYPES.items()}
    name = precision.removeprefix(AUTOCAST) if precision.startswith(AUTOCAST) else dtype_name(precision)
    name = "fp32" if name == "tf32" else name  # it is so stored
    if name not in torch_dtypes:
        raise UsageError(f"{name} cannot be measured", hint=did_you_mean(name, torch_dtypes))
    if name != precision and precision.startswith(AUTOCAST):
        return {"dtype": torch.float32, "autocast": torch_dtypes[name]}
    return {"dtype": torch_dtypes[name], "autocast": None}


def freeze(graph: Graph, model: torch.nn.Module, patterns: Sequence[str]) -> None:
    """Let the layers that names, blocks or globs cover learn nothing."""
    frozen = chosen(graph, patterns)
    if isinstance(model, Network):
        for node in graph.nodes:
            if node.name in frozen and node.shares is None:
                model.layer(node.name).requires_grad_(False)
        return
    for path, parameter in model.named_parameters():
        if any(covers(pattern, part) for pattern in patterns for part in above(path)):
            parameter.requires_grad_(False)


def beside(derived: Memory, measured: Measured, model: torch.nn.Module) -> Beside:
    """Both in rows."""
    modules = () if isinstance(model, Network) else {path for path, _ in model.named_modules()}
    found: dict[tuple[str, Phase], list[int | None]] = {}
    for step in measured.steps:
        found[step.layer, step.phase] = [None, int(step.alive)]
    for step in derived.steps:
        traced = modules and step.layer not in (LOSS, UPDATE)
        row = found.setdefault((module_of(step.layer, modules) if traced else step.layer, step.phase), [None, None])
        row[0] = max(int(step.alive), row[0] or 0)
    return Beside(derived, measured, tuple(Row(*key, *sizes) for key, sizes in found.items()))


def module_of(layer: str, modules: Collection[str]) -> str:
    """The path of the module that ran a layer of a traced graph, told by its name; "" is the model itself."""
    for path in above(layer):
        plain = path
        while plain not in modules and NUMBERED.search(plain):
            plain = NUMBERED.sub("", plain)
        if plain in modules:
            return plain
    return ""
