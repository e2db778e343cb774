"""Verdicts on a network's figures by other counters: plain values. cnncost.live.check makes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnncost.analysis.conventions import Counted
from cnncost.dims import Shape

FURTHER = ("torchinfo", "ptflops", "thop", "calflops")
"""Tools that a check adds where they are asked for; torch and fvcore are always there."""
EXACT, UNCOUNTED, DIFFERS = "exact", "uncounted", "differs"
VERDICTS = {
    EXACT: "output, params and MACs are those of torch's module and counter; and where fvcore knows all operators, its "
    "MACs are the same and what it counts besides is what its rules say",
    UNCOUNTED: "output and params are torch's; its counter has no rule for an operator, which is named, and takes it "
    "for nothing: the MACs are these rules' alone",
    DIFFERS: "a figure is another, and the faults name it",
}
"""What a layer's verdict means."""


class LayerCheck(NamedTuple):
    """A layer's figures here, by torch and by fvcore. The whole batch.

    torch_params: of the layer's module, also where it has them from another layer; so is params.
    fvcore_others: what fvcore counts besides MACs, by operator. unknown: operators that fvcore does
    not know, or why it could not count; its figures are then not all there is. faults: what differs,
    in words. torch_unknown: operators with MACs that torch's counter takes for nothing.
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
    faults: tuple[str, ...]
    torch_unknown: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        return DIFFERS if self.faults else UNCOUNTED if self.torch_unknown else EXACT


class Against(NamedTuple):
    """A network by another tool. counts: by its rules. number: by the tool, None where it failed, and why."""

    counts: Counted
    version: str
    number: int | None
    failure: str | None

    @property
    def name(self) -> str:
        return self.counts.convention.name

    @property
    def rest(self) -> int | None:
        """What the rules do not explain."""
        return None if self.number is None else self.number - self.counts.total


@dataclass(frozen=True)
class Checked:
    """A network that was checked: its layers, and its totals as they were counted in one run.

    torch_params: of the module, what layers share once. torch_macs: of all layers in one run.
    against: torch, fvcore, and the tools that were asked for, each with what its rules say. notes: what
    a reader must know of the network.
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
    against: tuple[Against, ...]
    notes: tuple[str, ...] = ()

    @property
    def unknown(self) -> dict[str, int]:
        """Operators that fvcore does not know, and in how many layers."""
        return dict(Counter(name for layer in self.layers for name in layer.unknown))

    @property
    def by_fvcore(self) -> int:
        """Layers of which fvcore knows all operators."""
        return sum(not layer.unknown for layer in self.layers)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the totals, in words; MACs without those for which torch has no rule."""
        alone = sum(layer.macs - layer.torch_macs for layer in self.layers if layer.torch_unknown)
        pairs = (("params", self.params, self.torch_params), ("MACs", self.macs - alone, self.torch_macs))
        return tuple(f"{what}: {here:,} here, torch {there:,}" for what, here, there in pairs if here != there)

    @property
    def exact(self) -> int:
        """Layers of which every figure was compared, and none differs."""
        return sum(layer.verdict == EXACT for layer in self.layers)

    @property
    def holds(self) -> bool:
        """Whether no layer and no total differs. That a tool counts otherwise is no fault, nor is one of its own."""
        return not self.faults and not any(layer.faults for layer in self.layers)


def faults(pairs: Iterable[tuple[str, Any, str, Any]]) -> tuple[str, ...]:
    """What differs, in words, of (figure, here, who says otherwise, what)."""
    return tuple(
        f"{what}: {_shown(here)} here, {who} {_shown(there)}" for what, here, who, there in pairs if here != there
    )


def _shown(value: int | tuple[int, ...]) -> str:
    """A count, or a shape."""
    return f"{value:,}" if isinstance(value, int) else "x".join(map(str, value))
