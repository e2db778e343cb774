"""The spec language: YAML files that describe networks. docs/spec.md is its reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cnncost.graph import Graph

if TYPE_CHECKING:
    from cnncost.spec.document import Document


def load(spec: Any, *, input: Any = None, batch: Any = 1, set: Mapping[str, Any] | None = None) -> Graph:
    """Read a spec and expand it to a graph.

    spec: a path, the name of a bundled architecture, or - for standard input. input: another
    input shape without the batch, "3x320x320" or (3, 320, 320); a dict of these by name where the
    network has several. batch: images. set: values for declared parameters, {"width": 0.5},
    {"depths.2": 36}. Sizes and parameters may be int64 arrays with one entry a design point.

    Raises SpecError with file, line and column for a fault in the spec, ShapeError where a layer
    cannot take its input, UsageError for a bad argument.
    """
    return expanded(lambda: document_of(spec), input, batch, set)


def expanded(read: Callable[[], Document], input: Any, batch: Any, set: Mapping[str, Any] | None) -> Graph:
    """The graph of a spec at these sizes. read: gives the spec, once they have been looked at."""
    from cnncost.errors import OptionError, UsageError
    from cnncost.options import KINDS
    from cnncost.spec.expand import expand
    from cnncost.spec.names import same_points

    try:
        batch = KINDS["Size"].check(batch)
    except OptionError as e:
        raise UsageError(f"batch {e.message}", hint="give the number of images, like 32") from None
    same_points(batch, input, set)
    return expand(read(), input, batch, {} if set is None else set)


def document_of(spec: Any) -> Document:
    """A spec read and laid over what it extends, not yet expanded. Raises SpecError, UsageError."""
    import os

    from cnncost.errors import UsageError
    from cnncost.spec.document import kind_of_value, read_document
    from cnncost.spec.files import open_spec

    try:
        path = os.fsdecode(spec)
    except TypeError:
        hint = "give a path, the name of a bundled architecture, or - for standard input"
        raise UsageError(f"a spec is a file, got {kind_of_value(spec)}", hint=hint) from None
    return read_document(open_spec(path))
