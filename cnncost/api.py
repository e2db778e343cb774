"""The calls that most programs need: load a spec, analyze it, verify its claims."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, Union

from cnncost.analysis.report import Report
from cnncost.analysis.report import analyze as analyze_graph
from cnncost.errors import UsageError
from cnncost.graph import Graph
from cnncost.spec import load

if TYPE_CHECKING:
    from cnncost.analysis.claims import Verification

Spec = Union[str, PathLike[str]]


def analyze(
    network: Graph | Spec,
    *,
    input: Any = None,
    batch: Any = None,
    set: Mapping[str, Any] | None = None,
    dtype: str = "fp32",
    strict: bool = False,
) -> Report:
    """What a network costs, layer by layer and in total.

    network: a path, a bundled name, or a graph from load(). input, batch, set: as in load(), for
    paths and names. dtype: fp32, fp16, bf16, int8 ...; it sets the bytes. strict: windows that do
    not fit evenly are errors. Raises SpecError, ShapeError, UsageError.
    """
    if isinstance(network, Graph):
        if input is not None or batch is not None or set:
            raise UsageError("a graph has its input, batch and parameters", hint="give them to cnncost.load()")
        return analyze_graph(network, dtype, strict)
    return analyze_graph(load(network, input=input, batch=1 if batch is None else batch, set=set), dtype, strict)


def verify(spec: Spec) -> Verification:
    """The verdicts on the published figures that a spec carries.

    spec: a path or a bundled name. Raises SpecError for claims that cannot be read or derived,
    UsageError for a bad argument.
    """
    from cnncost.analysis.claims import verify as verify_document
    from cnncost.spec import document_of

    return verify_document(document_of(spec))


__all__ = ["analyze", "load", "verify"]
