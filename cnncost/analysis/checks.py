"""Verdicts on a network's figures by other counters: plain values. cnncost.live.check makes them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnncost.analysis.conventions import Counted
from cnncost.dims import Shape

EXACT, TORCH_ALONE, DIFFERS = "exact", "torch alone", "differs"
VERDICTS = {
    EXACT: "output, params and MACs are those of torch's module and counter; so are fvcore's MACs, and what it counts "
    "besides is what its rules say",
    TORCH_ALONE: "output, params and MACs are those of torch's module and counter; fvcore does not know an operator",
    DIFFERS: "a figure is another",
}
"""What a layer's verdict means."""


class LayerCheck(NamedTuple):
    """A layer's figures here, by torch and by fvcore. The whole batch.

    fvcore_others: what fvcore counts besides MACs, by operator. unknown: operators that fvcore does
    not know; its counts are then not all there is. faults: what differs, in words.
    """

    name: str
    op: str
    kind: str
    output_shape: Shape
    params: int
    macs: int
    torch_shape: tuple[int, ...]
    torch_params: int
    torch_macs: int
    fvcore_macs: int
    fvcore_others: dict[str, int]
    unknown: tuple[str, ...]
    verdict: str
    faults: tuple[str, ...]


class Against(NamedTuple):
    """A network by another tool. counts: by its rules. number: by the tool, None where it failed, and why."""

    counts: Counted
    version: str
    number: int | None
    failure: str | None

    @property
    def rest(self) -> int | None:
        """What the rules do not explain."""
        return None if self.number is None else self.number - self.counts.total


@dataclass(frozen=True)
class Checked:
    """A network that was checked: its layers, and its totals as they were counted in one run.

    torch_params: of the module, what layers share once. torch_macs: of all layers in one run. fvcore:
    the network by fvcore's rules.
    """

    name: str
    source: str | None
    about: dict[str, Any]
    inputs: dict[str, Shape]
    layers: tuple[LayerCheck, ...]
    params: int
    torch_params: int
    macs: int
    torch_macs: int
    fvcore: Counted
    against: tuple[Against, ...]

    @property
    def fvcore_macs(self) -> int:
        """Of all layers together, and what fvcore counts besides."""
        return sum(layer.fvcore_macs for layer in self.layers)

    @property
    def fvcore_others(self) -> int:
        return sum(sum(layer.fvcore_others.values()) for layer in self.layers)

    @property
    def unknown(self) -> dict[str, int]:
        """Operators that fvcore does not know, and in how many layers."""
        return dict(Counter(name for layer in self.layers for name in layer.unknown))

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the totals, in words."""
        pairs = (("params", self.params, self.torch_params), ("MACs", self.macs, self.torch_macs))
        return tuple(f"{what}: {here:,} here, torch {there:,}" for what, here, there in pairs if here != there)

    @property
    def counts(self) -> dict[str, int]:
        """Layers by verdict."""
        return {verdict: sum(layer.verdict == verdict for layer in self.layers) for verdict in VERDICTS}

    @property
    def holds(self) -> bool:
        return not self.faults and not self.counts[DIFFERS]
