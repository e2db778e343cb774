"""A step of training as people ask for it, and the memory that a network takes with it or without."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cnncost.analysis.dtypes import dtype_name
from cnncost.analysis.memory import Memory, inference_memory
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph

if TYPE_CHECKING:
    from cnncost.analysis.training_memory import TrainingMemory

WORDS = {
    "none": "no optimizer",
    "sgd": "SGD",
    "sgd-momentum": "SGD with momentum",
    "adam": "Adam",
    "adamw": "AdamW",
}
"""Optimizers in words."""
SYNONYMS = {"momentum": "sgd-momentum"}
TRAINABLE = ("fp64", "fp32", "tf32", "fp16", "bf16")
AUTOCAST = ("bf16", "fp16")


@dataclass(frozen=True)
class TrainingStep:
    """Forward, backward and update, and how.

    optimizer: none, sgd, sgd-momentum, adam or adamw. autocast: the dtype of mixed precision, bf16 or
    fp16, or None. master_copies: fp32 copies of parameters of another dtype. accumulate: batches whose
    gradients are added up before an update. checkpoint: blocks that are run again for their backward
    pass. freeze: layers, blocks or globs that do not learn. foreach: the optimizer updates all
    parameters at once, PyTorch's default on GPUs.
    """

    optimizer: str = "sgd-momentum"
    autocast: str | None = None
    master_copies: bool = False
    accumulate: int = 1
    checkpoint: tuple[str, ...] = ()
    freeze: tuple[str, ...] = ()
    foreach: bool = False

    @staticmethod
    def of(
        optimizer: str = "sgd-momentum",
        autocast: str | None = None,
        master_copies: bool = False,
        accumulate: int = 1,
        checkpoint: Iterable[str] = (),
        freeze: Iterable[str] = (),
        foreach: bool = False,
    ) -> TrainingStep:
        """A step from what a program or a person gives. Raises UsageError."""
        name = SYNONYMS.get(optimizer, optimizer)
        if name not in WORDS:
            raise UsageError(f"unknown optimizer {optimizer}", hint=did_you_mean(str(optimizer), WORDS))
        if autocast is not None and autocast not in AUTOCAST:
            raise UsageError(f"no autocast to {autocast}", hint=did_you_mean(str(autocast), AUTOCAST))
        if type(accumulate) is not int or accumulate < 1:
            raise UsageError(f"accumulate must be a whole number of at least 1, got {accumulate}")
        if isinstance(checkpoint, str) or isinstance(freeze, str):
            raise UsageError("checkpoint and freeze are lists of names", hint='write ["stage1", "stage2"]')
        return TrainingStep(name, autocast, master_copies, accumulate, tuple(checkpoint), tuple(freeze), foreach)

    def memory(self, graph: Graph, dtype: str = "fp32") -> TrainingMemory:
        """The memory of this step. Raises UsageError."""
        from cnncost.analysis.training_memory import training_memory

        return training_memory(graph, **self._options(dtype), master_copies=self.master_copies)

    def measurable(self, dtype: str = "fp32") -> dict[str, Any]:
        """The same for a measurement. Raises UsageError for what is not measured."""
        if self.master_copies:
            raise UsageError("--master-copies is not measured", hint="leave --measure out")
        return self._options(dtype)

    def _options(self, dtype: str) -> dict[str, Any]:
        """What derivation and measurement have in common. Raises UsageError."""
        dtype = dtype_name(dtype)
        if dtype not in TRAINABLE:
            raise UsageError(f"{dtype} is no dtype to train in", hint=f"those are {', '.join(TRAINABLE)}")
        if self.autocast is not None and dtype not in ("fp32", "tf32"):
            hint = "leave the dtype out, or autocast"
            raise UsageError(f"autocast keeps parameters in fp32, and the dtype is {dtype}", hint=hint)
        return {
            "optimizer": self.optimizer,
            "precision": dtype if self.autocast is None else f"autocast-{self.autocast}",
            "accumulate": self.accumulate,
            "checkpoint": self.checkpoint,
            "frozen": self.freeze,
            "foreach": self.foreach,
        }

    @property
    def words(self) -> str:
        """What is asked for, in words."""
        parts = [WORDS[self.optimizer]]
        if self.foreach:
            parts.append("all parameters updated at once")
        if self.autocast:
            parts.append(f"autocast to {self.autocast}")
        if self.master_copies:
            parts.append("fp32 master copies")
        if self.accumulate > 1:
            parts.append(f"gradients of {self.accumulate:,} batches added up")
        if self.checkpoint:
            parts.append(f"checkpoints: {', '.join(self.checkpoint)}")
        if self.freeze:
            parts.append(f"frozen: {', '.join(self.freeze)}")
        return ", ".join(parts)

    @property
    def record(self) -> dict[str, Any]:
        """The same for programs."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def memory_of(graph: Graph, dtype: str = "fp32", step: TrainingStep | None = None) -> Memory:
    """The memory of a step of training, or of a forward pass alone. Raises UsageError."""
    return inference_memory(graph, dtype) if step is None else step.memory(graph, dtype)
