"""Activation checkpointing: blocks that keep only their inputs, and run again before their gradients are computed.

As torch.utils.checkpoint(use_reentrant=False) does it: the backward pass of a block begins when a
call of it needs what it would have kept; the block then runs again up to the last call that keeps
something. Its inputs are held until the last of its calls has its gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnncost.analysis.quantities import covers
from cnncost.analysis.recorded import Record, Value
from cnncost.errors import UsageError, did_you_mean
from cnncost.graph import Graph, Node


class Block(NamedTuple):
    """Layers that follow one another. takes: tensors from outside, in the order of use. gives: those used outside."""

    nodes: tuple[Node, ...]
    takes: tuple[str, ...]
    gives: tuple[str, ...]


class Again:
    """A block that has run without keeping. values: its inputs. records: of its calls."""

    def __init__(self, block: Block, values: dict[str, Value], records: Sequence[Record]) -> None:
        self.block, self.values = block, values
        self.records = list(records)
        keeping = [record for record in self.records if record.call.keeps]
        self.first: Record | None = keeping[-1] if keeping else None
        self.last: Record | None = keeping[0] if keeping else None


def taken(part: Block | Node) -> tuple[str, ...]:
    """The tensors that a part takes, each once."""
    return part.takes if isinstance(part, Block) else tuple(dict.fromkeys(part.inputs))


def segments(graph: Graph, patterns: Sequence[str]) -> list[Block | Node]:
    """The layers in order, those of each block together. Raises UsageError for patterns that are no blocks."""
    names = [block_of(node.name, patterns) for node in graph.nodes]
    found = set(names)
    for pattern in patterns:
        if not any(name is not None and covers(pattern, name) for name in found):
            blocks = sorted(
                {node.name.rsplit(".", n)[0] for node in graph.nodes for n in range(node.name.count(".") + 1)}
            )
            raise UsageError(f"no block {pattern} in {graph.name}", hint=did_you_mean(pattern, blocks))
    parts: list[Block | Node] = []
    start = 0
    while start < len(names):
        name, end = names[start], start + 1
        if name is None:
            parts.append(graph.nodes[start])
        else:
            while end < len(names) and names[end] == name:
                end += 1
            parts.append(_block(graph, start, end))
        start = end
    return parts


def block_of(name: str, patterns: Sequence[str]) -> str | None:
    """The block that a layer is in: the shortest of its paths that a pattern is or fits; None outside of all."""
    parts = name.split(".")
    paths = [".".join(parts[:n]) for n in range(1, len(parts) + 1)]
    return next((path for path in paths if any(covers(pattern, path) for pattern in patterns)), None)


def _block(graph: Graph, start: int, end: int) -> Block:
    nodes = graph.nodes[start:end]
    inside = {node.name for node in nodes}
    takes = dict.fromkeys(name for node in nodes for name in node.inputs if name not in inside)
    later = {name for node in graph.nodes[end:] for name in node.inputs} | set(graph.outputs)
    return Block(nodes, tuple(takes), tuple(node.name for node in nodes if node.name in later))
