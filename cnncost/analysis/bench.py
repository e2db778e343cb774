"""What measurements say of a network: a row a distinct layer, their sum beside the whole, ratios of two runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from cnncost.analysis.dtypes import DTYPES
from cnncost.analysis.measurements import LAYER, Measurement, Setting
from cnncost.analysis.samples import SLOWER, Change, Timing, change
from cnncost.ops.base import Op

GRADIENTS = {"forward": 1, "backward": 2, "train": 3}
"""MACs of a pass over those of forward, where all gradients are taken: data and weights, as much as forward each."""


class BenchRow(NamedTuple):
    """A distinct layer that was timed.

    names: of all layers that it stands for. macs: of one of them, in the pass that was timed.
    bytes_moved: input, parameters and output, each once; forward only, None otherwise. timing: of one
    of them, None where it failed, and why. attainable: seconds at the least by a device's sheet.
    """

    names: tuple[str, ...]
    kind: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    macs: int
    bytes_moved: int | None
    timing: Timing | None
    failure: str | None
    attainable: float | None = None

    @property
    def instances(self) -> int:
        return len(self.names)

    @property
    def seconds(self) -> float:
        """Of all layers that it stands for."""
        return self.instances * self.timing.median if self.timing else 0.0

    @property
    def flops_per_second(self) -> float | None:
        """2 x MACs over time."""
        return 2 * self.macs / self.timing.median if self.timing and self.macs else None

    @property
    def bytes_per_second(self) -> float | None:
        return self.bytes_moved / self.timing.median if self.timing and self.bytes_moved else None

    @property
    def efficiency(self) -> float | None:
        """The part of the roofline that is reached."""
        return self.attainable / self.timing.median if self.timing and self.attainable else None


class BenchTable(NamedTuple):
    """One setting of a network, or of layers of one op. whole: the network's own timing. free: layers that do nothing.
    untimed: layers that run only within the network. batch: None where it is in each row's input.
    complete: whether each distinct layer has been measured.
    """

    name: str
    setting: Setting
    batch: int | None
    rows: tuple[BenchRow, ...]
    whole: Timing | None
    failure: str | None
    free: int
    untimed: tuple[str, ...]
    complete: bool = True

    @property
    def sum_seconds(self) -> float | None:
        """Of all layers, where each has been timed."""
        if not self.rows or not self.complete or any(row.timing is None for row in self.rows):
            return None
        return sum(row.seconds for row in self.rows)


def row(
    names: Sequence[str], op: Op, inputs: tuple[tuple[int, ...], ...], output: Any, measured: Measurement
) -> BenchRow:
    """The row of a layer that was measured."""
    setting = measured.setting
    size = DTYPES["fp32" if setting.dtype == "tf32" else setting.dtype]
    macs: Any = op.macs(output, *inputs) * GRADIENTS[setting.direction]
    moved: Any = (op.read(output, *inputs) + op.written(output, *inputs)) * size
    return BenchRow(
        tuple(names),
        op.describe(*inputs),
        inputs,
        tuple(output),
        macs,
        moved if setting.direction == "forward" else None,
        measured.timing,
        measured.failure,
    )


class Regression(NamedTuple):
    """What has changed between two runs. alone: measurements that only one of them has, as (which, text)."""

    changes: tuple[tuple[Measurement, Change], ...]
    alone: tuple[tuple[str, str], ...]

    @property
    def slower(self) -> int:
        return sum(each.verdict == SLOWER for _, each in self.changes)


def regression(old: Iterable[Measurement], new: Iterable[Measurement], tolerance: float) -> Regression:
    """Two runs, measurement by measurement. tolerance: a part of the old time that is no difference."""
    before = {measured.key: measured for measured in old}
    after = {measured.key: measured for measured in new}
    changes = []
    for key, measured in after.items():
        was = before.get(key)
        if was is not None and was.timing and measured.timing:
            changes.append((measured, change(was.timing, measured.timing, tolerance)))
    alone = [("old", title(before[key])) for key in before.keys() - after.keys()]
    alone += [("new", title(after[key])) for key in after.keys() - before.keys()]
    return Regression(tuple(changes), tuple(sorted(alone)))


def title(measured: Measurement) -> str:
    """What was measured, for people."""
    subject = measured.subject
    if measured.what != LAYER:
        return str(subject["network"])
    options = "".join(f" {name}={value}" for name, value in subject["options"].items())
    inputs = ", ".join("x".join(map(str, shape)) for shape in subject["inputs"])
    return f"{subject['op']}{options} on {inputs}"
