"""A network measured as the command line asks: by operators, and on a GPU by its allocator too."""

from __future__ import annotations

from typing import Any

from cnncost.analysis.memory import Memory
from cnncost.analysis.side_by_side import OnGpu, SideBySide, StepBeside
from cnncost.analysis.training_step import TrainingStep
from cnncost.errors import UsageError
from cnncost.graph import Graph
from cnncost.live.allocator import measure_allocator, require_gpu
from cnncost.live.beside import Beside, dtypes, measure_beside
from cnncost.live.build import build
from cnncost.live.models import find
from cnncost.spec.models import is_model


def measure(spec: str, graph: Graph, derived: Memory, step: TrainingStep | None, dtype: str, device: str) -> SideBySide:
    """The memory of a network beside what was derived; on a GPU also what its allocator says.

    spec: what the graph is of; of a PyTorch model the model itself runs. step: of training; None for
    inference. device: cpu or cuda. Raises UsageError for what cannot be measured.
    """
    options: dict[str, Any] = {"precision": dtype}
    if step is not None:
        options = {"train": True, **step.measurable(dtype)}
    if device != "cpu":
        _on_gpu(step, dtype, device)
    model: Any = find(spec, getattr(spec, "arguments", {})).module if is_model(spec) else build(graph, device="meta")
    beside = measure_beside(graph, derived, model, device=device, **options)
    found = SideBySide(derived, beside.measured, beside.measured.kept_bytes, _steps(derived, beside))
    if device == "cpu":
        return found
    allocated = measure_allocator(
        model,
        list(graph.inputs.values()),
        train=step is not None,
        optimizer=options.get("optimizer", "sgd-momentum"),
        autocast=dtypes(options["precision"])["autocast"],
        device=device,
    )
    tensors = int(allocated.storages.peak)
    return found._replace(gpu=OnGpu(allocated.name, tensors, allocated.requested, allocated.peak, allocated.reserved))


def _steps(derived: Memory, beside: Beside) -> tuple[StepBeside, ...]:
    """The rows in the order of the derived steps, where these have all that was measured."""
    rows = {(row.layer, row.phase): StepBeside(*row) for row in beside.rows}
    order = dict.fromkeys((step.layer, step.phase) for step in derived.steps)
    return tuple(rows[key] for key in order) if order.keys() == rows.keys() else tuple(rows.values())


def _on_gpu(step: TrainingStep | None, dtype: str, device: str) -> None:
    """Raise UsageError for what is not measured on a GPU, or where there is none."""
    if device.partition(":")[0] != "cuda":
        raise UsageError(f"--device {device}: nothing is measured there", hint="cpu or cuda")
    require_gpu()
    hint = "on the CPU it is: leave --device out"
    if dtype != "fp32":
        raise UsageError(f"--dtype {dtype} is not measured on a GPU", hint=hint)
    if step is not None:
        given = {"accumulate": step.accumulate > 1, "checkpoint": step.checkpoint, "freeze": step.freeze}
        for name in filter(given.get, given):
            raise UsageError(f"--{name} is not measured on a GPU", hint=hint)
