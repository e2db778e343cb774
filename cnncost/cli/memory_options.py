"""Options of `cnncost memory` and `cnncost fit`: at which sizes a network runs, and what a step of training is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from cnncost.analysis.dtypes import DTYPES
from cnncost.cli.common import load_graph, parse_inputs, parse_settings
from cnncost.cli.options import BATCH, INPUT, MODEL, SET

if TYPE_CHECKING:
    from cnncost.analysis.fit import MemoryAt
    from cnncost.analysis.memory import Memory
    from cnncost.graph import Graph

F = TypeVar("F", bound=Callable[..., Any])
DTYPE = click.option("--dtype", type=click.Choice(tuple(DTYPES)), default="fp32", help="What an element takes.  [fp32]")


def memory_options(command: F) -> F:
    """--input, --batch, --dtype, --set, those of PyTorch models; --train and what goes with it."""
    options = (INPUT, BATCH, DTYPE, SET, MODEL[0], MODEL[2])
    for option in reversed(options):
        command = option(command)
    return command


class Asked(NamedTuple):
    """The options as given."""

    inputs: tuple[str, ...]
    batch: int
    dtype: str
    settings: tuple[str, ...]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Asked:
        return cls(**options)

    def graph(self, spec: str) -> Graph:
        return load_graph(spec, self.inputs, self.batch, self.settings)

    def memory(self, graph: Graph) -> Memory:
        """What it takes."""
        from cnncost.analysis.memory import inference_memory

        return inference_memory(graph, self.dtype)

    def memory_at(self, spec: str) -> MemoryAt:
        """The same at other batches and inputs."""

        def at(batch: int, shape: tuple[int, ...] | None) -> Memory:
            from cnncost.api import graph_of

            given = parse_inputs(self.inputs) if shape is None else shape
            return self.memory(graph_of(spec, given, batch, parse_settings(self.settings)))

        return at
