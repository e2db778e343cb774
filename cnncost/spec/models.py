"""Names of PyTorch models, which stand where a spec may: torchvision:resnet50, my.module:build, net.py:Net."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeGuard


class ModelName(str):
    """The name of a PyTorch model, with what is asked of it.

    arguments: its constructor's, by name. train: as in training, with dropout. allow_unknown:
    operators without a rule count as nothing.
    """

    arguments: Mapping[str, Any] = MappingProxyType({})
    train = False
    allow_unknown = False

    def __new__(cls, name: str, **asked: Any) -> ModelName:
        made = super().__new__(cls, name)
        made.__dict__.update(asked)
        return made


def is_model(spec: Any) -> TypeGuard[str]:
    """Whether a spec is the name of a PyTorch model, and no file: place:attribute, the place a module or a .py file."""
    if not isinstance(spec, str):
        return False
    place, _, attribute = spec.rpartition(":")
    if not place or place == "family" or os.path.exists(spec):
        return False
    return place.endswith(".py") or (_dotted(place) and _dotted(attribute.replace("-", "_")))


def _dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
