"""The module of a graph with activation checkpointing: some of its blocks run again before their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from cnncost.analysis.checkpoint import Block, segments, taken
from cnncost.graph import Graph
from cnncost.live.build import Network


class CheckpointedNetwork(Network):
    """The module of a graph whose blocks keep only their inputs in training, by torch.utils.checkpoint.

    blocks: names or globs. The state of random numbers is not kept: on the CPU it would be 5 KB a
    block, which are no tensors of the network.
    """

    def __init__(self, graph: Graph, blocks: Sequence[str]) -> None:
        super().__init__(graph)
        self.parts = segments(graph, blocks)
        self._last = {name: i for i, part in enumerate(self.parts) for name in taken(part)}

    def forward(self, *tensors: torch.Tensor) -> Any:
        """Run the parts; what lies between two is let go after its last use."""
        alive: dict[str, Any] = dict(zip(self.inputs, tensors))
        del tensors
        for i, part in enumerate(self.parts):
            if isinstance(part, Block):
                given = [alive[name] for name in part.takes]
                made = checkpoint(self._block, part, *given, use_reentrant=False, preserve_rng_state=False)
                alive.update(zip(part.gives, made))
                del given, made
            else:
                alive[part.name] = self.layer(part.name)(*(alive[name] for name in part.inputs))
            for name in taken(part):
                if self._last[name] == i and name not in self.outputs:
                    del alive[name]
        outputs = {name: alive[name] for name in self.outputs}
        return outputs if len(outputs) > 1 else next(iter(outputs.values()))

    def _block(self, block: Block, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The layers of a block, from its inputs to what is used outside."""
        alive = dict(zip(block.takes, given))
        last = {name: i for i, node in enumerate(block.nodes) for name in node.inputs}
        for i, node in enumerate(block.nodes):
            alive[node.name] = self.layer(node.name)(*(alive[name] for name in node.inputs))
            for name in set(node.inputs):
                if last[name] == i and name not in block.gives:
                    del alive[name]
        return tuple(alive[name] for name in block.gives)


def build_checkpointed(graph: Graph, blocks: Sequence[str]) -> CheckpointedNetwork:
    """The module of a graph on the meta device. Raises UsageError for blocks that it has not."""
    with torch.device("meta"):
        return CheckpointedNetwork(graph, blocks)
