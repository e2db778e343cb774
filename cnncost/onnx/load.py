"""The graph of an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from cnncost.errors import SpecError, UsageError
from cnncost.graph import Graph
from cnncost.onnx.file import read_model
from cnncost.onnx.walk import Walk


def load_onnx(network: Any, input: Any = None, batch: int | None = None, set: Mapping[str, Any] | None = None) -> Graph:
    """The graph of an ONNX file.

    input: shapes without the batch, as for a spec; by default the file's own. batch: images; by
    default the file's, or 1. Raises UsageError for what is no ONNX file, or has no fixed sizes, or an
    operator of which the cost is not known; ShapeError where a layer cannot take its input.
    """
    path = os.fsdecode(network)
    if set:
        raise UsageError("an ONNX file declares no parameters", hint="its sizes are given with --input")
    if batch is not None and (type(batch) is not int or batch < 1):
        raise UsageError(f"batch must be a whole number of at least 1, got {batch}", hint="give the number of images")
    model = read_model(path, input, batch)
    try:
        return Walk(model).graph()
    except SpecError as e:
        e.where = e.where or path
        raise
