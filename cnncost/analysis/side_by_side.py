"""Memory derived and measured, as values: what output shows, whoever measured."""

from __future__ import annotations

from typing import NamedTuple

from cnncost.analysis.memory import Memory, Phase


class StepBeside(NamedTuple):
    """The most bytes alive in one layer and phase; None where one side does not tell that layer."""

    layer: str
    phase: Phase
    derived: int | None
    measured: int | None


class OnGpu(NamedTuple):
    """Peaks of a GPU's allocator. tensors: of what operators make. requested: with workspace of kernels.

    allocated: the blocks that it gave out. reserved: what it has of the driver.
    """

    name: str
    tensors: int
    requested: int
    allocated: int
    reserved: int


class SideBySide(NamedTuple):
    """kept_bytes: measured at the end of the forward pass, beside what stays between runs. gpu: where there is one."""

    derived: Memory
    measured: Memory
    kept_bytes: int
    steps: tuple[StepBeside, ...]
    gpu: OnGpu | None = None

    @property
    def difference(self) -> int:
        """Of the peaks, derived above measured."""
        return int(self.derived.peak) - int(self.measured.peak)
