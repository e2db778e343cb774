"""ONNX files as graphs: every operator that the language has a layer for, and others whose cost is known.

Only the onnx package is needed, and no runtime: sizes follow from the file, or are given.
"""

from __future__ import annotations

import os
from typing import Any

SUFFIX = ".onnx"


def is_onnx(network: Any) -> bool:
    """Whether a network is named as an ONNX file is."""
    return isinstance(network, (str, os.PathLike)) and os.fsdecode(network).lower().endswith(SUFFIX)
