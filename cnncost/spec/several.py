"""Which networks a call means that takes several: graphs, specs, models, and patterns that stand for many."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike, fsdecode
from typing import NamedTuple, Union

from cnncost.errors import CnncostError, UsageError, Where
from cnncost.graph import Graph
from cnncost.spec.models import is_model

Given = Union[Graph, str, "PathLike[str]"]


class Meant(NamedTuple):
    """A network that is meant. named: by itself, and not only as one of those that a pattern fits."""

    network: Graph | str
    named: bool

    @property
    def name(self) -> str:
        return self.network.name if isinstance(self.network, Graph) else self.network


def meant(networks: Iterable[Given]) -> dict[object, Meant]:
    """Networks by what they are, each once: graphs, and specs by where they lie. Raises UsageError."""
    from cnncost.spec.catalogue import is_pattern, matching

    found: dict[object, Meant] = {}
    for network in networks:
        if isinstance(network, Graph) or is_model(network):
            place = id(network) if isinstance(network, Graph) else network
            found.setdefault(place, Meant(network, True))
            continue
        try:
            pattern = fsdecode(network)
        except TypeError:
            hint = "give paths, names of bundled architectures, or graphs"
            raise UsageError(f"a network is a file or a graph, got {network!r}", hint=hint) from None
        named = not is_pattern(pattern)
        for where, spec in matching([pattern]).items():
            known = found.setdefault(where, Meant(spec, named))
            found[where] = known._replace(named=known.named or named)
    return found


def only(network: Given, hint: str) -> Meant:
    """The one network that is meant. Raises UsageError where a pattern fits several."""
    found = list(meant([network]).values())
    if len(found) != 1:
        raise UsageError(f"{network} means {len(found):,} networks", hint=hint)
    return found[0]


def name_it(error: CnncostError, network: Meant) -> None:
    """Make an error say which of several networks it is about, unless its place does."""
    name = network.name
    if error.where is None:
        error.where = name
    elif not isinstance(error.where, Where) or error.where.file.removesuffix(".yaml") != name.removesuffix(".yaml"):
        error.message += f" (in {name})"
