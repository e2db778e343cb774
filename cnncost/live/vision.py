"""torchvision's model definitions, also beside a PyTorch that its wheel was not built for.

torchvision's operators are compiled against one build of PyTorch. Beside another, such as a
CPU-only one, they do not load, and its import ends where fake kernels of nms and qnms are
registered. Declaring these two is enough for the model definitions; a model that calls one of them
then fails at that call. timm imports torchvision too: call models() before.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import torch

OPERATORS = (
    "nms(Tensor boxes, Tensor scores, float threshold) -> Tensor",
    "qnms(Tensor boxes, Tensor scores, float threshold) -> Tensor",
)
_declared: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
# Declarations last as long as this object.


def models() -> ModuleType:
    """torchvision.models. Raises ImportError where torchvision is not installed."""
    try:
        return _imported()
    except RuntimeError as e:
        if "torchvision::nms" not in str(e):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # what the failed import left
    for schema in OPERATORS:
        _declared.define(schema)
    return _imported()


def _imported() -> ModuleType:
    from torchvision import models as found

    return found  # type: ignore[no-any-return]
